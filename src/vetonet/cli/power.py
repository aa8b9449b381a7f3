"""Voting power for people and as JSON: who has how much say, who suffices, what losing parties does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import comb
from typing import Any, Final

from vetonet.cli.output import print_line, print_table
from vetonet.policy.estimation import Estimate, EstimatedPower
from vetonet.policy.losses import Losses, Override
from vetonet.policy.power import CoalitionFamily, Coalitions, Power
from vetonet.policy.quorum import Quorum

MOST_LINES: Final = 10
"""Coalitions are named one by one up to here, and by kinds beyond."""
MOST_NAMES: Final = 6
"""Members of a set are named one by one up to here; beyond, the first and the last stand for all."""
_HOLD: Final = ("colluding party holds", "colluding parties hold")


def print_power(quorum: Quorum, power: Power | EstimatedPower, losses: Losses | None) -> None:
    """Print who has how much say, who suffices to grant or block, and what losing parties does.

    Args:
        quorum: what was judged.
        power: exact or sampled.
        losses: what losing parties does, or None where there are too many different ones to count.
    """
    n = len(power.parties)
    method = f"sampled {power.samples} times" if isinstance(power, EstimatedPower) else "counted exactly"
    print_line(f"Voting power of {n} parties, {method}")
    print_line()
    _print_parties(quorum, power)
    if isinstance(power, Power):
        _print_coalitions("Enough to grant, with nobody to spare", power.minimal_winning)
        _print_coalitions("Enough to block, with nobody to spare", power.minimal_blocking)
    if losses is not None:
        print_line()
        for line in _iter_losses(losses):
            print_line(line)


def describe_power(quorum: Quorum, power: Power | EstimatedPower, losses: Losses | None) -> dict[str, Any]:
    """Return what ``--json`` prints.

    Exact values are reduced fractions as text, such as "3/25"; sampled ones a value with its standard error.
    Coalitions and losses that nobody can count are null, and so are their totals.
    """
    described: dict[str, Any] = {
        "method": "exact" if isinstance(power, Power) else "sampled",
        "samples": None if isinstance(power, Power) else power.samples,
        "parties": {
            party.party: {
                "banzhaf": _describe_value(party.banzhaf),
                "shapley_shubik": _describe_value(party.shapley_shubik),
                "can_block_alone": party.can_block_alone,
                "blocks_by": _list_ways_to_block(quorum, party.party),
            }
            for party in power.parties
        },
    }
    winning = power.minimal_winning if isinstance(power, Power) else None
    blocking = power.minimal_blocking if isinstance(power, Power) else None
    return {
        **described,
        **_describe_coalitions("minimal_winning", winning),
        **_describe_coalitions("minimal_blocking", blocking),
        "losses": None if losses is None else _describe_losses(losses),
    }


def _describe_value(value: Fraction | Estimate | None) -> str | dict[str, float] | None:
    if isinstance(value, Estimate):
        return {"value": value.value, "error": value.error}
    return None if value is None else str(value)


def _describe_coalitions(name: str, coalitions: Coalitions | None) -> dict[str, Any]:
    if coalitions is None:
        return {name: None, f"{name}_total": None, f"{name}_kinds": None, f"{name}_kinds_total": None}
    kinds = [
        {
            "picks": [{"count": count, "of": list(members)} for count, members in kind.picks],
            "total": kind.total,
        }
        for kind in coalitions.families
    ]
    return {
        name: [list(members) for members in coalitions.listed],
        f"{name}_total": coalitions.total,
        f"{name}_kinds": kinds,
        f"{name}_kinds_total": coalitions.family_total,
    }


def _describe_losses(losses: Losses) -> dict[str, Any]:
    return {
        "absent": losses.absent,
        "by_absent": [
            {
                "absent": absent,
                "sets": comb(losses.party_count, absent),
                "stopping": stopping,
                "some_stop": losses.can_stop(absent),
                "every_stops": losses.always_stop(absent),
            }
            for absent, stopping in enumerate(losses.stopping)
        ],
        "fewest_absent_that_can_stop": losses.fewest_that_can_stop,
        "fewest_absent_that_always_stop": losses.fewest_that_always_stop,
        "granting_by_rule": list(losses.granting_by_rule),
        "granting_by_key": list(losses.granting_by_key),
        "blocking_by_rule": list(losses.blocking_by_rule),
        "blocking_by_silence": list(losses.blocking_by_silence),
        "blocking_by_share": losses.blocking_by_share,
        "fewest_vetoes": losses.fewest_vetoes,
        "overrides": {
            override.holder: None if override.coalition is None else list(override.coalition)
            for override in losses.overrides
        },
    }


def _print_parties(quorum: Quorum, power: Power | EstimatedPower) -> None:
    columns = ("party", "Banzhaf", "%", "Shapley-Shubik", "%", "blocks alone")
    rows = [
        (
            party.party,
            *_spell_value(party.banzhaf),
            *_spell_value(party.shapley_shubik),
            " and ".join(f"by its {way}" for way in _list_ways_to_block(quorum, party.party)) or "no",
        )
        for party in power.parties
    ]
    print_table(columns, rows, right=columns[1:5])


def _spell_value(value: Fraction | Estimate | None) -> tuple[str, str]:
    """Return a value as such and in percent."""
    match value:
        case Fraction():
            return str(value), f"{float(100 * value):.2f}"
        case Estimate():
            return f"{value.value:.4f} ± {value.error:.4f}", f"{100 * value.value:.2f}"
        case None:
            return "unknown", ""


def _list_ways_to_block(quorum: Quorum, party: str) -> list[str]:
    """Return by what a party blocks alone: its veto, its key if all need it, its ballot if all are needed."""
    others = frozenset(quorum.parties) - {party}
    ways = {
        "veto": party in quorum.veto_holders,
        "key": quorum.expression.select(others) is None,
        "ballot": quorum.min_ballots > len(others),
    }
    return [way for way, is_one in ways.items() if is_one]


def _print_coalitions(title: str, coalitions: Coalitions) -> None:
    print_line()
    print_line(f"{title}: {_count(coalitions.total, 'coalition')}")
    if coalitions.total <= MOST_LINES:
        for members in coalitions.listed:
            print_line(f"  {', '.join(members)}")
        return
    for family in coalitions.families[:MOST_LINES]:
        print_line(f"  {_spell_family(family)}")
    more = coalitions.family_total - MOST_LINES
    if more > 0:
        print_line(f"  and {_count(more, 'more kind')} of coalition")


def _spell_family(family: CoalitionFamily) -> str:
    picks = " and ".join(f"{count} of {_spell_set(members)}" for count, members in family.picks)
    return f"{picks}: {_count(family.total, 'coalition')}"


def _spell_set(members: tuple[str, ...]) -> str:
    if len(members) > MOST_NAMES:
        return f"{{{members[0]} ... {members[-1]}}}"
    return f"{{{', '.join(members)}}}"


def _iter_losses(losses: Losses) -> Iterator[str]:
    yield _spell_absence(losses)
    yield _spell_asked(losses)
    yield _spell_no(losses)
    granting, colluding = losses.granting_by_rule, losses.granting_by_key
    unless = "" if losses.blocking_by_share is None else ", unless the treaty's share of the parties vetoes"
    yield (
        f"By rule, {_count(len(granting), 'party', 'parties')} can grant whatever the others do{unless}: "
        f"{{{', '.join(granting)}}}"
    )
    hold = _count(len(colluding), *_HOLD)
    yield f"By key, {hold} the keys to license, whatever the rules say: {{{', '.join(colluding)}}}"
    yield from map(_spell_override, losses.overrides)


def _spell_absence(losses: Losses) -> str:
    fewest, always = losses.fewest_that_can_stop, losses.fewest_that_always_stop
    sets, stopping = comb(losses.party_count, fewest), losses.stopping[fewest]
    parties = _count(fewest, "absent party", "absent parties")
    if fewest == always:
        return f"Absence: any {parties} stop all grants, and fewer never do"
    return (
        f"Absence: {parties} can stop all grants ({stopping} of {_count(sets, 'set')} of so many), "
        f"and fewer never do; any {always} do"
    )


def _spell_asked(losses: Losses) -> str:
    sets, stopping = comb(losses.party_count, losses.absent), losses.stopping[losses.absent]
    parties = _count(losses.absent, "absent party", "absent parties")
    verb = "stops" if stopping in {0, 1} else "stop"
    return f"With {parties}: {stopping or 'none'} of {_count(sets, 'set')} of so many {verb} all grants"


def _spell_no(losses: Losses) -> str:
    by_rule, silent = losses.blocking_by_rule, losses.blocking_by_silence
    line = (
        f"The fewest that can block: {len(by_rule)} by not granting {{{', '.join(by_rule)}}}, "
        f"{len(silent)} by staying away {{{', '.join(silent)}}}"
    )
    share = losses.blocking_by_share
    return line if share is None else f"{line}, and any {share} by vetoing, where all vote"


def _spell_override(override: Override) -> str:
    holder, coalition = override.holder, override.coalition
    if coalition is None:
        return f"{holder} has a veto by rule and by key: nobody holds the keys to license over it"
    hold = _count(len(coalition), *_HOLD)
    return f"{holder} has a veto by rule only: {hold} the keys to license over it: {{{', '.join(coalition)}}}"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
