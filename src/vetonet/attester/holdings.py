"""What a chip holds beside its counters: a licence with its leases, its job, the treaties of before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vetonet.attester.account import Account
from vetonet.crypto.statement import Signed
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.treaty import Treaty
from vetonet.units import Flop, Milliseconds, Precision, WorkloadClass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseInUse:
    """A lease that this chip accepted, and what it used of it."""

    lease: Lease
    used_flop: Flop = field(default=0, repr=False)

    @property
    def left_flop(self) -> Flop:
        """What is left of it for this chip."""
        return self.lease.flop - self.used_flop


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceInUse:
    """The licence that this chip accepted last, its leases, and what the chip used of its share.

    Attributes:
        signed: as the quorum signed it.
        used_flop: of this chip's share.
        leases: those that are accepted and not over, by rising number; the last may be yet to begin.
        newest_number: of the newest lease ever accepted, 0 before the first.
        leased_from_ms: when the first that was accepted begins, or None before it.
    """

    signed: Signed[Licence]
    used_flop: Flop = field(default=0, repr=False)
    leases: tuple[LeaseInUse, ...] = ()
    newest_number: int = 0
    leased_from_ms: Milliseconds | None = None

    @property
    def licence(self) -> Licence:
        """What it allows."""
        return self.signed.statement

    @property
    def left_flop(self) -> Flop:
        """What is left of this chip's share."""
        return self.licence.per_device_flop - self.used_flop

    def is_over(self, now: Milliseconds) -> bool:
        """Whether its time is over or its share used up."""
        return now >= self.licence.expires_ms or not self.left_flop

    def find_lease(self, now: Milliseconds) -> LeaseInUse | None:
        """Return the lease that holds at ``now``, used up or not, or None where none does."""
        return next((used for used in self.leases if used.lease.starts_ms <= now < used.lease.ends_ms), None)

    def with_lease(self, lease: Lease) -> LicenceInUse:
        """Return it with one more lease, newer than all before."""
        return replace(
            self,
            leases=(*self.leases, LeaseInUse(lease=lease)),
            newest_number=lease.number,
            leased_from_ms=lease.starts_ms if self.leased_from_ms is None else self.leased_from_ms,
        )

    def compute_lapse_ms(self) -> Milliseconds:
        """Return when nothing holds any more that the chip has now: its leases as far as they adjoin."""
        if not self.leases:
            return self.licence.expires_ms
        lapse_ms = self.leases[0].lease.ends_ms
        for following in self.leases[1:]:
            if following.lease.starts_ms <= lapse_ms:
                lapse_ms = following.lease.ends_ms
        return lapse_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTreaty:
    """A treaty that this chip obeyed before; licences of its epoch live on (VN-16.8).

    Attributes:
        signed: as its parties signed it.
        end_leaf_index: where the log holds the treaty that replaced it.
    """

    signed: Signed[Treaty]
    end_leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the open interval is for; a report tells of one job, so another one needs another interval.

    Attributes:
        workload, precision: what is computed, and in which number format.
        lease: under which lease, or None without a licence; one interval lies in one lease.
        account_flop: what stands on its account now. It is kept here because a newer licence, which may be
            accepted before the interval ends, takes the place of the one that the job is of.
    """

    workload: WorkloadClass
    precision: Precision
    lease: Lease | None
    account_flop: Flop = field(repr=False)

    @property
    def licence_id(self) -> int | None:
        """The id of its licence, or None."""
        return None if self.lease is None else self.lease.licence_id

    @property
    def account(self) -> Account:
        """What the chip did so far under the licence of this job, or without one."""
        return Account(licence_id=self.licence_id, flop=self.account_flop)
