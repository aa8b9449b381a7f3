"""A council at work under a coordinator that nobody can trust: real daemons, a real log, a real chip.

The daemons are those that run in the field; only the wire is left out. What they ask of the coordinator, it
answers as a test says: it keeps statements back, logs them late, shows any cosigned checkpoint to anybody,
asks for any signature at any time. It cannot forge, and the witnesses keep it from showing two histories.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

from support.coordination import KeptJournal
from support.firmware import FIRMWARE
from support.world import NOW_MS, Council, compute_device_set_root, make_council
from vetonet.attestation.platform import SIMULATED
from vetonet.attester.machine import step
from vetonet.attester.manufacture import Maker, manufacture, power_on
from vetonet.attester.models import find_chip_model
from vetonet.attester.state import ChipState, Event, Outcome
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import (
    Signed,
    Statement,
    attach_signatures,
    compute_signing_input,
    sign,
    sign_jointly,
)
from vetonet.errors import InvalidSignatureError, RefusedError, VetonetError
from vetonet.party.daemon import PartyDaemon
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import PartyMemory, Task
from vetonet.party.views import CommitmentsAsked, SigningAsked, WatchEvent
from vetonet.policy.action import ActionClass
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.cosignature import cosign
from vetonet.tlog.log import Log
from vetonet.tlog.note import NoteSignature, SignedNote
from vetonet.tlog.witness import WitnessState, judge_checkpoint
from vetonet.units import MS_PER_HOUR, MS_PER_S, Flop, Milliseconds, Precision
from vetonet.voting.ledger import Ledger, read_leaf
from vetonet.voting.signing import GroupCommitments, GroupSession, GroupShare
from vetonet.wire.convert import proposal_name

PARTIES = ("p1", "p2", "p3")
MIN_GRANTS = 2
LEASE_MS = 4 * MS_PER_HOUR
LEASE_FLOP = 2 * 10**18
RUN_FLOP = 10**19
MODEL = find_chip_model("H100")
PEAK = MODEL.peak_at(Precision.BF16)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """Who takes part; a seeded bug puts somebody careless in the place of one of them.

    Attributes:
        daemon: what honest parties run.
        step: how the chip follows its table.
        keeps_journal: whether a party's disk survives a crash.
    """

    daemon: type[PartyDaemon] = PartyDaemon
    step: Callable[[ChipState, Event, Milliseconds], Outcome] = step
    keeps_journal: bool = True


@dataclass(slots=True, eq=False)
class Session:
    """What two parties are asked to sign together, and what came of it."""

    task: Task
    statement: Statement
    signers: tuple[str, ...]
    asked: SigningAsked
    shares: dict[str, frost.SignatureShare] = field(default_factory=dict)
    data: bytes | None = None

    @property
    def package(self) -> frost.SigningPackage:
        return self.asked.sessions[0].package


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A share that left an honest party."""

    party_id: str
    task: Task
    commitments: bytes
    package: bytes
    statement: Statement


@dataclass(slots=True, eq=False)
class Desk:
    """The coordinator as one party meets it."""

    hall: Conclave
    party_id: str
    shown: bytes = b""

    def adopt(self, treaty: Signed[Treaty]) -> None:
        del treaty

    async def get_checkpoint(self) -> bytes:
        if not self.shown:
            raise RefusedError("the coordinator shows nothing")
        return self.shown

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        return tuple(self.hall.log.leaf(index) for index in range(start, end))

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> Any:
        del proposal_digest
        self.hall.hear(self.party_id, statement)
        raise RefusedError("the coordinator may log it, and says nothing")

    async def submit_commitments(self, name: str, lease: int, commitments: Sequence[GroupCommitments]) -> Any:
        self.hall.pool[self.party_id, name, lease] = commitments[0].commitments

    async def submit_shares(self, name: str, lease: int, attempt: int, shares: Sequence[GroupShare]) -> Any:
        del name, lease
        self.hall.sessions[attempt].shares[self.party_id] = shares[0].share

    async def watch(self, name: str = "", *, resume_sequence: int = 0) -> AsyncGenerator[WatchEvent, None]:
        del name, resume_sequence
        nothing: tuple[WatchEvent, ...] = ()
        for event in nothing:
            yield event


