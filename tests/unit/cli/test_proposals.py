from __future__ import annotations

import hashlib
from typing import Any

import pytest

from support.world import make_council
from vetonet.cli.proposals import describe_proposal, describe_tally, explain_end, list_rows, say_tally
from vetonet.policy.action import ActionClass
from vetonet.policy.quorum import Choice, Quorum

GRANT, VETO, ABSTAIN = Choice.GRANT, Choice.VETO, Choice.ABSTAIN
COUNCIL = make_council(5, 3, veto_holders=("p1", "p2"))


def tally(operator_id: str = "op1", **choices: Choice) -> dict[str, Any]:
    return describe_tally(choices, COUNCIL.treaty.statement, matter=COUNCIL.propose(operator_id=operator_id))


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, "0 of 3 granted, p1, p2 can still veto; missing: p1, p2, p3, p4, p5"),
        ({"p2": GRANT, "p3": GRANT}, "2 of 3 granted, p1 can still veto; missing: p1, p4, p5"),
        ({"p1": VETO, "p3": GRANT}, "1 of 3 granted, vetoed by p1; missing: p2, p4, p5"),
        (
            {"p1": GRANT, "p2": GRANT, "p3": VETO, "p4": ABSTAIN, "p5": GRANT},
            "3 of 3 granted, no by p3 (no veto holder); abstained: p4; missing: nobody",
        ),
    ],
)
def test_a_vote_is_told_in_one_line(choices: dict[str, Choice], expected: str) -> None:
    assert say_tally(tally(**choices)) == expected


def test_the_grant_of_the_operators_own_party_does_not_count() -> None:
    told = tally("op2", p1=GRANT, p2=GRANT, p3=GRANT)
    assert told["granted"] == ["p2", "p3"]
    assert not told["has_quorum"]
    assert "recused: p1" in say_tally(told)


def test_a_veto_without_a_holder_is_not_a_veto() -> None:
    told = tally(p3=VETO)
    assert (told["is_vetoed"], told["vetoed"]) == (False, ["p3"])


def test_a_proposal_is_told_with_a_digest_computed_here_and_its_linked_runs() -> None:
    proposal = COUNCIL.sign_proposal()
    earlier = COUNCIL.propose(total_flop=10**24)
    told = describe_proposal(proposal, COUNCIL.treaty.statement, {b"earlier": earlier})
    assert told["digest"] == proposal.payload_digest.hex()
    assert told["linked_flop"] == proposal.statement.total_flop + 10**24
    rows = dict(list_rows(told, proposal.statement.opens_ms))
    assert rows["compute"].endswith("with its linked runs 5e24")
    assert rows["vote closes"].endswith("(in 1 h)")
    assert rows["band"] == "licensed"


def test_a_closed_vote_is_told_as_over() -> None:
    proposal = COUNCIL.sign_proposal()
    told = describe_proposal(proposal, COUNCIL.treaty.statement, {})
    assert dict(list_rows(told, proposal.statement.closes_ms))["vote closes"].endswith("(over)")


def test_after_the_close_nobody_can_still_veto() -> None:
    closed = describe_tally({}, COUNCIL.treaty.statement, matter=COUNCIL.propose(), is_open=False)
    assert closed["can_still_veto"] == []
    assert "can still veto" not in say_tally(closed)
    assert say_tally(closed).endswith("did not vote: p1, p2, p3, p4, p5")


def test_a_motion_that_no_quorum_signed_in_time_lacks_a_resolution() -> None:
    patch = ActionClass.SECURITY_PATCH
    council = make_council(3, 2, quorums={patch: Quorum.of_threshold(2, ("p1", "p2", "p3"))})
    motion, terms = council.move("p1", patch).statement, council.treaty.statement
    closed = describe_tally({"p1": GRANT, "p2": GRANT}, terms, matter=motion, is_open=False)
    assert explain_end(closed, "expired") == "no resolution was signed in time"


def test_a_quorum_without_a_licence_is_told_with_its_reason() -> None:
    choices = {"p1": GRANT, "p2": GRANT, "p3": GRANT}
    closed = describe_tally(choices, COUNCIL.treaty.statement, matter=COUNCIL.propose(), is_open=False)
    assert say_tally(closed, "expired").startswith(
        "3 of 3 granted, but no licence was signed in time; did not vote"
    )
    assert explain_end(closed, "licensed") is None
    assert explain_end(tally(p1=GRANT), "expired") is None


def test_the_reason_of_a_veto_is_told() -> None:
    told = describe_tally(
        {"p1": VETO}, COUNCIL.treaty.statement, matter=COUNCIL.propose(), reasons={"p1": "scale"}
    )
    assert "vetoed by p1: scale;" in say_tally(told)
    assert told["reasons"] == {"p1": "scale"}


def test_no_specification_is_told_as_none() -> None:
    terms = COUNCIL.treaty.statement
    without = COUNCIL.sign_proposal(specification_digest=hashlib.sha256(b"").digest())
    assert describe_proposal(without, terms, {})["specification_sha256"] is None
    assert describe_proposal(COUNCIL.sign_proposal(), terms, {})["specification_sha256"] == "00" * 32
