"""Covered clusters: which chips together are so many that they must be registered (VN-17.17).

The thresholds are those of the MIRI draft treaty (arXiv 2511.10783, appendix A, article II.16): more than 16
H100-equivalents, or more than 25 Gbit/s of network between sites; and, where a treaty adopts the amendment of
Rahman (arXiv 2605.29359, section 6.5), more than 1,280 GB of accelerator memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from vetonet.units import FlopPerS

H100E_FLOP_PER_S: Final = 990 * 10**12
"""One H100-equivalent: 990 TFLOP/s, dense, in 16-bit formats."""

TPP_BITS: Final = 16
"""Total processing performance is TFLOP/s times the bits of the format: 15,840 for one H100-equivalent."""

LIMIT_H100E: Final = 16
LIMIT_NETWORK_BIT_PER_S: Final = 25 * 10**9
LIMIT_MEMORY_BYTES: Final = 1_280 * 10**9

MAX_CHIPS: Final = 10**9
MAX_RATE: Final = 10**24

_TERA: Final = 10**12


class Criterion(StrEnum):
    """What can make a cluster a covered one."""

    COMPUTE = "compute"
    NETWORK = "network"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipGroup:
    """Chips of one kind in a cluster.

    Attributes:
        chips: how many.
        flop_per_s: what each computes in a 16-bit format, dense, in FLOP/s.
        memory_bytes: what each has on its board.
    """

    chips: int
    flop_per_s: FlopPerS
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse a group without chips, and figures that no chip has.

        Raises:
            ValueError: a figure is not positive, or absurd.
        """
        if not (0 < self.chips <= MAX_CHIPS and 0 < self.flop_per_s <= MAX_RATE):
            raise ValueError("a group has chips, and each has a rate")
        if not 0 < self.memory_bytes <= MAX_RATE:
            raise ValueError("each chip of a group has memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One criterion applied to a cluster.

    Attributes:
        criterion: which.
        value: what the cluster has: H100-equivalents, bit/s or bytes.
        limit: from above which on it is covered, in the same unit.
    """

    criterion: Criterion
    value: Fraction
    limit: int

    @property
    def is_exceeded(self) -> bool:
        """Whether this alone makes the cluster a covered one; the limit itself does not."""
        return self.value > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterJudgement:
    """Whether a cluster is covered, and by what.

    Attributes:
        measures: every criterion that was applied.
    """

    measures: tuple[Measure, ...]

    @property
    def exceeded(self) -> tuple[Criterion, ...]:
        """The criteria that it exceeds; empty where it is not covered."""
        return tuple(measure.criterion for measure in self.measures if measure.is_exceeded)

    @property
    def is_covered(self) -> bool:
        """Whether any criterion is exceeded."""
        return bool(self.exceeded)


def compute_h100e(groups: Sequence[ChipGroup]) -> Fraction:
    """Return what chips compute together, in H100-equivalents."""
    return Fraction(sum(group.chips * group.flop_per_s for group in groups), H100E_FLOP_PER_S)


def compute_tpp(h100e: Fraction) -> Fraction:
    """Return H100-equivalents as total processing performance: TFLOP/s times 16 bits."""
    return h100e * H100E_FLOP_PER_S * TPP_BITS / _TERA


def judge_cluster(
    groups: Sequence[ChipGroup], *, network_bit_per_s: int = 0, with_memory: bool = True
) -> ClusterJudgement:
    """Return whether chips are a covered cluster (VN-17.17).

    Args:
        groups: the chips that stand together or work together.
        network_bit_per_s: of all links between the sites on which they stand, summed.
        with_memory: whether memory counts too, as the amendment has it.

    Raises:
        ValueError: no chips, or a network that no site has.
    """
    if not groups:
        raise ValueError("expected chips: whether an empty cluster is covered nobody asks")
    if not 0 <= network_bit_per_s <= MAX_RATE:
        raise ValueError(f"expected 0 to {MAX_RATE} bit/s between sites, got {network_bit_per_s}")
    return ClusterJudgement(
        measures=tuple(_iter_measures(groups, network_bit_per_s, with_memory=with_memory))
    )


def _iter_measures(
    groups: Sequence[ChipGroup], network_bit_per_s: int, *, with_memory: bool
) -> Iterator[Measure]:
    yield Measure(criterion=Criterion.COMPUTE, value=compute_h100e(groups), limit=LIMIT_H100E)
    yield Measure(
        criterion=Criterion.NETWORK, value=Fraction(network_bit_per_s), limit=LIMIT_NETWORK_BIT_PER_S
    )
    if with_memory:
        total = sum(group.chips * group.memory_bytes for group in groups)
        yield Measure(criterion=Criterion.MEMORY, value=Fraction(total), limit=LIMIT_MEMORY_BYTES)
