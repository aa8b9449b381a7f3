"""Claims sets of RFC 9711: each registered claim has its type, submodules theirs, unknown claims are kept."""

from __future__ import annotations

from typing import Any

import pytest

from support.chip_evidence import make_claims
from vetonet.attestation.eat import CLAIMS, ClaimsSet, DetachedDigest, NestedToken, read_claims_set
from vetonet.encoding import cbor
from vetonet.errors import EncodingError

NONCE = b"12345678"
CWT = bytes.fromhex("d83dd28440a0404140")


def read(claims: dict[Any, Any]) -> ClaimsSet:
    return read_claims_set(cbor.to_bytes(claims))


GOOD: list[tuple[int, Any]] = [
    (1, "joe"),
    (6, 1526542894),
    (10, NONCE),
    (10, [NONCE, NONCE]),
    (256, bytes(7)),
    (256, bytes(33)),
    (257, {"a": bytes(7)}),
    (258, 76543),
    (258, bytes(3)),
    (258, bytes(16)),
    (259, b"m"),
    (260, ["3.1"]),
    (260, ["3.1", 1]),
    (261, 0),
    (262, False),
    (263, 4),
    (264, {1: 52, 2: 13}),
    (265, "https://example.org/profile"),
    (265, b"\x2a\x03"),
    (267, 1),
    (268, b"seed"),
    (269, [["https://r.example", "label"]]),
    (270, "boot"),
    (271, "Foo.app"),
    (271, ["1.0", 16384]),
    (272, [[50, b"coswid"]]),
    (273, [[50, b"coswid"]]),
    (274, [["system", [["file", 1]]]]),
    (275, 1),
]
BAD: list[tuple[int, Any]] = [
    (1, 1),
    (6, "now"),
    (10, b"short"),
    (10, bytes(65)),
    (10, [NONCE]),
    (10, []),
    (10, "12345678"),
    (256, bytes(6)),
    (256, bytes(34)),
    (257, {}),
    (257, {1: bytes(7)}),
    (258, bytes(4)),
    (258, True),
    (259, b""),
    (259, bytes(33)),
    (260, "3.1"),
    (260, []),
    (260, ["3.1", 1, 1]),
    (261, -1),
    (262, 1),
    (263, 5),
    (263, True),
    (264, {1: 52}),
    (264, {1: 52, 2: 13, 10: 1}),
    (265, 1),
    (267, -1),
    (269, []),
    (272, [[65536, b""]]),
    (273, [[50]]),
    (274, [["system", []]]),
    (274, [["system", [["file", 5]]]]),
    (275, "generic"),
]


@pytest.mark.parametrize(("label", "value"), GOOD)
def test_a_claim_of_its_type_is_read(label: int, value: Any) -> None:
    assert read({label: value}).claims == {label: value}


@pytest.mark.parametrize(("label", "value"), BAD)
def test_a_claim_of_another_type_is_refused(label: int, value: Any) -> None:
    with pytest.raises(EncodingError, match=rf"the claim {CLAIMS[label][0]} \({label}\)"):
        read({label: value})


def test_claims_that_nobody_registered_are_kept_as_they_are() -> None:
    claims = {-70001: [1, {"a": None}], "own": True}
    assert read(claims).to_item() == claims


def test_submodules_are_claims_tokens_or_digests() -> None:
    token = '["JWT", "a.b.c"]'
    parts = {"a": {271: "Foo"}, "b": CWT, "c": token, "d": [-16, bytes(32)], "e": {266: {"f": {}}}}
    found = read({10: NONCE, 266: parts})
    assert found.submodules == {
        "a": ClaimsSet(claims={271: "Foo"}),
        "b": NestedToken(data=CWT),
        "c": NestedToken(data=token),
        "d": DetachedDigest(algorithm=-16, digest=bytes(32)),
        "e": ClaimsSet(claims={}, submodules={"f": ClaimsSet(claims={})}),
    }
    assert found.to_item() == {10: NONCE, 266: parts}


@pytest.mark.parametrize(
    "part",
    [b"no token", "no token", '["JWT"]', '["CWT", "x"]', "[" * 5000, [1], ["a", "b"], [1, b""], 1, None],
)
def test_a_submodule_that_is_none_of_these_is_refused(part: object) -> None:
    with pytest.raises(EncodingError, match="the submodule"):
        read({266: {"x": part}})


@pytest.mark.parametrize("parts", [{}, [], {1: {}}, None])
def test_submodules_without_names_are_refused(parts: object) -> None:
    with pytest.raises(EncodingError, match="expected submodules by name"):
        read({266: parts})


def test_submodules_nested_too_deep_are_refused() -> None:
    claims: dict[Any, Any] = {}
    for _ in range(5):
        claims = {266: {"x": claims}}
    with pytest.raises(EncodingError, match="at most 4 deep"):
        read(claims)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xa1\x01\x01\x01", b"\xa1\x40\x01", bytes(17 * 1024)])
def test_what_is_no_claims_set_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        read_claims_set(data)


def test_keys_may_stand_in_any_order_but_none_twice() -> None:
    # RFC 9711 leaves the order to the profile; ours demands one, others' do not.
    falling = bytes.fromhex("a219010701190106f5")
    assert read_claims_set(falling).claims == {263: 1, 262: True}
    with pytest.raises(EncodingError, match="a key twice"):
        read_claims_set(bytes.fromhex("a2190106f5190106f5"))


def test_our_own_reports_are_claims_sets_of_this_kind() -> None:
    found = read_claims_set(make_claims().to_bytes())
    assert found.nonces == make_claims().nonces
    assert found.to_item() == make_claims().to_item()
