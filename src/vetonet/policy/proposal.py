"""Proposals: an operator's declaration of a large run before it starts (VN-5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, TypeVar

from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, bstr, many, member, one_of, tstr, uint
from vetonet.errors import EpochError, RefusedError
from vetonet.policy.band import Band, BandRule
from vetonet.policy.treaty import Treaty
from vetonet.units import MAX_FLOP, MAX_TIME_MS, Milliseconds, Precision, WorkloadClass

S = TypeVar("S", bound=Statement)

MAX_DEVICES: Final = 2**32

OFFLINE_UNIT_FLOP: Final = 10**18
"""What licences for chips without a network are cut in (RFD 032): about 17 minutes of an H100 in bf16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(Statement):
    """What an operator wants to run, on which chips, when, and up to how much.

    Attributes:
        treaty_digest: the treaty it is made under, and ``epoch`` that treaty's epoch.
        operator_id: who proposes; the signature must be this operator's.
        beneficial_owner: whose runs count together, whatever company proposes them.
        total_flop: the ceiling over all chips.
        per_device_flop: the ceiling of each chip.
        lease_flop: the ceiling of each chip within one lease, so that a chip whose clock is held stops too.
        device_set_root: Merkle root (RFC 9162 hashing) over the sorted ueids of the ``device_count`` chips.
        opens_ms, closes_ms: the voting window.
        starts_ms, ends_ms: the window of the run itself.
        specification_digest: commitment to the private specification of the run; nobody else sees that.
        lineage: digests of proposals whose results this run continues.
        serial: makes two otherwise equal proposals different.
    """

    TYPE: ClassVar[str] = "proposal"

    treaty_digest: bytes = member(1, DIGEST)
    epoch: int = member(2, uint(2**32))
    operator_id: str = member(3, tstr(64))
    beneficial_owner: str = member(4, tstr(128))
    workload: WorkloadClass = member(5, one_of(WorkloadClass))
    precision: Precision = member(6, one_of(Precision))
    total_flop: int = member(7, uint(MAX_FLOP))
    per_device_flop: int = member(8, uint(MAX_FLOP))
    device_set_root: bytes = member(9, DIGEST)
    device_count: int = member(10, uint(MAX_DEVICES))
    opens_ms: int = member(11, uint(MAX_TIME_MS))
    closes_ms: int = member(12, uint(MAX_TIME_MS))
    starts_ms: int = member(13, uint(MAX_TIME_MS))
    ends_ms: int = member(14, uint(MAX_TIME_MS))
    specification_digest: bytes = member(15, DIGEST)
    lineage: tuple[bytes, ...] = member(16, many(DIGEST, maximum=16))
    serial: bytes = member(17, bstr(16))
    lease_flop: int = member(18, uint(MAX_FLOP))

    def __post_init__(self) -> None:
        """Refuse windows that end before they begin and ceilings that do not fit together (VN-5.1)."""
        if not self.opens_ms < self.closes_ms <= self.starts_ms < self.ends_ms:
            got = f"{self.opens_ms}, {self.closes_ms}, {self.starts_ms}, {self.ends_ms}"
            raise ValueError(f"expected opens < closes <= starts < ends in ms, got {got}")
        if self.starts_ms % 1000 or self.ends_ms % 1000 or self.closes_ms % 1000:
            msg = "expected closes, starts and ends on whole seconds: a licence states them so (RFC 8392)"
            raise ValueError(msg)
        verify_ceilings(self.per_device_flop, self.total_flop, self.device_count)
        verify_lease_ceiling(self.lease_flop, self.per_device_flop)
        if len(set(self.lineage)) < len(self.lineage):
            msg = "a parent stands twice in the lineage"
            raise ValueError(msg)

    def is_open_at(self, now: Milliseconds) -> bool:
        """Whether the voting window is open at ``now`` (VN-5.3)."""
        return self.opens_ms <= now < self.closes_ms


def verify_ceilings(per_device_flop: int, total_flop: int, device_count: int) -> None:
    """Hold that a run's ceilings fit together.

    Raises:
        ValueError: they do not.
    """
    if not 0 < per_device_flop <= total_flop <= per_device_flop * device_count:
        msg = "expected 0 < per-device ceiling <= total ceiling <= per-device ceiling x chips"
        raise ValueError(msg)


def verify_lease_ceiling(lease_flop: int, per_device_flop: int) -> None:
    """Hold that a chip may do something in a lease, and no more than in the whole run (VN-5.1).

    Raises:
        ValueError: it may not.
    """
    if not 1 <= lease_flop <= per_device_flop:
        msg = f"expected 1 <= FLOP of a lease <= {per_device_flop} FLOP of each chip, got {lease_flop}"
        raise ValueError(msg)


