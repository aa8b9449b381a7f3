"""Treaty files for people: where one is wrong, how two differ, and what a quorum means in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vetonet.cli.files import read_text_input
from vetonet.cli.output import format_duration, format_flop
from vetonet.party.toml_reading import MAX_FILE_CHARS
from vetonet.party.treaty_file import list_mistakes
from vetonet.policy.action import REQUIRED, ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.blocking import compute_fewest_signers, list_key_vetoes
from vetonet.policy.expression import AllOf, Expression, Threshold
from vetonet.policy.game import is_exact
from vetonet.policy.losses import compute_losses
from vetonet.policy.plan import TreatyPlan, spell_maker
from vetonet.policy.quorum import Denominator, Quorum, Recusal
from vetonet.policy.totals import Totals

_DENOMINATORS = {
    Denominator.ELECTORATE: "all parties that can vote",
    Denominator.CAST: "the ballots cast, abstentions included",
    Denominator.DECIDED: "the grants and vetoes cast, abstentions left out",
}
_RULES = {
    BandRule.FREE: "no licence needed",
    BandRule.LICENSED: "licence needed",
    BandRule.FORBIDDEN: "forbidden",
}


def list_file_mistakes(path: Path) -> list[str]:
    """Return every mistake in a treaty's file, one line each: ``file:line: what, and what would be right``.

    Raises:
        Failure: it cannot be read at all.
    """
    text = read_text_input(path, "a treaty file", maximum=MAX_FILE_CHARS)
    return [f"{path}:{mistake.line}: {mistake.reason}" for mistake in list_mistakes(text)]


def describe_quorum(
    quorum: Quorum, roster: Sequence[str] = (), actions: Sequence[ActionClass] = REQUIRED
) -> str:
    """Return in one sentence what ``list_quorum_clauses`` says."""
    return "; ".join(list_quorum_clauses(quorum, roster, actions))


def list_quorum_clauses(
    quorum: Quorum, roster: Sequence[str] = (), actions: Sequence[ActionClass] = REQUIRED
) -> list[str]:
    """Return in words who must grant, and which veto there is, of what kind, and what it withstands.

    Args:
        quorum: what it takes.
        roster: the whole roster in order, so that it need not be listed.
        actions: what it decides; who moves what is no run votes like everybody (VN-4.5).
    """
    parts = [
        f"it takes the grants of {_describe_expression(quorum.expression, tuple(roster))}",
        *_describe_vetoes(quorum),
    ]
    if quorum.min_ballots:
        parts.append(f"at least {quorum.min_ballots} must have voted")
    parts.append("an absent or abstaining party counts as not granting")
    outside = [party for party in roster if party not in quorum.parties]
    if outside:
        parts.append(
            f"{_join(outside)} {'has' if len(outside) == 1 else 'have'} no say: no ballot of theirs counts"
        )
    return [*parts, *_describe_recusal(quorum, actions)]


def _describe_recusal(quorum: Quorum, actions: Sequence[ActionClass]) -> Iterator[str]:
    of_runs = [action for action in actions if action in REQUIRED]
    if not of_runs:
        return
    struck = "grant" if quorum.recusal is Recusal.GRANTS else "ballot"
    which = "" if len(of_runs) == len(actions) else f" for {_join(of_runs)}"
    yield f"the {struck} of the proposer's own party does not count{which}"


def _describe_expression(expression: Expression, roster: tuple[str, ...]) -> str:
    if isinstance(expression, Threshold):
        return _describe_threshold(expression, roster)
    word = "and" if isinstance(expression, AllOf) else "or"
    parts = [_describe_expression(part, roster) for part in expression.parts]
    braced = [
        text if isinstance(part, Threshold) else f"({text})"
        for part, text in zip(expression.parts, parts, strict=True)
    ]
    return f", {word} ".join(braced)


def _describe_threshold(leaf: Threshold, roster: tuple[str, ...]) -> str:
    needed, seats = leaf.min_grants, leaf.seat_count
    if leaf.weights:
        pairs = zip(leaf.electorate, leaf.weights, strict=True)
        held = _join([f"{party} ({weight})" for party, weight in pairs])
        return f"holders of at least {needed} of the {seats} seats of {held}"
    if seats == 1:
        return leaf.electorate[0]
    who = f"the {seats} parties" if leaf.electorate == roster else _join(leaf.electorate)
    return f"all of {who}" if needed == seats else f"at least {needed} of {who}"


def _describe_vetoes(quorum: Quorum) -> Iterator[str]:
    keyed = list_key_vetoes(quorum.expression)
    if keyed:
        why = "there is no signature without that share"
        yield f"veto by key: {_join(keyed)}{_each(keyed)}, which withstands everybody else together, as {why}"
    holders = quorum.veto_holders
    if holders:
        free = [holder for holder in holders if holder not in keyed]
        yield f"veto by rule: {_join(holders)}{_each(holders)}, which honest signers do not sign over"
        yield from _describe_limits(quorum, free)
    share = quorum.veto_share
    if share is not None:
        of = _DENOMINATORS[share.of]
        yield f"vetoes of at least {share.numerator}/{share.denominator} of {of} end the vote as well"
    if not keyed and not holders and share is None:
        yield "nobody has a veto"


def _count_overriding(quorum: Quorum, holders: Sequence[str]) -> list[int | None]:
    """Return how many others it takes to sign over each of these vetoes, as `treaty power` counts them.

    Of a quorum of too many different parties only the bound of ``compute_fewest_signers``.
    """
    if not is_exact(quorum):
        return [compute_fewest_signers(quorum.expression, frozenset({holder})) for holder in holders]
    coalitions = {override.holder: override.coalition for override in compute_losses(quorum).overrides}
    found = [coalitions[holder] for holder in holders]
    return [None if coalition is None else len(coalition) for coalition in found]


def _describe_limits(quorum: Quorum, holders: Sequence[str]) -> Iterator[str]:
    """Yield what overcomes a veto by rule that is none by key: colluding signers."""
    counts = _count_overriding(quorum, holders) if holders else []
    enough = [count for count in counts if count is not None]
    if enough:
        others = "others that ignore it" if min(enough) > 1 else "other that ignores it"
        takes = f"it takes at least {min(enough)} {others} to sign all the same"
        yield f"where {_join(holders, 'or')} has no more than that rule, {takes}"


def diff_plans(a: TreatyPlan, b: TreatyPlan) -> list[str]:
    """Return in plain words what ``b`` says otherwise than ``a``, in the order of a file; none if nothing."""
    return [
        *_diff("name", a.name, b.name),
        *_diff_names("roster", a.party_ids, b.party_ids),
        *_diff_names(
            "chip makers",
            [spell_maker(a, maker) for maker in a.maker_ids],
            [spell_maker(b, maker) for maker in b.maker_ids],
        ),
        *_diff_names(
            "operators", list(map(_name_operator, a.operators)), list(map(_name_operator, b.operators))
        ),
        *_diff_owners(a, b),
        *_diff("totals", name_totals(a.totals), name_totals(b.totals)),
        *_diff_bands(a.bands, b.bands),
        *_diff_times(a, b),
        *_diff("witnesses", _describe_witnesses(a), _describe_witnesses(b)),
        *(line for action in ActionClass for line in _diff_action(action, a, b)),
    ]


def name_totals(totals: Totals | None) -> str:
    """Return whether totals are open or confidential, by its word in a treaty's file."""
    return (totals or Totals.OPEN).value


