"""Claims sets of entity attestation tokens as anybody may make them (RFC 9711), claim by claim.

Our own reports are one profile of this, and stricter (``vetonet.attestation.report``). This reads others',
and says of a report of ours that is no valid one what is wrong with it. Floats are refused, as everywhere in
vetonet, so a location claim cannot be read unless its numbers are whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from vetonet.encoding import cbor
from vetonet.errors import EncodingError

MAX_CLAIMS_BYTES: Final = 16 * 1024
MAX_NESTING: Final = 4

NONCE: Final = 10
UEID: Final = 256
HW_MODEL: Final = 259
DEBUG_STATUS: Final = 263
PROFILE: Final = 265
SUBMODULES: Final = 266
BOOT_COUNT: Final = 267

_TAGGED_CWT: Final = b"\xd8\x3d"  # tag 61, RFC 8392 section 6
_TAGGED_BUNDLE: Final = b"\xd9\x02\x5a"  # tag 602, RFC 9711 section 5
_JSON_TOKENS: Final = frozenset({"JWT", "BUNDLE"})
_OID_LEAST_BYTES: Final = 1
_PAIR: Final = 2

Test: TypeAlias = Callable[[cbor.Item], bool]


def _text(item: cbor.Item) -> bool:
    return type(item) is str


def _whole(item: cbor.Item) -> bool:
    return type(item) is int


def _natural(item: cbor.Item) -> bool:
    return type(item) is int and item >= 0


def _truth(item: cbor.Item) -> bool:
    return type(item) is bool


def _octets(least: int = 0, most: int = MAX_CLAIMS_BYTES) -> Test:
    return lambda item: type(item) is bytes and least <= len(item) <= most


def _several(test: Test, least: int = 1) -> Test:
    return lambda item: type(item) is list and len(item) >= least and all(map(test, item))


def _tuple(*tests: Test, optional: int = 0) -> Test:
    """An array of items that satisfy these in turn; the last ``optional`` ones may be absent."""

    def judge(item: cbor.Item) -> bool:
        is_fitting = type(item) is list and len(tests) - optional <= len(item) <= len(tests)
        return is_fitting and all(test(part) for test, part in zip(tests, item, strict=False))

    return judge


def _either(*tests: Test) -> Test:
    return lambda item: any(test(item) for test in tests)


def _below(limit: int) -> Test:
    return lambda item: _natural(item) and item < limit


def _is_sueids(item: cbor.Item) -> bool:
    return type(item) is dict and bool(item) and all(map(_text, item)) and all(map(_ueid, item.values()))


def _is_location(item: cbor.Item) -> bool:
    return (
        type(item) is dict and {1, 2} <= item.keys() <= set(range(1, 10)) and all(map(_whole, item.values()))
    )


_nonce: Final = _octets(8, 64)
_ueid: Final = _octets(7, 33)
_version: Final = _tuple(_text, _either(_text, _whole), optional=1)
_format: Final = _several(_tuple(_below(65_536), _octets()))
_result: Final = _tuple(_either(_text, _octets()), _below(5))

CLAIMS: Final[Mapping[int, tuple[str, Test]]] = MappingProxyType(
    {
        1: ("iss", _text),  # RFC 8392 section 3
        2: ("sub", _text),
        3: ("aud", _text),
        4: ("exp", _whole),
        5: ("nbf", _whole),
        6: ("iat", _whole),
        7: ("cti", _octets()),
        NONCE: ("eat_nonce", _either(_nonce, _several(_nonce, 2))),  # RFC 9711 section 4, here and below
        UEID: ("ueid", _ueid),
        257: ("sueids", _is_sueids),
        258: ("oemid", _either(_whole, _octets(3, 3), _octets(16, 16))),
        HW_MODEL: ("hwmodel", _octets(1, 32)),
        260: ("hwversion", _version),
        261: ("uptime", _natural),
        262: ("oemboot", _truth),
        DEBUG_STATUS: ("dbgstat", _below(5)),
        264: ("location", _is_location),
        PROFILE: ("eat_profile", _either(_text, _octets(_OID_LEAST_BYTES))),
        BOOT_COUNT: ("bootcount", _natural),
        268: ("bootseed", _octets()),
        269: ("dloas", _several(_tuple(_text, _text, _text, optional=1))),
        270: ("swname", _text),
        271: ("swversion", _either(_text, _version)),  # plain text in the examples of the RFC itself
        272: ("manifests", _format),
        273: ("measurements", _format),
        274: ("measres", _several(_tuple(_text, _several(_result)))),
        275: ("intuse", _whole),
    }
)
"""The claims of RFC 8392 and RFC 9711: label, name, and whether a value is one. Submodules aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedToken:
    """A token of a part of the device, carried as it is and not verified: CBOR in bytes, JSON in text."""

    data: bytes | str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedDigest:
    """The digest of claims that travel apart."""

    algorithm: int | str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsSet:
    """The claims of a token or of a part of it.

    Attributes:
        claims: by label; registered ones hold values of their type, others anything.
        submodules: the parts by name: claims, a token of their own, or the digest of claims elsewhere.
    """

    claims: Mapping[int | str, cbor.Item]
    submodules: Mapping[str, ClaimsSet | NestedToken | DetachedDigest] = field(default_factory=dict)

    def to_item(self) -> dict[cbor.Item, cbor.Item]:
        """Return the map that it was read from, keys in no particular order."""
        item: dict[cbor.Item, cbor.Item] = dict(self.claims)
        if self.submodules:
            item[SUBMODULES] = {name: _unread(part) for name, part in self.submodules.items()}
        return item

    @property
    def nonces(self) -> tuple[bytes, ...]:
        """What it answers: no nonce, one or several."""
        found = self.claims.get(NONCE, [])
        return (found,) if isinstance(found, bytes) else tuple(found)


