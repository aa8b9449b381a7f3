"""What a chip says of an interval: its report before it is signed (VN-9, VN-12.4)."""

from __future__ import annotations

from dataclasses import replace

from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.platform import compute_platform_nonce
from vetonet.attestation.report import (
    CONFIDENTIAL_ENERGY_STEP_J,
    CONFIDENTIAL_PROFILE,
    CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    EAT_PROFILE,
    ENERGY_STEP_J,
    NO_DIGEST,
    ComputeReport,
)
from vetonet.attester.account import Account, OpeningTold, open_account
from vetonet.attester.holdings import Job
from vetonet.attester.metering import compute_energy_j
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.state import ChipState, IntervalEnded
from vetonet.crypto.pedersen import commit
from vetonet.units import Milliseconds, WorkloadClass


def find_opening(state: ChipState) -> OpeningTold | None:
    """Return what opens the commitment of the open interval's report, or None where totals are open."""
    if not state.treaty.statement.is_confidential:
        return None
    idle = Account(licence_id=None, flop=state.meter.unlicensed_flop)
    account = idle if state.job is None else state.job.account
    return open_account(account, secret=state.secret, ueid=state.ueid, counter=state.counter + 1)


def build_report(
    state: ChipState,
    event: IntervalEnded,
    end_ms: Milliseconds,
    *,
    snapshots: tuple[bytes, ...],
    out_of_set_bytes: int,
    opening: OpeningTold | None,
) -> ComputeReport:
    """Return the report of the open interval, which ends at ``end_ms``, with what it took and sent in it.

    Args:
        state: the chip as the interval ends.
        event: with the challenge, if any.
        end_ms: when it ends.
        snapshots: what it took.
        out_of_set_bytes: what it sent.
        opening: of what ``find_opening`` says that the report commits to, or None for open counters.
    """
    seen = NO_DIGEST if state.checkpoint is None else state.checkpoint.digest
    challenge = event.challenge or compute_challenge(state.treaty.payload_digest, seen, state.window_start_ms)
    job = state.job or _make_idle_job(state)
    report = ComputeReport(
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
        energy_j=_compute_energy_j(state, job, ENERGY_STEP_J),
        out_of_set_bytes=out_of_set_bytes,
        firmware_digest=state.firmware.digest,
        snapshots=snapshots,
        cumulative_tokens=state.meter.tokens,
        cumulative_cycles=state.meter.cycles,
        precision_flop=state.meter.count_in(job.precision),
        tamper_count=state.tamper_count,
    )
    return report if opening is None else _hide(report, state, job, opening)


def _make_idle_job(state: ChipState) -> Job:
    """A report always names a workload and a precision; where nothing ran, these."""
    precision, booked = state.model.precisions[0], state.meter.unlicensed_flop
    return Job(workload=WorkloadClass.TRAINING, precision=precision, lease=None, account_flop=booked)


def _hide(report: ComputeReport, state: ChipState, job: Job, opening: OpeningTold) -> ComputeReport:
    """Return it with a commitment for its counters, and with what tells of them coarser (VN-17.18)."""
    return replace(
        report,
        profile=CONFIDENTIAL_PROFILE,
        cumulative_flop=None,
        cumulative_tokens=None,
        cumulative_cycles=None,
        precision_flop=None,
        energy_j=_compute_energy_j(state, job, CONFIDENTIAL_ENERGY_STEP_J),
        out_of_set_bytes=_round_up(report.out_of_set_bytes, CONFIDENTIAL_TRAFFIC_STEP_BYTES),
        flop_commitment=commit(opening.opening).to_bytes(),
        activity=1 if state.interval_flop else 0,
    )


def _compute_energy_j(state: ChipState, job: Job, step_j: int) -> int:
    peak = state.model.peak_at(job.precision)
    return compute_energy_j(state.interval_flop, peak=peak, tdp_w=state.model.tdp_w, step_j=step_j)


def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


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
