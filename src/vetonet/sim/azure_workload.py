"""What serving a trace computes, by interval and chip: 2 FLOP per parameter and token, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vetonet.attester.models import ChipModel
from vetonet.errors import ConfigError
from vetonet.sim.azure_trace import TokenCount
from vetonet.units import MAX_FLOP, MS_PER_S, Flop, Milliseconds, Precision

FLOP_PER_PARAMETER_TOKEN: Final = 2
"""A forward pass: one multiplication and one addition for each parameter and token (Kaplan et al. 2020, arXiv
2001.08361, section 2.1), whether the token is read (prefill) or written (decode)."""

MAX_PARAMETERS: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingInterval:
    """What every chip serves in one reporting interval.

    If the fleet has read and written so many tokens by a boundary, chip i of n has done (tokens + i) // n:
    over the chips that is the fleet's count exactly, however the trace is cut.

    Attributes:
        start_ms, end_ms: when.
        chips: the size of the fleet.
        parameters: of the model that serves.
        before, after: what the fleet had served by the start and by the end.
    """

    start_ms: Milliseconds
    end_ms: Milliseconds
    chips: int
    parameters: int
    before: TokenCount
    after: TokenCount

    @property
    def flop(self) -> Flop:
        """What the fleet computes in the interval."""
        return compute_serving_flop(self.after.tokens - self.before.tokens, self.parameters)

    @property
    def generated(self) -> int:
        """How many tokens the fleet puts out in the interval."""
        return self.after.generated - self.before.generated

    def flop_of(self, chip: int) -> Flop:
        """Return what one chip, counted from 0, computes in the interval; a chip beyond the fleet nothing."""
        if chip >= self.chips:
            return 0
        context = self._share(self.before.context, self.after.context, chip)
        return compute_serving_flop(context + self.generated_of(chip), self.parameters)

    def generated_of(self, chip: int) -> int:
        """Return how many tokens one chip puts out in the interval."""
        return 0 if chip >= self.chips else self._share(self.before.generated, self.after.generated, chip)

    def _share(self, before: int, after: int, chip: int) -> int:
        return (after + chip) // self.chips - (before + chip) // self.chips


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingWorkload:
    """A trace served by a model on a fleet.

    Attributes:
        name: the trace's, for messages.
        chip, chips: what the fleet is made of, and how many.
        precision: the number format the chips meter in.
        parameters: of the model, N.
        start_ms: when serving begins.
        interval_ms: how long an interval is; the last one is as long as the others.
        counts: what is served in each interval.
    """

    name: str
    chip: ChipModel
    chips: int
    precision: Precision
    parameters: int
    start_ms: Milliseconds
    interval_ms: Milliseconds
    counts: tuple[TokenCount, ...]

    def __post_init__(self) -> None:
        """Refuse a workload that no fleet could meter.

        Raises:
            ConfigError: it has no tokens, or more FLOP than a meter holds, or an interval is beyond the peak.
            ValueError: there are no chips or no time.
        """
        if self.chips < 1 or self.interval_ms < 1 or not self.counts:
            raise ValueError("serving takes chips and time")
        if not self.total.tokens:
            raise ConfigError(
                f"{self.name}: expected requests with tokens, got {self.total.requests} without"
            )
        if not 0 < self.parameters <= MAX_PARAMETERS or self.flop > MAX_FLOP:
            raise ConfigError(
                f"{self.name}: a parameter count of {self.parameters:.3g} is not that of a model"
            )
        self._require_possible()

    def _require_possible(self) -> None:
        """Refuse more than the chips can compute: shares are rounded, so each is taken as rounded up."""
        possible = self.chip.peak_at(self.precision) * self.interval_ms // MS_PER_S
        for number, count in enumerate(self.counts, start=1):
            share = -(-count.context // self.chips) - (-count.generated // self.chips)
            asked = compute_serving_flop(share, self.parameters)
            if asked > possible:
                raise ConfigError(
                    f"{self.name}: expected at most {possible} FLOP of each {self.chip.name} "
                    f"at {self.precision} in {self.interval_ms} ms, got {asked} in "
                    f"interval {number} of {len(self.counts)}; more chips are needed"
                )

    @property
    def total(self) -> TokenCount:
        """What is served in all."""
        return sum(self.counts, TokenCount())

    @property
    def flop(self) -> Flop:
        """What serving it all computes."""
        return compute_serving_flop(self.total.tokens, self.parameters)

    @property
    def duration_ms(self) -> Milliseconds:
        """How long it takes, in whole intervals."""
        return self.interval_ms * len(self.counts)

    @property
    def stop_ms(self) -> Milliseconds:
        """When the last interval ends."""
        return self.start_ms + self.duration_ms

    @property
    def utilisation(self) -> Fraction:
        """Mean share of the dense peak at the metered precision, over whole intervals."""
        rate = self.chip.peak_at(self.precision)
        return Fraction(self.flop * MS_PER_S, self.chips * rate * self.duration_ms)

    @property
    def assumption(self) -> str:
        """How the FLOP were counted, in one line for people."""
        return (
            f"FLOP = {FLOP_PER_PARAMETER_TOKEN} x {self.parameters:,} parameters x {self.total.tokens:,} "
            "tokens, read or written; attention over the context is not counted, and a request counts "
            "when it comes"
        )

    def iter_intervals(self) -> Iterator[ServingInterval]:
        """Yield the intervals; over chips and intervals FLOP and tokens sum to the totals exactly."""
        before = TokenCount()
        for number, count in enumerate(self.counts):
            after, start_ms = before + count, self.start_ms + number * self.interval_ms
            yield ServingInterval(
                start_ms=start_ms,
                end_ms=start_ms + self.interval_ms,
                chips=self.chips,
                parameters=self.parameters,
                before=before,
                after=after,
            )
            before = after


def compute_serving_flop(tokens: int, parameters: int) -> Flop:
    """Return the FLOP of reading or writing so many tokens with a dense model."""
    return FLOP_PER_PARAMETER_TOKEN * parameters * tokens


def regroup(counts: Sequence[TokenCount], size: int) -> tuple[TokenCount, ...]:
    """Return every ``size`` neighbouring counts as one; the last may be of fewer.

    Raises:
        ValueError: a group of none.
    """
    if size < 1:
        raise ValueError("a group has members")
    return tuple(sum(counts[start : start + size], TokenCount()) for start in range(0, len(counts), size))
