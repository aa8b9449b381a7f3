"""Who has how much say in a quorum, exactly: Banzhaf and Shapley-Shubik index, minimal coalitions.

A coalition grants and all the others do not; a veto holder that does not grant is taken to veto. A coalition
wins where the expression holds, every veto holder is in it, and it has as many parties as ballots are needed.
A share of vetoes is not reached by not granting, and nobody is recused. docs/power.md says what it all means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, combinations, islice
from math import comb
from typing import Final

from vetonet.policy.game import Game, Kind, build_rule_game, count_coalitions, count_swings
from vetonet.policy.quorum import Quorum

MAX_LISTED: Final = 1_000
"""Coalitions named one by one, and families of them; the totals are exact however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyPower:
    """The say of one party.

    Attributes:
        party: its id.
        banzhaf: its share of all swings: coalitions that win with it and lose without it (Banzhaf 1965).
        shapley_shubik: its share of all orders of the parties: those in which the ones before it lose, and
            win with it (Shapley & Shubik 1954).
        can_block_alone: whether all the others together lose without it.
    """

    party: str
    banzhaf: Fraction
    shapley_shubik: Fraction
    can_block_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalitionFamily:
    """All coalitions with so many parties of each kind.

    Attributes:
        picks: how many, of whom; kinds of which nobody is needed are left out.
        total: how many coalitions that makes.
    """

    picks: tuple[tuple[int, tuple[str, ...]], ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coalitions:
    """Minimal coalitions: none of them does without any of its members.

    Attributes:
        total: how many there are.
        listed: their members, sorted; the smallest coalitions first, and no more than ``MAX_LISTED`` of them.
        family_total: how many families they fall into.
        families: these, the smallest coalitions first, and no more than ``MAX_LISTED`` of them.
    """

    total: int
    listed: tuple[tuple[str, ...], ...]
    family_total: int
    families: tuple[CoalitionFamily, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Who has how much say in a quorum.

    Attributes:
        parties: the say of each, in the order of the quorum; each index adds up to 1.
        minimal_winning: who suffices to grant.
        minimal_blocking: whose not granting suffices to block.
    """

    parties: tuple[PartyPower, ...]
    minimal_winning: Coalitions
    minimal_blocking: Coalitions


def compute_power(quorum: Quorum) -> Power:
    """Return the exact power of every party, and the minimal coalitions.

    Raises:
        ValueError: too many different parties to count; ``vetonet.policy.game.is_exact`` says so beforehand.
    """
    game = build_rule_game(quorum)
    swings = count_swings(game)
    raw = [sum(by_size) for by_size in swings]
    total = sum(len(kind.members) * count for kind, count in zip(game.kinds, raw, strict=True))
    by_party = {
        party: PartyPower(
            party=party,
            banzhaf=Fraction(raw[position], total),
            shapley_shubik=_compute_shapley_shubik(swings[position]),
            can_block_alone=_can_block_alone(game, position),
        )
        for position, kind in enumerate(game.kinds)
        for party in kind.members
    }
    return Power(
        parties=tuple(by_party[party] for party in quorum.parties),
        minimal_winning=_list_coalitions(game),
        minimal_blocking=_list_coalitions(game.to_dual()),
    )


def _compute_shapley_shubik(swings: tuple[int, ...]) -> Fraction:
    """Return the sum over the sizes k of swings * k! (n - k - 1)! / n!, which is 1 / (n C(n - 1, k))."""
    n = len(swings)
    return sum((Fraction(count, n * comb(n - 1, k)) for k, count in enumerate(swings) if count), Fraction(0))


def _can_block_alone(game: Game, position: int) -> bool:
    return not game.is_won_by([len(kind.members) - (i == position) for i, kind in enumerate(game.kinds)])


def _list_coalitions(game: Game) -> Coalitions:
    minimal = game.list_minimal()
    families = tuple(_build_family(game.kinds, counts) for counts in minimal[:MAX_LISTED])
    named = islice(chain.from_iterable(map(_iter_members, families)), MAX_LISTED)
    return Coalitions(
        total=sum(count_coalitions(game.kinds, counts) for counts in minimal),
        listed=tuple(sorted(named, key=lambda members: (len(members), members))),
        family_total=len(minimal),
        families=families,
    )


def _build_family(kinds: tuple[Kind, ...], counts: tuple[int, ...]) -> CoalitionFamily:
    picks = tuple((count, kind.members) for kind, count in zip(kinds, counts, strict=True) if count)
    return CoalitionFamily(picks=picks, total=count_coalitions(kinds, counts))


def _iter_members(family: CoalitionFamily) -> Iterator[tuple[str, ...]]:
    return (tuple(sorted(members)) for members in _iter_choices(family.picks))


def _iter_choices(picks: tuple[tuple[int, tuple[str, ...]], ...]) -> Iterator[tuple[str, ...]]:
    """Yield every way to make the picks, one by one: ``itertools.product`` would first keep them all."""
    if not picks:
        yield ()
        return
    count, members = picks[0]
    for chosen in combinations(members, count):
        for rest in _iter_choices(picks[1:]):
            yield (*chosen, *rest)
