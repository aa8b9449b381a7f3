"""The Azure trace of LLM inference, from text to metered intervals: what command and simulator import."""

from __future__ import annotations

from vetonet.sim.azure_trace import (
    InferenceRequest,
    InferenceTrace,
    TokenCount,
    count_intervals,
    parse_azure_trace,
)
from vetonet.sim.azure_workload import (
    FLOP_PER_PARAMETER_TOKEN,
    ServingInterval,
    ServingWorkload,
    compute_serving_flop,
    regroup,
)
from vetonet.sim.numbers_exact import text_from_bytes

__all__ = [
    "FLOP_PER_PARAMETER_TOKEN",
    "InferenceRequest",
    "InferenceTrace",
    "ServingInterval",
    "ServingWorkload",
    "TokenCount",
    "compute_serving_flop",
    "count_intervals",
    "parse_azure_trace",
    "regroup",
    "text_from_bytes",
]
