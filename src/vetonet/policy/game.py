"""A quorum as a simple game: which coalitions win, counted exactly over kinds of interchangeable parties.

Parties with the same weight in every threshold, and the same right to veto, are interchangeable, so a
coalition is known by how many parties of each kind it has. All these vectors of counts together are one
integer, a bit for each vector: thresholds, ``AllOf`` and ``AnyOf`` become shifts, ``&`` and ``|`` of whole
tables, and equal parts of a table are visited once, as in a reduced decision diagram (Bryant 1986).

Twenty different parties make 2^20 bits. Their diagram has at most about 41,000 nodes, whatever the
expression: 2^j after j parties, and never more than there are monotone functions of the parties left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import accumulate
from math import comb, prod
from operator import and_, mul, or_
from typing import Final

from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Quorum

MAX_VECTORS: Final = 2**21
"""More count vectors than this are not tabulated: twenty different parties fit, twice over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Parties that no rule of a quorum tells apart.

    Attributes:
        members: their ids, in the order of the treaty.
        weights: the seats that each of them holds in each threshold, in the order of the quorum's leaves.
        has_veto: whether each of them is a veto holder.
    """

    members: tuple[str, ...]
    weights: tuple[int, ...]
    has_veto: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A monotone simple game: every coalition wins or loses, and more parties never lose what fewer win.

    Attributes:
        kinds: who plays.
        wins: bit i is set where the coalition with index i wins: its counts read as digits, the first kind's
            the highest.
    """

    kinds: tuple[Kind, ...]
    wins: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many vectors the kinds from each on have together; 1 after the last."""
        return list_sizes(self.kinds)

    @property
    def party_count(self) -> int:
        """How many parties play."""
        return sum(len(kind.members) for kind in self.kinds)

    def is_won_by(self, counts: Sequence[int]) -> bool:
        """Whether so many of each kind win together."""
        return bool(self.wins >> sum(map(mul, counts, self.sizes[1:])) & 1)

    def to_dual(self) -> Game:
        """Return the game of blocking: a coalition wins it where all the others together lose this one."""
        size = self.sizes[0]
        # Reversing the bits takes each vector to that of all the others.
        others = int(f"{self.wins:0{size}b}"[::-1], 2)
        return Game(kinds=self.kinds, wins=others ^ ((1 << size) - 1))

    def list_minimal(self) -> tuple[tuple[int, ...], ...]:
        """Return the counts of each coalition that wins and that any member can make lose; smallest first."""
        minimal, units = self.wins, range(len(self.kinds))
        for unit, stride in zip(units, self.sizes[1:], strict=True):
            has_one = tabulate(self.kinds, [int(unit == other) for other in units], 1)
            minimal &= ~((self.wins << stride) & has_one)
        return tuple(
            sorted(
                map(self._to_counts, _iter_bits(minimal)),
                key=lambda counts: (sum(counts), [-count for count in counts]),
            )
        )

    def _to_counts(self, index: int) -> tuple[int, ...]:
        counts = []
        for stride in self.sizes[1:]:
            count, index = divmod(index, stride)
            counts.append(count)
        return tuple(counts)


def group_parties(quorum: Quorum) -> tuple[Kind, ...]:
    """Return the kinds of parties of a quorum, each party in one of them."""
    leaves = [
        dict(zip(leaf.electorate, leaf.weights or (1,) * len(leaf.electorate), strict=True))
        for leaf in quorum.leaves
    ]
    holders = frozenset(quorum.veto_holders)
    groups: dict[tuple[tuple[int, ...], bool], list[str]] = {}
    for party in quorum.parties:
        groups.setdefault((tuple(leaf.get(party, 0) for leaf in leaves), party in holders), []).append(party)
    return tuple(
        Kind(members=tuple(members), weights=weights, has_veto=has_veto)
        for (weights, has_veto), members in groups.items()
    )


def list_sizes(kinds: Sequence[Kind]) -> tuple[int, ...]:
    """Return how many vectors of counts the kinds from each on have together; 1 after the last."""
    return tuple(accumulate([len(kind.members) + 1 for kind in reversed(kinds)], mul, initial=1))[::-1]


def is_exact(quorum: Quorum) -> bool:
    """Whether the coalitions of a quorum can be counted exactly; else only sampling tells of its power."""
    return list_sizes(group_parties(quorum))[0] <= MAX_VECTORS


def build_key_game(quorum: Quorum) -> Game:
    """Return who can sign by the keys alone: veto holders and needed ballots bind only who is honest.

    Raises:
        ValueError: too many different parties to count.
    """
    kinds = group_parties(quorum)
    if list_sizes(kinds)[0] > MAX_VECTORS:
        raise ValueError(f"expected at most {MAX_VECTORS} vectors of counts, got {list_sizes(kinds)[0]}")
    return Game(kinds=kinds, wins=_tabulate_expression(quorum.expression, quorum.leaves, kinds))


def build_presence_game(quorum: Quorum) -> Game:
    """Return who can grant where all the others are silent: a veto has to be cast, so silence is none.

    Raises:
        ValueError: too many different parties to count.
    """
    game = build_key_game(quorum)
    ballots = tabulate(game.kinds, [1] * len(game.kinds), quorum.min_ballots)
    return Game(kinds=game.kinds, wins=game.wins & ballots)


def build_rule_game(quorum: Quorum) -> Game:
    """Return who can grant where every veto holder that does not grant vetoes.

    Raises:
        ValueError: too many different parties to count.
    """
    game = build_presence_game(quorum)
    holders = [int(kind.has_veto) for kind in game.kinds]
    return Game(kinds=game.kinds, wins=game.wins & tabulate(game.kinds, holders, len(quorum.veto_holders)))


def tabulate(kinds: Sequence[Kind], weights: Sequence[int], needed: int) -> int:
    """Return the table of the vectors whose counts, each times its weight, add up to what is needed."""
    sizes = list_sizes(kinds)

    @cache
    def tabulate_from(level: int, missing: int) -> int:
        if missing <= 0:
            return (1 << sizes[level]) - 1
        if level == len(kinds):
            return 0
        stride, weight = sizes[level + 1], weights[level]
        counts = range(len(kinds[level].members) + 1)
        parts = (tabulate_from(level + 1, missing - weight * n) << (n * stride) for n in counts)
        return reduce(or_, parts)

    return tabulate_from(0, needed)


def count_swings(game: Game) -> tuple[tuple[int, ...], ...]:
    """Return, for one party of each kind, how many coalitions of each size lose without it and win with it.

    A vector of counts stands for as many coalitions as there are ways to choose its members. The ways that
    lead to a node of the diagram, and those that win from it on, are polynomials in the size of the
    coalition, each packed into one integer.
    """
    layers, last = _build_layers(game)
    width = game.party_count + 1  # no coefficient exceeds the number of coalitions, so none runs over
    behind = [last]
    for kind, layer in zip(reversed(game.kinds), reversed(layers), strict=True):
        ways = _list_ways(len(kind.members), width)
        behind.append([sum(map(mul, ways, [behind[-1][child] for child in node])) for node in layer])
    behind.reverse()
    ahead, found = [1], []
    for level, (kind, layer) in enumerate(zip(game.kinds, layers, strict=True)):
        after = behind[level + 1]
        found.append(_count_kind_swings(len(kind.members), layer, ahead, after, width))
        ahead = _advance(_list_ways(len(kind.members), width), layer, ahead, len(after))
    return tuple(_unpack(polynomial, game.party_count, width) for polynomial in found)


def count_wins(game: Game) -> tuple[int, ...]:
    """Return how many coalitions of each size, from none to all parties, win."""
    layers, values = _build_layers(game)
    width = game.party_count + 1
    for kind, layer in zip(reversed(game.kinds), reversed(layers), strict=True):
        ways = _list_ways(len(kind.members), width)
        values = [sum(map(mul, ways, [values[child] for child in node])) for node in layer]
    return _unpack(values[0], game.party_count + 1, width)


def count_coalitions(kinds: Sequence[Kind], counts: Sequence[int]) -> int:
    """Return how many coalitions have so many parties of each kind."""
    return prod(comb(len(kind.members), count) for kind, count in zip(kinds, counts, strict=True))


def _tabulate_expression(expression: Expression, leaves: Sequence[Threshold], kinds: Sequence[Kind]) -> int:
    match expression:
        case Threshold():
            position = leaves.index(expression)
            return tabulate(kinds, [kind.weights[position] for kind in kinds], expression.min_grants)
        case AllOf():
            return reduce(and_, (_tabulate_expression(part, leaves, kinds) for part in expression.parts))
        case AnyOf():
            return reduce(or_, (_tabulate_expression(part, leaves, kinds) for part in expression.parts))


def _build_layers(game: Game) -> tuple[list[list[tuple[int, ...]]], list[int]]:
    """Return the reduced diagram: for each kind its nodes, as places of their children; then 0 and 1."""
    layers, tables = [], [game.wins]
    for kind, size in zip(game.kinds, game.sizes[1:], strict=True):
        known: dict[int, int] = {}
        mask, counts = (1 << size) - 1, range(len(kind.members) + 1)
        layers.append(
            [
                tuple(known.setdefault(table >> n * size & mask, len(known)) for n in counts)
                for table in tables
            ]
        )
        tables = list(known)
    return layers, tables


def _list_ways(size: int, width: int) -> list[int]:
    """Return the ways to choose 0 to ``size`` of so many parties, each as a polynomial."""
    return [comb(size, count) << count * width for count in range(size + 1)]


def _advance(ways: list[int], layer: list[tuple[int, ...]], ahead: list[int], size: int) -> list[int]:
    following = [0] * size
    for node, reached in zip(layer, ahead, strict=True):
        for child, way in zip(node, ways, strict=True):
            following[child] += reached * way
    return following


def _count_kind_swings(
    size: int, layer: list[tuple[int, ...]], ahead: list[int], after: list[int], width: int
) -> int:
    """Return the polynomial of the coalitions that one more party of a kind turns from losing to winning."""
    others = _list_ways(size - 1, width)
    return sum(
        reached * way * (after[after_it] - after[before_it])
        for node, reached in zip(layer, ahead, strict=True)
        for way, before_it, after_it in zip(others, node, node[1:], strict=False)
        if before_it != after_it
    )


def _unpack(polynomial: int, terms: int, width: int) -> tuple[int, ...]:
    mask = (1 << width) - 1
    return tuple(polynomial >> term * width & mask for term in range(terms))


def _iter_bits(table: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    text = f"{table:b}"[::-1]
    place = text.find("1")
    while place >= 0:
        yield place
        place = text.find("1", place + 1)
