"""Laws of the clock: whatever the schedule, the choice of lines and the lies of f witnesses, it is right."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.witnessed_log import LOG_KEY, WITNESSES, make_log
from vetonet.errors import ProofError
from vetonet.tlog.clock import TimeBounds, WitnessClock, compute_appearance_s, compute_latest_s
from vetonet.tlog.cosignature import Cosignature, WitnessKey
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, WitnessGroup

LOG = make_log(6)
SIZES = tuple(range(1, 7))
TIMES = st.integers(1, 60)


@dataclass(frozen=True, kw_only=True)
class World:
    """What really happened, and what a liar shows of it.

    Attributes:
        clock: n, k and f of this world.
        honest: when each honest witness cosigned each size, true times, in the order of sizes.
        liars: at most f witnesses that sign anything at any time.
        shown: the checkpoints that somebody picked out to prove a time.
    """

    clock: WitnessClock
    honest: dict[WitnessKey, dict[int, list[int]]]
    liars: tuple[WitnessKey, ...]
    shown: tuple[CosignedCheckpoint, ...]

    def find_first_s(self, size: int) -> int | None:
        """When the chip could first see a quorum under this size: liars sign as early as they like."""
        firsts = sorted(min(times[size]) for times in self.honest.values() if size in times)
        needed = self.clock.quorum - len(self.liars)
        if needed <= 0:
            return 0
        return firsts[needed - 1] if len(firsts) >= needed else None

    def find_covered_s(self, leaf_index: int) -> int | None:
        """When the first honest witness cosigned a tree with this leaf."""
        times = [
            time
            for sizes in self.honest.values()
            for size in sizes
            if size > leaf_index
            for time in sizes[size]
        ]
        return min(times, default=None)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 5))
    quorum = draw(st.integers(1, count))
    colluding = draw(st.integers(0, quorum - 1))
    members = WITNESSES[:count]
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=WitnessGroup(threshold=quorum, members=members))
    liars = tuple(draw(st.permutations(members))[:colluding])
    honest = {witness: draw(histories()) for witness in members if witness not in liars}
    return World(
        clock=WitnessClock.under(policy, max_colluding=colluding),
        honest=honest,
        liars=liars,
        shown=tuple(draw(selections(honest, liars))),
    )


@st.composite
def histories(draw: st.DrawFn) -> dict[int, list[int]]:
    """An honest witness's life: it cosigns sizes, each once or more, never a smaller one after a larger."""
    moments = sorted(draw(st.lists(TIMES, max_size=8)))
    sizes = sorted(draw(st.lists(st.sampled_from(SIZES), min_size=len(moments), max_size=len(moments))))
    history: dict[int, list[int]] = {}
    for size, moment in zip(sizes, moments, strict=True):
        history.setdefault(size, []).append(moment)
    return history


@st.composite
def selections(
    draw: st.DrawFn, honest: dict[WitnessKey, dict[int, list[int]]], liars: tuple[WitnessKey, ...]
) -> list[CosignedCheckpoint]:
    """Checkpoints with some of the honest lines that there are and any lines of liars, quorum or not."""
    shown = []
    for size in draw(st.lists(st.sampled_from(SIZES), min_size=2, max_size=7)):
        lines = {w: draw(st.sampled_from(sizes[size])) for w, sizes in honest.items() if size in sizes}
        lines |= {liar: draw(TIMES) for liar in liars}
        kept = draw(st.sets(st.sampled_from(sorted(lines, key=str)))) if lines else set()
        cosignatures = tuple(Cosignature(witness=w, timestamp_s=lines[w]) for w in kept)
        checkpoint = LOG.checkpoint(size)
        shown.append(CosignedCheckpoint(checkpoint=checkpoint, cosignatures=cosignatures, data=b""))
    return shown


@settings(max_examples=250)
@given(world=worlds(), named=st.sampled_from(SIZES))
def test_no_schedule_and_no_f_liars_move_the_earliest_time_past_the_truth(world: World, named: int) -> None:
    seen_s = world.find_first_s(named)
    assume(seen_s is not None)
    smaller = [cosigned for cosigned in world.shown if cosigned.checkpoint.tree_size < named]
    try:
        earliest_s = compute_appearance_s(smaller, world.clock)
    except ProofError:
        return  # too little was shown
    assert seen_s is not None
    assert earliest_s <= seen_s


@settings(max_examples=250)
@given(world=worlds(), leaf_index=st.integers(0, 5))
def test_no_schedule_and_no_f_liars_move_the_latest_time_before_the_truth(
    world: World, leaf_index: int
) -> None:
    covered_s = world.find_covered_s(leaf_index)
    covering = [cosigned for cosigned in world.shown if cosigned.checkpoint.tree_size > leaf_index]
    try:
        latest_s = compute_latest_s(covering, world.clock)
    except ProofError:
        return
    assert covered_s is not None
    assert latest_s >= covered_s


@settings(max_examples=250)
@given(world=worlds(), named=st.sampled_from(SIZES), leaf_index=st.integers(0, 5))
def test_the_times_of_a_report_that_can_be_true_never_contradict_each_other(
    world: World, named: int, leaf_index: int
) -> None:
    seen_s, covered_s = world.find_first_s(named), world.find_covered_s(leaf_index)
    assume(seen_s is not None and covered_s is not None and seen_s <= covered_s)
    smaller = [cosigned for cosigned in world.shown if cosigned.checkpoint.tree_size < named]
    covering = [cosigned for cosigned in world.shown if cosigned.checkpoint.tree_size > leaf_index]
    try:
        earliest_s = compute_appearance_s(smaller, world.clock)
        latest_s = compute_latest_s(covering, world.clock)
    except ProofError:
        return
    assert TimeBounds(earliest_s=earliest_s, latest_s=latest_s).earliest_s <= latest_s
