"""The life of a licence: leases while consent is kept, and every way in which it ends (VN-14)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from support.tenancy import Tenancy
from support.world import make_council
from vetonet.errors import EquivocationError, ProtocolError, RefusedError, UnexpectedEventError
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import compute_lead_ms, compute_period_ms, compute_signable_ms, count_leases
from vetonet.policy.quorum import Quorum
from vetonet.policy.standing import Standing
from vetonet.units import MS_PER_HOUR
from vetonet.voting.machine import derive
from vetonet.voting.signer import review_lease
from vetonet.voting.signing import RequestCommitments, RequestShares
from vetonet.voting.state import AppendLeaf
from vetonet.voting.tenure import TENURE_TABLE, find_due_number, find_obstacle, list_consenting
from vetonet.voting.tenure_state import ClockRead, LeaseCommitted, LeaseLogged, TenurePhase

LEASE_MS: Final = 8 * MS_PER_HOUR
ROSTER: Final = ("p1", "p2", "p3")
SUSPENDING: Final = {
    ActionClass.EMERGENCY_SUSPENSION: Quorum.of_threshold(1, ROSTER, minority=True),
    ActionClass.SUSPENSION_CONFIRMATION: Quorum.of_threshold(2, ROSTER),
}


def begin(veto_holders: tuple[str, ...] = (), granting: tuple[str, ...] = ("p1", "p2")) -> Tenancy:
    council = make_council(veto_holders=veto_holders, lease_ms=LEASE_MS, quorums=SUSPENDING)
    return Tenancy.begin(council, granting)


def signable(run: Tenancy, number: int) -> int:
    return compute_signable_ms(run.licence, number)


def renew(run: Tenancy, number: int, signers: tuple[str, str] = ("p1", "p2")) -> None:
    now = signable(run, number)
    run.tick(now)
    assert run.tenure.number == number
    for party in signers:
        run.commit(party, now)
    for party in signers:
        run.share(party, now)
    assert run.tenure.lease is not None
    assert run.tenure.lease.statement.number == number


def test_leases_follow_one_another_to_the_end_of_the_run() -> None:
    # VN-14.1
    run = begin()
    ends = [run.licence.not_before_ms]
    for number in range(1, count_leases(run.licence) + 1):
        renew(run, number)
        assert run.tenure.lease is not None
        lease = run.tenure.lease.statement
        assert lease.starts_ms == ends[-1]
        assert lease.ends_ms - signable(run, number) <= LEASE_MS
        ends.append(lease.ends_ms)
    assert ends[-1] == run.licence.expires_ms
    assert find_due_number(run.tenure, ends[-1] - 1) is None
    run.tick(ends[-1])
    assert run.tenure.phase is TenurePhase.ENDED


@pytest.mark.parametrize("lease_ms", [1_000, 4_000, 7_000, LEASE_MS, 24 * MS_PER_HOUR + 3_000])
def test_a_lease_and_its_lead_are_no_longer_than_the_treaty_says(lease_ms: int) -> None:
    # VN-14.1: so a chip stops within one lease of the last consent.
    lead, period = compute_lead_ms(lease_ms), compute_period_ms(lease_ms)
    assert lead + period == lease_ms
    assert lead % 1_000 == 0
    assert period > 0


def test_no_lease_is_begun_before_it_may_be_signed() -> None:
    # VN-14.1
    run = begin()
    assert run.tick(signable(run, 1) - 1) == ()
    assert run.tenure.phase is TenurePhase.WAITING
    (asked,) = run.tick(signable(run, 1))
    assert isinstance(asked, RequestCommitments)
    assert asked.party_ids == ("p1", "p2")


def test_the_next_lease_is_not_begun_twice_nor_the_one_after_it() -> None:
    run = begin()
    renew(run, 1)
    assert run.tick(signable(run, 2) - 1) == ()
    run.tick(signable(run, 2))
    assert run.tenure.number == 2
    assert run.tick(signable(run, 2) + 1) == ()


def test_shares_of_the_last_signer_append_the_lease() -> None:
    run = begin()
    now = signable(run, 1)
    run.tick(now)
    assert run.commit("p1", now) == ()
    (asked,) = run.commit("p2", now)
    assert isinstance(asked, RequestShares)
    assert run.share("p1", now) == ()
    (append,) = run.share("p2", now)
    assert isinstance(append, AppendLeaf)


def test_withdrawal_below_the_quorum_stops_the_next_lease() -> None:
    # VN-14.3
    run = begin()
    renew(run, 1)
    run.state(run.sign_consent("p2"))
    assert find_obstacle(run.tenure, signable(run, 2)) is not None
    assert run.tick(signable(run, 2)) == ()
    assert run.tenure.phase is TenurePhase.WAITING


def test_withdrawal_above_the_quorum_stops_nothing_and_its_party_signs_no_more() -> None:
    # VN-14.3
    run = begin(granting=ROSTER)
    run.state(run.sign_consent("p3"))
    assert list_consenting(run.tenure) == ("p1", "p2")
    renew(run, 1)


def test_withdrawal_of_a_veto_holder_stops_the_next_lease_whoever_else_consents() -> None:
    # VN-14.3
    run = begin(("p3",), granting=ROSTER)
    run.state(run.sign_consent("p3"))
    assert run.tick(signable(run, 1)) == ()


def test_withdrawal_while_a_lease_is_signed_ends_the_signing() -> None:
    # VN-14.3
    run = begin()
    now = signable(run, 1)
    run.tick(now)
    run.commit("p1", now)
    run.state(run.sign_consent("p1"), now)
    assert run.tenure.phase is TenurePhase.WAITING
    with pytest.raises(UnexpectedEventError):
        run.commit("p2", now, number=1)


def test_consent_given_again_lets_the_run_go_on_with_the_lease_of_the_present() -> None:
    # VN-14.2: reinstatement.
    run = begin()
    renew(run, 1)
    run.state(run.sign_consent("p2"))
    later = signable(run, 3)
    assert run.tick(later) == ()
    run.state(run.sign_consent("p2", Standing.GIVEN, number=2), later)
    run.tick(later)
    assert run.tenure.number == 2, "the lease of the present comes before the next"
    for party in ("p1", "p2"):
        run.commit(party, later)
    for party in ("p1", "p2"):
        run.share(party, later)
    run.tick(later)
    assert run.tenure.number == 3


def test_a_party_that_never_granted_may_give_its_consent_later() -> None:
    run = begin()
    run.state(run.sign_consent("p1"))
    run.state(run.sign_consent("p3", Standing.GIVEN))
    assert list_consenting(run.tenure) == ("p2", "p3")
    renew(run, 1, ("p2", "p3"))


@pytest.mark.parametrize("number", [2, 3])
def test_a_statement_of_consent_that_skips_a_number_is_refused(number: int) -> None:
    # VN-14.2
    run = begin()
    with pytest.raises(RefusedError, match="expected 1"):
        run.state(run.sign_consent("p2", number=number))


def test_two_different_statements_of_one_number_are_equivocation() -> None:
    # VN-14.2
    run = begin()
    run.state(run.sign_consent("p2"))
    with pytest.raises(EquivocationError) as caught:
        run.state(run.sign_consent("p2", Standing.GIVEN))
    assert caught.value.culprit == "p2"


def test_a_withdrawal_cannot_be_replayed_over_consent_given_since() -> None:
    # VN-14.2
    run = begin()
    old = run.sign_consent("p2")
    run.state(old)
    run.state(run.sign_consent("p2", Standing.GIVEN, number=2))
    with pytest.raises(RefusedError, match="expected 3"):
        run.state(old)


def test_the_same_statement_again_is_no_news() -> None:
    run = begin()
    said = run.sign_consent("p2")
    run.state(said)
    assert run.state(said) == ()


def test_consent_to_what_holds_no_licence_is_refused() -> None:
    run = begin()
    with pytest.raises(ProtocolError, match="no licence"):
        run.ledger.find_tenure(bytes(32))


def test_an_emergency_suspension_stops_leases_and_lapses_by_itself() -> None:
    # VN-14.4 (MIRI III.4.d.i: unless confirmed)
    run = begin()
    renew(run, 1)
    stop = signable(run, 2) // 1_000 * 1_000
    run.suspend(ActionClass.EMERGENCY_SUSPENSION, stop - 1_000, stop + 3_000)
    assert run.tick(stop + 2_999) == ()
    run.tick(stop + 3_000)
    assert run.tenure.number == 2


def test_a_confirmed_suspension_goes_on_after_the_emergency_lapsed() -> None:
    # VN-14.4
    run = begin()
    stop = signable(run, 1) // 1_000 * 1_000
    run.suspend(ActionClass.EMERGENCY_SUSPENSION, stop - 1_000, stop + 3_000)
    run.suspend(ActionClass.SUSPENSION_CONFIRMATION, stop, run.licence.expires_ms)
    assert run.tick(stop + 3_000) == ()
    assert run.tick(run.licence.expires_ms - 1) == ()


def test_an_emergency_suspension_longer_than_the_treaty_allows_is_refused() -> None:
    # VN-14.4
    run = begin()
    terms = run.council.treaty.statement
    start = run.licence.not_before_ms
    with pytest.raises(RefusedError, match="unless it is confirmed"):
        run.suspend(ActionClass.EMERGENCY_SUSPENSION, start, start + terms.suspension_ms + 1)


def test_an_emergency_suspension_after_one_that_nobody_confirmed_is_refused() -> None:
    # VN-14.4: emergencies in a row would be a suspension without the quorum that confirms one.
    run = begin()
    start = run.licence.not_before_ms
    run.suspend(ActionClass.EMERGENCY_SUSPENSION, start, start + 3_000)
    with pytest.raises(RefusedError, match="nobody confirmed") as caught:
        run.suspend(ActionClass.EMERGENCY_SUSPENSION, start + 3_000, start + 6_000)
    assert caught.value.culprit == "p1"
    run.suspend(ActionClass.SUSPENSION_CONFIRMATION, start + 3_000, start + 4_000)
    run.suspend(ActionClass.EMERGENCY_SUSPENSION, start + 5_000, start + 6_000)
    assert find_obstacle(run.tenure, start + 5_500) is not None


def test_of_two_emergency_motions_that_were_open_at_once_the_second_has_no_effect() -> None:
    # VN-14.4
    run = begin()
    start = run.licence.not_before_ms
    motions = [
        run.council.move(
            "p1",
            ActionClass.EMERGENCY_SUSPENSION,
            subject_digest=run.digest,
            opens_ms=start - 60_000,
            closes_ms=start + late,
            ends_ms=start + late + 3_000,
        )
        for late in (0, 3_000)
    ]
    for motion in motions:
        run.log(motion.data)
    for motion in motions:
        ends_ms = motion.statement.ends_ms
        run.log(run.council.sign_ballot("p1", motion, cast_ms=start - 60_000, expires_ms=ends_ms).data)
        run.log(
            run.council.sign_by(
                derive(run.ledger.find(motion.payload_digest)), ("p1",), motion.statement.action
            )
        )
    assert find_obstacle(run.tenure, start + 2_999) is not None
    assert find_obstacle(run.tenure, start + 3_001) is None


def test_the_suspension_of_a_run_without_a_licence_is_refused() -> None:
    # VN-5.6
    run = begin()
    start, run.digest = run.licence.not_before_ms, bytes(32)
    with pytest.raises(RefusedError, match="holds no licence"):
        run.suspend(ActionClass.EMERGENCY_SUSPENSION, start, start + 1_000)


def test_a_signer_reviews_consent_time_and_witnesses_itself() -> None:
    # VN-7.9, VN-14.1, VN-14.3
    run = begin()
    now = signable(run, 1)

    def review(number: int = 1, *, at: int = now, seen: int = now, party: str = "p1", direct=()) -> object:  # type: ignore[no-untyped-def]
        return review_lease(
            run.ledger, run.digest, number, party_id=party, direct=direct, witnessed_ms=seen, now=at
        )

    assert review() == run.sign_lease(1).statement
    with pytest.raises(RefusedError, match="not due"):
        review(at=now - 1)
    with pytest.raises(RefusedError, match="not due"):
        review(2)
    with pytest.raises(RefusedError, match="cosigned this log"):
        review(seen=now - 1)
    with pytest.raises(RefusedError, match="does not consent"):
        review(party="p3")
    with pytest.raises(RefusedError, match="consent is not kept"):
        review(direct=(run.sign_consent("p2"),))


def test_a_withdrawal_that_is_older_than_what_the_log_holds_binds_nobody() -> None:
    run = begin()
    old = run.sign_consent("p2")
    run.state(old)
    run.state(run.sign_consent("p2", Standing.GIVEN, number=2))
    now = signable(run, 1)
    review_lease(run.ledger, run.digest, 1, party_id="p1", direct=(old,), witnessed_ms=now, now=now)


def test_the_withdrawal_of_a_party_that_left_binds_no_signer() -> None:
    # VN-16.8: the log can never take it, so nothing would ever release the run.
    run = begin()
    stranger = replace(run.sign_consent("p2"), signers=(make_council(5).party_keys["p5"].public_key,))
    now = signable(run, 1)
    review_lease(run.ledger, run.digest, 1, party_id="p1", direct=(stranger,), witnessed_ms=now, now=now)


def test_a_withdrawal_does_not_complete_the_ballots_that_a_quorum_asks_for() -> None:
    # VN-14.3: a "no" must not become a "yes" because somebody else says no.
    renewing = replace(Quorum.of_threshold(2, ROSTER), min_ballots=3)
    council = make_council(lease_ms=LEASE_MS, quorums={ActionClass.LEASE_RENEWAL: renewing})
    run = Tenancy.begin(council, ("p1", "p2"))
    now = signable(run, 1)
    assert find_obstacle(run.tenure, now) is not None
    run.state(run.sign_consent("p3"))
    assert find_obstacle(run.tenure, now) is not None
    run.state(run.sign_consent("p3", Standing.GIVEN, number=2))
    assert find_obstacle(run.tenure, now) is None


def test_a_lease_in_the_log_without_consent_is_refused() -> None:
    # VN-14.5
    run = begin()
    run.state(run.sign_consent("p2"))
    with pytest.raises(RefusedError, match="consent is not kept"):
        run.log(run.sign_lease(1).data)


def test_a_lease_in_the_log_through_a_whole_suspension_is_refused() -> None:
    # VN-14.5
    run = begin()
    run.suspend(ActionClass.SUSPENSION_CONFIRMATION, signable(run, 1), run.licence.expires_ms)
    with pytest.raises(RefusedError, match="suspended"):
        run.log(run.sign_lease(1).data)


def test_an_older_lease_after_a_newer_one_is_refused_and_a_later_one_is_not() -> None:
    # VN-14.5
    run = begin()
    run.log(run.sign_lease(2).data)
    for number in (1, 2):
        with pytest.raises(RefusedError, match="does not follow"):
            run.log(run.sign_lease(number).data)
    run.log(run.sign_lease(4).data)


def test_a_lease_beyond_the_run_is_refused() -> None:
    # VN-14.5
    run = begin()
    last = count_leases(run.licence)
    with pytest.raises(ValueError, match="some time"):
        run.sign_lease(last + 1)


def test_a_lease_that_nobody_asked_for_is_not_taken_part_in() -> None:
    run = begin()
    with pytest.raises(UnexpectedEventError):
        run.feed(LeaseCommitted(number=1, party_id="p1", commitments=()), signable(run, 1))


def test_commitments_for_another_lease_are_refused() -> None:
    run = begin()
    run.tick(signable(run, 1))
    with pytest.raises(RefusedError, match="lease 2 is not being signed"):
        run.commit("p1", signable(run, 1), number=2)


def test_a_lease_that_could_not_be_signed_is_tried_again_after_a_while() -> None:
    run = begin()
    now, signing_ms = signable(run, 1), run.council.treaty.statement.signing_ms
    run.tick(now)
    run.tick(now + 3 * signing_ms)
    assert run.tenure.phase is TenurePhase.WAITING
    assert run.tick(now + 3 * signing_ms) == ()
    run.tick(now + 4 * signing_ms)
    assert run.tenure.number == 1


def test_after_the_run_nothing_begins() -> None:
    run = begin()
    run.tick(run.licence.expires_ms)
    assert run.tenure.phase is TenurePhase.ENDED
    assert run.tick(run.licence.expires_ms + 1) == ()


def test_every_phase_looks_at_the_clock_and_hears_of_consent() -> None:
    for phase in TenurePhase:
        assert (phase, ClockRead) in TENURE_TABLE
        assert (phase, LeaseLogged) in TENURE_TABLE
