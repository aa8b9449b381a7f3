"""The scenes: each does one thing for real and says what came of it, beside what was expected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from vetonet.cli.demo.cheats import forge, tamper, withhold
from vetonet.cli.demo.exporting import export, find_operator_key, list_openings, prove
from vetonet.cli.demo.play import Play, Run, Scene, renew, report, show_checkpoint, unlock, work
from vetonet.cli.demo.proposals import (
    describe_benchmark,
    describe_frontier_run,
    describe_interrupted_run,
    describe_second_run,
)
from vetonet.cli.demo.rewriting import rewrite
from vetonet.cli.demo.serving import serve
from vetonet.cli.demo.stage import INTERVAL_MS, LEASE_MS, MIN_GRANTS, PARTY_IDS, Cast
from vetonet.cli.output import format_flop
from vetonet.compliance.bundle import Bundle
from vetonet.compliance.result import ComplianceResult
from vetonet.confidential.bounds import BoundKind
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.standing import Standing
from vetonet.sim.fleet import Tally
from vetonet.sim.mlperf import WorkloadInterval, iter_intervals
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.units import MS_PER_HOUR, Flop, Milliseconds, Precision, WorkloadClass

WITHHELD_CHIPS: Final = 8

T = TypeVar("T")


async def found(play: Play) -> Scene:
    """Seven parties have a treaty and a group key that no one of them holds; the chips are enrolled."""
    treaty = play.stage.founded.treaty.statement
    quorum = treaty.find_quorum(ActionClass.RUN_GRANT)
    await play.stage.publish([*play.fleet.endorsements, *play.fleet.enrolments])
    checkpoint = SignedCheckpoint.from_bytes(await play.stage.operator.get_checkpoint()).checkpoint
    is_whole = checkpoint.tree_size == 1 + len(play.fleet.endorsements) + play.fleet.size and len(
        treaty.parties
    ) == len(PARTY_IDS)
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
        return _benchmark_scene(play, str(decision).upper(), "no licence")
    run, accepted = await _switch_on(play, proposal)
    await _run_benchmark(play, run)
    exported = await export(play)
    play.bundle, play.totals = exported.bundle, exported.totals
    play.say(f"    an offline verifier judges {len(play.reports):,} reports")
    play.result = play.judge(play.bundle, play.ends_ms + 2 * INTERVAL_MS)
    detail = (
        f"{_say_total(play, run)} on {accepted} chips in "
        f"{play.workload.duration_ms / 60_000:.0f} min under {run.lease} leases, "
        f"{len(play.reports):,} reports"
    )
    return _benchmark_scene(play, f"LICENSED, {play.result.verdict}", detail)


def _say_total(play: Play, run: Run) -> str:
    """Return what everybody may know of the total: how much it was, or what it did not exceed."""
    if not play.stage.cast.is_confidential:
        return f"{play.fleet.cumulative_flop:.3e} FLOP"
    limit = format_flop(run.licence.statement.total_flop)
    return f"at most {limit} FLOP, proven by {len(play.totals)} proofs and not shown,"


def _benchmark_scene(play: Play, outcome: str, detail: str) -> Scene:
    on_stage, of_run = play.fleet.size, play.workload.chips
    which = f"{of_run} H100s" if on_stage == of_run else f"{on_stage} of its {of_run} H100s"
    return Scene(
        name="benchmark-405b",
        title=f"A 405B benchmark run on {which} (MLPerf v5.0) is granted and runs",
        expected="LICENSED, COMPLIANT",
        outcome=outcome,
        detail=detail,
    )


async def withdraw_consent(play: Play) -> Scene:
    """A veto holder withdraws from a run; no chip is told, and every one stops for want of the next lease."""
    withdrawing, starts_ms = PARTY_IDS[1], play.ends_ms + INTERVAL_MS
    ueids, precision = play.fleet.device_set.ueids, play.workload.precision
    proposal = await play.stage.propose(
        describe_interrupted_run(play.stage, ueids, precision, starts_ms=starts_ms)
    )
    await play.stage.vote(proposal, dict.fromkeys(PARTY_IDS, Choice.GRANT))
    decision, _ = await play.stage.close(proposal)
    if decision is not Decision.GRANTED:
        return _interruption_scene(str(decision).upper(), "no licence")
    run, _ = await unlock(play, proposal, play.stage.clock.now)
    await renew(play, run, play.stage.clock.now)
    await report(play, starts_ms)
    seen = await _interrupt(play, run, withdrawing, starts_ms)
    is_stopped = seen.stopped == play.fleet.size and seen.after_ms <= LEASE_MS
    resumed = "REINSTATED" if seen.resumed == play.fleet.size else "NOT REINSTATED"
    detail = (
        f"{seen.after_ms // 60_000} min after {withdrawing} withdrew, all {seen.stopped} chips: "
        f"{', '.join(seen.reasons)}; consent given again, {seen.resumed} went on"
    )
    stopped = "STOPPED WITHIN ONE LEASE" if is_stopped else "NOT STOPPED"
    return _interruption_scene(f"{stopped}, {resumed}", detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interruption:
    """How many chips stopped, how long after the withdrawal, with what reasons, and how many went on."""

    stopped: int
    after_ms: Milliseconds
    reasons: tuple[str, ...]
    resumed: int


async def _interrupt(play: Play, run: Run, withdrawing: str, starts_ms: Milliseconds) -> _Interruption:
    """Five intervals: one with consent, two of its lease without, one without any, one with again."""
    digest, party = run.proposal.payload_digest, play.stage.daemons[withdrawing]
    edges = [starts_ms + number * INTERVAL_MS for number in range(6)]
    await _drive(play, run, edges[0])
    play.stage.clock.advance_to(edges[1])
    await party.state_consent(digest, Standing.WITHDRAWN, VetoReason.SAFETY_CASE)
    for start_ms in edges[1:3]:
        await _drive(play, run, start_ms)
    halted = await _drive(play, run, edges[3])
    slow = halted.throttled.get("lease-lapsed", 0)
    await party.state_consent(digest, Standing.GIVEN)
    resumed = await _drive(play, run, edges[4])
    return _Interruption(
        stopped=min(halted.refused.get("lease-ended", 0), slow),
        after_ms=edges[3] - edges[1],
        reasons=tuple(sorted({*halted.refused, *halted.throttled})),
        resumed=play.fleet.size - sum(resumed.refused.values()),
    )


async def _drive(play: Play, run: Run, start_ms: Milliseconds) -> Tally:
    """One interval at four fifths of the share; what is refused with a licence is tried as small work."""
    end_ms, terms = start_ms + INTERVAL_MS, run.licence.statement
    await renew(play, run, start_ms)
    await show_checkpoint(play, start_ms)
    share = terms.per_device_flop // 5
    tally = work(play, run, lambda _: share, start_ms=start_ms, end_ms=end_ms)
    if tally.refused:
        small = work(play, run, lambda _: share, start_ms=start_ms, end_ms=end_ms, is_licensed=False)
        tally = replace(tally, throttled=tally.throttled | small.throttled)
    await report(play, end_ms)
    return tally


def _interruption_scene(outcome: str, detail: str) -> Scene:
    return Scene(
        name="withdrawn-consent",
        title="Consent to a licensed run is withdrawn while it runs, and given again",
        expected="STOPPED WITHIN ONE LEASE, REINSTATED",
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
    borrowed = _try_to_run(play, total_flop, play.runs[-1].licence.statement.licence_id, now)
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
        _require(play.bundle),
        play.fleet.device_set.ueids[:WITHHELD_CHIPS],
        play.ends_ms - 2 * MS_PER_HOUR,
        find_operator_key(play),
    )
    missing = len(_require(play.bundle).reports) - len(cheated.reports)
    return _cheat_scene(
        play,
        cheated,
        name="withheld-reports",
        title="An operator withholds reports",
        expected="INCONCLUSIVE: "
        + _list_expected(play, "interval-uncovered", "report-withheld", mismatch=_find_mismatch(play)),
        detail=f"{missing} reports of {WITHHELD_CHIPS} chips left out",
    )


def _find_mismatch(play: Play) -> str:
    """Return what is wrong with the proof: without any chip's last hours it is about another period."""
    return "proof-misplaced" if play.fleet.size <= WITHHELD_CHIPS else "sum-mismatched"


