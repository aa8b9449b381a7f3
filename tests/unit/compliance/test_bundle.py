from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from support.bundles import make_compliant_scene
from vetonet.compliance.bundle import Bundle, DeviceSet, assemble_bundle
from vetonet.compliance.parts import (
    MAGIC,
    MAX_BYTES,
    MAX_PARTS,
    PartKind,
    PartReader,
    iter_bundle,
    spell_part,
)
from vetonet.compliance.trust_root import TrustRoot
from vetonet.encoding import cbor
from vetonet.errors import ConfigError, EncodingError


def spell(*parts: tuple[int, bytes], trailer: bool = True) -> bytes:
    body = b"".join(cbor.to_bytes([kind, content]) for kind, content in parts)
    return body + cbor.to_bytes([7, hashlib.sha256(body).digest()]) if trailer else body


HEX = "00" * 32
GOOD = ((0, MAGIC), (1, b"treaty"), (2, b"checkpoint"), (4, b"a"), (4, b"b"))


def test_a_bundle_comes_back_as_it_was_written() -> None:
    bundle = make_compliant_scene().bundle()
    assert Bundle.from_bytes(bundle.to_bytes()) == bundle


def test_the_hand_spelled_bundle_is_read() -> None:
    bundle = Bundle.from_bytes(spell(*GOOD))
    assert (bundle.leaves, bundle.reports) == ((b"treaty",), (b"a", b"b"))


@pytest.mark.parametrize(
    "parts",
    [
        GOOD[1:],
        (*GOOD[:1], *GOOD),
        ((0, b"vetonet bundle 3"), *GOOD[1:]),
        (GOOD[0], *GOOD[2:]),
        (*GOOD[:2], *GOOD[3:]),
        (GOOD[0], GOOD[2], GOOD[1]),
        (*GOOD[:3], (4, b"b"), (4, b"a")),
        (*GOOD[:3], (4, b"a"), (4, b"a")),
        (*GOOD, (8, b"unknown")),
        (*GOOD, (1, b"late leaf")),
    ],
)
def test_another_order_or_number_of_parts_is_refused(parts: tuple[tuple[int, bytes], ...]) -> None:
    """VN-10.1."""
    with pytest.raises(EncodingError):
        Bundle.from_bytes(spell(*parts))


def test_a_bundle_without_its_trailer_is_refused() -> None:
    with pytest.raises(EncodingError, match="damaged"):
        Bundle.from_bytes(spell(*GOOD, trailer=False))


def test_anything_after_the_trailer_is_refused() -> None:
    data = spell(*GOOD)
    for more in (b"\x00", cbor.to_bytes([7, bytes(32)]), cbor.to_bytes([4, b"c"])):
        with pytest.raises(EncodingError):
            Bundle.from_bytes(data + more)


@pytest.mark.parametrize(
    "long_head",
    ["82045801", "8204590001", "82045a00000001", "82045b0000000000000001", "98020441", "82180441"],
)
def test_a_head_that_is_not_in_its_shortest_form_is_refused(long_head: str) -> None:
    """RFC 8949 section 4.2.1: b'a' has one head, 0x41."""
    body = spell(*GOOD[:3], trailer=False) + bytes.fromhex(long_head) + b"a"
    data = body + cbor.to_bytes([7, hashlib.sha256(body).digest()])
    with pytest.raises(EncodingError):
        Bundle.from_bytes(data)


def test_every_truncation_is_refused() -> None:
    data = spell(*GOOD)
    for size in range(len(data)):
        with pytest.raises(EncodingError):
            Bundle.from_bytes(data[:size])


def test_parts_are_put_into_order_and_doubles_dropped() -> None:
    bundle = assemble_bundle([b"t"], b"c", [], [b"b", b"a", b"b"])
    assert bundle.reports == (b"a", b"b")


def test_a_bundle_of_version_1_is_refused_with_what_to_do() -> None:
    """VN-10.1."""
    old = spell((0, b"vetonet bundle 1"), *GOOD[1:])
    with pytest.raises(
        EncodingError, match="version 1, which is not read any more: export it anew"
    ) as caught:
        Bundle.from_bytes(old)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in PartKind if kind is not PartKind.HEADER])
