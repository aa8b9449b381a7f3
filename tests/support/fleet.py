"""A few enrolled chips under the small treaty, a licence for them with its leases, and the log of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from support.firmware import FIRMWARE
from support.world import NOW_MS, Council, compute_device_set_root, make_council
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.machine import step
from vetonet.attester.manufacture import Maker, enrol, manufacture, power_on
from vetonet.attester.models import find_chip_model
from vetonet.attester.state import (
    AliasEndorsed,
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    LeaseOffered,
    LicenceOffered,
    ReportSigned,
    WorkRequested,
)
from vetonet.crypto.merkle import compute_inclusion_proof, compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import count_leases, derive_lease
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Quorum
from vetonet.policy.totals import Totals
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR, Precision, WorkloadClass

PER_DEVICE_FLOP = 10**24
WHOLE_RUN_MS = 32 * MS_PER_HOUR
"""Leases of the 24 hours that the run takes, and a lead of eight."""
LICENCE_LEAF = 4
MODEL = find_chip_model("H100")
PEAK = MODEL.peak_at(Precision.BF16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Started chips of one operator and the licence they may run under.

    Attributes:
        enrolments, aliases: the leaves of each chip.
        leases: all that the licence gives, signed; they stand in the log behind it.
        members: the chips of the licence's device set; the last chip of the fleet is none of them.
    """

    council: Council
    maker: Maker
    chips: tuple[ChipState, ...]
    members: tuple[bytes, ...]
    registry: Registry
    enrolments: tuple[bytes, ...]
    aliases: tuple[bytes, ...]
    proposal: Signed[Proposal]
    licence: Signed[Licence]
    leases: tuple[bytes, ...]
    log: Log

    def sign_head(self, tree_size: int | None = None) -> bytes:
        """A signed checkpoint of the log."""
        return self.council.sign_head(self.log, tree_size)

    def offer(self, ueid: bytes, **changes: Any) -> LicenceOffered:
        """What an operator hands to a chip of the set, with some parts changed."""
        hashes = [compute_leaf_hash(member) for member in self.members]
        place = self.members.index(ueid) if ueid in self.members else 0
        fields: dict[str, Any] = {
            "data": self.licence.data,
            "log_proof": compute_log_proof(self.log, LICENCE_LEAF, self.sign_head()),
            "membership": compute_inclusion_proof(hashes, place),
        }
        return LicenceOffered(**(fields | changes))

    def lease_offer(self, number: int = 1, **changes: Any) -> LeaseOffered:
        """What an operator hands to a chip for one lease, with some parts changed."""
        fields: dict[str, Any] = {
            "data": self.leases[number - 1],
            "log_proof": compute_log_proof(self.log, LICENCE_LEAF + number, self.sign_head()),
        }
        return LeaseOffered(**(fields | changes))

    def request(self, **changes: Any) -> WorkRequested:
        """An hour of licensed work at about half of peak, with some fields changed."""
        fields: dict[str, Any] = {
            "flop": PEAK // 2 * 3600,
            "duration_ms": MS_PER_HOUR,
            "workload": WorkloadClass.TRAINING,
            "precision": Precision.BF16,
            "total_flop": self.licence.statement.total_flop,
            "licence_id": self.licence.statement.licence_id,
        }
        return WorkRequested(**(fields | changes))

    def free_request(self, **changes: Any) -> WorkRequested:
        """The same without a licence, declared small."""
        return self.request(**({"licence_id": None, "total_flop": 10**23} | changes))

    def license(self, chip: ChipState) -> ChipState:
        """The chip with the licence and no lease, its first interval reported, at the licence's start."""
        chip, _ = step(chip, self.offer(chip.ueid), chip.latest_ms)
        chip, _ = step(chip, IntervalEnded(), self.licence.statement.not_before_ms)
        return chip

    def lease(self, chip: ChipState) -> ChipState:
        """The chip with the licence and its first lease, at the licence's start."""
        chip = self.license(chip)
        return step(chip, self.lease_offer(), chip.latest_ms)[0]

    def open(self, data: bytes) -> Signed[ComputeReport]:
        """A report, opened with the registry's keys."""
        return open_report(data, self.registry.aliases)

    def run(self, chip: ChipState, hours: int = 3) -> tuple[ChipState, list[Signed[ComputeReport]]]:
        """The licensed chip after some hours of work, and the reports of its whole life."""
        chip, _ = step(chip, self.offer(chip.ueid), chip.latest_ms)
        chip, effects = step(chip, IntervalEnded(), self.licence.statement.not_before_ms)
        found = list(effects)
        chip, _ = step(chip, self.lease_offer(), chip.latest_ms)
        for _ in range(hours):
            chip, _ = step(chip, self.request(), chip.latest_ms)
            chip, effects = step(chip, IntervalEnded(), chip.latest_ms)
            found += effects
        return chip, [self.open(effect.data) for effect in found if isinstance(effect, ReportSigned)]


