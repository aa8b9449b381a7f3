"""Step 16: no chip did more than physics allows, or drew power that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vetonet.attestation.report import (
    CONFIDENTIAL_ENERGY_STEP_J,
    CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    ENERGY_STEP_J,
)
from vetonet.attester.interlock import OUTSIDE_BYTES_PER_S
from vetonet.compliance.case import Case
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.confidential.bounds import compute_energy_flop
from vetonet.errors import Problem
from vetonet.units import MS_PER_S

ENERGY_SLACK_PERCENT: Final = 125
"""A chip may draw a little more than its thermal design power for a while."""


def judge_plausibility(case: Case, chain: Chain) -> Iterator[Problem]:
    """Step 16: no chip did more than physics allows, or drew power that does not fit."""
    del case
    for usage in chain.usages:
        yield from _judge_rate(usage)
        yield from _judge_energy(usage)
        yield from _judge_traffic(usage)


def _judge_rate(usage: Usage) -> Iterator[Problem]:
    claims, peak = usage.claims, usage.device.find_peak(usage.claims.precision)
    duration_ms = claims.window_end_ms - claims.window_start_ms
    if usage.flop and (peak is None or usage.flop * MS_PER_S > peak * duration_ms):
        possible = "none" if peak is None else str(peak * duration_ms // MS_PER_S)
        what = f"claims {usage.flop} FLOP in {claims.precision}, possible: {possible}"
        yield about(usage, "impossible-rate", what)


def _judge_energy(usage: Usage) -> Iterator[Problem]:
    claims, limit_w = usage.claims, usage.device.enrolment.tdp_w
    if limit_w is None:
        return
    duration_ms = claims.window_end_ms - claims.window_start_ms
    ceiling_j = limit_w * duration_ms * ENERGY_SLACK_PERCENT // (100 * MS_PER_S)
    step_j = CONFIDENTIAL_ENERGY_STEP_J if claims.is_confidential else ENERGY_STEP_J
    if claims.energy_j > ceiling_j + step_j:
        what = f"claims {claims.energy_j} J, its power allows {ceiling_j} J"
        yield about(usage, "implausible-energy", what)
    peak = usage.device.find_peak(claims.precision)
    if usage.flop and peak is not None:
        bought = compute_energy_flop(peak_flop_per_s=peak, tdp_w=limit_w, energy_j=claims.energy_j)
        if usage.flop > bought:
            what = f"claims {usage.flop} FLOP for {claims.energy_j} J, which buy {bought} at most"
            yield about(usage, "energy-too-low", what)


def _judge_traffic(usage: Usage) -> Iterator[Problem]:
    """The interlock lets no more out than its rate, so who tells of more has none (VN-17.12)."""
    claims = usage.claims
    ceiling = OUTSIDE_BYTES_PER_S * (claims.window_end_ms - claims.window_start_ms) // MS_PER_S
    step_bytes = CONFIDENTIAL_TRAFFIC_STEP_BYTES if claims.is_confidential else 0
    if claims.out_of_set_bytes > ceiling + step_bytes:
        detail = f"claims {claims.out_of_set_bytes} bytes outside its set, its links allow {ceiling}"
        yield about(usage, "impossible-traffic", detail)
