"""Keys and signatures: published values, and every key or signature that must be refused."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils

from vetonet.crypto.keys import (
    Algorithm,
    EcdsaSigningKey,
    Ed25519SigningKey,
    PublicKey,
    SigningKey,
    generate_ecdsa,
    generate_ed25519,
    verify_ecdsa_der,
    verify_ecdsa_raw,
    verify_ed25519,
)
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError

P25519 = 2**255 - 19
L25519 = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)

# RFC 8032 section 7.1, tests 1 to 3: (secret key, public key, message, signature).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]

# RFC 6979 appendices A.2.5 (P-256, SHA-256) and A.2.6 (P-384, SHA-384): (curve, order, x, message, r || s).
P256_X = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
RFC_6979 = [
    pytest.param(
        ec.SECP256R1(),
        P256_ORDER,
        P256_X,
        b"sample",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        id="P-256 sample, high s",
    ),
    pytest.param(
        ec.SECP256R1(),
        P256_ORDER,
        P256_X,
        b"test",
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        id="P-256 test, low s",
    ),
    pytest.param(
        ec.SECP384R1(),
        P384_ORDER,
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
        b"sample",
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
        "81a648152e44acf96e36dd1e80fabe46"
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f"
        "a329c145786e679e7b82c71a38628ac8",
        id="P-384 sample, high s",
    ),
]

# The eight points whose order divides the cofactor, and the spellings of them that RFC 8032 forbids.
ORDER_8_A = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
ORDER_8_B = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
SMALL_ORDER = {
    "identity": "01" + "00" * 31,
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 4, negated": "00" * 31 + "80",
    "order 8": ORDER_8_A,
    "order 8, negated": ORDER_8_A[:-2] + "85",
    "order 8, other": ORDER_8_B,
    "order 8, other negated": ORDER_8_B[:-2] + "fa",
    "identity with the sign of zero": "01" + "00" * 30 + "80",
    "order 2 with the sign of zero": "ec" + "ff" * 31,
    "order 4 as p": "ed" + "ff" * 30 + "7f",
    "order 4 as p, negated": "ed" + "ff" * 31,
    "identity as p + 1": "ee" + "ff" * 30 + "7f",
    "identity as p + 1 with the sign of zero": "ee" + "ff" * 31,
}


def make_keys() -> list[SigningKey]:
    rng = SeededRng(b"keys")
    return [generate_ed25519(rng), generate_ecdsa(rng), generate_ecdsa(rng, Algorithm.ES384)]


KEYS = make_keys()
each_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.public_key.algorithm.name)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_ed25519_signs_as_rfc_8032_says(seed: str, public: str, message: str, signature: str) -> None:
    key = Ed25519SigningKey(seed=bytes.fromhex(seed))
    assert key.public_key.point.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public_key.verify(bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize(("curve", "order", "x", "message", "expected"), RFC_6979)
def test_ecdsa_signs_as_rfc_6979_says_with_the_low_s(
    curve: ec.EllipticCurve, order: int, x: str, message: bytes, expected: str
) -> None:
    key = EcdsaSigningKey(private_key=ec.derive_private_key(int(x, 16), curve))
    half = len(expected) // 4
    r, s = bytes.fromhex(expected)[:half], int(expected[2 * half :], 16)
    assert key.sign(message) == r + min(s, order - s).to_bytes(half, "big")
    key.public_key.verify(message, key.sign(message))
    verify_ecdsa_raw(key.public_key, message, bytes.fromhex(expected))


def test_the_public_key_of_rfc_6979_follows_from_its_private_key() -> None:
    key = EcdsaSigningKey(private_key=ec.derive_private_key(int(P256_X, 16), ec.SECP256R1()))
    assert key.public_key.point.hex() == (
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )


@each_key
def test_a_signature_is_deterministic_and_verifies(key: SigningKey) -> None:
    assert key.sign(b"m") == key.sign(b"m")
    key.public_key.verify(b"m", key.sign(b"m"))
    key.public_key.verify(b"", key.sign(b""))


@each_key
def test_a_key_returns_from_its_spki_and_names_itself_by_it(key: SigningKey) -> None:
    public = key.public_key
    data = public.to_bytes()
    assert PublicKey.from_bytes(data) == public
    assert hash(PublicKey.from_bytes(data)) == hash(public)
    assert public.key_id == hashlib.sha256(data).digest()
    assert public.ueid == b"\x01" + public.key_id


@each_key
def test_every_flipped_bit_of_a_signature_is_refused(key: SigningKey) -> None:
    signature = key.sign(b"m")
    for bit in range(8 * len(signature)):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidSignatureError):
            key.public_key.verify(b"m", bytes(flipped))


@each_key
def test_a_signature_over_another_message_or_by_another_key_is_refused(key: SigningKey) -> None:
    with pytest.raises(InvalidSignatureError):
        key.public_key.verify(b"n", key.sign(b"m"))
    for other in KEYS:
        if other is not key:
            with pytest.raises(InvalidSignatureError):
                key.public_key.verify(b"m", other.sign(b"m"))


@each_key
@pytest.mark.parametrize("change", [-64, -1, 1, 64])
def test_a_signature_of_another_length_is_refused(key: SigningKey, change: int) -> None:
    signature = key.sign(b"m")
    changed = signature[:change] if change < 0 else signature + bytes(change)
    for candidate in (changed, b"", b"\x00" + signature):
        with pytest.raises(InvalidSignatureError):
            key.public_key.verify(b"m", candidate)


@each_key
def test_zero_and_one_are_no_signatures(key: SigningKey) -> None:
    size = len(key.sign(b""))
    for candidate in (bytes(size), b"\xff" * size, (b"\x00" * (size // 2 - 1) + b"\x01") * 2):
        with pytest.raises(InvalidSignatureError):
            key.public_key.verify(b"m", candidate)


@pytest.mark.parametrize("point", [pytest.param(v, id=k) for k, v in SMALL_ORDER.items()])
def test_a_small_order_key_is_refused_when_parsed(point: str) -> None:
    # VN-2.3
    with pytest.raises(EncodingError, match="small order"):
        PublicKey(algorithm=Algorithm.EDDSA, point=bytes.fromhex(point))


@pytest.mark.parametrize("point", [pytest.param(v, id=k) for k, v in SMALL_ORDER.items()])
def test_no_signature_verifies_under_a_small_order_key(point: str) -> None:
    forged = bytes.fromhex(point) + bytes(32)
    for message in (b"", b"m", b"n", b"o"):
        with pytest.raises(InvalidSignatureError):
            verify_ed25519(bytes.fromhex(point), message, forged)


@pytest.mark.parametrize("excess", range(19))
def test_a_key_with_a_coordinate_not_below_p_is_refused(excess: int) -> None:
    for sign in (0, 1 << 255):
        with pytest.raises(EncodingError):
            PublicKey(algorithm=Algorithm.EDDSA, point=(P25519 + excess + sign).to_bytes(32, "little"))


def test_a_key_of_mixed_order_is_refused() -> None:
    point = int.from_bytes(KEYS[0].public_key.point, "little")
    sign, y = point >> 255, point & (2**255 - 1)
    # Adding the point of order 2, (0, -1), negates both coordinates.
    mixed = (P25519 - y) | ((1 - sign) << 255)
    with pytest.raises(EncodingError):
        PublicKey(algorithm=Algorithm.EDDSA, point=mixed.to_bytes(32, "little"))


def test_a_key_off_edwards25519_is_refused() -> None:
    with pytest.raises(EncodingError):
        PublicKey(algorithm=Algorithm.EDDSA, point=b"\x02" + bytes(31))


def test_the_twin_of_an_ed25519_signature_is_refused() -> None:
    signature = KEYS[0].sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 16):
        twin = signature[:32] + (s + multiple * L25519).to_bytes(32, "little")
        with pytest.raises(InvalidSignatureError):
            KEYS[0].public_key.verify(b"m", twin)


@pytest.mark.parametrize(("key", "order"), [(KEYS[1], P256_ORDER), (KEYS[2], P384_ORDER)])
def test_the_twin_of_an_ecdsa_signature_is_refused_though_it_is_valid(key: SigningKey, order: int) -> None:
    # VN-2.3
    signature = key.sign(b"m")
    half = len(signature) // 2
    s = int.from_bytes(signature[half:], "big")
    assert s <= order // 2
    twin = signature[:half] + (order - s).to_bytes(half, "big")
    with pytest.raises(InvalidSignatureError, match="low s"):
        key.public_key.verify(b"m", twin)
    verify_ecdsa_raw(key.public_key, b"m", twin)


@pytest.mark.parametrize(("key", "order"), [(KEYS[1], P256_ORDER), (KEYS[2], P384_ORDER)])
def test_r_or_s_out_of_range_is_refused(key: SigningKey, order: int) -> None:
    signature = key.sign(b"m")
    half = len(signature) // 2
    for value in (0, order, order + 1, 2 ** (8 * half) - 1):
        wrong = value.to_bytes(half, "big")
        for candidate in (wrong + signature[half:], signature[:half] + wrong):
            with pytest.raises(InvalidSignatureError):
                key.public_key.verify(b"m", candidate)
            with pytest.raises(InvalidSignatureError):
                verify_ecdsa_raw(key.public_key, b"m", candidate)


def test_der_signatures_have_one_spelling() -> None:
    key = KEYS[1]
    r, s = (int.from_bytes(part, "big") for part in (key.sign(b"m")[:32], key.sign(b"m")[32:]))
    der = utils.encode_dss_signature(r, s)
    verify_ecdsa_der(key.public_key, b"m", der)
    long_form = b"\x30\x81" + der[1:]
    indefinite = b"\x30\x80" + der[2:] + b"\x00\x00"
    padded = b"\x30" + bytes([der[1] + 1]) + b"\x02" + bytes([der[3] + 1]) + b"\x00" + der[4:]
    for candidate in (b"", der[:-1], der + b"\x00", long_form, indefinite, padded, key.sign(b"m")):
        with pytest.raises(InvalidSignatureError):
            verify_ecdsa_der(key.public_key, b"m", candidate)


@each_key
def test_an_spki_cut_short_or_continued_is_refused(key: SigningKey) -> None:
    data = key.public_key.to_bytes()
    for size in range(len(data)):
        with pytest.raises(EncodingError):
            PublicKey.from_bytes(data[:size])
    with pytest.raises(EncodingError):
        PublicKey.from_bytes(data + b"\x00")


@pytest.mark.parametrize(
    "spki",
    [
        pytest.param("302a300506032b656e032100" + "09" + "00" * 31, id="X25519"),
        pytest.param("3043300506032b6571033a00" + "5f" * 57, id="Ed448"),
        pytest.param("302c300706032b65700500032100" + RFC_8032[0][1], id="Ed25519 with NULL parameters"),
        pytest.param("30812a300506032b6570032100" + RFC_8032[0][1], id="Ed25519 with a long length"),
        pytest.param("302a300506032b6570032101" + RFC_8032[0][1], id="Ed25519 with unused bits"),
        pytest.param("3039301306072a8648ce3d020106082a8648ce3d03010703220003" + "11" * 32, id="compressed"),
        pytest.param("3056301006072a8648ce3d020106052b8104000a03420004" + "11" * 64, id="secp256k1"),
        pytest.param("", id="nothing"),
        pytest.param("ff" * 91, id="noise"),
    ],
)
def test_the_spki_of_another_key_or_spelling_is_refused(spki: str) -> None:
    with pytest.raises(EncodingError):
        PublicKey.from_bytes(bytes.fromhex(spki))


@pytest.mark.parametrize(
    ("algorithm", "size"), [(Algorithm.EDDSA, 32), (Algorithm.ES256, 64), (Algorithm.ES384, 96)]
)
def test_a_point_of_another_size_is_refused(algorithm: Algorithm, size: int) -> None:
    for wrong in (0, size - 1, size + 1, 2 * size):
        with pytest.raises(EncodingError, match=f"expected a key of {size} bytes"):
            PublicKey(algorithm=algorithm, point=bytes(wrong))


@pytest.mark.parametrize("key", KEYS[1:], ids=["ES256", "ES384"])
def test_a_point_off_the_curve_is_refused(key: SigningKey) -> None:
    # VN-2.3
    point = key.public_key.point
    half = len(point) // 2
    off = [
        bytes(2 * half),
        point[half:] + point[:half],
        point[:-1] + bytes([point[-1] ^ 1]),
        b"\xff" * half + point[half:],
        point[:half] + b"\xff" * half,
    ]
    for candidate in off:
        with pytest.raises(EncodingError, match="not a point"):
            PublicKey(algorithm=key.public_key.algorithm, point=candidate)


@pytest.mark.parametrize(
    "curve",
    [ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1(), ec.BrainpoolP384R1()],
    ids=lambda curve: curve.name,
)
def test_a_private_key_on_another_curve_is_misuse(curve: ec.EllipticCurve) -> None:
    with pytest.raises(ValueError, match=curve.name):
        EcdsaSigningKey(private_key=ec.derive_private_key(12345, curve))


def test_an_ed25519_seed_of_another_size_is_misuse() -> None:
    for size in (0, 31, 33, 64):
        with pytest.raises(ValueError, match="32 bytes"):
            Ed25519SigningKey(seed=bytes(size))


def test_ecdsa_functions_with_an_ed25519_key_are_misuse() -> None:
    with pytest.raises(ValueError, match="EDDSA is not ECDSA"):
        generate_ecdsa(SeededRng(b""), Algorithm.EDDSA)
    with pytest.raises(ValueError, match="EDDSA is not ECDSA"):
        verify_ecdsa_der(KEYS[0].public_key, b"", b"")


def test_the_same_randomness_gives_the_same_keys() -> None:
    assert [key.public_key for key in make_keys()] == [key.public_key for key in KEYS]
    assert len({key.public_key.key_id for key in KEYS}) == 3


def test_a_secret_stays_out_of_repr() -> None:
    key = Ed25519SigningKey(seed=b"S" * 32)
    assert b"S" * 8 not in repr(key).encode()
    assert "seed" not in repr(key)
    assert "private" not in repr(KEYS[1])


@each_key
def test_two_objects_of_one_secret_key_are_never_compared_by_value(key: SigningKey) -> None:
    twin = make_keys()[KEYS.index(key)]
    assert twin != key
    assert twin.public_key == key.public_key
