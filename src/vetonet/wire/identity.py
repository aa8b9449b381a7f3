"""Participants as certificates name them, and the rule that a caller must be who its statement says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vetonet.errors import ConfigError
from vetonet.wire.errors import WrongIdentityError

SPIFFE_ID_KEY: Final = "peer_spiffe_id"
MAX_SEGMENT_CHARS: Final = 64
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
SCHEME: Final = "spiffe://"


class Role(StrEnum):
    """What a participant is; the first segment of its SPIFFE id."""

    PARTY = "party"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A participant as its certificate names it: ``spiffe://<trust domain>/<role>/<name>``."""

    trust_domain: str
    role: Role
    name: str

    def __post_init__(self) -> None:
        """Refuse what is no SPIFFE id (SPIFFE-ID section 2)."""
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            msg = f"expected a trust domain of a-z, 0-9, dots, dashes, got {self.trust_domain[:64]!r}"
            raise ConfigError(msg)
        is_segment = _SEGMENT.fullmatch(self.name) and self.name not in {".", ".."}
        if not is_segment or len(self.name) > MAX_SEGMENT_CHARS:
            msg = f"expected a name of letters, digits, dot, dash and underscore, got {self.name[:64]!r}"
            raise ConfigError(msg)

    def to_uri(self) -> str:
        """Return the SPIFFE id."""
        return f"{SCHEME}{self.trust_domain}/{self.role}/{self.name}"

    @classmethod
    def from_uri(cls, uri: str) -> Identity:
        """Return the identity that a SPIFFE id spells.

        Raises:
            ConfigError: it spells none of ours.
        """
        parts = uri.removeprefix(SCHEME).split("/")
        if not uri.startswith(SCHEME) or len(parts) != 3 or parts[1] not in set(Role):  # noqa: PLR2004
            msg = f"expected spiffe://<trust domain>/<role>/<name>, got {uri[:128]!r}"
            raise ConfigError(msg)
        return cls(trust_domain=parts[0], role=Role(parts[1]), name=parts[2])

    @property
    def server_name(self) -> str:
        """The DNS name in the certificate by which a client knows this participant, wherever it listens.

        TLS clients compare names of hosts, not SPIFFE ids; this one follows from the id, so no other
        participant's certificate has it. Nobody can register it (RFC 2606 section 2).
        """
        return f"{hashlib.sha256(self.to_uri().encode()).hexdigest()[:32]}.vetonet.invalid"


def read_peer(auth_context: Mapping[str, Iterable[bytes]], *, trust_domain: str) -> Identity:
    """Return who called, as gRPC's authentication context names it.

    Raises:
        WrongIdentityError: no certificate, or one that names nobody, several, or another domain's.
    """
    uris = tuple(auth_context.get(SPIFFE_ID_KEY, ()))
    if len(uris) != 1:
        raise WrongIdentityError("expected a client certificate with exactly one SPIFFE id", clause="VN-13.1")
    try:
        identity = Identity.from_uri(uris[0].decode())
    except (ConfigError, UnicodeDecodeError) as error:
        raise WrongIdentityError("the client certificate names no participant", clause="VN-13.1") from error
    if identity.trust_domain != trust_domain:
        msg = f"expected a caller of {trust_domain}, got one of {identity.trust_domain}"
        raise WrongIdentityError(msg, culprit=identity.name, clause="VN-13.1")
    return identity


def require_caller(caller: Identity | None, role: Role, name: str | None) -> None:
    """The caller is this participant, or anybody of this role where no name is given.

    Without certificates (a caller of None) only signatures count.

    Raises:
        WrongIdentityError: it is another.
    """
    if caller is not None and (caller.role, caller.name) != (role, caller.name if name is None else name):
        wanted = f"an {role}" if name is None else f"{role} {name!r}"
        msg = f"{caller.role} {caller.name!r} calls for {wanted}"
        raise WrongIdentityError(msg, culprit=caller.name, clause="VN-13.1")
