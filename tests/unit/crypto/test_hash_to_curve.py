"""Bytes to points by RFC 9380, against the RFC's own vectors (appendix J.5.1)."""

from __future__ import annotations

import pytest

from vetonet.crypto.hash_to_curve import expand_message, hash_to_curve

TAG = b"QUUX-V01-CS02-with-edwards25519_XMD:SHA-512_ELL2_RO_"
VECTORS = [
    (
        b"",
        "3c3da6925a3c3c268448dcabb47ccde5439559d9599646a8260e47b1e4822fc6",
        "09a6c8561a0b22bef63124c588ce4c62ea83a3c899763af26d795302e115dc21",
    ),
    (
        b"abc",
        "608040b42285cc0d72cbb3985c6b04c935370c7361f4b7fbdb1ae7f8c1a8ecad",
        "1a8395b88338f22e435bbd301183e7f20a5f9de643f11882fb237f88268a5531",
    ),
    (
        b"abcdef0123456789",
        "6d7fabf47a2dc03fe7d47f7dddd21082c5fb8f86743cd020f3fb147d57161472",
        "53060a3d140e7fbcda641ed3cf42c88a75411e648a1add71217f70ea8ec561a6",
    ),
    (
        b"q128_" + b"q" * 128,
        "5fb0b92acedd16f3bcb0ef83f5c7b7a9466b5f1e0d8d217421878ea3686f8524",
        "2eca15e355fcfa39d2982f67ddb0eea138e2994f5956ed37b7f72eea5e89d2f7",
    ),
    (
        b"a512_" + b"a" * 512,
        None,
        "6dc2fc04f266c5c27f236a80b14f92ccd051ef1ff027f26a07f8c0f327d8f995",
    ),
]


@pytest.mark.parametrize(("message", "x", "y"), VECTORS)
def test_the_vectors_of_the_rfc_are_met(message: bytes, x: str | None, y: str) -> None:
    encoded = int.from_bytes(hash_to_curve(message, TAG).to_bytes(), "little")
    assert encoded & (2**255 - 1) == int(y, 16)
    if x is not None:
        assert encoded >> 255 == int(x, 16) & 1


def test_another_tag_or_message_is_another_point() -> None:
    points = {hash_to_curve(b"abc", TAG), hash_to_curve(b"abc", TAG + b"2"), hash_to_curve(b"abd", TAG)}
    assert len(points) == 3


@pytest.mark.parametrize("tag", [b"", bytes(256)])
def test_a_tag_that_separates_nothing_or_does_not_fit_is_refused(tag: bytes) -> None:
    with pytest.raises(ValueError, match="expected a tag"):
        hash_to_curve(b"abc", tag)


@pytest.mark.parametrize("size", [0, 64 * 255 + 1])
def test_no_bytes_and_too_many_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="blocks"):
        expand_message(b"abc", TAG, size)
