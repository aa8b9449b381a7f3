"""What the claims are judged on: what is known before the reports, and what is kept of each chip's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.evidence import Chain
from vetonet.compliance.findings import Undecided
from vetonet.compliance.public_record import PublicRecord
from vetonet.errors import Problem
from vetonet.policy.band import BandRule
from vetonet.policy.licence import Licence
from vetonet.policy.treaty import Operator, Treaty
from vetonet.units import Flop, Milliseconds

Found: TypeAlias = Problem | Undecided
"""What a judge finds: a problem, or one that waits for a batch."""

NO_MEMBERS: Final[frozenset[bytes]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known before any report is read.

    Attributes:
        record: the public record.
        members: the chips of each device set that a licence names, by its root.
        now: when the judgement is made.
    """

    record: PublicRecord = field(repr=False)
    members: Mapping[bytes, frozenset[bytes]] = field(repr=False)
    now: Milliseconds

    @classmethod
    def of(cls, record: PublicRecord, device_sets: Mapping[bytes, DeviceSet], now: Milliseconds) -> Case:
        """Return the case of a record and the device sets of a bundle, by their roots."""
        members = {root: frozenset(device_set.ueids) for root, device_set in device_sets.items()}
        return cls(record=record, members=members, now=now)

    @property
    def due_ms(self) -> Milliseconds:
        """Up to when everything must be accounted for by now: an interval and its grace ago."""
        treaty = self.record.treaty.statement
        return self.now - treaty.report_grace_ms - treaty.report_interval_ms

    @property
    def period_ms(self) -> tuple[Milliseconds, Milliseconds] | None:
        """The time about which the verdict is: when licences ran, as far as it is due; None where none is."""
        licences = self.record.licences.values()
        start = min((licence.not_before_ms for licence in licences), default=self.now)
        end = min(max((licence.expires_ms for licence in licences), default=start), self.due_ms)
        return (start, end) if start < end else None

    @property
    def licensed_floor_flop(self) -> Flop | None:
        """Where the first band that is not free begins by the newest treaty, or None where every run is."""
        return _find_floor(self.record.treaties[-1].statement)

    @property
    def highest_floor_flop(self) -> Flop | None:
        """The highest of those of all treaties that were in force; None where one of them left all free.

        What stays below it was allowed at one time, so it accuses nobody.
        """
        floors = [_find_floor(treaty.statement) for treaty in self.record.treaties]
        known = [floor for floor in floors if floor is not None]
        return max(known) if len(known) == len(floors) else None

    @property
    def operators(self) -> Mapping[str, Operator]:
        """Every operator of a treaty that was in force, by name, as the newest of them says."""
        listed = (operator for treaty in self.record.treaties for operator in treaty.statement.operators)
        return {operator.operator_id: operator for operator in listed}

    def is_always_behind(self, owner: str, operator_ids: Sequence[str]) -> bool:
        """Whether every treaty that was in force puts this owner behind all these operators."""
        listed = [operator for treaty in self.record.treaties for operator in treaty.statement.operators]
        return all(operator.owner == owner for operator in listed if operator.operator_id in operator_ids)

    def list_members(self, licence: Licence) -> frozenset[bytes]:
        """Return the ueids of a licence's chips, or nothing where the bundle lacks its device set."""
        return self.members.get(licence.device_set_root, NO_MEMBERS)


def _find_floor(terms: Treaty) -> Flop | None:
    return next((band.floor_flop for band in terms.bands if band.rule is not BandRule.FREE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipUse:
    """What the reports of one chip account for.

    Attributes:
        by_licence: FLOP by licence of the log.
        by_lease: FLOP by licence and number of the lease, whether the log holds that or not.
        unlicensed_flop: FLOP without a licence.
    """

    by_licence: Mapping[int, Flop]
    by_lease: Mapping[tuple[int, int], Flop]
    unlicensed_flop: Flop


def sum_use(chain: Chain) -> ChipUse:
    """Return what the reports of one chip account for."""
    by_licence: dict[int, int] = defaultdict(int)
    by_lease: dict[tuple[int, int], int] = defaultdict(int)
    unlicensed = 0
    for usage in chain.usages:
        flop = usage.flop or 0
        if usage.licence is not None:
            licence_id = usage.licence.licence_id
            by_licence[licence_id] += flop
            if usage.lease_number is not None:
                by_lease[licence_id, usage.lease_number] += flop
        elif usage.claims.licence_id is None:
            unlicensed += flop
    return ChipUse(by_licence=by_licence, by_lease=by_lease, unlicensed_flop=unlicensed)


class Tally:
    """What is kept of all chips whose reports were judged; grows with the chips, not with their reports.

    Attributes:
        used: FLOP by licence of the log.
        unlicensed: FLOP without a licence, by owner.
        ends: until when the chips of each maker reported.
        reporting: the chips that reported.
        report_count: how many reports there were, good or not.
        signers: whoever has to answer for a genuine report: chips and the owners of chips.
    """

    __slots__ = ("ends", "report_count", "reporting", "signers", "unlicensed", "used")

    def __init__(self) -> None:
        """Begin without any chip."""
        self.used: dict[int, Flop] = defaultdict(int)
        self.unlicensed: dict[str, Flop] = defaultdict(int)
        self.ends: dict[str, Milliseconds] = {}
        self.reporting: set[bytes] = set()
        self.report_count = 0
        self.signers: set[str] = set()

    def count(self, chain: Chain, use: ChipUse) -> None:
        """Count in one chip."""
        enrolment = chain.device.enrolment
        for licence_id, flop in use.by_licence.items():
            self.used[licence_id] += flop
        self.unlicensed[enrolment.owner] += use.unlicensed_flop
        end = max(usage.claims.window_end_ms for usage in chain.usages)
        self.ends[enrolment.endorser_id] = max(end, self.ends.get(enrolment.endorser_id, 0))
        self.reporting.add(chain.device.ueid)
        self.signers |= {enrolment.owner, chain.device.ueid.hex()}