@cache
def make_fleet(
    size: int = 5,
    per_device_flop: int = PER_DEVICE_FLOP,
    lease_flop: int | None = None,
    lease_ms: int = WHOLE_RUN_MS,
    totals: Totals | None = None,
) -> Fleet:
    """Return a fleet of which all chips but the last are licensed; cached, for nothing in it may change.

    Args:
        size: how many chips there are.
        per_device_flop: the share of each in the licence.
        lease_flop: its part of one lease, by default the whole.
        lease_ms: the treaty's lease time; by default one lease lasts for the whole run.
        totals: whether the treaty keeps them confidential; by default they are open.
    """
    amending = Quorum.of_threshold(3, ("p1", "p2", "p3"))
    council = make_council(
        quorums={ActionClass.AMEND_RULES: amending, ActionClass.ROSTER_CHANGE: amending},
        lease_ms=lease_ms,
        totals=totals,
    )
    maker = Maker(
        endorser_id="maker",
        root=council.endorser_root,
        attester_kind=SIMULATED,
        not_before_ms=NOW_MS - MS_PER_HOUR,
        not_after_ms=NOW_MS + 10_000 * MS_PER_HOUR,
    )
    rng, registry = SeededRng(b"fleet"), Registry()
    made = [manufacture(MODEL, maker, council.treaty, rng, firmware=FIRMWARE) for _ in range(size)]
    enrolments = tuple(
        enrol(chip, maker, owner="op1", owner_key=council.operator_keys["op1"], site="Here") for chip in made
    )
    started = [power_on(chip, rng, NOW_MS) for chip in made]
    aliases = tuple(
        effect.data for _, effects in started for effect in effects if isinstance(effect, AliasEndorsed)
    )
    for data in enrolments:
        registry.read_enrolment(data, council.treaty.statement)
    for data in aliases:
        registry.read_alias(data)
    chips = tuple(chip for chip, _ in started)
    members = tuple(sorted(chip.ueid for chip in chips[:-1]))
    proposal, licence, leaves = _license(
        council, members, per_device_flop=per_device_flop, lease_flop=lease_flop or per_device_flop
    )
    leases = tuple(sign_lease(council, licence, n + 1) for n in range(count_leases(licence.statement)))
    return Fleet(
        council=council,
        maker=maker,
        chips=chips,
        members=members,
        registry=registry,
        enrolments=enrolments,
        aliases=aliases,
        proposal=proposal,
        licence=licence,
        leases=leases,
        log=Log(council.treaty.statement.log_origin, [*leaves, *leases, b"later leaf"]),
    )


def _license(
    council: Council, members: Sequence[bytes], *, per_device_flop: int, lease_flop: int
) -> tuple[Signed[Proposal], Signed[Licence], list[bytes]]:
    proposal = council.sign_proposal(
        device_set_root=compute_device_set_root(members),
        device_count=len(members),
        per_device_flop=per_device_flop,
        lease_flop=lease_flop,
        total_flop=per_device_flop * len(members),
    )
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    licence = council.sign_licence(proposal, ballots)
    votes = [ballot.data for ballot in ballots.values()]
    return proposal, licence, [council.treaty.data, proposal.data, *votes, licence.data]


def sign_lease(
    council: Council,
    licence: Signed[Licence],
    which: int,
    parties: Sequence[str] = ("p1", "p2"),
    **changes: Any,
) -> bytes:
    """The lease of this number, signed by these parties, with some fields changed."""
    lease = replace(derive_lease(council.treaty, licence, which), **changes)
    return council.sign_by(lease, parties, ActionClass.LEASE_RENEWAL)


def tell(effects: Sequence[Effect]) -> list[str]:
    """The reasons of refusals and throttling, in order."""
    return [getattr(effect, "reason") for effect in effects if hasattr(effect, "reason")]  # noqa: B009


def drive(chip: ChipState, *events: tuple[Event, int]) -> tuple[ChipState, list[Effect]]:
    """The chip after these events at these times, and all effects."""
    found: list[Effect] = []
    for event, now in events:
        chip, effects = step(chip, event, now)
        found += effects
    return chip, found
