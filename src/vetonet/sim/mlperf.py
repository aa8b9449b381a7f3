"""MLPerf Training logs, from text to metered intervals; what the command line and the simulator import."""

from __future__ import annotations

from vetonet.sim.mlperf_log import parse_mlperf_log
from vetonet.sim.mlperf_power import PowerReading, PowerTrace, parse_power_log
from vetonet.sim.mlperf_run import BENCHMARKS, Benchmark, MlperfRun, MlperfStep, Phase, find_benchmark
from vetonet.sim.mlperf_system import MlperfSystem, parse_system
from vetonet.sim.mlperf_workload import (
    PLAUSIBLE_UTILISATION,
    MlperfWorkload,
    WorkloadInterval,
    WorkloadStep,
    derive_workload,
    find_plausible_precision,
    iter_intervals,
    percent,
)
from vetonet.sim.numbers_exact import text_from_bytes

__all__ = [
    "BENCHMARKS",
    "PLAUSIBLE_UTILISATION",
    "Benchmark",
    "MlperfRun",
    "MlperfStep",
    "MlperfSystem",
    "MlperfWorkload",
    "Phase",
    "PowerReading",
    "PowerTrace",
    "WorkloadInterval",
    "WorkloadStep",
    "derive_workload",
    "find_benchmark",
    "find_plausible_precision",
    "iter_intervals",
    "parse_mlperf_log",
    "parse_power_log",
    "parse_system",
    "percent",
    "text_from_bytes",
]