def describe_totals(totals: Totals | None) -> str:
    """Return in one sentence what reports say of how much was computed."""
    if totals is Totals.CONFIDENTIAL:
        return "totals: confidential: reports commit to what was computed, and operators prove bounds on it"
    return "totals: open: reports say how much was computed"


def _diff(what: str, old: str, new: str) -> Iterator[str]:
    if old != new:
        yield f"{what}: was {old}; is {new}"


def _diff_names(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    if gone:
        yield f"{what}: without {_join(gone)}"
    if come:
        yield f"{what}: with {_join(come)} as well"
    if old != new and not gone and not come:
        yield f"{what}: in another order: {', '.join(new)}"


def _name_operator(operator: tuple[str, str | None]) -> str:
    operator_id, party_id = operator
    return operator_id if party_id is None else f"{operator_id} of {party_id}"


def _diff_owners(a: TreatyPlan, b: TreatyPlan) -> Iterator[str]:
    for operator in dict.fromkeys(name for name, _ in (*a.beneficial_owners, *b.beneficial_owners)):
        before, after = a.find_owner(operator), b.find_owner(operator)
        yield from _diff(f"behind {operator}", before or "nobody else", after or "nobody else")


def _diff_bands(old: Iterable[Band], new: Iterable[Band]) -> Iterator[str]:
    before, after = {band.name: band for band in old}, {band.name: band for band in new}
    for name in dict.fromkeys((*before, *after)):
        yield from _diff(f"band {name}", _describe_band(before.get(name)), _describe_band(after.get(name)))


def _describe_band(band: Band | None) -> str:
    """Return the rule and the floor, exactly where rounding would hide a difference."""
    if band is None:
        return "not there"
    return f"{_RULES[band.rule]} from {_spell_exactly(band.floor_flop)} FLOP on"


def _spell_exactly(flop: int) -> str:
    rounded = format_flop(flop)
    head, _, exponent = rounded.partition("e")
    whole, _, digits = head.partition(".")
    is_exact = not exponent or int(whole + digits) * 10 ** (int(exponent) - len(digits)) == flop
    return rounded if is_exact else str(flop)


def _diff_times(a: TreatyPlan, b: TreatyPlan) -> Iterator[str]:
    for key, before in a.times.items():
        after = b.times[key]
        if before != after:
            yield f"{key}: was {_describe_time(before)}; is {_describe_time(after)}"


def _describe_time(duration_ms: int) -> str:
    return format_duration(duration_ms) if duration_ms else "none"


def _describe_witnesses(plan: TreatyPlan) -> str:
    quorum, colluding = plan.witnessing
    return f"{quorum} of {len(plan.party_ids)} must cosign, and {colluding} may collude"


def _diff_action(action: ActionClass, a: TreatyPlan, b: TreatyPlan) -> Iterator[str]:
    old, new = a.find_quorum(action), b.find_quorum(action)
    if old == new:
        return
    alike = [k for k in ActionClass if (a.find_quorum(k), b.find_quorum(k)) == (old, new)]
    if alike[0] is not action:
        yield f"{action}: changed as {alike[0]}"
        return
    before = "nobody could decide it" if old is None else describe_quorum(old, a.party_ids, alike)
    after = "nobody can decide it" if new is None else describe_quorum(new, b.party_ids, alike)
    before, after = _omit_shared(before, after)
    if before and after:
        yield f"{action}: was: {before}; is: {after}"
    elif before or after:
        yield f"{action}: {'now also' if after else 'no longer'}: {after or before}"
    else:
        yield f"{action}: reads the same, but its parties, groups of keys or recusal differ"


def _omit_shared(old: str, new: str) -> tuple[str, str]:
    """Return two sentences without the clauses that stand in both."""
    before, after = old.split("; "), new.split("; ")
    return (
        "; ".join(clause for clause in before if clause not in after),
        "; ".join(clause for clause in after if clause not in before),
    )


def _each(names: Sequence[str]) -> str:
    return "" if len(names) == 1 else ", each alone"


def _join(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
