"""The log as the clock: f liars move no bound past the truth, f + 1 do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.witnessed_log import LOG_KEY, NAMES, NOW_S, WITNESSES, make_cosigned, make_log, make_policy
from vetonet.errors import ConfigError, ProofError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.clock import (
    TimeBounds,
    WitnessClock,
    bound_leaf,
    bound_report,
    compute_appearance_s,
    compute_earliest_s,
    compute_latest_s,
)
from vetonet.tlog.cosignature import Cosignature
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, WitnessGroup, verify_cosigned

POLICY = make_policy(4)
CLOCK = WitnessClock.under(POLICY, max_colluding=1)
LOG = make_log(40)
FAR = 1_000_000


def at(size: int, times: Sequence[int], names: Sequence[str] | None = None) -> CosignedCheckpoint:
    """A checkpoint that these witnesses cosigned, the times relative to a fixed moment."""
    signers = NAMES[: len(times)] if names is None else names
    checkpoint = LOG.checkpoint(size)
    data = make_cosigned(checkpoint, signers, times=[NOW_S + time for time in times])
    return verify_cosigned(data, POLICY)


def seen(size: int) -> bytes:
    return LOG.checkpoint(size).digest


def since(time_s: int) -> int:
    return time_s - NOW_S


# Three checkpoints, each cosigned by all within some seconds. A chip sees the second at +23 and reports; the
# leaf of its batch has index 25 and is under the third.
FIRST = at(10, (10, 11, 12, 13, 14))
SECOND = at(20, (20, 21, 22, 23, 24))
THIRD = at(30, (30, 31, 32, 33, 34))
ALL = (FIRST, SECOND, THIRD)


def test_a_report_lies_between_what_it_names_and_what_covers_it() -> None:
    bounds = bound_report(seen(20), 25, ALL, CLOCK)
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (12, 31)


def test_a_leaf_lies_between_the_trees_without_it_and_those_with_it() -> None:
    bounds = bound_leaf(15, ALL, CLOCK)
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (12, 21)
    assert since(bound_leaf(10, ALL, CLOCK).latest_s) == 21
    assert since(bound_leaf(9, (at(5, (1, 2, 3, 4, 5)), FIRST), CLOCK).latest_s) == 11


def test_what_contains_cosignatures_was_made_after_the_honest_ones() -> None:
    assert since(compute_earliest_s(SECOND, CLOCK)) == 23
    assert since(compute_earliest_s(at(20, (20, 21, 22, 23)), CLOCK)) == 22


def test_f_liars_cannot_move_the_earliest_time_past_the_truth() -> None:
    """VN-11.9: whatever one of five writes into its lines, in whichever place."""
    for liar in range(5):
        for lie in (-NOW_S + 1, 0, FAR):
            times = [10, 11, 12, 13, 14]
            times[liar] = lie
            bounds = bound_report(seen(20), 25, (at(10, times), SECOND, at(30, (FAR,) * 5)), CLOCK)
            assert since(bounds.earliest_s) <= 20  # before that no honest witness cosigned what the chip saw
            assert since(compute_earliest_s(at(10, times), CLOCK)) <= 14


def test_f_liars_cannot_move_the_latest_time_before_the_truth() -> None:
    """VN-11.9: the leaf existed at +30, when the first honest witness cosigned it."""
    for liar in range(5):
        for lie in (-NOW_S + 1, 0, FAR):
            times = [30, 31, 32, 33, 34]
            times[liar] = lie
            assert since(compute_latest_s([at(30, times)], CLOCK)) >= 30


def test_one_liar_more_moves_both_bounds_past_the_truth() -> None:
    """The bounds are tight. Honest times stand in between; the two liars agree on one far away."""
    late = at(10, (FAR, FAR, 12, 13), NAMES[:4])
    chip_saw = 22  # with lines of w1, w2 (who lie about the tree before), w3 and w4
    assert since(compute_earliest_s(late, CLOCK)) == FAR > chip_saw
    early = at(30, (-FAR, -FAR, 32, 33, 34))
    assert since(compute_latest_s([early], CLOCK)) == -FAR < 30
    named = [at(10, (FAR, 11, 12, FAR, FAR))]  # w3 is honest and late, w4 and w5 lie
    assert since(compute_appearance_s(named, WitnessClock.under(make_policy(5), max_colluding=1))) == FAR


def test_two_liars_can_show_a_chip_what_no_honest_quorum_saw() -> None:
    """With k = 4 and f = 1 a chip's quorum has three honest lines; with two liars only two, w1 and w2."""
    smaller = [at(10, (10, 11, 50, 51), NAMES[:4])]  # w3 still sees the smaller tree at +50
    named_at = 20  # by w1, w2 honestly, and by w4, w5 who cosigned the larger tree while they denied it
    assert since(compute_appearance_s(smaller, CLOCK)) == 11 <= named_at
    everyone = [at(10, (10, 11, 50, 51, 52))]
    assert since(compute_appearance_s(everyone, CLOCK)) == 50 > named_at


