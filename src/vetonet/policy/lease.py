"""Leases: consent to a run lasts for one of them, and ends when nobody gives the next (VN-14).

A licence alone lets a chip do nothing. Leases follow one another from the start of the run, each signed by
the quorum of the class ``lease-renewal``; so whoever withdraws consent has to convince nobody and to reach no
chip: the next lease does not come. Each may be signed only shortly before it begins, so that every lease ends
at most ``lease_ms`` after it was signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto.statement import Signed, Statement
from vetonet.encoding.record import DIGEST, member, uint
from vetonet.policy.action import ActionClass
from vetonet.policy.consent import open_decided
from vetonet.policy.licence import MAX_LEAF_INDEX, Licence
from vetonet.policy.proposal import verify_treaty_reference
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_FLOP, MAX_TIME_MS, MS_PER_S, Flop, Milliseconds

LEAD_PART: Final = 4
"""A lease may be signed this part of ``lease_ms`` before it begins; the rest of it is how long it lasts."""

EVENNESS: Final = 2
"""How much faster than evenly a run may go within one lease, where its operator says nothing else."""

MAX_LEASES: Final = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Statement):
    """Consent to go on with one licensed run until a time, and up to a count.

    Attributes:
        number: from 1; lease 1 begins with the run.
        starts_ms, ends_ms: when it holds.
        flop: what each chip may do within it, so that one whose clock is held stops by count.
    """

    TYPE: ClassVar[str] = "lease"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    licence_id: int = member(3, uint(MAX_LEAF_INDEX))
    proposal_digest: bytes = member(4, DIGEST)
    number: int = member(5, uint(MAX_LEASES))
    starts_ms: int = member(6, uint(MAX_TIME_MS))
    ends_ms: int = member(7, uint(MAX_TIME_MS))
    flop: int = member(8, uint(MAX_FLOP))

    def __post_init__(self) -> None:
        """Refuse a lease for no time or no work, and one before the first."""
        if self.number < 1 or self.flop < 1 or self.starts_ms >= self.ends_ms:
            raise ValueError("expected a lease from 1 on, for some time and some work")


def compute_lead_ms(lease_ms: Milliseconds) -> Milliseconds:
    """Return how long before it begins a lease may be signed, in whole seconds, as witnesses state time."""
    return lease_ms // LEAD_PART // MS_PER_S * MS_PER_S


def compute_period_ms(lease_ms: Milliseconds) -> Milliseconds:
    """Return how long one lease lasts; with its lead that is ``lease_ms``."""
    return lease_ms - compute_lead_ms(lease_ms)


def compute_lease_flop(per_device_flop: Flop, duration_ms: Milliseconds, lease_ms: Milliseconds) -> Flop:
    """Return what a chip may do in a lease where it may go twice as fast as evenly, at most its share."""
    even = -(-EVENNESS * per_device_flop * compute_period_ms(lease_ms) // max(1, duration_ms))
    return max(1, min(per_device_flop, even))


def count_leases(licence: Licence) -> int:
    """Return how many leases a licence's run takes from its start to its end."""
    period_ms = compute_period_ms(licence.lease_ms)
    return -(-(licence.expires_ms - licence.not_before_ms) // period_ms)


def compute_signable_ms(licence: Licence, number: int) -> Milliseconds:
    """Return from when on a lease may be signed: one that ends at most ``lease_ms`` later (VN-14.1)."""
    period_ms, lead_ms = compute_period_ms(licence.lease_ms), compute_lead_ms(licence.lease_ms)
    return licence.not_before_ms + (number - 1) * period_ms - lead_ms


def derive_lease(treaty: Signed[Treaty], licence: Signed[Licence], number: int) -> Lease:
    """Return the one lease of this number that a licence gives; every signer derives it alone and compares.

    Raises:
        ValueError: the run is over before such a lease begins, or it is none.
    """
    terms = licence.statement
    period_ms = compute_period_ms(terms.lease_ms)
    starts_ms = terms.not_before_ms + (number - 1) * period_ms
    return Lease(
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        licence_id=terms.licence_id,
        proposal_digest=terms.proposal_digest,
        number=number,
        starts_ms=starts_ms,
        ends_ms=min(starts_ms + period_ms, terms.expires_ms),
        flop=terms.lease_flop,
    )


def find_number_at(licence: Licence, now: Milliseconds) -> int | None:
    """Return the number of the lease that holds at ``now``, or None before and after the run."""
    if not licence.not_before_ms <= now < licence.expires_ms:
        return None
    return 1 + (now - licence.not_before_ms) // compute_period_ms(licence.lease_ms)


def open_lease(data: bytes, treaty: Signed[Treaty]) -> Signed[Lease]:
    """Return a lease that the quorum for renewals signed under this treaty and epoch.

    Raises:
        EncodingError: not a lease.
        UnknownPartyError: another group's.
        InvalidSignatureError: a threshold signature does not verify, or one that must be there is not.
        EpochError: it names another treaty or epoch.
    """
    signed = open_decided(data, Lease, treaty.statement, ActionClass.LEASE_RENEWAL)
    verify_treaty_reference(signed.statement, treaty)
    return signed
