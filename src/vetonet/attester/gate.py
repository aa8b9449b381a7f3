"""The gate: whether a chip accepts a licence and starts a piece of work (VN-12.1, VN-12.2, VN-12.5).

Each rule is a function that raises, in a table beside its reason code, so a refusal always names one rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from vetonet.attester.holdings import LeaseInUse
from vetonet.attester.log_gate import judge_logged
from vetonet.attester.state import ChipState, LicenceOffered, Phase, Refused, Sighting, WorkRequested
from vetonet.crypto.merkle import compute_leaf_hash, verify_inclusion
from vetonet.crypto.statement import Signed, read_unverified
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.band import BandRule
from vetonet.policy.licence import Licence, open_licence
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_TIME_MS, MS_PER_HOUR, Flop, Milliseconds

MAX_WORK_MS: Final = 366 * 24 * MS_PER_HOUR
"""The longest that one request may take."""

MAX_TOKENS: Final = 2**63

LicenceRule: TypeAlias = Callable[[ChipState, Licence, LicenceOffered, Milliseconds], None]
WorkRule: TypeAlias = Callable[[ChipState, WorkRequested, Milliseconds], None]

_OPENING: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "licence-malformed",
    UnknownPartyError: "licence-forged",
    InvalidSignatureError: "licence-forged",
    EpochError: "wrong-epoch",
}


def find_allowance(treaty: Treaty) -> Flop | None:
    """Return the total from which on a run needs a licence, or None where none ever does.

    It is also what one chip may compute in its life without any licence. A chip cannot know what others do
    under the same declaration: many chips that each stay below add up to more. That is for the verifier,
    who sees the reports of all (VN-10.6, step 17).
    """
    return next((band.floor_flop for band in treaty.bands if band.rule is not BandRule.FREE), None)


def judge_licence(
    state: ChipState, offer: LicenceOffered, now: Milliseconds
) -> tuple[Signed[Licence], Sighting] | Refused:
    """Return a licence that holds for this chip with the checkpoint that shows it, or why it does not.

    That checkpoint may tell that it is later than the chip's clock says: the licence must hold then too.
    """
    try:
        signed = open_licence(offer.data, _find_treaty(state, offer))
    except tuple(_OPENING) as error:
        return Refused(reason=_OPENING[type(error)], detail=str(error))
    refused = _apply_licence_rules(state, signed.statement, offer, now)
    if refused is not None:
        return refused
    sighting = judge_logged(state, offer, after=signed.statement.licence_id)
    if isinstance(sighting, Refused):
        return sighting
    later = _apply_licence_rules(state, signed.statement, offer, max(now, sighting.proven_ms))
    return later or (signed, sighting)


def _apply_licence_rules(
    state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds
) -> Refused | None:
    for reason, rule in LICENCE_RULES:
        try:
            rule(state, licence, offer, now)
        except VetonetError as error:
            return Refused(reason=reason, detail=str(error))
    return None


def find_lease(state: ChipState, now: Milliseconds) -> LeaseInUse | None:
    """Return the lease that holds at ``now`` on this chip, used up or not, or None."""
    return None if state.licence is None else state.licence.find_lease(now)


def judge_work(state: ChipState, request: WorkRequested, now: Milliseconds) -> Refused | None:
    """Return why a piece of work must not start, or None where it may."""
    for reason, rule in WORK_RULES:
        try:
            rule(state, request, now)
        except RefusedError as error:
            return Refused(reason=reason, detail=str(error))
    return None


def _find_treaty(state: ChipState, offer: LicenceOffered) -> Signed[Treaty]:
    """Return the treaty that the licence names, where the chip obeyed it, or the present one (VN-16.8)."""
    named = read_unverified(offer.data, Licence).treaty_digest
    found = (past.signed for past in state.past if past.signed.payload_digest == named)
    return next(found, state.treaty)


def _verify_in_its_epoch(
    state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds
) -> None:
    """Whoever kept the shares of an epoch that is over signs nothing new with them."""
    del now
    ends = (past.end_leaf_index for past in state.past if past.signed.payload_digest == licence.treaty_digest)
    place, end = offer.log_proof.leaf_index, next(ends, None)
    if end is not None and place >= end:
        detail = f"a licence of epoch {licence.epoch} at leaf {place}; that epoch ended at leaf {end}"
        raise RefusedError(detail, clause="VN-12.2")


def _verify_not_expired(state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds) -> None:
    del state, offer
    if now >= licence.expires_ms:
        raise RefusedError(f"a licence that expired at {licence.expires_ms}", clause="VN-12.2")


def _verify_unused(state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds) -> None:
    """One proposal, one licence: another id would be another full share of the same grant."""
    del offer, now
    if licence.licence_id == state.last_licence_id or licence.proposal_digest in state.accepted:
        proposal = licence.proposal_digest.hex()[:16]
        detail = f"licence {licence.licence_id}: one of proposal {proposal} was accepted before"
        raise RefusedError(detail, clause="VN-12.2")


def _verify_newer(state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds) -> None:
    del offer, now
    if state.last_licence_id is not None and licence.licence_id < state.last_licence_id:
        detail = f"licence {licence.licence_id} is older than {state.last_licence_id}, accepted before"
        raise RefusedError(detail, clause="VN-12.2")


def _verify_membership(state: ChipState, licence: Licence, offer: LicenceOffered, now: Milliseconds) -> None:
    """The size of the tree is the licence's: an inclusion proof does not bind its own."""
    del now
    verify_inclusion(
        leaf_hash=compute_leaf_hash(state.ueid),
        leaf_index=offer.membership.leaf_index,
        tree_size=licence.device_count,
        proof=offer.membership.hashes,
        root_hash=licence.device_set_root,
    )


