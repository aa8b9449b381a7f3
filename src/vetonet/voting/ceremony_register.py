"""Key ceremonies in the log: which of their statements may be leaves (VN-15.11).

Whoever reads a log may not know the plan of a handover, so the rule asks for none. It asks who signed, and
bounds what one signer can have logged, so that nobody fills the log and nobody uses up another's part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from vetonet.crypto.statement import Signed, compute_digest, open_statement, peek, read_unverified
from vetonet.errors import EncodingError, RefusedError
from vetonet.policy.ceremony import PUBLIC_KINDS, CeremonyStatement
from vetonet.policy.treaty import MAX_GROUPS, Treaty

MAX_OF_A_KIND: Final = 2
"""Two different statements of one kind by one signer prove equivocation (VN-15.4); a third adds nothing."""

MAX_CEREMONIES: Final = 8 * MAX_GROUPS
"""Of how many one signer's statements are logged under one treaty: eight attempts at the most groups."""

Place: TypeAlias = tuple[bytes, bytes, str]
"""Digest of the plan, key id of the signer, statement type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyRegister:
    """Which statements of ceremonies the leaves of a log hold.

    Attributes:
        epoch: of the treaty under which ``named`` counts.
        logged: the payload digests of what stands in each place, at most ``MAX_OF_A_KIND``.
        named: the ceremonies that each signer, by key id, had statements of logged under that treaty.
    """

    epoch: int = 0
    logged: Mapping[Place, tuple[bytes, ...]] = field(default_factory=dict)
    named: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)

    def add(self, data: bytes, treaties: Sequence[Treaty]) -> CeremonyRegister:
        """Return the register with one more leaf.

        Args:
            data: the leaf.
            treaties: whose parties count; the last is in force.

        Raises:
            EncodingError: not a statement of a ceremony, or one whose content is sealed.
            UnknownPartyError, InvalidSignatureError: none of these parties signed it.
            RefusedError: the log holds it already, or as much of its signer as it takes.
        """
        signed = _open_leaf(data, treaties)
        register = self._under(treaties[-1].epoch)
        digest, signer = signed.payload_digest, signed.signer.key_id
        place = (signed.statement.ceremony, signer, signed.statement.TYPE)
        earlier = register.logged.get(place, ())
        named = register.named.get(signer, frozenset()) | {signed.statement.ceremony}
        who = next(p.party_id for treaty in treaties for p in treaty.parties if p.key.key_id == signer)
        _require_room(signed, who, earlier, len(named))
        return replace(
            register,
            logged={**register.logged, place: (*earlier, digest)},
            named={**register.named, signer: named},
        )

    def holds(self, data: bytes) -> bool:
        """Return whether the log has this statement of this signer already; nothing is verified.

        Raises:
            EncodingError: not a statement of a ceremony, or one whose content is sealed.
        """
        statement = read_unverified(data, _find_kind(data))
        place = (statement.ceremony, peek(data).key_id or b"", statement.TYPE)
        return compute_digest(statement) in self.logged.get(place, ())

    def _under(self, epoch: int) -> CeremonyRegister:
        """Another treaty brings ceremonies of its own, so its signers are counted anew."""
        return self if self.epoch == epoch else replace(self, epoch=epoch, named={})


def _find_kind(data: bytes) -> type[CeremonyStatement]:
    name = peek(data).kind
    kind = PUBLIC_KINDS.get(name)
    if kind is None:
        raise EncodingError(f"expected a statement of a ceremony that anybody may read, got a {name[:64]}")
    return kind


def _open_leaf(data: bytes, treaties: Sequence[Treaty]) -> Signed[CeremonyStatement]:
    kind = _find_kind(data)
    keys = {party.key.key_id: party.key for treaty in treaties for party in treaty.parties}
    return open_statement(data, kind, keys)


def _require_room(
    signed: Signed[CeremonyStatement], who: str, earlier: tuple[bytes, ...], named: int
) -> None:
    kind = signed.statement.TYPE
    if signed.payload_digest in earlier:
        raise RefusedError(f"a {kind} of {who} that stands in the log", culprit=who, clause="VN-15.11")
    if len(earlier) >= MAX_OF_A_KIND:
        msg = f"{who} signed more than {MAX_OF_A_KIND} different {kind} for one ceremony"
        raise RefusedError(msg, culprit=who, clause="VN-15.11")
    if named > MAX_CEREMONIES:
        msg = f"expected statements of {who} of at most {MAX_CEREMONIES} ceremonies under one treaty"
        raise RefusedError(msg, culprit=who, clause="VN-15.11")
