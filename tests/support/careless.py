"""Parties and chips that leave out one rule each: what the claims must catch, or they claim nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from support.conclave import Kinds
from vetonet.attester.machine import step
from vetonet.attester.state import ChipState, Event, LeaseOffered, LicenceOffered, Outcome, PowerCycled
from vetonet.crypto.statement import peek
from vetonet.party.ballot_box import BallotBox
from vetonet.party.daemon import PartyDaemon
from vetonet.party.duty import Agreed, Duty
from vetonet.party.grants import MAX_UNSPENT, Grants
from vetonet.party.logview import LogView
from vetonet.party.memory import Task
from vetonet.party.withdrawals import Withdrawals
from vetonet.policy.ballot import Ballot
from vetonet.units import MAX_TIME_MS, Milliseconds
from vetonet.voting.ledger import Ledger
from vetonet.voting.machine import derive
from vetonet.voting.signing import GroupShare
from vetonet.voting.state import Voting


class CarelessDaemon(PartyDaemon):
    """A daemon whose duty, word or boxes are of another kind."""

    duty: type[Duty] = Duty
    grants: type[Grants] = Grants

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._grants = self.grants(parts["secrets"], parts["memory"], parts["rng"])
        self._duty = self.duty(
            self.party_id,
            coordinator=self._coordinator,
            grants=self._grants,
            box=self.choose_box(),
            withdrawals=self.choose_withdrawals(),
            look=self._look,
            clock=self._clock,
        )

    def choose_box(self) -> BallotBox:
        return self._box

    def choose_withdrawals(self) -> Withdrawals:
        return self._withdrawals


class _CredulousDuty(Duty):
    def _agree_to_vote(self, view: LogView, vote: Voting) -> Agreed:
        del view
        everybody = frozenset(party.party_id for party in vote.treaty.statement.parties)
        return Agreed(
            task=Task(digest=vote.digest), action=vote.action, statement=derive(vote), consenting=everybody
        )


class Credulous(CarelessDaemon):
    """Signs what follows from the log without looking whether it was granted."""

    duty = _CredulousDuty


@dataclass(frozen=True, slots=True)
class _View:
    ledger: Ledger
    witnessed_ms: Milliseconds


class _TimelessDuty(Duty):
    def _agree_to_vote(self, view: LogView, vote: Voting) -> Agreed:
        return super()._agree_to_vote(_View(view.ledger, MAX_TIME_MS), vote)  # type: ignore[arg-type]

    def _agree_to_lease(self, view: LogView, vote: Voting, number: int) -> Agreed:
        return super()._agree_to_lease(_View(view.ledger, MAX_TIME_MS), vote, number)  # type: ignore[arg-type]


class Timeless(CarelessDaemon):
    """Believes a log that witnesses vouched for before the close as much as one from after it."""

    duty = _TimelessDuty


class _TirelessDuty(Duty):
    def _agree_to_lease(self, view: LogView, vote: Voting, number: int) -> Agreed:
        tenure = replace(view.ledger.find_tenure(vote.digest), suspensions=())
        seen = _View(view.ledger.with_tenure(tenure), view.witnessed_ms)
        return super()._agree_to_lease(seen, vote, number)  # type: ignore[arg-type]


class Tireless(CarelessDaemon):
    """Renews leases under a suspension."""

    duty = _TirelessDuty


class Deaf(CarelessDaemon):
    """Takes vetoes and withdrawals that are handed to it, and counts those of the log alone."""

    def choose_box(self) -> BallotBox:
        return BallotBox(self.ledger.treaty)

    def choose_withdrawals(self) -> Withdrawals:
        return Withdrawals(self.ledger.treaty)


class _OthersWithdrawals(Withdrawals):
    def restore(self, data: bytes) -> None:
        """Nothing that is the party's own is kept; after a crash, nothing at all."""


class Wavering(CarelessDaemon):
    """Signs leases after its own withdrawal, until the log holds that."""

    def choose_withdrawals(self) -> Withdrawals:
        self._withdrawals = _OthersWithdrawals(self.ledger.treaty)
        return self._withdrawals


class Careless(CarelessDaemon):
    """Acknowledges what it is handed before that is on its disk."""

    def receive_ballot(self, data: bytes) -> None:
        if peek(data).kind == Ballot.TYPE:
            self._box.add(data, self._view.ledger, self._clock())
        else:
            self._withdrawals.add(data, self._view.ledger)