async def forge_report(play: Play) -> Scene:
    """An operator that halves one count is caught, and named."""
    cheated = forge(
        _require(play.bundle), play.fleet.device_set.ueids[0], list_openings(play), find_operator_key(play)
    )
    return _cheat_scene(
        play,
        cheated,
        name="forged-report",
        title="An operator forges one report",
        expected="VIOLATION: "
        + _list_expected(play, "interval-uncovered", "report-forged", "report-withheld"),
        detail="one chip's last count halved under the chip's old signature",
    )


async def prove_too_much(play: Play) -> Scene:
    """An operator that computed one unit more than its licence finds no proof; a false one convicts it."""
    bundle, total = _require(play.bundle), _find_total(play, _require(play.licence).statement.licence_id)
    refusal = "PROVEN"
    try:
        prove(play, [_tighten(play, total)])
    except RefusedError as error:
        refusal = "REFUSED" if "computed 1 unit of" in str(error) else str(error)
    cheated = tamper(bundle, total.licence_id or 0, find_operator_key(play))
    result = play.judge(cheated)
    culprits = {problem.culprit for problem in result.problems if problem.reason == "proof-invalid"}
    named = ", ".join(sorted(filter(None, culprits))) or "nobody"
    return Scene(
        name="false-proof",
        title="An operator tries to prove a total one unit over its licence",
        expected="REFUSED, VIOLATION: " + _list_expected(play, mismatch="proof-invalid"),
        outcome=f"{refusal}, {_say_result(result)}",
        detail=(
            f"there is no proof of it; one that it alters all the same is false under {named}'s own signature"
        ),
    )


