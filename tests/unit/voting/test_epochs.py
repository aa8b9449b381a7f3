"""Another treaty in force: who puts it there, and what of the epoch before it ends (VN-16)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from support.tenancy import Tenancy
from support.world import NOW_MS, Council, make_council
from vetonet.crypto.statement import Signed, compute_digest, sign_jointly
from vetonet.errors import EpochError, ExpiredError, InvalidSignatureError, RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import verify_ballot_for
from vetonet.policy.lease import compute_signable_ms
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.units import MS_PER_HOUR
from vetonet.voting.machine import derive, step
from vetonet.voting.state import Phase, TimePassed
from vetonet.voting.tenure import find_obstacle
from vetonet.voting.tenure_state import TenurePhase

ROSTER: Final = ("p1", "p2", "p3")
AMENDING: Final = {ActionClass.AMEND_RULES: Quorum.of_threshold(2, ROSTER)}


def begin() -> Tenancy:
    return Tenancy.begin(make_council(lease_ms=8 * MS_PER_HOUR, quorums=AMENDING))


def write_successor(council: Council, **changes: Any) -> Treaty:
    present = council.treaty.statement
    return replace(present, **({"epoch": present.epoch + 1, "window_ms": present.window_ms // 2} | changes))


def sign_by_all(council: Council, treaty: Treaty) -> bytes:
    return sign_jointly(treaty, tuple(council.party_keys.values()))


def decide(
    run: Tenancy,
    subject: bytes,
    choices: tuple[Choice, ...] = (Choice.GRANT, Choice.GRANT),
    **changes: Any,
) -> None:
    """Log a motion to put a treaty in force, its ballots, and where they grant its resolution."""
    council = run.council
    motion = council.move("p1", ActionClass.AMEND_RULES, subject_digest=subject, **changes)
    run.log(motion.data)
    for party, choice in zip(ROSTER, choices, strict=False):
        run.log(council.sign_ballot(party, motion, choice).data)
    if choices.count(Choice.GRANT) > 1:
        resolution = derive(run.ledger.find(motion.payload_digest))
        run.log(council.sign_by(resolution, ("p1", "p2"), ActionClass.AMEND_RULES))


def amend(run: Tenancy) -> Signed[Treaty]:
    successor = write_successor(run.council)
    decide(run, compute_digest(successor))
    run.log(sign_by_all(run.council, successor))
    return run.ledger.treaty


def test_a_treaty_that_the_quorum_decided_is_in_force_from_its_leaf_on() -> None:
    # VN-16.7
    run = begin()
    founding = run.ledger.treaty
    amend(run)
    assert run.ledger.treaty.statement.epoch == 2
    assert run.ledger.predecessors == (founding,)


def test_a_treaty_that_nobody_decided_is_refused() -> None:
    # VN-16.7
    run = begin()
    successor = write_successor(run.council)
    with pytest.raises(RefusedError, match="no resolution"):
        run.log(sign_by_all(run.council, successor))
    decide(run, compute_digest(successor), (Choice.GRANT, Choice.VETO, Choice.ABSTAIN))
    with pytest.raises(RefusedError, match="no resolution"):
        run.log(sign_by_all(run.council, successor))


def test_another_treaty_than_the_one_decided_is_refused() -> None:
    # VN-16.7
    run = begin()
    decide(run, compute_digest(write_successor(run.council)))
    with pytest.raises(RefusedError, match="no resolution"):
        run.log(sign_by_all(run.council, write_successor(run.council, window_ms=1_000)))


def test_a_decided_treaty_that_a_party_did_not_sign_is_refused() -> None:
    # VN-16.7
    run = begin()
    successor = write_successor(run.council)
    decide(run, compute_digest(successor))
    with pytest.raises(InvalidSignatureError):
        run.log(sign_jointly(successor, tuple(run.council.party_keys.values())[:2]))


def test_a_decided_treaty_that_skips_an_epoch_is_refused() -> None:
    # VN-16.1
    run = begin()
    successor = write_successor(run.council, epoch=3)
    decide(run, compute_digest(successor))
    with pytest.raises(RefusedError, match="epoch"):
        run.log(sign_by_all(run.council, successor))


def decide_for_a_while(run: Tenancy) -> bytes:
    """A treaty that is decided until an hour and a half from now."""
    successor = write_successor(run.council)
    decide(run, compute_digest(successor), ends_ms=NOW_MS + 3 * MS_PER_HOUR // 2)
    return sign_by_all(run.council, successor)


def propose_later(run: Tenancy, hours: int) -> Signed[Proposal]:
    """A run of next week is proposed in some hours."""
    opens_ms, starts_ms = NOW_MS + hours * MS_PER_HOUR, NOW_MS + 7 * 24 * MS_PER_HOUR
    times: dict[str, Any] = {
        "opens_ms": opens_ms,
        "closes_ms": opens_ms + MS_PER_HOUR,
        "starts_ms": starts_ms,
    }
    return run.council.sign_proposal(**times, ends_ms=starts_ms + 24 * MS_PER_HOUR)


def test_a_treaty_behind_what_came_after_its_resolution_lapsed_is_refused() -> None:
    # VN-16.7
    run = begin()
    data = decide_for_a_while(run)
    run.log(propose_later(run, hours=2).data)
    with pytest.raises(ExpiredError, match="lapsed"):
        run.log(data)
    assert run.ledger.treaty.statement.epoch == 1


def test_a_treaty_behind_the_outcome_of_a_vote_that_ended_after_its_resolution_lapsed_is_refused() -> None:
    # VN-16.7
    run = begin()
    data, proposal = decide_for_a_while(run), propose_later(run, hours=1)
    run.log(proposal.data)
    ballots = [run.council.sign_ballot(party, proposal) for party in ROSTER[:2]]
    for ballot in ballots:
        run.log(ballot.data)
    licence = derive(run.ledger.find(proposal.payload_digest))
    run.log(run.council.sign_by(licence, ROSTER[:2], ActionClass.RUN_GRANT))
    with pytest.raises(ExpiredError, match="lapsed"):
        run.log(data)


def test_a_treaty_behind_a_lease_of_later_is_refused() -> None:
    # VN-16.7
    run = begin()
    data = decide_for_a_while(run)
    number = next(n for n in range(1, 99) if compute_signable_ms(run.licence, n) >= NOW_MS + 2 * MS_PER_HOUR)
    run.log(run.sign_lease(number).data)
    with pytest.raises(ExpiredError, match="lapsed"):
        run.log(data)


def test_what_one_party_states_alone_does_not_run_a_resolution_out() -> None:
    # VN-16.7: the vote on a run is open longer than the treaty is decided, and a party says it votes late.
    run = begin()
    data, proposal = decide_for_a_while(run), propose_later(run, hours=1)
    run.log(proposal.data)
    late_ms = proposal.statement.closes_ms - 1
    run.log(run.council.sign_ballot("p3", proposal, cast_ms=late_ms).data)
    run.log(data)
    assert run.ledger.treaty.statement.epoch == 2


def test_a_treaty_that_is_decided_again_when_it_lapsed_comes_into_force() -> None:
    # VN-16.7
    run = begin()
    data = decide_for_a_while(run)
    later_ms = NOW_MS + 3 * MS_PER_HOUR
    decide(
        run,
        compute_digest(open_treaty(data).statement),
        opens_ms=later_ms,
        closes_ms=later_ms + MS_PER_HOUR,
        ends_ms=later_ms + 2 * MS_PER_HOUR,
    )
    run.log(data)
    assert run.ledger.treaty.statement.epoch == 2


def test_the_same_treaty_cannot_come_into_force_twice() -> None:
    # VN-16.7
    run = begin()
    amend(run)
    with pytest.raises(RefusedError, match="no resolution"):
        run.log(run.ledger.treaty.data)


def test_a_ballot_under_the_epoch_before_is_refused() -> None:
    # VN-16.8: ballots replayed over epoch and treaty.
    run = begin()
    proposal = run.council.sign_proposal()
    run.log(proposal.data)
    ballot = run.council.sign_ballot("p1", proposal)
    amend(run)
    with pytest.raises(EpochError):
        run.log(ballot.data)
    again = replace(ballot.statement, treaty_digest=run.ledger.treaty.payload_digest, epoch=2)
    verify_ballot_for(replace(ballot, statement=again), proposal, "p1")
    from vetonet.crypto.statement import sign  # noqa: PLC0415

    with pytest.raises(EpochError):
        run.log(sign(again, run.council.party_keys["p1"]))


def test_an_outcome_of_a_vote_under_the_epoch_before_is_refused() -> None:
    # VN-16.8
    run = begin()
    council = run.council
    proposal = council.sign_proposal()
    run.log(proposal.data)
    for party in ("p1", "p2"):
        run.log(council.sign_ballot(party, proposal).data)
    licence = council.sign_by(derive(run.ledger.find(proposal.payload_digest)), ("p1", "p2"))
    amend(run)
    with pytest.raises(EpochError, match="is over"):
        run.log(licence)


@pytest.mark.parametrize("is_granted", [True, False])
def test_a_vote_under_the_epoch_before_ends_whatever_its_ballots_say(*, is_granted: bool) -> None:
    # VN-16.8
    run = begin()
    proposal = run.council.sign_proposal()
    run.log(proposal.data)
    for party in ("p1", "p2") if is_granted else ():
        run.log(run.council.sign_ballot(party, proposal).data)
    vote = run.ledger.find(proposal.payload_digest)
    ended, _ = step(vote, TimePassed(licensed={}, epoch=2), NOW_MS)
    assert ended.phase is Phase.EXPIRED


def test_a_licence_lives_on_and_needs_leases_of_the_new_epoch() -> None:
    # VN-16.8
    run = begin()
    old = run.sign_lease(1)
    amend(run)
    with pytest.raises(EpochError):
        run.log(old.data)
    run.log(run.sign_lease(1).data)
    assert run.tenure.lease is not None
    assert run.tenure.lease.statement.epoch == 2
    run.tick(compute_signable_ms(run.licence, 2))
    assert run.tenure.number == 2


def test_a_lease_in_the_making_is_begun_anew_under_the_next_treaty() -> None:
    # VN-16.8: shares under two treaties would never come together, and an honest signer would be blamed.
    run = begin()
    now = compute_signable_ms(run.licence, 1)
    run.tick(now)
    run.commit("p1", now)
    amend(run)
    assert (run.tenure.phase, run.tenure.signing) == (TenurePhase.WAITING, None)
    run.tick(now)
    for party in ("p1", "p2"):
        run.commit(party, now)
    for party in ("p1", "p2"):
        run.share(party, now)
    assert run.tenure.lease is not None
    assert run.tenure.lease.statement.epoch == 2


def test_a_run_whose_operator_the_next_treaty_does_not_name_gets_no_lease_and_stops_nobody() -> None:
    # VN-14.3
    run = begin()
    successor = write_successor(run.council, operators=run.council.treaty.statement.operators[1:])
    decide(run, compute_digest(successor))
    run.log(sign_by_all(run.council, successor))
    now = compute_signable_ms(run.licence, 1)
    assert run.tick(now) == ()
    assert find_obstacle(run.tenure, now) == "op1 is no operator of the treaty in force"
