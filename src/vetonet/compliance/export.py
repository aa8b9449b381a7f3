"""Who answers for a bundle: a signature over all its parts, by an operator or party of the treaty (VN-10.1).

Without one, nobody in particular put the parts together, and a forged one accuses nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from vetonet.compliance.bundle import Bundle
from vetonet.compliance.parts import PartKind, spell_part
from vetonet.crypto.keys import PublicKey, SigningKey
from vetonet.crypto.statement import Signed, Statement, open_statement, sign
from vetonet.encoding.record import DIGEST, member
from vetonet.errors import ComplianceError, EncodingError, InvalidSignatureError, Problem, UnknownPartyError
from vetonet.policy.treaty import Terms, Treaty


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleExport(Statement):
    """That its signer read every part of a bundle and vouches that the reports in it are genuine.

    Attributes:
        body_digest: SHA-256 of the file before this part.
    """

    TYPE: ClassVar[str] = "bundle-export"

    body_digest: bytes = member(1, DIGEST)


def sign_export(bundle: Bundle, key: SigningKey) -> Bundle:
    """Return the bundle signed by whoever hands it out, and should have judged it before."""
    unsigned = replace(bundle, export=None).to_bytes()
    body = unsigned[: -len(spell_part(PartKind.TRAILER, bytes(32)))]
    return replace(bundle, export=sign(BundleExport(body_digest=hashlib.sha256(body).digest()), key))


def open_export(data: bytes, body_digest: bytes, treaties: Iterable[Signed[Treaty]]) -> str:
    """Return the operator or party that signed that all parts before are genuine.

    Args:
        data: untrusted bytes of an export part.
        body_digest: SHA-256 of the file before it.
        treaties: those that were in force.

    Raises:
        EncodingError: no such statement, or one about another file.
        ComplianceError: nobody of these treaties signed it.
    """
    named = {key.key_id: (key, name) for treaty in treaties for key, name in _list_members(treaty.statement)}
    try:
        signed = open_statement(data, BundleExport, {key_id: key for key_id, (key, _) in named.items()})
    except (UnknownPartyError, InvalidSignatureError) as error:
        detail = f"the bundle was signed by nobody of its treaty: {error}"
        raise ComplianceError(detail, problems=(Problem(reason="other-exporter", detail=detail),)) from error
    if signed.statement.body_digest != body_digest:
        raise EncodingError("the bundle is damaged: what its exporter signed is another one")
    return named[signed.signer.key_id][1]


def _list_members(terms: Terms) -> list[tuple[PublicKey, str]]:
    parties = [(party.key, party.party_id) for party in terms.parties]
    return [*parties, *((operator.key, operator.operator_id) for operator in terms.operators)]
