"""When ``vetonet vote`` refuses a ballot before anything is shown or sent."""

from __future__ import annotations

import pytest

from support.world import NOW_MS, make_council
from vetonet.cli import vote as command
from vetonet.cli.exits import Exit, Failure
from vetonet.policy.quorum import Choice
from vetonet.units import MS_PER_HOUR
from vetonet.voting.state import LoggedBallot, Voting

COUNCIL = make_council(3, 2)
PROPOSAL = COUNCIL.sign_proposal()


def make_vote(*ballots: LoggedBallot) -> Voting:
    return Voting(treaty=COUNCIL.treaty, proposal=PROPOSAL, proposal_leaf_index=1, ballots=ballots)


@pytest.mark.parametrize(
    ("choice", "said"), [(Choice.GRANT, "p2 already granted"), (Choice.ABSTAIN, "p2 already abstained")]
)
def test_a_second_ballot_is_refused_whatever_the_time(choice: Choice, said: str) -> None:
    ballot = COUNCIL.sign_ballot("p2", PROPOSAL, choice)
    logged = LoggedBallot(party_id="p2", leaf_index=7, ballot=ballot)
    with pytest.raises(Failure) as caught:
        command._require_open(make_vote(logged), "p2")
    assert caught.value.message == f"{said} (leaf 7); a ballot stands; nothing was changed"
    assert (caught.value.code, caught.value.reason) == (Exit.NEGATIVE, "refused")


@pytest.mark.parametrize(
    ("now", "said"),
    [(NOW_MS + MS_PER_HOUR, "the vote is over"), (NOW_MS - 1, "the vote is not open yet")],
)
def test_a_vote_outside_its_window_is_refused_with_times_for_people(
    now: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "read_clock", lambda: now)
    with pytest.raises(Failure, match=said) as caught:
        command._require_open(make_vote(), "p2")
    assert str(NOW_MS) not in caught.value.message
    assert caught.value.reason == "expired"


def test_an_open_vote_takes_a_ballot_until_its_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_clock", lambda: NOW_MS + MS_PER_HOUR - 1)
    command._require_open(make_vote(), "p2")