@dataclass(slots=True, eq=False)
class Conclave:
    """Everybody and everything that was said; ``now`` is the one clock.

    Attributes:
        malicious: the party that signs anything for the coordinator, or None.
        ledgers: what each prefix of the log amounts to, by its size.
        heard: what was signed and when, by the statement; the coordinator has all of it.
        known_ms: when an honest party acknowledged a statement that was handed to it, by both.
        witnessed_ms: since when all witnesses have vouched for each size of the log.
        given: the shares of honest parties.
        outcomes: every statement that came to be signed by the quorum.
    """

    council: Council
    chip: ChipState
    kinds: Kinds
    malicious: str | None
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    now: Milliseconds = NOW_MS
    log: Log = field(init=False)
    ledgers: list[Ledger] = field(init=False)
    desks: dict[str, Desk] = field(default_factory=dict)
    daemons: dict[str, PartyDaemon] = field(default_factory=dict)
    journals: dict[str, MemoryJournal] = field(default_factory=dict)
    restarts: int = 0
    heard: dict[bytes, tuple[str, Milliseconds]] = field(default_factory=dict)
    known_ms: dict[tuple[bytes, str], Milliseconds] = field(default_factory=dict)
    witnesses: dict[str, WitnessState] = field(default_factory=dict)
    lines: dict[int, dict[str, NoteSignature]] = field(default_factory=dict)
    places: dict[bytes, int] = field(default_factory=dict)
    heads: dict[int, bytes] = field(default_factory=dict)
    witnessed_ms: dict[int, Milliseconds] = field(default_factory=dict)
    pool: dict[tuple[str, str, int], frost.SigningCommitments] = field(default_factory=dict)
    nonces: dict[bytes, frost.SigningNonces] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    outcomes: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = Log(self.council.treaty.statement.log_origin)
        self.ledgers = [Ledger(treaty=self.council.treaty)]
        for party_id in self.honest:
            self.restart(party_id)
        self.append(self.treaty.data)

    @property
    def honest(self) -> tuple[str, ...]:
        return tuple(party for party in PARTIES if party != self.malicious)

    @property
    def ledger(self) -> Ledger:
        """What the whole log amounts to."""
        return self.ledgers[-1]

    @property
    def treaty(self) -> Signed[Treaty]:
        """The treaty in force."""
        return self.ledger.treaty

    def wait_for(self, asked: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asked)

    def close(self) -> None:
        self.runner.close()

    def restart(self, party_id: str) -> None:
        """The party starts anew over what its disk holds, if it held."""
        if not self.kinds.keeps_journal:
            self.journals.pop(party_id, None)
        journal = self.journals.setdefault(party_id, MemoryJournal())
        desk = self.desks.setdefault(party_id, Desk(self, party_id))
        self.restarts += 1
        self.daemons[party_id] = self.kinds.daemon(
            secrets=PartySecrets(
                party_id=party_id,
                statement_key=self.council.party_keys[party_id],
                key_shares=self.council.key_shares[party_id],
            ),
            treaty=self.council.treaty,
            coordinator=desk,
            memory=PartyMemory.open(KeptJournal(journal)),
            peers={},
            clock=lambda: self.now,
            rng=SeededRng(f"{party_id} {self.restarts}".encode()),
        )

    def hear(self, party_id: str, statement: bytes) -> None:
        self.heard.setdefault(statement, (party_id, self.now))

    def sign(self, statement: Statement) -> bytes:
        """The malicious party signs whatever it is asked to."""
        assert self.malicious is not None
        data = sign(statement, self.council.party_keys[self.malicious])
        self.hear(self.malicious, data)
        return data

    def append(self, data: bytes) -> bool:
        """The coordinator logs a statement, unless that would end the log for everybody."""
        try:
            following = read_leaf(self.ledger, self.log.tree_size, data)
        except VetonetError:
            return False
        self.places[data] = self.log.append(data)
        self.ledgers.append(following)
        return True

    def find_leaf(self, data: bytes) -> int | None:
        return self.places.get(data)

    def witness(self, names: Iterable[str] = PARTIES, back: int = 0) -> None:
        """These witnesses are asked to cosign the log, or as it was some leaves ago."""
        size = max(1, self.log.tree_size - back)
        signed = sign_checkpoint(self.log.checkpoint(size), self.council.log_key)
        lines = self.lines.setdefault(size, {})
        for name in names:
            if name == self.malicious or self._is_willing(name, size):
                lines[name] = cosign(
                    signed.checkpoint,
                    name=self.treaty.statement.find_witness_of(name).name,
                    signing_key=self.council.witness_keys[name],
                    timestamp_s=self.now // MS_PER_S,
                )
        self.heads.pop(size, None)
        if len(lines) == len(PARTIES):
            self.witnessed_ms.setdefault(size, self.now)

    def _is_willing(self, name: str, size: int) -> bool:
        origin = self.log.origin
        logs = {origin: (self.council.log_policy.log_key,)}
        state = self.witnesses.get(name) or WitnessState(logs=logs)
        old = state.newest[origin].checkpoint.tree_size if origin in state.newest else 0
        if old > size:
            return False
        proof = () if old in {0, size} else self.log.consistency_proof(old, size).hashes
        signed = sign_checkpoint(self.log.checkpoint(size), self.council.log_key)
        self.witnesses[name], _ = judge_checkpoint(
            state, AddCheckpoint(old_size=old, proof=proof, signed=signed)
        )
        return True

    @property
    def sizes(self) -> list[int]:
        """The sizes of the log that all witnesses vouched for, newest first."""
        return sorted(self.witnessed_ms, reverse=True)

    def head(self, size: int) -> bytes:
        """Return a checkpoint with the newest line of every witness."""
        if size not in self.heads:
            self.heads[size] = self._assemble(size)
        return self.heads[size]

    def _assemble(self, size: int) -> bytes:
        signed = sign_checkpoint(self.log.checkpoint(size), self.council.log_key)
        lines = tuple(self.lines[size][name] for name in PARTIES)
        return SignedNote(text=signed.note.text, signatures=(*signed.note.signatures, *lines)).to_bytes()

    def find_witnessed_ms(self, leaf_index: int | None) -> Milliseconds | None:
        """Return since when a leaf is under a checkpoint that all witnesses vouch for."""
        if leaf_index is None:
            return None
        return min((time for size, time in self.witnessed_ms.items() if size > leaf_index), default=None)

    def face(self, party_id: str, size: int) -> None:
        """Whatever the party asks for next, the coordinator shows it the log up to here."""
        if party_id != self.malicious:
            self.desks[party_id].shown = self.head(size)

    def show(self, party_id: str, size: int) -> None:
        """The coordinator shows a party a checkpoint, of which the party makes what it can."""
        self.face(party_id, size)
        if party_id != self.malicious:
            self.attempt(self.daemons[party_id].sync())

    def attempt(self, asked: Coroutine[Any, Any, Any]) -> VetonetError | None:
        """Return why a party would not, or None where it did."""
        try:
            self.wait_for(asked)
        except VetonetError as error:
            return error
        return None

    def hand(self, data: bytes, party_id: str) -> None:
        """A statement reaches a party directly; what it acknowledges it has to remember."""
        try:
            self.daemons[party_id].receive_ballot(data)
        except VetonetError:
            return
        self.known_ms.setdefault((data, party_id), self.now)

    def commit(self, party_id: str, task: Task) -> bool:
        """A party is asked to commit; whether it did."""
        name = proposal_name(task.digest)
        if party_id == self.malicious:
            nonces, commitments = frost.commit(self._share_of(party_id), self.council.rng)
            self.nonces[commitments.to_bytes()] = nonces
            self.pool[party_id, name, task.lease] = commitments
            return True
        asked = CommitmentsAsked(
            sequence=0,
            name=name,
            lease=task.lease,
            attempt=len(self.sessions),
            party_ids=(party_id,),
            deadline_ms=self.now + 1,
        )
        return self.attempt(self.daemons[party_id].commit(asked)) is None

    def ask(self, task: Task, statement: Statement, signers: tuple[str, ...]) -> Session | None:
        """The coordinator puts a package together, out of whatever was committed to last."""
        name = proposal_name(task.digest)
        if any((party, name, task.lease) not in self.pool for party in signers):
            return None
        group = self.council.group
        package = frost.SigningPackage(
            message=compute_signing_input(statement, group.key),
            commitments=tuple(self.pool[party, name, task.lease] for party in signers),
        )
        asked = SigningAsked(
            sequence=0,
            name=name,
            lease=task.lease,
            attempt=len(self.sessions),
            sessions=(GroupSession(group=group.index, package=package),),
            signers=signers,
            deadline_ms=self.now + 1,
        )
        session = Session(task=task, statement=statement, signers=signers, asked=asked)
        self.sessions.append(session)
        return session

    def answer(self, session: Session, party_id: str) -> None:
        """A party is asked for its share, and gives it or not."""
        if party_id == self.malicious:
            commitments = self._commitments_of(session, party_id)
            nonces = self.nonces.pop(commitments.to_bytes(), None)
            if nonces is not None:
                session.shares[party_id] = frost.sign(session.package, nonces, self._share_of(party_id))
        elif self.attempt(self.daemons[party_id].answer(session.asked)) is None:
            self.given.append(
                Given(
                    party_id=party_id,
                    task=session.task,
                    commitments=self._commitments_of(session, party_id).to_bytes(),
                    package=session.package.message
                    + b"".join(c.to_bytes() for c in session.package.commitments),
                    statement=session.statement,
                )
            )
        self._aggregate(session)

    def _aggregate(self, session: Session) -> None:
        """With all shares, the statement is as good as signed, whether or not anybody puts them together."""
        if session.data is not None or len(session.shares) < len(session.signers):
            return
        group = self.council.group
        try:
            signature = frost.aggregate(session.package, tuple(session.shares.values()), group.package)
        except InvalidSignatureError:
            return
        session.data = attach_signatures(session.statement, {group.key: signature})
        self.hear("everybody", session.data)
        self.outcomes.append(session)

    def _commitments_of(self, session: Session, party_id: str) -> frost.SigningCommitments:
        seat = self._share_of(party_id).identifier
        return next(c for c in session.package.commitments if c.identifier == seat)

    def _share_of(self, party_id: str) -> frost.KeyShare:
        (held,) = self.council.key_shares[party_id]
        return held.share

    def propose(self) -> Signed[Proposal]:
        """The operator proposes a run on its chip, for twelve hours after a window of one."""
        opens_ms = -(-self.now // MS_PER_S) * MS_PER_S
        here = replace(self.council, treaty=self.treaty)
        self.now = opens_ms
        return here.sign_proposal(
            opens_ms=opens_ms,
            closes_ms=opens_ms + MS_PER_HOUR,
            starts_ms=opens_ms + 2 * MS_PER_HOUR,
            ends_ms=opens_ms + 14 * MS_PER_HOUR,
            total_flop=RUN_FLOP,
            per_device_flop=RUN_FLOP,
            lease_flop=LEASE_FLOP,
            device_set_root=compute_device_set_root([self.chip.ueid]),
            device_count=1,
        )

    def draft_successor(self) -> Signed[Treaty]:
        """Return the treaty of the next epoch, signed by all; only its numbers differ."""
        terms = self.treaty.statement
        following = replace(terms, epoch=terms.epoch + 1, window_ms=terms.window_ms + MS_PER_HOUR)
        return open_treaty(sign_jointly(following, tuple(self.council.party_keys.values())))

    def move_chip(self, event: Event, now: Milliseconds) -> tuple[Any, ...]:
        self.chip, effects = self.kinds.step(self.chip, event, now)
        return effects


@cache
def _found(holder: str) -> tuple[Council, ChipState]:
    """Return a council whose one group decides everything, and a chip under its treaty."""
    plain = Quorum.of_threshold(MIN_GRANTS, PARTIES)
    council = make_council(
        len(PARTIES),
        MIN_GRANTS,
        veto_holders=[holder],
        quorums={ActionClass.EMERGENCY_SUSPENSION: plain, ActionClass.AMEND_RULES: plain},
        lease_ms=LEASE_MS,
        suspension_ms=3 * LEASE_MS,
        max_colluding=1,
        witness_quorum=len(PARTIES),
    )
    maker = Maker(
        endorser_id="maker",
        root=council.endorser_root,
        attester_kind=SIMULATED,
        not_before_ms=NOW_MS - MS_PER_HOUR,
        not_after_ms=NOW_MS + 10_000 * MS_PER_HOUR,
    )
    rng = SeededRng(b"chip")
    made = manufacture(MODEL, maker, council.treaty, rng, firmware=FIRMWARE)
    return council, power_on(made, rng, NOW_MS)[0]


def convene(holder: str, malicious: str | None, kinds: Kinds) -> Conclave:
    """Return a council that has just met: the log holds its treaty and nothing else."""
    council, chip = _found(holder)
    return Conclave(
        council=replace(council, rng=SeededRng(b"conclave")), chip=chip, kinds=kinds, malicious=malicious
    )


def count_flop(effects: Iterable[Any]) -> Flop:
    return sum(effect.flop for effect in effects if hasattr(effect, "flop"))
