"""What a party said and was told binds it in the next life of its daemon and in the next epoch (VN-14.3).

The shortest histories in the world of ``tests/property/test_council_machine.py`` in which it once did not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.conclave import PARTIES, Conclave
from support.council_machine import TenureMachine
from vetonet.crypto.statement import read_unverified, sign
from vetonet.errors import RefusedError, StorageError
from vetonet.party.memory import Task
from vetonet.party.withdrawals import MAX_AHEAD, MAX_RUNS, Withdrawals
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing
from vetonet.storage import MemoryJournal


@pytest.fixture
def run() -> Iterator[TenureMachine]:
    """A run that p1, p2 and p3 licensed, its first lease in use; p3 is the holder of a veto."""
    machine = TenureMachine()
    machine.meet(holder="p3", malicious=None, granting=PARTIES, is_leased=True)
    yield machine
    machine.teardown()


def withdraw(run: TenureMachine, party: str, told: set[str] | None = None) -> bytes:
    """A party withdraws, and the coordinator keeps it back."""
    run.state(party, Standing.WITHDRAWN, told or set(), is_logged=False)
    return next(reversed(run.hall.heard))


def is_ready_to_sign_the_next_lease(run: TenureMachine, party: str) -> bool:
    run.wait_for_lease()
    run.hall.face(party, run.find_size(0))
    assert run.tenure.lease is not None
    number = run.tenure.lease.statement.number + 1
    return run.hall.commit(party, Task(digest=run.digest, lease=number))


def test_whoever_withdrew_signs_no_lease_though_the_coordinator_keeps_it_back(run: TenureMachine) -> None:
    withdraw(run, "p1")
    assert not is_ready_to_sign_the_next_lease(run, "p1")
    assert is_ready_to_sign_the_next_lease(run, "p2")


def test_whoever_withdrew_signs_no_lease_after_a_restart_either(run: TenureMachine) -> None:
    withdraw(run, "p1")
    run.hall.restart("p1")
    assert not is_ready_to_sign_the_next_lease(run, "p1")


def test_whoever_withdrew_signs_again_once_the_log_holds_that_it_consents_again(run: TenureMachine) -> None:
    data = withdraw(run, "p1")
    assert run.hall.append(data)
    run.hall.witness()
    run.state("p1", Standing.GIVEN, set(), is_logged=True)
    run.hall.restart("p1")
    assert is_ready_to_sign_the_next_lease(run, "p1")


def amend(run: TenureMachine) -> None:
    run.amend((0, 1), is_enacted=True)
    assert run.hall.treaty.statement.epoch == 2
    for party in PARTIES:
        run.hall.show(party, run.find_size(0))


def test_a_party_restarts_with_a_veto_of_an_epoch_after_the_first(run: TenureMachine) -> None:
    amend(run)
    run.propose()
    run.hall.show("p1", run.find_size(0))
    run.vote("p3", Choice.VETO, run.digest, is_logged=False)
    veto = next(reversed(run.hall.heard))
    run.hall.hand(veto, "p1")
    for party in ("p1", "p2"):
        run.vote(party, Choice.GRANT, run.digest)
    run.hall.restart("p1")
    run.close_window(run.digest)
    run.hall.face("p1", run.find_size(0))
    assert not run.hall.commit("p1", Task(digest=run.digest))
    assert "p3 vetoed" in run.hall.daemons["p1"].refusals[-1].why


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_party_restarts_with_a_withdrawal_of_an_epoch_after_the_first(
    run: TenureMachine, epochs: int
) -> None:
    amend(run)
    withdraw(run, "p3", told={"p1"})
    for _ in range(1, epochs):
        run.amend((0, 1), is_enacted=True)
    assert run.hall.treaty.statement.epoch == 1 + epochs
    run.hall.restart("p1")
    assert not is_ready_to_sign_the_next_lease(run, "p1")


def test_a_run_goes_on_though_its_due_lease_was_signed_under_the_treaty_before(run: TenureMachine) -> None:
    """VN-16.8: a refresh of key shares between two shares of one lease must stop no run."""
    run.wait_for_lease()
    run.renew_by(("p1", "p2"), run.find_size(0), 0, is_logged=False)
    (given, *_) = [given for given in run.hall.given if given.task.lease == 2]
    amend(run)
    run.renew_by(("p1", "p2"), run.find_size(0), 0, is_logged=True)
    assert run.tenure.lease is not None
    assert run.tenure.lease.statement.number == 2
    assert run.tenure.lease.statement.treaty_digest != given.task.treaty_digest
    assert all(not run.hall.daemons[party].refusals for party in ("p1", "p2"))


def test_a_withdrawal_that_the_log_never_took_is_made_anew_in_the_next_epoch(run: TenureMachine) -> None:
    """Else a coordinator that keeps it back until the treaty is amended has silenced the party for good."""
    old = withdraw(run, "p3")
    amend(run)
    new = withdraw(run, "p3")
    said = read_unverified(new, Consent)
    assert old != new
    assert (said.epoch, said.number) == (2, read_unverified(old, Consent).number)
    assert run.hall.append(new)


def test_no_party_uses_up_the_room_that_another_partys_withdrawal_needs(run: TenureMachine) -> None:
    """One party's withdrawals from runs that nobody knows leave room for everybody else's."""
    box, ledger = Withdrawals(run.hall.treaty), run.hall.ledger
    for serial in range(MAX_RUNS):
        box.add(draft(run.hall, "p2", serial.to_bytes(32, "big")), ledger)
    with pytest.raises(RefusedError, match="withdrawals"):
        box.add(draft(run.hall, "p2", b"\xff" * 32), ledger)
    box.add(draft(run.hall, "p3", run.digest), ledger)
    assert len(box.list_on(run.digest)) == 1


def test_withdrawals_that_are_no_news_take_no_room_on_a_disk(run: TenureMachine) -> None:
    run.hall.show("p1", run.find_size(0))
    daemon, journal = run.hall.daemons["p1"], run.hall.journals["p1"]
    before = journal.size()
    for delay in range(20):
        daemon.receive_ballot(draft(run.hall, "p3", run.digest, delay=delay))
    assert journal.size() == before + 1
    run.hall.restart("p1")
    run.hall.daemons["p1"].receive_ballot(draft(run.hall, "p3", run.digest, delay=21))
    assert journal.size() == before + 1


def test_a_withdrawal_that_the_log_holds_takes_no_room_on_a_disk(run: TenureMachine) -> None:
    assert run.hall.append(withdraw(run, "p3"))
    run.hall.witness()
    run.hall.show("p1", run.find_size(0))
    before = run.hall.journals["p1"].size()
    run.hall.daemons["p1"].receive_ballot(draft(run.hall, "p3", run.digest, delay=1))
    assert run.hall.journals["p1"].size() == before


def test_a_withdrawal_that_could_not_be_kept_is_kept_when_it_comes_again(
    run: TenureMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may count on what is in memory alone."""
    run.hall.show("p1", run.find_size(0))
    daemon, journal = run.hall.daemons["p1"], run.hall.journals["p1"]
    before, data = journal.size(), draft(run.hall, "p3", run.digest)

    def fail(_: object, records: object) -> tuple[int, ...]:
        del records
        raise StorageError("no room")

    with monkeypatch.context() as full:
        full.setattr(MemoryJournal, "append", fail)
        with pytest.raises(StorageError):
            daemon.receive_ballot(data)
    daemon.receive_ballot(data)
    assert journal.size() == before + 1


def test_no_withdrawal_is_taken_whose_number_is_far_ahead_of_the_log(run: TenureMachine) -> None:
    """Else one party fills every disk with ever higher numbers."""
    box, ledger = Withdrawals(run.hall.treaty), run.hall.ledger
    box.add(draft(run.hall, "p3", run.digest, number=MAX_AHEAD), ledger)
    with pytest.raises(RefusedError, match="last word in the log has number 0") as caught:
        box.add(draft(run.hall, "p3", run.digest, number=MAX_AHEAD + 1), ledger)
    assert (caught.value.culprit, caught.value.clause) == ("p3", "VN-14.2")


def draft(hall: Conclave, party: str, digest: bytes, *, number: int = 1, delay: int = 0) -> bytes:
    treaty = hall.treaty
    said = Consent(
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        proposal_digest=digest,
        number=number,
        standing=Standing.WITHDRAWN,
        stated_ms=hall.now + delay,
        reason=VetoReason.SCALE,
    )
    return sign(said, hall.council.party_keys[party])
