"""COSE structures of RFC 9052: published examples, and everything that is not such a structure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vetonet.crypto import cose
from vetonet.crypto.keys import Algorithm, PublicKey, generate_ecdsa, generate_ed25519, verify_ecdsa_raw
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError

KEY = generate_ed25519(SeededRng(b"cose"))
OTHER = generate_ecdsa(SeededRng(b"cose"))
HEADER = {cose.LABEL_ALG: -8, cose.LABEL_KID: b"k"}

# RFC 9052 appendix C.7.1, the public key with kid "11".
RFC_KEY = PublicKey(
    algorithm=Algorithm.ES256,
    point=bytes.fromhex(
        "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff"
        "20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e"
    ),
)
CONTENT = b"This is the content."

# RFC 9052 appendix C.2.1: single ECDSA signature.
RFC_SIGN1 = bytes.fromhex(
    "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac34cc"
    "6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"
)
# RFC 9052 appendix C.1.1: the signature of a COSE_Sign with an empty body header.
RFC_SIGN_SIGNATURE = bytes.fromhex(
    "e2aeafd40d69d19dfe6e52077c5d7ff4e408282cbefb5d06cbf414af2e19d982"
    "ac45ac98b8544c908b4507de1e90b717c3d34816fe926a2b98f53afd2fa0f30a"
)
ES256_HEADER = bytes.fromhex("a10126")


def test_the_sign1_example_of_the_rfc_verifies() -> None:
    parsed = cose.parse_sign1(RFC_SIGN1)
    assert (parsed.protected, parsed.unprotected, parsed.payload) == ({1: -7}, {4: b"11"}, CONTENT)
    message = cose.compute_sign1_input(parsed.protected_bytes, parsed.payload)
    assert message.hex() == "846a5369676e61747572653143a101264054546869732069732074686520636f6e74656e742e"
    verify_ecdsa_raw(RFC_KEY, message, parsed.signature)


def test_the_sign_example_of_the_rfc_verifies() -> None:
    message = cose.compute_sign_input(b"", ES256_HEADER, CONTENT)
    verify_ecdsa_raw(RFC_KEY, message, RFC_SIGN_SIGNATURE)


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65535, 65536])
def test_the_bytes_to_sign_are_the_rfcs_array_at_every_size(size: int) -> None:
    payload, header, aad = bytes(size), b"h" * min(size, 300), b"a" * size
    one, many = ["Signature1", header, aad, payload], ["Signature", header, b"s", b"", payload]
    assert cose.compute_sign1_input(header, payload, aad) == cbor.to_bytes(one)
    assert cose.compute_sign_input(header, b"s", payload) == cbor.to_bytes(many)


def test_an_empty_protected_map_is_signed_as_an_empty_string() -> None:
    assert cose.compute_sign1_input(b"\xa0", b"p") == cose.compute_sign1_input(b"", b"p")
    assert cose.compute_sign_input(b"\xa0", b"\xa0", b"p") == cose.compute_sign_input(b"", b"", b"p")
    assert cose.parse_header(b"\xa0") == cose.parse_header(b"") == {}


def test_what_is_signed_verifies() -> None:
    parsed = cose.parse_sign1(cose.sign1(b"payload", HEADER, KEY))
    assert (parsed.payload, parsed.protected, parsed.unprotected) == (b"payload", HEADER, {})
    parsed.verify(KEY.public_key)


def test_external_data_must_be_the_same() -> None:
    header = cbor.to_bytes(HEADER)
    signature = KEY.sign(cose.compute_sign1_input(header, b"p", b"aad"))
    parsed = cose.parse_sign1(cose.build_sign1(b"p", HEADER, signature))
    parsed.verify(KEY.public_key, external_aad=b"aad")
    for other in (b"", b"AAD", b"aad\x00"):
        with pytest.raises(InvalidSignatureError):
            parsed.verify(KEY.public_key, external_aad=other)


@pytest.mark.parametrize(
    "header",
    [{}, {1: -7}, {1: "EdDSA"}, {1: None}, {1: [-8]}, {1: -8, 2: [4]}, {1: -8, 2: []}],
    ids=repr,
)
def test_a_header_without_our_algorithm_or_with_something_critical_is_refused(
    header: dict[int, object],
) -> None:
    parsed = cose.parse_sign1(cose.sign1(b"p", header, KEY))
    with pytest.raises(InvalidSignatureError, match="algorithm"):
        parsed.verify(KEY.public_key)


def test_a_signature_moved_to_another_payload_or_header_is_refused() -> None:
    signature = cose.parse_sign1(cose.sign1(b"p", HEADER, KEY)).signature
    for payload, header in ((b"q", HEADER), (b"p", HEADER | {4: b"l"}), (b"p", {1: -8})):
        with pytest.raises(InvalidSignatureError):
            cose.parse_sign1(cose.build_sign1(payload, header, signature)).verify(KEY.public_key)


def test_a_sign1_signature_does_not_pass_for_that_of_a_sign() -> None:
    header = cbor.to_bytes({1: -8})
    signature = KEY.sign(cose.compute_sign1_input(header, b"p"))
    data = cose.TAG_SIGN + cbor.to_bytes([header, {}, b"p", [[header, {}, signature]]])
    with pytest.raises(InvalidSignatureError):
        cose.parse_sign(data).verify(0, KEY.public_key)


def test_many_sign_one_payload() -> None:
    parsed = cose.parse_sign(cose.sign_many(b"p", {16: "t"}, [OTHER, KEY]))
    keys = sorted([KEY.public_key, OTHER.public_key], key=lambda key: key.key_id)
    for index, key in enumerate(keys):
        parsed.verify(index, key)
        with pytest.raises(InvalidSignatureError):
            parsed.verify(1 - index, key)


@pytest.mark.parametrize("place", ["body", "signer"])
def test_a_critical_header_in_a_sign_is_refused(place: str) -> None:
    body = cbor.to_bytes({2: [99], 99: 1} if place == "body" else {})
    own = cbor.to_bytes({1: -8, 2: [99], 99: 1} if place == "signer" else {1: -8})
    signature = KEY.sign(cose.compute_sign_input(body, own, b"p"))
    parsed = cose.parse_sign(cose.TAG_SIGN + cbor.to_bytes([body, {}, b"p", [[own, {}, signature]]]))
    with pytest.raises(InvalidSignatureError, match="nothing critical"):
        parsed.verify(0, KEY.public_key)


def sign1_of(*parts: object) -> bytes:
    return cose.TAG_SIGN1 + cbor.to_bytes(list(parts))


def sign_of(*parts: object) -> bytes:
    return cose.TAG_SIGN + cbor.to_bytes(list(parts))


GOOD = cose.sign1(b"p", HEADER, KEY)
ENTRY = [b"", {}, b"s"]
NOT_SIGN1 = {
    "nothing": b"",
    "tag alone": cose.TAG_SIGN1,
    "untagged": GOOD[1:],
    "tag 18 with a long head": b"\xd8\x12" + GOOD[1:],
    "tag 17": b"\xd1" + GOOD[1:],
    "tagged twice": cose.TAG_SIGN1 + GOOD,
    "self-described": b"\xd9\xd9\xf7" + GOOD,
    "tag of a COSE_Sign": cose.TAG_SIGN + GOOD[1:],
    "cut short": GOOD[:-1],
    "trailing byte": GOOD + b"\x00",
    "three parts": sign1_of(b"", {}, b"p"),
    "five parts": sign1_of(b"", {}, b"p", b"s", b""),
    "a map": cose.TAG_SIGN1 + cbor.to_bytes({0: b"", 1: {}, 2: b"p", 3: b"s"}),
    "detached payload": sign1_of(b"", {}, None, b"s"),
    "payload of text": sign1_of(b"", {}, "p", b"s"),
    "protected header not wrapped": sign1_of({1: -8}, {}, b"p", b"s"),
    "protected header no map": sign1_of(b"\x80", {}, b"p", b"s"),
    "protected header with trailing bytes": sign1_of(b"\xa1\x01\x27\x00", {}, b"p", b"s"),
    "protected header in another order": sign1_of(b"\xa2\x04\x41k\x01\x27", {}, b"p", b"s"),
    "protected header with a label twice": sign1_of(b"\xa2\x01\x27\x01\x26", {}, b"p", b"s"),
    "protected header of indefinite length": sign1_of(b"\xbf\x01\x27\xff", {}, b"p", b"s"),
    "protected header not CBOR": sign1_of(b"\xff", {}, b"p", b"s"),
    "unprotected header null": sign1_of(b"", None, b"p", b"s"),
    "unprotected header an array": sign1_of(b"", [], b"p", b"s"),
    "signature null": sign1_of(b"", {}, b"p", None),
    "signature a list": sign1_of(b"", {}, b"p", [ENTRY]),
    "array of indefinite length": cose.TAG_SIGN1 + b"\x9f\x40\xa0\x41p\x41s\xff",
    "array with a long head": cose.TAG_SIGN1 + b"\x98\x04\x40\xa0\x41p\x41s",
}
NOT_SIGN = {
    "nothing": b"",
    "untagged": sign_of(b"", {}, b"p", [ENTRY])[2:],
    "tag of a COSE_Sign1": cose.TAG_SIGN1 + sign_of(b"", {}, b"p", [ENTRY])[2:],
    "tag 98 with a long head": b"\xd9\x00\x62" + sign_of(b"", {}, b"p", [ENTRY])[2:],
    "no signatures": sign_of(b"", {}, b"p", []),
    "too many signatures": sign_of(b"", {}, b"p", [ENTRY] * (cose.MAX_SIGNATURES + 1)),
    "signatures no list": sign_of(b"", {}, b"p", b"s"),
    "detached payload": sign_of(b"", {}, None, [ENTRY]),
    "unprotected header": sign_of(b"", {4: b"k"}, b"p", [ENTRY]),
    "unprotected header of a signer": sign_of(b"", {}, b"p", [[b"", {4: b"k"}, b"s"]]),
    "signer of two parts": sign_of(b"", {}, b"p", [[b"", {}]]),
    "signer of four parts": sign_of(b"", {}, b"p", [[*ENTRY, b""]]),
    "signer a map": sign_of(b"", {}, b"p", [{0: b""}]),
    "signer null": sign_of(b"", {}, b"p", [None]),
    "signer header no map": sign_of(b"", {}, b"p", [[b"\x01", {}, b"s"]]),
    "signature of text": sign_of(b"", {}, b"p", [[b"", {}, "s"]]),
}


@pytest.mark.parametrize("data", [pytest.param(v, id=k) for k, v in NOT_SIGN1.items()])
def test_what_is_no_tagged_sign1_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        cose.parse_sign1(data)


@pytest.mark.parametrize("data", [pytest.param(v, id=k) for k, v in NOT_SIGN.items()])
def test_what_is_no_sign_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        cose.parse_sign(data)


def test_the_untagged_form_is_read_only_where_it_is_asked_for() -> None:
    assert cose.parse_sign1(GOOD[1:], tagged=False) == cose.parse_sign1(GOOD)
    with pytest.raises(EncodingError):
        cose.parse_sign1(GOOD, tagged=False)


@pytest.mark.parametrize(
    ("parse", "data"), [(cose.parse_sign1, GOOD), (cose.parse_sign, sign_of(b"", {}, b"p", [ENTRY]))]
)
def test_the_size_bound_counts_every_byte(parse: Callable[..., object], data: bytes) -> None:
    parse(data, max_bytes=len(data))
    with pytest.raises(EncodingError, match="at most"):
        parse(data, max_bytes=len(data) - 1)


def test_a_detached_payload_is_signed_but_does_not_travel() -> None:
    data = cose.sign1_detached(b"payload", HEADER, {5: b"aside"}, KEY)
    parsed = cose.parse_detached_sign1(data)
    assert (parsed.protected, parsed.unprotected) == (HEADER, {5: b"aside"})
    attached = cose.parse_sign1(cose.sign1(b"payload", HEADER, KEY))
    assert parsed.signature == attached.signature
    parsed.attach(b"payload").verify(KEY.public_key)
    with pytest.raises(InvalidSignatureError):
        parsed.attach(b"another").verify(KEY.public_key)


@pytest.mark.parametrize("payload", [b"", b"p", "text", 1, False, []])
def test_a_payload_that_should_be_detached_and_is_not_is_refused(payload: object) -> None:
    data = cose.TAG_SIGN1 + cbor.to_bytes([cbor.to_bytes(HEADER), {}, payload, bytes(64)])
    with pytest.raises(EncodingError, match="detached payload"):
        cose.parse_detached_sign1(data)


@pytest.mark.parametrize("payload", [None, "text"])
def test_a_detached_payload_is_refused_where_it_has_to_be_attached(payload: object) -> None:
    data = cose.TAG_SIGN1 + cbor.to_bytes([cbor.to_bytes(HEADER), {}, payload, bytes(64)])
    with pytest.raises(EncodingError, match="attached payload"):
        cose.parse_sign1(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[1:],
        lambda data: b"\xd1" + data[1:],
        lambda data: data + b"\0",
        lambda data: data[:-1],
        lambda data: data.replace(b"\x58\x40", b"\x59\x00\x40"),
        lambda data: data[:1] + cbor.to_bytes([*cbor.from_bytes(data[1:], max_bytes=999), 1]),
    ],
)
def test_what_is_no_detached_sign1_is_refused(change: Callable[[bytes], bytes]) -> None:
    data = cose.sign1_detached(b"payload", HEADER, {}, KEY)
    with pytest.raises(EncodingError):
        cose.parse_detached_sign1(change(data))
