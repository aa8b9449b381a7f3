"""What is sealed opens for one key and one use, unaltered, or not at all."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import x25519

from vetonet.crypto.hpke import OVERHEAD_BYTES, HpkePrivateKey, HpkePublicKey, generate_hpke_key
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, VerificationError

ORDER_EIGHT = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
KEY = generate_hpke_key(SeededRng(b"hpke"))
OTHER = generate_hpke_key(SeededRng(b"another"))
PLAINTEXT = b"a share"
SEALED = KEY.public_key.seal(PLAINTEXT, info=b"use", aad=b"from a to b")

# The receiver's key pair of RFC 9180 appendix A.2.1, base mode of the same suite.
RFC_SK_R = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
RFC_PK_R = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")


def test_what_is_sealed_opens_for_its_key_and_use() -> None:
    assert KEY.open(SEALED, info=b"use", aad=b"from a to b") == PLAINTEXT
    assert len(SEALED) == len(PLAINTEXT) + OVERHEAD_BYTES
    assert KEY.public_key.seal(PLAINTEXT, info=b"use", aad=b"") != KEY.public_key.seal(
        PLAINTEXT, info=b"use", aad=b""
    )


def test_the_key_pair_is_that_of_the_rfc() -> None:
    assert HpkePrivateKey(seed=RFC_SK_R).public_key.encoded == RFC_PK_R


def test_the_layer_is_the_library_with_one_info() -> None:
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    public = x25519.X25519PublicKey.from_public_bytes(KEY.public_key.encoded)
    foreign = suite.encrypt(PLAINTEXT, public, (3).to_bytes(8, "big") + b"use" + b"aad")
    assert KEY.open(foreign, info=b"use", aad=b"aad") == PLAINTEXT


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(VerificationError):
        OTHER.open(SEALED, info=b"use", aad=b"from a to b")


@pytest.mark.parametrize(
    ("info", "aad"),
    [(b"use", b"from a to c"), (b"another use", b"from a to b"), (b"usefrom a", b" to b"), (b"use", b"")],
)
def test_another_use_does_not_open_it(info: bytes, aad: bytes) -> None:
    with pytest.raises(VerificationError):
        KEY.open(SEALED, info=info, aad=aad)


@pytest.mark.parametrize("index", range(len(SEALED)))
def test_an_altered_byte_does_not_open(index: int) -> None:
    altered = bytearray(SEALED)
    altered[index] ^= 1
    with pytest.raises(VerificationError):
        KEY.open(bytes(altered), info=b"use", aad=b"from a to b")


@pytest.mark.parametrize("size", [0, 1, 31, 32, OVERHEAD_BYTES - 1, len(SEALED) - 1])
def test_a_cut_message_does_not_open(size: int) -> None:
    with pytest.raises(VerificationError):
        KEY.open(SEALED[:size], info=b"use", aad=b"from a to b")


def test_an_encapsulated_key_of_small_order_does_not_open() -> None:
    with pytest.raises(VerificationError):
        KEY.open(bytes(32) + SEALED[32:], info=b"use", aad=b"from a to b")


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        bytes(31),
        bytes(33),
        bytes(32),  # the point zero
        b"\x01" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),  # order 8
        (2**255 - 19 - 1).to_bytes(32, "little"),
        (2**255 - 19 + 9).to_bytes(32, "little"),  # the base point again
        (2**255 + 9).to_bytes(32, "little"),  # and with the bit that nobody reads
    ],
)
def test_a_public_key_of_small_order_or_of_a_second_spelling_is_refused(encoded: bytes) -> None:
    with pytest.raises(EncodingError):
        HpkePublicKey(encoded=encoded)


@pytest.mark.parametrize("value", [0, 1, 2**255 - 20, *ORDER_EIGHT])
def test_what_is_refused_as_of_small_order_is_what_an_exchange_refuses(value: int) -> None:
    encoded = value.to_bytes(32, "little")
    with pytest.raises(EncodingError):
        HpkePublicKey(encoded=encoded)
    key = x25519.X25519PrivateKey.from_private_bytes(b"\x09" * 32)
    with pytest.raises(ValueError, match="shared"):
        key.exchange(x25519.X25519PublicKey.from_public_bytes(encoded))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_private_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(EncodingError):
        HpkePrivateKey(seed=bytes(size))


def test_a_private_key_shows_nothing_of_itself() -> None:
    assert KEY.seed.hex() not in repr(KEY)
    assert repr(KEY.seed)[2:-1] not in repr(KEY)
    assert generate_hpke_key(SeededRng(b"hpke")) == KEY != OTHER
