"""Proposals: an operator's own, for this treaty, with times and ceilings that fit (VN-5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.world import NOW_MS, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest, sign
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, EpochError, RefusedError, UnknownPartyError, VetonetError
from vetonet.policy.proposal import (
    Proposal,
    compute_linked_flop,
    open_proposal,
    verify_band,
    verify_treaty_reference,
)
from vetonet.units import MAX_FLOP

COUNCIL = make_council(3, 2)
TREATY = COUNCIL.treaty
PROPOSAL = COUNCIL.propose()
E24 = 10**24


def licensed(*proposals: Proposal) -> dict[bytes, Proposal]:
    return {compute_digest(proposal): proposal for proposal in proposals}


def of_total(total_flop: int, owner: str, *lineage: Proposal) -> Proposal:
    return COUNCIL.propose(
        total_flop=total_flop,
        per_device_flop=total_flop,
        lease_flop=1,
        beneficial_owner=owner,
        lineage=tuple(map(compute_digest, lineage)),
    )


@pytest.mark.parametrize("operator_id", ["op1", "op2"])
def test_an_operators_own_proposal_opens(operator_id: str) -> None:
    signed = COUNCIL.sign_proposal(operator_id=operator_id)
    assert signed.signer == COUNCIL.operator_keys[operator_id].public_key
    assert open_proposal(signed.data, TREATY) == signed


@pytest.mark.parametrize(
    "signer", [COUNCIL.party_keys["p1"], COUNCIL.log_key, COUNCIL.endorser_root, COUNCIL.device_keys[0]]
)
def test_a_proposal_by_anybody_else_is_refused(signer: Any) -> None:
    # VN-2.2
    with pytest.raises(UnknownPartyError):
        open_proposal(sign(PROPOSAL, signer), TREATY)


def test_a_proposal_in_another_operators_name_is_refused_and_its_signer_named() -> None:
    # VN-5.2
    data = sign(replace(PROPOSAL, operator_id="op1"), COUNCIL.operator_keys["op2"])
    with pytest.raises(RefusedError) as caught:
        open_proposal(data, TREATY)
    assert (caught.value.culprit, caught.value.clause) == ("op2", "VN-5.2")


def test_a_proposal_in_nobodys_name_is_refused() -> None:
    data = sign(replace(PROPOSAL, operator_id="op9"), COUNCIL.operator_keys["op2"])
    with pytest.raises(RefusedError) as caught:
        open_proposal(data, TREATY)
    assert caught.value.culprit == "op2"


@pytest.mark.parametrize("changes", [{"treaty_digest": bytes(32)}, {"epoch": 0}, {"epoch": 2}])
def test_a_proposal_under_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.4
    changed = replace(PROPOSAL, **changes)
    with pytest.raises(EpochError) as caught:
        open_proposal(sign(changed, COUNCIL.operator_keys["op1"]), TREATY)
    assert caught.value.clause == "VN-2.4"
    with pytest.raises(EpochError):
        verify_treaty_reference(changed, TREATY)


def test_a_proposal_under_the_same_treaty_of_another_council_is_refused() -> None:
    other = make_council(3, 2, rng=SeededRng(b"other"))
    with pytest.raises(VetonetError):
        open_proposal(COUNCIL.sign_proposal().data, other.treaty)


def test_a_window_may_be_as_long_as_the_treaty_allows_and_no_longer() -> None:
    # VN-5.3
    longest = TREATY.statement.window_ms
    times: dict[str, Any] = {"starts_ms": NOW_MS + 2 * longest, "ends_ms": NOW_MS + 3 * longest}
    COUNCIL.sign_proposal(closes_ms=NOW_MS + longest, **times)
    with pytest.raises(RefusedError, match=f"at most {longest} ms, got {longest + 1} ms") as caught:
        COUNCIL.sign_proposal(opens_ms=NOW_MS - 1, closes_ms=NOW_MS + longest, **times)
    assert (caught.value.culprit, caught.value.clause) == ("op1", "VN-5.3")


OPENS, CLOSES = PROPOSAL.opens_ms, PROPOSAL.closes_ms
STARTS, ENDS = PROPOSAL.starts_ms, PROPOSAL.ends_ms


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"closes_ms": OPENS}, "opens < closes", id="no window"),
        pytest.param({"closes_ms": OPENS - 1000}, "opens < closes", id="closes before it opens"),
        pytest.param({"closes_ms": STARTS + 1000}, "opens < closes", id="starts before the close"),
        pytest.param({"ends_ms": STARTS}, f"in ms, got {OPENS}, {CLOSES}, {STARTS}, {STARTS}$", id="no run"),
        pytest.param({"ends_ms": STARTS - 1000}, "opens < closes", id="ends before it starts"),
        pytest.param({"closes_ms": CLOSES + 1}, "whole seconds", id="closes within a second"),
        pytest.param({"starts_ms": STARTS + 999}, "whole seconds", id="starts within a second"),
        pytest.param({"ends_ms": ENDS + 500}, "whole seconds", id="ends within a second"),
        pytest.param({"per_device_flop": 0}, "ceiling", id="no FLOP"),
        pytest.param({"per_device_flop": 0, "total_flop": 0}, "ceiling", id="no FLOP at all"),
        pytest.param({"per_device_flop": 5 * E24}, "ceiling", id="a chip above the total"),
        pytest.param({"total_flop": 4 * E24 + 1}, "ceiling", id="total above all chips"),
        pytest.param({"device_count": 3}, "ceiling", id="too few chips"),
        pytest.param({"device_count": 0}, "ceiling", id="no chips"),
        pytest.param({"lineage": (bytes(32), bytes(32))}, "twice", id="parent twice"),
    ],
)
def test_times_and_ceilings_that_do_not_fit_are_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-5.1
    with pytest.raises(ValueError, match=reason):
        replace(PROPOSAL, **changes)


def test_times_and_ceilings_may_touch() -> None:
    # VN-5.1
    replace(PROPOSAL, starts_ms=CLOSES, opens_ms=CLOSES - 1)
    replace(PROPOSAL, device_count=1, per_device_flop=4 * E24)
    replace(PROPOSAL, total_flop=E24)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (1, bytes(31)),
        (2, 2**32 + 1),
        (3, ""),
        (4, "\u202eowner"),
        (5, "TRAINING"),
        (6, "bf8"),
        (7, MAX_FLOP + 1),
        (7, 4 * E24 + 1),
        (8, -1),
        (9, bytes(33)),
        (10, 2**32 + 1),
        (11, 2**48 + 1),
        (14, ENDS + 1),
        (15, b""),
        (16, [bytes(32)] * 2),
        (16, [bytes(32 - i) + bytes([i]) * i for i in range(17)]),
        (17, bytes(15)),
        (18, 0),
        (0, 0),
        (-1, 0),
    ],
)
def test_a_malformed_proposal_is_refused(label: int, value: object) -> None:
    with pytest.raises(EncodingError):
        Proposal.from_bytes(cbor.to_bytes(PROPOSAL.to_item() | {label: value}))


@pytest.mark.parametrize("label", range(1, 18))
def test_a_proposal_without_a_field_is_refused(label: int) -> None:
    item = PROPOSAL.to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Proposal.from_bytes(cbor.to_bytes(item))


def test_an_unlinked_run_counts_alone() -> None:
    earlier = of_total(E24, "Owner Two")
    assert compute_linked_flop(of_total(E24, "Owner One"), licensed(earlier)) == E24


def test_runs_of_one_owner_count_together_whoever_proposes_them() -> None:
    # VN-5.4
    earlier = [replace(of_total(k * E24, "Owner One"), operator_id="op2") for k in (1, 2)]
    assert compute_linked_flop(of_total(E24, "Owner One"), licensed(*earlier)) == 4 * E24


def test_a_lineage_counts_through_every_generation_and_owner() -> None:
    # VN-5.4: renaming the owner at each step does not shake the earlier runs off.
    first = of_total(E24, "Owner A")
    second = of_total(2 * E24, "Owner B", first)
    third = of_total(4 * E24, "Owner C", second)
    earlier = licensed(first, second, third)
    assert compute_linked_flop(of_total(8 * E24, "Owner D", third), earlier) == 15 * E24


def test_a_run_linked_in_two_ways_counts_once() -> None:
    # VN-5.4
    first = of_total(E24, "Owner One")
    left, right = of_total(2 * E24, "Owner One", first), of_total(4 * E24, "Owner Two", first)
    assert (
        compute_linked_flop(of_total(8 * E24, "Owner One", left, right), licensed(first, left, right))
        == 15 * E24
    )


def test_linked_runs_push_a_proposal_into_a_higher_band() -> None:
    # VN-5.4, VN-5.5
    small = of_total(E24 - 1, "Owner One")
    assert verify_band(small, TREATY.statement, {}).name == "free"
    assert verify_band(small, TREATY.statement, licensed(of_total(1, "Owner One"))).name == "licensed"
    large = of_total(999 * E24, "Owner One")
    assert verify_band(large, TREATY.statement, {}).name == "licensed"
    with pytest.raises(RefusedError) as caught:
        verify_band(large, TREATY.statement, licensed(of_total(E24, "Owner One")))
    assert (caught.value.culprit, caught.value.clause) == ("op1", "VN-5.5")


def test_a_forbidden_total_is_refused_alone() -> None:
    # VN-5.5
    with pytest.raises(RefusedError):
        verify_band(of_total(10**27, "Owner One"), TREATY.statement, {})
