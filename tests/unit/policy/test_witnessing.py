"""The arithmetic against split views: 2k - n > f, refused where it fails, and tight (VN-3.4)."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from support.world import make_council
from vetonet.crypto.keys import generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import UnknownPartyError
from vetonet.policy.treaty import Treaty
from vetonet.policy.witnessing import (
    Witness,
    compute_overlap,
    compute_smallest_quorum,
    verify_witnessing,
)

RNG = SeededRng(b"witnessing")
TREATY = make_council(7, 5).treaty.statement
WITNESSES = TREATY.witnesses
CASES = [(n, k, f) for n in range(1, 8) for k in range(1, n + 1) for f in range(n + 1)]


def can_split(count: int, quorum: int, colluding: int) -> bool:
    """Whether two quorums exist that share no more witnesses than collude: counted out, not computed."""
    quorums = list(combinations(range(count), quorum))
    return any(len(set(one) & set(other)) <= colluding for one in quorums for other in quorums)


@pytest.mark.parametrize(("count", "quorum", "colluding"), CASES)
def test_a_quorum_is_refused_exactly_where_two_of_them_can_vouch_for_two_histories(
    count: int, quorum: int, colluding: int
) -> None:
    """VN-3.4: the bound is tight in both directions."""
    if can_split(count, quorum, colluding):
        with pytest.raises(ValueError, match="expected 2k - n > f"):
            verify_witnessing(WITNESSES[:count], quorum, colluding)
    else:
        verify_witnessing(WITNESSES[:count], quorum, colluding)


@pytest.mark.parametrize(("count", "quorum"), [(n, k) for n in range(1, 8) for k in range(1, n + 1)])
def test_the_overlap_is_the_smallest_that_any_two_quorums_share(count: int, quorum: int) -> None:
    quorums = list(combinations(range(count), quorum))
    shared = min(len(set(one) & set(other)) for one in quorums for other in quorums)
    assert compute_overlap(count, quorum) == shared


@pytest.mark.parametrize(("count", "colluding"), [(n, f) for n in range(1, 8) for f in range(n)])
def test_the_smallest_quorum_is_the_smallest_that_is_not_refused(count: int, colluding: int) -> None:
    allowed = [k for k in range(1, count + 1) if not can_split(count, k, colluding)]
    smallest = compute_smallest_quorum(count, colluding)
    assert smallest == min(allowed) if allowed else smallest > count


def test_a_treaty_without_witnesses_is_refused() -> None:
    """VN-3.4: no electorate, no trust."""
    with pytest.raises(ValueError, match="expected 2k - n > f"):
        replace(TREATY, witnesses=(), witness_quorum=0, max_colluding=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"witness_quorum": 4}, "it takes k = 5", id="too small a quorum"),
        pytest.param({"max_colluding": 3}, "it takes k = 6", id="more colluders than it withstands"),
        pytest.param({"max_colluding": 7}, "more witnesses", id="more than any quorum withstands"),
        pytest.param({"witness_quorum": 8}, "at most the 7 witnesses", id="more than there are"),
    ],
)
def test_a_treaty_whose_witnesses_could_be_split_is_refused_with_the_way_out(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TREATY, **changes)


def test_one_party_cannot_run_two_witnesses() -> None:
    twice = (replace(WITNESSES[0], party_id="p2"), *WITNESSES[1:])
    with pytest.raises(ValueError, match="count twice"):
        replace(TREATY, witnesses=twice)


@pytest.mark.parametrize(
    ("witness", "message"),
    [
        pytest.param(replace(WITNESSES[0], name=WITNESSES[1].name), "a name stands twice", id="a name"),
        pytest.param(
            replace(WITNESSES[0], name=TREATY.log_origin), "a name stands twice", id="the log's name"
        ),
        pytest.param(replace(WITNESSES[0], key=WITNESSES[1].key), "one key stands", id="a key"),
        pytest.param(replace(WITNESSES[0], key=TREATY.log_key), "one key stands", id="the log's key"),
        pytest.param(replace(WITNESSES[0], party_id="p9"), "no party of the roster", id="a stranger"),
    ],
)
def test_a_witness_that_is_somebody_else_too_is_refused(witness: Witness, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TREATY, witnesses=(witness, *WITNESSES[1:]))


@pytest.mark.parametrize("name", ["two words", "a+b", "tab\there", "x" * 256])
def test_a_name_that_cannot_stand_in_a_note_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a witness name"):
        replace(WITNESSES[0], name=name)
    with pytest.raises(ValueError, match="expected a log name"):
        replace(TREATY, log_origin=name)


def test_a_witness_on_another_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="Ed25519 key of witness"):
        Witness(name="w.example/1", key=generate_ecdsa(RNG).public_key)


def test_a_partys_witness_is_found_and_a_partys_without_one_is_not() -> None:
    assert TREATY.find_witness_of("p3").party_id == "p3"
    alone = replace(WITNESSES[0], party_id=None)
    with pytest.raises(UnknownPartyError, match="witness of party"):
        replace(TREATY, witnesses=(alone, *WITNESSES[1:])).find_witness_of("p1")


def test_a_treaty_with_a_witness_nobody_runs_survives_its_own_bytes() -> None:
    outside = Witness(name="w.example/outside", key=generate_ed25519(RNG).public_key)
    treaty = replace(TREATY, witnesses=(*WITNESSES, outside), witness_quorum=6)
    assert Treaty.from_bytes(treaty.to_bytes()) == treaty
