"""The treaty: who the parties are, what they regulate, and the keys under which it is enforced (VN-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Final, TypeVar

from vetonet.crypto import frost
from vetonet.crypto.keys import PUBLIC_KEY, Algorithm, PublicKey
from vetonet.crypto.statement import Keys, Signed, Statement, open_joint_statement, read_unverified
from vetonet.encoding.record import Record, many, member, one_of, parsed, record, tstr, uint
from vetonet.errors import RefusedError, UnknownPartyError
from vetonet.policy.action import IMPOSSIBLE, REQUIRED, ActionClass
from vetonet.policy.band import Band, find_band, verify_bands
from vetonet.policy.expression import MAX_LEAVES, MAX_PARTIES, Threshold
from vetonet.policy.quorum import Quorum
from vetonet.policy.totals import Totals
from vetonet.policy.witnessing import Witness, verify_note_name, verify_witnessing
from vetonet.units import MS_PER_HOUR, MS_PER_S

GROUP: Final = parsed(frost.PublicKeyPackage.to_bytes, frost.PublicKeyPackage.from_bytes, maximum=8 * 1024)
T = TypeVar("T")

MAX_INTERVAL_MS: Final = 366 * 24 * MS_PER_HOUR
MAX_GROUPS: Final = 2 * MAX_LEAVES


@dataclass(frozen=True, slots=True, kw_only=True)
class Party(Record):
    """A member of the treaty: a state, a laboratory or an inspectorate."""

    party_id: str = member(1, tstr(64))
    key: PublicKey = member(2, PUBLIC_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(Record):
    """Somebody who runs chips and proposes runs.

    Attributes:
        party_id: the party it belongs to, if any.
        beneficial_owner: who stands behind it, as the parties agreed; None where nobody else does.
    """

    operator_id: str = member(1, tstr(64))
    key: PublicKey = member(2, PUBLIC_KEY)
    party_id: str | None = member(3, tstr(64), optional=True)
    beneficial_owner: str | None = member(4, tstr(128), optional=True)

    @property
    def owner(self) -> str:
        """Who stands behind it: the operator itself where the treaty names nobody else."""
        return self.operator_id if self.beneficial_owner is None else self.beneficial_owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorser(Record):
    """A chip maker: the key of its root certificate, and the attester kind it vouches for."""

    endorser_id: str = member(1, tstr(64))
    root_key: PublicKey = member(2, PUBLIC_KEY)
    attester_kind: str = member(3, tstr(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRule(Record):
    """What it takes to decide one class of action."""

    action: ActionClass = member(1, one_of(ActionClass))
    quorum: Quorum = member(2, record(Quorum))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The FROST group of one threshold: its seats sign as one.

    Attributes:
        index: its place in the treaty.
        leaf: the threshold that it stands for.
        package: what everybody knows of it.
    """

    index: int
    leaf: Threshold
    package: frost.PublicKeyPackage

    @property
    def key(self) -> PublicKey:
        """The key under which its signatures verify."""
        return _read_key(self.package)

    def list_seats(self, party_id: str) -> tuple[frost.Identifier, ...]:
        """Return the participants that a party is; more than one where its weight is."""
        seats = enumerate(self.leaf.seats, start=1)
        return tuple(frost.Identifier(number) for number, owner in seats if owner == party_id)

    def find_owner(self, identifier: int) -> str:
        """Return the party that a participant is.

        Raises:
            UnknownPartyError: the group has no such participant.
        """
        seats = self.leaf.seats
        if not 1 <= identifier <= len(seats):
            msg = f"no participant {identifier} in a group of {len(seats)}"
            raise UnknownPartyError(msg, culprit=str(identifier), clause="VN-2.2")
        return seats[identifier - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms(Statement):
    """Everything a treaty says but its groups' keys: the charter, agreed before anybody has a share.

    Attributes:
        epoch: rises with every amendment; ballots and licences of another epoch are refused.
        actions: who must agree to what; a class of action that is not here, nobody can take.
        window_ms: the longest a vote may stay open.
        signing_ms: how long one attempt at the threshold signature may take.
        report_interval_ms: how often a chip that runs must report, at least.
        report_grace_ms: how long after its interval a report may be missing without a question.
        log_origin: the name of the log that counts; ``log_key`` signs its checkpoints.
        witnesses: who may cosign them, in the order in which their lines stand.
        witness_quorum: k, how many must have cosigned before anybody relies on a checkpoint (VN-11.5).
        max_colluding: f, how many of them may collude without an undetected split view (VN-3.4).
        lease_ms: how long consent lasts until it must be given anew.
        suspension_ms: how long an emergency suspension lasts that nobody confirms, 0 without that action.
        refresh_ms: how old key shares may get before they are to be dealt anew, 0 for no bound.
        totals: whether reports say how much was computed; left out, as in treaties from before there was a
            choice, they do.
    """

    TYPE: ClassVar[str] = "charter"
    MAX_BYTES: ClassVar[int] = 64 * 1024

    name: str = member(1, tstr(128))
    epoch: int = member(2, uint(2**32))
    parties: tuple[Party, ...] = member(3, many(record(Party), maximum=MAX_PARTIES))
    actions: tuple[ActionRule, ...] = member(4, many(record(ActionRule), maximum=len(ActionClass)))
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
    lease_ms: int = member(18, uint(MAX_INTERVAL_MS))
    suspension_ms: int = member(19, uint(MAX_INTERVAL_MS))
    refresh_ms: int = member(20, uint(MAX_INTERVAL_MS))
    totals: Totals | None = member(21, one_of(Totals), optional=True)

    def __post_init__(self) -> None:
        """Refuse terms that name anyone or any key twice, or whose parts do not fit together (VN-3.2)."""
        _verify_names(self)
        _require_once(self.list_key_ids())
        _verify_actions(self)
        _verify_members(self)
        verify_bands(self.bands)
        if not all((self.window_ms, self.signing_ms, self.report_interval_ms, self.lease_ms)):
            msg = "expected windows and intervals above zero"
            raise ValueError(msg)
        if self.lease_ms % MS_PER_S:
            msg = f"expected leases of whole seconds, as witnesses state time, got {self.lease_ms} ms"
            raise ValueError(msg)
        if self.log_key.algorithm is not Algorithm.EDDSA:
            msg = "expected an Ed25519 log key"
            raise ValueError(msg)
        verify_note_name(self.log_origin, "log")
        verify_witnessing(self.witnesses, self.witness_quorum, self.max_colluding)

    def to_treaty(self, groups: Iterable[frost.PublicKeyPackage]) -> Treaty:
        """Return the treaty of these terms.

        Args:
            groups: of each threshold, in the order of ``leaves``.

        Raises:
            ValueError: they are not these thresholds' groups.
        """
        return Treaty(
            **{field.name: getattr(self, field.name) for field in fields(Terms)}, groups=tuple(groups)
        )

    @property
    def is_confidential(self) -> bool:
        """Whether how much was computed stays with the operators, who prove bounds on it (VN-3.6)."""
        return self.totals is Totals.CONFIDENTIAL

    @property
    def leaves(self) -> tuple[Threshold, ...]:
        """The different thresholds of the actions, in order of first mention; each has a group."""
        return list_leaves(rule.quorum for rule in self.actions)

    def list_key_ids(self) -> list[bytes]:
        """Return the ids of all keys that are named."""
        keys = [*(party.key for party in self.parties), *(operator.key for operator in self.operators)]
        keys += [*(endorser.root_key for endorser in self.endorsers), self.log_key]
        return [key.key_id for key in (*keys, *(witness.key for witness in self.witnesses))]

    def find_quorum(self, action: ActionClass) -> Quorum:
        """Return what it takes to decide a class of action.

        Raises:
            RefusedError: nobody can, however many agree (VN-4.6).
        """
        for rule in self.actions:
            if rule.action is action:
                return rule.quorum
        raise RefusedError(f"this treaty lets nobody decide {action}, however many agree", clause="VN-4.6")

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

    def find_party_by_id(self, party_id: str) -> Party:
        """Return the party of this name.

        Raises:
            UnknownPartyError: the roster has no such party.
        """
        return _only(self.parties, party_id, lambda party: party.party_id, "party")

    def find_witness_of(self, party_id: str) -> Witness:
        """Return the witness that a party runs.

        Raises:
            UnknownPartyError: it runs none.
        """
        return _only(self.witnesses, party_id, lambda witness: witness.party_id, "witness of party")

    def find_band(self, total_flop: int) -> Band:
        """Return the band in which a total lies."""
        return find_band(self.bands, total_flop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Treaty(Terms):
    """What the parties agreed, signed by all of them; its digest is the root of all later trust.

    Attributes:
        groups: the FROST group of each different threshold of ``actions``, in order of first mention;
            participant i + 1 is the party of seat i.
    """

    TYPE: ClassVar[str] = "treaty"

    groups: tuple[frost.PublicKeyPackage, ...] = member(5, many(GROUP, maximum=MAX_GROUPS))

    def __post_init__(self) -> None:
        """Refuse what ``Terms`` refuses, and groups that are not those of its thresholds (VN-3.2)."""
        Terms.__post_init__(self)  # a dataclass with slots is another class than super() would know
        _verify_groups(self)
        _require_once([*self.list_key_ids(), *(_read_key(package).key_id for package in self.groups)])

    def to_terms(self) -> Terms:
        """Return the charter that it was founded on."""
        return Terms(**{field.name: getattr(self, field.name) for field in fields(Terms)})

    @property
    def all_groups(self) -> tuple[Group, ...]:
        """The groups with the thresholds that they stand for."""
        pairs = zip(self.leaves, self.groups, strict=True)
        return tuple(Group(index=i, leaf=leaf, package=package) for i, (leaf, package) in enumerate(pairs))

    def list_groups(self, action: ActionClass) -> tuple[Group, ...]:
        """Return the groups that may sign what a class of action decides.

        Raises:
            RefusedError: nobody can decide it.
        """
        leaves = self.find_quorum(action).leaves
        return tuple(group for group in self.all_groups if group.leaf in leaves)


def open_treaty(data: bytes) -> Signed[Treaty]:
    """Return a treaty that all its parties signed (VN-3.1); whether it is the right one, its digest must say.

    Raises:
        EncodingError: not a treaty.
        InvalidSignatureError: a party's signature is missing or bad.
    """
    claimed = read_unverified(data, Treaty)
    return open_joint_statement(data, Treaty, (party.key for party in claimed.parties))


def _verify_names(terms: Terms) -> None:
    """One name for each participant, so nobody counts twice (Keylime #1820; VN-3.2)."""
    names = [*(p.party_id for p in terms.parties), *(o.operator_id for o in terms.operators)]
    names += [endorser.endorser_id for endorser in terms.endorsers]
    names += [terms.log_origin, *(witness.name for witness in terms.witnesses)]
    if len(set(names)) < len(names):
        msg = f"a name stands twice: {_first_repeated(names)!r}"
        raise ValueError(msg)


def _require_once(key_ids: Sequence[bytes]) -> None:
    """One key for each participant, for the same reason."""
    if len(set(key_ids)) < len(key_ids):
        msg = f"one key stands under two names: {_first_repeated(key_ids).hex()[:16]}"
        raise ValueError(msg)


def list_leaves(quorums: Iterable[Quorum]) -> tuple[Threshold, ...]:
    """Return the different thresholds of these quorums in order of first mention; each has a group."""
    return tuple(dict.fromkeys(leaf for quorum in quorums for leaf in quorum.leaves))


def _verify_actions(terms: Terms) -> None:
    """Each class of action has one rule, the necessary ones have one, the impossible ones none (VN-4.6)."""
    classes = [rule.action for rule in terms.actions]
    if classes != sorted(set(classes), key=list(ActionClass).index):
        raise ValueError("expected a rule for each class of action once, in the order of the classes")
    impossible = IMPOSSIBLE & set(classes)
    if impossible:
        raise ValueError(f"no quorum can {min(impossible)}: a treaty that says so is none")
    missing = [action for action in REQUIRED if action not in classes]
    if missing:
        raise ValueError(f"expected a rule for {missing[0]}")
    if bool(terms.suspension_ms) != (ActionClass.EMERGENCY_SUSPENSION in classes):
        raise ValueError(
            "expected a time after which a suspension lapses with that class of action, only there"
        )
    roster = tuple(party.party_id for party in terms.parties)
    for rule in terms.actions:
        _require_roster(roster, f"somebody who decides {rule.action}", rule.quorum.parties)


def _verify_members(terms: Terms) -> None:
    """Whoever belongs to a party belongs to one of the roster (VN-3.2)."""
    roster = tuple(party.party_id for party in terms.parties)
    _require_roster(roster, "an operator", (operator.party_id for operator in terms.operators))
    _require_roster(roster, "a witness", (witness.party_id for witness in terms.witnesses))


def _verify_groups(treaty: Treaty) -> None:
    """Each threshold has a FROST group of its size (VN-3.2)."""
    leaves = treaty.leaves
    if len(treaty.groups) != len(leaves):
        raise ValueError(f"expected a group for each of {len(leaves)} thresholds, got {len(treaty.groups)}")
    for leaf, group in zip(leaves, treaty.groups, strict=True):
        numbers = tuple(range(1, leaf.seat_count + 1))
        if group.min_signers != leaf.min_grants or group.identifiers != numbers:
            msg = f"expected a FROST group of {leaf.min_grants} of participants 1 to {leaf.seat_count}"
            raise ValueError(msg)


def _read_key(package: frost.PublicKeyPackage) -> PublicKey:
    return PublicKey(algorithm=Algorithm.EDDSA, point=package.group_public_key.to_bytes())


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
