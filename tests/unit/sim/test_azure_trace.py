from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.errors import ConfigError, VetonetError
from vetonet.sim.azure import (
    InferenceRequest,
    InferenceTrace,
    TokenCount,
    count_intervals,
    parse_azure_trace,
    text_from_bytes,
)
from vetonet.sim.recorded_serving import MINUTE_MS, SPAN_MS, build_minutes

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
FIRST = "2023-11-16 18:15:46.6805900,374,44"
SECOND = "2023-11-16 18:15:50.9951690,396,109"


def spell(*rows: str, end: str = "\r\n") -> str:
    return end.join((HEADER, *rows))


def parse(*rows: str, end: str = "\r\n") -> InferenceTrace:
    return parse_azure_trace(spell(*rows, end=end), name="trace.csv")


@pytest.fixture(scope="module")
def published(shared: Path) -> InferenceTrace:
    data = (shared / "data" / "azure-llm-inference" / "AzureLLMInferenceTrace_conv.csv").read_bytes()
    return parse_azure_trace(text_from_bytes(data, name="trace"), name="trace")


def test_the_published_trace_holds_19366_requests(published: InferenceTrace) -> None:
    assert published.total == TokenCount(requests=19_366, context=22_361_870, generated=4_088_665)


def test_every_transcribed_minute_is_the_traces(published: InferenceTrace) -> None:
    assert build_minutes() == published.count_by(MINUTE_MS)
    assert (published.requests[-1].ticks - published.requests[0].ticks) // 10_000 == SPAN_MS


def test_a_row_is_read_exactly() -> None:
    assert parse(FIRST).requests == (
        InferenceRequest(ticks=17001585466805900, context_tokens=374, generated_tokens=44, line=2),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_both_line_ends_are_read_with_and_without_a_last_one(end: str, last: str) -> None:
    text = spell(FIRST, SECOND, end=end) + (end if last else "")
    assert len(parse_azure_trace(text, name="trace.csv").requests) == 2


def test_a_byte_order_mark_is_dropped() -> None:
    data = b"\xef\xbb\xbf" + spell(FIRST).encode()
    assert parse_azure_trace(text_from_bytes(data, name="t"), name="t").total.requests == 1


def test_two_equal_requests_at_one_time_are_two() -> None:
    """A row has no identity: nothing says that the second is not another user's."""
    assert parse(FIRST, FIRST).total == TokenCount(requests=2, context=748, generated=88)


def test_a_request_is_in_the_interval_in_which_it_came() -> None:
    late = "2023-11-16 18:15:56.6805900,1,2"  # exactly ten seconds after the first
    assert parse(FIRST, SECOND, late).count_by(10_000) == (
        TokenCount(requests=2, context=770, generated=153),
        TokenCount(requests=1, context=1, generated=2),
    )


def test_an_interval_without_requests_is_kept() -> None:
    assert parse(FIRST, SECOND).count_by(1_000)[1:4] == (TokenCount(),) * 3


@pytest.mark.parametrize("interval_ms", [0, -1])
def test_an_interval_takes_time(interval_ms: int) -> None:
    with pytest.raises(ValueError, match="takes time"):
        count_intervals(parse(FIRST), interval_ms)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("", "3 cells"),
        ("2023-11-16 18:15:50.9951690,396", "3 cells"),
        ("2023-11-16 18:15:50.9951690,396,109,1", "3 cells"),
        ('"2023-11-16 18:15:50.9951690",396,109', "TIMESTAMP"),
        ("2023-11-16 18:15:50.9951690,-1,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,396,-109", "GeneratedTokens"),
        ("2023-11-16 18:15:50.9951690,396.0,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,0396,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690, 396,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,1e3,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,NaN,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,10000001,109", "ContextTokens"),
        (f"2023-11-16 18:15:50.9951690,{'9' * 5000},109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,\u0663\u0669\u0666,109", "ContextTokens"),
        ("2023-11-16 18:15:50.9951690,396,109\r", "GeneratedTokens"),
        ("2023-11-16 18:15:50.995169,396,109", "TIMESTAMP"),
        ("2023-11-16T18:15:50.9951690,396,109", "TIMESTAMP"),
        ("2023-11-16 18:15:50.9951690Z,396,109", "TIMESTAMP"),
        ("2023-11-31 18:15:50.9951690,396,109", "TIMESTAMP"),
        ("2023-13-16 18:15:50.9951690,396,109", "TIMESTAMP"),
        ("2023-11-16 24:15:50.9951690,396,109", "TIMESTAMP"),
        ("2023-11-16 18:15:60.9951690,396,109", "TIMESTAMP"),
        ("0000-11-16 18:15:50.9951690,396,109", "TIMESTAMP"),
        ("1999-12-31 23:59:59.9999999,396,109", "from the year 2000"),
        ("2023-11-16 18:15:46.6805899,396,109", "not before that of line 2"),
        (",396,109", "TIMESTAMP"),
    ],
)
def test_a_malformed_row_is_refused_by_its_line(row: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^trace\.csv:3: expected .*, got ") as caught:
        parse(FIRST, row, SECOND)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mixed_line_ends_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"trace\.csv:2"):
        parse_azure_trace(f"{HEADER}\r\n{FIRST}\n{SECOND}\r\n", name="trace.csv")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\r\n",
        f"{FIRST}\n",
        f"{HEADER},More\n{FIRST}",
        f"{HEADER.lower()}\n{FIRST}",
        f"{HEADER} \n{FIRST}",
    ],
)
def test_another_header_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"trace\.csv:1: expected the header"):
        parse_azure_trace(text, name="trace.csv")


@pytest.mark.parametrize("text", [HEADER, f"{HEADER}\n", f"{HEADER}\r\n"])
def test_a_trace_without_requests_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="at least one request"):
        parse_azure_trace(text, name="trace.csv")


def test_bytes_that_are_no_text_are_refused_by_their_line() -> None:
    with pytest.raises(ConfigError, match=r"t:2: expected UTF-8"):
        text_from_bytes(HEADER.encode() + b"\n\xff", name="t")


def test_a_trace_that_goes_back_in_time_is_no_value() -> None:
    first, second = parse(FIRST, SECOND).requests
    with pytest.raises(ValueError, match="in the order"):
        InferenceTrace(name="t", requests=(second, first))


@given(st.binary(max_size=200))
def test_any_bytes_after_the_header_give_a_trace_or_our_error(data: bytes) -> None:
    with contextlib.suppress(VetonetError):
        parse_azure_trace(text_from_bytes(f"{HEADER}\n".encode() + data, name="t"), name="t")
