"""The log as the clock: bounds that hold whatever f witnesses write, and break with one more (VN-11.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.witnessed_log import LOG_KEY, NAMES, make_cosigned, make_log, make_policy
from vetonet.errors import ConfigError, ProofError
from vetonet.tlog.clock import (
    TimeBounds,
    WitnessClock,
    bound_leaf,
    bound_report,
    compute_appearance_s,
    compute_earliest_s,
    compute_latest_s,
)
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned

COUNT, QUORUM, COLLUDING = 5, 4, 2
POLICY = make_policy(QUORUM)
CLOCK = WitnessClock.under(POLICY, max_colluding=COLLUDING)
ANY_LINES = replace(POLICY, quorum=None)
START_S, STEP_S = 1_000, 10
HONEST, LIARS = NAMES[:3], NAMES[3:]
LOG = make_log(20)


def at(number: int) -> int:
    """When the tree first had ``number`` leaves."""
    return START_S + STEP_S * number


def see(size: int, times: Mapping[str, int]) -> CosignedCheckpoint:
    """The checkpoint of this size with the lines of these witnesses."""
    names = [name for name in NAMES if name in times]
    data = make_cosigned(LOG.checkpoint(size), names, times=[times[name] for name in names])
    return verify_cosigned(data, ANY_LINES)


def see_all(*sizes: int, names: tuple[str, ...] = NAMES) -> list[CosignedCheckpoint]:
    """Each tree cosigned by all of these at its time."""
    return [see(size, dict.fromkeys(names, at(size))) for size in sizes]


# --- bounds that hold ---------------------------------------------------------------------------------------


def test_with_everybody_honest_the_bounds_are_the_checkpoints_times() -> None:
    story = see_all(*range(1, 10))
    named = story[3].checkpoint.digest
    assert bound_report(named, 6, story, CLOCK) == TimeBounds(earliest_s=at(3), latest_s=at(7))
    assert bound_leaf(6, story, CLOCK) == TimeBounds(earliest_s=at(6), latest_s=at(7))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_truth_is_within_the_bounds_whatever_two_of_five_witnesses_write(data: st.DataObject) -> None:
    """Honest witnesses come and go and cosign a quiet log again; liars write what they like, whenever."""
    count = data.draw(st.integers(3, 7))
    lies = st.integers(1, 3 * at(count))
    story: list[CosignedCheckpoint] = []
    for size in range(1, count + 1):
        present = data.draw(st.lists(st.sampled_from(HONEST), unique=True, min_size=2))
        for wait in data.draw(st.sampled_from([(0,), (0, 4), (0, 3, 9)])):
            times = dict.fromkeys(present, at(size) + wait)
            times |= {name: data.draw(lies) for name in LIARS}
            story.append(see(size, times))
    named = data.draw(st.integers(2, count - 1))
    leaf_index = data.draw(st.integers(named, count - 1))
    shuffled = data.draw(st.permutations(story))
    try:
        digest = LOG.checkpoint(named).digest
        bounds = bound_report(digest, leaf_index, shuffled, CLOCK)
    except ProofError as error:
        assume("at least" not in str(error))  # too few cosigned for any bound
        raise
    # The report may have been made as soon as its checkpoint was there, its leaf logged at the last moment.
    assert bounds.earliest_s <= at(named)
    assert bounds.latest_s >= at(leaf_index + 1)


def test_a_quiet_logs_later_lines_do_not_move_a_reports_lower_bound() -> None:
    """The digest that a report names does not cover them: else an honest report would look backdated."""
    story = [*see_all(1, 2), see(2, dict.fromkeys(NAMES, at(2) + 5_000)), see(3, dict.fromkeys(NAMES, 8_000))]
    bounds = bound_report(LOG.checkpoint(2).digest, 2, story, CLOCK)
    assert bounds == TimeBounds(earliest_s=at(1), latest_s=8_000)
    assert compute_earliest_s(story[2], CLOCK) == at(2) + 5_000


# --- and are tight ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("liars", "holds"), [(COLLUDING, True), (COLLUDING + 1, False)])
def test_the_lower_bound_withstands_f_liars_and_not_one_more(liars: int, *, holds: bool) -> None:
    """The chip's quorum of the second tree is the liars and the first honest ones; the last was cut off."""
    times = dict.fromkeys(NAMES, at(1)) | dict.fromkeys(NAMES[:liars], 9_999)
    assert (compute_earliest_s(see(1, times), CLOCK) == at(1)) is holds
    late = see(1, times | {NAMES[-1]: 9_000})
    assert (compute_appearance_s([late], CLOCK) == at(1)) is holds


