"""Epoch AI's table of GPU clusters, parsed strictly, and how many of them the treaty's threshold covers.

Data: Epoch AI, CC BY 4.0, epoch.ai/data (gpu_clusters, export of November 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from vetonet.policy.covered_cluster import LIMIT_H100E
from vetonet.sim.epoch_tables import Row, iter_rows

_NAME: Final = "Name"
_STATUS: Final = "Status"
_H100E: Final = "H100 equivalents"
_DUPLICATE: Final = "Possible Duplicate"
_COLUMNS: Final = (_NAME, _STATUS, _H100E, _DUPLICATE)
_MAX_H100E: Final = 10**9

THRESHOLDS: Final = (LIMIT_H100E, 100, 1_000, 10_000)
"""H100-equivalents: the treaty's own, and sizes to compare with."""


class ClusterStatus(StrEnum):
    """Whether a cluster is there."""

    EXISTING = "Existing"
    PLANNED = "Planned"
    DECOMMISSIONED = "Decommissioned"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCluster:
    """One row of the table, as far as it bears on size.

    Attributes:
        name: the cluster; several rows may be phases of one.
        line: where its row ends in the file.
        status: whether it is there.
        h100e: its size in H100-equivalents as Epoch counts them, None where blank.
        is_possible_duplicate: whether Epoch marks it as perhaps another row's.
    """

    name: str
    line: int
    status: ClusterStatus
    h100e: Fraction | None
    is_possible_duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCensus:
    """Existing clusters by size.

    Attributes:
        rows: all rows of the table.
        sized: existing clusters with a size.
        above: how many of those are larger, by threshold in H100-equivalents.
        total_h100e: what they come to together.
        duplicates: how many of them Epoch marks as possible duplicates; they are counted all the same.
    """

    rows: int
    sized: int
    above: tuple[tuple[int, int], ...]
    total_h100e: Fraction
    duplicates: int


def parse_clusters_csv(text: str, *, name: str) -> tuple[EpochCluster, ...]:
    """Return the rows of Epoch's ``gpu_clusters.csv``.

    Args:
        text: the whole file.
        name: the file's name, for messages.

    Raises:
        ConfigError: a missing column, a ragged row, an unknown status, or a size that is none.

    """
    return tuple(_cluster_from_row(row) for row in iter_rows(text, name, _COLUMNS))


def _cluster_from_row(row: Row) -> EpochCluster:
    name, status, duplicate = row.text(_NAME), row.text(_STATUS), row.text(_DUPLICATE)
    if name is None:
        raise row.place.refuse(expected="a cluster's name", got=None)
    if status not in set(ClusterStatus):
        raise row.place.refuse(expected=f"{_STATUS} as one of {', '.join(ClusterStatus)}", got=status)
    if duplicate not in {None, "True", "False"}:
        raise row.place.refuse(expected=f"{_DUPLICATE} as True, False or nothing", got=duplicate)
    return EpochCluster(
        name=name,
        line=row.place.line,
        status=ClusterStatus(status),
        h100e=row.positive(_H100E, high=_MAX_H100E),
        is_possible_duplicate=duplicate == "True",
    )


def count_clusters(clusters: Sequence[EpochCluster]) -> ClusterCensus:
    """Return how many existing clusters are larger than each threshold; exactly as large is not larger."""
    existing = [row for row in clusters if row.status is ClusterStatus.EXISTING]
    sizes = [row.h100e for row in existing if row.h100e is not None]
    return ClusterCensus(
        rows=len(clusters),
        sized=len(sizes),
        above=tuple((threshold, sum(size > threshold for size in sizes)) for threshold in THRESHOLDS),
        total_h100e=sum(sizes, Fraction(0)),
        duplicates=sum(row.is_possible_duplicate for row in existing if row.h100e is not None),
    )
