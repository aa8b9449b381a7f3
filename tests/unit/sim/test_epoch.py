"""Judging Epoch's table: known counts on the real file, exact verdicts on small ones, errors at the line."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.errors import ConfigError
from vetonet.sim.epoch import (
    EpochJudgement,
    EpochReport,
    EpochVerdict,
    SkipReason,
    judge_consistency,
    parse_hardware_csv,
    parse_models_csv,
)

MODEL_COLUMNS = [
    "Model",
    "Training compute (FLOP)",
    "Training time (hours)",
    "Training hardware",
    "Hardware quantity",
    "Hardware utilization (MFU)",
    "Base model",
    "Finetune compute (FLOP)",
    "Abstract",
]
CHIP_COLUMNS = [
    "Hardware name",
    "Tensor-FP16/BF16 performance (FLOP/s)",
    "FP16 (half precision) performance (FLOP/s)",
    "FP32 (single precision) performance (FLOP/s)",
    "FP64 (double precision) performance (FLOP/s)",
    "TF32 (TensorFloat-32) performance (FLOP/s)",
    "FP8 performance (FLOP/s)",
    "FP4 performance (FLOP/s)",
]
CHIPS = [
    ["Tensor chip", "1e12", "2e11", "1e11", "", "", "", ""],
    ["Slow FP16 chip", "", "1e9", "64e9", "", "", "", ""],
    ["FP32 chip", "", "", "5e9", "", "", "", ""],
    ["Blank chip", "", "0.0", "", "", "", "", ""],
]
LIMIT = 2 * 3_600 * 10**12


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A CSV document."""
    out = io.StringIO()
    csv.writer(out).writerows([columns, *rows])
    return out.getvalue()


def model_row(**changes: str) -> list[str]:
    """A row that can be judged, with changes."""
    cells = {
        "Model": "M",
        "Training compute (FLOP)": "1e15",
        "Training time (hours)": "0.5",
        "Training hardware": "Tensor chip",
        "Hardware quantity": "4.0",
    } | {key.replace("_", " "): value for key, value in changes.items()}
    return [cells.get(column, "") for column in MODEL_COLUMNS]


def judged(*rows: list[str]) -> EpochReport:
    """The report on some rows."""
    models = parse_models_csv(table(MODEL_COLUMNS, list(rows)), name="m.csv")
    return judge_consistency(models, parse_hardware_csv(table(CHIP_COLUMNS, CHIPS), name="h.csv"))


def row_with(column: str, value: str) -> list[str]:
    """A row with one cell changed, by its real column name."""
    row = model_row()
    row[MODEL_COLUMNS.index(column)] = value
    return row


def single(row: list[str]) -> EpochJudgement:
    """The judgement on one row."""
    (judgement,) = judged(row).judgements
    return judgement


@pytest.mark.parametrize(
    ("flop", "verdict"),
    [
        (LIMIT - 1, EpochVerdict.POSSIBLE),
        (LIMIT, EpochVerdict.POSSIBLE),
        (LIMIT + 1, EpochVerdict.IMPOSSIBLE),
    ],
)
def test_the_limit_is_exact_to_one_flop(flop: int, verdict: EpochVerdict) -> None:
    judgement = single(row_with("Training compute (FLOP)", str(flop)))
    assert judgement.verdict is verdict
    assert judgement.training_limit_flop == LIMIT
    assert judgement.ratio == Fraction(flop, LIMIT)


def test_a_row_within_a_faster_format_only_is_inconsistent_but_not_impossible() -> None:
    row = row_with("Training hardware", "Slow FP16 chip")
    row[MODEL_COLUMNS.index("Training compute (FLOP)")] = str(2 * 3_600 * 10**10)
    report = judged(row)
    assert report.judgements[0].verdict is EpochVerdict.OTHER_FORMAT_ONLY
    assert (len(report.inconsistent), len(report.impossible)) == (1, 0)
    assert report.judgements[0].reason == "10.00 x of the 16-bit peak, 0.16 x of the chip's fastest format"


def test_the_peak_falls_back_from_tensor_to_fp16_to_fp32() -> None:
    chips = parse_hardware_csv(table(CHIP_COLUMNS, CHIPS), name="h")
    assert [chip.training_peak_flop_per_s for chip in chips] == [10**12, 10**9, 5 * 10**9, None]
    assert [chip.highest_peak_flop_per_s for chip in chips] == [10**12, 64 * 10**9, 5 * 10**9, None]


