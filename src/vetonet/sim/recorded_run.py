"""One real run, transcribed: Llama 3.1 405B on 512 H100s, and the duration of each of its 240 steps.

The demonstration must run without the log, so its figures stand here. They are facts of the result log
``v5.0-h100x512-llama31_405b`` of MLCommons, training_results_v5.0 at 0fdc28f0, submitted by NVIDIA (Eos-dfw,
64 x 8 H100 SXM5 80GB); a test compares every one of them with the log where that is at hand.
"""

from __future__ import annotations

from typing import Final

from vetonet.attester.models import find_chip_model
from vetonet.sim.mlperf import MlperfRun, MlperfStep, MlperfSystem, MlperfWorkload, derive_workload
from vetonet.units import Milliseconds, Precision

START_MS: Final = 1744812623887
"""``run_start``: 2025-04-16T14:10:23.887Z."""

STOP_MS: Final = 1744826460888
"""``run_stop`` with status success, 230.62 minutes later."""

GLOBAL_BATCH_SIZE: Final = 1152
MAX_SEQUENCE_LENGTH: Final = 8192
PARAMETERS: Final = 405_000_000_000
NODES: Final = 64
ACCELERATORS_PER_NODE: Final = 8

BLOCKS: Final[tuple[tuple[Milliseconds, str], ...]] = (
    (
        1,
        (
            "54592 57627 54966 54931 54932 54948 54991 54924 54978 54947 54937 54917 54929 54940 54934 54916 "
            "54920 54923 54960 54920 54916 54956 54935 54936 54903 54970 54954 54938 54963 54944 54935 55008 "
            "54933 55007 54910 54978 54935 54964 54937 54956"
        ),
    ),
    (
        2306245,
        (
            "55521 54956 54976 54960 54951 54935 54939 54974 54949 54949 54930 54985 54974 54954 54941 54988 "
            "54957 55014 67595 54960 55008 54991 54968 54997 54990 55018 54993 55015 54996 54996 55005 54991 "
            "54977 55024 55067 55010 55011 55021 55030 55020"
        ),
    ),
    (
        4617291,
        (
            "55014 55042 55069 55054 55018 55098 55058 55020 55112 55057 55034 55052 55025 55064 55069 55052 "
            "55040 55066 55049 55133 55083 55072 55074 55085 55095 55068 55126 55125 55061 55093 55092 55060 "
            "55098 55079 55061 55101 55081 55086 55068 55140"
        ),
    ),
    (
        6918876,
        (
            "55086 55098 55117 55098 55108 55140 55114 55110 55098 55092 55085 55114 55128 55106 55102 55083 "
            "55122 55095 55101 55105 55125 55139 55114 55116 55090 55136 55139 55142 55169 55153 55119 55121 "
            "55140 55134 55148 55138 55160 55099 55116 55128"
        ),
    ),
    (
        9223140,
        (
            "55139 55174 55188 55361 55163 55158 55162 55186 55150 55139 55157 55149 55147 55148 55161 55138 "
            "55114 55148 55159 55167 55147 55147 55143 55156 55140 55169 55179 55115 55137 55133 55153 55113 "
            "55138 55153 55165 55200 55139 55168 55159 55167"
        ),
    ),
    (
        11529179,
        (
            "55160 55165 55182 55159 55174 55179 55183 55168 55197 55167 55221 55182 55177 55172 55281 55197 "
            "55172 55204 55167 55145 55168 55156 55161 55166 55221 55168 55188 55198 55288 55174 55211 55185 "
            "55211 55193 55193 55270 55192 55153 55194 55181"
        ),
    ),
)
"""Blocks of 40 steps between evaluations: when each began after ``START_MS``, how long its steps took."""


def build_run() -> MlperfRun:
    """Return the run as the parser of its log would."""
    steps: list[MlperfStep] = []
    for offset_ms, durations in BLOCKS:
        end_ms = START_MS + offset_ms
        for duration in durations.split():
            start_ms, end_ms = end_ms, end_ms + int(duration)
            steps.append(_step(start_ms, end_ms))
    return MlperfRun(
        name="MLPerf v5.0 405B on 512 H100",
        benchmark="llama31_405b",
        submitter="NVIDIA",
        platform="64xNVIDIA HGX H100",
        seed=4038,
        start_ms=START_MS,
        stop_ms=STOP_MS,
        global_batch_size=GLOBAL_BATCH_SIZE,
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        samples=GLOBAL_BATCH_SIZE * len(steps),
        steps=tuple(steps),
    )


def build_system() -> MlperfSystem:
    """Return the machine it ran on."""
    return MlperfSystem(
        name="MLPerf v5.0 Eos-dfw",
        system_name="Eos-dfw (64x NVIDIA HGX H100)",
        nodes=NODES,
        accelerators_per_node=ACCELERATORS_PER_NODE,
        chip=find_chip_model("NVIDIA H100-SXM5-80GB"),
    )


def build_workload() -> MlperfWorkload:
    """Return its work by 6ND, metered in FP8: in BF16 it would be 78.5 % of peak, which is not plausible."""
    return derive_workload(build_run(), build_system(), parameters=PARAMETERS, precision=Precision.FP8)


def _step(start_ms: Milliseconds, end_ms: Milliseconds) -> MlperfStep:
    return MlperfStep(start_ms=start_ms, end_ms=end_ms, samples=GLOBAL_BATCH_SIZE, is_measured=True, line=1)
