"""The ledger: what a log's leaves, read in order, amount to. Everyone reads the same log the same way.

The coordinator rebuilds it after a restart, a party before it signs, a verifier offline. Reading is strict: a
leaf that the rules would not have let in makes the record inconsistent (VN-11.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.crypto.statement import Signed, read_kind, read_unverified
from vetonet.errors import EpochError, ExpiredError, ProtocolError, RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, open_ballot
from vetonet.policy.ceremony import PUBLIC_KINDS
from vetonet.policy.lease import Lease, compute_signable_ms, open_lease
from vetonet.policy.licence import Licence
from vetonet.policy.matter import open_matter
from vetonet.policy.motion import AMENDING, SUSPENDING, Motion, Resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.standing import Consent, open_consent
from vetonet.policy.succession import verify_succession
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.units import Milliseconds
from vetonet.voting.ceremony_register import CeremonyRegister
from vetonet.voting.inspections import INSPECTION_KINDS, InspectionLeaf, Inspections
from vetonet.voting.machine import Outcome, begin, open_outcome, step
from vetonet.voting.state import BallotReceived, OutcomeLogged, Voting
from vetonet.voting.tenure import step as step_tenure
from vetonet.voting.tenure_state import ConsentStated, LeaseLogged, SuspensionLogged, Tenure


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All votes of a log, by proposal digest.

    Attributes:
        treaty: the treaty in force.
        predecessors: the treaties that were in force before, oldest first.
        votes: the life of each proposal and motion, as far as the log tells it.
        order: their digests in the order in which they were logged.
        tenures: the life of each licence, by the digest of its proposal.
        ceremonies: which statements of key ceremonies the log holds.
        inspections: what was asked of operators, and what came of it.
    """

    treaty: Signed[Treaty] = field(repr=False)
    votes: Mapping[bytes, Voting] = field(default_factory=dict)
    order: tuple[bytes, ...] = ()
    tenures: Mapping[bytes, Tenure] = field(default_factory=dict)
    predecessors: tuple[Signed[Treaty], ...] = field(default=(), repr=False)
    ceremonies: CeremonyRegister = field(default=CeremonyRegister(), repr=False)
    inspections: Inspections = field(default=Inspections(), repr=False)

    @property
    def licensed(self) -> Mapping[bytes, Proposal]:
        """The proposals that hold a licence, by digest."""
        return {
            digest: vote.run
            for digest, vote in self.votes.items()
            if vote.run is not None and vote.licence is not None
        }

    def find(self, digest: bytes) -> Voting:
        """Return the life of a proposal or motion.

        Raises:
            ProtocolError: the log has no such thing.
        """
        vote = self.votes.get(digest)
        if vote is None:
            msg = f"no proposal {digest.hex()[:16]} in the log"
            raise ProtocolError(msg, clause="VN-6.2")
        return vote

    def find_tenure(self, digest: bytes) -> Tenure:
        """Return the life of a licence.

        Raises:
            ProtocolError: the log holds no licence of this proposal.
        """
        tenure = self.tenures.get(digest)
        if tenure is None:
            msg = f"no licence of proposal {digest.hex()[:16]} in the log"
            raise ProtocolError(msg, clause="VN-14.2")
        return tenure

    def open_vote(self, data: bytes, leaf_index: int, *, now: Milliseconds) -> Outcome:
        """Return the vote on a proposal or motion that came in, as ``machine.begin`` does.

        Raises:
            ProtocolError, VerificationError: the rules of VN-5 say no, or it is an emergency suspension of a
                run that had one which nobody confirmed (VN-14.4).
        """
        vote, effects = begin(data, leaf_index, self.treaty, self.licensed, now=now)
        motion = vote.matter.statement
        if isinstance(motion, Motion) and motion.action is ActionClass.EMERGENCY_SUSPENSION:
            _verify_emergency(motion, self.find_tenure(motion.subject_digest))
        return vote, effects

    def with_tenure(self, tenure: Tenure) -> Ledger:
        """Return the ledger with this licence's life in place of what it held."""
        return replace(self, tenures={**self.tenures, tenure.digest: tenure})

    def find_amendment(self, successor: Signed[Treaty]) -> Signed[Resolution]:
        """Return the resolution that puts a treaty in force in place of the present one (VN-16.7).

        Where that was decided more than once, it is the resolution that lapses last.

        Raises:
            RefusedError: nobody decided that under the treaty in force.
        """
        found: list[Signed[Resolution]] = []
        for vote in self.votes.values():
            resolution = vote.resolution
            is_current = vote.treaty.payload_digest == self.treaty.payload_digest
            if resolution is None or not is_current or resolution.statement.action not in AMENDING:
                continue
            if resolution.statement.subject_digest == successor.payload_digest:
                found.append(resolution)
        if not found:
            digest = successor.payload_digest.hex()[:16]
            raise RefusedError(f"no resolution of this log puts treaty {digest} in force", clause="VN-16.7")
        return max(found, key=lambda resolution: resolution.statement.ends_ms)

    def with_treaty(self, successor: Signed[Treaty]) -> Ledger:
        """Return the ledger under another treaty; licences live on under it, votes under the old one end.

        Raises:
            RefusedError: nobody decided that, or it is no successor of the treaty in force (VN-16).
            ExpiredError: the log itself shows that the resolution has lapsed.
        """
        resolution = self.find_amendment(successor)
        _verify_not_lapsed(resolution.statement, compute_shown_ms(self))
        history = [treaty.statement for treaty in (*self.predecessors, self.treaty)]
        verify_succession(history, successor.statement, resolution.statement.action)
        tenures = {digest: tenure.with_treaty(successor) for digest, tenure in self.tenures.items()}
        predecessors = (*self.predecessors, self.treaty)
        return replace(self, treaty=successor, predecessors=predecessors, tenures=tenures)

    def with_vote(self, vote: Voting) -> Ledger:
        """Return the ledger with this life in place of what it held, and what follows from its outcome."""
        digest = vote.digest
        order = self.order if digest in self.votes else (*self.order, digest)
        is_news = vote.outcome is not None and self._is_undecided(digest)
        following = replace(self, votes={**self.votes, digest: vote}, order=order)
        return _follow_outcome(following, vote) if is_news else following

    def _is_undecided(self, digest: bytes) -> bool:
        return digest not in self.votes or self.votes[digest].outcome is None


