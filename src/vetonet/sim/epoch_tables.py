"""Epoch AI's tables of notable models and of machine-learning hardware, parsed strictly.

Data: Epoch AI, CC BY 4.0, epoch.ai/data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vetonet.sim.numbers_exact import MAX_TEXT_BYTES, Place, decimal_from_text
from vetonet.units import MAX_FLOP, Flop, FlopPerS, Precision

MAX_ROWS: Final = 100_000

_MAX_CHIPS: Final = 10**9
_MAX_HOURS: Final = 10**6
_MAX_RATE: Final = 10**24

_MODEL: Final = "Model"
_COMPUTE: Final = "Training compute (FLOP)"
_HOURS: Final = "Training time (hours)"
_HARDWARE: Final = "Training hardware"
_QUANTITY: Final = "Hardware quantity"
_MFU: Final = "Hardware utilization (MFU)"
_BASE: Final = "Base model"
_FINETUNE: Final = "Finetune compute (FLOP)"
_MODEL_COLUMNS: Final = (_MODEL, _COMPUTE, _HOURS, _HARDWARE, _QUANTITY, _MFU, _BASE, _FINETUNE)

_CHIP: Final = "Hardware name"
_TENSOR_16: Final = "Tensor-FP16/BF16 performance (FLOP/s)"
_VECTOR_FP16: Final = "FP16 (half precision) performance (FLOP/s)"
_VECTOR_FP32: Final = "FP32 (single precision) performance (FLOP/s)"
_OTHER_RATES: Final[Mapping[str, Precision]] = {
    "FP64 (double precision) performance (FLOP/s)": Precision.FP64,
    "TF32 (TensorFloat-32) performance (FLOP/s)": Precision.TF32,
    "FP8 performance (FLOP/s)": Precision.FP8,
    "FP4 performance (FLOP/s)": Precision.FP4,
}
_CHIP_COLUMNS: Final = (_CHIP, _TENSOR_16, _VECTOR_FP16, _VECTOR_FP32, *_OTHER_RATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochHardware:
    """One chip of the hardware table; integer rates (INT8, INT4) are not floating point and left out.

    Attributes:
        name: as the models table cites it.
        line: where its row ends in the file.
        tensor_16_flop_per_s: dense FP16/BF16 rate of the matrix units, None where blank.
        fp16_flop_per_s: FP16 rate outside them, None where blank.
        fp32_flop_per_s: FP32 rate, None where blank.
        other_flop_per_s: rates at FP64, TF32, FP8 and FP4, where known.

    """

    name: str
    line: int
    tensor_16_flop_per_s: FlopPerS | None
    fp16_flop_per_s: FlopPerS | None
    fp32_flop_per_s: FlopPerS | None
    other_flop_per_s: tuple[tuple[Precision, FlopPerS], ...]

    @property
    def training_peak_flop_per_s(self) -> FlopPerS | None:
        """The 16-bit tensor rate, else FP16, else FP32; None where the row has none of them."""
        return self.tensor_16_flop_per_s or self.fp16_flop_per_s or self.fp32_flop_per_s

    @property
    def highest_peak_flop_per_s(self) -> FlopPerS | None:
        """The fastest dense floating-point rate, None where the row has none."""
        rates = [self.tensor_16_flop_per_s, self.fp16_flop_per_s, self.fp32_flop_per_s]
        rates += [rate for _, rate in self.other_flop_per_s]
        return max((rate for rate in rates if rate), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochModel:
    """One row of the models table, as far as it bears on compute.

    Attributes:
        name: the model.
        line: where its row ends in the file.
        declared_flop: training compute, None where blank; fractions of a FLOP are dropped.
        chips: how many, None where blank.
        hours: wall-clock training time, exact, None where blank.
        hardware: the chip types, empty where blank.
        reported_mfu: model FLOP utilisation as published, None where blank.
        base_model: what it was fine-tuned from, None where blank.
        finetune_flop: compute of the fine-tuning alone, None where blank.

    """

    name: str
    line: int
    declared_flop: Flop | None
    chips: int | None
    hours: Fraction | None
    hardware: tuple[str, ...]
    reported_mfu: Fraction | None
    base_model: str | None
    finetune_flop: Flop | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row by column, with its place in the file."""

    place: Place
    cells: Mapping[str, str]

    def text(self, column: str) -> str | None:
        """Return a cell without surrounding space, None where blank."""
        return self.cells[column].strip() or None

    def number(self, column: str, *, low: int, high: int) -> Fraction | None:
        """Return a cell as an exact number in [low, high], None where blank."""
        cell = self.text(column)
        if cell is None:
            return None
        value = Fraction(decimal_from_text(cell, self.place, column))
        if not low <= value <= high:
            raise self.place.refuse(expected=f"{column} from {low} to {high:.3g}", got=cell)
        return value

    def positive(self, column: str, *, high: int) -> Fraction | None:
        """Return a cell as an exact number above 0, None where blank."""
        value = self.number(column, low=0, high=high)
        if value == 0:
            raise self.place.refuse(expected=f"{column} above 0", got="0")
        return value

    def count(self, column: str, *, high: int) -> int | None:
        """Return a cell as a whole number above 0, None where blank; 512.0 is whole."""
        value = self.positive(column, high=high)
        if value is None:
            return None
        if value.denominator != 1:
            raise self.place.refuse(expected=f"{column} as a whole number", got=self.text(column))
        return int(value)

    def whole_flop(self, column: str, *, high: int) -> int | None:
        """Return a cell rounded down to a whole FLOP (or FLOP/s), None where blank."""
        value = self.number(column, low=0, high=high)
        return None if value is None else int(value)


