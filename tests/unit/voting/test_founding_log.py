"""A founding to the log and back: what anybody judges it by who has nothing but the leaves (VN-15.11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from support.ceremony import Cast, Table, make_key, make_refresh, make_repair, make_resharing
from support.charters import Charter, hold_ceremonies, make_charter, seat
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, RefusedError
from vetonet.policy.ceremony import CeremonyComplaint, CeremonyDisclosure, CeremonyRound1, CeremonyShares
from vetonet.policy.founding import FoundingRecord, SpoiltCeremony, plan_ceremonies
from vetonet.policy.treaty import Treaty
from vetonet.tlog.log import MAX_LEAF_BYTES
from vetonet.voting.ceremony_transcript import CeremonyAbortedError
from vetonet.voting.founding import judge_spoilt, read_group, verify_founding
from vetonet.voting.founding_log import (
    choose_leaves,
    gather_ceremony,
    gather_founding,
    gather_spoilt,
    list_statements,
)

CHARTER: Charter = make_charter()
TERMS = CHARTER.terms
KEPT = hold_ceremonies()
LEAVES = list_statements(KEPT)
PLAN = plan_ceremonies(TERMS, 1)[0]
CEREMONY = PLAN.compute_digest()
SHARES = CeremonyShares(ceremony=CEREMONY, transcript=bytes(32), receiver="p2", sealed=bytes(100))


def derive(kept: FoundingRecord) -> Treaty:
    plans = plan_ceremonies(TERMS, kept.attempt)
    return TERMS.to_treaty(
        read_group(plan, part.statements) for plan, part in zip(plans, kept.transcripts, strict=True)
    )


TREATY = derive(KEPT)


def list_two_faces() -> tuple[bytes, bytes]:
    """Return two different round-1 statements that ``p2`` signed for one ceremony."""
    tables = (seat(CHARTER, 0), Table.seat(seat(CHARTER, 0).cast, seed=b"again"))
    first, second = (next(data for who, _, data in t.under_way if who == "p2") for t in tables)
    return first, second


def in_other_orders(leaves: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    yield tuple(leaves)
    yield tuple(reversed(leaves))
    yield tuple(sorted(leaves, key=len))


def test_a_founding_follows_from_the_leaves_of_its_log_alone() -> None:
    # VN-15.11, VN-3.5
    noise = (sign(TERMS, CHARTER.keys["p1"]), b"", b"no statement")
    for leaves in in_other_orders(LEAVES):
        verify_founding(TREATY, gather_founding(TREATY, (*noise, *leaves, *leaves)))
    assert gather_founding(TREATY, LEAVES) == KEPT


def test_of_two_attempts_the_one_that_gave_the_treaty_is_found() -> None:
    other = hold_ceremonies(2)
    for leaves in in_other_orders((*list_statements(other), *LEAVES)):
        assert gather_founding(TREATY, leaves).attempt == 1
        assert gather_founding(derive(other), leaves).attempt == 2


def test_a_log_without_a_founding_is_refused() -> None:
    # VN-15.11
    stranger = make_charter("Other Treaty").terms
    foreign = replace(TREATY, name=stranger.name)
    for treaty, leaves in ((TREATY, ()), (TREATY, (b"leaf",)), (foreign, LEAVES)):
        with pytest.raises(RefusedError, match="nothing of the founding"):
            gather_founding(treaty, leaves)


@pytest.mark.parametrize("dropped", range(len(LEAVES)))
def test_a_founding_without_any_one_leaf_names_who_is_silent(dropped: int) -> None:
    # VN-15.7
    leaves = LEAVES[:dropped] + LEAVES[dropped + 1 :]
    with pytest.raises(CeremonyAbortedError) as caught:
        verify_founding(TREATY, gather_founding(TREATY, leaves))
    assert (caught.value.verdict.culprits, len(caught.value.verdict.silent)) == ((), 1)


@pytest.mark.parametrize("place", [0, 50, 100, -1])
def test_an_altered_leaf_counts_as_one_that_is_not_there(place: int) -> None:
    altered = bytearray(LEAVES[0])
    altered[place] ^= 1
    with pytest.raises(CeremonyAbortedError):
        verify_founding(TREATY, gather_founding(TREATY, (bytes(altered), *LEAVES[1:])))


def test_the_ceremony_of_one_group_alone_is_no_founding() -> None:
    kept = gather_founding(TREATY, KEPT.transcripts[1].statements)
    assert [len(part.statements) for part in kept.transcripts] == [0, len(KEPT.transcripts[1].statements)]
    with pytest.raises(CeremonyAbortedError):
        verify_founding(TREATY, kept)


def test_another_key_than_the_treaty_has_is_found_out() -> None:
    leaves = list_statements(hold_ceremonies(2))
    with pytest.raises(EncodingError, match="another group"):
        verify_founding(TREATY, gather_founding(TREATY, leaves))


@pytest.mark.parametrize("signer", ["p4", "stranger"])
def test_a_statement_of_somebody_who_took_no_part_is_passed_over(signer: str) -> None:
    # VN-15.1
    key = CHARTER.keys.get(signer) or make_key(signer)
    foreign = sign(CeremonyRound1(ceremony=CEREMONY, packages=(), hpke_keys=()), key)
    assert gather_founding(TREATY, (foreign, *LEAVES)) == KEPT
    assert gather_spoilt(TERMS, (foreign,)) == ()


def test_a_disclosure_of_what_is_no_participant_s_is_passed_over() -> None:
    own = CHARTER.keys["p1"]
    within = sign(CeremonyDisclosure(ceremony=CEREMONY, statements=(LEAVES[0],)), own)
    for inner in (b"no statement", within, KEPT.transcripts[1].statements[0]):
        data = sign(CeremonyDisclosure(ceremony=CEREMONY, statements=(inner,)), own)
        assert gather_founding(TREATY, (data, *LEAVES)) == KEPT


def test_what_comes_after_everybody_is_done_does_not_undo_a_founding() -> None:
    # VN-15.11
    complaint = CeremonyComplaint(ceremony=CEREMONY, hpke_seeds=(bytes(32),), sealed=(b"sealed",))
    late = (*list_two_faces(), sign(complaint, CHARTER.keys["p1"]))
    verify_founding(TREATY, gather_founding(TREATY, (*LEAVES, *late)))
    with pytest.raises(CeremonyAbortedError, match="p2: signed two different"):
        verify_founding(TREATY, gather_founding(TREATY, (*late, *LEAVES)))


def test_who_spoilt_a_ceremony_is_named_from_the_leaves() -> None:
    # VN-15.4, VN-15.11
    spoilt = SpoiltCeremony(attempt=1, group=0, statements=list_two_faces())
    other = list_statements(hold_ceremonies(2))
    (found,) = gather_spoilt(TERMS, (*other, *list_statements(spoilt)))
    assert (found.attempt, found.group) == (1, 0)
    verdict = judge_spoilt(TERMS, found)
    assert verdict is not None
    assert verdict.culprits == ("p2",)


def test_a_log_that_lacks_a_word_has_a_ceremony_without_a_group_and_no_culprit() -> None:
    (found,) = gather_spoilt(TERMS, LEAVES[1:])
    verdict = judge_spoilt(TERMS, found)
    assert verdict is not None
    assert (verdict.culprits, len(verdict.silent)) == ((), 1)


def test_a_ceremony_that_gave_its_group_is_none_that_was_spoilt() -> None:
    assert gather_spoilt(TERMS, LEAVES) == ()


@pytest.mark.parametrize("make_cast", [make_resharing, make_refresh, make_repair])
def test_a_handover_is_judged_from_the_log_by_whoever_has_its_plan(make_cast: Callable[[], Cast]) -> None:
    # VN-15.11, VN-15.8
    cast = make_cast()
    assert cast.plan.handover is not None
    transcript = Table.seat(cast).run().finishes["p1"].transcript
    leaves = (*LEAVES, *choose_leaves(transcript))
    for ordered in in_other_orders(leaves):
        group = read_group(cast.plan, gather_ceremony(cast.plan, ordered))
        assert group.group_public_key == cast.plan.handover.package.group_public_key
    with pytest.raises(CeremonyAbortedError):
        read_group(cast.plan, gather_ceremony(cast.plan, leaves[:-1]))
    assert gather_ceremony(cast.plan, LEAVES) == ()


def test_what_is_sealed_is_never_a_leaf() -> None:
    # VN-15.11
    sealed = sign(SHARES, CHARTER.keys["p1"])
    assert choose_leaves((sealed, LEAVES[0], LEAVES[0])) == LEAVES[:1]


def test_a_disclosure_too_large_for_a_leaf_gives_what_it_discloses() -> None:
    # VN-15.11
    large = replace(SHARES, sealed=bytes(MAX_LEAF_BYTES))
    inner = (LEAVES[0], sign(large, CHARTER.keys["p2"]), LEAVES[1])
    data = sign(CeremonyDisclosure(ceremony=CEREMONY, statements=inner), CHARTER.keys["p1"])
    assert choose_leaves((data,)) == LEAVES[:2]


def test_a_statement_too_large_for_a_leaf_is_refused() -> None:
    packages = (bytes(4_000),) * 20
    large = sign(CeremonyRound1(ceremony=CEREMONY, packages=packages, hpke_keys=()), CHARTER.keys["p1"])
    with pytest.raises(RefusedError, match="a leaf has at most 65535"):
        choose_leaves((large,))


@pytest.mark.parametrize("data", [b"", b"leaf", sign(TERMS, CHARTER.keys["p1"])])
def test_what_is_no_statement_of_a_ceremony_is_no_leaf_of_one(data: bytes) -> None:
    with pytest.raises(EncodingError):
        choose_leaves((data,))