def test_a_fine_tune_names_its_base_and_whether_it_fits_alone() -> None:
    row = row_with("Training compute (FLOP)", "1e20")
    row[MODEL_COLUMNS.index("Base model")] = "Big"
    row[MODEL_COLUMNS.index("Finetune compute (FLOP)")] = str(LIMIT // 2)
    judgement = single(row)
    assert judgement.reason.endswith("fine-tuned from Big, whose compute it may include")
    assert judgement.finetune_ratio == Fraction(1, 2)
    assert judgement.is_explained_by_base_model
    assert not single(row_with("Finetune compute (FLOP)", "0.0")).is_explained_by_base_model


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Hardware quantity", "", SkipReason.NO_CHIPS),
        ("Training time (hours)", " ", SkipReason.NO_HOURS),
        ("Training hardware", "", SkipReason.NO_CHIP_TYPE),
        ("Training compute (FLOP)", "", SkipReason.NO_FLOP),
        ("Training hardware", "Tensor chip,FP32 chip", SkipReason.SEVERAL_CHIP_TYPES),
        ("Training hardware", "Tensor chip 2", SkipReason.UNKNOWN_CHIP),
        ("Training hardware", "Blank chip", SkipReason.CHIP_WITHOUT_PEAK),
    ],
)
def test_a_row_that_cannot_be_judged_says_why(column: str, value: str, reason: SkipReason) -> None:
    report = judged(row_with(column, value))
    assert report.judgements == ()
    assert dict(report.skip_counts)[reason] == 1


def test_reported_utilisation_is_compared_within_one_and_a_half() -> None:
    at = MODEL_COLUMNS.index("Hardware utilization (MFU)")
    rows = [row_with("Training compute (FLOP)", str(LIMIT // 2)) for _ in range(3)]
    rows[0][at], rows[1][at], rows[2][at] = "0.75", "0.76", "0.3"
    report = judged(*rows)
    assert (len(report.with_mfu), len(report.agreeing_with_mfu)) == (3, 1)


def test_a_declaration_of_zero_has_no_mfu_factor() -> None:
    row = row_with("Training compute (FLOP)", "0")
    row[MODEL_COLUMNS.index("Hardware utilization (MFU)")] = "0.5"
    assert single(row).mfu_factor is None


# ---------------------------------------------------------------------------------------- negative cases


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("Training compute (FLOP)", "lots", "as a number, got 'lots'"),
        ("Training compute (FLOP)", "-1", "Training compute (FLOP) from 0"),
        ("Training compute (FLOP)", "1e39", "Training compute (FLOP) from 0"),
        ("Training compute (FLOP)", "1e999999999", "finite number"),
        ("Training compute (FLOP)", "nan", "finite number"),
        ("Training time (hours)", "0", "above 0"),
        ("Training time (hours)", "-3", "from 0"),
        ("Hardware quantity", "1.5", "as a whole number"),
        ("Hardware quantity", "0.0", "above 0"),
        ("Hardware quantity", "10-20", "as a number"),
        ("Hardware utilization (MFU)", "1.5", "from 0 to 1"),
        ("Model", "", "a model name, got nothing"),
    ],
)
def test_a_bad_cell_is_refused_at_its_line(column: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        judged(model_row(), row_with(column, value))
    assert str(caught.value).startswith("m.csv:3: expected ")
    assert expected in str(caught.value)


def test_the_line_is_that_of_the_file_even_after_cells_of_many_lines() -> None:
    first = row_with("Abstract", "one\ntwo\nthree")
    with pytest.raises(ConfigError, match=r"^m.csv:5: expected"):
        judged(first, row_with("Hardware quantity", "x"))


@pytest.mark.parametrize("column", MODEL_COLUMNS[:-1])
def test_a_missing_column_is_refused(column: str) -> None:
    columns = [found for found in MODEL_COLUMNS if found != column]
    with pytest.raises(ConfigError) as caught:
        parse_models_csv(table(columns, []), name="m.csv")
    assert str(caught.value) == f"m.csv:1: expected one column {column!r}, got '{len(columns)} other columns'"


def test_a_column_that_comes_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 'it twice'"):
        parse_models_csv(table([*MODEL_COLUMNS, "Model"], []), name="m.csv")


@pytest.mark.parametrize("text", ["", "\n", "\x00", "a,b\n1,2\n"])
def test_a_text_that_is_not_the_table_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^m.csv:\d+: expected"):
        parse_models_csv(text, name="m.csv")


@pytest.mark.parametrize("row", ["M,1", "M,1,2,3,4,5,6,7,8,9"])
def test_a_ragged_row_is_refused(row: str) -> None:
    with pytest.raises(ConfigError, match=r"^m.csv:2: expected 9 cells"):
        parse_models_csv(table(MODEL_COLUMNS, []) + row + "\n", name="m.csv")


@pytest.mark.parametrize("tail", ['"open', '"a"b,c', "x" * 140_000])
def test_broken_quoting_and_giant_cells_are_refused(tail: str) -> None:
    with pytest.raises(ConfigError, match=r"^m.csv:2: expected a CSV row"):
        parse_models_csv(table(MODEL_COLUMNS, []) + tail, name="m.csv")


def test_a_chip_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^h.csv:3: expected each chip once, got 'Tensor chip'"):
        parse_hardware_csv(table(CHIP_COLUMNS, [CHIPS[0], CHIPS[0]]), name="h.csv")


@pytest.mark.parametrize("rate", ["fast", "-1", "1e25"])
def test_a_bad_rate_is_refused(rate: str) -> None:
    with pytest.raises(ConfigError, match=r"^h.csv:2: expected Tensor-FP16"):
        parse_hardware_csv(table(CHIP_COLUMNS, [["C", rate, "", "", "", "", "", ""]]), name="h.csv")


def test_a_nameless_chip_is_refused() -> None:
    with pytest.raises(ConfigError, match="a hardware name"):
        parse_hardware_csv(table(CHIP_COLUMNS, [["", "1", "", "", "", "", "", ""]]), name="h.csv")


def test_a_report_that_loses_rows_cannot_exist() -> None:
    with pytest.raises(ValueError, match="judged or skipped"):
        EpochReport(rows=1, judgements=(), skipped=())


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_gives_a_table_or_a_config_error(text: str) -> None:
    for parse in (parse_models_csv, parse_hardware_csv):
        with pytest.raises(ConfigError):
            parse(text, name="x")


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=9, max_size=9))
@settings(max_examples=50)
def test_any_row_gives_a_model_or_a_config_error(cells: list[str]) -> None:
    message = ""
    try:
        parse_models_csv(table(MODEL_COLUMNS, [cells]), name="x")
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


