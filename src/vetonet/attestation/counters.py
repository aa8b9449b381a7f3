"""The counters of a chip over its reports: none falls, and they agree with each other (VN-17.10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.attestation.appraisal_policy import Found
from vetonet.attestation.report import CYCLES_PER_MS, ComputeReport
from vetonet.units import Flop, Precision

COUNTERS: Final[Sequence[tuple[str, str]]] = (
    ("cumulative_flop", "FLOP"),
    ("cumulative_tokens", "tokens"),
    ("cumulative_cycles", "cycles"),
)
"""Every counter that stands in every open report, with what it counts; those of precisions take turns."""


def find_overcount(claims: ComputeReport) -> Iterator[Found]:
    """Yield where one report contradicts itself: more in one precision than in all."""
    if claims.precision_flop is None or claims.cumulative_flop is None:
        return  # what a confidential report does not say contradicts nothing
    over = claims.precision_flop - claims.cumulative_flop
    if over > 0:
        yield "meter-mismatched", f"counts {over} FLOP more in {claims.precision} than in all"


def compare_counters(before: ComputeReport, after: ComputeReport) -> Iterator[Found]:
    """Yield each counter that both reports state and that fell from one to the later one, by how much."""
    if not (before.is_confidential or after.is_confidential):
        yield from _compare_open(before, after)
    fell = before.tamper_count - after.tamper_count
    if fell > 0:
        yield "meter-rollback", f"counts tampering less by {fell} than report {before.counter}"


def _compare_open(before: ComputeReport, after: ComputeReport) -> Iterator[Found]:
    for name, what in COUNTERS:
        fell = getattr(before, name) - getattr(after, name)
        if fell > 0:
            yield "meter-rollback", f"counts {what} less by {fell} than report {before.counter}"


def compare_work(before: ComputeReport | None, after: ComputeReport) -> Iterator[Found]:
    """Yield where the work of one interval and the cycles that it took contradict each other.

    Args:
        before: the report just before, or None for the first of a chip.
        after: the report of the interval; where either is confidential, neither work nor cycles are known.
    """
    before_cycles, before_flop = (
        (0, 0) if before is None else (before.cumulative_cycles, before.cumulative_flop)
    )
    if after.cumulative_cycles is None or after.cumulative_flop is None:
        return
    if before_cycles is None or before_flop is None:
        return
    cycles, flop = after.cumulative_cycles - before_cycles, after.cumulative_flop - before_flop
    there_are = (after.window_end_ms - after.window_start_ms) * CYCLES_PER_MS
    if cycles > there_are:
        yield "meter-mismatched", f"counts {cycles} cycles in an interval of {there_are}"
    if flop > 0 and not cycles:
        yield "meter-mismatched", f"counts {flop} FLOP in no cycle at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionLedger:
    """What each precision counted by the reports so far.

    Attributes:
        counted: the newest counter of each precision.
        newest: the newest report, or None before the first.
        newest_open: the newest that states its counters, or None before the first.
        is_whole: whether nothing is missing, hidden or wrong so far, so that all counters together make the
            total.
    """

    counted: Mapping[Precision, Flop] = field(default_factory=dict)
    newest: ComputeReport | None = None
    newest_open: ComputeReport | None = None
    is_whole: bool = True

    def follow(self, claims: ComputeReport) -> tuple[PrecisionLedger, tuple[Found, ...]]:
        """Return the ledger with a report counted in, and what it contradicts of those before it.

        An interval computes in one precision, so where no report is missing the counters of all precisions
        make the total. A confidential report says nothing of them; one that is open again may not fall
        behind what was said before.
        """
        if claims.is_confidential:
            return replace(self, newest=claims, is_whole=False), ()
        counters, before = claims.counters, self.newest_open
        is_next = claims.counter == (0 if self.newest is None else self.newest.counter) + 1
        found = [*compare_work(self.newest, claims)] if is_next else []
        if before is not None and before is not self.newest:
            found += _compare_open(before, claims)
        fell = self.counted.get(claims.precision, 0) - counters.precision_flop
        total_fell = before is not None and counters.flop < before.counters.flop
        if fell > 0 and not total_fell:  # else it is said already
            detail = f"counts {fell} FLOP less in {claims.precision} than one before it"
            found.append(("meter-rollback", detail))
        counted = {**self.counted, claims.precision: counters.precision_flop}
        is_whole = self.is_whole and is_next and fell <= 0 and not total_fell
        apart = sum(counted.values()) - counters.flop
        if is_whole and apart:
            found.append(("meter-mismatched", f"counts a total that is off by {apart} FLOP"))
        ledger = PrecisionLedger(
            counted=counted, newest=claims, newest_open=claims, is_whole=is_whole and not apart
        )
        return ledger, tuple(found)
