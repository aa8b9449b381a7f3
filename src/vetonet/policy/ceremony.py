"""The key ceremony on the wire: its plan, and the signed statements that its participants send.

A party may hold several seats (its weight): seat ``i`` of the plan is FROST participant ``i + 1``. Every
statement names the one ceremony it belongs to by the digest of the plan, and the plan's context is used once:
another attempt is another ceremony (VN-15.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto import frost
from vetonet.crypto.hpke import KEY_BYTES, OVERHEAD_BYTES
from vetonet.crypto.statement import Keys, Signed, Statement, open_statement, peek, read_unverified
from vetonet.encoding.record import DIGEST, Record, bstr, many, member, record, tstr, uint
from vetonet.errors import EncodingError, EpochError, UnknownPartyError
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.treaty import Party

MAX_CEREMONY_BYTES: Final = 2 * 1024 * 1024
"""No statement of a ceremony is larger; what a given plan needs is less (``max_message_bytes``)."""

SHARE_BYTES: Final = 36
"""A ``frost.Round2Package``."""

_MIN_PACKAGE_BYTES: Final = 100
_MAX_PACKAGE_BYTES: Final = 68 + 32 * MAX_PARTIES
_MAX_SEALED_BYTES: Final = OVERHEAD_BYTES + SHARE_BYTES * (MAX_PARTIES // 2) ** 2
_MAX_ENVELOPE_BYTES: Final = 512
_MAX_DISCLOSED: Final = 2 * MAX_PARTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyPlan(Record):
    """What the participants agree on before any key exists.

    Attributes:
        context: names group, epoch and attempt; never used for a second ceremony.
        min_signers: how many seats it shall take to sign.
        seats: whose each seat is; seat ``i`` is FROST participant ``i + 1``.
        parties: everybody's statement key.
    """

    MAX_BYTES: ClassVar[int] = 128 * 1024

    context: bytes = member(1, bstr(1, 256))
    min_signers: int = member(2, uint(MAX_PARTIES))
    seats: tuple[str, ...] = member(3, many(tstr(64), maximum=MAX_PARTIES))
    parties: tuple[Party, ...] = member(4, many(record(Party), maximum=MAX_PARTIES))

    def __post_init__(self) -> None:
        """Refuse an impossible threshold, a name or key that stands twice, and seats of nobody."""
        if not 1 <= self.min_signers <= len(self.seats) <= MAX_PARTIES:
            msg = f"expected 1 to {len(self.seats)} signers of at most {MAX_PARTIES} seats"
            raise ValueError(msg)
        names = set(self.party_ids)
        if len(names) < len(self.parties) or len(self.keys) < len(self.parties):
            msg = "a party or a key stands twice"
            raise ValueError(msg)
        if set(self.seats) != names:
            msg = "expected a seat for each party, and a party for each seat"
            raise ValueError(msg)

    @property
    def party_ids(self) -> tuple[str, ...]:
        """Who takes part, in the order of the plan."""
        return tuple(party.party_id for party in self.parties)

    @property
    def keys(self) -> Keys:
        """The participants' statement keys, by key id."""
        return {party.key.key_id: party.key for party in self.parties}

    @property
    def owners(self) -> Mapping[bytes, str]:
        """Whose a statement key is, by key id."""
        return {party.key.key_id: party.party_id for party in self.parties}

    def compute_digest(self) -> bytes:
        """Return the 32 bytes by which every statement names this ceremony."""
        return hashlib.sha256(b"vetonet-ceremony-plan-v1" + self.to_bytes()).digest()

    def list_seats(self, party_id: str) -> tuple[frost.Identifier, ...]:
        """Return the FROST participants that a party is.

        Raises:
            UnknownPartyError: it takes no part.
        """
        owned = tuple(frost.Identifier(i) for i, owner in enumerate(self.seats, start=1) if owner == party_id)
        if not owned:
            msg = f"no party {party_id[:64]!r} in this ceremony"
            raise UnknownPartyError(msg, culprit=party_id)
        return owned

    def find_owner(self, identifier: int) -> str:
        """Return whose a FROST participant is.

        Raises:
            UnknownPartyError: there is no such seat.
        """
        if not 1 <= identifier <= len(self.seats):
            msg = f"no seat {identifier} in this ceremony"
            raise UnknownPartyError(msg)
        return self.seats[identifier - 1]

    @property
    def max_message_bytes(self) -> int:
        """The largest statement that this ceremony can need: everybody's round 1, or a complaint of all."""
        heaviest = max(self.seats.count(party_id) for party_id in self.party_ids)
        packages = len(self.seats) * (_MIN_PACKAGE_BYTES + 32 * self.min_signers)
        shares = SHARE_BYTES * heaviest * len(self.seats)
        # An accusation of equivocation holds two statements of one party.
        return 2 * (max(packages, shares) + _MAX_ENVELOPE_BYTES * (2 * len(self.parties) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyStatement(Statement):
    """What all statements of a ceremony have; who says it is who signed it.

    Attributes:
        ceremony: the digest of the plan.
    """

    MAX_BYTES: ClassVar[int] = MAX_CEREMONY_BYTES

    ceremony: bytes = member(1, DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyRound1(CeremonyStatement):
    """A party commits to the polynomials of its seats.

    Attributes:
        packages: a ``frost.Round1Package`` for each of its seats, in ascending order.
        hpke_key: an X25519 key made for this ceremony alone, to which its shares are sealed.
    """

    TYPE: ClassVar[str] = "ceremony-round-one"

    packages: tuple[bytes, ...] = member(
        2, many(bstr(_MIN_PACKAGE_BYTES, _MAX_PACKAGE_BYTES), minimum=1, maximum=MAX_PARTIES)
    )
    hpke_key: bytes = member(3, bstr(KEY_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyEcho(CeremonyStatement):
    """A party says which round-1 statements it saw, of everybody.

    Attributes:
        transcript: the digest of them all.
    """

    TYPE: ClassVar[str] = "ceremony-echo"

    transcript: bytes = member(2, DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyShares(CeremonyStatement):
    """A party deals to another, in secret; signed, so that it answers for what it sealed.

    Attributes:
        transcript: the digest of the round-1 statements that the shares belong to.
        receiver: for whom they are.
        sealed: a ``frost.Round2Package`` for each pair of seats, under the receiver's key of this ceremony.
    """

    TYPE: ClassVar[str] = "ceremony-shares"

    transcript: bytes = member(2, DIGEST)
    receiver: str = member(3, tstr(64))
    sealed: bytes = member(4, bstr(OVERHEAD_BYTES + SHARE_BYTES, _MAX_SEALED_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyComplaint(CeremonyStatement):
    """A receiver shows everybody what it was dealt, by giving up its key of this ceremony.

    Giving it up is harmless because the ceremony ends with it, whoever lied: every share is thrown away, and
    the next attempt has other polynomials and other keys.

    Attributes:
        hpke_seed: the private key of the complainer's round 1, secret no longer.
        shares: the signed ``CeremonyShares`` complained of.
    """

    TYPE: ClassVar[str] = "ceremony-complaint"

    hpke_seed: bytes = member(2, bstr(KEY_BYTES))
    shares: tuple[bytes, ...] = member(3, many(bstr(1, MAX_CEREMONY_BYTES), minimum=1, maximum=MAX_PARTIES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyDone(CeremonyStatement):
    """A party has its key shares and says of which group.

    Attributes:
        transcript: the digest of the round-1 statements.
        package_digest: SHA-256 of the ``frost.PublicKeyPackage``.
    """

    TYPE: ClassVar[str] = "ceremony-done"

    transcript: bytes = member(2, DIGEST)
    package_digest: bytes = member(3, DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyDisclosure(CeremonyStatement):
    """A party shows what others signed: its proof of somebody's guilt, or what its echo was made of.

    Attributes:
        statements: as received; each stands on its own signature.
    """

    TYPE: ClassVar[str] = "ceremony-disclosure"

    statements: tuple[bytes, ...] = member(
        2, many(bstr(1, MAX_CEREMONY_BYTES), minimum=1, maximum=_MAX_DISCLOSED)
    )


_KINDS: Final[Mapping[str, type[CeremonyStatement]]] = {
    kind.TYPE: kind
    for kind in (
        CeremonyRound1,
        CeremonyEcho,
        CeremonyShares,
        CeremonyComplaint,
        CeremonyDone,
        CeremonyDisclosure,
    )
}


def open_ceremony_statement(data: bytes, *, keys: Keys, ceremony: bytes) -> Signed[CeremonyStatement]:
    """Return a statement that a participant signed for this ceremony.

    Args:
        data: untrusted bytes.
        keys: the participants'.
        ceremony: the digest of the plan.

    Raises:
        EncodingError: not a statement of a ceremony.
        UnknownPartyError: its signer takes no part.
        InvalidSignatureError: the signature does not verify.
        EpochError: it belongs to another ceremony.
    """
    kind = _find_kind(data)
    signed = open_statement(data, kind, keys)
    if signed.statement.ceremony != ceremony:
        named = signed.statement.ceremony.hex()[:16]
        msg = f"a {kind.TYPE} of ceremony {named}, expected {ceremony.hex()[:16]}"
        raise EpochError(msg, clause="VN-15.1")
    return signed


def read_ceremony(data: bytes) -> bytes:
    """Return the digest of the plan that a statement names, without believing it: for choosing who takes it.

    Raises:
        EncodingError: not a statement of a ceremony.
    """
    return read_unverified(data, _find_kind(data)).ceremony


def _find_kind(data: bytes) -> type[CeremonyStatement]:
    name = peek(data, max_bytes=MAX_CEREMONY_BYTES).kind
    kind = _KINDS.get(name)
    if kind is None:
        msg = f"expected a statement of a ceremony, got a {name[:64]}"
        raise EncodingError(msg)
    return kind
