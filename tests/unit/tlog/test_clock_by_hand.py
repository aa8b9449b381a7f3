"""The clock in numbers that can be followed by hand: single lies, quiet logs, odd policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.witnessed_log import LOG_KEY, NAMES, NOW_S, WITNESSES, make_cosigned, make_log, make_policy
from vetonet.errors import ConfigError, ProofError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.clock import (
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


def test_one_liar_more_moves_every_bound_past_the_truth() -> None:
    """The bounds are tight: two of five agree on a time, where one may lie."""
    contained_by = 22  # whoever holds these lines made it at +22, right after the honest ones
    assert since(compute_earliest_s(at(20, (FAR, FAR, 21, 22)), CLOCK)) == FAR > contained_by
    named_by = 23  # the chip saw all five lines of the larger tree
    demanding = WitnessClock.under(make_policy(5), max_colluding=1)
    assert since(compute_appearance_s([at(10, (FAR, FAR, 12, 13, 14))], demanding)) == FAR > named_by
    existed_at = 30
    assert since(compute_latest_s([at(30, (-FAR, -FAR, 32, 33, 34))], CLOCK)) == -FAR < existed_at


def test_later_cosignatures_of_the_tree_before_move_the_bound_closer() -> None:
    """As long as a smaller tree is the newest, nothing can name a larger one."""
    again = at(10, (19, 19, 19, 19, 19))
    assert since(bound_report(seen(20), 25, (*ALL, again), CLOCK).earliest_s) == 19


@pytest.mark.parametrize("colluding", range(4))
@pytest.mark.parametrize("quorum", range(1, 6))
def test_a_quorum_of_smaller_trees_bounds_exactly_where_split_views_are_excluded(
    quorum: int, colluding: int
) -> None:
    """2k - n > f, for every k and f of five."""
    if colluding >= quorum:
        return
    clock = WitnessClock.under(make_policy(quorum), max_colluding=colluding)
    smaller = [replace(FIRST, cosignatures=FIRST.cosignatures[:quorum])]
    if 2 * quorum - 5 > colluding:
        assert since(compute_appearance_s(smaller, clock)) in range(10, 15)
    else:
        with pytest.raises(ProofError, match="expected cosignatures of smaller trees by"):
            compute_appearance_s(smaller, clock)


def test_times_that_contradict_each_other_are_refused_beyond_the_stated_skew() -> None:
    late = at(10, (40, 41, 42, 43, 44))
    with pytest.raises(ProofError, match="more witnesses lied than may collude"):
        bound_report(seen(20), 25, (late, SECOND, THIRD), CLOCK)
    with pytest.raises(ProofError):
        bound_report(seen(20), 25, (late, SECOND, THIRD), replace(CLOCK, max_skew_s=5))
    bounds = bound_report(seen(20), 25, (late, SECOND, THIRD), replace(CLOCK, max_skew_s=6))
    assert (since(bounds.earliest_s), since(bounds.latest_s)) == (36, 37)


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
