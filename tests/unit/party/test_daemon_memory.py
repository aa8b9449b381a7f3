"""What a party said and was told binds it in the next life of its daemon and in the next epoch (VN-14.3).

The shortest histories in the world of ``tests/property/test_council_machine.py`` in which it once did not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.conclave import PARTIES, Conclave
from support.council_machine import TenureMachine
from vetonet.crypto.statement import read_unverified, sign
from vetonet.errors import RefusedError
from vetonet.party.memory import Task
from vetonet.party.withdrawals import MAX_RUNS, Withdrawals
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing


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
    box = Withdrawals(run.hall.treaty)
    for serial in range(MAX_RUNS):
        box.add(draft(run.hall, "p2", serial.to_bytes(32, "big")))
    with pytest.raises(RefusedError, match="withdrawals"):
        box.add(draft(run.hall, "p2", b"\xff" * 32))
    box.add(draft(run.hall, "p3", run.digest))
    assert len(box.list_on(run.digest)) == 1


def draft(hall: Conclave, party: str, digest: bytes) -> bytes:
    treaty = hall.treaty
    said = Consent(
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        proposal_digest=digest,
        number=1,
        standing=Standing.WITHDRAWN,
        stated_ms=hall.now,
        reason=VetoReason.SCALE,
    )
    return sign(said, hall.council.party_keys[party])