def open_proposal(data: bytes, treaty: Signed[Treaty]) -> Signed[Proposal]:
    """Return a proposal that an operator of this treaty signed and that this treaty can decide.

    Raises:
        EncodingError: not a proposal.
        UnknownPartyError: no operator of the treaty signed it.
        EpochError: it names another treaty or epoch.
        RefusedError: its voting window is longer than the treaty allows, or it signs for another operator.
    """
    signed = open_statement(data, Proposal, treaty.statement.operator_keys)
    verify_treaty_reference(signed.statement, treaty)
    proposal = signed.statement
    signer_id = treaty.statement.find_operator_by_key(signed.signer).operator_id
    if proposal.operator_id != signer_id:
        msg = f"a proposal of {proposal.operator_id!r} signed by {signer_id!r}"
        raise RefusedError(msg, culprit=signer_id, clause="VN-5.2")
    window_ms = proposal.closes_ms - proposal.opens_ms
    if window_ms > treaty.statement.window_ms:
        msg = f"expected a voting window of at most {treaty.statement.window_ms} ms, got {window_ms} ms"
        raise RefusedError(msg, culprit=proposal.operator_id, clause="VN-5.3")
    return signed


class TreatyBound(Protocol):
    """A statement that holds under one treaty in one epoch."""

    TYPE: ClassVar[str]

    @property
    def treaty_digest(self) -> bytes:
        """The treaty it is made under."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch of that treaty."""
        ...


def verify_treaty_reference(statement: TreatyBound, treaty: Signed[Treaty]) -> None:
    """Hold that a statement names this treaty in this epoch (VN-2.4).

    Raises:
        EpochError: it names another.
    """
    digest, epoch = treaty.payload_digest, treaty.statement.epoch
    if (statement.treaty_digest, statement.epoch) != (digest, epoch):
        msg = (
            f"a {statement.TYPE} under treaty {statement.treaty_digest.hex()[:16]} epoch {statement.epoch}, "
            f"expected {digest.hex()[:16]} epoch {epoch}"
        )
        raise EpochError(msg, clause="VN-2.4")


class PartyStatement(Statement, TreatyBound):
    """A statement that a party of one treaty makes in its own name."""


P = TypeVar("P", bound=PartyStatement)


def open_own(
    data: bytes, kind: type[P], treaty: Signed[Treaty], *, name: Callable[[P], str], clause: str
) -> Signed[P]:
    """Return a statement that a party of this treaty signed for itself.

    Args:
        data: untrusted bytes.
        kind: the statement class that is expected here.
        treaty: whose parties may say so.
        name: gives the party that a statement says it is of.
        clause: the rule that is broken by whoever signs for another.

    Raises:
        EncodingError: not such a statement.
        UnknownPartyError: its signer is not on the roster.
        InvalidSignatureError: the signature does not verify.
        EpochError: it names another treaty or epoch.
        RefusedError: it names another party.
    """
    signed = open_statement(data, kind, treaty.statement.party_keys)
    verify_treaty_reference(signed.statement, treaty)
    require_own_name(signed, name(signed.statement), treaty.statement, clause=clause)
    return signed


def require_own_name(signed: Signed[S], party_id: str, terms: Treaty, *, clause: str) -> None:
    """Hold that a party signed in its own name.

    Raises:
        RefusedError: in another's.
    """
    signer = terms.find_party(signed.signer).party_id
    if signer != party_id:
        msg = f"a {signed.statement.TYPE} of {party_id!r} signed by {signer!r}"
        raise RefusedError(msg, culprit=signer, clause=clause)


def compute_linked_flop(proposal: Proposal, licensed: Mapping[bytes, Proposal]) -> int:
    """Return the total that decides the band: the proposal's own and that of every run linked to it (VN-5.4).

    Linked are licensed runs of the same beneficial owner and those of its lineage, however many generations
    back, each counted once.

    Args:
        proposal: the run in question.
        licensed: proposals that were licensed before, by their digest.
    """
    linked = {digest for digest, run in licensed.items() if run.beneficial_owner == proposal.beneficial_owner}
    linked |= find_ancestors(proposal, licensed)
    return proposal.total_flop + sum(licensed[digest].total_flop for digest in linked)


def find_ancestors(proposal: Proposal, licensed: Mapping[bytes, Proposal]) -> set[bytes]:
    """Return the licensed runs that a proposal continues, however many generations back."""
    found, ahead = set[bytes](), list(proposal.lineage)
    while ahead:
        digest = ahead.pop()
        if digest in licensed and digest not in found:
            found.add(digest)
            ahead.extend(licensed[digest].lineage)
    return found


def verify_band(proposal: Proposal, treaty: Treaty, licensed: Mapping[bytes, Proposal]) -> Band:
    """Return the band of a proposal and its linked runs, unless nobody may license it (VN-5.5).

    Raises:
        RefusedError: the band is forbidden, or the lineage names a run that holds no licence (VN-5.4).
    """
    unknown = [digest for digest in proposal.lineage if digest not in licensed]
    if unknown:
        msg = f"the lineage names {unknown[0].hex()[:16]}, which holds no licence, so it cannot be counted"
        raise RefusedError(msg, culprit=proposal.operator_id, clause="VN-5.4")
    total_flop = compute_linked_flop(proposal, licensed)
    band = treaty.find_band(total_flop)
    if band.rule is BandRule.FORBIDDEN:
        msg = f"a run of {total_flop:.3g} FLOP with its linked runs lies in the forbidden band {band.name!r}"
        raise RefusedError(msg, culprit=proposal.operator_id, clause="VN-5.5")
    return band
