"""A council of real daemons, a real log and a real chip under a coordinator that does whatever it likes.

What ``tests/models`` shows of the protocol is claimed here of the code: the same actions, the same claims
(``support.claims``), histories that hypothesis draws. Every honest party is the daemon that runs in the
field. As in the models, a machine in which nothing can go wrong proves nothing: for each seeded bug the same
machine must find the claim that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RULE_MARKER, run_state_machine_as_test

from support.careless import TENURE_BUGS, VOTE_BUGS, Bug
from support.conclave import PARTIES, Kinds
from support.council_machine import ConclaveMachine, TenureMachine, VoteMachine
from vetonet.policy.quorum import Choice

SETTINGS = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FOCUSED = settings(
    SETTINGS,
    max_examples=1000,
    stateful_step_count=6,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
"""Few rules and short histories; what is found is not made shorter still.

What is drawn depends on which modules a worker happens to have imported: the bound is far above the need.
"""

BUGS: Mapping[str, tuple[type[ConclaveMachine], Bug]] = {
    **{name: (VoteMachine, bug) for name, bug in VOTE_BUGS.items()},
    **{name: (TenureMachine, bug) for name, bug in TENURE_BUGS.items()},
}

TestVoteMachine = VoteMachine.TestCase
TestVoteMachine.settings = settings(SETTINGS, max_examples=100)
TestTenureMachine = TenureMachine.TestCase
TestTenureMachine.settings = settings(SETTINGS, max_examples=60)


def focus(machine: type[ConclaveMachine], chosen: tuple[str, ...], taking_part: Kinds) -> type[Any]:
    """Return a machine with these rules of it alone."""
    rules = {name for name in dir(machine) if hasattr(getattr(machine, name), RULE_MARKER)}
    assert rules >= set(chosen)
    return type("Focused", (machine,), {"kinds": taking_part, **dict.fromkeys(rules - set(chosen))})


@pytest.mark.parametrize("name", [name for name, (_, bug) in BUGS.items() if bug.rules])
def test_a_seeded_bug_breaks_its_claim(name: str) -> None:
    machine, bug = BUGS[name]
    with pytest.raises(AssertionError, match=bug.claim):
        run_state_machine_as_test(focus(machine, bug.rules, bug.kinds), settings=FOCUSED)


def sign(machine: Any, back: int = 0) -> None:
    machine.sign((0, 1), back, waits=True, is_logged=False)


def vote_by_a_log_from_before_the_close(machine: Any) -> None:
    machine.veto(set(), is_logged=True)
    sign(machine, back=1)


def veto_off_the_log(machine: Any) -> None:
    machine.veto(set(PARTIES), is_logged=False)
    sign(machine)


def veto_and_crash(machine: Any) -> None:
    machine.veto(set(PARTIES), is_logged=False)
    machine.crash(PARTIES)
    sign(machine)


def ask_for_another_share_of_the_same_commitments(machine: Any) -> None:
    sign(machine)
    machine.ask_with_old_commitments(0, (0, 1), "p2")


def log_a_ballot_late_and_ask_again(machine: Any) -> None:
    machine.cast("p3", Choice.ABSTAIN, is_logged=False)
    sign(machine)
    machine.log(1)
    sign(machine)


def renew_by_a_log_from_before_the_withdrawal(machine: Any) -> None:
    machine.withdraw_as_holder(set(), is_logged=True)
    machine.renew((0, 1), 1, 0, waits=True, is_logged=True)


def renew_by_those_who_withdrew(machine: Any) -> None:
    machine.withdraw({"p1", "p2"}, set(), is_logged=False)
    machine.renew((0, 1), 0, 0, waits=True, is_logged=True)


def renew_during_a_suspension(machine: Any) -> None:
    machine.suspend((0, 1), 12)
    machine.renew((0, 1), 0, 0, waits=True, is_logged=True)


def work_on_after_the_withdrawal(machine: Any) -> None:
    machine.withdraw_as_holder(set(), is_logged=True)
    machine.wait(3)
    machine.wait(3)
    machine.work(1, is_held=False)


HISTORIES: Mapping[str, Callable[[Any], None]] = {
    "a party believes a log from before the close": vote_by_a_log_from_before_the_close,
    "a party ignores vetoes off the log": veto_off_the_log,
    "a party forgets a veto in a crash": veto_and_crash,
    "a party uses nonces again": ask_for_another_share_of_the_same_commitments,
    "a party signs a second licence": log_a_ballot_late_and_ask_again,
    "a party believes a log from before the lease is due": renew_by_a_log_from_before_the_withdrawal,
    "a party is not bound by its own withdrawal": renew_by_those_who_withdrew,
    "a party ignores suspensions": renew_during_a_suspension,
    "a chip outlasts its lease": work_on_after_the_withdrawal,
}
"""The shortest histories of bugs that take more luck than a short search has."""


def tell(name: str, taking_part: Kinds) -> None:
    """The history of a bug is told, and every claim is looked at."""
    kind = BUGS[name][0]
    machine: Any = type("Told", (kind,), {"kinds": taking_part})()
    start = {"granting": 2} if kind is VoteMachine else {"granting": PARTIES, "is_leased": True}
    try:
        machine.meet(holder="p3", malicious=None, **start)
        HISTORIES[name](machine)
        machine.every_outcome_has_its_quorum_and_no_veto_over_it()
        machine.honest_parties_sign_once()
    finally:
        machine.teardown()


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_breaks_a_claim_with_its_bug_and_none_without(name: str) -> None:
    tell(name, Kinds())
    with pytest.raises(AssertionError, match=BUGS[name][1].claim):
        tell(name, BUGS[name][1].kinds)


def test_every_seeded_bug_is_looked_for() -> None:
    searched = {name for name, (_, bug) in BUGS.items() if bug.rules}
    assert searched | HISTORIES.keys() == BUGS.keys()
