"""What open reports say beside hidden totals: an amended treaty brings both about (VN-18.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from vetonet.compliance.case import Case
from vetonet.compliance.evidence import Chain, Usage
from vetonet.confidential.bounds import compute_energy_flop, compute_rate_flop
from vetonet.errors import Problem
from vetonet.units import Flop


class Booking:
    """What the reports of one chip say of one account; grows in place, report by report.

    Attributes:
        known_flop: what open reports say since the last commitment.
        most_flop: the same, with what cannot be known counted as much as it can be.
    """

    __slots__ = ("_held_count", "_usages", "known_flop", "most_flop")

    def __init__(self) -> None:
        """Begin without a report."""
        self._usages: list[Usage] = []
        self._held_count = 0
        self.known_flop = self.most_flop = 0

    def add(self, usage: Usage, *, is_after_hidden: bool) -> None:
        """Book one report; a commitment is to the whole account, so it holds all before it (VN-18.2)."""
        self._usages.append(usage)
        if usage.claims.is_confidential:
            self._held_count = len(self._usages)
            self.known_flop = self.most_flop = 0
            return
        self.known_flop += usage.flop or 0
        is_unknown = usage.flop is None and is_after_hidden
        self.most_flop += _compute_most(usage) if is_unknown else usage.flop or 0

    def list_held(self) -> Sequence[Usage]:
        """Return the reports up to the last commitment, which is to the work of them all."""
        return self._usages[: self._held_count]


def book(chain: Chain) -> Mapping[int | None, Booking]:
    """Return the accounts on which the reports of a chip are booked, by licence of the log, or None."""
    booked: dict[int | None, Booking] = defaultdict(Booking)
    last_hidden = 0
    for usage in chain.usages:
        claims = usage.claims
        if claims.licence_id is None or usage.licence is not None:
            booked[claims.licence_id].add(usage, is_after_hidden=claims.counter == last_hidden + 1)
        if claims.is_confidential:
            last_hidden = claims.counter
    return booked


class StatedWork:
    """The FLOP that open reports state and no commitment holds; grows in place, chip by chip."""

    __slots__ = ("_known", "_most")

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[int | None, dict[str, Flop]] = defaultdict(lambda: defaultdict(int))
        self._most: dict[int | None, dict[str, Flop]] = defaultdict(lambda: defaultdict(int))

    def count(self, licence_id: int | None, owner: str, booking: Booking) -> None:
        """Count in one account of one chip."""
        self._known[licence_id][owner] += booking.known_flop
        self._most[licence_id][owner] += booking.most_flop

    @property
    def unknown_ids(self) -> frozenset[int]:
        """The licences of which no report says how much was used in some interval."""
        found = (licence_id for licence_id, most in self._most.items() if most != self._known[licence_id])
        return frozenset(licence_id for licence_id in found if licence_id is not None)

    def list_most(self, licence_id: int | None) -> Mapping[str, Flop]:
        """Return the most that it can be on a licence, or without one, by owner."""
        return self._most.get(licence_id, {})

    def sum_most(self, licence_id: int | None) -> Flop:
        """Return the most that it can be on a licence, of all owners."""
        return sum(self.list_most(licence_id).values())

    def list_unproven(self, case: Case) -> Iterator[Problem]:
        """Yield the limits that nobody broke for certain, and that what is not known may have broken."""
        for licence_id in sorted(licence_id for licence_id in self._most if licence_id is not None):
            limit = case.record.licences[licence_id].total_flop
            if self._is_undecided(licence_id, self.list_most(licence_id), limit):
                yield _about("budget-unproven", f"licence {licence_id} stays within its budget", None)
        if case.licensed_floor_flop is None:
            return
        behind: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.list_most(None)):
            behind[case.operators[name].owner if name in case.operators else name].append(name)
            if self._is_undecided(None, (name,), case.licensed_floor_flop - 1):
                yield _about("pool-unproven", f"the pool of {name} stays below the band", name)
        for owner, names in sorted(behind.items()):
            if len(names) > 1 and self._is_undecided(None, names, case.licensed_floor_flop - 1):
                yield _about("owner-pool-unproven", f"the pool of {owner} stays below the band", owner)

    def _is_undecided(
        self, licence_id: int | None, names: Sequence[str] | Mapping[str, Flop], limit: Flop
    ) -> bool:
        known, most = self._known[licence_id], self._most[licence_id]
        return sum(known[name] for name in names) <= limit < sum(most[name] for name in names)


def _compute_most(usage: Usage) -> Flop:
    """Return the most that an interval can hold whose counter has none before it to be subtracted."""
    claims, enrolment = usage.claims, usage.device.enrolment
    peak = usage.device.find_peak(claims.precision) or 0
    in_time = compute_rate_flop(
        peak_flop_per_s=peak, duration_ms=claims.window_end_ms - claims.window_start_ms
    )
    if not enrolment.tdp_w:
        return in_time
    bought = compute_energy_flop(peak_flop_per_s=peak, tdp_w=enrolment.tdp_w, energy_j=claims.energy_j)
    return min(in_time, bought)


def _about(reason: str, what: str, culprit: str | None) -> Problem:
    detail = f"nothing proves that {what}: what was open again after hidden counts says less than it may hold"
    return Problem(reason=reason, detail=detail, culprit=culprit)
