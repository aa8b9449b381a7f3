"""The table of chip models agrees with its sources and with itself."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.attester.models import CHIP_MODELS, EPOCH, ChipModel, find_chip_model
from vetonet.errors import ConfigError
from vetonet.units import Precision

COLUMNS = {
    "fp64": "FP64 (double precision) performance (FLOP/s)",
    "fp32": "FP32 (single precision) performance (FLOP/s)",
    "tf32": "TF32 (TensorFloat-32) performance (FLOP/s)",
    "fp8": "FP8 performance (FLOP/s)",
    "fp4": "FP4 performance (FLOP/s)",
    "int8": "INT8 performance (OP/s)",
    "memory_bytes": "Memory size per board (Byte)",
    "tdp_w": "TDP (W)",
}
TENSOR_16 = "Tensor-FP16/BF16 performance (FLOP/s)"
VECTOR_16 = "FP16 (half precision) performance (FLOP/s)"


def _epoch_rows(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "data" / "epoch" / "ml_hardware.csv").open(encoding="utf-8", newline="") as file:
        return {row["Hardware name"]: row for row in csv.DictReader(file)}


def _facts_of_row(row: dict[str, str]) -> dict[str, int]:
    facts = {field: int(Decimal(row[column])) for field, column in COLUMNS.items() if row[column]}
    sixteen = row[TENSOR_16] or row[VECTOR_16]
    return facts | ({"sixteen": int(Decimal(sixteen))} if sixteen else {})


def _facts_of_model(model: ChipModel) -> dict[str, int]:
    facts = {precision.value: rate for precision, rate in model.peak_flop_per_s}
    sixteen = {facts.pop("fp16", None), facts.pop("bf16", None)} - {None}
    assert len(sixteen) == 1, f"{model.name}: FP16 and BF16 run at one rate on every chip here"
    facts["sixteen"] = next(rate for rate in sixteen if rate)
    facts["memory_bytes"] = model.memory_bytes
    return facts if model.tdp_w is None else facts | {"tdp_w": model.tdp_w}


def test_every_row_cited_to_epoch_equals_it_or_explains_why_not(shared: Path) -> None:
    rows = _epoch_rows(shared)
    for model in CHIP_MODELS:
        if model.source != EPOCH:
            continue
        theirs, ours, explained = _facts_of_row(rows[model.name]), _facts_of_model(model), dict(model.notes)
        different = {field for field in ours | theirs if ours.get(field) != theirs.get(field)}
        assert different == set(explained), model.name


def test_a_row_that_is_not_in_epoch_names_another_source(shared: Path) -> None:
    rows = _epoch_rows(shared)
    for model in CHIP_MODELS:
        assert (model.name in rows) == (model.source == EPOCH), model.name


def test_the_table_is_of_useful_size_and_names_are_unique() -> None:
    names = [model.name for model in CHIP_MODELS]
    assert len(names) == len(set(names)) >= 15


def test_a_rate_never_falls_when_the_format_gets_narrower() -> None:
    order = [Precision.FP32, Precision.TF32, Precision.BF16, Precision.FP8, Precision.FP4]
    for model in CHIP_MODELS:
        rates = [model.peak_at(precision) for precision in order if precision in model.precisions]
        assert rates == sorted(rates), model.name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("NVIDIA H100-SXM5-80GB", "NVIDIA H100 SXM5 80GB"),
        ("TPU-v5p", "Google TPU v5p"),
        ("  nvidia h100 sxm5 80gb ", "NVIDIA H100 SXM5 80GB"),
        ("mi300x", "AMD Instinct MI300X"),
    ],
)
def test_a_model_is_found_by_the_spellings_in_use(spelling: str, name: str) -> None:
    assert find_chip_model(spelling).name == name


def test_an_unknown_model_is_refused_with_the_closest_names() -> None:
    with pytest.raises(ConfigError, match=r"'NVIDIA H1000'.*closest known are .*H100"):
        find_chip_model("NVIDIA H1000")


@pytest.mark.parametrize("name", ["", "?", "x" * 10_000, "one\nline", "\x00"])
def test_a_nonsense_name_is_refused_in_one_short_line(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_chip_model(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_rate_the_chip_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Google TPU v3 has no known peak rate at fp8; known are bf16"):
        find_chip_model("TPU v3").peak_at(Precision.FP8)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"source": ""},
        {"peak_flop_per_s": ()},
        {"peak_flop_per_s": ((Precision.BF16, 0),)},
        {"peak_flop_per_s": ((Precision.BF16, 1), (Precision.BF16, 2))},
        {"memory_bytes": 0},
        {"tdp_w": 0},
    ],
)
def test_an_incomplete_model_cannot_exist(change: dict[str, object]) -> None:
    facts: dict[str, object] = {
        "name": "A",
        "maker": "B",
        "peak_flop_per_s": ((Precision.BF16, 1),),
        "memory_bytes": 1,
        "tdp_w": None,
        "source": "C",
    }
    with pytest.raises(ValueError, match=r"chip model|positive"):
        ChipModel(**(facts | change))  # type: ignore[arg-type]


@given(st.text(max_size=60))
@settings(max_examples=50)
def test_any_name_gives_a_model_or_a_config_error(name: str) -> None:
    message = ""
    try:
        assert find_chip_model(name) in CHIP_MODELS
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message
