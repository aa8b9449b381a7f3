"""The scenes: each does one thing for real and says what came of it, beside what was expected."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from vetonet.attester.manufacture import Maker
from vetonet.cli.demo.cheats import forge, withhold
from vetonet.cli.demo.proposals import describe_benchmark, describe_frontier_run, describe_second_run
from vetonet.cli.demo.rewriting import rewrite
from vetonet.cli.demo.stage import INTERVAL_MS, MAKER_ID, MIN_GRANTS, OPERATOR_ID, PARTY_IDS, Stage
from vetonet.cli.founding import ATTESTER_KIND
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.verify import verify_bundle
from vetonet.crypto.statement import Signed
from vetonet.policy.action import ActionClass
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.sim.fleet import Fleet, Operator, Tally
from vetonet.sim.mlperf import MlperfWorkload, WorkloadInterval, iter_intervals
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.proof import LogProof
from vetonet.units import MS_PER_HOUR, MS_PER_S, Flop, Milliseconds, Precision, WorkloadClass

YEAR_MS: Final = 365 * 24 * MS_PER_HOUR
WITHHELD_CHIPS: Final = 8

T = TypeVar("T")
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
class Play:
    """The demonstration as far as it got: each scene adds to it.

    Attributes:
        fleet: the operator's 512 chips.
        workload: what the real run computed, step by step.
        reports: every report of every chip so far.
        licence: the one that was granted.
        bundle, result: the last bundle exported and its verdict.
    """

    stage: Stage
    workload: MlperfWorkload
    fleet: Fleet
    say: Say
    reports: list[bytes] = field(default_factory=list)
    licence: Signed[Licence] | None = None
    bundle: Bundle | None = None
    result: ComplianceResult | None = None
    known_size: int = 0

    @property
    def starts_ms(self) -> Milliseconds:
        """When the licensed window opens: the whole second in which the real run started."""
        return self.workload.start_ms // MS_PER_S * MS_PER_S

    @property
    def ends_ms(self) -> Milliseconds:
        """When it closes: the whole second after the real run stopped."""
        return (self.workload.stop_ms // MS_PER_S + 1) * MS_PER_S

    def judge(self, bundle: Bundle) -> ComplianceResult:
        """Return the verdict on a bundle, as anybody with the trust root would."""
        now = self.stage.clock.now
        with ThreadPoolExecutor(2) as pool:
            return verify_bundle(bundle.to_bytes(), self.stage.founded.trust_root, now, mapper=pool.map)


def begin(stage: Stage, workload: MlperfWorkload, say: Say) -> Play:
    """Return the play before its first scene, with the fleet made and still off."""
    maker = Maker(
        endorser_id=MAKER_ID,
        root=stage.founded.makers[MAKER_ID],
        attester_kind=ATTESTER_KIND,
        not_before_ms=workload.start_ms - YEAR_MS,
        not_after_ms=workload.start_ms + 20 * YEAR_MS,
    )
    fleet = Fleet.build(
        workload.chip,
        workload.chips,
        maker=maker,
        operator=Operator(operator_id=OPERATOR_ID, key=stage.founded.operators[OPERATOR_ID]),
        treaty=stage.founded.treaty,
        rng=stage.rng.spawn("fleet"),
    )
    return Play(stage=stage, workload=workload, fleet=fleet, say=say)


async def found(play: Play) -> Scene:
    """Seven parties have a treaty and a group key that no one of them holds; the chips are enrolled."""
    treaty = play.stage.founded.treaty.statement
    quorum = treaty.find_quorum(ActionClass.RUN_GRANT)
    await play.stage.publish(play.fleet.enrolments)
    checkpoint = SignedCheckpoint.from_bytes(await play.stage.operator.get_checkpoint()).checkpoint
    is_whole = checkpoint.tree_size == 1 + play.fleet.size and len(treaty.parties) == len(PARTY_IDS)
    return Scene(
        name="found",
        title="Seven parties found a treaty; nobody holds the licensing key",
        expected="FOUNDED",
        outcome="FOUNDED" if is_whole else "NOT FOUNDED",
        detail=(
            f"{MIN_GRANTS} of {len(treaty.parties)} must grant, "
            f"{' and '.join(quorum.veto_holders)} can veto; {play.fleet.size} chips enrolled"
        ),
    )


async def grant_benchmark(play: Play) -> Scene:
    """A real run is proposed, granted, licensed, run, reported and verified."""
    proposal = await play.stage.propose(
        describe_benchmark(
            play.stage,
            play.fleet.device_set.ueids,
            play.workload.precision,
            starts_ms=play.starts_ms,
            ends_ms=play.ends_ms,
        )
    )
    play.say("    parties vote; five sign the licence together")
    await play.stage.vote(
        proposal, dict.fromkeys(PARTY_IDS[:-1], Choice.GRANT) | {PARTY_IDS[-1]: Choice.ABSTAIN}
    )
    decision, _ = await play.stage.close(proposal)
    if decision is not Decision.GRANTED:
        return _benchmark_scene(str(decision).upper(), "no licence")
    accepted = await _unlock(play, proposal)
    await _run_benchmark(play)
    play.bundle = await play.stage.export([play.fleet.device_set], play.reports)
    play.stage.clock.advance_to(play.ends_ms + 2 * INTERVAL_MS)
    play.say(f"    an offline verifier judges {len(play.reports):,} reports")
    play.result = play.judge(play.bundle)
    detail = (
        f"{play.fleet.cumulative_flop:.3e} FLOP on {accepted} chips in "
        f"{play.workload.duration_ms / 60_000:.0f} min, {len(play.reports):,} reports"
    )
    return _benchmark_scene(f"LICENSED, {play.result.verdict}", detail)


def _benchmark_scene(outcome: str, detail: str) -> Scene:
    return Scene(
        name="benchmark-405b",
        title="A 405B benchmark run on 512 H100s (MLPerf v5.0) is granted and runs",
        expected="LICENSED, COMPLIANT",
        outcome=outcome,
        detail=detail,
    )


async def veto_frontier_run(play: Play) -> Scene:
    """A run with the published figures of Llama 3.1 405B is vetoed, and the chips refuse it."""
    proposal = await play.stage.propose(describe_frontier_run(play.stage, play.fleet.device_set.ueids))
    await play.stage.vote(proposal, dict.fromkeys(PARTY_IDS[1:], Choice.GRANT) | {PARTY_IDS[0]: Choice.VETO})
    decision, _ = await play.stage.close(proposal)
    now, total_flop = play.stage.clock.now, proposal.statement.total_flop
    unlicensed = _try_to_run(play, total_flop, None, now)
    borrowed = _try_to_run(play, total_flop, _require(play.licence).statement.licence_id, now)
    refusals = min(sum(tally.refused.values()) for tally in (unlicensed, borrowed))
    is_refused = refusals == play.fleet.size
    reasons = sorted({*unlicensed.refused, *borrowed.refused})
    return Scene(
        name="llama-3.1-405b",
        title="A run like Llama 3.1 405B (3.8e25 FLOP) is vetoed by one veto holder",
        expected="VETOED, CHIPS REFUSE",
        outcome=f"{str(decision).upper()}, {'CHIPS REFUSE' if is_refused else 'CHIPS RUN'}",
        detail=f"six of seven granted, {PARTY_IDS[0]} vetoed; all {refusals} chips: {', '.join(reasons)}",
    )


async def withhold_reports(play: Play) -> Scene:
    """An operator that leaves reports out proves nothing, and the verifier says what is missing."""
    cheated = withhold(
        _require(play.bundle), play.fleet.device_set.ueids[:WITHHELD_CHIPS], play.ends_ms - 2 * MS_PER_HOUR
    )
    missing = len(_require(play.bundle).reports) - len(cheated.reports)
    return _cheat_scene(
        play,
        cheated,
        name="withheld-reports",
        title="An operator withholds reports",
        expected="INCONCLUSIVE: interval-uncovered, report-withheld",
        detail=f"{missing} reports of {WITHHELD_CHIPS} chips left out",
    )


async def forge_report(play: Play) -> Scene:
    """An operator that halves one count is caught, and named."""
    cheated = forge(_require(play.bundle), play.fleet.device_set.ueids[0])
    return _cheat_scene(
        play,
        cheated,
        name="forged-report",
        title="An operator forges one report",
        expected="VIOLATION: interval-uncovered, report-forged, report-withheld",
        detail="one chip's last count halved under the chip's old signature",
    )


async def drop_veto(play: Play) -> Scene:
    """A coordinator that drops a veto gets no licence: the veto reached the signers without it."""
    vetoing = PARTY_IDS[1]
    play.stage.coordinator.silenced.add(vetoing)
    proposal = await play.stage.propose(describe_second_run(play.stage, play.fleet.device_set.ueids))
    failed = await play.stage.vote(
        proposal, {vetoing: Choice.VETO} | {name: Choice.GRANT for name in PARTY_IDS if name != vetoing}
    )
    decision, refused = await play.stage.close(proposal)
    is_licensed = decision is Decision.GRANTED
    return Scene(
        name="dropped-veto",
        title="A coordinator acknowledges a veto and drops it",
        expected="NO LICENCE",
        outcome="LICENSED" if is_licensed else "NO LICENCE",
        detail=(
            f"{len(refused)} signers refused, because {vetoing}'s veto reached them directly; "
            f"{'its receipt did not verify' if vetoing in failed else 'its receipt verified'}"
        ),
    )


async def rewrite_log(play: Play) -> Scene:
    """A coordinator that takes a logged veto out again convinces no witness, and convicts itself."""
    seen = await rewrite(play.stage)
    count = len(play.stage.witnesses)
    cosigned = "NO COSIGNATURE" if seen.refused == count else f"{count - seen.refused} COSIGNED"
    return Scene(
        name="rewritten-log",
        title="A coordinator takes a logged veto out of its log again",
        expected="NO COSIGNATURE, CONVICTED",
        outcome=f"{cosigned}, {'UNNOTICED' if seen.fork is None else 'CONVICTED'}",
        detail=f"{seen.refused} of {count} witnesses refused; a monitor that met both histories can prove it",
    )


SCENES: Final = (
    found,
    grant_benchmark,
    veto_frontier_run,
    withhold_reports,
    forge_report,
    drop_veto,
    rewrite_log,
)


async def _unlock(play: Play, proposal: Signed[Proposal]) -> int:
    """Switch the chips on, hand them the licence; return how many accepted it."""
    logged = await play.stage.get_licence(proposal)
    play.licence = logged.licence
    on_ms = play.workload.start_ms - INTERVAL_MS
    play.stage.clock.advance_to(on_ms)
    await play.stage.publish(play.fleet.power_on(play.stage.rng.spawn("alias keys"), on_ms))
    proof: LogProof = logged.proof
    tally = play.fleet.offer_licence(logged.licence.data, proof, None, on_ms)
    play.known_size = SignedCheckpoint.from_bytes(proof.checkpoint).checkpoint.tree_size
    await _report(play, play.workload.start_ms)
    return play.fleet.size - sum(tally.refused.values())


async def _run_benchmark(play: Play) -> None:
    """Meter and report the real run interval by interval; the last one ends with the licence."""
    intervals = list(iter_intervals(play.workload, INTERVAL_MS))
    for number, interval in enumerate(intervals, start=1):
        play.say(f"    interval {number} of {len(intervals)}: {interval.flop:.2e} FLOP")
        await _show_checkpoint(play, interval.start_ms)
        _work(play, interval)
        await _report(play, play.ends_ms if number == len(intervals) else interval.end_ms)


def _work(play: Play, interval: WorkloadInterval) -> None:
    licence = _require(play.licence).statement
    play.fleet.work(
        interval.flop_of,
        duration_ms=interval.end_ms - interval.start_ms,
        workload=licence.workload,
        precision=licence.precision,
        total_flop=play.workload.flop,
        licence_id=licence.licence_id,
        now=interval.start_ms,
    )


async def _show_checkpoint(play: Play, now: Milliseconds) -> None:
    """Show the chips the newest checkpoint, with the proof that it extends the one they know."""
    note = await play.stage.operator.get_checkpoint()
    size = SignedCheckpoint.from_bytes(note).checkpoint.tree_size
    if size > play.known_size:
        proof = await play.stage.operator.get_consistency_proof(play.known_size, size)
        play.fleet.show_checkpoint(note, proof, now)
        play.known_size = size


async def _report(play: Play, now: Milliseconds) -> None:
    """Close the interval, and publish the operator's batch over its reports."""
    play.stage.clock.advance_to(now)
    reports = play.fleet.report(now).reports
    play.reports += reports
    await play.stage.publish([play.fleet.sign_batch(reports)])


def _try_to_run(play: Play, total_flop: Flop, licence_id: int | None, now: Milliseconds) -> Tally:
    """Ask every chip for an hour of a run, with no licence or with the old one."""
    return play.fleet.work(
        lambda _: 10**18,
        duration_ms=MS_PER_HOUR,
        workload=WorkloadClass.TRAINING,
        precision=Precision.BF16,
        total_flop=total_flop,
        licence_id=licence_id,
        now=now,
    )


def _cheat_scene(play: Play, cheated: Bundle, *, name: str, title: str, expected: str, detail: str) -> Scene:
    result = play.judge(cheated)
    reasons = sorted({problem.reason for problem in result.problems})
    outcome = f"{result.verdict}: {', '.join(reasons)}" if reasons else str(result.verdict)
    return Scene(name=name, title=title, expected=expected, outcome=outcome, detail=detail)


def _require(value: T | None) -> T:
    if value is None:
        msg = "this scene needs the licensed run before it"
        raise ValueError(msg)
    return value
