"""The ledger: what a log's leaves, read in order, amount to. Everyone reads the same log the same way.

The coordinator rebuilds it after a restart, a party before it signs, a verifier offline. Reading is strict: a
leaf that the rules would not have let in makes the record inconsistent (VN-11.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.crypto.statement import Signed, peek, read_unverified
from vetonet.errors import ProtocolError
from vetonet.policy.ballot import Ballot, open_ballot
from vetonet.policy.licence import Licence
from vetonet.policy.matter import open_matter
from vetonet.policy.motion import Motion, Resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.treaty import Treaty
from vetonet.voting.machine import begin, open_outcome, step
from vetonet.voting.state import BallotReceived, OutcomeLogged, Voting

KINDS: Final = frozenset({Proposal.TYPE, Motion.TYPE, Ballot.TYPE, Licence.TYPE, Resolution.TYPE})
"""The statement types that move the ledger; leaves of other types are read elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All votes of a log, by proposal digest.

    Attributes:
        treaty: the treaty in force.
        votes: the life of each proposal and motion, as far as the log tells it.
        order: their digests in the order in which they were logged.
    """

    treaty: Signed[Treaty] = field(repr=False)
    votes: Mapping[bytes, Voting] = field(default_factory=dict)
    order: tuple[bytes, ...] = ()

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

    def with_vote(self, vote: Voting) -> Ledger:
        """Return the ledger with this proposal's life in place of what it held."""
        digest = vote.digest
        order = self.order if digest in self.votes else (*self.order, digest)
        return replace(self, votes={**self.votes, digest: vote}, order=order)


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
    kind = peek(data).kind
    if kind in {Proposal.TYPE, Motion.TYPE}:
        return _read_matter(ledger, leaf_index, data)
    if kind == Ballot.TYPE:
        return _read_ballot(ledger, leaf_index, data)
    if kind == Licence.TYPE:
        return _read_outcome(ledger, data, read_unverified(data, Licence).proposal_digest)
    if kind == Resolution.TYPE:
        return _read_outcome(ledger, data, read_unverified(data, Resolution).motion_digest)
    return ledger


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
    vote, _ = begin(data, leaf_index, ledger.treaty, ledger.licensed, now=matter.statement.opens_ms)
    return ledger.with_vote(vote)


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


def _read_outcome(ledger: Ledger, data: bytes, digest: bytes) -> Ledger:
    vote = ledger.find(digest)
    outcome = open_outcome(data, vote)
    event = OutcomeLogged(outcome=outcome, licensed=ledger.licensed)
    following, _ = step(vote, event, outcome.statement.issued_ms)
    return ledger.with_vote(following)
