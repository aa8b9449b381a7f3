"""Who must grant: an expression of thresholds, each of which is one FROST group (VN-4).

``Threshold`` is the leaf, ``AllOf`` and ``AnyOf`` the branches. An expression is judged over a set of parties
that grant, or over the set of leaves whose groups signed; it never holds for nobody.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from vetonet.encoding import cbor
from vetonet.encoding.record import Codec, Record, flag, many, member, tstr, uint
from vetonet.errors import EncodingError

MAX_PARTIES: Final = 128
MAX_WEIGHT: Final = 64
MAX_SEATS: Final = 128
MAX_LEAVES: Final = 16
MAX_DEPTH: Final = 6


def read_item(item: cbor.Item) -> Expression:
    """Return the expression that a decoded map holds: which kind it is, its labels say.

    Raises:
        EncodingError: none, or one that must not exist.
    """
    if type(item) is not dict:
        raise EncodingError(f"expected a quorum expression as a map, got {type(item).__name__}")
    if _ALL_OF in item:
        return AllOf.from_item(item)
    return AnyOf.from_item(item) if _ANY_OF in item else Threshold.from_item(item)


EXPRESSION: Final[Codec[Expression]] = Codec(lambda value: value.to_item(), read_item)
_ALL_OF: Final = 5
_ANY_OF: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Record):
    """Parties that together hold at least ``min_grants`` of the seats must grant.

    The denominator is always all seats: abstention, absence and recusal never lower the bar, so nobody gains
    by silencing somebody.

    Attributes:
        min_grants: k, in seats; at least floor(seats / 2) + 1 unless ``minority``.
        electorate: ids of the parties that count, each once.
        weights: how many seats each of them holds, in the same order; empty where each holds one.
        minority: whether the treaty deliberately lets half of the seats or fewer decide.
    """

    min_grants: int = member(1, uint(MAX_SEATS))
    electorate: tuple[str, ...] = member(2, many(tstr(64), maximum=MAX_PARTIES))
    weights: tuple[int, ...] = member(3, many(uint(MAX_WEIGHT), maximum=MAX_PARTIES))
    minority: bool = member(4, flag())

    def __post_init__(self) -> None:
        """Refuse an empty or repeated electorate, unfit weights, a threshold out of range (VN-4.1)."""
        size = len(self.electorate)
        if not size or len(set(self.electorate)) < size:
            raise ValueError("expected a non-empty electorate without duplicates")
        if self.weights and (len(self.weights) != size or min(self.weights) < 1 or max(self.weights) < 2):  # noqa: PLR2004
            raise ValueError(
                f"expected no weights, where all are 1, or {size} from 1 to {MAX_WEIGHT}, got {self.weights}"
            )
        seats = self.seat_count
        if seats > MAX_SEATS:
            raise ValueError(f"expected at most {MAX_SEATS} seats, got {seats}")
        lowest = 1 if self.minority else seats // 2 + 1
        if not lowest <= self.min_grants <= seats:
            unit = "seats" if self.weights else "parties"
            expected = f"expected a threshold from {lowest} to {seats} of {seats} {unit}"
            hint = "; half or fewer takes `minority`" if 0 < self.min_grants < lowest else ""
            raise ValueError(f"{expected}, got {self.min_grants}{hint}")

    @property
    def seat_count(self) -> int:
        """How many seats there are: the denominator."""
        return sum(self.weights) if self.weights else len(self.electorate)

    @property
    def seats(self) -> tuple[str, ...]:
        """The party of each seat in order; seat i + 1 is participant i + 1 of the FROST group."""
        return _spread(self.electorate, self.weights) if self.weights else self.electorate

    @property
    def leaves(self) -> tuple[Threshold, ...]:
        """This leaf."""
        return (self,)

    @property
    def depth(self) -> int:
        """How deeply it nests."""
        return 1

    def count_seats(self, parties: AbstractSet[str]) -> int:
        """Return how many seats these parties hold together; strangers hold none."""
        if not self.weights:
            return sum(party in parties for party in self.electorate)
        return sum(w for party, w in zip(self.electorate, self.weights, strict=True) if party in parties)

    def select(self, granting: AbstractSet[str]) -> tuple[Threshold, ...] | None:
        """Return the leaves that must sign where these parties grant, or None where they are too few."""
        return (self,) if self.count_seats(granting) >= self.min_grants else None

    def is_signed_by(self, leaves: AbstractSet[Threshold]) -> bool:
        """Whether the groups of these leaves amount to consent."""
        return self in leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf(Record):
    """Each part must hold."""

    parts: tuple[Expression, ...] = member(_ALL_OF, many(EXPRESSION, maximum=16))

    def __post_init__(self) -> None:
        """Refuse what is not made of at least two different parts, or nests too deeply (VN-4.1)."""
        _verify_parts(self.parts, "AllOf")

    @property
    def leaves(self) -> tuple[Threshold, ...]:
        """The thresholds it is made of, each once, in order."""
        return _list_leaves(self.parts)

    @property
    def depth(self) -> int:
        """How deeply it nests."""
        return 1 + max(part.depth for part in self.parts)

    def select(self, granting: AbstractSet[str]) -> tuple[Threshold, ...] | None:
        """Return the leaves that must sign where these parties grant, or None where a part does not hold."""
        chosen = [part.select(granting) for part in self.parts]
        found = [leaf for leaves in chosen if leaves is not None for leaf in leaves]
        return None if None in chosen else tuple(dict.fromkeys(found))

    def is_signed_by(self, leaves: AbstractSet[Threshold]) -> bool:
        """Whether the groups of these leaves amount to consent."""
        return all(part.is_signed_by(leaves) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf(Record):
    """At least one part must hold; where several do, the first of them signs."""

    parts: tuple[Expression, ...] = member(_ANY_OF, many(EXPRESSION, maximum=16))

    def __post_init__(self) -> None:
        """Refuse what is not made of at least two different parts, or nests too deeply (VN-4.1)."""
        _verify_parts(self.parts, "AnyOf")

    @property
    def leaves(self) -> tuple[Threshold, ...]:
        """The thresholds it is made of, each once, in order."""
        return _list_leaves(self.parts)

    @property
    def depth(self) -> int:
        """How deeply it nests."""
        return 1 + max(part.depth for part in self.parts)

    def select(self, granting: AbstractSet[str]) -> tuple[Threshold, ...] | None:
        """Return the leaves that must sign where these parties grant, or None where no part holds."""
        return next((found for part in self.parts if (found := part.select(granting)) is not None), None)

    def is_signed_by(self, leaves: AbstractSet[Threshold]) -> bool:
        """Whether the groups of these leaves amount to consent."""
        return any(part.is_signed_by(leaves) for part in self.parts)


Expression: TypeAlias = Threshold | AllOf | AnyOf


def list_parties(expression: Expression) -> tuple[str, ...]:
    """Return every party that an expression names, each once, in order of first mention."""
    named = [party for leaf in expression.leaves for party in leaf.electorate]
    return tuple(dict.fromkeys(named))


def _list_leaves(parts: tuple[Expression, ...]) -> tuple[Threshold, ...]:
    return tuple(dict.fromkeys(leaf for part in parts for leaf in part.leaves))


@lru_cache(maxsize=256)
def _spread(electorate: tuple[str, ...], weights: tuple[int, ...]) -> tuple[str, ...]:
    """Return each party as often as it has seats: asked for once a signer, it must not cost once a seat."""
    return tuple(p for p, weight in zip(electorate, weights, strict=True) for _ in range(weight))


def _verify_parts(parts: tuple[Expression, ...], what: str) -> None:
    if len(parts) < 2 or len(set(parts)) < len(parts):  # noqa: PLR2004 - one part is that part alone
        raise ValueError(f"expected {what} of at least two parts, none of them twice")
    if 1 + max(part.depth for part in parts) > MAX_DEPTH or len(_list_leaves(parts)) > MAX_LEAVES:
        raise ValueError(f"expected at most {MAX_LEAVES} thresholds, nested {MAX_DEPTH} deep")