# ------------------------------------------------------------------------------------------- real files


@pytest.fixture(scope="module")
def report(shared: Path) -> EpochReport:
    """The report on the shared export of November 2025."""
    folder = shared / "data" / "epoch"
    models = (folder / "notable_ai_models.csv").read_text(encoding="utf-8")
    hardware = (folder / "ml_hardware.csv").read_text(encoding="utf-8")
    return judge_consistency(
        parse_models_csv(models, name="models"), parse_hardware_csv(hardware, name="chips")
    )


def test_the_real_table_has_135_rows_to_judge_and_17_are_inconsistent(report: EpochReport) -> None:
    assert report.rows == 942
    assert len(report.judgements) == 135
    assert len(report.inconsistent) == 17
    assert len(report.impossible) == 14


def test_the_three_that_only_fp32_explains_are_pascal_cards(report: EpochReport) -> None:
    only = {
        j.model.name: j.chip.name for j in report.inconsistent if j.verdict is EpochVerdict.OTHER_FORMAT_ONLY
    }
    assert only == {
        "GPT-1": "NVIDIA Quadro P600",
        "DensePhrases": "NVIDIA TITAN Xp",
        "PeptideBERT": "NVIDIA GeForce GTX 1080 Ti",
    }


def test_eight_of_the_impossible_fit_by_their_fine_tuning_alone(report: EpochReport) -> None:
    assert sorted(j.model.name for j in report.impossible if j.is_explained_by_base_model) == [
        "FinGPT-13B",
        "Flan-PaLM 540B",
        "LLaVA",
        "LLaVA 1.5",
        "Minerva (540B)",
        "OpenVLA",
        "SPHINX (Llama 2 13B)",
        "U-PaLM (540B)",
    ]


def test_22_of_25_reported_utilisations_agree(report: EpochReport) -> None:
    assert len(report.with_mfu) == 25
    assert len(report.agreeing_with_mfu) == 22
    apart = {j.model.name for j in report.with_mfu} - {j.model.name for j in report.agreeing_with_mfu}
    assert apart == {"nekomata-14b", "Flan-PaLM 540B", "PaLM (540B)"}


def test_every_other_row_of_the_real_table_is_skipped_for_a_reason(report: EpochReport) -> None:
    assert dict(report.skip_counts) == {
        SkipReason.NO_CHIPS: 703,
        SkipReason.NO_HOURS: 76,
        SkipReason.NO_CHIP_TYPE: 12,
        SkipReason.NO_FLOP: 4,
        SkipReason.SEVERAL_CHIP_TYPES: 4,
        SkipReason.UNKNOWN_CHIP: 8,
        SkipReason.CHIP_WITHOUT_PEAK: 0,
    }


def test_llama_405b_declares_its_published_flop_exactly(report: EpochReport) -> None:
    llama = next(j for j in report.judgements if j.model.name == "Llama 3.1-405B")
    assert llama.model.declared_flop == 38 * 10**24
    assert llama.verdict is EpochVerdict.POSSIBLE
