"""The log as the clock: cosignatures bound when something was made, whatever f witnesses lie (VN-11.9).

An honest witness writes the true time into a cosignature, and never cosigns a smaller tree after a larger
one. At most f of the n witnesses do anything else. Three things follow.

*Not earlier, by lines.* What contains cosignatures was made after each honest one of them. Of the f + 1
latest at least one is honest, so it was made no earlier than the (f + 1)-th latest.

*Not earlier, by name.* A report names a checkpoint by the digest of its text, which does not cover the lines
below it: while the log is quiet, honest witnesses cosign the same checkpoint again and again, and a line of
today proves nothing about what a chip saw yesterday. What counts is what came before. A chip believes a
checkpoint with k cosignatures, and an honest one among them was first made after everything that its witness
cosigned of smaller trees. Take for each of the n witnesses the latest time at which it cosigned a smaller
tree. The k that the chip saw may be those with the k lowest of these times, and the f highest of them may be
lies; the (k - f)-th lowest of all n is then still a lower bound. Where k of n cosigned a smaller tree, it is
one of their times exactly if 2k - n > f: the arithmetic that excludes split views gives the clock as well.

*Not later.* A leaf existed before every honest cosignature of a tree that holds it. Of the f + 1 earliest,
counting each witness once, at least one is honest, so it existed no later than the (f + 1)-th earliest.

With f + 1 liars each of these can be moved past the truth: the bounds are tight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.errors import ConfigError, ProofError
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy

_NEVER: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBounds:
    """When something was made, whole seconds since the Unix epoch, both ends included.

    Attributes:
        earliest_s: it was not made before.
        latest_s: it was not made after.
    """

    earliest_s: int
    latest_s: int

    def __post_init__(self) -> None:
        """Refuse bounds that leave no time between them.

        Raises:
            ProofError: more witnesses lied than were reckoned with, or their clocks are further apart.
        """
        if self.earliest_s > self.latest_s:
            msg = (
                f"made no earlier than {self.earliest_s} s and no later than {self.latest_s} s: more "
                "witnesses lied than may collude, or their clocks differ by more than was allowed for"
            )
            raise ProofError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessClock:
    """How far the witnesses of a log are trusted with the time.

    Attributes:
        witnesses: the n whose cosignatures count.
        quorum: k, how many of them a chip demands before it believes a checkpoint.
        max_colluding: f, how many may lie.
        max_skew_s: how far the clock of an honest one may be from the truth, either way.
    """

    witnesses: tuple[WitnessKey, ...]
    quorum: int
    max_colluding: int
    max_skew_s: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers under which nothing could be bounded."""
        if not 0 <= self.max_colluding < self.quorum <= len(self.witnesses) or self.max_skew_s < 0:
            msg = (
                f"expected fewer colluding witnesses than the quorum, got {self.max_colluding} of "
                f"{self.quorum} of {len(self.witnesses)}, and a skew of at least 0 s, got {self.max_skew_s}"
            )
            raise ConfigError(msg)

    @classmethod
    def under(cls, policy: LogPolicy, *, max_colluding: int, max_skew_s: int = 0) -> WitnessClock:
        """Return the clock of a policy with one flat quorum, such as a treaty sets.

        Raises:
            ConfigError: no quorum, groups of groups, or as many colluding witnesses as the quorum has.
        """
        quorum = policy.quorum
        if quorum is None:
            raise ConfigError("a log without witnesses tells no time")
        if isinstance(quorum, WitnessKey):
            return cls(witnesses=(quorum,), quorum=1, max_colluding=max_colluding, max_skew_s=max_skew_s)
        if any(not isinstance(member, WitnessKey) for member in quorum.members):
            raise ConfigError("expected a quorum of witnesses, got one of groups")
        return cls(
            witnesses=quorum.witnesses,
            quorum=quorum.threshold,
            max_colluding=max_colluding,
            max_skew_s=max_skew_s,
        )


def compute_earliest_s(cosigned: CosignedCheckpoint, clock: WitnessClock) -> int:
    """Return the time before which nothing was made that contains these very cosignatures.

    Naming the checkpoint is not enough: see ``compute_appearance_s``.

    Raises:
        ProofError: fewer than f + 1 witnesses cosigned.
    """
    times = sorted(_collect_times([cosigned], clock, max).values(), reverse=True)
    return max(0, _select(times, clock) - clock.max_skew_s)


