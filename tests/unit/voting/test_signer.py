from __future__ import annotations

from dataclasses import replace

import pytest

from support.floor import Floor
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.statement import sign
from vetonet.errors import ExpiredError, RefusedError
from vetonet.policy.ballot import open_ballot
from vetonet.policy.quorum import Choice
from vetonet.voting.machine import build_package, derive
from vetonet.voting.signer import review_signing
from vetonet.voting.state import SigningRound


@pytest.fixture
def floor() -> Floor:
    floor = Floor.open(make_council(5, 3, veto_holders=["p1"]))
    for party in ("p2", "p3", "p4"):
        floor.cast(party)
    return floor


def signing_of(floor: Floor) -> SigningRound:
    floor.pass_time(floor.close_ms)
    assert floor.vote.signing is not None
    return floor.vote.signing


def review(floor: Floor, **changes: object) -> object:
    signing = floor.vote.signing or signing_of(floor)
    arguments = {
        "package": signing.package,
        "attempt": signing.attempt,
        "party_id": "p2",
        "direct_ballots": (),
        "now": floor.close_ms,
    }
    return review_signing(floor.read_ledger(), floor.proposal.payload_digest, **(arguments | changes))  # type: ignore[arg-type]


def test_a_party_agrees_to_the_licence_that_follows_from_the_log(floor: Floor) -> None:
    signing = signing_of(floor)
    assert review(floor) == signing.licence == derive(floor.vote)


def test_a_veto_that_reached_the_party_by_another_path_binds(floor: Floor) -> None:
    """VN-7.3, S2: the coordinator dropped it, the veto still holds."""
    veto = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO)
    with pytest.raises(RefusedError, match="p1 vetoed") as caught:
        review(floor, direct_ballots=(veto,))
    assert caught.value.clause == "VN-7.3"


def test_a_veto_beside_a_logged_grant_of_the_same_holder_binds() -> None:
    """Whoever signs both has equivocated; doubt means no."""
    floor = Floor.open(make_council(5, 3, veto_holders=["p2"]))
    for party in ("p2", "p3", "p4"):
        floor.cast(party)
    veto = floor.council.sign_ballot("p2", floor.proposal, Choice.VETO)
    with pytest.raises(RefusedError, match="p2 vetoed"):
        review(floor, direct_ballots=(veto,), party_id="p3")


@pytest.mark.parametrize("choice", list(Choice))
def test_a_party_without_a_veto_cannot_stop_a_licence_by_voting_past_the_log(
    floor: Floor, choice: Choice
) -> None:
    unlogged = floor.council.sign_ballot("p5", floor.proposal, choice)
    contradicting = floor.council.cast("p4", floor.proposal, Choice.ABSTAIN)
    signed = open_ballot(sign(contradicting, floor.council.party_keys["p4"]), floor.council.treaty)
    review(floor, direct_ballots=(unlogged, signed))


def test_a_direct_ballot_that_is_in_the_log_is_no_obstacle(floor: Floor) -> None:
    ballots = tuple(logged.ballot for logged in floor.vote.ballots)
    review(floor, direct_ballots=ballots)


def test_a_late_direct_ballot_does_not_count(floor: Floor) -> None:
    late = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO, cast_ms=floor.close_ms)
    with pytest.raises(ExpiredError):
        review(floor, direct_ballots=(late,))


def test_no_share_before_the_window_is_over_by_the_partys_own_clock(floor: Floor) -> None:
    with pytest.raises(RefusedError, match="pending"):
        review(floor, now=floor.close_ms - 1)


def test_no_share_over_a_logged_veto(floor: Floor) -> None:
    signing = signing_of(floor)
    veto = floor.council.sign_ballot("p1", floor.proposal, Choice.VETO)
    floor.leaves.append(veto.data)
    with pytest.raises(RefusedError, match="vetoed"):
        review(floor, package=signing.package)


def test_no_share_without_a_quorum_in_the_log(floor: Floor) -> None:
    signing_of(floor)
    del floor.leaves[4]
    with pytest.raises(RefusedError, match="expired"):
        review(floor)


def test_no_share_for_a_licence_with_other_content(floor: Floor) -> None:
    signing = signing_of(floor)
    forged = replace(signing.licence, total_flop=signing.licence.total_flop - 1)
    package = build_package(floor.vote, forged, signing.signers, 0)
    with pytest.raises(RefusedError, match="not this licence"):
        review(floor, package=package)


def test_no_share_for_commitments_that_are_not_those_of_the_ballots(floor: Floor) -> None:
    """A coordinator that swaps commitments could draw a key out of reused nonces."""
    signing = signing_of(floor)
    _, swapped = frost.commit(floor.council.key_shares["p4"], floor.council.rng)
    package = frost.SigningPackage(
        message=signing.package.message, commitments=(*signing.package.commitments[:2], swapped)
    )
    with pytest.raises(RefusedError, match="commitments"):
        review(floor, package=package)


@pytest.mark.parametrize("attempt", [-1, 1, 3])
def test_no_share_when_the_attempt_is_not_the_one_of_the_commitments(floor: Floor, attempt: int) -> None:
    with pytest.raises(RefusedError):
        review(floor, attempt=attempt)


def test_no_share_for_signers_that_did_not_grant(floor: Floor) -> None:
    signing = signing_of(floor)
    _, stranger = frost.commit(floor.council.key_shares["p5"], floor.council.rng)
    package = frost.SigningPackage(
        message=signing.package.message, commitments=(*signing.package.commitments[:2], stranger)
    )
    with pytest.raises(RefusedError, match="signers"):
        review(floor, package=package)


def test_no_share_with_fewer_signers_than_the_quorum(floor: Floor) -> None:
    signing = signing_of(floor)
    package = build_package(floor.vote, signing.licence, ("p2", "p3"), 0)
    with pytest.raises(RefusedError, match="3 signers"):
        review(floor, package=package)


def test_no_share_from_a_party_that_is_not_among_the_signers(floor: Floor) -> None:
    with pytest.raises(RefusedError, match="p5"):
        review(floor, party_id="p5")


def test_no_second_licence_for_a_proposal(floor: Floor) -> None:
    signing = signing_of(floor)
    for party in signing.signers:
        floor.send_share(party)
    with pytest.raises(RefusedError, match="already"):
        review_signing(
            floor.read_ledger(),
            floor.proposal.payload_digest,
            signing.package,
            signing.attempt,
            party_id="p2",
            direct_ballots=(),
            now=floor.close_ms,
        )
