"""The compiled way into a flat record accepts exactly what the general way does, and finds the same in it."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.hiding import hide
from vetonet.attestation.report import EAT_PROFILE, ComputeReport, ReportBatch
from vetonet.encoding import cbor
from vetonet.encoding.record import (
    DIGEST,
    Codec,
    Record,
    bstr,
    many,
    member,
    numeric_date,
    one_of,
    read_flat,
    tstr,
    uint,
)
from vetonet.errors import EncodingError
from vetonet.units import Precision, WorkloadClass

EDGES = sorted(
    {
        edge + by
        for edge in (0, 24, *(2**n for n in (8, 16, 32, 53, 64, 72, 120, 127, 128)))
        for by in (-2, -1, 0, 1)
    }
)
NATURALS = st.sampled_from([edge for edge in EDGES if edge >= 0]) | st.integers(0, 2**128 - 1)


class Colour(StrEnum):
    RED = "red"
    REDDISH = "reddish"
    LONG = "a colour whose name has a head of two bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Record):
    """A member of each flat kind; labels of one, two, three and five bytes, negative ones too."""

    number: int = member(1, uint())
    small: int | None = member(2, uint(23), optional=True)
    name: str = member(10, tstr(64))
    digest: bytes | None = member(13, DIGEST, optional=True)
    model: bytes = member(24, bstr(0, 30))
    nothing: bytes | None = member(255, bstr(0), optional=True)
    colour: Colour | None = member(256, one_of(Colour), optional=True)
    pair: tuple[bytes, ...] = member(-1, many(bstr(2), minimum=2, maximum=2))
    counts: tuple[int, ...] | None = member(-24, many(uint(2**72), maximum=3), optional=True)
    flop: int = member(-70009, uint(2**128 - 1))
    expiry_ms: int | None = member(-70010, numeric_date(), optional=True)

    def __post_init__(self) -> None:
        if self.name == "evil":
            msg = "no evil"
            raise ValueError(msg)


SAMPLES = st.builds(
    Sample,
    number=NATURALS.filter(lambda n: n < 2**64),
    small=st.none() | st.integers(0, 23),
    name=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=64).filter(str.isprintable),
    digest=st.none() | st.binary(min_size=32, max_size=32),
    model=st.binary(max_size=30),
    nothing=st.none() | st.just(b""),
    colour=st.none() | st.sampled_from(Colour),
    pair=st.tuples(*[st.binary(min_size=2, max_size=2)] * 2),
    counts=st.none() | st.lists(NATURALS.filter(lambda n: n <= 2**72), max_size=3).map(tuple),
    flop=NATURALS.filter(lambda n: n < 2**128),
    expiry_ms=st.none() | st.integers(0, 2**40).map(lambda seconds: seconds * 1000),
)

REPORT = ComputeReport(
    nonces=(bytes(range(32)), b"\n" * 32),
    ueid=b"\x01" + bytes(32),
    hw_model=b"H100",
    debug_status=3,
    profile=EAT_PROFILE,
    boot_count=24,
    counter=256,
    previous_digest=b"\xff" * 32,
    window_start_ms=2**32 - 1,
    window_end_ms=2**32,
    licence_id=65_535,
    proposal_digest=b"\x0a" * 32,
    workload=WorkloadClass.TRAINING,
    precision=Precision.BF16,
    cumulative_flop=2**64,
    energy_j=65_536_000,
    out_of_set_bytes=23,
    firmware_digest=b"\x00" * 32,
    snapshots=(b"\x20" * 32, b"\x58" * 32),
    cumulative_tokens=2**16,
    cumulative_cycles=2**64 - 1,
    precision_flop=2**63,
    tamper_count=0,
)


HIDDEN = hide(REPORT)
EACH_REPORT = st.sampled_from([REPORT, HIDDEN])


def read_generally(cls: type[Record], data: bytes) -> Record | None:
    try:
        return cls.from_item(cbor.from_bytes(data, max_bytes=cls.MAX_BYTES))
    except EncodingError:
        return None


def assert_read_alike(cls: type[Record], data: bytes) -> Record | None:
    """Compare values and, by their representation, the types inside."""
    quick, general = read_flat(cls, data), read_generally(cls, data)
    assert (quick, repr(quick)) == (general, repr(general))
    return quick


def spell_head(major: int, argument: int, width: int) -> bytes:
    """A head of the given width, 0 to 4, or the next that can hold the argument."""
    sizes = (0, 1, 2, 4, 8)
    while argument >= (24 if width == 0 else 1 << 8 * sizes[width]):
        width += 1
    if width == 0:
        return bytes([major << 5 | argument])
    return bytes([major << 5 | 23 + width]) + argument.to_bytes(sizes[width], "big")


def spell(item: Any, draw: Any) -> bytes:
    """One of the many encodings that RFC 8949 allows before section 4.2 chooses one."""
    width = draw(st.sampled_from([0] * 12 + [1, 2, 3, 4]))
    if isinstance(item, int) and (item >= 2**64 or draw(st.integers(0, 15)) == 15):
        number = item if item >= 0 else -1 - item
        content = bytes(draw(st.sampled_from([0, 0, 0, 1]))) + number.to_bytes(
            (number.bit_length() + 7) // 8, "big"
        )
        return (b"\xc2" if item >= 0 else b"\xc3") + spell_head(2, len(content), width) + content
    if isinstance(item, int):
        return spell_head(0, item, width) if item >= 0 else spell_head(1, -1 - item, width)
    if isinstance(item, bytes | str):
        content = item if isinstance(item, bytes) else item.encode("utf-8", "surrogatepass")
        return spell_head(2 if isinstance(item, bytes) else 3, len(content), width) + content
    if isinstance(item, list):
        return spell_head(4, len(item), width) + b"".join(spell(entry, draw) for entry in item)
    pairs = list(item.items())
    if draw(st.integers(0, 9)) == 9:
        pairs = draw(st.permutations(pairs))
    return spell_head(5, len(pairs), width) + b"".join(spell(k, draw) + spell(v, draw) for k, v in pairs)


@settings(max_examples=150)
@given(SAMPLES)
def test_every_record_is_read_the_compiled_way(sample: Sample) -> None:
    assert assert_read_alike(Sample, sample.to_bytes()) == sample


@settings(max_examples=150)
@given(SAMPLES, st.data())
def test_every_other_spelling_is_read_alike(sample: Sample, data: st.DataObject) -> None:
    assert_read_alike(Sample, spell(sample.to_item(), data.draw))


ODD_ITEMS = st.one_of(
    st.integers(-(2**64), 2**128 - 1),
    st.sampled_from(EDGES),
    st.binary(max_size=34),
    st.text(max_size=66),
    st.sampled_from(["", "red", "redd", "reddish", "evil", "\x00", "\u202e", "x" * 65, "\U0001f600" * 64]),
    st.none() | st.booleans(),
    st.lists(st.binary(min_size=2, max_size=2) | NATURALS, max_size=4),
    st.dictionaries(st.integers(0, 3), st.integers(0, 3), max_size=1),
)


@settings(max_examples=300)
@given(SAMPLES, st.data())
def test_every_other_item_in_a_field_is_read_alike(sample: Sample, data: st.DataObject) -> None:
    item = sample.to_item()
    label = data.draw(st.sampled_from([1, 2, 10, 13, 24, 255, 256, -1, -24, -70009, -70010, 3, "1"]))
    try:
        changed = cbor.to_bytes(item | {label: data.draw(ODD_ITEMS)})
    except EncodingError:
        return
    assert_read_alike(Sample, changed)


@settings(max_examples=200)
@given(SAMPLES, st.data())
def test_every_splice_of_bytes_is_read_alike(sample: Sample, data: st.DataObject) -> None:
    found = sample.to_bytes()
    start = data.draw(st.integers(0, len(found)))
    stop = data.draw(st.integers(start, min(len(found), start + 8)))
    assert_read_alike(Sample, found[:start] + data.draw(st.binary(max_size=8)) + found[stop:])


@settings(max_examples=60)
@given(SAMPLES, st.sets(st.sampled_from([1, 2, 10, 13, 24, 255, 256, -1, -24, -70009, -70010])))
def test_every_choice_of_fields_under_every_count_is_read_alike(sample: Sample, left_out: set[int]) -> None:
    item = {label: value for label, value in sample.to_item().items() if label not in left_out}
    entries = cbor.to_bytes(item)[1:]
    for count in range(24):
        assert_read_alike(Sample, spell_head(5, count, 0) + entries)


@pytest.mark.parametrize("maximum", [edge for edge in EDGES if 0 <= edge < 2**128])
def test_every_number_around_every_edge_is_read_alike(maximum: int) -> None:
    kind = make_dataclass(
        "Number",
        [("value", int, member(1, uint(maximum)))],
        bases=(Record,),
        frozen=True,
        slots=True,
        kw_only=True,
    )
    for value in (edge for edge in EDGES if 0 <= edge < 2**128):
        found = assert_read_alike(kind, cbor.to_bytes({1: value}))
        assert (found is not None) == (value <= maximum)
        widths = [spell_head(0, value, width) for width in range(5)] if value < 2**64 else []
        content = value.to_bytes((value.bit_length() + 7) // 8, "big")
        bignums = [
            b"\xc2" + spell_head(2, len(c), width) + c
            for c in (content, b"\0" + content)
            for width in range(5)
        ]
        accepted = [s for s in {*widths, *bignums} if assert_read_alike(kind, b"\xa1\x01" + s) is not None]
        assert len(accepted) == (value <= maximum)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 22, 23, 24, 25, 64, 65, 254, 255, 256, 257, 260, 261])
def test_every_size_of_string_is_read_alike(size: int) -> None:
    codecs: list[tuple[Codec[Any], bytes | str]] = [
        (bstr(size), bytes(size)),
        (bstr(0, 255), bytes(size)),
        (bstr(5, 260), bytes(size)),
        (tstr(64), "x" * size),
        (tstr(64), "\u00e9" * (size // 2)),
        (tstr(64), "\U0001f600" * (size // 4)),
    ]
    for codec, item in codecs:
        kind = make_dataclass(
            "Held",
            [("value", object, member(1, codec))],
            bases=(Record,),
            frozen=True,
            slots=True,
            kw_only=True,
        )
        for width in range(5):
            content = item if isinstance(item, bytes) else item.encode()
            head = spell_head(2 if isinstance(item, bytes) else 3, len(content), width)
            assert_read_alike(kind, b"\xa1\x01" + head + content)


def test_the_head_grows_where_the_24th_member_comes() -> None:
    fields: list[Any] = [(f"m{n}", int, member(n, uint(9))) for n in range(22)]
    fields += [(f"o{n}", int | None, member(n, uint(9), optional=True)) for n in range(22, 26)]
    kind = make_dataclass("Wide", fields, bases=(Record,), frozen=True, slots=True, kw_only=True)
    for present in ([], [22], [23, 25], [22, 23, 24], [22, 23, 24, 25]):
        item = {n: n % 10 for n in [*range(22), *present]}
        assert assert_read_alike(kind, cbor.to_bytes(item)) is not None
        entries = b"".join(cbor.to_bytes(n) + cbor.to_bytes(value) for n, value in item.items())
        for width in (0, 1, 2):
            for count in range(20, 28):
                assert_read_alike(kind, spell_head(5, count, width) + entries)


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_text_that_is_not_utf_8_is_read_alike(text: bytes) -> None:
    data = REPORT.to_bytes().replace(EAT_PROFILE.encode()[: len(text)], text)
    assert assert_read_alike(ComputeReport, data) is None
    with pytest.raises(EncodingError):
        ComputeReport.from_bytes(data)


@pytest.mark.parametrize("report", [REPORT, HIDDEN], ids=["open", "confidential"])
def test_every_single_changed_byte_of_a_report_is_read_alike(report: ComputeReport) -> None:
    data = report.to_bytes()
    assert assert_read_alike(ComputeReport, data) == report
    for offset in range(len(data)):
        for flip in (0x01, 0x02, 0x20, 0x80, 0xFF):
            assert_read_alike(
                ComputeReport, data[:offset] + bytes([data[offset] ^ flip]) + data[offset + 1 :]
            )


@given(EACH_REPORT, st.integers(0, len(REPORT.to_bytes())), st.binary(max_size=4), st.integers(0, 40))
@example(REPORT, 0, b"", 0)
def test_every_damaged_report_is_read_alike(report: ComputeReport, offset: int, put: bytes, cut: int) -> None:
    data = report.to_bytes()
    assert_read_alike(ComputeReport, data[:offset] + put + data[offset + cut :])


@given(EACH_REPORT, st.sets(st.sampled_from(range(-70021, -70000))))
@example(HIDDEN, {-70018, -70019})
def test_a_report_without_some_of_its_claims_is_read_alike(report: ComputeReport, left_out: set[int]) -> None:
    """VN-9.1: no choice of optional members makes a report of both profiles, or of half of one."""
    item = {label: value for label, value in report.to_item().items() if label not in left_out}
    assert_read_alike(ComputeReport, cbor.to_bytes(item))


def test_an_oversize_record_is_left_to_the_general_way() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Tight(Record):
        MAX_BYTES = 40
        data: bytes = member(1, bstr(0, 60))

    assert assert_read_alike(Tight, cbor.to_bytes({1: bytes(36)})) is not None
    assert assert_read_alike(Tight, cbor.to_bytes({1: bytes(37)})) is None


@pytest.mark.parametrize("kind", [ComputeReport, ReportBatch])
def test_no_bytes_are_read_from_nothing(kind: type[Record]) -> None:
    assert assert_read_alike(kind, b"") is None
