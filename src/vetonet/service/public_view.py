"""What anybody may read of a coordinator: votes, licences, leaves, and the proofs that go with them."""

from __future__ import annotations

from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.policy.licence import Licence
from vetonet.service.history import History
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.proof import LogProof, compute_log_proof
from vetonet.voting.state import Voting
from vetonet.wire.convert import NAME_BYTES
from vetonet.wire.errors import NotFoundError


class PublicView:
    """Reads a history that somebody else lets grow, and signs checkpoints over it."""

    __slots__ = ("_by_name", "_checkpoint", "_history", "_log_key")

    def __init__(self, history: History, log_key: SigningKey) -> None:
        """Show this history."""
        self._history, self._log_key = history, log_key
        self._by_name: dict[bytes, bytes] = {}
        self._checkpoint: tuple[int, bytes] | None = None
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
        """How many leaves the log has."""
        return self._history.log.tree_size

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

    def find_licence_leaf(self, vote: Voting) -> int | None:
        """Return where a vote's licence is logged, or None where it has none."""
        return None if vote.licence is None else self._history.find_leaf(vote.licence.data)

    def get_licence(self, name: bytes) -> tuple[Signed[Licence], LogProof]:
        """Return a proposal's licence and the proof that it is logged: it never leaves without (VN-11.2).

        Raises:
            NotFoundError: there is no such proposal, or no licence for it.
        """
        vote = self.find_vote(name)
        leaf_index = self.find_licence_leaf(vote)
        if vote.licence is None or leaf_index is None:
            raise NotFoundError(f"no licence for proposal {name.hex()}: it is {vote.phase}")
        return vote.licence, self.prove(leaf_index)

    def checkpoint(self) -> bytes:
        """Return the signed checkpoint over all leaves."""
        size = self.tree_size
        if self._checkpoint is None or self._checkpoint[0] != size:
            signed = sign_checkpoint(self._history.log.checkpoint(), self._log_key)
            self._checkpoint = (size, signed.to_bytes())
        return self._checkpoint[1]

    def prove(self, leaf_index: int) -> LogProof:
        """Return the proof that a leaf is covered by the newest checkpoint.

        Raises:
            RefusedError: there is no such leaf.
        """
        return compute_log_proof(self._history.log, leaf_index, self.checkpoint())

    def list_leaves(self, start: int, *, limit: int, max_bytes: int) -> tuple[bytes, ...]:
        """Return leaves from ``start`` on: at most ``limit``, and none beyond ``max_bytes`` but the first."""
        leaves: list[bytes] = []
        size = 0
        for leaf_index in range(start, min(start + limit, self.tree_size)):
            leaf = self._history.log.leaf(leaf_index)
            size += len(leaf)
            if leaves and size > max_bytes:
                break
            leaves.append(leaf)
        return tuple(leaves)

    def prove_inclusion(self, leaf_index: int, tree_size: int) -> InclusionProof:
        """Return the proof that a leaf is among the first ``tree_size``.

        Raises:
            RefusedError: the log is not that large, or has no such leaf at that size.
        """
        return self._history.log.inclusion_proof(leaf_index, tree_size)

    def prove_consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """Return the proof that the log of one size extends that of another.

        Raises:
            RefusedError: the log is not that large, or the old size is not within 1 and the new size.
        """
        return self._history.log.consistency_proof(old_size, new_size)
