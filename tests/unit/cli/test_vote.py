"""When ``vetonet vote`` refuses a ballot before anything is shown or sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from support.world import NOW_MS, make_council
from vetonet.cli import vote as command
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.vote_home import _conclude
from vetonet.cli.vote_outcome import _read_outcome, to_exit
from vetonet.party.home import Home
from vetonet.party.orders import Carried
from vetonet.party.status import describe_vote
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import VetoReason
from vetonet.policy.motion import derive_resolution, open_resolution
from vetonet.policy.quorum import Choice, Quorum
from vetonet.units import MS_PER_HOUR
from vetonet.voting.state import LoggedBallot, Voting

COUNCIL = make_council(3, 2)
PROPOSAL = COUNCIL.sign_proposal()


def make_vote(*ballots: LoggedBallot) -> Voting:
    return Voting(treaty=COUNCIL.treaty, matter=PROPOSAL, leaf_index=1, ballots=ballots)


def order(choice: Choice = Choice.VETO, *, is_waiting: bool = True) -> command.Order:
    return command.Order(
        choice=choice,
        reason=VetoReason.SCALE if choice is Choice.VETO else None,
        prefix="",
        is_waiting=is_waiting,
        needs_consent=False,
        peers={},
        listen=None,
        is_insecure=True,
        as_json=False,
        data=Path("unused"),
    )


@pytest.mark.parametrize(
    ("choice", "said"), [(Choice.GRANT, "p2 already granted"), (Choice.ABSTAIN, "p2 already abstained")]
)
def test_a_second_ballot_is_refused_whatever_the_time(choice: Choice, said: str) -> None:
    ballot = COUNCIL.sign_ballot("p2", PROPOSAL, choice)
    logged = LoggedBallot(party_id="p2", leaf_index=7, ballot=ballot)
    with pytest.raises(Failure) as caught:
        command._require_open(make_vote(logged), "p2", order())
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
        command._require_open(make_vote(), "p2", order())
    assert str(NOW_MS) not in caught.value.message
    assert caught.value.reason == "expired"


def test_an_open_vote_takes_a_ballot_until_its_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_clock", lambda: NOW_MS + MS_PER_HOUR - 1)
    assert not command._require_open(make_vote(), "p2", order())


def test_the_same_word_again_only_waits_to_sign_and_only_while_that_can_be_of_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # VN-6.4: it is not a second ballot.
    ballot = COUNCIL.sign_ballot("p2", PROPOSAL)
    vote = make_vote(LoggedBallot(party_id="p2", leaf_index=7, ballot=ballot))
    monkeypatch.setattr(command, "read_clock", lambda: PROPOSAL.statement.ends_ms - 1)
    assert command._require_open(vote, "p2", order(Choice.GRANT))
    licence = COUNCIL.sign_licence(PROPOSAL, {"p1": ballot, "p2": ballot})
    for other, asked in (
        (vote, order(Choice.GRANT, is_waiting=False)),
        (vote, order(Choice.ABSTAIN)),
        (replace(vote, outcome=licence), order(Choice.GRANT)),
    ):
        with pytest.raises(Failure, match="p2 already granted"):
            command._require_open(other, "p2", asked)
    monkeypatch.setattr(command, "read_clock", lambda: PROPOSAL.statement.ends_ms)
    with pytest.raises(Failure, match="p2 already granted"):
        command._require_open(vote, "p2", order(Choice.GRANT))


def adopt() -> Voting:
    """Return the vote on a motion whose resolution the log holds."""
    patch = ActionClass.SECURITY_PATCH
    council = make_council(3, 2, quorums={patch: Quorum.of_threshold(2, ("p1", "p2", "p3"))})
    motion = council.move("p1", patch)
    signed = council.sign_by(derive_resolution(council.treaty, motion, 1, (2, 3)), ("p1", "p2"), action=patch)
    outcome = open_resolution(signed, council.treaty, patch)
    return Voting(treaty=council.treaty, matter=motion, leaf_index=1, outcome=outcome)


@pytest.mark.parametrize("claimed", ["licensed", "unknown", None])
def test_a_motion_whose_resolution_the_log_holds_is_adopted_whatever_is_claimed(
    claimed: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _read_outcome(adopt(), claimed) == "adopted"
    assert capsys.readouterr().err == ""
    assert to_exit(Choice.GRANT, "adopted", is_waited=True) is Exit.OK
    assert to_exit(Choice.VETO, "adopted", is_waited=True) is Exit.NEGATIVE


def test_a_motion_that_the_log_does_not_show_adopted_is_not_so_on_the_coordinators_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _read_outcome(replace(adopt(), outcome=None), "licensed") == "unknown"
    assert "the log does not show it" in capsys.readouterr().err


def test_through_a_daemon_a_motion_is_adopted_too(capsys: pytest.CaptureFixture[str]) -> None:
    entry = describe_vote(adopt(), NOW_MS + MS_PER_HOUR)
    done, nobody = Carried(leaf_index=2, undelivered=()), cast(Home, None)
    code = _conclude(nobody, Choice.GRANT, entry, done, is_waited=True, as_json=False)
    assert (code, capsys.readouterr().out.split(";")[0]) == (Exit.OK, "adopted")
