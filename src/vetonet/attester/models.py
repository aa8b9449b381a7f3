"""What real accelerators can do: dense peak rates per precision, memory and power, each row with its source.

Rates are dense: a vendor's figure "with sparsity" is halved, because the arithmetic of a training run is not
skipped. A dense peak is an upper bound on what a chip of the model can have computed in a second, so a meter
that counts more is lying, and a declaration above chips x seconds x peak is impossible.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vetonet.errors import ConfigError
from vetonet.units import FlopPerS, Precision

EPOCH: Final = "Epoch AI, CC BY 4.0, epoch.ai/data (ml_hardware, export of November 2025)"
"""The table that most rows are transcribed from; where a row departs from it, ``notes`` says why."""

_HOPPER_SHEET: Final = "NVIDIA H100 data sheet, figures with sparsity halved"
_H200_SHEET: Final = "NVIDIA H200 data sheet, figures with sparsity halved"
_L40S_SHEET: Final = "NVIDIA L40S data sheet, figures with sparsity halved"

_GIGA: Final = 10**9
_NAME_CHARS_SHOWN: Final = 60
_SUGGESTIONS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipModel:
    """The public facts of one accelerator model.

    Attributes:
        name: the maker's name of the model, unique in the table.
        maker: the company that endorses the device certificates of this model.
        peak_flop_per_s: dense peak rate in FLOP/s for every precision the matrix units support.
        memory_bytes: capacity of the memory on the board.
        tdp_w: thermal design power in watts, or None where the maker publishes none.
        source: where the figures were taken from.
        aliases: other spellings in use, such as those of MLPerf system descriptions.
        notes: pairs (field or precision, why the figure departs from the source).

    """

    name: str
    maker: str
    peak_flop_per_s: tuple[tuple[Precision, FlopPerS], ...]
    memory_bytes: int
    tdp_w: int | None
    source: str
    aliases: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a model without a name, a source or a positive rate.

        Raises:
            ValueError: a fact is empty, not positive, or stated twice.

        """
        if not (self.name and self.maker and self.source):
            raise ValueError("a chip model needs a name, a maker and a source")
        rates = dict(self.peak_flop_per_s)
        if not rates or len(rates) != len(self.peak_flop_per_s) or min(rates.values()) <= 0:
            raise ValueError(f"{self.name}: peak rates must be positive and stated once per precision")
        if self.memory_bytes <= 0 or (self.tdp_w is not None and self.tdp_w <= 0):
            raise ValueError(f"{self.name}: memory and power must be positive")

    @property
    def short_name(self) -> str:
        """The spelling that is quickest to type: the first alias, where there is one."""
        return self.aliases[0] if self.aliases else self.name

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions with a known rate, in the order of the table."""
        return tuple(precision for precision, _ in self.peak_flop_per_s)

    @property
    def highest_peak_flop_per_s(self) -> FlopPerS:
        """The rate that no arithmetic on this chip exceeds, whatever its precision."""
        return max(rate for _, rate in self.peak_flop_per_s)

    def peak_at(self, precision: Precision) -> FlopPerS:
        """Return the dense peak rate in FLOP/s at one precision.

        Raises:
            ConfigError: the model has no known rate at this precision.

        """
        for known, rate in self.peak_flop_per_s:
            if known is precision:
                return rate
        known_names = ", ".join(self.precisions)
        raise ConfigError(f"{self.name} has no known peak rate at {precision}; known are {known_names}")


def _chip(
    name: str,
    maker: str,
    peaks: Mapping[Precision, int],
    *,
    memory_gb: int,
    tdp_w: int | None,
    source: str = EPOCH,
    aliases: tuple[str, ...] = (),
    notes: tuple[tuple[str, str], ...] = (),
) -> ChipModel:
    """Return one row of the table; rates are written in GFLOP/s and memory in 10^9 bytes."""
    return ChipModel(
        name=name,
        maker=maker,
        peak_flop_per_s=tuple((precision, rate * _GIGA) for precision, rate in peaks.items()),
        memory_bytes=memory_gb * _GIGA,
        tdp_w=tdp_w,
        source=source,
        aliases=aliases,
        notes=notes,
    )


_FP64, _FP32, _TF32 = Precision.FP64, Precision.FP32, Precision.TF32
_FP16, _BF16, _FP8 = Precision.FP16, Precision.BF16, Precision.FP8
_FP4, _INT8 = Precision.FP4, Precision.INT8

_A100_PEAKS: Final[Mapping[Precision, int]] = MappingProxyType(
    {_FP64: 9_746, _FP32: 19_490, _TF32: 156_000, _FP16: 312_000, _BF16: 312_000, _INT8: 624_000}
)

# fmt: off
CHIP_MODELS: Final[tuple[ChipModel, ...]] = (
    _chip(
        "NVIDIA H100 SXM5 80GB", "NVIDIA",
        {_FP64: 33_450, _FP32: 66_910, _TF32: 494_700, _FP16: 989_400, _BF16: 989_400,
         _FP8: 1_979_000, _INT8: 1_979_000},
        memory_gb=80, tdp_w=700,
        aliases=("H100", "H100 SXM", "H100 SXM5", "NVIDIA H100", "NVIDIA H100-SXM5-80GB", "NVIDIA H100 SXM"),
        notes=(("fp8", f"blank at Epoch; 1,979 TFLOP/s, {_HOPPER_SHEET}"),),
    ),
    _chip(
        "NVIDIA H100 PCIe", "NVIDIA",
        {_FP64: 25_610, _FP32: 51_220, _TF32: 378_000, _FP16: 756_000, _BF16: 756_000,
         _FP8: 1_513_000, _INT8: 1_513_000},
        memory_gb=80, tdp_w=350,
        aliases=("H100 PCIe", "NVIDIA H100-PCIe-80GB"),
        notes=(
            ("fp8", f"blank at Epoch; 1,513 TFLOP/s, {_HOPPER_SHEET}"),
            ("int8", f"blank at Epoch; 1,513 TOP/s, {_HOPPER_SHEET}"),
        ),
    ),
    _chip(
        "NVIDIA H200 SXM", "NVIDIA",
        {_FP64: 33_450, _FP32: 66_910, _TF32: 494_500, _FP16: 989_500, _BF16: 989_500,
         _FP8: 1_979_000, _INT8: 1_979_000},
        memory_gb=141, tdp_w=700,
        aliases=("H200", "H200 SXM", "NVIDIA H200", "NVIDIA H200-SXM5-141GB", "NVIDIA H200-SXM-141GB"),
        notes=(
            ("fp8", f"blank at Epoch; 1,979 TFLOP/s, {_H200_SHEET}"),
            ("memory_bytes", f"blank at Epoch; 141 GB, {_H200_SHEET}"),
        ),
    ),
    _chip(
        "NVIDIA HGX H20", "NVIDIA",
        {_FP64: 1_000, _FP32: 44_000, _TF32: 74_000, _FP16: 148_000, _BF16: 148_000,
         _FP8: 296_000, _INT8: 296_000},
        memory_gb=96, tdp_w=400,
        aliases=("H20", "NVIDIA H20"),
        notes=(("fp8", "blank at Epoch; equal to the INT8 rate, as on every Hopper part"),),
    ),
    _chip(
        "NVIDIA B200", "NVIDIA",
        {_FP64: 31_040, _FP32: 62_080, _TF32: 1_125_000, _FP16: 2_250_000, _BF16: 2_250_000,
         _FP8: 4_500_000, _FP4: 9_000_000, _INT8: 4_500_000},
        memory_gb=180, tdp_w=1_000,
        aliases=("B200", "NVIDIA B200-SXM-180GB", "NVIDIA B200-SXM5-180GB"),
    ),
    _chip(
        "NVIDIA GB200", "NVIDIA",
        {_FP64: 45_000, _FP32: 90_000, _TF32: 1_250_000, _FP16: 2_500_000, _BF16: 2_500_000,
         _FP8: 5_000_000, _FP4: 10_000_000, _INT8: 5_000_000},
        memory_gb=186, tdp_w=1_200,
        aliases=("GB200", "NVIDIA GB200-186GB", "NVIDIA Grace Blackwell GB200"),
    ),
    _chip(
        "NVIDIA A100 SXM4 40 GB", "NVIDIA", _A100_PEAKS, memory_gb=40, tdp_w=400,
        aliases=("A100 40GB", "NVIDIA A100-SXM4-40GB"),
    ),
    _chip(
        "NVIDIA A100 SXM4 80 GB", "NVIDIA", _A100_PEAKS, memory_gb=80, tdp_w=400,
        aliases=("A100 80GB", "A100 SXM", "NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM-80GB"),
    ),
    _chip(
        "NVIDIA Tesla V100 SXM2 32 GB", "NVIDIA",
        {_FP64: 7_834, _FP32: 15_670, _FP16: 125_000},
        memory_gb=32, tdp_w=300,
        aliases=("V100", "V100 SXM2", "NVIDIA V100-SXM2-32GB", "Tesla V100"),
    ),
    _chip(
        "NVIDIA L40S", "NVIDIA",
        {_FP32: 91_600, _TF32: 183_000, _FP16: 362_000, _BF16: 362_000, _FP8: 733_000, _INT8: 733_000},
        memory_gb=48, tdp_w=350,
        source=_L40S_SHEET,
        aliases=("L40S",),
    ),
    _chip(
        "Google TPU v3", "Google", {_BF16: 123_000}, memory_gb=32, tdp_w=220,
        aliases=("TPU v3", "TPU-v3"),
    ),
    _chip(
        "Google TPU v4", "Google", {_BF16: 275_000, _INT8: 275_000}, memory_gb=32, tdp_w=170,
        aliases=("TPU v4", "TPU-v4"),
    ),
    _chip(
        "Google TPU v5e", "Google", {_BF16: 197_000, _INT8: 393_000}, memory_gb=16, tdp_w=140,
        aliases=("TPU v5e", "TPU-v5e"),
    ),
    _chip(
        "Google TPU v5p", "Google", {_BF16: 459_000, _INT8: 918_000}, memory_gb=95, tdp_w=None,
        aliases=("TPU v5p", "TPU-v5p"),
    ),
    _chip(
        "Google TPU v6e Trillium", "Google", {_BF16: 918_000, _INT8: 1_836_000}, memory_gb=32, tdp_w=None,
        aliases=("TPU v6e", "TPU-v6e", "TPU-trillium", "Trillium"),
    ),
    _chip(
        "Google TPU v7 Ironwood", "Google", {_BF16: 2_307_000, _FP8: 4_614_000}, memory_gb=192, tdp_w=980,
        aliases=("TPU v7", "Ironwood"),
    ),
    _chip(
        "AMD Radeon Instinct MI250X", "AMD",
        {_FP64: 47_870, _FP32: 47_870, _TF32: 95_700, _FP16: 383_000, _BF16: 383_000, _INT8: 383_000},
        memory_gb=128, tdp_w=500,
        aliases=("MI250X", "AMD Instinct MI250X"),
    ),
    _chip(
        "AMD Instinct MI300X", "AMD",
        {_FP64: 81_700, _FP32: 163_400, _TF32: 653_700, _FP16: 1_307_400, _BF16: 1_307_400,
         _FP8: 2_614_900, _INT8: 2_614_900},
        memory_gb=192, tdp_w=750,
        aliases=("MI300X", "AMD MI300X", "AMD Instinct MI300X 192GB HBM3"),
        notes=(("fp8", "blank at Epoch; 2,614.9 TFLOP/s, AMD Instinct MI300X data sheet"),),
    ),
    _chip(
        "Intel Habana Gaudi2", "Intel", {_BF16: 450_000, _FP8: 865_000}, memory_gb=96, tdp_w=600,
        aliases=("Gaudi2", "Gaudi 2", "Intel Gaudi 2"),
    ),
    _chip(
        "Intel Habana Gaudi3", "Intel",
        {_FP32: 14_300, _TF32: 459_000, _BF16: 1_678_000, _FP8: 1_678_000},
        memory_gb=128, tdp_w=900,
        aliases=("Gaudi3", "Gaudi 3", "Intel Gaudi 3"),
    ),
    _chip(
        "Amazon Trainium1", "Amazon AWS",
        {_FP32: 47_500, _TF32: 190_000, _FP16: 190_000, _BF16: 190_000, _INT8: 420_000},
        memory_gb=32, tdp_w=None,
        aliases=("Trainium", "Trainium1", "AWS Trainium"),
        notes=(("memory_bytes", "blank at Epoch; 32 GB, AWS Neuron documentation, Trainium architecture"),),
    ),
    _chip(
        "Amazon Trainium2", "Amazon AWS", {_BF16: 667_000, _FP8: 1_299_000}, memory_gb=96, tdp_w=500,
        aliases=("Trainium2", "AWS Trainium2"),
    ),
    _chip(
        "Huawei Ascend 910B", "Huawei", {_FP32: 94_000, _FP16: 376_000}, memory_gb=32, tdp_w=400,
        aliases=("Ascend 910B",),
    ),
    _chip(
        "Huawei Ascend 910C", "Huawei", {_FP16: 752_000}, memory_gb=128, tdp_w=700,
        aliases=("Ascend 910C",),
    ),
)
# fmt: on


def _fold(name: str) -> str:
    """Return a name without case, spaces and punctuation, so that spellings of one model meet."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _index_by_name() -> Mapping[str, ChipModel]:
    """Return the models by folded name and alias; two models under one name are a mistake in the table."""
    found: dict[str, ChipModel] = {}
    for model in CHIP_MODELS:
        for name in (model.name, *model.aliases):
            if found.setdefault(_fold(name), model) is not model:
                raise ValueError(f"two chip models answer to {name!r}")
    return MappingProxyType(found)


_BY_NAME: Final = _index_by_name()


def find_chip_model(name: str) -> ChipModel:
    """Return the model with this name or alias; case, spaces and punctuation do not matter.

    Raises:
        ConfigError: no model answers to the name; the message offers the closest ones.

    """
    folded = _fold(name)
    model = _BY_NAME.get(folded)
    if model is not None:
        return model
    near = [known for known in _BY_NAME if folded and known.startswith(folded)]  # several models' name
    if not near:
        near = difflib.get_close_matches(folded[:_NAME_CHARS_SHOWN], _BY_NAME, n=_SUGGESTIONS, cutoff=0.5)
    offered = sorted({_BY_NAME[match].short_name for match in near}) or [
        row.short_name for row in CHIP_MODELS[:_SUGGESTIONS]
    ]
    shown = ascii(name[:_NAME_CHARS_SHOWN])
    raise ConfigError(f"no accelerator model is called {shown}; the closest known are {', '.join(offered)}")
