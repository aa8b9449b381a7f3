"""What a chip counts over its whole life (VN-17.10); counters only rise, and survive a loss of power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vetonet.attestation.report import CYCLES_PER_MS
from vetonet.attester.metering import Work
from vetonet.units import Flop, Milliseconds, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The counters of one chip; no ``repr`` tells them, for totals may be confidential (VN-18.5).

    Attributes:
        flop: what was computed, by the precision it was computed in; one without any is left out.
        unlicensed_flop: how much of all that without a licence.
        busy_ms: how long the matrix units were at work.
        tokens: what inference put out.
    """

    flop: Mapping[Precision, Flop] = field(default_factory=dict, repr=False)
    unlicensed_flop: Flop = field(default=0, repr=False)
    busy_ms: Milliseconds = field(default=0, repr=False)
    tokens: int = field(default=0, repr=False)

    @property
    def total_flop(self) -> Flop:
        """All that was computed, whatever the precision, workload or licence."""
        return sum(self.flop.values())

    @property
    def cycles(self) -> int:
        """The cycles of the metering clock in which the matrix units were at work."""
        return self.busy_ms * CYCLES_PER_MS

    def count_in(self, precision: Precision) -> Flop:
        """Return what was computed in one precision."""
        return self.flop.get(precision, 0)

    def count(self, work: Work, precision: Precision, tokens: int) -> Meter:
        """Return the meter after one more piece of work that put out so many tokens."""
        if not work.flop:
            return self
        return replace(
            self,
            flop={**self.flop, precision: self.count_in(precision) + work.flop},
            busy_ms=self.busy_ms + work.duration_ms,
            tokens=self.tokens + tokens,
        )

    def count_unlicensed(self, work: Work) -> Meter:
        """Return the meter with this work, which ``count`` counts too, held against the chip's allowance."""
        return replace(self, unlicensed_flop=self.unlicensed_flop + work.flop)