def test_a_part_that_is_too_large_is_refused_before_it_is_read(kind: PartKind) -> None:
    """VN-10.1: no file makes its reader hold more."""
    head = spell_part(PartKind.HEADER, MAGIC) + bytes([0x82, kind, 0x5A])
    size = max(MAX_BYTES[kind] + 1, 65_536)
    with pytest.raises(EncodingError, match=f"the {kind.name} part at byte 19 is too large"):
        list(PartReader([head + size.to_bytes(4, "big")]))


def test_too_many_parts_of_those_that_are_kept_are_refused() -> None:
    """VN-10.1."""
    heads = [(PartKind.CHECKPOINT, b"c")] * (MAX_PARTS[PartKind.CHECKPOINT] + 1)
    with pytest.raises(EncodingError, match="a CHECKPOINT part, number 4097"):
        list(PartReader(iter_bundle([(PartKind.LEAF, b"treaty"), *heads])))


def test_the_writer_writes_nothing_that_the_reader_refuses() -> None:
    for parts in (
        [(PartKind.LEAF, bytes(MAX_BYTES[PartKind.LEAF] + 1))],
        [(PartKind.CHECKPOINT, b"c"), (PartKind.LEAF, b"t")],
        [(PartKind.TRAILER, bytes(32))],
    ):
        with pytest.raises(EncodingError):
            list(iter_bundle(parts))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_chunks_of_any_size_spell_the_same_bundle(size: int) -> None:
    bundle = make_compliant_scene().bundle()
    data = bundle.to_bytes()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    assert Bundle.from_bytes(chunks) == bundle


def test_a_reader_knows_the_digest_of_what_it_read() -> None:
    data = make_compliant_scene().bundle().to_bytes()
    reader = PartReader([data[:99], data[99:]])
    assert reader.digest == b""
    list(reader)
    assert reader.digest == hashlib.sha256(data).digest()


def test_no_chunk_beyond_the_refused_part_is_taken() -> None:
    def chunks() -> Iterator[bytes]:
        yield spell_part(PartKind.HEADER, MAGIC) + b"\xff" * 64
        pytest.fail("read on after what was refused")

    with pytest.raises(EncodingError, match="no part at byte 19"):
        list(PartReader(chunks()))


def test_earlier_checkpoints_are_put_into_order_one_of_each_size() -> None:
    scene = make_compliant_scene()
    heads = [scene.sign_head(size) for size in (5, 2, scene.log.tree_size)]
    late = scene.sign_head(2, timestamp_s=1)
    bundle = scene.bundle(earlier=[*heads, late])
    assert bundle.checkpoints == (min(heads[1], late), heads[0], scene.sign_head())


def test_a_bundle_without_leaves_cannot_be_made() -> None:
    with pytest.raises(EncodingError):
        assemble_bundle([], b"c", [], [])


@pytest.mark.parametrize(
    "ueids", [(), (b"\x01" * 33, b"\x01" * 33), (b"\x02" * 33, b"\x01" * 33), (b"\x01" * 32,)]
)
def test_a_device_set_is_sorted_and_without_doubles(ueids: tuple[bytes, ...]) -> None:
    with pytest.raises(EncodingError):
        DeviceSet.from_bytes(cbor.to_bytes({1: list(ueids)}))


def test_part_kinds_fit_the_one_byte_head() -> None:
    assert max(PartKind) < 24


def test_a_trust_root_comes_back_from_its_file() -> None:
    root = TrustRoot(treaty_digest=bytes(range(32)), treaty_name="Test")
    assert TrustRoot.from_text(root.to_text()) == root


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{" * 3000,
        '{"format": "vetonet trust root 1", "treaty_name": "T", "treaty_sha256": "00"}',
        '{"format": "vetonet trust root 2", "treaty_name": "T", "treaty_sha256": "' + "00" * 32 + '"}',
        '{"format": "vetonet trust root 1", "treaty_name": "T", "treaty_sha256": "'
        + "00" * 32
        + '", "x": 1}',
        '{"format": "vetonet trust root 1", "treaty_name": "T", "treaty_sha256": 5}',
        " " * 5000,
    ],
)
def test_a_file_that_is_no_trust_root_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrustRoot.from_text(text)
    assert "\n" not in str(caught.value)