class _ReusingGrants(Grants):
    def sign_shares(self, task: Task, attempt: int, **asked: Any) -> tuple[GroupShare, ...]:
        held = tuple(self._nonces.get(task, ()))
        every = [nonces for pairs in held for nonces in pairs.values() if nonces._unspent]
        secrets = [bytes(nonces._unspent[0]) for nonces in every]
        self._memory._burnt.clear()
        shares = super().sign_shares(task, attempt, **asked)
        for nonces, secret in zip(every, secrets, strict=True):
            nonces._unspent[:] = [bytearray(secret)]
        self._nonces[task] = deque(held, maxlen=MAX_UNSPENT)
        return shares


class Reusing(CarelessDaemon):
    """Keeps its nonces after their use, and burns none."""

    grants = _ReusingGrants


class _FickleGrants(Grants):
    def sign_shares(self, task: Task, attempt: int, **asked: Any) -> tuple[GroupShare, ...]:
        self._memory._signed.clear()
        return super().sign_shares(task, attempt, **asked)


class Fickle(CarelessDaemon):
    """Signs whatever follows from the log now, whatever it signed before."""

    grants = _FickleGrants


def take_licences_again(state: ChipState, event: Event, now: Milliseconds) -> Outcome:
    """The chip forgets which proposals it was licensed for."""
    if isinstance(event, LicenceOffered):
        state = replace(state, accepted={}, last_licence_id=None)
    return step(state, event, now)


def refill_leases(state: ChipState, event: Event, now: Milliseconds) -> Outcome:
    """A power cycle gives the chip what it used of its leases once more."""
    if isinstance(event, PowerCycled) and state.licence is not None:
        leases = tuple(replace(used, used_flop=0) for used in state.licence.leases)
        state = replace(state, licence=replace(state.licence, leases=leases))
    return step(state, event, now)


def outlast_leases(state: ChipState, event: Event, now: Milliseconds) -> Outcome:
    """The chip looks at the count of a lease alone, and goes on after its end."""
    following, effects = step(state, event, now)
    used = following.licence
    if isinstance(event, LeaseOffered) and used is not None:
        ends_ms = used.licence.expires_ms
        lasting = tuple(replace(one, lease=replace(one.lease, ends_ms=ends_ms)) for one in used.leases)
        following = replace(following, licence=replace(used, leases=lasting))
    return following, effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A rule left out.

    Attributes:
        kinds: who leaves it out.
        claim: which claim breaks, as a pattern.
        rules: the rules of the machine that are enough for hypothesis to break it; none where it takes a
            history that is told step by step.
    """

    kinds: Kinds
    claim: str
    rules: tuple[str, ...]


def _bug(claim: str, *rules: str, **kinds: Any) -> Bug:
    return Bug(kinds=Kinds(**kinds), claim=claim, rules=rules)


VOTE_BUGS: Final[Mapping[str, Bug]] = {
    "a party skips the review of the vote": _bug("S1|S2", "cast", "sign", daemon=Credulous),
    "a party believes a log from before the close": _bug("S2", daemon=Timeless),
    "a party ignores vetoes off the log": _bug("S2", daemon=Deaf),
    "a party forgets a veto in a crash": _bug("S2", daemon=Careless),
    "a party loses its disk": _bug("S3", "cast", "crash", keeps_journal=False),
    "a party uses nonces again": _bug("S3: a nonce", daemon=Reusing),
    "a party signs a second licence": _bug("S3: two|SINGLE", daemon=Fickle),
    "a chip takes a licence twice": _bug("S3: the chip", "sign", "offer", step=take_licences_again),
}
TENURE_BUGS: Final[Mapping[str, Bug]] = {
    "a party believes a log from before the lease is due": _bug("S4", daemon=Timeless),
    "a party ignores withdrawals off the log": _bug("S4", "withdraw_as_holder", "renew_duly", daemon=Deaf),
    "a party is not bound by its own withdrawal": _bug("S4", daemon=Wavering),
    "a party ignores suspensions": _bug("S4: a lease under", daemon=Tireless),
    "a chip refills its lease": _bug("S4: more work", "work", "cycle_power", step=refill_leases),
    "a chip outlasts its lease": _bug("S4: work", step=outlast_leases),
}
