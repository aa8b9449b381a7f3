"""The trace of one hour of a conversation service, parsed strictly: when each request came, and its tokens.

Data: Azure LLM inference trace 2023, CC BY 4.0, Azure/AzurePublicDataset (Patel et al. 2024, "Splitwise",
arXiv 2311.18677). A row is ``TIMESTAMP,ContextTokens,GeneratedTokens``; times have seven decimals, no zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from vetonet.sim.numbers_exact import MAX_TEXT_BYTES, Place
from vetonet.units import Milliseconds

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MAX_REQUESTS: Final = 2_000_000
MAX_TOKENS: Final = 10_000_000
"""Of one request; the largest context that any service offers has a tenth of that."""

TICKS_PER_MS: Final = 10_000
"""The trace counts time in steps of 100 ns."""

_TICKS_PER_S: Final = 1_000 * TICKS_PER_MS
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:[0-5]\d)\.(\d{7})", re.ASCII)
_COUNT: Final = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_YEAR_2000_S: Final = 946_684_800


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """One request.

    Attributes:
        ticks: when it came, in steps of 100 ns since the Unix epoch; the trace names no zone, UTC is assumed.
        context_tokens: how long the prompt was.
        generated_tokens: how long the answer.
        line: where it stands in the file.
    """

    ticks: int
    context_tokens: int
    generated_tokens: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """Requests and their tokens, summed.

    Attributes:
        requests: how many.
        context: tokens of their prompts.
        generated: tokens of the answers.
    """

    requests: int = 0
    context: int = 0
    generated: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        """Return both together."""
        return TokenCount(
            requests=self.requests + other.requests,
            context=self.context + other.context,
            generated=self.generated + other.generated,
        )

    @property
    def tokens(self) -> int:
        """All that the model reads and writes."""
        return self.context + self.generated


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTrace:
    """A recorded hour of requests.

    Attributes:
        name: the file's, for messages.
        requests: in the order in which they came, at least one.
    """

    name: str
    requests: tuple[InferenceRequest, ...]

    def __post_init__(self) -> None:
        """Refuse a trace without requests, and one that goes back in time.

        Raises:
            ValueError: it is one.
        """
        if not self.requests or any(a.ticks > b.ticks for a, b in pairwise(self.requests)):
            raise ValueError("a trace has requests, in the order in which they came")

    @property
    def start_ms(self) -> Milliseconds:
        """When the first request came, rounded down."""
        return self.requests[0].ticks // TICKS_PER_MS

    @property
    def total(self) -> TokenCount:
        """What all requests together are."""
        return _sum(self.requests)

    def count_by(self, interval_ms: Milliseconds) -> tuple[TokenCount, ...]:
        """Return the requests by interval, counted from the first one; a request is in that in which it came.

        Raises:
            ValueError: the interval is not positive.
        """
        counts = [TokenCount()] * count_intervals(self, interval_ms)
        start, size = self.requests[0].ticks, interval_ms * TICKS_PER_MS
        for request in self.requests:
            counts[(request.ticks - start) // size] += _count(request)
        return tuple(counts)


def count_intervals(trace: InferenceTrace, interval_ms: Milliseconds) -> int:
    """Return how many intervals a trace takes from its first request to its last.

    Raises:
        ValueError: the interval is not positive.
    """
    if interval_ms <= 0:
        raise ValueError("an interval takes time")
    return (trace.requests[-1].ticks - trace.requests[0].ticks) // (interval_ms * TICKS_PER_MS) + 1


def parse_azure_trace(text: str, *, name: str) -> InferenceTrace:
    """Return the trace that a file of the Azure LLM inference data set holds.

    Lines end in CRLF, as published, or all in LF; the last line may end or not. Two requests may come at one
    time, and may be equal.

    Args:
        text: the whole file.
        name: the file's name, for messages.

    Raises:
        ConfigError: another header, no request, a row of other cells, a time that does not exist or goes
            back, or a count that is none.

    """
    if len(text) > MAX_TEXT_BYTES:
        place = Place(name=name, line=1)
        raise place.refuse(expected=f"a trace of at most {MAX_TEXT_BYTES} bytes", got=len(text))
    lines = _split_lines(text)
    header = Place(name=name, line=1)
    if lines[0] != ",".join(COLUMNS):
        raise header.refuse(expected=f"the header {','.join(COLUMNS)}", got=lines[0])
    requests = tuple(_iter_requests(lines, name))
    if not requests:
        raise header.refuse(expected="at least one request after the header", got="the end")
    return InferenceTrace(name=name, requests=requests)


def _split_lines(text: str) -> Sequence[str]:
    """Return the lines without their ends; only the very last may be empty, and is dropped."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(end)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _iter_requests(lines: Sequence[str], name: str) -> Iterator[InferenceRequest]:
    latest = 0
    for number, line in enumerate(lines[1:], start=2):
        place = Place(name=name, line=number)
        if number - 1 > MAX_REQUESTS:
            raise place.refuse(expected=f"at most {MAX_REQUESTS} requests", got="another")
        request = _read_request(line, place)
        if request.ticks < latest:
            raise place.refuse(
                expected=f"a time not before that of line {number - 1}", got=line.partition(",")[0]
            )
        latest = request.ticks
        yield request


def _read_request(line: str, place: Place) -> InferenceRequest:
    cells = line.split(",")
    if len(cells) != len(COLUMNS):
        raise place.refuse(expected=f"{len(COLUMNS)} cells, {','.join(COLUMNS)}", got=line)
    time, context, generated = cells
    return InferenceRequest(
        ticks=_read_ticks(time, place),
        context_tokens=_read_count(context, place, COLUMNS[1]),
        generated_tokens=_read_count(generated, place, COLUMNS[2]),
        line=place.line,
    )


def _read_ticks(text: str, place: Place) -> int:
    """Return a time such as ``2023-11-16 18:15:46.6805900`` in steps of 100 ns, exactly."""
    expected = "TIMESTAMP such as 2023-11-16 18:15:46.6805900, from the year 2000 on"
    found = _TIME.fullmatch(text)
    if found is None:
        raise place.refuse(expected=expected, got=text)
    try:
        point = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise place.refuse(expected=expected, got=text) from error
    elapsed = point - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = elapsed.days * 86_400 + elapsed.seconds
    if seconds < _YEAR_2000_S:
        raise place.refuse(expected=expected, got=text)
    return seconds * _TICKS_PER_S + int(found[2])


def _read_count(text: str, place: Place, column: str) -> int:
    """Return a count of tokens in its one spelling."""
    if not _COUNT.fullmatch(text) or int(text) > MAX_TOKENS:
        raise place.refuse(expected=f"{column} as a whole number from 0 to {MAX_TOKENS}", got=text)
    return int(text)


def _count(request: InferenceRequest) -> TokenCount:
    return TokenCount(requests=1, context=request.context_tokens, generated=request.generated_tokens)


def _sum(requests: Sequence[InferenceRequest]) -> TokenCount:
    return TokenCount(
        requests=len(requests),
        context=sum(request.context_tokens for request in requests),
        generated=sum(request.generated_tokens for request in requests),
    )
