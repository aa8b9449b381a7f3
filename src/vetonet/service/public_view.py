"""What anybody may read of a coordinator: votes, licences, leaves, and the proofs that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError, UnknownPartyError, WitnessQuorumError
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.service.history import History
from vetonet.tlog.proof import LogProof, compute_log_proof
from vetonet.voting.state import Phase, Voting
from vetonet.wire.convert import NAME_BYTES
from vetonet.wire.errors import NotFoundError


class PublicView:
    """Reads a history that somebody else lets grow, as far as it is published."""

    __slots__ = ("_by_name", "_history")

    def __init__(self, history: History) -> None:
        """Show this history."""
        self._history = history
        self._by_name: dict[bytes, bytes] = {}
        for digest in history.ledger.order:
            self.name_proposal(digest)

    def name_proposal(self, digest: bytes) -> None:
        """The proposal is found by its name."""
        self._by_name[digest[:NAME_BYTES]] = digest

    def has_name(self, digest: bytes) -> bool:
        """Whether a proposal, this or another, has the name that this digest gives."""
        return digest[:NAME_BYTES] in self._by_name

    @property
    def tree_size(self) -> int:
        """How many leaves the log has, published or not."""
        return self._history.log.tree_size

    def find_owner(self, seats: Sequence[tuple[int, int]]) -> str:
        """Return the one party that holds these seats: index of the group, and participant.

        Raises:
            UnknownPartyError: there are none, no such group or participant, or they are several parties'.
        """
        groups = self._history.ledger.treaty.statement.all_groups
        owners = {groups[index].find_owner(seat) if index < len(groups) else "" for index, seat in seats}
        if len(owners) != 1 or "" in owners:
            raise UnknownPartyError(f"expected seats of one party, got {list(seats)}", clause="VN-2.2")
        return owners.pop()

    def list_votes(self, start: int, limit: int) -> tuple[Voting, ...]:
        """Return votes in the order of their proposals' leaves."""
        ledger = self._history.ledger
        return tuple(ledger.votes[digest] for digest in ledger.order[start : start + limit])

    def find_vote(self, name: bytes) -> Voting:
        """Return the vote whose proposal's digest begins with these 16 bytes.

        Raises:
            NotFoundError: there is none.
        """
        digest = self._by_name.get(name)
        if digest is None:
            raise NotFoundError(f"no proposal {name.hex()}")
        return self._history.ledger.votes[digest]

    def as_published(self, vote: Voting) -> Voting:
        """Return a vote as it may be shown: a licence that no checkpoint covers yet is still being signed."""
        leaf_index = self.find_licence_leaf(vote)
        if leaf_index is None or leaf_index < self.published_size:
            return vote
        return replace(vote, phase=Phase.SIGNING, outcome=None)

    def find_licence_leaf(self, vote: Voting) -> int | None:
        """Return where a vote's licence or resolution is logged, or None where it has none."""
        return None if vote.outcome is None else self._history.find_leaf(vote.outcome.data)

    def find_outcome(self, name: bytes) -> tuple[Signed[Licence] | Signed[Resolution], int]:
        """Return a licence or resolution and its leaf; it must not leave without its proof (VN-11.2).

        Raises:
            NotFoundError: there is no such proposal, or no licence for it.
        """
        vote = self.find_vote(name)
        leaf_index = self.find_licence_leaf(vote)
        if vote.outcome is None or leaf_index is None:
            raise NotFoundError(f"no licence for proposal {name.hex()}: it is {vote.phase}")
        return vote.outcome, leaf_index

    @property
    def published_size(self) -> int:
        """How many leaves the newest published checkpoint covers; none beyond it leave (VN-11.6)."""
        published = self._history.published
        return 0 if published is None else published.checkpoint.tree_size

    def checkpoint(self) -> bytes:
        """Return the newest published checkpoint: signed, and cosigned by a quorum of witnesses.

        Raises:
            WitnessQuorumError: none was published yet.
        """
        published = self._history.published
        if published is None:
            raise WitnessQuorumError("no checkpoint of this log is published yet: no quorum of witnesses")
        return published.data

    def prove(self, leaf_index: int) -> LogProof:
        """Return the proof that a leaf is covered by the newest published checkpoint.

        Raises:
            RefusedError: it is not.
            WitnessQuorumError: no checkpoint was published yet.
        """
        return compute_log_proof(self._history.log, leaf_index, self.checkpoint())

    def list_leaves(self, start: int, *, limit: int, max_bytes: int) -> tuple[bytes, ...]:
        """Return published leaves from ``start`` on: at most ``limit``, none but the first past the bytes."""
        leaves: list[bytes] = []
        size = 0
        for leaf_index in range(start, min(start + limit, self.published_size)):
            leaf = self._history.log.leaf(leaf_index)
            size += len(leaf)
            if leaves and size > max_bytes:
                break
            leaves.append(leaf)
        return tuple(leaves)

    def prove_inclusion(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``.

        Raises:
            RefusedError: so much is not published, or there is no such leaf at that size.
        """
        self._require_published(tree_size)
        return self._history.log.inclusion_proof(leaf_index, tree_size)

    def prove_consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the log of one size extends that of another.

        Raises:
            RefusedError: so much is not published, or the old size is not within 1 and the new size.
        """
        self._require_published(new_size)
        return self._history.log.consistency_proof(old_size, new_size)

    def _require_published(self, tree_size: int) -> None:
        if tree_size > self.published_size:
            msg = f"no tree of {tree_size} leaves: {self.published_size} are published"
            raise RefusedError(msg, clause="VN-11.6")
