"""Spot checks: what was committed to, chosen without bias, and computed again within a tolerance (VN-19)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from support.inspecting import DIGITS, Scene
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProofError, VerificationError
from vetonet.policy.segments import (
    WHOLE_WAY,
    RevealedSegment,
    Salted,
    Tolerance,
    Transcript,
    build_segment_tree,
    build_transcript,
    verify_segment,
)
from vetonet.policy.transcript import choose_segments

SCENE = Scene.begin()
TRANSCRIPT = build_transcript(DIGITS, DIGITS[1:], SeededRng(b"transcript"))
COMMITTED = SCENE.commit_transcript(TRANSCRIPT)


def replay(start: bytes, batch: bytes) -> bytes:
    """Compute a made-up segment again: its batch is the state that it ends in."""
    del start
    return batch


def measure(start: bytes, claimed: bytes, computed: bytes) -> int:
    del start
    return abs(claimed[0] - computed[0])


def verify(index: int, revealed: RevealedSegment, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "replay": replay,
        "measure": measure,
        "tolerance": Tolerance(max_parts=0),
    }
    verify_segment(COMMITTED, index, revealed, **(arguments | changes))


@pytest.mark.parametrize("index", [0, 5, 11])
def test_an_honest_segment_holds(index: int) -> None:
    verify(index, TRANSCRIPT.reveal(index))


def test_another_state_batch_or_salt_than_was_committed_to_is_refused() -> None:
    # VN-19.8: commit first, so that nothing can be made up once chance has chosen.
    shown = TRANSCRIPT.reveal(3)
    other = Salted(content=b"\x09" * 40, salt=shown.start.salt)
    for changed in (
        replace(shown, start=other),
        replace(shown, batch=other),
        replace(shown, end=other),
        replace(shown, end=replace(shown.end, salt=bytes(32))),
        replace(shown, segment=replace(shown.segment, end=other.compute_state_digest()), end=other),
    ):
        with pytest.raises(ProofError):
            verify(3, changed)


def test_a_segment_is_not_another_ones() -> None:
    # VN-19.8
    with pytest.raises(ProofError, match="expected segment 4"):
        verify(4, TRANSCRIPT.reveal(3))
    with pytest.raises(ProofError):
        verify(4, replace(TRANSCRIPT.reveal(4), proof=TRANSCRIPT.reveal(3).proof))


def test_segments_that_are_each_computed_well_but_are_not_one_run_are_refused() -> None:
    # VN-19.8: substituted weights; each segment holds by itself, and the next begins elsewhere.
    segments = list(TRANSCRIPT.list_segments())
    foreign = Salted(content=b"\x63" * 40, salt=bytes(32))
    segments[4] = replace(segments[4], start=foreign.compute_state_digest())
    tree = build_segment_tree(segments)
    shown = TRANSCRIPT.reveal_from(segments, tree, 3)
    broken = replace(COMMITTED, root=tree.root_hash())
    with pytest.raises(ProofError, match="does not begin where"):
        verify_segment(broken, 3, shown, replay=replay, measure=measure, tolerance=Tolerance(max_parts=0))


@pytest.mark.parametrize(("field", "index"), [("start", 0), ("end", 11)])
def test_a_part_that_is_said_to_begin_or_end_elsewhere_is_refused(field: str, index: int) -> None:
    # VN-19.6
    elsewhere = replace(COMMITTED, **{field: bytes(32)})  # type: ignore[arg-type]
    with pytest.raises(ProofError, match="where its part is said to"):
        verify_segment(
            elsewhere,
            index,
            TRANSCRIPT.reveal(index),
            replay=replay,
            measure=measure,
            tolerance=Tolerance(max_parts=0),
        )


def test_a_segment_without_the_one_behind_it_is_refused() -> None:
    # VN-19.8
    with pytest.raises(ProofError, match="the one behind it"):
        verify(3, replace(TRANSCRIPT.reveal(3), following=None))
    last = replace(TRANSCRIPT.reveal(11), following=TRANSCRIPT.reveal(3).following)
    with pytest.raises(ProofError, match="the last with none"):
        verify(11, last)
    skipped = replace(TRANSCRIPT.reveal(3), following=TRANSCRIPT.reveal(4).following)
    with pytest.raises(ProofError):
        verify(3, skipped)


def test_a_segment_that_computing_again_does_not_give_is_named_with_its_operator() -> None:
    # VN-19.8
    def off(start: bytes, batch: bytes) -> bytes:
        return bytes([replay(start, batch)[0] + 4]) * 40

    verify(3, TRANSCRIPT.reveal(3), replay=off, tolerance=Tolerance(max_parts=4))
    with pytest.raises(VerificationError) as caught:
        verify(3, TRANSCRIPT.reveal(3), replay=off, tolerance=Tolerance(max_parts=3))
    (problem,) = caught.value.problems
    assert (problem.reason, problem.culprit) == ("spot-check-failed", "op1")


@pytest.mark.parametrize("parts", [-1, WHOLE_WAY])
def test_a_tolerance_that_lets_everything_pass_is_refused(parts: int) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        Tolerance(max_parts=parts)


def test_a_transcript_has_one_state_more_than_batches() -> None:
    for states, batches in ((DIGITS, DIGITS), (DIGITS[:1], ())):
        with pytest.raises(ValueError, match="one state more"):
            build_transcript(states, batches, SeededRng(b"x"))


def test_nothing_of_a_run_is_in_a_leaf_or_a_repr() -> None:
    transcript = build_transcript((b"weights one", b"weights two"), (b"a batch",), SeededRng(b"y"))
    (segment,) = transcript.list_segments()
    for secret in (b"weights one", b"a batch", transcript.states[0].salt):
        assert secret not in segment.to_bytes()
        assert repr(secret)[2:-1] not in repr((transcript, transcript.reveal(0), transcript.states))


def test_the_same_run_with_other_salts_has_other_leaves() -> None:
    other = build_transcript(DIGITS, DIGITS[1:], SeededRng(b"other salts"))
    assert {s.start for s in other.list_segments()}.isdisjoint(s.start for s in TRANSCRIPT.list_segments())


# ---------------------------------------------------------------- chance


def test_the_choice_follows_from_the_draw_and_from_nothing_else() -> None:
    # VN-19.7
    assert choose_segments(b"one", 1000, 30) == choose_segments(b"one", 1000, 30)
    assert choose_segments(b"one", 1000, 30) != choose_segments(b"two", 1000, 30)


@pytest.mark.parametrize(("count", "samples"), [(1, 1), (12, 3), (12, 12), (12, 40), (2**32, 64)])
def test_no_segment_is_chosen_twice_and_none_that_there_is_not(count: int, samples: int) -> None:
    # VN-19.7
    chosen = choose_segments(b"draw", count, samples)
    assert len(chosen) == len(set(chosen)) == min(count, samples)
    assert list(chosen) == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < count


def test_every_segment_is_chosen_equally_often() -> None:
    # VN-19.7: without the bias of a modulus; chi-squared of 9 cells at 99.99 %.
    drawn = Counter(index for number in range(3000) for index in choose_segments(b"draw %d" % number, 9, 2))
    expected = 6000 / 9
    assert sum((drawn[index] - expected) ** 2 / expected for index in range(9)) < 31.8
    assert set(drawn) == set(range(9))


def test_every_pair_of_segments_is_chosen_equally_often() -> None:
    # Floyd's algorithm gives all subsets the same chance, not only all elements.
    pairs = Counter(choose_segments(b"pair %d" % number, 5, 2) for number in range(3000))
    assert len(pairs) == 10
    assert sum((count - 300) ** 2 / 300 for count in pairs.values()) < 33.7


def test_a_leaf_out_of_range_is_no_leaf() -> None:
    (segment, *_) = TRANSCRIPT.list_segments()
    with pytest.raises(EncodingError):
        replace(segment, index=2**33).to_bytes()
    assert isinstance(TRANSCRIPT, Transcript)
