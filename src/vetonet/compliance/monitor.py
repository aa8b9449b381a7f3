"""A monitor reads a treaty's log by the rules, and compares what different parties are shown (VN-11.8).

It trusts nobody: not the log, not the server of its tiles, not whoever shows it another checkpoint. It knows
a checkpoint that a quorum of witnesses cosigned, and moves on only to one that extends it. Everything
between is read leaf by leaf, after it was measured against the signed root. Nothing here is durable and
nothing waits: a driver fetches, remembers the known checkpoint, and begins with it again after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from vetonet.compliance.public_record import RecordReader
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError, Problem, ProofError, RefusedError, VerificationError, VetonetError
from vetonet.policy.treaty import Treaty
from vetonet.tlog.checkpoint import Checkpoint, verify_checkpoint
from vetonet.tlog.fork import LogForkedError, find_fork
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, WitnessGroup, verify_cosigned
from vetonet.tlog.tile_fetch import Fetch
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import MissingTileError, Tile

MAX_PENDING: Final = 16
"""How many checkpoints of one source wait to be compared."""


class Monitor:
    """What one monitor knows of a log: the newest checkpoint it believes, and how the record reads up to it.

    Memory holds the votes, the chips and the report batches, not the leaves. Not to be used by two threads
    at once.
    """

    __slots__ = ("_known", "_pending", "_policy", "_read_size", "_record", "_told", "_treaty")

    def __init__(
        self,
        treaty: Signed[Treaty],
        *,
        quorum: int | None = None,
        remembered: bytes | None = None,
        pending: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """Begin at leaf 0, or hold the log to what an earlier run of this monitor believed.

        Args:
            treaty: whose log it is, and by whose rules it is read.
            quorum: how many witnesses must have cosigned; the treaty's number or more.
            remembered: the checkpoint that was known when the monitor stopped; its leaves are read again.
            pending: views that waited to be compared then, with who showed them.

        Raises:
            ConfigError: a quorum below what chips demand, or above the number of witnesses.
            EncodingError, VerificationError: what is remembered is no such checkpoint.
        """
        self._treaty = treaty
        self._policy = _demand(treaty.statement, quorum)
        self._record = RecordReader(treaty)
        self._read_size = self._told = 0
        self._pending: dict[str, dict[int, bytes]] = {}
        self._known: CosignedCheckpoint | None = None
        if remembered is not None:
            self._known = verify_cosigned(remembered, self._policy)
        for source, data in pending:
            self._keep_pending(source, data)

    @property
    def known(self) -> CosignedCheckpoint | None:
        """The newest checkpoint that is believed; None before the first."""
        return self._known

    @property
    def policy(self) -> LogPolicy:
        """Which log and which witnesses count, and how many of them."""
        return self._policy

    @property
    def read_size(self) -> int:
        """How many leaves were read: fewer than known after a restart, or where the log withholds some."""
        return self._read_size

    @property
    def record(self) -> RecordReader:
        """What the leaves amount to, and every one that breaks the rules."""
        return self._record

    @property
    def pending(self) -> Mapping[str, Sequence[bytes]]:
        """Checkpoints that others were shown and that go beyond what is known here, by who showed them."""
        return {source: tuple(waiting.values()) for source, waiting in self._pending.items()}

    def advance(self, checkpoint_bytes: bytes, fetch: Fetch) -> tuple[Problem, ...]:
        """Return what is wrong with the leaves that are new in a checkpoint, once it is believed.

        Args:
            checkpoint_bytes: as the log shows it.
            fetch: gives the tiles of the log.

        Raises:
            EncodingError, InvalidSignatureError: not a checkpoint of the treaty's log.
            LogForkedError: it contradicts the known one; its evidence convicts the log.
            WitnessQuorumError: too few witnesses vouch for it.
            RefusedError: the log shrank.
            ProofError: the tiles are not those of the checkpoint, so nobody can tell what it commits to.
            MissingTileError: a tile is not there; whatever else ``fetch`` raises.
            VerificationError: leaf 0 is not the treaty.
        """
        self._require_growth(checkpoint_bytes, fetch)
        self._compare(checkpoint_bytes, fetch)
        # It is binding from here on, even if the log then withholds some leaf of it: what is read next must
        # be of the same history as what was read before.
        self._known = verify_cosigned(checkpoint_bytes, self._policy)
        self._settle_pending(fetch)
        self._read(self._known.checkpoint, fetch)
        return self._take_problems()

    def confront(self, source: str, checkpoint_bytes: bytes, fetch: Fetch, own_fetch: Fetch) -> Checkpoint:
        """Return a checkpoint that somebody else was shown, unless it convicts the log.

        The log's own signature is enough: it must not sign two histories, cosigned or not. One that goes
        beyond what is known is compared at once if its tiles are to be had, else when the log gets there.

        Args:
            source: who shows it; of each, the ``MAX_PENDING`` smallest wait, which are compared first.
            checkpoint_bytes: as received.
            fetch: gives the tiles of that view, or raises.
            own_fetch: gives the tiles of the log that is followed.

        Raises:
            EncodingError, InvalidSignatureError: not a checkpoint of the treaty's log; whoever shows it may
                have made it up, so it accuses nobody.
            LogForkedError: it and the known checkpoint cannot both be true.
            ProofError: the tiles of the log that is followed are not those of the known checkpoint.
            MissingTileError: one of them is not there; whatever else ``own_fetch`` raises.
        """
        checkpoint = verify_checkpoint(checkpoint_bytes, self._policy.log_key, allow_other_lines=True)
        if self._known is None or checkpoint.tree_size > self._known.checkpoint.tree_size:
            if not self._is_settled(checkpoint_bytes, fetch):
                self._keep_pending(source, checkpoint_bytes)
        else:
            self._compare(checkpoint_bytes, own_fetch)
        return checkpoint

    def _compare(self, checkpoint_bytes: bytes, fetch: Fetch) -> None:
        """The checkpoint and the known one can both be true; ``fetch`` gives the tiles of the larger."""
        checkpoint = verify_checkpoint(checkpoint_bytes, self._policy.log_key, allow_other_lines=True)
        if self._known is None:
            return
        evidence = find_fork(self._known.data, checkpoint_bytes, TileReader(fetch), self._policy)
        if evidence is not None:
            raise LogForkedError(self._known.checkpoint, checkpoint, evidence)

    def _is_settled(self, checkpoint_bytes: bytes, fetch: Fetch) -> bool:
        """Whether a view that is ahead could be compared by its own tiles; it need not serve any."""
        if self._known is None:
            return False
        try:
            self._compare(checkpoint_bytes, fetch)
        except LogForkedError:
            raise
        except VetonetError:
            return False  # what it serves proves nothing, so the log itself has to get there
        return True

    def _keep_pending(self, source: str, checkpoint_bytes: bytes) -> None:
        """It waits, if need be in the place of the largest, which would be compared last."""
        checkpoint = verify_checkpoint(checkpoint_bytes, self._policy.log_key, allow_other_lines=True)
        self._compare_pending(checkpoint, checkpoint_bytes)
        waiting = self._pending.setdefault(source, {})
        waiting.setdefault(checkpoint.tree_size, checkpoint_bytes)
        if len(waiting) > MAX_PENDING:
            del waiting[max(waiting)]

    def _compare_pending(self, checkpoint: Checkpoint, checkpoint_bytes: bytes) -> None:
        """Two that wait contradict each other by themselves if they are of one size."""
        for waiting in self._pending.values():
            other = waiting.get(checkpoint.tree_size)
            if other is None:
                continue
            evidence = find_fork(other, checkpoint_bytes, TileReader(give_no_tiles), self._policy)
            if evidence is not None:
                raise LogForkedError(checkpoint, checkpoint, evidence)

    def _settle_pending(self, fetch: Fetch) -> None:
        """Every view that is not ahead any more has been compared."""
        known = 0 if self._known is None else self._known.checkpoint.tree_size
        for source, waiting in tuple(self._pending.items()):
            for size in [size for size in waiting if size <= known]:
                self._compare(waiting[size], fetch)
                del waiting[size]
            if not waiting:
                del self._pending[source]

    def _require_growth(self, checkpoint_bytes: bytes, fetch: Fetch) -> None:
        """The log did not shrink; where its tiles show that it forked as well, that is said instead."""
        checkpoint = verify_checkpoint(checkpoint_bytes, self._policy.log_key, allow_other_lines=True)
        known = 0 if self._known is None else self._known.checkpoint.tree_size
        if checkpoint.tree_size >= known:
            return
        with suppress(ProofError, MissingTileError):  # whoever lost leaves cannot show the larger tree either
            self._compare(checkpoint_bytes, fetch)
        msg = f"the log shrank from {known} leaves to {checkpoint.tree_size}"
        raise RefusedError(msg, culprit=checkpoint.origin, clause="VN-11.4")

    def _read(self, checkpoint: Checkpoint, fetch: Fetch) -> None:
        """Every leaf of the tree has been read once, each after it was shown to be under the root."""
        size = checkpoint.tree_size
        entries = TileReader(fetch).entries(self._read_size, size, size, root_hash=checkpoint.root_hash)
        for data in entries:
            if self._read_size == 0:
                self._require_treaty(data)
            else:
                self._record.read_or_note(self._read_size, data)
            self._read_size += 1

    def _require_treaty(self, data: bytes) -> None:
        if data != self._treaty.data:
            msg = "leaf 0 of the log is not the treaty that this monitor was given"
            raise VerificationError(msg, problems=(Problem(reason="other-treaty", detail=msg),))

    def _take_problems(self) -> tuple[Problem, ...]:
        new = tuple(self._record.problems[self._told :])
        self._told += len(new)
        return new


def give_no_tiles(tile: Tile) -> bytes:
    """Stand for the tiles of a view that shows checkpoints alone.

    Raises:
        MissingTileError: always.
    """
    raise MissingTileError(tile.to_path())


def _demand(treaty: Treaty, quorum: int | None) -> LogPolicy:
    """Return the treaty's policy for its log, with at least its quorum."""
    policy = LogPolicy.under(treaty)
    count = len(policy.witnesses)
    wanted = treaty.witness_quorum if quorum is None else quorum
    if not treaty.witness_quorum <= wanted <= count:
        msg = (
            f"expected a quorum of {treaty.witness_quorum} to {count} witnesses, got {wanted}: "
            "a monitor that asks for less than the chips do would miss what they accept"
        )
        raise ConfigError(msg)
    return replace(policy, quorum=WitnessGroup(threshold=wanted, members=policy.witnesses))
