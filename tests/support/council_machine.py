"""The rules by which hypothesis drives a conclave, and the claims that it looks at after each of them.

The actions are those of ``tests/models``: ballots, direct vetoes, the log, the close, signing rounds,
crashes, changes of epoch, leases, withdrawals, suspensions, a chip and its clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support import claims
from support.conclave import LEASE_FLOP, PARTIES, PEAK, Conclave, Kinds, Session, convene, count_flop
from support.world import Council
from vetonet.attester.state import (
    IntervalEnded,
    LeaseAccepted,
    LeaseOffered,
    LicenceAccepted,
    LicenceOffered,
    PowerCycled,
    TreatyAmended,
    WorkRequested,
)
from vetonet.crypto.merkle import compute_inclusion_proof, compute_leaf_hash
from vetonet.crypto.statement import Signed, peek
from vetonet.party.memory import Task
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, VetoReason
from vetonet.policy.lease import Lease, compute_signable_ms, count_leases, derive_lease
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing
from vetonet.policy.treaty import Treaty
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR, MS_PER_S, Milliseconds, Precision, WorkloadClass
from vetonet.voting.machine import derive
from vetonet.voting.tenure import find_due_number, list_consenting
from vetonet.voting.tenure_state import Tenure

MINUTE_MS = 60 * MS_PER_S
MAX_MATTERS = 6
MAX_EPOCHS = 3
DIRECT_KINDS = {Ballot.TYPE, Consent.TYPE}

parties = st.sampled_from(PARTIES)
pairs = st.sampled_from([(0, 1), (0, 1), (0, 2), (1, 2)])
"""Of the parties in ``order``: mostly the two that hold no veto."""

holders = st.sampled_from(("p3", "p1"))
malicious_parties = st.sampled_from((None, "p1", "p2", "p3"))
recent = st.integers(0, 5)


class ConclaveMachine(RuleBasedStateMachine):
    """What can happen at any time, and what must hold all the time."""

    kinds = Kinds()

    def __init__(self) -> None:
        super().__init__()
        self.hall: Conclave
        self.holder = ""
        self.digest = b""
        self.done_flop: dict[bytes, int] = {}
        self.taken: dict[bytes, int] = {}
        self.successors: dict[bytes, Signed[Treaty]] = {}
        self.judged = 0

    @property
    def order(self) -> tuple[str, ...]:
        """The parties, the holder of the veto last."""
        return tuple(sorted(PARTIES, key=lambda party: (party == self.holder, party)))

    def choose(self, pair: tuple[int, int]) -> tuple[str, ...]:
        return tuple(sorted(self.order[place] for place in pair))

    def convene(self, holder: str, malicious: str | None) -> None:
        self.holder, self.hall = holder, convene(holder, malicious, self.kinds)
        self.propose()

    def teardown(self) -> None:
        if hasattr(self, "hall"):
            self.hall.close()

    @rule(who=st.sampled_from([PARTIES, PARTIES, *((party,) for party in PARTIES)]))
    def crash(self, who: tuple[str, ...]) -> None:
        for party in sorted(set(who) & set(self.hall.honest)):
            self.hall.restart(party)

    @rule(which=recent)
    def log(self, which: int) -> None:
        """A statement that was held back, wherever it belongs."""
        said = [data for data in self.hall.heard if self.hall.find_leaf(data) is None]
        if said:
            self.hall.append(said[-1 - which % len(said)])
            self.hall.witness()

    @rule(which=recent, party=parties)
    def deliver(self, which: int, party: str) -> None:
        said = [data for data in self.hall.heard if peek(data).kind in DIRECT_KINDS]
        if said and party != self.hall.malicious:
            self.hall.hand(said[-1 - which % len(said)], party)

    @rule(names=st.sampled_from([PARTIES, PARTIES, ("p1",), ("p2", "p3")]), back=st.integers(0, 2))
    def witness(self, names: tuple[str, ...], back: int) -> None:
        self.hall.witness(names, back)

    @rule(party=parties, back=st.integers(0, 3))
    def show(self, party: str, back: int) -> None:
        self.hall.show(party, self.find_size(back))

    @precondition(lambda self: self.digest and self.hall.sessions)
    @rule(which=recent, party=parties)
    def ask_again(self, which: int, party: str) -> None:
        """An old request for a share is repeated."""
        sessions = [session for session in self.hall.sessions if party in session.signers]
        if sessions:
            self.hall.answer(sessions[-1 - which % len(sessions)], party)

    @precondition(lambda self: self.digest and self.hall.sessions)
    @rule(which=recent, signers=pairs, fresh=st.sampled_from((None, *PARTIES)))
    def ask_with_old_commitments(self, which: int, signers: tuple[int, int], fresh: str | None) -> None:
        """At most one party commits afresh: the package is put together from what is there."""
        old = self.hall.sessions[-1 - which % len(self.hall.sessions)]
        if fresh is not None:
            self.hall.commit(fresh, old.task)
        self.ask(old.task, old.statement, self.choose(signers))

    @precondition(lambda self: self.digest and self.hall.outcomes)
    @rule(which=recent)
    def offer(self, which: int) -> None:
        """The chip is offered something that the quorum signed, now or long ago."""
        self.offer_outcome(self.hall.outcomes[-1 - which % len(self.hall.outcomes)])

    @precondition(lambda self: self.digest and self.hall.outcomes)
    @rule(signers=pairs, is_enacted=st.booleans())
    def amend(self, signers: tuple[int, int], *, is_enacted: bool) -> None:
        """Another treaty is decided on, and stands in the log, at once or later."""
        if self.hall.treaty.statement.epoch >= MAX_EPOCHS:
            return
        successor = self.hall.draft_successor()
        self.successors[successor.payload_digest] = successor
        self.hall.hear("everybody", successor.data)
        session = self.decide(
            ActionClass.AMEND_RULES, successor.payload_digest, self.choose(signers), 24 * MS_PER_HOUR
        )
        if session is not None and is_enacted and self.hall.append(successor.data):
            self.hall.witness()
            self.offer_outcome(session)

    @invariant()
    def every_outcome_has_its_quorum_and_no_veto_over_it(self) -> None:
        if self.digest:
            for session in self.hall.outcomes[self.judged :]:
                claims.require_quorum(self.hall, session)
                claims.require_no_veto(self.hall, session, self.holder)
                claims.require_withdrawal(self.hall, session, self.holder)
            self.judged = len(self.hall.outcomes)

    @invariant()
    def honest_parties_sign_once(self) -> None:
        if self.digest:
            claims.require_single(self.hall)

    # Steps that rules are made of.

    @property
    def council(self) -> Council:
        """The council under the treaty in force."""
        return replace(self.hall.council, treaty=self.hall.treaty)

    def find_size(self, back: int) -> int:
        """Return a size of the log that can be shown, by default the newest."""
        return self.hall.sizes[min(back, len(self.hall.sizes) - 1)]

    def propose(self) -> None:
        proposal = self.hall.propose()
        self.hall.hear("op1", proposal.data)
        assert self.hall.append(proposal.data)
        self.hall.witness()
        self.digest = proposal.payload_digest

    def vote(self, party: str, choice: Choice, digest: bytes, *, is_logged: bool = True) -> None:
        before = set(self.hall.heard)
        if party == self.hall.malicious:
            matter = self.hall.ledger.find(digest).matter
            cast_ms = min(
                self.hall.now, matter.statement.closes_ms - 1
            )  # whenever it was: it says what suits
            council = replace(self.hall.council, treaty=self.hall.ledger.find(digest).treaty)
            self.hall.sign(council.cast(matter, choice, cast_ms=cast_ms))
        else:
            reason = VetoReason.SCALE if choice is Choice.VETO else None
            self.hall.face(party, self.find_size(0))
            self.hall.attempt(self.hall.daemons[party].vote(digest, choice, reason))
        for data in [data for data in self.hall.heard if data not in before and is_logged]:
            self.hall.append(data)

    def close_window(self, digest: bytes) -> None:
        """A vote's window is over, and the log was vouched for since."""
        self.hall.now = max(self.hall.now, self.hall.ledger.find(digest).matter.statement.closes_ms)
        self.hall.witness()

    def hold(self, task: Task, statement: Any, signers: tuple[str, ...], size: int) -> Session | None:
        """Both signers are shown a prefix and asked to commit, and then to sign; return what was asked."""
        for party in signers:
            self.hall.face(party, size)
            self.hall.commit(party, task)
        return self.ask(task, statement, signers)

    def ask(self, task: Task, statement: Any, signers: tuple[str, ...]) -> Session | None:
        session = self.hall.ask(task, statement, signers)
        if session is not None:
            for party in signers:
                self.hall.answer(session, party)
        return session

    def publish(self, session: Session | None) -> bool:
        """What was signed, if it was, is logged and vouched for."""
        if session is None or session.data is None or not self.hall.append(session.data):
            return False
        self.hall.witness()
        return True

    def decide(
        self, action: ActionClass, subject: bytes, signers: tuple[str, ...], lasting_ms: Milliseconds
    ) -> Session | None:
        """A motion of the first is granted by both, signed by both, and logged; or it fails on the way."""
        opens_ms = -(-self.hall.now // MS_PER_S) * MS_PER_S
        closes_ms = opens_ms + MINUTE_MS
        motion = self.council.move(
            signers[0],
            action,
            subject_digest=subject,
            opens_ms=opens_ms,
            closes_ms=closes_ms,
            ends_ms=closes_ms + lasting_ms,
        )
        self.hall.now = opens_ms
        self.hall.hear(signers[0], motion.data)
        if not self.hall.append(motion.data):
            return None
        self.hall.witness()
        for party in signers:
            self.vote(party, Choice.GRANT, motion.payload_digest)
        self.close_window(motion.payload_digest)
        vote = self.hall.ledger.find(motion.payload_digest)
        if not vote.ballots:
            return None
        session = self.hold(Task(digest=vote.digest), derive(vote), signers, self.find_size(0))
        return session if self.publish(session) else None

    @property
    def chip_now(self) -> Milliseconds:
        return max(self.hall.now, self.hall.chip.latest_ms)

    def offer_outcome(self, session: Session) -> None:
        """The chip is offered what was signed, with the newest proof that it is logged."""
        assert session.data is not None
        place, size, chip = self.hall.find_leaf(session.data), self.find_size(0), self.hall.chip
        if place is None or place >= size:
            return
        known = 0 if chip.checkpoint is None else chip.checkpoint.tree_size
        proof: dict[str, Any] = {
            "data": session.data,
            "log_proof": compute_log_proof(self.hall.log, place, self.hall.head(size)),
            "consistency": self.hall.log.consistency_proof(known, size) if 0 < known < size else None,
        }
        match session.statement:
            case Licence():
                membership = compute_inclusion_proof([compute_leaf_hash(chip.ueid)], 0)
                self.take(LicenceOffered(membership=membership, **proof), session)
            case Lease():
                self.take(LeaseOffered(**proof), session)
            case Resolution(action=ActionClass.AMEND_RULES) as resolution:
                self.offer_treaty(self.successors[resolution.subject_digest].data, size, proof, session)

    def offer_treaty(self, treaty: bytes, size: int, proof: dict[str, Any], session: Session) -> None:
        place = self.hall.find_leaf(treaty)
        if place is not None and place < size:
            inclusion = self.hall.log.inclusion_proof(place, size)
            self.take(TreatyAmended(treaty=treaty, inclusion=inclusion, **proof), session)

    def take(self, event: Any, session: Session) -> None:
        epoch = self.hall.chip.treaty.statement.epoch
        for effect in self.hall.move_chip(event, self.chip_now):
            if isinstance(effect, LicenceAccepted | LeaseAccepted):
                decided = session.statement
                assert isinstance(decided, Licence | Lease)
                lives_on = isinstance(decided, Licence) and self.is_logged_in_its_epoch(decided, session)
                assert decided.epoch == epoch or lives_on, "EPOCH: the chip took what is of another epoch"
            if isinstance(effect, LicenceAccepted):
                digest = session.task.digest
                self.taken[digest] = self.taken.get(digest, 0) + 1
                assert self.taken[digest] == 1, "S3: the chip took two licences of a proposal"

    def is_logged_in_its_epoch(self, licence: Licence, session: Session) -> bool:
        """Whether the log holds it, and the treaty of the next epoch behind it."""
        ledger, place = self.hall.ledger, self.hall.find_leaf(session.data or b"")
        treaties = [*ledger.predecessors, ledger.treaty]
        ends = [
            self.hall.find_leaf(each.data) for each in treaties if each.statement.epoch == licence.epoch + 1
        ]
        return place is not None and any(end is not None and place < end for end in ends)


class VoteMachine(ConclaveMachine):
    """One proposal after another: ballots, direct vetoes, the close, and signing rounds."""

    @initialize(holder=holders, malicious=malicious_parties, granting=st.sampled_from([2, 2, 3, 1, 0]))
    def meet(self, holder: str, malicious: str | None, granting: int) -> None:
        """A run is proposed, and some of the parties granted it."""
        self.convene(holder, malicious)
        for party in self.order[:granting]:
            self.vote(party, Choice.GRANT, self.digest)
        self.hall.witness()

    @rule(party=parties, choice=st.sampled_from(list(Choice)), is_logged=st.booleans())
    def cast(self, party: str, choice: Choice, *, is_logged: bool) -> None:
        self.vote(party, choice, self.digest, is_logged=is_logged)

    @rule(is_logged=st.booleans(), told=st.sets(parties))
    def veto(self, told: set[str], *, is_logged: bool) -> None:
        """The holder vetoes, and its ballot reaches some of the others."""
        self.vote(self.holder, Choice.VETO, self.digest, is_logged=is_logged)
        said = [data for data, (author, _) in self.hall.heard.items() if author == self.holder]
        for data in said:
            for party in sorted(told & set(self.hall.honest) - {self.holder}):
                self.hall.hand(data, party)
        self.hall.witness()

    @rule()
    def wait(self) -> None:
        self.hall.now += 10 * MINUTE_MS

    @rule()
    def close(self) -> None:
        self.close_window(self.digest)

    @rule(
        signers=pairs,
        back=st.sampled_from([0, 0, 1, 2]),
        waits=st.booleans(),
        is_logged=st.booleans(),
    )
    def sign(self, signers: tuple[int, int], back: int, *, waits: bool, is_logged: bool) -> None:
        """Two parties are shown a prefix of the log, and asked for what follows from it."""
        if waits:
            self.close_window(self.digest)
        size = self.find_size(back)
        vote = self.hall.ledgers[size].votes.get(self.digest)
        if vote is not None and vote.ballots:
            session = self.hold(Task(digest=self.digest), derive(vote), self.choose(signers), size)
            if is_logged and self.publish(session) and session is not None:
                self.offer_outcome(session)

    @precondition(lambda self: self.digest and self.hall.outcomes)
    @rule()
    def propose_again(self) -> None:
        """Another run; the votes before stay, and what was said on them can be said again."""
        if len(self.hall.ledger.order) < MAX_MATTERS:
            self.propose()

    @invariant()
    def with_nobody_malicious_there_is_one_licence_of_a_proposal(self) -> None:
        if self.digest and self.hall.malicious is None:
            known: dict[bytes, object] = {}
            for session in self.hall.outcomes:
                if not session.task.lease:
                    first = known.setdefault(session.task.digest, session.statement)
                    assert first == session.statement, "SINGLE: two licences of a proposal"


class TenureMachine(ConclaveMachine):
    """The life of a licence: leases, withdrawals, suspensions, epochs, and work."""

    @initialize(
        holder=holders,
        malicious=malicious_parties,
        granting=st.sampled_from([PARTIES, PARTIES, ("p1", "p2"), ("p2", "p3")]),
        is_leased=st.booleans(),
    )
    def meet(self, holder: str, malicious: str | None, granting: tuple[str, ...], *, is_leased: bool) -> None:
        """A run is licensed, its chip has the licence, and the first lease is due or in use."""
        self.convene(holder, malicious)
        for party in granting:
            self.vote(party, Choice.GRANT, self.digest)
        self.close_window(self.digest)
        licence = derive(self.hall.ledger.find(self.digest))
        session = self.hold(Task(digest=self.digest), licence, granting[:2], self.find_size(0))
        assert session is not None
        assert self.publish(session)
        self.offer_outcome(session)
        self.hall.now = compute_signable_ms(self.tenure.licence.statement, 1)
        self.hall.witness()
        if is_leased:
            self.renew_by(granting[:2], self.find_size(0), 0, is_logged=True)
            self.hall.now = self.tenure.licence.statement.not_before_ms
            self.hall.witness()

    @property
    def tenure(self) -> Tenure:
        return self.hall.ledger.find_tenure(self.digest)

    @rule(
        signers=pairs,
        back=st.sampled_from([0, 1, 1, 2]),
        ahead=st.sampled_from([0, 0, 0, 1]),
        waits=st.booleans(),
        is_logged=st.booleans(),
    )
    def renew(self, signers: tuple[int, int], back: int, ahead: int, *, waits: bool, is_logged: bool) -> None:
        """Two parties are shown a prefix of the log, and asked for the lease that is due, or a later one."""
        if waits:
            self.wait_for_lease()
        self.renew_by(self.choose(signers), self.find_size(back), ahead, is_logged=is_logged)

    @rule()
    def renew_duly(self) -> None:
        """The next lease is asked for when it is due, as an honest coordinator would."""
        consenting = list_consenting(self.tenure)
        self.wait_for_lease()
        if len(consenting) > 1:
            self.renew_by(consenting[:2], self.find_size(0), 0, is_logged=True)

    def wait_for_lease(self) -> None:
        """The next lease is due, if there is one."""
        licence, last = self.tenure.licence.statement, self.tenure.lease
        number = 1 + (0 if last is None else last.statement.number)
        if number <= count_leases(licence) and find_due_number(self.tenure, self.hall.now) is None:
            self.hall.now = max(self.hall.now, compute_signable_ms(licence, number))
            self.hall.witness()

    def renew_by(self, signers: tuple[str, ...], size: int, ahead: int, *, is_logged: bool) -> None:
        tenure = self.hall.ledgers[size].tenures.get(self.digest)
        number = ahead + (find_due_number(self.tenure, self.hall.now) or 1)
        if tenure is None or number > count_leases(tenure.licence.statement):
            return
        lease = derive_lease(self.hall.ledgers[size].treaty, tenure.licence, number)
        task = Task(digest=self.digest, lease=number, treaty_digest=lease.treaty_digest)
        session = self.hold(task, lease, signers, size)
        if is_logged and self.publish(session) and session is not None:
            self.offer_outcome(session)

    @rule(hours=st.sampled_from([1, 2, 3]))
    def wait(self, hours: int) -> None:
        """Time passes, and the log is vouched for again."""
        self.hall.now += hours * MS_PER_HOUR
        self.hall.witness()

    @rule(part=st.sampled_from([1, 2]), is_held=st.booleans())
    def work(self, part: int, *, is_held: bool) -> None:
        """The operator works as much as the chip lets it; where it can, it holds the chip's clock."""
        chip, flop = self.hall.chip, LEASE_FLOP // part
        if chip.licence is None:
            return
        if chip.licence.leases:
            self.hall.now = max(self.hall.now, chip.licence.leases[0].lease.starts_ms)
        licence, now = chip.licence.licence, self.held_ms if is_held else self.chip_now
        self.hall.move_chip(IntervalEnded(), now)
        request = WorkRequested(
            flop=flop,
            duration_ms=flop * 1000 // PEAK + 1,
            workload=WorkloadClass.TRAINING,
            precision=Precision.BF16,
            total_flop=licence.total_flop,
            licence_id=licence.licence_id,
        )
        worked = count_flop(self.hall.move_chip(request, now))
        done = self.done_flop[self.digest] = self.done_flop.get(self.digest, 0) + worked
        claims.require_allowance(self.hall, done, self.digest)
        if worked and not is_held:
            self.hall.now = max(self.hall.now, self.hall.chip.latest_ms)
            claims.require_stop(self.hall, self.digest, self.hall.chip.latest_ms, self.holder)

    @property
    def held_ms(self) -> Milliseconds:
        """What a chip can be made to believe that it is: nothing earlier than it knows."""
        chip = self.hall.chip
        begun = [used.lease.starts_ms for used in chip.licence.leases] if chip.licence else []
        return max(chip.latest_ms, min(begun, default=0))

    @rule()
    def cycle_power(self) -> None:
        self.hall.move_chip(PowerCycled(seed=self.hall.council.rng(32)), self.chip_now)

    @rule(who=st.sets(parties, min_size=1), told=st.sets(parties), is_logged=st.booleans())
    def withdraw(self, who: set[str], told: set[str], *, is_logged: bool) -> None:
        """Some parties withdraw their consent, and some of the others are told."""
        for party in sorted(who):
            self.state(party, Standing.WITHDRAWN, told, is_logged=is_logged)

    @rule(told=st.sets(parties), is_logged=st.booleans())
    def withdraw_as_holder(self, told: set[str], *, is_logged: bool) -> None:
        self.state(self.holder, Standing.WITHDRAWN, told, is_logged=is_logged)

    @rule(party=parties, is_logged=st.booleans())
    def give(self, party: str, *, is_logged: bool) -> None:
        """A party consents again."""
        self.state(party, Standing.GIVEN, set(), is_logged=is_logged)

    def state(self, party: str, standing: Standing, told: set[str], *, is_logged: bool) -> None:
        reason = VetoReason.SAFETY_CASE if standing is Standing.WITHDRAWN else None
        if party == self.hall.malicious:
            data = self.hall.sign(self.draft_consent(party, standing, reason))
        else:
            self.hall.face(party, self.find_size(0))
            self.hall.attempt(self.hall.daemons[party].state_consent(self.digest, standing, reason))
            data = next(reversed(self.hall.heard))
        if is_logged and self.hall.append(data):
            self.hall.witness()
        for other in sorted(told & set(self.hall.honest) - {party}):
            self.hall.hand(data, other)

    def draft_consent(self, party: str, standing: Standing, reason: VetoReason | None) -> Consent:
        known, treaty = self.tenure.standings.get(party), self.hall.treaty
        return Consent(
            treaty_digest=treaty.payload_digest,
            epoch=treaty.statement.epoch,
            proposal_digest=self.digest,
            number=1 if known is None else known.statement.number + 1,
            standing=standing,
            stated_ms=self.hall.now,
            reason=reason,
        )

    @rule(signers=pairs, lasting=st.sampled_from([4, 12]))
    def suspend(self, signers: tuple[int, int], lasting: int) -> None:
        """Two parties suspend the run for some hours."""
        if len(self.hall.ledger.order) < MAX_MATTERS:
            self.decide(
                ActionClass.EMERGENCY_SUSPENSION, self.digest, self.choose(signers), lasting * MS_PER_HOUR
            )
