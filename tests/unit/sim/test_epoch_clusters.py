from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vetonet.errors import ConfigError
from vetonet.sim.epoch_clusters import ClusterStatus, EpochCluster, count_clusters, parse_clusters_csv
from vetonet.sim.mlperf import text_from_bytes

HEADER = "Name,Status,H100 equivalents,Possible Duplicate\n"


def parse(*rows: str, header: str = HEADER) -> tuple[EpochCluster, ...]:
    return parse_clusters_csv(header + "".join(f"{row}\n" for row in rows), name="clusters.csv")


def test_epochs_table_has_560_existing_clusters_above_the_treatys_threshold(shared: Path) -> None:
    """requirements number 12."""
    data = (shared / "data" / "epoch" / "gpu_clusters.csv").read_bytes()
    census = count_clusters(parse_clusters_csv(text_from_bytes(data, name="csv"), name="csv"))
    assert census.rows == 786
    assert census.sized == 574
    assert census.above == ((16, 560), (100, 329), (1_000, 163), (10_000, 33))
    assert f"{int(census.total_h100e):.3e}" == "1.904e+06"


def test_a_size_is_exact_and_a_blank_one_is_none() -> None:
    first, second = parse("A,Existing,16.1,", "B,Planned,,True")
    assert first.h100e == Fraction(161, 10)
    assert second.h100e is None
    assert second.status is ClusterStatus.PLANNED
    assert second.is_possible_duplicate


def test_exactly_the_threshold_is_not_above_it() -> None:
    census = count_clusters(parse("A,Existing,16,", "B,Existing,16.000000001,"))
    assert census.above[0] == (16, 1)


def test_only_what_exists_and_has_a_size_is_counted() -> None:
    census = count_clusters(
        parse("A,Existing,20,True", "B,Planned,20,", "C,Decommissioned,20,", "D,Existing,,")
    )
    assert (census.rows, census.sized, census.total_h100e, census.duplicates) == (4, 1, Fraction(20), 1)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",Existing,1,", "a cluster's name"),
        ("A,Rumoured,1,", "Status"),
        ("A,existing,1,", "Status"),
        ("A,,1,", "Status"),
        ("A,Existing,-1,", "H100 equivalents"),
        ("A,Existing,0,", "H100 equivalents above 0"),
        ("A,Existing,many,", "H100 equivalents as a number"),
        ("A,Existing,NaN,", "finite"),
        ("A,Existing,1e61,", "finite"),
        ("A,Existing,1e10,", "H100 equivalents"),
        ("A,Existing,1,maybe", "Possible Duplicate"),
        ("A,Existing,1", "4 cells"),
        ("A,Existing,1,,", "4 cells"),
        ('A,"Existing,1,', "CSV"),
    ],
)
def test_a_malformed_row_is_refused_by_its_line(row: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"clusters\.csv:[23]: expected") as caught:
        parse("Fine,Existing,5,", row)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "header", ["", "Name,Status\n", "Name,Status,H100 equivalents,H100 equivalents,Possible Duplicate\n"]
)
def test_another_header_is_refused(header: str) -> None:
    with pytest.raises(ConfigError, match=r"clusters\.csv:1: expected one column"):
        parse(header=header)