def read_claims_set(data: bytes) -> ClaimsSet:
    """Return the claims set that untrusted bytes spell; others' may spell it in more than one way.

    Raises:
        EncodingError: oversize, not CBOR that we read, not a map, or a registered claim of another type.
    """
    return _read(cbor.from_foreign_bytes(data, max_bytes=MAX_CLAIMS_BYTES), MAX_NESTING)


def rename_claims(claims: ClaimsSet, labels: Mapping[int, int]) -> ClaimsSet:
    """Return a claims set under other labels, each claim verified as what it is called then.

    Raises:
        EncodingError: two claims of one name, or a value that its new name does not have.
    """
    renamed: dict[int | str, cbor.Item] = {}
    for label, value in claims.claims.items():
        called = labels.get(label, label) if isinstance(label, int) else label
        if called in renamed:
            raise EncodingError(f"the claim {called} stands twice, once under its old label")
        _verify_claim(called, value)
        renamed[called] = value
    return ClaimsSet(claims=MappingProxyType(renamed), submodules=claims.submodules)


def _read(item: cbor.Item, depth: int) -> ClaimsSet:
    if type(item) is not dict:
        raise EncodingError(f"expected a claims set, got {type(item).__name__}")
    claims = {label: value for label, value in item.items() if label != SUBMODULES}
    for label, value in claims.items():
        _verify_claim(label, value)
    return ClaimsSet(
        claims=MappingProxyType(claims),
        submodules=MappingProxyType(_read_submodules(item[SUBMODULES], depth) if SUBMODULES in item else {}),
    )


def _verify_claim(label: cbor.Item, value: cbor.Item) -> None:
    if type(label) not in {int, str}:
        raise EncodingError("expected integers and text as the labels of claims")
    name, test = CLAIMS.get(label, ("", None))
    if test is not None and not test(value):
        raise EncodingError(f"the claim {name} ({label}) has a value that RFC 9711 does not give it")


def _read_submodules(item: cbor.Item, depth: int) -> dict[str, ClaimsSet | NestedToken | DetachedDigest]:
    if type(item) is not dict or not item or not all(map(_text, item)) or not depth:
        raise EncodingError(f"expected submodules by name, at most {MAX_NESTING} deep")
    return {name: _read_submodule(name, part, depth - 1) for name, part in item.items()}


def _read_submodule(name: str, part: cbor.Item, depth: int) -> ClaimsSet | NestedToken | DetachedDigest:
    if type(part) is dict:
        return _read(part, depth)
    if type(part) is bytes and part.startswith((_TAGGED_CWT, _TAGGED_BUNDLE)):
        return NestedToken(data=part)
    if type(part) is str and _is_json_token(part):
        return NestedToken(data=part)
    if _tuple(_either(_text, _whole), _octets(1))(part):
        return DetachedDigest(algorithm=part[0], digest=part[1])
    raise EncodingError(f"the submodule {name[:40]!r} is no claims, no nested token and no detached digest")


def _is_json_token(text: str) -> bool:
    """Whether it is a JSON array of a token's type and the token (RFC 9711 section 4.2.18.2)."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    is_pair = isinstance(parsed, list) and len(parsed) == _PAIR
    return is_pair and isinstance(parsed[0], str) and parsed[0] in _JSON_TOKENS


def _unread(part: ClaimsSet | NestedToken | DetachedDigest) -> cbor.Item:
    match part:
        case ClaimsSet():
            return part.to_item()
        case NestedToken():
            return part.data
        case DetachedDigest():
            return [part.algorithm, part.digest]