def _verify_precision(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.precision not in state.model.precisions:
        raise RefusedError(f"{state.model.name} does not compute in {request.precision}", clause="VN-12.1")


def _verify_countable(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    """What a report cannot state is not begun: a chip that cannot report any more is a chip that is lost."""
    tokens = state.meter.tokens + request.tokens
    if request.duration_ms > MAX_WORK_MS or now + request.duration_ms > MAX_TIME_MS or tokens > MAX_TOKENS:
        detail = f"work of {request.duration_ms} ms and {request.tokens} tokens, more than a report states"
        raise RefusedError(detail, clause="VN-17.10")


def _verify_below_band(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    allowance = find_allowance(state.treaty.statement)
    if request.licence_id is None and allowance is not None and request.total_flop >= allowance:
        detail = f"a run of {request.total_flop} FLOP, from {allowance} on it needs a licence"
        raise RefusedError(detail, clause="VN-12.1")


def _verify_untampered(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.licence_id is not None and state.phase is Phase.TAMPERED:
        raise RefusedError("this chip noticed tampering and runs nothing licensed", clause="VN-17.13")


def _verify_licence_held(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.licence_id is not None and request.licence_id != _held_id(state):
        raise RefusedError(f"no licence {request.licence_id} on this chip", clause="VN-12.2")


def _verify_licence_left(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.licence_id is not None and state.phase is Phase.SPENT:
        raise RefusedError(f"licence {request.licence_id} is used up or over", clause="VN-12.3")


def _verify_licence_started(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    licence = _licence_for(state, request)
    if licence is not None and now < licence.not_before_ms:
        raise RefusedError(
            f"licence {licence.licence_id} starts at {licence.not_before_ms}", clause="VN-12.2"
        )


def _verify_lease_begun(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.licence_id is not None and state.phase is Phase.LICENSED:
        detail = f"no lease of licence {request.licence_id} on this chip yet"
        raise RefusedError(detail, clause="VN-12.5")


def _verify_lease_left(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    """By count: also a chip whose clock is held stops."""
    lease = None if request.licence_id is None else find_lease(state, now)
    if lease is not None and not lease.left_flop:
        detail = f"lease {lease.lease.number} of licence {request.licence_id} is used up"
        raise RefusedError(detail, clause="VN-12.5")


def _verify_lease_lasts(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    if request.licence_id is not None and state.phase is Phase.PAUSED:
        detail = f"the last lease of licence {request.licence_id} on this chip is over"
        raise RefusedError(detail, clause="VN-12.5")


def _verify_workload(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    licence = _licence_for(state, request)
    if licence is not None and request.workload is not licence.workload:
        raise RefusedError(f"licensed is {licence.workload}, not {request.workload}", clause="VN-12.2")


def _verify_licensed_precision(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    licence = _licence_for(state, request)
    if licence is not None and request.precision is not licence.precision:
        raise RefusedError(f"licensed is {licence.precision}, not {request.precision}", clause="VN-12.2")


def _verify_total(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    del now
    licence = _licence_for(state, request)
    if licence is not None and request.total_flop > licence.total_flop:
        detail = f"a run of {request.total_flop} FLOP, licensed are {licence.total_flop}"
        raise RefusedError(detail, clause="VN-12.2")


def _verify_same_job(state: ChipState, request: WorkRequested, now: Milliseconds) -> None:
    """One interval, one job; and a licensed interval lies wholly in one lease."""
    job, wanted = state.job, (request.licence_id, request.workload, request.precision)
    if job is not None and (job.licence_id, job.workload, job.precision) != wanted:
        raise RefusedError("the open interval holds another job; report it first", clause="VN-9.1")
    lease = None if request.licence_id is None else find_lease(state, now)
    if lease is not None and state.window_start_ms < lease.lease.starts_ms:
        detail = f"the open interval began before lease {lease.lease.number}; report it first"
        raise RefusedError(detail, clause="VN-12.4")


def _held_id(state: ChipState) -> int | None:
    return None if state.licence is None else state.licence.licence.licence_id


def _licence_for(state: ChipState, request: WorkRequested) -> Licence | None:
    return None if request.licence_id is None or state.licence is None else state.licence.licence


LICENCE_RULES: Final[tuple[tuple[str, LicenceRule], ...]] = (
    ("wrong-epoch", _verify_in_its_epoch),
    ("licence-expired", _verify_not_expired),
    ("licence-replayed", _verify_unused),
    ("licence-superseded", _verify_newer),
    ("not-in-device-set", _verify_membership),
)
"""What a licence must satisfy once its signature holds, in this order; after that, the log must show it."""

WORK_RULES: Final[tuple[tuple[str, WorkRule], ...]] = (
    ("unknown-precision", _verify_precision),
    ("work-too-long", _verify_countable),
    ("licence-required", _verify_below_band),
    ("tampered", _verify_untampered),
    ("no-licence", _verify_licence_held),
    ("licence-spent", _verify_licence_left),
    ("licence-not-started", _verify_licence_started),
    ("no-lease", _verify_lease_begun),
    ("lease-spent", _verify_lease_left),
    ("lease-ended", _verify_lease_lasts),
    ("other-workload", _verify_workload),
    ("other-precision", _verify_licensed_precision),
    ("total-above-licence", _verify_total),
    ("interval-open", _verify_same_job),
)
"""What a piece of work must satisfy before it starts, in this order."""