@pytest.mark.parametrize(("liars", "holds"), [(COLLUDING, True), (COLLUDING + 1, False)])
def test_the_upper_bound_withstands_f_liars_and_not_one_more(liars: int, *, holds: bool) -> None:
    times = dict.fromkeys(NAMES, at(5)) | dict.fromkeys(NAMES[:liars], 1)
    assert (compute_latest_s([see(5, times)], CLOCK) == at(5)) is holds


def test_one_witness_that_signs_often_counts_once() -> None:
    often = [see(size, {NAMES[0]: 1}) for size in range(5, 9)]
    with pytest.raises(ProofError, match="3 witnesses"):
        compute_latest_s(often, CLOCK)
    with pytest.raises(ProofError, match="4 witnesses"):
        compute_appearance_s(often, CLOCK)


def test_the_clock_can_be_told_how_far_honest_clocks_are_apart() -> None:
    clock = replace(CLOCK, max_skew_s=7)
    story = see_all(1, 2, 3)
    bounds = bound_leaf(1, story, clock)
    assert bounds == TimeBounds(earliest_s=at(1) - 7, latest_s=at(2) + 7)


# --- what is refused ----------------------------------------------------------------------------------------


def test_times_that_leave_no_room_say_that_too_many_lied() -> None:
    story = [*see_all(1), see(2, dict.fromkeys(NAMES, at(1) - 50))]
    with pytest.raises(ProofError, match="witnesses lied"):
        bound_leaf(1, story, CLOCK)


def test_a_digest_that_no_checkpoint_has_is_refused() -> None:
    with pytest.raises(ProofError, match="none of 2 checkpoints has the digest"):
        bound_report(bytes(32), 1, see_all(1, 2), CLOCK)


def test_a_leaf_that_no_tree_holds_or_precedes_has_no_bounds() -> None:
    with pytest.raises(ProofError, match="expected cosignatures of 3 witnesses"):
        bound_leaf(5, see_all(1, 2), CLOCK)
    with pytest.raises(ProofError, match="expected cosignatures of smaller trees"):
        bound_leaf(0, see_all(1, 2), CLOCK)


def test_lines_of_witnesses_that_do_not_count_tell_no_time() -> None:
    clock = WitnessClock.under(make_policy(2, count=3), max_colluding=1)
    story = [see(1, {NAMES[4]: 5, NAMES[3]: 5}), see(2, {NAMES[4]: 5, NAMES[3]: 5})]
    with pytest.raises(ProofError):
        bound_leaf(1, story, clock)


def test_checkpoints_of_two_logs_are_refused() -> None:
    (one,) = see_all(1)
    other = replace(one, checkpoint=replace(one.checkpoint, origin="other.example"))
    with pytest.raises(ProofError, match="one log"):
        bound_leaf(1, [one, other], CLOCK)


@pytest.mark.parametrize(
    "changes", [{"max_colluding": 4}, {"max_colluding": -1}, {"quorum": 6}, {"max_skew_s": -1}]
)
def test_a_clock_that_could_bound_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(CLOCK, **changes)


def test_a_log_without_witnesses_tells_no_time() -> None:
    with pytest.raises(ConfigError, match="no time"):
        WitnessClock.under(LogPolicy.unwitnessed(LOG_KEY), max_colluding=0)
