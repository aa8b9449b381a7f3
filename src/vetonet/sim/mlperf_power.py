"""Power readings of MLPerf: a trace of watts over time, from a power log or from inside a run's log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vetonet.sim.mlperf_events import (
    CLOCK_TOLERANCE_MS,
    MlperfEvent,
    find_single,
    read_events,
    require_single,
)
from vetonet.sim.numbers_exact import fraction_from
from vetonet.units import MS_PER_S, Milliseconds

_MAX_POWER_W: Final = 10**10


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReading:
    """What one host's meter showed, rounded to a watt."""

    time_ms: Milliseconds
    power_w: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTrace:
    """The readings of an MLPerf power log, which is a file of its own beside the run's.

    Attributes:
        name: the file it was read from.
        start_ms: ``power_measurement_start``.
        stop_ms: ``power_measurement_stop``.
        conversion_efficiency: of the power supplies, None where the log does not say.
        readings: in the order of the file.

    """

    name: str
    start_ms: Milliseconds
    stop_ms: Milliseconds
    conversion_efficiency: Fraction | None
    readings: tuple[PowerReading, ...]

    @property
    def energy_j(self) -> int:
        """Energy in joules over all hosts, each reading held until the host's next one or the stop."""
        by_host: dict[str, list[PowerReading]] = {}
        for reading in self.readings:
            by_host.setdefault(reading.host, []).append(reading)
        return sum(_energy_of_host_mj(found, self.stop_ms) for found in by_host.values()) // MS_PER_S


def _energy_of_host_mj(readings: Sequence[PowerReading], stop_ms: Milliseconds) -> int:
    """Return the millijoules of one host."""
    ordered = sorted(readings, key=lambda reading: reading.time_ms)
    ends = [reading.time_ms for reading in ordered[1:]] + [max(stop_ms, ordered[-1].time_ms)]
    return sum(reading.power_w * (end - reading.time_ms) for reading, end in zip(ordered, ends, strict=True))


def parse_power_log(text: str, *, name: str) -> PowerTrace:
    """Return the readings of a power log.

    Args:
        text: the whole log.
        name: the file's name, for messages.

    Raises:
        ConfigError: malformed, truncated (no ``power_measurement_stop``), or without readings.

    """
    events = read_events(text, name=name)
    start = require_single(events, "power_measurement_start")
    stop = require_single(events, "power_measurement_stop")
    readings = tuple(iter_readings(events))
    if not readings or stop.time_ms <= start.time_ms:
        raise stop.place.refuse(expected="readings between start and stop", got="none")
    late = max(reading.time_ms for reading in readings)
    if late > stop.time_ms + CLOCK_TOLERANCE_MS:
        raise stop.place.refuse(
            expected=f"power_measurement_stop after the last reading ({late})", got=stop.time_ms
        )
    return PowerTrace(
        name=name,
        start_ms=start.time_ms,
        stop_ms=stop.time_ms,
        conversion_efficiency=_efficiency(events),
        readings=readings,
    )


def iter_readings(events: Sequence[MlperfEvent]) -> Iterator[PowerReading]:
    """Yield every power reading, in the order of the log."""
    for event in events:
        if event.key != "power_reading":
            continue
        power_w = fraction_from(event.value, event.place, "power_reading in watts")
        host = event.metadata.get("host", "")
        if not isinstance(host, str):
            raise event.place.refuse(expected="host as text", got=host)
        if not 0 <= power_w <= _MAX_POWER_W:
            raise event.place.refuse(expected=f"power_reading from 0 to {_MAX_POWER_W} W", got=event.value)
        yield PowerReading(time_ms=event.time_ms, power_w=round(power_w), host=host)


def _efficiency(events: Sequence[MlperfEvent]) -> Fraction | None:
    """Return the efficiency of the power supplies, where the log states it."""
    event = find_single(events, "conversion_eff")
    if event is None:
        return None
    efficiency = fraction_from(event.value, event.place, "conversion_eff")
    if not 0 < efficiency <= 1:
        raise event.place.refuse(expected="conversion_eff above 0 and at most 1", got=event.value)
    return efficiency
