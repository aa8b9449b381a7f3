"""What the scenes share: the fleet and its runs, and how a run is unlocked, leased, driven and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.report import ComputeReport
from vetonet.attester.manufacture import Maker
from vetonet.cli.demo.stage import MAKER_ID, OPERATOR_ID, Stage
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.proving import AccountEnds
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.verify import verify_bundle
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.crypto.merkle import ConsistencyProof
from vetonet.crypto.statement import Signed, read_unverified
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.sim.fleet import Fleet, Operator, Tally
from vetonet.sim.mlperf import MlperfWorkload
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.units import MS_PER_HOUR, MS_PER_S, Flop, Milliseconds

YEAR_MS: Final = 365 * 24 * MS_PER_HOUR

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scene as it went.

    Attributes:
        name: stable, for scripts.
        title: for people.
        expected, outcome: equal where everything went as it should.
        detail: what happened, in one line.
    """

    name: str
    title: str
    expected: str
    outcome: str
    detail: str

    @property
    def is_as_expected(self) -> bool:
        """Whether it went as it should."""
        return self.expected == self.outcome


@dataclass(slots=True, kw_only=True)
class Run:
    """A run that holds a licence.

    Attributes:
        lease: the number of the newest lease that the chips were handed.
    """

    proposal: Signed[Proposal]
    licence: Signed[Licence]
    lease: int = 0


@dataclass(slots=True, kw_only=True)
class Play:
    """The demonstration as far as it got: each scene adds to it.

    Attributes:
        fleet: the operator's chips.
        workload: what the real run computed, step by step.
        reports: every report of every chip so far.
        batches: the same, batch by batch as the operator committed to them in the log.
        checkpoints: one for each batch, the first that holds it.
        ends: the last report of each account of each chip.
        runs: those that were granted, oldest first.
        bundle, result: the benchmark's bundle and the verdict on it.
        totals: the hidden totals of which that bundle holds proofs.
        known_size: of the newest checkpoint that the chips were shown.
    """

    stage: Stage
    workload: MlperfWorkload
    fleet: Fleet
    say: Say
    reports: list[bytes] = field(default_factory=list)
    batches: list[tuple[bytes, ...]] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)
    ends: AccountEnds = field(default_factory=AccountEnds)
    runs: list[Run] = field(default_factory=list)
    bundle: Bundle | None = None
    result: ComplianceResult | None = None
    totals: tuple[ExpectedTotal, ...] = ()
    known_size: int = 0

    @property
    def starts_ms(self) -> Milliseconds:
        """When the licensed window opens: the whole second in which the real run started."""
        return self.workload.start_ms // MS_PER_S * MS_PER_S

    @property
    def ends_ms(self) -> Milliseconds:
        """When it closes: the whole second after the real run stopped."""
        return (self.workload.stop_ms // MS_PER_S + 1) * MS_PER_S

    @property
    def licence(self) -> Signed[Licence] | None:
        """The benchmark's, once it is granted."""
        return self.runs[0].licence if self.runs else None

    def judge(self, bundle: Bundle, now: Milliseconds | None = None) -> ComplianceResult:
        """Return the verdict on a bundle, as anybody with the trust root would, by default at this moment."""
        return self.judge_chunks(bundle.iter_bytes(), self.stage.clock.now if now is None else now)

    def judge_chunks(self, chunks: Iterable[bytes], now: Milliseconds) -> ComplianceResult:
        """Return the verdict on the bytes of a bundle."""
        with ThreadPoolExecutor(2) as pool:
            return verify_bundle(chunks, self.stage.founded.trust_root, now, mapper=pool.map)


def begin(stage: Stage, workload: MlperfWorkload, say: Say) -> Play:
    """Return the play before its first scene, with the fleet made and still off."""
    maker = Maker(
        endorser_id=MAKER_ID,
        root=stage.founded.makers[MAKER_ID],
        attester_kind=stage.cast.kind,
        not_before_ms=workload.start_ms - YEAR_MS,
        not_after_ms=workload.start_ms + 20 * YEAR_MS,
    )
    fleet = Fleet.build(
        workload.chip,
        stage.cast.chips,
        maker=maker,
        operator=Operator(operator_id=OPERATOR_ID, key=stage.founded.operators[OPERATOR_ID]),
        treaty=stage.founded.treaty,
        rng=stage.rng.spawn("fleet"),
        elements=stage.cast.elements,
        listed_ms=stage.clock.now,
    )
    return Play(stage=stage, workload=workload, fleet=fleet, say=say)


async def unlock(play: Play, proposal: Signed[Proposal], now: Milliseconds) -> tuple[Run, int]:
    """Hand the licence of a granted proposal to the chips; return the run, and how many accepted it."""
    logged = await play.stage.get_licence(proposal)
    run = Run(proposal=proposal, licence=logged.licence)
    play.runs.append(run)
    consistency = await _extend(play, logged.proof.checkpoint)
    tally = play.fleet.offer_licence(logged.licence.data, logged.proof, consistency, now)
    return run, play.fleet.size - sum(tally.refused.values())


async def renew(play: Play, run: Run, now: Milliseconds) -> bool:
    """Let the parties sign the lease that is due, and hand it to the chips; return whether one was new."""
    play.stage.clock.advance_to(now)
    logged = await play.stage.renew(run.proposal)
    if logged is None or logged.lease.statement.number == run.lease:
        return False
    consistency = await _extend(play, logged.proof.checkpoint)
    play.fleet.offer_lease(logged.lease.data, logged.proof, consistency, now)
    run.lease = logged.lease.statement.number
    return True


def work(
    play: Play,
    run: Run,
    flop_of: Callable[[int], Flop],
    *,
    start_ms: Milliseconds,
    end_ms: Milliseconds,
    is_licensed: bool = True,
) -> Tally:
    """Ask every chip for its part of a run in an interval, under its licence or as small work without."""
    terms = run.licence.statement
    return play.fleet.work(
        flop_of,
        duration_ms=end_ms - start_ms,
        workload=terms.workload,
        precision=terms.precision,
        total_flop=terms.total_flop if is_licensed else terms.per_device_flop,
        licence_id=terms.licence_id if is_licensed else None,
        now=start_ms,
    )


async def show_checkpoint(play: Play, now: Milliseconds) -> None:
    """Show the chips the newest checkpoint, with the proof that it extends the one they know."""
    note = await play.stage.operator.get_checkpoint()
    known = play.known_size
    consistency = await _extend(play, note)
    if play.known_size > known:
        play.fleet.show_checkpoint(note, consistency, now)


async def report(play: Play, now: Milliseconds) -> None:
    """Close the interval, and publish the operator's batch over its reports."""
    play.stage.clock.advance_to(now)
    reports = play.fleet.report(now).reports
    play.reports += reports
    play.batches.append(reports)
    for data in reports:
        play.ends.count(read_unverified(data, ComputeReport))
    await play.stage.publish([play.fleet.sign_batch(reports)])
    play.checkpoints.append(await play.stage.operator.get_checkpoint())


async def _extend(play: Play, note: bytes) -> ConsistencyProof | None:
    """Return the proof that a checkpoint extends the one the chips know, where that is smaller."""
    known, size = play.known_size, SignedCheckpoint.from_bytes(note).checkpoint.tree_size
    play.known_size = max(known, size)
    return await play.stage.operator.get_consistency_proof(known, size) if 0 < known < size else None