def iter_rows(text: str, name: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file that has at least these columns."""
    if len(text) > MAX_TEXT_BYTES:
        raise Place(name=name, line=1).refuse(
            expected=f"a table of at most {MAX_TEXT_BYTES} bytes", got=len(text)
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _require_columns(header, columns, Place(name=name, line=1))
        for count, row in enumerate(reader, start=1):
            place = Place(name=name, line=reader.line_num)
            if len(row) != len(header) or count > MAX_ROWS:
                expected = f"{len(header)} cells in each of at most {MAX_ROWS} rows"
                raise place.refuse(expected=expected, got=f"{len(row)} cells in row {count}")
            yield Row(place=place, cells=dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise Place(name=name, line=max(reader.line_num, 1)).refuse(
            expected="a CSV row", got=str(error)
        ) from error


def _require_columns(header: Sequence[str], columns: Sequence[str], place: Place) -> None:
    """Refuse a header that lacks a column or has one twice."""
    for column in columns:
        if header.count(column) != 1:
            found = "it twice" if column in header else f"{len(header)} other columns"
            raise place.refuse(expected=f"one column {column!r}", got=found)


def parse_models_csv(text: str, *, name: str) -> tuple[EpochModel, ...]:
    """Return the rows of Epoch's ``notable_ai_models.csv``.

    Args:
        text: the whole file.
        name: the file's name, for messages.

    Raises:
        ConfigError: a missing column, a ragged row, or a cell that is not the number it should be.

    """
    return tuple(_model_from_row(row) for row in iter_rows(text, name, _MODEL_COLUMNS))


def _model_from_row(row: Row) -> EpochModel:
    """Return one model."""
    name = row.text(_MODEL)
    if name is None:
        raise row.place.refuse(expected="a model name", got=None)
    types = (row.text(_HARDWARE) or "").split(",")
    return EpochModel(
        name=name,
        line=row.place.line,
        declared_flop=row.whole_flop(_COMPUTE, high=MAX_FLOP),
        chips=row.count(_QUANTITY, high=_MAX_CHIPS),
        hours=row.positive(_HOURS, high=_MAX_HOURS),
        hardware=tuple(chip.strip() for chip in types if chip.strip()),
        reported_mfu=row.positive(_MFU, high=1),
        base_model=row.text(_BASE),
        finetune_flop=row.whole_flop(_FINETUNE, high=MAX_FLOP),
    )


def parse_hardware_csv(text: str, *, name: str) -> tuple[EpochHardware, ...]:
    """Return the rows of Epoch's ``ml_hardware.csv``.

    Args:
        text: the whole file.
        name: the file's name, for messages.

    Raises:
        ConfigError: a missing column, a ragged row, a cell that is not a rate, or a chip named twice.

    """
    found: dict[str, EpochHardware] = {}
    for row in iter_rows(text, name, _CHIP_COLUMNS):
        chip = _hardware_from_row(row)
        if chip.name in found:
            raise row.place.refuse(expected="each chip once", got=chip.name)
        found[chip.name] = chip
    return tuple(found.values())


def _hardware_from_row(row: Row) -> EpochHardware:
    """Return one chip; a rate of 0 means as little as a blank one."""
    name = row.text(_CHIP)
    if name is None:
        raise row.place.refuse(expected="a hardware name", got=None)
    others = (
        (precision, row.whole_flop(column, high=_MAX_RATE)) for column, precision in _OTHER_RATES.items()
    )
    return EpochHardware(
        name=name,
        line=row.place.line,
        tensor_16_flop_per_s=row.whole_flop(_TENSOR_16, high=_MAX_RATE) or None,
        fp16_flop_per_s=row.whole_flop(_VECTOR_FP16, high=_MAX_RATE) or None,
        fp32_flop_per_s=row.whole_flop(_VECTOR_FP32, high=_MAX_RATE) or None,
        other_flop_per_s=tuple((precision, rate) for precision, rate in others if rate),
    )
