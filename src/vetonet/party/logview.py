"""A follower's view of the log: verified before it is believed, never smaller, never rewritten (VN-11.4).

The coordinator is not trusted to say what the log holds. A view advances only by leaves that, after those it
already has, give exactly the root of a checkpoint that the treaty's log signed. Two signed checkpoints that
cannot both be true are kept: they prove the log's cheating to anybody, and the view believes nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

from vetonet.crypto.merkle import Tree, compute_leaf_hash
from vetonet.crypto.statement import Signed
from vetonet.errors import ProofError, RefusedError, VetonetError
from vetonet.policy.treaty import Treaty
from vetonet.tlog.checkpoint import Checkpoint, verify_checkpoint
from vetonet.tlog.fork import ForkEvidence, LogForkedError, find_fork
from vetonet.tlog.log import Log
from vetonet.tlog.policy import LogPolicy, compute_witnessed_ms, verify_cosigned
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger, read_leaf


class LogView:
    """The log as one party verified it: the last checkpoint, all leaves, and the ledger they amount to.

    Once the log has been caught in a contradiction, or has published a leaf that the rules forbid, every
    further call of ``advance`` raises the same error: doubt means no.
    """

    __slots__ = ("_checkpoint", "_halted", "_ledger", "_log", "_policy", "_signed", "_witnessed_ms")

    def __init__(self, treaty: Signed[Treaty]) -> None:
        """Begin with the empty log of this treaty."""
        self._policy = LogPolicy.under(treaty.statement)
        self._log = Log(treaty.statement.log_origin)
        self._ledger = Ledger(treaty=treaty)
        self._checkpoint = self._log.checkpoint()
        self._signed = b""
        self._witnessed_ms = 0
        self._halted: VetonetError | None = None

    @property
    def tree_size(self) -> int:
        """How many leaves the last verified checkpoint covers."""
        return self._checkpoint.tree_size

    @property
    def checkpoint(self) -> Checkpoint:
        """The last verified checkpoint; before the first, that of the empty log."""
        return self._checkpoint

    @property
    def signed_checkpoint(self) -> bytes:
        """The last verified checkpoint as the log signed it; empty before the first."""
        return self._signed

    @property
    def witnessed_ms(self) -> Milliseconds:
        """The time at or after which a quorum of witnesses cosigned what this view stands at (VN-7.9).

        Whatever a quorum had cosigned before then, this view holds: any two quorums share an honest witness,
        and that one cosigned no smaller tree afterwards (VN-11.7).
        """
        return self._witnessed_ms

    @property
    def ledger(self) -> Ledger:
        """What the leaves amount to."""
        return self._ledger

    @property
    def policy(self) -> LogPolicy:
        """Which log and which witnesses count."""
        return self._policy

    def leaf(self, leaf_index: int) -> bytes:
        """Return a verified leaf.

        Raises:
            RefusedError: the view has no such leaf.
        """
        return self._log.leaf(leaf_index)

    def find_leaf(self, data: bytes) -> int | None:
        """Return where a verified leaf of these bytes stands, the newest of several; None for nowhere."""
        indices = reversed(range(self.tree_size))
        return next((index for index in indices if self._log.leaf(index) == data), None)

    def advance(self, new_leaves: Sequence[bytes], checkpoint_bytes: bytes) -> Checkpoint:
        """Return the checkpoint that the view now stands at: these leaves after the old ones give its root.

        Args:
            new_leaves: every leaf from ``tree_size`` up to the size that the checkpoint states.
            checkpoint_bytes: a signed checkpoint as received.

        Raises:
            EncodingError, InvalidSignatureError: not a checkpoint of the treaty's log.
            WitnessQuorumError: too few witnesses vouch for it (VN-11.5).
            LogForkedError: it contradicts what the log signed before.
            RefusedError: the tree would shrink.
            ProofError: leaves are missing, too many, or not those that the checkpoint commits to.
            ProtocolError, VerificationError: a leaf that the rules would not have let in (VN-11.3).
        """
        self._raise_if_halted()
        checkpoint = self.confront(checkpoint_bytes)
        cosigned = verify_cosigned(checkpoint_bytes, self._policy)
        if checkpoint.tree_size < self.tree_size:
            msg = f"the log shrank from {self.tree_size} leaves to {checkpoint.tree_size}"
            raise RefusedError(msg, culprit=self._log.origin, clause="VN-11.4")
        first = self.tree_size
        self._extend(new_leaves, checkpoint)
        self._checkpoint, self._signed = checkpoint, checkpoint_bytes
        self._witnessed_ms = max(self._witnessed_ms, compute_witnessed_ms(cosigned, self._policy))
        self._read(first, new_leaves)
        return checkpoint

    def stands_at(self, checkpoint_bytes: bytes) -> bool:
        """Whether these are the very bytes that were verified last, so that there is nothing to learn.

        Raises:
            VetonetError: nothing of this log is believed any more.
        """
        self._raise_if_halted()
        return bool(self._signed) and checkpoint_bytes == self._signed

    def confront(self, checkpoint_bytes: bytes, history: Sequence[bytes] = ()) -> Checkpoint:
        """Return a checkpoint of the treaty's log, from wherever, that contradicts nothing known here.

        The log's own signature is enough here: two histories that it signed convict it, witnessed or not.

        Args:
            checkpoint_bytes: a signed checkpoint, such as one that another party was shown.
            history: for a larger tree than is known here, all of its leaves from 0: if they give the root
                that the log signed, they also say whether that tree extends this one.

        Raises:
            EncodingError, InvalidSignatureError: not a checkpoint of the treaty's log.
            LogForkedError: it and the last verified checkpoint cannot both be true.
        """
        checkpoint = verify_checkpoint(checkpoint_bytes, self._policy.log_key, allow_other_lines=True)
        evidence = self._find_fork(checkpoint, checkpoint_bytes, history)
        if evidence is not None:
            self._halted = LogForkedError(self._checkpoint, checkpoint, evidence)
            raise self._halted
        return checkpoint

    def _find_fork(
        self, checkpoint: Checkpoint, checkpoint_bytes: bytes, history: Sequence[bytes]
    ) -> ForkEvidence | None:
        """Return what shows that the log rewrote itself between the two checkpoints, where anything does."""
        if not self._signed:
            return None
        if checkpoint.tree_size <= self.tree_size:
            return find_fork(self._signed, checkpoint_bytes, self._log, self._policy)
        tree = Tree(compute_leaf_hash(leaf) for leaf in history)
        if (tree.size, tree.root_hash()) != (checkpoint.tree_size, checkpoint.root_hash):
            return None  # these are not the leaves of that tree, so they say nothing about it
        return find_fork(self._signed, checkpoint_bytes, tree, self._policy)

    def _extend(self, new_leaves: Sequence[bytes], checkpoint: Checkpoint) -> None:
        """The log holds the new leaves too, or is as it was."""
        known, missing = self.tree_size, checkpoint.tree_size - self.tree_size
        if len(new_leaves) != missing:
            msg = f"expected the {missing} leaves from {known} on, got {len(new_leaves)}"
            raise ProofError(msg)
        try:
            for leaf in new_leaves:
                self._log.append(leaf)
            if self._log.root_hash() != checkpoint.root_hash:
                msg = f"the leaves from {known} on do not give the root that the checkpoint signs"
                raise ProofError(msg)
        except VetonetError:
            self._log = Log(self._log.origin, (self._log.leaf(index) for index in range(known)))
            raise

    def _read(self, first: int, new_leaves: Sequence[bytes]) -> None:
        """The ledger has read the new leaves; one that the rules forbid is published for good and ends it."""
        try:
            for leaf_index, data in enumerate(new_leaves, start=first):
                self._ledger = read_leaf(self._ledger, leaf_index, data)
        except VetonetError as error:
            self._halted = error
            raise

    def _raise_if_halted(self) -> None:
        if self._halted is not None:
            raise self._halted
