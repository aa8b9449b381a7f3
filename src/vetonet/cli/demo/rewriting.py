"""A coordinator that rewrites its log: who still vouches for it, and what anybody can prove against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vetonet.cli.demo.stage import Stage
from vetonet.compliance.monitor import Monitor, give_no_tiles
from vetonet.crypto.statement import read_kind
from vetonet.errors import ProtocolError
from vetonet.policy.ballot import Ballot, open_ballot
from vetonet.policy.quorum import Choice
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.checkpoint import SignedCheckpoint, sign_checkpoint
from vetonet.tlog.fork import Fork, LogForkedError, verify_fork
from vetonet.tlog.log import Log
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.tiles import MissingTileError, Tile
from vetonet.tlog.tree_edge import TreeEdge


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """What came of it.

    Attributes:
        refused: how many witnesses cosigned nothing.
        fork: what a monitor that met both histories proves, or None where it noticed nothing.
    """

    refused: int
    fork: Fork | None


async def rewrite(stage: Stage) -> Rewriting:
    """Take the first veto out of the log, sign that instead, and return what witnesses and a monitor do."""
    note = await stage.operator.get_checkpoint()
    size = SignedCheckpoint.from_bytes(note).checkpoint.tree_size
    leaves = await stage.operator.fetch_leaves(0, size)
    place = _find_veto(stage, leaves)
    # Some other leaf fills the gap, so that the tree is as large as the one that was published.
    rewritten = Log(
        stage.founded.treaty.statement.log_origin, [*leaves[:place], *leaves[place + 1 :], leaves[-1]]
    )
    signed = sign_checkpoint(rewritten.checkpoint(), stage.founded.log_key)
    return Rewriting(refused=await _ask_witnesses(stage, signed), fork=_compare(stage, leaves, note, signed))


async def _ask_witnesses(stage: Stage, signed: SignedCheckpoint) -> int:
    """Return how many witnesses refuse to cosign it."""
    refused = 0
    for witness in stage.witnesses.values():
        try:
            await witness.add_checkpoint(AddCheckpoint(old_size=signed.checkpoint.tree_size, signed=signed))
        except ProtocolError:
            refused += 1
    return refused


def _compare(stage: Stage, leaves: Sequence[bytes], note: bytes, signed: SignedCheckpoint) -> Fork | None:
    """Return what a monitor proves that follows the log and is then shown the other checkpoint."""
    treaty = stage.founded.treaty
    files = dict(TreeEdge().extend(leaves).files)

    def fetch(tile: Tile) -> bytes:
        if tile.to_path() not in files:
            raise MissingTileError(tile.to_path())
        return files[tile.to_path()]

    monitor = Monitor(treaty)
    monitor.advance(note, fetch)
    try:
        monitor.confront("somebody else", signed.to_bytes(), give_no_tiles, fetch)
    except LogForkedError as error:
        return verify_fork(error.evidence, LogPolicy.under(treaty.statement))
    return None


def _find_veto(stage: Stage, leaves: Sequence[bytes]) -> int:
    """Return where the first veto is logged."""
    for place, data in enumerate(leaves):
        if read_kind(data) != Ballot.TYPE:
            continue
        if open_ballot(data, stage.founded.treaty).statement.choice is Choice.VETO:
            return place
    raise ValueError("this scene needs a logged veto")
