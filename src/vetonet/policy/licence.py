"""Licences: the quorum's threshold-signed permission for one run on one set of chips (VN-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from vetonet.crypto.statement import Signed, Statement
from vetonet.encoding.record import DIGEST, many, member, numeric_date, one_of, uint
from vetonet.policy.action import ActionClass
from vetonet.policy.consent import open_decided
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.proposal import (
    MAX_DEVICES,
    Proposal,
    verify_ceilings,
    verify_lease_ceiling,
    verify_treaty_reference,
)
from vetonet.policy.treaty import MAX_INTERVAL_MS, Treaty
from vetonet.units import MAX_FLOP, Precision, WorkloadClass

MAX_LEAF_INDEX: Final = 2**53
LEAF_INDICES: Final = many(uint(MAX_LEAF_INDEX), minimum=1, maximum=MAX_PARTIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence(Statement):
    """A CWT (RFC 8392) that a chip accepts once; every field follows from the log (VN-7.1).

    Attributes:
        issued_ms, not_before_ms, expires_ms: whole seconds on the wire (claims iat, nbf, exp).
        licence_id: index of the last ballot leaf it rests on, so it is unique and rises with time.
        proposal_leaf_index, ballot_leaf_indices: where the log shows what it rests on.
        lease_flop: the ceiling of each chip within one lease.
        lease_ms: how long after consent was last given a chip may run at most (VN-14.1).
    """

    TYPE: ClassVar[str] = "licence"

    expires_ms: int = member(4, numeric_date())
    not_before_ms: int = member(5, numeric_date())
    issued_ms: int = member(6, numeric_date())
    licence_id: int = member(-70101, uint(MAX_LEAF_INDEX))
    treaty_digest: bytes = member(-70102, DIGEST)
    epoch: int = member(-70103, uint(2**32))
    proposal_digest: bytes = member(-70104, DIGEST)
    proposal_leaf_index: int = member(-70105, uint(MAX_LEAF_INDEX))
    ballot_leaf_indices: tuple[int, ...] = member(-70106, LEAF_INDICES)
    device_set_root: bytes = member(-70107, DIGEST)
    device_count: int = member(-70108, uint(MAX_DEVICES))
    total_flop: int = member(-70109, uint(MAX_FLOP))
    per_device_flop: int = member(-70110, uint(MAX_FLOP))
    workload: WorkloadClass = member(-70111, one_of(WorkloadClass))
    precision: Precision = member(-70112, one_of(Precision))
    lease_flop: int = member(-70113, uint(MAX_FLOP))
    lease_ms: int = member(-70114, uint(MAX_INTERVAL_MS))

    def __post_init__(self) -> None:
        """Refuse a licence that could not have been derived: order of times, of ballots, of ceilings."""
        times = (self.issued_ms, self.not_before_ms, self.expires_ms)
        if any(time % 1000 for time in times) or not self.issued_ms <= self.not_before_ms < self.expires_ms:
            msg = "expected whole seconds with issued <= not before < expires"
            raise ValueError(msg)
        indices = self.ballot_leaf_indices
        if not indices or list(indices) != sorted(set(indices)):
            msg = "expected ballot leaf indices that rise"
            raise ValueError(msg)
        if self.licence_id != indices[-1] or self.proposal_leaf_index >= indices[0]:
            msg = "expected the proposal before the ballots, and the last ballot as licence id"
            raise ValueError(msg)
        verify_ceilings(self.per_device_flop, self.total_flop, self.device_count)
        verify_lease_ceiling(self.lease_flop, self.per_device_flop)
        if not self.lease_ms:
            msg = "expected leases that last"
            raise ValueError(msg)


def derive_licence(
    treaty: Signed[Treaty],
    proposal: Signed[Proposal],
    proposal_leaf_index: int,
    ballot_leaf_indices: Sequence[int],
) -> Licence:
    """Return the one licence that a granted proposal gives; every signer derives it alone and compares."""
    asked = proposal.statement
    return Licence(
        expires_ms=asked.ends_ms,
        not_before_ms=asked.starts_ms,
        issued_ms=asked.closes_ms,
        licence_id=max(ballot_leaf_indices),
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        proposal_digest=proposal.payload_digest,
        proposal_leaf_index=proposal_leaf_index,
        ballot_leaf_indices=tuple(sorted(ballot_leaf_indices)),
        device_set_root=asked.device_set_root,
        device_count=asked.device_count,
        total_flop=asked.total_flop,
        per_device_flop=asked.per_device_flop,
        workload=asked.workload,
        precision=asked.precision,
        lease_flop=asked.lease_flop,
        lease_ms=treaty.statement.lease_ms,
    )


def open_licence(data: bytes, treaty: Signed[Treaty]) -> Signed[Licence]:
    """Return a licence that the treaty's quorum signed under this treaty and epoch.

    Raises:
        EncodingError: not a licence.
        UnknownPartyError: another group's.
        InvalidSignatureError: a threshold signature does not verify, or one that must be there is not.
        EpochError: it names another treaty or epoch.
    """
    signed = open_decided(data, Licence, treaty.statement, ActionClass.RUN_GRANT)
    verify_treaty_reference(signed.statement, treaty)
    return signed
