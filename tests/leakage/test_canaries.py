"""The search itself: it finds what is planted in every encoding, and nothing where nothing is."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import pytest

from support.canaries import Canary, Net, find_canary, spell_varint
from vetonet.encoding import cbor

TEXT: Final = 'llama "secret" \u03b1-7B\nrun'
SECRET: Final = hashlib.sha256(b"a share").digest()
COUNT: Final = 1_234_567_890_123_456_789
NOISE: Final = hashlib.shake_256(b"noise").digest(400)

WRAPPINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "raw": lambda data: data,
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base64 after one": lambda data: base64.b64encode(b"x" + data + b"yz"),
    "base64url after two": lambda data: base64.urlsafe_b64encode(b"xy" + data + b"z"),
    "base64 in lines": lambda data: base64.encodebytes(b"head" * 20 + data),
    "cbor bytes": lambda data: cbor.to_bytes([1, {"a": data}]),
    "cbor in cbor": lambda data: cbor.to_bytes([cbor.to_bytes(data)]),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib of another window": lambda data: zlib.compress(data, 9, 10),
    "deflate": lambda data: zlib.compress(data, 6, -15),
    "gzip in base64": lambda data: base64.b64encode(b"ab" + gzip.compress(data * 3)),
    "gzip in hex in zlib": lambda data: zlib.compress(gzip.compress(data).hex().encode()),
    "percent": lambda data: quote(data, safe="").encode(),
    "every byte percent": lambda data: b"".join(b"%%%02X" % byte for byte in data),
    "repr": lambda data: repr(data).encode(),
}

TEXT_WRAPPINGS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "cbor text": cbor.to_bytes,
    "json": lambda text: json.dumps({"a": text}).encode(),
    "json in UTF-8": lambda text: json.dumps({"a": text}, ensure_ascii=False).encode(),
    "every character escaped": lambda text: b"".join(b"\\u%04x" % ord(character) for character in text),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "query string": lambda text: quote(text).encode(),
}

NUMBER_SPELLINGS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "decimal": lambda number: f"used {number} FLOP".encode(),
    "with commas": lambda number: f"used {number:,} FLOP".encode(),
    "hex": lambda number: f"{number:#x}".encode(),
    "cbor": lambda number: cbor.to_bytes({"a": number}),
    "eight bytes, big end first": lambda number: number.to_bytes(8, "big"),
    "eight bytes, little end first": lambda number: number.to_bytes(8, "little"),
    "thirty-two bytes": lambda number: number.to_bytes(32, "big"),
    "protobuf": lambda number: b"\x08" + spell_varint(number),
    "double": lambda number: struct.pack(">d", number),
    "base64 of eight bytes": lambda number: base64.b64encode(b"x" + number.to_bytes(8, "big")),
    "json": lambda number: json.dumps({"a": number}).encode(),
    "gzip": lambda number: gzip.compress(cbor.to_bytes(number)),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_secret_bytes_are_found_in_every_wrapping(wrapping: str) -> None:
    got_out = NOISE + WRAPPINGS[wrapping](SECRET) + NOISE
    assert find_canary(got_out, [Canary.of_secret("share", SECRET)])


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_text_is_found_in_every_wrapping(wrapping: str) -> None:
    got_out = NOISE + WRAPPINGS[wrapping](TEXT.encode()) + NOISE
    assert find_canary(got_out, [Canary.of_text("model", TEXT)])


@pytest.mark.parametrize("wrapping", TEXT_WRAPPINGS)
def test_a_text_is_found_however_text_is_escaped(wrapping: str) -> None:
    assert find_canary(NOISE + TEXT_WRAPPINGS[wrapping](TEXT) + NOISE, [Canary.of_text("model", TEXT)])


@pytest.mark.parametrize("spelling", NUMBER_SPELLINGS)
def test_a_count_is_found_in_every_spelling(spelling: str) -> None:
    assert find_canary(NOISE + NUMBER_SPELLINGS[spelling](COUNT), [Canary.of_number("flop", COUNT)])


def test_a_scalar_is_found_in_decimal_whichever_end_comes_first() -> None:
    canary = Canary.of_secret("share", SECRET)
    for order in ("big", "little"):
        assert find_canary(f"share {int.from_bytes(SECRET, order)}".encode(), [canary])


def test_nothing_is_found_where_nothing_is() -> None:
    canaries = [
        Canary.of_text("model", TEXT),
        Canary.of_secret("share", SECRET),
        Canary.of_number("flop", COUNT),
    ]
    noise = hashlib.shake_256(b"more noise").digest(1_500)
    near = SECRET[:-1] + bytes([SECRET[-1] ^ 1]) + f"{COUNT + 1}".encode() + TEXT[:-2].encode()
    for data in (b"", b"x", noise, noise.hex().encode(), gzip.compress(noise), near):
        assert find_canary(data, canaries) == ()


def test_each_of_a_thousand_canaries_is_found_and_named() -> None:
    secrets = {f"secret {index}": hashlib.sha256(b"%d" % index).digest() for index in range(1000)}
    net = Net(Canary.of_secret(name, secret) for name, secret in secrets.items())
    for name, secret in secrets.items():
        (finding,) = net.search(NOISE + secret.hex().encode())
        assert (finding.canary, finding.spelling, finding.offset) == (name, "hex", len(NOISE))


@pytest.mark.parametrize("piece", [b"a", b"=3d", b"%41", rb"\n", b"YWFh\n", b"\x1f\x8b\x08", b"\x78\x9c"])
def test_a_megabyte_of_what_looks_like_an_encoding_does_not_take_for_ever(piece: bytes) -> None:
    net = Net([Canary.of_secret("share", SECRET)])
    assert list(net.search_deep(piece * (2**20 // len(piece)))) == []


def test_a_canary_across_two_chunks_is_found() -> None:
    canary = Canary.of_secret("share", SECRET)
    for start in range((1 << 20) - 33, (1 << 20) + 2):
        assert [found.offset for found in Net([canary]).search(bytes(start) + SECRET + bytes(8))] == [start]


def test_a_canary_that_would_be_found_by_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 bytes"):
        Canary.of_text("model", "llama")
    with pytest.raises(ValueError, match="at least 8 bytes"):
        Canary.of_secret("share", b"1234567")
    with pytest.raises(ValueError, match="by chance"):
        Canary.of_number("flop", 2**40 - 1)


def test_a_finding_does_not_repeat_the_value() -> None:
    canary = Canary.of_text("model", TEXT)
    (finding, *_) = find_canary(TEXT.encode(), [canary])
    assert TEXT not in f"{finding}{canary!r}"
    assert str(finding) == "model as raw at byte 0"
