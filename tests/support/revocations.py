"""Revocation lists of makers, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from support.world import NOW_MS
from vetonet.attestation.revocation import MAX_LIST_AGE_MS, RevocationList, RevocationReason, RevokedDevice
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.units import MS_PER_HOUR

ISSUED_MS = NOW_MS - MS_PER_HOUR


def make_list(
    ueids: Iterable[bytes] = (),
    *,
    number: int = 1,
    reason: RevocationReason = RevocationReason.KEY_EXPOSED,
    **changes: Any,
) -> RevocationList:
    """Return a list of these chips, in force for as long as may be, with some fields changed."""
    fields: dict[str, Any] = {
        "endorser_id": "maker",
        "number": number,
        "issued_ms": ISSUED_MS,
        "expires_ms": ISSUED_MS + MAX_LIST_AGE_MS,
        "entries": tuple(RevokedDevice(ueid=ueid, reason=reason) for ueid in sorted(ueids)),
    }
    return RevocationList(**(fields | changes))


def sign_list(root: SigningKey, ueids: Iterable[bytes] = (), **changes: Any) -> bytes:
    """Return such a list as the log holds it."""
    return sign(make_list(ueids, **changes), root)
