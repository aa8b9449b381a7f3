"""In which phase a chip is: it follows from its licence, its leases, the time, and whether it is whole."""

from __future__ import annotations

from dataclasses import replace

from vetonet.attester.state import ChipState, Phase
from vetonet.units import Milliseconds


def compute_phase(state: ChipState, now: Milliseconds) -> Phase:
    """Return the phase that a chip with power is in at ``now``: it follows from its licence and leases."""
    used = state.licence
    if state.tamper_count:
        return Phase.TAMPERED
    if used is None:
        return Phase.UNLICENSED
    if used.is_over(now):
        return Phase.SPENT
    lease = used.find_lease(now)
    if lease is not None and lease.left_flop:
        return Phase.LEASED
    is_lapsed = used.leased_from_ms is not None and used.leased_from_ms <= now
    return Phase.PAUSED if is_lapsed else Phase.LICENSED


def settle(state: ChipState, now: Milliseconds) -> ChipState:
    """Time alone ends leases and licences, and begins leases; what is over is let go."""
    if state.licence is None:
        return state
    lasting = tuple(used for used in state.licence.leases if used.lease.ends_ms > now)
    settled = replace(state, licence=replace(state.licence, leases=lasting))
    return replace(settled, phase=compute_phase(settled, now))
