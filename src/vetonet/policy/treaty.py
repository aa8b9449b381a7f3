"""The treaty: who the parties are, what they regulate, and the keys under which it is enforced (VN-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from vetonet.crypto import frost
from vetonet.crypto.keys import PUBLIC_KEY, Algorithm, PublicKey
from vetonet.crypto.statement import Keys, Signed, Statement, open_joint_statement, read_unverified
from vetonet.encoding.record import Record, many, member, parsed, record, tstr, uint
from vetonet.errors import UnknownPartyError
from vetonet.policy.band import Band, find_band, verify_bands
from vetonet.policy.quorum import MAX_PARTIES, Threshold
from vetonet.policy.witnessing import Witness, verify_note_name, verify_witnessing
from vetonet.units import MS_PER_HOUR

GROUP: Final = parsed(frost.PublicKeyPackage.to_bytes, frost.PublicKeyPackage.from_bytes, maximum=8 * 1024)
T = TypeVar("T")

MAX_INTERVAL_MS: Final = 366 * 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Party(Record):
    """A member of the treaty: a state, a laboratory or an inspectorate."""

    party_id: str = member(1, tstr(64))
    key: PublicKey = member(2, PUBLIC_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(Record):
    """Somebody who runs chips and proposes runs; ``party_id`` names the party it belongs to, if any."""

    operator_id: str = member(1, tstr(64))
    key: PublicKey = member(2, PUBLIC_KEY)
    party_id: str | None = member(3, tstr(64), optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorser(Record):
    """A chip maker: the key of its root certificate, and the attester kind it vouches for."""

    endorser_id: str = member(1, tstr(64))
    root_key: PublicKey = member(2, PUBLIC_KEY)
    attester_kind: str = member(3, tstr(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Treaty(Statement):
    """What the parties agreed, signed by all of them; its digest is the root of all later trust.

    Attributes:
        epoch: rises with every amendment; ballots and licences of another epoch are refused.
        quorum: who must grant a run.
        group: the FROST group of that quorum: participant i + 1 is ``parties[i]``.
        window_ms: the longest a vote may stay open.
        signing_ms: how long one attempt at the threshold signature may take.
        report_interval_ms: how often a chip that runs must report, at least.
        report_grace_ms: how long after its interval a report may be missing without a question.
        log_origin: the name of the log that counts; ``log_key`` signs its checkpoints.
        witnesses: who may cosign them, in the order in which their lines stand.
        witness_quorum: k, how many must have cosigned before anybody relies on a checkpoint (VN-11.5).
        max_colluding: f, how many of them may collude without an undetected split view (VN-3.4).
    """

    TYPE: ClassVar[str] = "treaty"
    MAX_BYTES: ClassVar[int] = 64 * 1024

    name: str = member(1, tstr(128))
    epoch: int = member(2, uint(2**32))
    parties: tuple[Party, ...] = member(3, many(record(Party), maximum=MAX_PARTIES))
    quorum: Threshold = member(4, record(Threshold))
    group: frost.PublicKeyPackage = member(5, GROUP)
    bands: tuple[Band, ...] = member(6, many(record(Band), maximum=16))
    window_ms: int = member(7, uint(MAX_INTERVAL_MS))
    signing_ms: int = member(8, uint(MAX_INTERVAL_MS))
    report_interval_ms: int = member(9, uint(MAX_INTERVAL_MS))
    report_grace_ms: int = member(10, uint(MAX_INTERVAL_MS))
    operators: tuple[Operator, ...] = member(11, many(record(Operator), maximum=256))
    endorsers: tuple[Endorser, ...] = member(12, many(record(Endorser), maximum=32))
    log_origin: str = member(13, tstr(128))
    log_key: PublicKey = member(14, PUBLIC_KEY)
    witnesses: tuple[Witness, ...] = member(15, many(record(Witness), maximum=MAX_PARTIES))
    witness_quorum: int = member(16, uint(MAX_PARTIES))
    max_colluding: int = member(17, uint(MAX_PARTIES))

    def __post_init__(self) -> None:
        """Refuse a treaty that names anyone or any key twice, or whose parts do not fit together (VN-3.2)."""
        _verify_names_and_keys(self)
        _verify_quorum(self)
        verify_bands(self.bands)
        if not all((self.window_ms, self.signing_ms, self.report_interval_ms)):
            msg = "expected windows and intervals above zero"
            raise ValueError(msg)
        if self.log_key.algorithm is not Algorithm.EDDSA:
            msg = "expected an Ed25519 log key"
            raise ValueError(msg)
        verify_note_name(self.log_origin, "log")
        verify_witnessing(self.witnesses, self.witness_quorum, self.max_colluding)

    @property
    def group_key(self) -> PublicKey:
        """The key under which licences verify."""
        return PublicKey(algorithm=Algorithm.EDDSA, point=self.group.group_public_key.to_bytes())

    @property
    def party_keys(self) -> Keys:
        """The statement keys of the roster, by key id."""
        return {party.key.key_id: party.key for party in self.parties}

    @property
    def operator_keys(self) -> Keys:
        """The keys of the operators, by key id."""
        return {operator.key.key_id: operator.key for operator in self.operators}

    def find_party(self, key: PublicKey) -> Party:
        """Return the party whose statement key this is.

        Raises:
            UnknownPartyError: nobody's on the roster.
        """
        return _only(self.parties, key.key_id, lambda party: party.key.key_id, "party with key")

    def find_operator(self, operator_id: str) -> Operator:
        """Return the operator of this name.

        Raises:
            UnknownPartyError: the treaty names no such operator.
        """
        return _only(self.operators, operator_id, lambda operator: operator.operator_id, "operator")

    def find_operator_by_key(self, key: PublicKey) -> Operator:
        """Return the operator whose key this is.

        Raises:
            UnknownPartyError: no operator's.
        """
        return _only(self.operators, key.key_id, lambda operator: operator.key.key_id, "operator with key")

    def compute_identifier(self, party_id: str) -> int:
        """Return a party's FROST identifier: its place on the roster, from 1.

        Raises:
            UnknownPartyError: the roster has no such party.
        """
        ids = [party.party_id for party in self.parties]
        if party_id not in ids:
            msg = f"no party {party_id!r} on the roster of {self.name!r}"
            raise UnknownPartyError(msg, culprit=party_id, clause="VN-2.2")
        return ids.index(party_id) + 1

    def find_participant(self, identifier: int) -> Party:
        """Return the party with this FROST identifier.

        Raises:
            UnknownPartyError: the group has no such participant.
        """
        if not 1 <= identifier <= len(self.parties):
            msg = f"no participant {identifier} on the roster of {self.name!r}"
            raise UnknownPartyError(msg, clause="VN-2.2")
        return self.parties[identifier - 1]

    def find_witness_of(self, party_id: str) -> Witness:
        """Return the witness that a party runs.

        Raises:
            UnknownPartyError: it runs none.
        """
        return _only(self.witnesses, party_id, lambda witness: witness.party_id, "witness of party")

    def find_band(self, total_flop: int) -> Band:
        """Return the band in which a total lies."""
        return find_band(self.bands, total_flop)


def open_treaty(data: bytes) -> Signed[Treaty]:
    """Return a treaty that all its parties signed (VN-3.1); whether it is the right one, its digest must say.

    Raises:
        EncodingError: not a treaty.
        InvalidSignatureError: a party's signature is missing or bad.
    """
    claimed = read_unverified(data, Treaty)
    return open_joint_statement(data, Treaty, (party.key for party in claimed.parties))


def _verify_names_and_keys(treaty: Treaty) -> None:
    """One name and one key for each participant, so nobody counts twice (Keylime #1820; VN-3.2)."""
    names = [*(p.party_id for p in treaty.parties), *(o.operator_id for o in treaty.operators)]
    names += [endorser.endorser_id for endorser in treaty.endorsers]
    names += [treaty.log_origin, *(witness.name for witness in treaty.witnesses)]
    if len(set(names)) < len(names):
        msg = f"a name stands twice: {_first_repeated(names)!r}"
        raise ValueError(msg)
    keys = [*(p.key.key_id for p in treaty.parties), *(o.key.key_id for o in treaty.operators)]
    keys += [*(e.root_key.key_id for e in treaty.endorsers), treaty.log_key.key_id, treaty.group_key.key_id]
    keys += [witness.key.key_id for witness in treaty.witnesses]
    if len(set(keys)) < len(keys):
        msg = f"one key stands under two names: {_first_repeated(keys).hex()[:16]}"
        raise ValueError(msg)


def _verify_quorum(treaty: Treaty) -> None:
    """The electorate is the roster, and the FROST group has its size and threshold."""
    roster = tuple(party.party_id for party in treaty.parties)
    if treaty.quorum.electorate != roster:
        msg = "expected the electorate to be the roster, in the same order"
        raise ValueError(msg)
    numbers = tuple(range(1, len(roster) + 1))
    if treaty.group.min_signers != treaty.quorum.min_grants or treaty.group.identifiers != numbers:
        msg = f"expected a FROST group of {treaty.quorum.min_grants} of participants 1 to {len(roster)}"
        raise ValueError(msg)
    _require_roster(roster, "an operator", (operator.party_id for operator in treaty.operators))
    _require_roster(roster, "a witness", (witness.party_id for witness in treaty.witnesses))


def _require_roster(roster: Sequence[str], what: str, party_ids: Iterable[str | None]) -> None:
    strangers = {party_id for party_id in party_ids if party_id is not None} - set(roster)
    if strangers:
        msg = f"{what} belongs to no party of the roster: {min(strangers)!r}"
        raise ValueError(msg)


def _first_repeated(values: Sequence[T]) -> T:
    return next(value for index, value in enumerate(values) if value in values[:index])


def _only(entries: Iterable[T], wanted: bytes | str, name_of: Callable[[T], object], what: str) -> T:
    for entry in entries:
        if name_of(entry) == wanted:
            return entry
    shown = wanted.hex()[:16] if isinstance(wanted, bytes) else repr(wanted)
    msg = f"the treaty names no {what} {shown}"
    raise UnknownPartyError(msg, culprit=shown, clause="VN-2.2")
