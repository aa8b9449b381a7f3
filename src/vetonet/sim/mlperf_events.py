"""The lines of an MLPerf log as events, before anything is made of them.

A result log is the standard output of a training job: the lines that matter contain ``:::MLLOG `` and one
JSON object (MLPerf Training rules, https://github.com/mlcommons/logging); all else is the job's own chatter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.sim.numbers_exact import MAX_TEXT_BYTES, Place, integer_from, json_object_from_text
from vetonet.units import Milliseconds

MARKER: Final = ":::MLLOG"
MAX_LINE_CHARS: Final = 65_536
MAX_EVENTS: Final = 2_000_000

CLOCK_TOLERANCE_MS: Final = 1_000
"""Hosts of one job log through slightly different clocks; the shared logs step back by up to 4 ms."""

_MAX_TIME_MS: Final = 10**13
_YEAR_2000_MS: Final = 946_684_800_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfEvent:
    """One line of the log.

    Attributes:
        key: what happened, such as ``run_start``.
        time_ms: when, in milliseconds since the Unix epoch.
        value: the value, None where the key has none.
        metadata: further members, such as ``samples_count``.
        place: the file and line, for messages.

    """

    key: str
    time_ms: Milliseconds
    value: object
    metadata: Mapping[str, object]
    place: Place


def read_events(text: str, *, name: str) -> tuple[MlperfEvent, ...]:
    """Return the events of a log in the order of its lines, each well-formed and no clock running backwards.

    Args:
        text: the whole log.
        name: the file's name, for messages.

    Raises:
        ConfigError: a malformed, over-long or time-travelling line, or no event at all.

    """
    if len(text) > MAX_TEXT_BYTES:
        raise Place(name=name, line=1).refuse(
            expected=f"a log of at most {MAX_TEXT_BYTES} bytes", got=len(text)
        )
    events = tuple(_iter_events(text, name))
    if not events:
        raise Place(name=name, line=1).refuse(
            expected=f"an MLPerf log with {MARKER} lines", got="none of them"
        )
    _require_forward_clock(events)
    return events


def _iter_events(text: str, name: str) -> Iterator[MlperfEvent]:
    """Yield the event of every line that carries the marker."""
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        before, marker, rest = line.partition(MARKER)
        if not marker:
            continue
        place = Place(name=name, line=number)
        count += 1
        if len(before) + len(rest) > MAX_LINE_CHARS:
            raise place.refuse(expected=f"a line of at most {MAX_LINE_CHARS} characters", got=f"{len(line)}")
        if count > MAX_EVENTS:
            raise place.refuse(expected=f"at most {MAX_EVENTS} events", got="another")
        yield _event_from_members(json_object_from_text(rest.strip(), place), place)


def _event_from_members(members: Mapping[str, object], place: Place) -> MlperfEvent:
    """Return the event that one JSON object states."""
    key = members.get("key")
    if not isinstance(key, str) or not key:
        raise place.refuse(expected="a member 'key' naming the event", got=key)
    metadata = members.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise place.refuse(expected="an object 'metadata'", got=metadata)
    time_ms = integer_from(
        members.get("time_ms"), place, "time_ms in milliseconds", low=_YEAR_2000_MS, high=_MAX_TIME_MS
    )
    return MlperfEvent(key=key, time_ms=time_ms, value=members.get("value"), metadata=metadata, place=place)


def _require_forward_clock(events: Sequence[MlperfEvent]) -> None:
    """Refuse a log in which time goes back further than clocks of one job differ."""
    latest = 0
    for event in events:
        if event.time_ms < latest - CLOCK_TOLERANCE_MS:
            raise event.place.refuse(
                expected=f"time_ms not before {latest} (less {CLOCK_TOLERANCE_MS} ms of tolerance)",
                got=event.time_ms,
            )
        latest = max(latest, event.time_ms)


def find_single(events: Sequence[MlperfEvent], key: str) -> MlperfEvent | None:
    """Return the one event with this key, or None where there is none.

    Raises:
        ConfigError: the key comes twice; the second line is named.

    """
    found = [event for event in events if event.key == key]
    if len(found) > 1:
        raise found[1].place.refuse(
            expected=f"one {key} in a log", got=f"a second one after line {found[0].place.line}"
        )
    return found[0] if found else None


def require_single(events: Sequence[MlperfEvent], key: str) -> MlperfEvent:
    """Return the one event with this key.

    Raises:
        ConfigError: the key is missing (the log's last event is named) or comes twice.

    """
    event = find_single(events, key)
    if event is None:
        raise events[-1].place.refuse(expected=f"{key} before the end of the log", got="the end (truncated?)")
    return event