def compute_shown_ms(ledger: Ledger) -> Milliseconds:
    """Return the latest time that was over, as the log tells it, when its newest leaf came; 0 for none.

    A vote is logged when its window has begun; a quorum signs its outcome, by its own clocks, when that is
    over, and a lease when it is due. What one party states alone, as in a ballot, does not count: with it any
    party could run the time of the others out.
    """
    matters = ((vote.matter.statement, vote.outcome) for vote in ledger.votes.values())
    voted = (asked.opens_ms if outcome is None else asked.closes_ms for asked, outcome in matters)
    tenures = ((tenure.licence.statement, tenure.lease) for tenure in ledger.tenures.values())
    leased = (
        compute_signable_ms(licence, lease.statement.number)
        for licence, lease in tenures
        if lease is not None
    )
    return max((*voted, *leased), default=0)


def _verify_not_lapsed(resolution: Resolution, shown_ms: Milliseconds) -> None:
    """A reader has no clock: only what the log shows makes a late treaty an inconsistent record."""
    if shown_ms >= resolution.ends_ms:
        msg = f"a treaty whose resolution lapsed at {resolution.ends_ms}; the log shows that it is {shown_ms}"
        raise ExpiredError(msg, clause="VN-16.7")


def read_leaf(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    """Return the ledger after one more leaf.

    Args:
        ledger: what the leaves before it amount to.
        leaf_index: its place in the log.
        data: the leaf.

    Raises:
        EncodingError: the leaf is not a statement.
        ProtocolError, VerificationError: the rules would not have let it in here (VN-11.3).
    """
    read = _READERS.get(read_kind(data))
    return ledger if read is None else read(ledger, leaf_index, data)


def read_leaves(ledger: Ledger, leaves: Iterable[tuple[int, bytes]]) -> Ledger:
    """Return the ledger after these leaves, each with its index, in order.

    Raises:
        EncodingError, ProtocolError, VerificationError: as ``read_leaf``.
    """
    for leaf_index, data in leaves:
        ledger = read_leaf(ledger, leaf_index, data)
    return ledger


def _read_matter(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    matter = open_matter(data, ledger.treaty)
    if matter.payload_digest in ledger.votes:
        msg = f"{matter.statement.TYPE} {matter.payload_digest.hex()[:16]} stands twice in the log"
        raise ProtocolError(msg, clause="VN-11.3")
    # Nobody can tell from the log when in its window a proposal came, so the window's start stands for it.
    vote, _ = ledger.open_vote(data, leaf_index, now=matter.statement.opens_ms)
    return ledger.with_vote(vote)


def _verify_emergency(motion: Motion, tenure: Tenure) -> None:
    if tenure.is_emergency_spent:
        run = motion.subject_digest.hex()[:16]
        why = f"run {run} had an emergency suspension that nobody confirmed; move suspension-confirmation"
        raise RefusedError(why, culprit=motion.mover, clause="VN-14.4")


def _read_ballot(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    ballot = open_ballot(data, ledger.treaty)
    vote = ledger.find(ballot.statement.proposal_digest)
    following, effects = step(
        vote, BallotReceived(ballot=ballot, leaf_index=leaf_index), ballot.statement.cast_ms
    )
    if not effects:
        msg = f"leaf {leaf_index} repeats a ballot"
        raise ProtocolError(msg, clause="VN-11.3")
    return ledger.with_vote(following)


def _read_treaty(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    """Leaf 0 is the treaty that the reader knows; any later one has to be decided (VN-16.7)."""
    if leaf_index:
        return ledger.with_treaty(open_treaty(data))
    if data != ledger.treaty.data:
        msg = f"the log does not begin with treaty {ledger.treaty.payload_digest.hex()[:16]}"
        raise RefusedError(msg, clause="VN-11.3")
    return ledger


def _read_licence(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    digest = read_unverified(data, Licence).proposal_digest
    following = _read_outcome(ledger, data, digest)
    return replace(following, inspections=following.inspections.note_licence(digest, leaf_index))


def _read_resolution(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    del leaf_index
    return _read_outcome(ledger, data, read_unverified(data, Resolution).motion_digest)


def _read_outcome(ledger: Ledger, data: bytes, digest: bytes) -> Ledger:
    vote = ledger.find(digest)
    if vote.treaty.payload_digest != ledger.treaty.payload_digest:
        msg = f"an outcome of a vote under epoch {vote.treaty.statement.epoch}, which is over"
        raise EpochError(msg, clause="VN-16.8")
    outcome = open_outcome(data, vote)
    event = OutcomeLogged(outcome=outcome, licensed=ledger.licensed)
    following, _ = step(vote, event, outcome.statement.issued_ms)
    return ledger.with_vote(following)


def _read_consent(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    consent = open_consent(data, ledger.treaty)
    tenure = ledger.find_tenure(consent.statement.proposal_digest)
    event = ConsentStated(consent=consent, leaf_index=leaf_index)
    following, effects = step_tenure(tenure, event, consent.statement.stated_ms)
    if not effects:
        msg = f"leaf {leaf_index} repeats a statement of consent"
        raise ProtocolError(msg, clause="VN-11.3")
    return ledger.with_tenure(following)


def _read_lease(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    del leaf_index
    lease = open_lease(data, ledger.treaty)
    tenure = ledger.find_tenure(lease.statement.proposal_digest)
    following, _ = step_tenure(tenure, LeaseLogged(lease=lease), lease.statement.starts_ms)
    return ledger.with_tenure(following)


def _read_ceremony(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    """Who leaves hands over before a change of the roster, who comes is known after it: both may speak."""
    del leaf_index
    known = tuple(treaty.statement for treaty in (*ledger.predecessors[-1:], ledger.treaty))
    return replace(ledger, ceremonies=ledger.ceremonies.add(data, known))


def _read_inspection(ledger: Ledger, leaf_index: int, data: bytes) -> Ledger:
    leaf = InspectionLeaf(data=data, leaf_index=leaf_index, treaty=ledger.treaty, votes=ledger.votes)
    return replace(ledger, inspections=ledger.inspections.read(leaf))


def _follow_outcome(ledger: Ledger, vote: Voting) -> Ledger:
    """A licence begins its tenure; what suspends one is part of its life from now on."""
    if vote.licence is not None:
        tenure = Tenure(
            treaty=ledger.treaty, proposal=vote.proposal, licence=vote.licence, granted=vote.choices
        )
        return ledger.with_tenure(tenure)
    resolution = vote.resolution
    if resolution is None or resolution.statement.action not in SUSPENDING:
        return ledger
    tenure = ledger.find_tenure(resolution.statement.subject_digest)
    event = SuspensionLogged(resolution=resolution)
    following, _ = step_tenure(tenure, event, resolution.statement.issued_ms)
    return ledger.with_tenure(following)


_READERS: Final[Mapping[str, Callable[[Ledger, int, bytes], Ledger]]] = {
    Treaty.TYPE: _read_treaty,
    Proposal.TYPE: _read_matter,
    Motion.TYPE: _read_matter,
    Ballot.TYPE: _read_ballot,
    Licence.TYPE: _read_licence,
    Resolution.TYPE: _read_resolution,
    Consent.TYPE: _read_consent,
    Lease.TYPE: _read_lease,
    **dict.fromkeys(PUBLIC_KINDS, _read_ceremony),
    **dict.fromkeys(INSPECTION_KINDS, _read_inspection),
}
KINDS: Final = frozenset(_READERS)
"""The statement types that move the ledger; leaves of other types are read elsewhere."""
