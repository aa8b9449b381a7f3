"""The gate for leases: which one a chip accepts (VN-12.6); each rule stands beside its reason code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from vetonet.attester.holdings import LicenceInUse
from vetonet.attester.log_gate import judge_logged
from vetonet.attester.state import ChipState, LeaseOffered, Refused, Sighting
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.lease import Lease, compute_lead_ms, derive_lease, open_lease
from vetonet.units import Milliseconds

LeaseRule: TypeAlias = Callable[[ChipState, Lease, Milliseconds], None]

_OPENING: Final[Mapping[type[VetonetError], str]] = {
    EncodingError: "lease-malformed",
    UnknownPartyError: "lease-forged",
    InvalidSignatureError: "lease-forged",
    EpochError: "wrong-epoch",
}


def judge_lease(
    state: ChipState, offer: LeaseOffered, now: Milliseconds
) -> tuple[LicenceInUse, Sighting] | Refused:
    """Return the licence in use with this lease, and the checkpoint that shows it, or why it is refused.

    That checkpoint may tell that it is later than the chip's clock says: the lease must hold then too.
    """
    try:
        lease = open_lease(offer.data, state.treaty).statement
    except tuple(_OPENING) as error:
        return Refused(reason=_OPENING[type(error)], detail=str(error))
    refused = _apply_rules(state, lease, now)
    if refused is not None:
        return refused
    sighting = judge_logged(state, offer, after=lease.licence_id)
    if isinstance(sighting, Refused):
        return sighting
    later = _apply_rules(state, lease, max(now, sighting.proven_ms))
    return later or (_used(state).with_lease(lease), sighting)


def _apply_rules(state: ChipState, lease: Lease, now: Milliseconds) -> Refused | None:
    for reason, rule in LEASE_RULES:
        try:
            rule(state, lease, now)
        except RefusedError as error:
            return Refused(reason=reason, detail=str(error))
    return None


def _verify_licence(state: ChipState, lease: Lease, now: Milliseconds) -> None:
    del now
    held = None if state.licence is None else state.licence.licence
    if held is None or (held.licence_id, held.proposal_digest) != (lease.licence_id, lease.proposal_digest):
        raise RefusedError(f"licence {lease.licence_id} is not in use on this chip", clause="VN-12.6")


def _verify_newer(state: ChipState, lease: Lease, now: Milliseconds) -> None:
    """A number may be skipped, where consent was not kept for a while, and none returns."""
    del now
    newest = _used(state).newest_number
    if lease.number <= newest:
        detail = f"lease {lease.number}, but lease {newest} was accepted before"
        raise RefusedError(detail, clause="VN-12.6")


def _verify_derived(state: ChipState, lease: Lease, now: Milliseconds) -> None:
    """The chip computes what a lease of this number says, and believes nothing else, whoever signed it."""
    del now
    try:
        expected = derive_lease(state.treaty, _used(state).signed, lease.number)
    except ValueError as error:
        detail = f"the run is over before lease {lease.number} begins"
        raise RefusedError(detail, clause="VN-12.6") from error
    if lease != expected:
        detail = f"lease {lease.number} is not what licence {lease.licence_id} gives"
        raise RefusedError(detail, clause="VN-12.6")


def _verify_not_over(state: ChipState, lease: Lease, now: Milliseconds) -> None:
    del state
    if now >= lease.ends_ms:
        raise RefusedError(f"lease {lease.number} ended at {lease.ends_ms}", clause="VN-12.6")


def _verify_due(state: ChipState, lease: Lease, now: Milliseconds) -> None:
    """Nobody signs one earlier who keeps the rules; so a chip holds two leases at most."""
    due_ms = lease.starts_ms - compute_lead_ms(_used(state).licence.lease_ms)
    if now < due_ms:
        raise RefusedError(f"lease {lease.number} is not to be signed before {due_ms}", clause="VN-12.6")


def _used(state: ChipState) -> LicenceInUse:
    if state.licence is None:
        raise RefusedError("no licence is in use on this chip", clause="VN-12.6")
    return state.licence


LEASE_RULES: Final[tuple[tuple[str, LeaseRule], ...]] = (
    ("other-licence", _verify_licence),
    ("lease-replayed", _verify_newer),
    ("lease-altered", _verify_derived),
    ("lease-expired", _verify_not_over),
    ("lease-not-due", _verify_due),
)
"""What a lease must satisfy once its signature holds, in this order; after that, the log must show it."""