def _find_total(play: Play, licence_id: int) -> ExpectedTotal:
    return next(total for total in play.totals if total.licence_id == licence_id)


def _tighten(play: Play, total: ExpectedTotal) -> ExpectedTotal:
    """Return the same total under a budget that is one unit less than what was used."""
    ends, openings = play.ends.by_account, list_openings(play)
    used = sum(
        openings[ueid, end.counter].value
        for (ueid, licence_id), end in ends.items()
        if licence_id == total.licence_id
    )
    bounds = tuple(
        replace(bound, units=used - 1) if bound.kind is BoundKind.BUDGET else bound for bound in total.bounds
    )
    return replace(total, bounds=bounds)


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
    play.say(
        f"    staged: the log signs two histories; {seen.refused} of {count} witnesses refuse the second"
    )
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
    withdraw_consent,
    veto_frontier_run,
    serve,
    withhold_reports,
    forge_report,
    prove_too_much,
    drop_veto,
    rewrite_log,
)


def list_scenes(cast: Cast) -> tuple[Callable[[Play], Awaitable[Scene]], ...]:
    """Return the scenes in their order; without hidden totals nobody proves any."""
    return tuple(scene for scene in SCENES if cast.is_confidential or scene is not prove_too_much)


async def _switch_on(play: Play, proposal: Signed[Proposal]) -> tuple[Run, int]:
    """Switch the chips on, hand them the licence and its first lease; return how many took the licence."""
    on_ms = play.workload.start_ms - INTERVAL_MS
    play.stage.clock.advance_to(on_ms)
    await play.stage.publish(play.fleet.power_on(play.stage.rng.spawn("alias keys"), on_ms))
    run, accepted = await unlock(play, proposal, on_ms)
    await renew(play, run, on_ms)
    await report(play, play.workload.start_ms)
    return run, accepted


async def _run_benchmark(play: Play, run: Run) -> None:
    """Meter and report the real run interval by interval; the last one ends with the licence."""
    intervals = list(iter_intervals(play.workload, INTERVAL_MS, anchor_ms=play.starts_ms))
    for number, interval in enumerate(intervals, start=1):
        play.say(f"    interval {number} of {len(intervals)}{_say_flop(play, interval)}")
        await renew(play, run, interval.start_ms)
        await show_checkpoint(play, interval.start_ms)
        work(play, run, interval.flop_of, start_ms=interval.start_ms, end_ms=interval.end_ms)
        await report(play, play.ends_ms if number == len(intervals) else interval.end_ms)


def _say_flop(play: Play, interval: WorkloadInterval) -> str:
    """Return how much an interval asks for, where that is no secret."""
    if play.stage.cast.is_confidential:
        return ""
    return f": {sum(interval.flop_of(index) for index in range(play.fleet.size)):.2e} FLOP"


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
    outcome = _say_result(play.judge(cheated))
    return Scene(name=name, title=title, expected=expected, outcome=outcome, detail=detail)


def _say_result(result: ComplianceResult) -> str:
    reasons = sorted({problem.reason for problem in result.problems})
    return f"{result.verdict}: {', '.join(reasons)}" if reasons else str(result.verdict)


def _list_expected(play: Play, *reasons: str, mismatch: str = "sum-mismatched") -> str:
    """Return the reasons for which a bundle with other reports than those proven is not compliant."""
    unproven = (*_UNPROVEN_LICENCE, mismatch) if play.stage.cast.is_confidential else ()
    return ", ".join(sorted({*reasons, *unproven}))


_UNPROVEN_LICENCE: Final = ("budget-unproven", "energy-unproven", "rate-unproven")


def _require(value: T | None) -> T:
    if value is None:
        msg = "this scene needs the licensed run before it"
        raise ValueError(msg)
    return value
