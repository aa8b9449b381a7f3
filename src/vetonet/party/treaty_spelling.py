"""A plan as the one TOML text that spells it: reading the text gives the plan again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from vetonet.party.treaty_quorums import EVERYBODY, add_key_vetoes, make_own_key
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, Expression, Threshold
from vetonet.policy.plan import OWNER_KEY, TreatyPlan, spell_maker
from vetonet.policy.quorum import Quorum, Recusal
from vetonet.units import Flop, spell_duration

_ROUND: Final = 1_000_000


def write_treaty_text(plan: TreatyPlan) -> str:
    """Return the canonical file of a plan; ``read_treaty_text`` returns the plan from it."""
    sections = (
        (f"name = {_quote(plan.name)}", *_spell_names("parties", plan.party_ids)),
        (
            *_spell_names("makers", tuple(spell_maker(plan, maker) for maker in plan.maker_ids)),
            *_spell_optional("totals", plan.totals),
        ),
        *(_spell_operator(plan, operator, party) for operator, party in plan.operators),
        *(
            (
                "[[band]]",
                f"name = {_quote(band.name)}",
                f"from-flop = {spell_flop(band.floor_flop)}",
                f"rule = {_quote(band.rule)}",
            )
            for band in plan.bands
        ),
        tuple(_spell_times(plan)),
        tuple(_spell_witnesses(plan)),
        *(tuple(_spell_action(plan, action, quorum)) for action, quorum in plan.actions),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def spell_flop(flop: Flop) -> str:
    """Return a count of FLOP as a TOML number, exactly."""
    if flop < _ROUND:
        return str(flop)
    digits = str(flop)
    tail = digits[1:].rstrip("0")
    return f"{digits[0]}{'.' if tail else ''}{tail}e{len(digits) - 1}"


def _quote(text: str) -> str:
    # A treaty's texts are printable, and of those JSON and TOML escape the same two characters.
    return json.dumps(text, ensure_ascii=False)


def _spell_array(names: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quote, names))}]"


def _spell_names(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return (f"{key} = {_spell_array(names)}",)


def _spell_optional(key: str, text: str | None) -> tuple[str, ...]:
    return () if text is None else (f"{key} = {_quote(text)}",)


def _spell_operator(plan: TreatyPlan, operator_id: str, party_id: str | None) -> tuple[str, ...]:
    return (
        "[[operator]]",
        f"id = {_quote(operator_id)}",
        *_spell_optional("party", party_id),
        *_spell_optional(OWNER_KEY, plan.find_owner(operator_id)),
    )


def _spell_times(plan: TreatyPlan) -> Iterator[str]:
    yield "[times]"
    for key, duration in plan.times.items():
        if duration or key == "report-grace":
            yield f"{key} = {_quote(spell_duration(duration))}"


def _spell_witnesses(plan: TreatyPlan) -> Iterator[str]:
    chosen: Mapping[str, int | None] = {"quorum": plan.witness_quorum, "colluding": plan.max_colluding}
    if any(number is not None for number in chosen.values()):
        yield "[witnesses]"
        yield from (f"{key} = {number}" for key, number in chosen.items() if number is not None)


def _spell_action(plan: TreatyPlan, action: ActionClass, quorum: Quorum) -> Iterator[str]:
    yield f"[action.{action}]"
    first = next(known for known, other in plan.actions if other == quorum)
    if first is not action:
        yield f"same-as = {_quote(first)}"
        return
    expression, holders = _split_key_vetoes(quorum.expression)
    yield f"quorum = {_spell_expression(expression, plan.party_ids)}"
    if holders:
        yield f"key-veto = {_spell_array(holders)}"
    if quorum.veto_holders:
        yield f"veto = {_spell_array(quorum.veto_holders)}"
    share = quorum.veto_share
    if share is not None:
        at_least = _quote(f"{share.numerator}/{share.denominator}")
        yield f"veto-share = {{ at-least = {at_least}, of = {_quote(share.of)} }}"
    if quorum.min_ballots:
        yield f"min-ballots = {quorum.min_ballots}"
    if quorum.recusal is not Recusal.GRANTS:
        yield f"recusal = {_quote(quorum.recusal)}"


def _split_key_vetoes(expression: Expression) -> tuple[Expression, tuple[str, ...]]:
    """Return the rest of an expression and who has a veto by key, such that adding them gives it again."""
    if not isinstance(expression, AllOf):
        return expression, ()
    parts, holders = list(expression.parts), list[str]()
    while len(parts) > 1 and is_own_key(parts[-1]):
        holders.insert(0, parts.pop().leaves[0].electorate[0])
    rest = parts[0] if len(parts) == 1 else AllOf(parts=tuple(parts))
    is_restored = add_key_vetoes(rest, tuple(holders)) == expression
    return (rest, tuple(holders)) if is_restored and not is_own_key(rest) else (expression, ())


def is_own_key(expression: Expression) -> bool:
    """Whether this is the threshold that one party alone is."""
    return isinstance(expression, Threshold) and expression == make_own_key(expression.electorate[0])


def _spell_expression(expression: Expression, roster: tuple[str, ...]) -> str:
    if isinstance(expression, Threshold):
        return f"{{ threshold = {expression.min_grants}, {_spell_electorate(expression, roster)} }}"
    key = "all-of" if isinstance(expression, AllOf) else "any-of"
    parts = ", ".join(_spell_expression(part, roster) for part in expression.parts)
    return f"{{ {key} = [{parts}] }}"


def _spell_electorate(leaf: Threshold, roster: tuple[str, ...]) -> str:
    minority = ", minority = true" if leaf.minority else ""
    if leaf.weights:
        pairs = zip(leaf.electorate, leaf.weights, strict=True)
        return f"weights = {{ {', '.join(f'{_quote(p)} = {w}' for p, w in pairs)} }}{minority}"
    named = _quote(EVERYBODY) if leaf.electorate == roster else _spell_array(leaf.electorate)
    return f"of = {named}{minority}"