def compute_appearance_s(smaller: Iterable[CosignedCheckpoint], clock: WitnessClock) -> int:
    """Return the time before which no quorum had cosigned any checkpoint of a tree larger than all of these.

    So it bounds from below what names such a checkpoint, and when a leaf beyond these trees was in the log
    for anybody who demands the quorum.

    Args:
        smaller: checkpoints of smaller trees.
        clock: how far its witnesses are trusted.

    Raises:
        ProofError: too few witnesses cosigned a smaller tree.
    """
    latest = _collect_times(smaller, clock, max)
    times = sorted(latest.get(witness, _NEVER) for witness in clock.witnesses)
    bound = times[clock.quorum - clock.max_colluding - 1]
    if bound == _NEVER:
        needed = len(clock.witnesses) - clock.quorum + clock.max_colluding + 1
        msg = f"expected cosignatures of smaller trees by {needed} witnesses at least, got {len(latest)}"
        raise ProofError(msg)
    return max(0, bound - clock.max_skew_s)


def compute_latest_s(covering: Iterable[CosignedCheckpoint], clock: WitnessClock) -> int:
    """Return the time after which nothing was made that every one of these trees holds.

    Raises:
        ProofError: fewer than f + 1 witnesses cosigned any of them.
    """
    times = sorted(_collect_times(covering, clock, min).values())
    return _select(times, clock) + clock.max_skew_s


def bound_leaf(leaf_index: int, checkpoints: Sequence[CosignedCheckpoint], clock: WitnessClock) -> TimeBounds:
    """Return when a leaf came to be in the log, for anybody who demands the quorum.

    What the leaf says may be older. That it is in the log at this index is for an inclusion proof to show.

    Args:
        leaf_index: its place.
        checkpoints: some that hold it and some of smaller trees, in any order; more give closer bounds.
        clock: how far its witnesses are trusted.

    Raises:
        ProofError: checkpoints of two logs, too few cosignatures on either side, or times that contradict
            each other.
    """
    _verify_one_log(checkpoints)
    smaller = [cosigned for cosigned in checkpoints if cosigned.checkpoint.tree_size <= leaf_index]
    return TimeBounds(
        earliest_s=compute_appearance_s(smaller, clock),
        latest_s=compute_latest_s(_select_covering(leaf_index, checkpoints), clock),
    )


def bound_report(
    seen_digest: bytes, leaf_index: int, checkpoints: Sequence[CosignedCheckpoint], clock: WitnessClock
) -> TimeBounds:
    """Return when a report was made: after the checkpoint that it names, before the leaf that covers it.

    That the chip demands the quorum, and that the leaf at this index covers the report, is for others to
    show.

    Args:
        seen_digest: ``Checkpoint.digest`` of the newest checkpoint that the chip had seen.
        leaf_index: the place of the leaf that covers the report's batch.
        checkpoints: the named one, some of smaller trees and some that hold the leaf, in any order.
        clock: how far the log's witnesses are trusted.

    Raises:
        ProofError: checkpoints of two logs, none of them the named one, too few cosignatures on either side,
            or times that contradict each other.
    """
    _verify_one_log(checkpoints)
    sizes = {
        cosigned.checkpoint.tree_size for cosigned in checkpoints if cosigned.checkpoint.digest == seen_digest
    }
    if not sizes:
        msg = (
            f"none of {len(checkpoints)} checkpoints has the digest {seen_digest.hex()} that the report names"
        )
        raise ProofError(msg)
    smaller = [cosigned for cosigned in checkpoints if cosigned.checkpoint.tree_size < min(sizes)]
    return TimeBounds(
        earliest_s=compute_appearance_s(smaller, clock),
        latest_s=compute_latest_s(_select_covering(leaf_index, checkpoints), clock),
    )


def _select_covering(leaf_index: int, checkpoints: Iterable[CosignedCheckpoint]) -> list[CosignedCheckpoint]:
    return [cosigned for cosigned in checkpoints if cosigned.checkpoint.tree_size > leaf_index]


def _collect_times(
    checkpoints: Iterable[CosignedCheckpoint], clock: WitnessClock, choose: Callable[[int, int], int]
) -> dict[WitnessKey, int]:
    """Return one time for each witness that cosigned: the latest or the earliest.

    A time of zero is left out: with ML-DSA it says that the witness makes no statement about time.
    """
    times: dict[WitnessKey, int] = {}
    for cosigned in checkpoints:
        for entry in cosigned.cosignatures:
            if entry.witness in clock.witnesses and entry.timestamp_s:
                known = times.get(entry.witness, entry.timestamp_s)
                times[entry.witness] = choose(known, entry.timestamp_s)
    return times


def _select(times: Sequence[int], clock: WitnessClock) -> int:
    """Return the (f + 1)-th time: up to it at least one is honest."""
    if len(times) <= clock.max_colluding:
        msg = f"expected cosignatures of {clock.max_colluding + 1} witnesses at least, got {len(times)}"
        raise ProofError(msg)
    return times[clock.max_colluding]


def _verify_one_log(checkpoints: Iterable[CosignedCheckpoint]) -> None:
    origins = {cosigned.checkpoint.origin for cosigned in checkpoints}
    if len(origins) > 1:
        msg = f"expected checkpoints of one log, got {', '.join(sorted(origins)[:3])}"
        raise ProofError(msg)
