"""What people read of what a vote still lacks, and what scripts do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc

from support.world import NOW_MS, make_council
from vetonet.cli.party_home import explain_silence
from vetonet.cli.party_status import describe_status, say_lacking, say_refusal
from vetonet.crypto.statement import Signed
from vetonet.party.status import PartyStatus, ProposalStatus, Refusal, describe_vote
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.tlog.log import Log
from vetonet.units import format_time
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.state import Phase
from vetonet.wire.status import RpcError

COUNCIL = make_council(3, 2, ("p1",))
PROPOSAL = COUNCIL.sign_proposal()


def stand(now: int, *voters: str, proposal: Signed[Proposal] = PROPOSAL) -> ProposalStatus:
    ballots = [COUNCIL.sign_ballot(party, proposal, Choice.GRANT).data for party in voters]
    ledger = read_leaves(Ledger(treaty=COUNCIL.treaty), enumerate([proposal.data, *ballots], start=1))
    return describe_vote(ledger.votes[proposal.payload_digest], now)


def test_an_open_vote_says_how_many_grants_are_missing_and_who_could_give_them() -> None:
    assert say_lacking(stand(NOW_MS, "p2")) == (
        "1 more of 2 grants, which p1, p3 could give; p1, p3 may vote until 2027-01-15T09:00:00Z"
    )


def test_a_vote_that_can_still_be_vetoed_says_who_may_vote() -> None:
    assert say_lacking(stand(NOW_MS, "p2", "p3")) == "p1 may vote until 2027-01-15T09:00:00Z"


def test_after_the_close_nobody_could_give_what_is_missing() -> None:
    closed = PROPOSAL.statement.closes_ms
    assert say_lacking(stand(closed, "p2")) == "1 more of 2 grants, which nobody could give"
    assert say_lacking(stand(closed, "p2", "p3")) == "nothing"


def test_a_motion_that_was_signed_is_adopted_and_a_run_is_licensed() -> None:
    signed = replace(stand(NOW_MS), phase=Phase.LICENSED)
    assert signed.phase_word == "licensed"
    assert replace(signed, action="roster-change").phase_word == "adopted"


def test_a_status_without_a_checkpoint_says_so_and_one_with_it_is_verified() -> None:
    log = Log(COUNCIL.treaty.statement.log_origin, [COUNCIL.treaty.data])
    empty = PartyStatus(party_id="p1", epoch=1, checkpoint=b"", proposals=(stand(NOW_MS),))
    assert describe_status(empty, COUNCIL.treaty.statement)["checkpoint"] is None
    seen = PartyStatus(party_id="p1", epoch=1, checkpoint=COUNCIL.sign_head(log), proposals=())
    assert describe_status(seen, COUNCIL.treaty.statement)["checkpoint"] == {
        "origin": log.origin,
        "tree_size": 1,
        "root": log.root_hash().hex(),
    }


def test_a_refusal_says_which_lease_was_to_be_signed_or_none_for_the_licence() -> None:
    licence = Refusal(at_ms=NOW_MS, name="proposals/x", attempt=1, reason="refused", why="no", lease=0)
    lease = replace(licence, lease=3)
    assert say_refusal(licence) == f"{format_time(NOW_MS)}  did not sign proposals/x: no"
    assert say_refusal(lease) == f"{format_time(NOW_MS)}  did not sign lease 3 of proposals/x: no"
    told = PartyStatus(party_id="p1", epoch=1, checkpoint=b"", proposals=(), refusals=(licence, lease))
    shown = describe_status(told, COUNCIL.treaty.statement)["refusals"]
    assert [entry["lease"] for entry in shown] == [None, 3]


def test_only_ones_own_daemon_is_to_be_started_on_ones_own_home() -> None:
    away = RpcError("away", code=grpc.StatusCode.UNAVAILABLE)
    own = explain_silence(away, "P1", "127.0.0.1:1", Path("h1"))
    assert own.message == "no daemon of P1 answers at 127.0.0.1:1; start it with `vetonet party run h1`"
    other = explain_silence(away, "P2", "127.0.0.1:2", None)
    assert other.message == (
        "no daemon of P2 answers at 127.0.0.1:2; P2 has to start it, or give its --address"
    )