def test_a_later_cosignature_of_the_same_checkpoint_does_not_move_the_bound_of_what_names_it() -> None:
    """A quiet log is cosigned again and again; the digest does not tell which lines a chip saw."""
    again = at(20, (900, 901, 902, 903, 904))
    assert since(compute_earliest_s(again, CLOCK)) == 903
    bounds = bound_report(seen(20), 25, (FIRST, again, at(30, (FAR,) * 5)), CLOCK)
    assert since(bounds.earliest_s) == 12


def test_later_cosignatures_of_the_tree_before_move_the_bound_closer() -> None:
    """As long as a smaller tree is the newest, nothing can name a larger one."""
    again = at(10, (19, 19, 19, 19, 19))
    assert since(bound_report(seen(20), 25, (*ALL, again), CLOCK).earliest_s) == 19


def test_a_witness_counts_once_with_its_best_line_on_either_side() -> None:
    twice = (at(30, (30, 31, 32, 33)), at(40, (26, 27, 28, 29)))
    assert since(compute_latest_s(twice, CLOCK)) == 27
    one = at(30, (30, 31, 32, 33))
    doubled = replace(one, cosignatures=one.cosignatures[:1] * 4)
    with pytest.raises(ProofError, match="2 witnesses at least, got 1"):
        compute_latest_s([doubled], CLOCK)


def test_too_few_cosignatures_bound_nothing() -> None:
    lone = replace(SECOND, cosignatures=SECOND.cosignatures[:1])
    with pytest.raises(ProofError, match="2 witnesses at least, got 1"):
        compute_earliest_s(lone, CLOCK)
    with pytest.raises(ProofError, match="2 witnesses at least, got 0"):
        compute_latest_s([], CLOCK)
    with pytest.raises(ProofError, match="3 witnesses at least, got 2"):
        compute_appearance_s([replace(FIRST, cosignatures=FIRST.cosignatures[:2])], CLOCK)
    with pytest.raises(ProofError, match="3 witnesses at least, got 0"):
        bound_report(seen(10), 25, ALL, CLOCK)
    with pytest.raises(ProofError, match="3 witnesses at least, got 0"):
        bound_leaf(5, ALL, CLOCK)
    with pytest.raises(ProofError, match="2 witnesses at least, got 0"):
        bound_leaf(30, ALL, CLOCK)


def test_a_quorum_of_cosignatures_is_enough_exactly_where_split_views_are_excluded() -> None:
    """2k - n > f: for k = 4 of 5 one may lie, for two the quorum before bounds nothing."""
    quorum = [at(10, (10, 11, 12, 13))]
    assert since(compute_appearance_s(quorum, CLOCK)) == 11
    with pytest.raises(ProofError):
        compute_appearance_s([at(10, (10, 11, 12, 13))], WitnessClock.under(POLICY, max_colluding=3))
    with pytest.raises(ProofError):
        compute_appearance_s(
            [replace(FIRST, cosignatures=FIRST.cosignatures[:3])],
            WitnessClock.under(make_policy(3), max_colluding=1),
        )


def test_a_report_that_names_another_checkpoint_is_refused() -> None:
    for digest in (bytes(32), seen(21), make_log(20, parts_at=19).checkpoint().digest):
        with pytest.raises(ProofError, match="none of 3 checkpoints has the digest"):
            bound_report(digest, 25, ALL, CLOCK)


