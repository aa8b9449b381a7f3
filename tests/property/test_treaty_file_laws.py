"""Laws of treaty files: a plan returns from its text, and no text does worse than be refused by line."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.quorums import quorums
from vetonet.cli.founding import PublicKeys, write_terms
from vetonet.cli.treaty_text import describe_quorum, diff_plans
from vetonet.crypto.keys import PublicKey, generate_ed25519
from vetonet.party.preset import list_presets, read_preset
from vetonet.party.toml_lines import locate
from vetonet.party.treaty_file import list_mistakes, read_treaty_text
from vetonet.party.treaty_spelling import write_treaty_text
from vetonet.policy.action import IMPOSSIBLE, REQUIRED, ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.plan import PlanError, TreatyPlan
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import MAX_GROUPS, Terms
from vetonet.units import MAX_DURATION_MS, MAX_FLOP, MS_PER_S, Rng, parse_duration, spell_duration

PRESETS = tuple(map(read_preset, list_presets()))
OPTIONAL = tuple(action for action in ActionClass if action not in {*REQUIRED, *IMPOSSIBLE})
NAMES = ("A", "b", "3", "C.d", "E-f", "G_", "parties", "x" * 64)
LEASES = st.integers(1, MAX_DURATION_MS // MS_PER_S).map(lambda seconds: seconds * MS_PER_S)
OWNERS = st.sampled_from(["Owner One", 'a "quoted" \\ one', "\u00e9", "x" * 128])
DURATIONS = st.integers(1, MAX_DURATION_MS) | st.sampled_from([60_000, 3_600_000, 86_400_000])


@st.composite
def plans(draw: st.DrawFn) -> TreatyPlan:
    names = tuple(draw(st.permutations(NAMES)))[: draw(st.integers(3, len(NAMES)))]
    roster = names[2:]
    chosen = {*REQUIRED, *draw(st.sets(st.sampled_from(OPTIONAL)))}
    if ActionClass.SUSPENSION_CONFIRMATION in chosen:
        chosen.add(ActionClass.EMERGENCY_SUSPENSION)
    shared = draw(st.lists(quorums(roster), min_size=1, max_size=3))
    floors = sorted(draw(st.sets(st.integers(1, MAX_FLOP), max_size=3)))
    rules = sorted(
        draw(st.lists(st.sampled_from(BandRule), min_size=4, max_size=4)), key=tuple(BandRule).index
    )
    try:
        return TreatyPlan(
            name=draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable)),
            party_ids=roster,
            actions=tuple((a, draw(st.sampled_from(shared))) for a in ActionClass if a in chosen),
            bands=tuple(
                Band(name=f'band "{number}"', floor_flop=floor, rule=rules[number])
                for number, floor in enumerate([0, *floors])
            ),
            operators=((names[0], draw(st.none() | st.sampled_from(roster))),),
            beneficial_owners=draw(st.just(()) | OWNERS.map(lambda owner: ((names[0], owner),))),
            totals=draw(st.none() | st.sampled_from(Totals)),
            maker_ids=(names[1],),
            window_ms=draw(DURATIONS),
            report_grace_ms=draw(st.just(0) | DURATIONS),
            lease_ms=draw(LEASES | DURATIONS),
            suspension_ms=draw(DURATIONS) if ActionClass.EMERGENCY_SUSPENSION in chosen else 0,
            refresh_ms=draw(st.just(0) | DURATIONS),
            max_colluding=draw(st.none() | st.just(0)),
            witness_quorum=draw(st.none() | st.just(len(roster))),
        )
    except PlanError as error:
        known = ("expected at most", "whole seconds")
        assume(not all(any(words in fault.reason for words in known) for fault in error.faults))
        raise


@settings(max_examples=100)
@given(plans())
def test_a_plan_returns_from_the_one_text_that_spells_it(plan: TreatyPlan) -> None:
    text = write_treaty_text(plan)
    assert read_treaty_text(text) == plan
    assert write_treaty_text(read_treaty_text(text)) == text


@settings(max_examples=50, deadline=None)
@given(plans())
def test_a_plan_without_faults_gives_terms_and_no_more_thresholds_than_a_treaty_has_groups(
    plan: TreatyPlan,
) -> None:
    # VN-3.2
    origin = "vetonet.invalid/laws"
    terms = write_terms(plan, generate_keys(plan), origin)
    assert Terms.from_bytes(terms.to_bytes()) == terms
    assert len(terms.leaves) <= MAX_GROUPS


def generate_keys(plan: TreatyPlan) -> PublicKeys:
    def generate(role: str, names: tuple[str, ...]) -> dict[str, PublicKey]:
        return {name: generate_ed25519(dealt(f"{role} {name}")).public_key for name in names}

    return PublicKeys(
        parties=generate("party", plan.party_ids),
        operators=generate("operator", tuple(name for name, _ in plan.operators)),
        makers=generate("maker", plan.maker_ids),
        witnesses=generate("witness", plan.party_ids),
        log=generate_ed25519(dealt("log")).public_key,
    )


def dealt(name: str) -> Rng:
    return lambda size: hashlib.shake_256(name.encode()).digest(size)


@settings(max_examples=30)
@given(plans(), plans())
def test_two_plans_differ_in_words_exactly_where_they_differ(a: TreatyPlan, b: TreatyPlan) -> None:
    assert diff_plans(a, a) == []
    assert bool(diff_plans(a, b)) == (spell_out(a) != spell_out(b))


def spell_out(plan: TreatyPlan) -> TreatyPlan:
    quorum, colluding = plan.witnessing
    totals = plan.totals or Totals.OPEN
    return replace(plan, witness_quorum=quorum, max_colluding=colluding, totals=totals)


@settings(max_examples=50)
@given(plans())
def test_every_quorum_reads_as_one_line(plan: TreatyPlan) -> None:
    assert all(describe_quorum(quorum, plan.party_ids).isprintable() for _, quorum in plan.actions)


@settings(max_examples=200)
@given(st.sampled_from(PRESETS), st.data())
def test_a_damaged_file_is_a_plan_or_refused_by_line(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    damaged = text[:start] + data.draw(st.text(max_size=5) | st.sampled_from("[]{}\"'=\n#.,0")) + text[end:]
    count = damaged.count("\n") + 1
    assert all(
        1 <= mistake.line <= count and mistake.reason.isprintable() for mistake in list_mistakes(damaged)
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.sampled_from(PRESETS), JSON, st.data())
def test_any_value_in_any_place_is_a_plan_or_refused(text: str, value: Any, data: st.DataObject) -> None:
    root: Any = tomllib.loads(text)
    node, key = root, data.draw(st.sampled_from(list(root)))
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
    node[key] = value
    assert all(mistake.reason.isprintable() for mistake in list_mistakes(spell_toml(root)))


def spell_toml(root: dict[str, Any]) -> str:
    return "".join(f"{spell_text(key)} = {spell_inline(value)}\n" for key, value in root.items())


def spell_inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{spell_text(key)} = {spell_inline(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spell_inline, value)) + "]"
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    return spell_text(value) if isinstance(value, str) else str(value)


def spell_text(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08x}" if not "\ud800" <= c <= "\udfff" else "?" for c in text) + '"'


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=6))
def test_every_table_of_an_array_is_located_on_its_own_line(blocks: list[tuple[str, int]]) -> None:
    lines, places, counts = list[str](), list[tuple[tuple[str | int, ...], int]](), dict[str, int]()
    for name, size in blocks:
        index = counts[name] = counts.get(name, -1) + 1
        lines.append(f"[[{name}]] # [[{name}]]")
        places.append(((name, index), len(lines)))
        for number in range(size):
            lines += [f'k{number} = [ # "', "  1,", '  { x = "]", y.z = """', '""" } ]']
            start = len(lines) - 3
            path = (name, index, f"k{number}")
            places += [(path, start), ((*path, 0), start + 1), ((*path, 1, "y", "z"), start + 2)]
    text = "\n".join(lines)
    assert isinstance(tomllib.loads(text), dict)
    assert all(locate(text, path) == line for path, line in places)


@given(DURATIONS)
def test_a_duration_returns_from_its_text(duration: int) -> None:
    assert parse_duration(spell_duration(duration)) == duration
