"""What a chip says of an interval: its report before it is signed (VN-9, VN-12.4)."""

from __future__ import annotations

from dataclasses import replace

from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.platform import compute_platform_nonce
from vetonet.attestation.report import EAT_PROFILE, NO_DIGEST, ComputeReport
from vetonet.attester.holdings import Job
from vetonet.attester.metering import compute_energy_j
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.state import ChipState, IntervalEnded
from vetonet.units import Milliseconds, WorkloadClass


def build_report(
    state: ChipState,
    event: IntervalEnded,
    end_ms: Milliseconds,
    *,
    snapshots: tuple[bytes, ...],
    out_of_set_bytes: int,
) -> ComputeReport:
    """Return the report of the open interval, which ends at ``end_ms``, with what it took and sent in it."""
    seen = NO_DIGEST if state.checkpoint is None else state.checkpoint.digest
    challenge = event.challenge or compute_challenge(state.treaty.payload_digest, seen, state.window_start_ms)
    job = state.job or Job(workload=WorkloadClass.TRAINING, precision=state.model.precisions[0], lease=None)
    peak = state.model.peak_at(job.precision)
    return ComputeReport(
        nonces=(challenge, seen),
        ueid=state.ueid,
        hw_model=state.model.name.encode("ascii"),
        debug_status=int(state.debug_status),
        profile=EAT_PROFILE,
        boot_count=state.boot_count,
        counter=state.counter + 1,
        previous_digest=state.previous_digest,
        window_start_ms=state.window_start_ms,
        window_end_ms=end_ms,
        licence_id=job.licence_id,
        proposal_digest=None if job.lease is None else job.lease.proposal_digest,
        workload=job.workload,
        precision=job.precision,
        cumulative_flop=state.cumulative_flop,
        energy_j=compute_energy_j(state.interval_flop, peak=peak, tdp_w=state.model.tdp_w),
        out_of_set_bytes=out_of_set_bytes,
        firmware_digest=state.firmware.digest,
        snapshots=snapshots,
        cumulative_tokens=state.meter.tokens,
        cumulative_cycles=state.meter.cycles,
        precision_flop=state.meter.count_in(job.precision),
        tamper_count=state.tamper_count,
    )


def vouch_for_boot(endorsement: AliasEndorsement, element: SecureElement) -> AliasEndorsement:
    """Return it with the element's own word on what was measured, where the element gives one (VN-17.1)."""
    if element.platform is None:
        return endorsement
    return replace(endorsement, platform=element.platform.quote(compute_platform_nonce(endorsement)))


def vouch_for_report(report: ComputeReport, element: SecureElement) -> ComputeReport:
    """Return it with the element's own count, one further, where the element gives one (VN-17.1)."""
    if element.platform is None:
        return report
    return replace(report, platform=element.platform.advance(compute_platform_nonce(report)))
