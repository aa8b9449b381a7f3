"""The scene in which a model serves one real hour of requests, metered by tokens, until consent is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.cli.demo.play import Play, Run, Scene, renew, report, show_checkpoint, unlock
from vetonet.cli.demo.proposals import describe_serving
from vetonet.cli.demo.stage import INTERVAL_MS, LEASE_MS, PARTY_IDS, VETO_IDS
from vetonet.cli.output import format_flop
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.standing import Standing
from vetonet.sim.azure import ServingInterval, ServingWorkload
from vetonet.sim.fleet import Tally
from vetonet.sim.recorded_serving import NODE_CHIPS, build_serving
from vetonet.units import Milliseconds, WorkloadClass

_LICENSED_INTERVALS: Final = 3
"""The first lease lasts 45 minutes, three intervals; the fourth has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """What came of the hour.

    Attributes:
        licensed: tokens put out under the licence, by the chips' meters.
        slow: tokens put out after it, at the floor rate.
        halted: what the chips did when the lease was over.
        after_ms: how long that was after consent was withdrawn.
    """

    licensed: int
    slow: int
    halted: Tally
    after_ms: Milliseconds


async def serve(play: Play) -> Scene:
    """A licence to serve is granted, metered by tokens, and ends for want of the next lease."""
    starts_ms = play.runs[-1].licence.statement.expires_ms + INTERVAL_MS  # one idle interval later
    hour = build_serving(play.workload.chip, start_ms=starts_ms, interval_ms=INTERVAL_MS)
    proposal = await play.stage.propose(
        describe_serving(play.stage, play.fleet.device_set.ueids, hour.precision, starts_ms=starts_ms)
    )
    await play.stage.vote(proposal, dict.fromkeys(PARTY_IDS, Choice.GRANT))
    decision, _ = await play.stage.close(proposal)
    if decision is not Decision.GRANTED:
        return _serving_scene(str(decision).upper(), "no licence")
    run, _ = await unlock(play, proposal, play.stage.clock.now)
    await renew(play, run, play.stage.clock.now)
    await report(play, starts_ms)
    served = await _serve_hour(play, run, hour)
    return _serving_scene(_judge(play, hour, served), _describe(play, run, hour, served))


async def _serve_hour(play: Play, run: Run, hour: ServingWorkload) -> _Served:
    """Consent is withdrawn after the first interval; the lease lasts for two more, the fourth has none."""
    before, first = play.fleet.cumulative_tokens, hour.start_ms + INTERVAL_MS
    intervals = list(hour.iter_intervals())
    for number, interval in enumerate(intervals[:_LICENSED_INTERVALS]):
        if number == 1:
            play.stage.clock.advance_to(first)
            await play.stage.daemons[VETO_IDS[0]].state_consent(
                run.proposal.payload_digest, Standing.WITHDRAWN, VetoReason.SAFETY_CASE
            )
        await _serve_interval(play, run, interval)
    licensed = play.fleet.cumulative_tokens - before
    last = intervals[_LICENSED_INTERVALS]
    halted = await _serve_interval(play, run, last)
    return _Served(
        licensed=licensed,
        slow=play.fleet.cumulative_tokens - before - licensed,
        halted=halted,
        after_ms=last.start_ms - first,
    )


async def _serve_interval(play: Play, run: Run, interval: ServingInterval) -> Tally:
    """Serve what came in the interval; what is refused with a licence is tried as small work without."""
    await renew(play, run, interval.start_ms)
    await show_checkpoint(play, interval.start_ms)
    tally = _ask(play, run, interval, is_licensed=True)
    if tally.refused:
        small = _ask(play, run, interval, is_licensed=False)
        tally = Tally(refused=tally.refused, throttled=small.throttled, reports=())
    await report(play, interval.end_ms)
    return tally


def _ask(play: Play, run: Run, interval: ServingInterval, *, is_licensed: bool) -> Tally:
    terms = run.licence.statement
    return play.fleet.work(
        lambda index: interval.flop_of(index % NODE_CHIPS),
        duration_ms=interval.end_ms - interval.start_ms,
        workload=WorkloadClass.INFERENCE,
        precision=terms.precision,
        total_flop=terms.total_flop if is_licensed else interval.flop,
        licence_id=terms.licence_id if is_licensed else None,
        now=interval.start_ms,
        tokens_of=lambda index: interval.generated_of(index % NODE_CHIPS),
    )


def _judge(play: Play, hour: ServingWorkload, served: _Served) -> str:
    """Metered: every token that came under the licence. Stopped: all chips, in time, at the floor rate."""
    intervals = list(hour.iter_intervals())[:_LICENSED_INTERVALS]
    metered = "METERED" if served.licensed == _count_tokens(play, intervals) else "NOT METERED"
    halted = min(served.halted.refused.get("lease-ended", 0), served.halted.throttled.get("lease-lapsed", 0))
    is_stopped = halted == play.fleet.size and served.after_ms <= LEASE_MS
    return f"LICENSED, {metered}, {'STOPPED WITHIN ONE LEASE' if is_stopped else 'NOT STOPPED'}"


def _count_tokens(play: Play, intervals: Sequence[ServingInterval]) -> int:
    """Return what the fleet is asked to put out: each node the whole trace, each chip its part of that."""
    chips = range(play.fleet.size)
    return sum(interval.generated_of(chip % NODE_CHIPS) for interval in intervals for chip in chips)


def _describe(play: Play, run: Run, hour: ServingWorkload, served: _Served) -> str:
    chips, rest = play.fleet.size, list(hour.iter_intervals())[_LICENSED_INTERVALS:]
    ceiling, is_hidden = format_flop(run.licence.statement.total_flop), play.stage.cast.is_confidential
    whole = format_flop(hour.flop * chips // NODE_CHIPS)
    metered = "all" if is_hidden else f"{served.licensed:,}"
    needs = "" if is_hidden else f"; the whole hour takes {whole}"
    slow = "" if is_hidden else f", {served.slow:,} of {_count_tokens(play, rest):,} tokens written"
    return (
        f"{metered} tokens written in 45 min under the licence (FLOP ceiling {ceiling}{needs}); "
        f"{served.after_ms // 60_000} min after {VETO_IDS[0]} withdrew, all {chips} chips: "
        f"{', '.join(sorted({*served.halted.refused, *served.halted.throttled}))}; "
        f"then 15 min at the floor rate{slow}"
    )


def _serving_scene(outcome: str, detail: str) -> Scene:
    return Scene(
        name="serving",
        title="Serving a 405B model (a real hour of requests) is granted, metered, withdrawn",
        expected="LICENSED, METERED, STOPPED WITHIN ONE LEASE",
        outcome=outcome,
        detail=detail,
    )
