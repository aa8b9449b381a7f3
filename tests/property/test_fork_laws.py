"""Laws of forks: nobody honest is ever accused, and whoever shows two histories always can be."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from support.witnessed_log import NAMES, ORIGIN, make_cosigned, make_log, make_policy
from vetonet.crypto.merkle import fold_consistency, verify_consistency
from vetonet.errors import ProofError, VetonetError
from vetonet.tlog.fork import (
    EvidenceKind,
    ForkEvidence,
    build_fork_evidence,
    compute_prefix_path,
    verify_fork,
)

LARGEST = 64
HONEST = make_log(LARGEST)
POLICY = make_policy(3)
SIZES = st.integers(1, LARGEST)
HASHES = st.binary(min_size=32, max_size=32)
PAIRS = st.tuples(SIZES, SIZES).map(sorted)
CHECKPOINTS = {size: make_cosigned(HONEST.checkpoint(size), NAMES[:2]) for size in range(1, LARGEST + 1)}


def is_accused(evidence: ForkEvidence) -> bool:
    try:
        verify_fork(evidence, POLICY)
    except VetonetError:
        return False
    return True


@st.composite
def paths(draw: st.DrawFn, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """A path of the honest tree, perhaps of other sizes, with nodes replaced, moved, added or left out."""
    small, large = sorted((draw(st.sampled_from([old_size, draw(SIZES)])), new_size))
    path = list(compute_prefix_path(HONEST, small, large))
    known = st.sampled_from([HONEST.root_hash(size) for size in {old_size, new_size, small}])
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(path)))
        path[place : place + draw(st.integers(0, 1))] = draw(st.lists(HASHES | known, max_size=2))
    return tuple(draw(st.permutations(path)) if draw(st.booleans()) else path)


@settings(max_examples=400)
@given(pair=PAIRS, data=st.data())
def test_no_path_accuses_a_log_that_only_appended(pair: list[int], data: st.DataObject) -> None:
    old_size, new_size = pair
    evidence = ForkEvidence(
        kind=EvidenceKind.FORK,
        first=CHECKPOINTS[old_size],
        second=CHECKPOINTS[new_size],
        hashes=data.draw(paths(old_size, new_size))[:64],
    )
    assert not is_accused(evidence)


@settings(max_examples=200)
@given(pair=PAIRS, data=st.data())
def test_two_histories_are_always_convicted_and_only_by_who_signed_both(
    pair: list[int], data: st.DataObject
) -> None:
    old_size, new_size = pair
    forged = make_log(new_size, parts_at=data.draw(st.integers(0, old_size - 1)))
    names = [data.draw(st.sets(st.sampled_from(NAMES))) for _ in range(2)]
    evidence = build_fork_evidence(
        make_cosigned(HONEST.checkpoint(old_size), sorted(names[0])),
        make_cosigned(forged.checkpoint(), sorted(names[1])),
        compute_prefix_path(forged, old_size, new_size),
        POLICY,
    )
    fork = verify_fork(ForkEvidence.from_bytes(evidence.to_bytes()), POLICY)
    assert set(fork.culprits) == {ORIGIN} | (names[0] & names[1])


@settings(max_examples=100)
@given(pair=PAIRS, data=st.data())
def test_a_forged_node_never_survives(pair: list[int], data: st.DataObject) -> None:
    old_size, new_size = pair
    forged = make_log(new_size, parts_at=old_size - 1)
    path = compute_prefix_path(forged, old_size, new_size)
    one, other = make_cosigned(HONEST.checkpoint(old_size)), make_cosigned(forged.checkpoint())
    evidence = build_fork_evidence(one, other, path, POLICY)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        changed = (*path[:place], data.draw(HASHES.filter(lambda value: value != path[place])))
        assert not is_accused(replace(evidence, hashes=changed + path[place + 1 :]))


@settings(max_examples=200)
@given(sizes=st.lists(SIZES, min_size=2, max_size=2, unique=True).map(sorted))
def test_a_path_folds_to_the_roots_that_the_consistency_proof_connects(sizes: list[int]) -> None:
    old_size, new_size = sizes
    path = compute_prefix_path(HONEST, old_size, new_size)
    folded = fold_consistency(path, old_size=old_size, new_size=new_size)
    assert folded == (HONEST.root_hash(old_size), HONEST.root_hash(new_size))
    verify_consistency(
        old_size=old_size,
        old_root=folded[0],
        new_size=new_size,
        new_root=folded[1],
        proof=HONEST.consistency_proof(old_size, new_size).hashes,
    )


@settings(max_examples=200)
@given(pair=PAIRS, path=st.lists(HASHES, max_size=66))
def test_any_path_folds_or_is_refused(pair: list[int], path: list[bytes]) -> None:
    old_size, new_size = pair
    try:
        folded = fold_consistency(path, old_size=old_size, new_size=new_size)
    except ProofError:
        return
    assert folded[1] != HONEST.root_hash(new_size)