def test_checkpoints_of_two_logs_are_refused() -> None:
    other = replace(THIRD, checkpoint=replace(THIRD.checkpoint, origin="other.example/log"))
    for leaf_index in (25, 35):
        with pytest.raises(ProofError, match="one log"):
            bound_report(seen(20), leaf_index, (FIRST, SECOND, other), CLOCK)
        with pytest.raises(ProofError, match="one log"):
            bound_leaf(leaf_index, (FIRST, SECOND, other), CLOCK)


def test_times_that_contradict_each_other_are_refused_beyond_the_stated_skew() -> None:
    late = at(10, (40, 41, 42, 43, 44))
    with pytest.raises(ProofError, match="more witnesses lied than may collude"):
        bound_report(seen(20), 25, (late, SECOND, THIRD), CLOCK)
    with pytest.raises(ProofError):
        bound_report(seen(20), 25, (late, SECOND, THIRD), replace(CLOCK, max_skew_s=5))
    bounds = bound_report(seen(20), 25, (late, SECOND, THIRD), replace(CLOCK, max_skew_s=6))
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (36, 37)


def test_clocks_that_differ_widen_the_bounds() -> None:
    skewed = replace(CLOCK, max_skew_s=5)
    bounds = bound_report(seen(20), 25, ALL, skewed)
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (12 - 5, 31 + 5)
    assert compute_earliest_s(at(20, (3 - NOW_S,) * 5), skewed) == 0


def test_a_time_of_zero_is_no_statement_about_time() -> None:
    silent = replace(
        THIRD,
        cosignatures=tuple(Cosignature(witness=witness, timestamp_s=0) for witness in WITNESSES[:3])
        + THIRD.cosignatures[3:],
    )
    assert since(compute_latest_s([silent], CLOCK)) == 34
    with pytest.raises(ProofError):
        compute_latest_s([silent], WitnessClock.under(POLICY, max_colluding=2))


def test_witnesses_outside_the_quorum_tell_no_time() -> None:
    inner = WitnessGroup(threshold=2, members=WITNESSES[:3])
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=inner, witnesses=WITNESSES)
    clock = WitnessClock.under(policy, max_colluding=0)
    assert since(compute_earliest_s(THIRD, clock)) == 32
    assert since(compute_latest_s([at(30, (30, 31, 32, -FAR))], clock)) == 30


def test_a_single_witness_may_be_the_clock() -> None:
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=WITNESSES[1], witnesses=WITNESSES)
    clock = WitnessClock.under(policy, max_colluding=0)
    bounds = bound_report(seen(20), 25, ALL, clock)
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (11, 31)


def test_a_policy_that_tells_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="without witnesses"):
        WitnessClock.under(LogPolicy.unwitnessed(LOG_KEY), max_colluding=0)
    nested = WitnessGroup(threshold=1, members=(WitnessGroup(threshold=1, members=WITNESSES),))
    with pytest.raises(ConfigError, match="got one of groups"):
        WitnessClock.under(LogPolicy(log_keys=(LOG_KEY,), quorum=nested), max_colluding=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_colluding": -1},
        {"max_colluding": 4},
        {"max_skew_s": -1},
        {"quorum": 0},
        {"quorum": 6},
        {"witnesses": ()},
    ],
)
def test_a_clock_under_which_nothing_could_be_bounded_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(CLOCK, **changes)  # type: ignore[arg-type]


def test_bounds_leave_some_time_between_them() -> None:
    assert TimeBounds(earliest_s=5, latest_s=5).latest_s == 5
    with pytest.raises(ProofError, match="no earlier than 6 s and no later than 5 s"):
        TimeBounds(earliest_s=6, latest_s=5)


def test_the_empty_log_is_a_tree_before_every_other() -> None:
    empty = verify_cosigned(
        make_cosigned(
            Checkpoint(origin=LOG.origin, tree_size=0, root_hash=make_log(0).root_hash()),
            NAMES,
            times=[NOW_S] * 5,
        ),
        POLICY,
    )
    assert since(bound_leaf(0, (empty, FIRST), CLOCK).earliest_s) == 0
