"""Ceremonies on the wire: the plan, and the signed statements that the participants send.

A party may hold several seats (its weight): seat ``i`` of the plan is FROST participant ``i + 1``. Every
statement names the one ceremony it belongs to by the digest of the plan, and the plan's context is used once:
another attempt is another ceremony (VN-15.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.hpke import KEY_BYTES, OVERHEAD_BYTES
from vetonet.crypto.statement import Keys, Signed, Statement, open_statement, peek, read_unverified
from vetonet.encoding.record import DIGEST, Record, bstr, many, member, record, tstr, uint
from vetonet.errors import EncodingError, EpochError, UnknownPartyError
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.handover import CeremonyKind, Handover
from vetonet.policy.treaty import Party

MAX_CEREMONY_BYTES: Final = 4 * 1024 * 1024
"""No statement of a ceremony is larger; what a given plan needs is less (``max_message_bytes``)."""

SHARE_BYTES: Final = 36
"""A ``frost.SecretPackage``."""

_PACKAGE_BYTES: Final = 100
_MIN_PACKAGE_BYTES: Final = 36
_MAX_PACKAGE_BYTES: Final = 68 + 32 * MAX_PARTIES
_MAX_SEALED_BYTES: Final = OVERHEAD_BYTES + SHARE_BYTES * (MAX_PARTIES // 2) ** 2
_MAX_ENVELOPE_BYTES: Final = 512
_KEY_FRAMING_BYTES: Final = 2
_MAX_DISCLOSED: Final = 2 * MAX_PARTIES


SecretKind: TypeAlias = "type[CeremonyShares | CeremonySums]"
"""A kind of statement whose content only its receiver can read."""

SeatPairs: TypeAlias = tuple[tuple[frost.Identifier, frost.Identifier], ...]
"""Dealing and receiving participants, in ascending order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyPlan(Record):
    """What the participants agree on before anybody deals.

    A party may hold several seats, deal for some of them and be dealt to in others: in a resharing those
    that leave deal only, and those that join are dealt to only.

    Attributes:
        context: names group, epoch and attempt; never used for a second ceremony.
        min_signers: how many seats it shall take to sign.
        seats: whose each seat is; seat ``i`` is FROST participant ``i + 1``.
        parties: the statement keys of all who take part; in a repair, of the helpers and the one helped.
        handover: the group that is there already, None where the ceremony generates one (VN-15.8).
    """

    MAX_BYTES: ClassVar[int] = 128 * 1024

    context: bytes = member(1, bstr(1, 256))
    min_signers: int = member(2, uint(MAX_PARTIES))
    seats: tuple[str, ...] = member(3, many(tstr(64), maximum=MAX_PARTIES))
    parties: tuple[Party, ...] = member(4, many(record(Party), maximum=MAX_PARTIES))
    handover: Handover | None = member(5, record(Handover), optional=True)

    def __post_init__(self) -> None:
        """Refuse an impossible threshold, a name or key that stands twice, and seats of nobody."""
        self._verify_unchanged()
        if not 1 <= self.min_signers <= len(self.seats) <= MAX_PARTIES:
            msg = f"expected 1 to {len(self.seats)} signers of at most {MAX_PARTIES} seats"
            raise ValueError(msg)
        names = set(self.party_ids)
        if len(names) < len(self.parties) or len(self.keys) < len(self.parties):
            msg = "a party or a key stands twice"
            raise ValueError(msg)
        if self._list_needed() != names:
            msg = "expected a seat for each party, and a party for each seat"
            raise ValueError(msg)

    def _verify_unchanged(self) -> None:
        old = self.handover
        if old is None or old.kind is CeremonyKind.RESHARING:
            return
        if (self.seats, self.min_signers) != (old.seats, old.package.min_signers):
            msg = f"a {old.kind} leaves seats and threshold as they are"
            raise ValueError(msg)

    def _list_needed(self) -> frozenset[str]:
        """Return who has something to send or to receive."""
        return self._find_dealing().union(*map(self._find_receivers, SECRET_KINDS))

    @property
    def kind(self) -> CeremonyKind:
        """What the ceremony is for."""
        return CeremonyKind.GENERATION if self.handover is None else self.handover.kind

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
        """Return the FROST participants of the group to come that a party is; none where it leaves.

        Raises:
            UnknownPartyError: it takes no part.
        """
        if party_id not in self.party_ids:
            msg = f"no party {party_id[:64]!r} in this ceremony"
            raise UnknownPartyError(msg, culprit=party_id)
        return tuple(frost.Identifier(i) for i, owner in enumerate(self.seats, start=1) if owner == party_id)

    def list_dealing_seats(self, party_id: str) -> tuple[frost.Identifier, ...]:
        """Return the participants that a party deals for: of the group that is there, or of the one to come.

        Raises:
            UnknownPartyError: it takes no part.
        """
        seats = self.list_seats(party_id)
        return seats if self.handover is None else self.handover.list_dealers(party_id)

    def list_keeping_seats(self, party_id: str) -> tuple[frost.Identifier, ...]:
        """Return the participants for which a party gets a key share.

        Raises:
            UnknownPartyError: it takes no part.
        """
        seats = self.list_seats(party_id)
        if self.handover is None or self.handover.lost is None:
            return seats
        return tuple(seat for seat in seats if seat == self.handover.lost)

    def list_pairs(self, kind: SecretKind, sender: str, receiver: str) -> SeatPairs:
        """Return the pairs of seats for which one party owes another a secret; none where it owes nothing.

        Raises:
            UnknownPartyError: one of them takes no part.
        """
        if receiver not in self._find_receivers(kind):
            return ()
        is_last = kind is CeremonySums or self.kind is not CeremonyKind.REPAIR
        receiving = self.list_keeping_seats(receiver) if is_last else self.list_dealing_seats(receiver)
        return tuple((own, other) for own in self.list_dealing_seats(sender) for other in receiving)

    def list_senders(self, kind: SecretKind, receiver: str) -> tuple[str, ...]:
        """Return who owes a party a statement of this kind; nobody sends one to itself."""
        if receiver not in self._find_receivers(kind):
            return ()
        dealing = self._find_dealing()
        return tuple(name for name in self.party_ids if name in dealing and name != receiver)

    def list_receivers(self, kind: SecretKind, sender: str) -> tuple[str, ...]:
        """Return to whom a party owes a statement of this kind."""
        receiving = self._find_receivers(kind) if sender in self._find_dealing() else frozenset()
        return tuple(name for name in self.party_ids if name in receiving and name != sender)

    def list_correspondents(self, receiver: str) -> tuple[str, ...]:
        """Return who sends a party anything in secret: each gets an HPKE key of its own."""
        senders = {name for kind in SECRET_KINDS for name in self.list_senders(kind, receiver)}
        return tuple(name for name in self.party_ids if name in senders)

    def _find_dealing(self) -> frozenset[str]:
        return frozenset(self.seats if self.handover is None else self.handover.owners)

    def _find_receivers(self, kind: SecretKind) -> frozenset[str]:
        """Return who is dealt to: in a repair the helpers among each other, then the one they help."""
        if self.handover is None or self.handover.lost is None:
            return frozenset(self.seats if kind is CeremonyShares else ())
        return (
            self._find_dealing()
            if kind is CeremonyShares
            else frozenset({self.seats[self.handover.lost - 1]})
        )

    def find_dealer(self, identifier: int) -> str:
        """Return whose a dealing participant is.

        Raises:
            UnknownPartyError: there is no such seat.
        """
        return self._find_owner(self.seats if self.handover is None else self.handover.seats, identifier)

    def find_owner(self, identifier: int) -> str:
        """Return whose a FROST participant of the group to come is.

        Raises:
            UnknownPartyError: there is no such seat.
        """
        return self._find_owner(self.seats, identifier)

    @staticmethod
    def _find_owner(seats: Sequence[str], identifier: int) -> str:
        if not 1 <= identifier <= len(seats):
            msg = f"no seat {identifier} in this ceremony"
            raise UnknownPartyError(msg)
        return seats[identifier - 1]

    @property
    def max_message_bytes(self) -> int:
        """The largest statement that this ceremony can need: everybody's round 1, or a complaint of all."""
        dealing = self.seats if self.handover is None else self.handover.seats
        most = max(len(self.seats), len(dealing))
        heaviest = max(max(seats.count(name) for name in self.party_ids) for seats in (self.seats, dealing))
        elements = most if self.kind is CeremonyKind.REPAIR else self.min_signers
        keys = KEY_BYTES + _KEY_FRAMING_BYTES
        packages = len(dealing) * (_PACKAGE_BYTES + 32 * elements) + keys * len(self.parties) ** 2
        shares = SHARE_BYTES * heaviest * most + keys * len(self.parties)
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
    """A party commits to what its seats deal, and says how to write to it.

    Attributes:
        packages: a ``frost.Round1Package`` for each seat that it deals for, in a repair a
            ``frost.RepairCommitment``; in ascending order. None of a party that is only dealt to.
        hpke_keys: for each party that sends it something in secret, in the order of the plan, an X25519 key
            made for this ceremony and this sender alone.
    """

    TYPE: ClassVar[str] = "ceremony-round-one"

    packages: tuple[bytes, ...] = member(
        2, many(bstr(_MIN_PACKAGE_BYTES, _MAX_PACKAGE_BYTES), maximum=MAX_PARTIES)
    )
    hpke_keys: tuple[bytes, ...] = member(3, many(bstr(KEY_BYTES), maximum=MAX_PARTIES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyEcho(CeremonyStatement):
    """A party says which round-1 statements it saw, of everybody.

    Attributes:
        transcript: the digest of them all.
    """

    TYPE: ClassVar[str] = "ceremony-echo"

    transcript: bytes = member(2, DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonySealed(CeremonyStatement):
    """A party sends another something in secret; signed, so that it answers for what it sealed.

    Attributes:
        transcript: the digest of the round-1 statements that it belongs to.
        receiver: for whom it is.
        sealed: a ``frost.SecretPackage`` for each pair of seats, under the key that the receiver made for
            this sender.
    """

    transcript: bytes = member(2, DIGEST)
    receiver: str = member(3, tstr(64))
    sealed: bytes = member(4, bstr(OVERHEAD_BYTES + SHARE_BYTES, _MAX_SEALED_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyShares(CeremonySealed):
    """A dealer's shares for a receiver; in a repair, a helper's summands for another helper."""

    TYPE: ClassVar[str] = "ceremony-shares"


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonySums(CeremonySealed):
    """In a repair, a helper's sums of the summands it got, for whoever lost its share."""

    TYPE: ClassVar[str] = "ceremony-sums"


SECRET_KINDS: Final[tuple[SecretKind, ...]] = (CeremonyShares, CeremonySums)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyComplaint(CeremonyStatement):
    """A receiver shows everybody what it was sent, by giving up the keys that open that and nothing else.

    A key is for one sender, so a complaint opens what the accused sent to the complainer, and nothing of
    anybody else's. That matters where old shares stay in use if the ceremony fails. A dealer's polynomial
    starts at its weighted old share; were one key for all senders given up, then one bad dealer could make
    honest receivers show the points of *honest* dealers' polynomials to whoever recorded the ciphertexts, and
    as many points as the new threshold are an old share. What a complaint does show:

    * of an accused that did cheat, at most what it dealt to the complainers: its own points, or its own
      summands. With enough complainers that is its own old share, and no other. Who cheats is one of those
      of whom fewer than the threshold may exist; it must not deal in the next attempt (VN-15.5).
    * of an accused that did not, only what the complainer knew, and could have told anybody without us.

    Attempts need not be counted for that: each has fresh polynomials or summands, so points of two do not add
    up.

    Attributes:
        hpke_seeds: the private keys that the complainer made for these senders, secret no longer.
        sealed: the signed ``CeremonyShares`` or ``CeremonySums`` complained of, in the same order.
    """

    TYPE: ClassVar[str] = "ceremony-complaint"

    hpke_seeds: tuple[bytes, ...] = member(2, many(bstr(KEY_BYTES), minimum=1, maximum=MAX_PARTIES))
    sealed: tuple[bytes, ...] = member(3, many(bstr(1, MAX_CEREMONY_BYTES), minimum=1, maximum=MAX_PARTIES))

    def __post_init__(self) -> None:
        """Refuse a complaint without a key for each statement complained of."""
        if len(self.hpke_seeds) != len(self.sealed):
            msg = "expected a key for each statement complained of"
            raise ValueError(msg)


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
        CeremonySums,
        CeremonyComplaint,
        CeremonyDone,
        CeremonyDisclosure,
    )
}

PUBLIC_KINDS: Final[Mapping[str, type[CeremonyStatement]]] = {
    name: kind for name, kind in _KINDS.items() if kind not in SECRET_KINDS
}
"""What anybody may see: all but what is sealed for one receiver (VN-15.11)."""


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
