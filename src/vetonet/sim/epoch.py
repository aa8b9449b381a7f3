"""Epoch AI's tables of models and chips, and whether a model's declared FLOP fit its chips and hours.

The declared training compute of a row is compared with chips x hours x peak. Two peaks are used, because they
answer two questions:

* the *training-format* peak: the chip's 16-bit tensor rate, else its FP16 rate, else its FP32 rate: the
  format in which such a run is normally computed. Above it a row is *inconsistent*.
* the *highest* peak: the fastest dense floating-point rate of the chip in the table, whatever the format.
  Above it a row is *impossible*: under no reading did those chips do that work in those hours.

They differ on three rows of the November 2025 export (consumer Pascal cards compute FP16 at 1/64 of FP32).
Data: Epoch AI, CC BY 4.0, epoch.ai/data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from vetonet.sim.epoch_tables import EpochHardware, EpochModel, parse_hardware_csv, parse_models_csv
from vetonet.units import Flop

__all__ = [
    "MFU_AGREEMENT",
    "EpochHardware",
    "EpochJudgement",
    "EpochModel",
    "EpochReport",
    "EpochVerdict",
    "SkipReason",
    "judge_consistency",
    "parse_hardware_csv",
    "parse_models_csv",
]

MFU_AGREEMENT: Final = Fraction(3, 2)
"""Declared FLOP and reported utilisation agree within this factor or not at all."""

_SECONDS_PER_HOUR: Final = 3_600


class EpochVerdict(StrEnum):
    """What chips, hours and peak say about the declared FLOP."""

    POSSIBLE = "possible"
    OTHER_FORMAT_ONLY = "other-format-only"
    IMPOSSIBLE = "impossible"


class SkipReason(StrEnum):
    """Why a row cannot be judged; the first that applies is the one reported."""

    NO_CHIPS = "no-chips"
    NO_HOURS = "no-hours"
    NO_CHIP_TYPE = "no-chip-type"
    NO_FLOP = "no-flop"
    SEVERAL_CHIP_TYPES = "several-chip-types"
    UNKNOWN_CHIP = "unknown-chip"
    CHIP_WITHOUT_PEAK = "chip-without-peak"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochJudgement:
    """The verdict on one row.

    Attributes:
        model: the row.
        chip: its chip type.
        training_limit_flop: chips x seconds x training-format peak, rounded down.
        highest_limit_flop: the same with the chip's highest dense peak.
        ratio: declared FLOP over the exact training-format limit, which is the mean utilisation it implies.
        verdict: possible, possible only in another format, or impossible.
        reason: one line for people.

    """

    model: EpochModel
    chip: EpochHardware
    training_limit_flop: Flop
    highest_limit_flop: Flop
    ratio: Fraction
    verdict: EpochVerdict
    reason: str

    @property
    def is_inconsistent(self) -> bool:
        """Whether the row declares more than the training-format peak allows."""
        return self.verdict is not EpochVerdict.POSSIBLE

    @property
    def finetune_ratio(self) -> Fraction | None:
        """The utilisation that the fine-tuning compute alone would imply; None where the table has none."""
        if not self.model.finetune_flop:
            return None
        return self.ratio * self.model.finetune_flop / (self.model.declared_flop or 1)

    @property
    def is_explained_by_base_model(self) -> bool:
        """Whether the row is inconsistent, yet its fine-tuning compute alone fits chips and hours."""
        return self.is_inconsistent and self.finetune_ratio is not None and self.finetune_ratio <= 1

    @property
    def mfu_factor(self) -> Fraction | None:
        """How far implied and reported utilisation are apart, at least 1; None without a reported one."""
        reported = self.model.reported_mfu
        if reported is None or not self.ratio:
            return None
        return max(self.ratio / reported, reported / self.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """The judged table.

    Attributes:
        rows: how many rows the models table has.
        judgements: one per row with chips, hours, chip type, FLOP and a known peak, in the order of the file.
        skipped: the other rows, with the first reason that applies.

    """

    rows: int
    judgements: tuple[EpochJudgement, ...]
    skipped: tuple[tuple[EpochModel, SkipReason], ...]

    def __post_init__(self) -> None:
        """Refuse a report that loses rows.

        Raises:
            ValueError: judged and skipped rows do not add up.

        """
        if len(self.judgements) + len(self.skipped) != self.rows:
            raise ValueError("every row is judged or skipped")

    @property
    def inconsistent(self) -> tuple[EpochJudgement, ...]:
        """The rows that declare more than the training-format peak allows, impossible ones included."""
        return tuple(judgement for judgement in self.judgements if judgement.is_inconsistent)

    @property
    def impossible(self) -> tuple[EpochJudgement, ...]:
        """The rows that declare more than any dense floating-point format of their chip allows."""
        return tuple(found for found in self.judgements if found.verdict is EpochVerdict.IMPOSSIBLE)

    @property
    def skip_counts(self) -> tuple[tuple[SkipReason, int], ...]:
        """How many rows were skipped for each reason, reasons in their order, zero included."""
        counts = Counter(reason for _, reason in self.skipped)
        return tuple((reason, counts[reason]) for reason in SkipReason)

    @property
    def with_mfu(self) -> tuple[EpochJudgement, ...]:
        """The judged rows that report a utilisation."""
        return tuple(judgement for judgement in self.judgements if judgement.mfu_factor is not None)

    @property
    def agreeing_with_mfu(self) -> tuple[EpochJudgement, ...]:
        """Those whose reported and implied utilisation agree within ``MFU_AGREEMENT``."""
        return tuple(
            found
            for found in self.judgements
            if found.mfu_factor is not None and found.mfu_factor <= MFU_AGREEMENT
        )


def judge_consistency(models: Sequence[EpochModel], hardware: Sequence[EpochHardware]) -> EpochReport:
    """Return the verdict on every row that states chips, hours, chip type and FLOP.

    A row with several chip types is skipped: the table does not say how the chips split between them.
    """
    by_name = {chip.name: chip for chip in hardware}
    judgements: list[EpochJudgement] = []
    skipped: list[tuple[EpochModel, SkipReason]] = []
    for model in models:
        judged = _judge(model, by_name)
        if isinstance(judged, SkipReason):
            skipped.append((model, judged))
        else:
            judgements.append(judged)
    return EpochReport(rows=len(models), judgements=tuple(judgements), skipped=tuple(skipped))


def _judge(model: EpochModel, by_name: Mapping[str, EpochHardware]) -> EpochJudgement | SkipReason:
    """Return the verdict on one row, or the first reason why there is none."""
    if model.chips is None:
        return SkipReason.NO_CHIPS
    if model.hours is None:
        return SkipReason.NO_HOURS
    chip = _find_chip(model, by_name)
    if isinstance(chip, SkipReason):
        return chip
    training, highest = chip.training_peak_flop_per_s, chip.highest_peak_flop_per_s
    if model.declared_flop is None or training is None or highest is None:
        return SkipReason.CHIP_WITHOUT_PEAK
    chip_seconds = model.chips * model.hours * _SECONDS_PER_HOUR
    limits = (chip_seconds * training, chip_seconds * highest)
    return _judgement(model, chip, declared=model.declared_flop, limits=limits)


def _find_chip(model: EpochModel, by_name: Mapping[str, EpochHardware]) -> EpochHardware | SkipReason:
    """Return the one chip type of a row that declares FLOP, or why there is none to judge it by."""
    if not model.hardware:
        return SkipReason.NO_CHIP_TYPE
    if model.declared_flop is None:
        return SkipReason.NO_FLOP
    if len(model.hardware) > 1:
        return SkipReason.SEVERAL_CHIP_TYPES
    return by_name.get(model.hardware[0], SkipReason.UNKNOWN_CHIP)


def _judgement(
    model: EpochModel, chip: EpochHardware, *, declared: Flop, limits: tuple[Fraction, Fraction]
) -> EpochJudgement:
    """Return the verdict from the two exact limits, training-format first."""
    training, highest = limits
    if declared <= training:
        verdict = EpochVerdict.POSSIBLE
    elif declared <= highest:
        verdict = EpochVerdict.OTHER_FORMAT_ONLY
    else:
        verdict = EpochVerdict.IMPOSSIBLE
    return EpochJudgement(
        model=model,
        chip=chip,
        training_limit_flop=int(training),
        highest_limit_flop=int(highest),
        ratio=declared / training,
        verdict=verdict,
        reason=_reason(model, verdict, over_training=declared / training, over_highest=declared / highest),
    )


def _reason(
    model: EpochModel, verdict: EpochVerdict, *, over_training: Fraction, over_highest: Fraction
) -> str:
    """Return the verdict in one line for people."""
    match verdict:
        case EpochVerdict.POSSIBLE:
            return f"{_times(over_training)} of the training-format peak"
        case EpochVerdict.OTHER_FORMAT_ONLY:
            fastest = f"{_times(over_highest)} of the chip's fastest format"
            return f"{_times(over_training)} of the 16-bit peak, {fastest}"
        case EpochVerdict.IMPOSSIBLE:
            base = (
                f"; fine-tuned from {model.base_model}, whose compute it may include"
                if model.base_model
                else ""
            )
            return f"{_times(over_highest)} of the chip's fastest dense peak{base}"


def _times(ratio: Fraction) -> str:
    """Return a ratio with two decimals, without a float."""
    hundredths = round(ratio * 100)
    return f"{hundredths // 100}.{hundredths % 100:02d} x"
