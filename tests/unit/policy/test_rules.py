"""A party's own rules: which one decides, at each boundary, and which rules are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world import NOW_MS, make_council
from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.policy.rules import (
    ASK,
    MAX_NAMES,
    MAX_RULES,
    RUN_GRANT,
    Answer,
    Conditions,
    Rule,
    Rules,
    find_covered,
)
from vetonet.units import MAX_DURATION_MS, MAX_FLOP, MS_PER_HOUR, Precision, WorkloadClass

PROPOSAL = make_council().propose()
TOTAL = 10**25
GRANT = Answer(choice=Choice.GRANT)
ABSTAIN = Answer(choice=Choice.ABSTAIN)
VETO = Answer(choice=Choice.VETO, reason=VetoReason.SCALE)
HOUR = MS_PER_HOUR


def make_rules(*rules: tuple[Conditions, Answer], default: Answer = ASK) -> Rules:
    return Rules(default=default, rules=tuple(Rule(when=when, answer=answer) for when, answer in rules))


def holds(
    when: Conditions,
    proposal: Proposal = PROPOSAL,
    *,
    linked_flop: int = TOTAL,
    band: str = "licensed",
) -> bool:
    ruling = make_rules((when, GRANT)).decide(proposal, linked_flop=linked_flop, band=band)
    assert (ruling.answer is GRANT) == (ruling.number == 1)
    return ruling.number == 1


def moves(when: Conditions, action: str) -> bool:
    return make_rules((when, GRANT)).decide_motion(action).answer is GRANT


@pytest.mark.parametrize(("linked_flop", "expected"), [(TOTAL - 1, True), (TOTAL, False), (TOTAL + 1, False)])
def test_below_means_below(linked_flop: int, *, expected: bool) -> None:
    assert holds(Conditions(below_flop=TOTAL), linked_flop=linked_flop) is expected


@pytest.mark.parametrize(("linked_flop", "expected"), [(TOTAL - 1, False), (TOTAL, True), (TOTAL + 1, True)])
def test_at_least_means_that_or_more(linked_flop: int, *, expected: bool) -> None:
    assert holds(Conditions(at_least_flop=TOTAL), linked_flop=linked_flop) is expected


def test_two_rules_at_one_threshold_leave_no_total_between_them() -> None:
    rules = make_rules(
        (Conditions(below_flop=TOTAL), GRANT), (Conditions(at_least_flop=TOTAL), VETO), default=ABSTAIN
    )
    totals = range(TOTAL - 2, TOTAL + 3)
    answers = [rules.decide(PROPOSAL, linked_flop=total, band="licensed").answer for total in totals]
    assert answers == [GRANT, GRANT, VETO, VETO, VETO]


@pytest.mark.parametrize(("count", "expected"), [(99, False), (100, True), (101, True)])
def test_chips_are_counted_from_the_number_itself(count: int, *, expected: bool) -> None:
    proposal = replace(PROPOSAL, device_count=count)
    assert holds(Conditions(at_least_devices=100), proposal) is expected


@pytest.mark.parametrize(("longer_ms", "expected"), [(-1000, False), (0, False), (1000, True)])
def test_longer_means_longer(longer_ms: int, *, expected: bool) -> None:
    proposal = replace(PROPOSAL, ends_ms=PROPOSAL.starts_ms + 90 * 24 * HOUR + longer_ms)
    assert holds(Conditions(run_longer_than_ms=90 * 24 * HOUR), proposal) is expected


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("lineage", [(), (bytes(32),)])
def test_lineage_is_there_or_not(lineage: tuple[bytes, ...], *, wanted: bool) -> None:
    proposal = replace(PROPOSAL, lineage=lineage)
    assert holds(Conditions(has_lineage=wanted), proposal) is (bool(lineage) is wanted)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (Conditions(workloads=(WorkloadClass.TRAINING,)), True),
        (Conditions(workloads=(WorkloadClass.INFERENCE,)), False),
        (Conditions(workloads=tuple(WorkloadClass)), True),
        (Conditions(precisions=(Precision.BF16,)), True),
        (Conditions(precisions=(Precision.FP8, Precision.FP4)), False),
        (Conditions(operators=("op2", "op1")), True),
        (Conditions(operators=("op2",)), False),
        (Conditions(operators=("OP1",)), False),
        (Conditions(beneficial_owners=("Owner One",)), True),
        (Conditions(beneficial_owners=("Owner",)), False),
        (Conditions(bands=("licensed",)), True),
        (Conditions(bands=("free", "forbidden")), False),
        (Conditions(actions=(RUN_GRANT,)), True),
        (Conditions(actions=("roster-change",)), False),
    ],
)
def test_one_of_the_names_is_enough_and_another_is_not(when: Conditions, *, expected: bool) -> None:
    assert holds(when) is expected


def test_all_conditions_of_a_rule_must_hold() -> None:
    holding: dict[str, Any] = {
        "below_flop": TOTAL + 1,
        "at_least_flop": TOTAL,
        "workloads": (WorkloadClass.TRAINING,),
        "precisions": (Precision.BF16,),
        "operators": ("op1",),
        "beneficial_owners": ("Owner One",),
        "bands": ("licensed",),
        "at_least_devices": 4,
        "run_longer_than_ms": HOUR,
        "has_lineage": False,
        "actions": (RUN_GRANT,),
    }
    failing: dict[str, Any] = {
        "below_flop": TOTAL,
        "at_least_flop": TOTAL + 1,
        "workloads": (WorkloadClass.INFERENCE,),
        "precisions": (Precision.FP8,),
        "operators": ("op2",),
        "beneficial_owners": ("Owner Two",),
        "bands": ("free",),
        "at_least_devices": 5,
        "run_longer_than_ms": 24 * HOUR,
        "has_lineage": True,
        "actions": ("lease-renewal",),
    }
    assert holds(Conditions(**holding))
    for name, value in failing.items():
        changed = holding | {name: value}
        if name in {"below_flop", "at_least_flop"}:
            changed.pop("at_least_flop" if name == "below_flop" else "below_flop")
        assert not holds(Conditions(**changed)), name


def test_a_rule_that_names_no_action_is_silent_on_all_but_runs() -> None:
    when = Conditions(below_flop=MAX_FLOP)
    assert holds(when)
    assert not moves(when, "roster-change")
    assert moves(Conditions(actions=("roster-change",)), "roster-change")
    assert not holds(replace(when, actions=("roster-change",)))


def test_the_first_rule_that_holds_decides() -> None:
    large, own = Conditions(at_least_flop=TOTAL), Conditions(operators=("op1",))
    for rules, number in (
        (make_rules((large, VETO), (own, GRANT)), 1),
        (make_rules((own, GRANT), (large, VETO)), 1),
        (make_rules((Conditions(operators=("op2",)), GRANT), (large, VETO), (own, GRANT)), 2),
    ):
        ruling = rules.decide(PROPOSAL, linked_flop=TOTAL, band="licensed")
        assert ruling.number == number
        assert ruling.rule is rules.rules[number - 1]
        assert ruling.answer is ruling.rule.answer


@pytest.mark.parametrize("default", [ASK, GRANT, ABSTAIN, VETO])
def test_where_no_rule_holds_the_default_does(default: Answer) -> None:
    rules = make_rules((Conditions(operators=("op2",)), GRANT), default=default)
    ruling = rules.decide(PROPOSAL, linked_flop=TOTAL, band="licensed")
    assert (ruling.answer, ruling.number, ruling.rule) == (default, None, None)
    assert make_rules(default=default).decide(PROPOSAL, linked_flop=TOTAL, band="x").answer is default


def test_less_than_the_runs_own_total_is_no_linked_total() -> None:
    rules = make_rules((Conditions(below_flop=TOTAL), GRANT))
    own = PROPOSAL.total_flop
    assert rules.decide(PROPOSAL, linked_flop=own, band="licensed").number == 1
    with pytest.raises(ValueError, match="linked total"):
        rules.decide(PROPOSAL, linked_flop=own - 1, band="licensed")


@pytest.mark.parametrize("choice", [None, Choice.GRANT, Choice.ABSTAIN])
def test_a_reason_stands_with_a_veto_and_only_there(choice: Choice | None) -> None:
    with pytest.raises(ValueError, match="a reason with a veto"):
        Answer(choice=choice, reason=VetoReason.OTHER)
    with pytest.raises(ValueError, match="a reason with a veto"):
        Answer(choice=Choice.VETO)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "at least one condition"),
        ({"below_flop": 0}, "above zero"),
        ({"below_flop": MAX_FLOP + 1}, "above zero"),
        ({"at_least_flop": -1}, "above zero"),
        ({"at_least_devices": 0}, "above zero"),
        ({"at_least_devices": 2**32 + 1}, "above zero"),
        ({"run_longer_than_ms": 0}, "above zero"),
        ({"run_longer_than_ms": MAX_DURATION_MS + 1}, "above zero"),
        ({"below_flop": TOTAL, "at_least_flop": TOTAL}, "no total is both"),
        ({"below_flop": TOTAL, "at_least_flop": TOTAL + 1}, "no total is both"),
        ({"operators": ("a", "a")}, "each once"),
        ({"workloads": (WorkloadClass.TRAINING,) * 2}, "each once"),
        ({"actions": ("",)}, "printable"),
        ({"bands": ("two\nlines",)}, "printable"),
        ({"beneficial_owners": tuple(map(str, range(MAX_NAMES + 1)))}, "at most"),
    ],
)
def test_conditions_that_say_nothing_or_contradict_themselves_are_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Conditions(**fields)


def test_bounds_one_flop_apart_leave_one_total() -> None:
    when = Conditions(below_flop=TOTAL + 1, at_least_flop=TOTAL)
    assert [holds(when, linked_flop=TOTAL + step) for step in (-1, 0, 1)] == [False, True, False]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Conditions(below_flop=10), Conditions(below_flop=10)),
        (Conditions(below_flop=10), Conditions(below_flop=9)),
        (Conditions(at_least_flop=10), Conditions(at_least_flop=11, operators=("a",))),
        (Conditions(operators=("a", "b")), Conditions(operators=("b",), has_lineage=True)),
        (Conditions(at_least_devices=5), Conditions(at_least_devices=5, bands=("x",))),
        (Conditions(run_longer_than_ms=5), Conditions(run_longer_than_ms=6)),
        (Conditions(has_lineage=False), Conditions(has_lineage=False, below_flop=9)),
        (Conditions(below_flop=9), Conditions(below_flop=9, actions=(RUN_GRANT,))),
        (Conditions(below_flop=9, actions=(RUN_GRANT, "x")), Conditions(below_flop=9)),
    ],
)
def test_a_rule_that_never_decides_is_refused(earlier: Conditions, later: Conditions) -> None:
    assert earlier.covers(later)
    with pytest.raises(ValueError, match="rule 3 never decides: rule 1 holds"):
        make_rules((earlier, GRANT), (Conditions(workloads=(WorkloadClass.INFERENCE,)), ASK), (later, VETO))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Conditions(below_flop=9), Conditions(below_flop=10)),
        (Conditions(at_least_flop=11), Conditions(at_least_flop=10)),
        (Conditions(at_least_flop=10), Conditions(below_flop=20)),
        (Conditions(below_flop=10, operators=("a",)), Conditions(below_flop=10)),
        (Conditions(operators=("a",)), Conditions(operators=("a", "b"))),
        (Conditions(has_lineage=True), Conditions(has_lineage=False)),
        (Conditions(has_lineage=True), Conditions(below_flop=9)),
        (Conditions(below_flop=9), Conditions(below_flop=9, actions=("x",))),
        (Conditions(at_least_devices=6), Conditions(at_least_devices=5)),
        (Conditions(run_longer_than_ms=6), Conditions(run_longer_than_ms=5)),
    ],
)
def test_a_rule_that_can_decide_is_kept(earlier: Conditions, later: Conditions) -> None:
    assert not earlier.covers(later)
    assert list(find_covered((earlier, later))) == []


def subsets(*names: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=2).map(tuple)


FIELDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "below_flop": st.none() | st.sampled_from((TOTAL - 1, TOTAL, TOTAL + 1)),
        "at_least_flop": st.none() | st.sampled_from((TOTAL - 2, TOTAL - 1, TOTAL)),
        "workloads": subsets(*WorkloadClass),
        "operators": subsets("op1", "op2"),
        "bands": subsets("licensed", "free"),
        "at_least_devices": st.none() | st.integers(3, 5),
        "run_longer_than_ms": st.none() | st.sampled_from((HOUR, 24 * HOUR)),
        "has_lineage": st.none() | st.booleans(),
        "actions": subsets(RUN_GRANT, "other"),
    }
)


def can_be(fields: dict[str, Any]) -> bool:
    try:
        Conditions(**fields)
    except ValueError:
        return False
    return True


CONDITIONS = FIELDS.filter(can_be).map(lambda fields: Conditions(**fields))
RUNS = st.builds(
    lambda workload, operator, count, hours, lineage: replace(
        PROPOSAL,
        workload=workload,
        operator_id=operator,
        device_count=count,
        ends_ms=PROPOSAL.starts_ms + hours * HOUR,
        lineage=lineage,
    ),
    st.sampled_from(WorkloadClass),
    st.sampled_from(("op1", "op2")),
    st.integers(4, 6),
    st.integers(1, 25),
    st.sampled_from(((), (bytes(32),))),
)


@given(
    CONDITIONS,
    CONDITIONS,
    RUNS,
    st.integers(TOTAL - 3, TOTAL + 2),
    st.sampled_from(("licensed", "free")),
)
def test_what_covers_holds_wherever_the_other_does(
    earlier: Conditions, later: Conditions, run: Proposal, linked_flop: int, band: str
) -> None:
    if earlier.covers(later) and holds(later, run, linked_flop=linked_flop, band=band):
        assert holds(earlier, run, linked_flop=linked_flop, band=band)


@given(FIELDS.filter(can_be), FIELDS)
def test_a_rule_covers_itself_and_each_with_more_conditions(
    fields: dict[str, Any], more: dict[str, Any]
) -> None:
    when = Conditions(**fields)
    assert when.covers(when)
    stricter = {name: more[name] if value in {None, ()} else value for name, value in fields.items()}
    stricter["actions"] = fields["actions"]
    if can_be(stricter):
        assert when.covers(Conditions(**stricter))


def test_more_rules_than_anybody_reads_are_refused() -> None:
    rules = tuple(
        Rule(when=Conditions(at_least_flop=MAX_FLOP - number), answer=GRANT)
        for number in range(MAX_RULES + 1)
    )
    assert len(Rules(default=ASK, rules=rules[:-1]).rules) == MAX_RULES
    with pytest.raises(ValueError, match="at most"):
        Rules(default=ASK, rules=rules)


def test_a_ruling_explains_itself_in_one_line() -> None:
    when = Conditions(
        at_least_flop=5 * 10**24,
        below_flop=10**26,
        operators=("op1", "op2"),
        at_least_devices=4,
        run_longer_than_ms=90 * 60_000,
        has_lineage=False,
        workloads=(WorkloadClass.TRAINING,),
    )
    rules = make_rules((Conditions(operators=("op2",)), GRANT), (when, VETO))
    ruling = rules.decide(PROPOSAL, linked_flop=TOTAL, band="licensed")
    assert ruling.explain() == (
        "veto (scale): rule 2 holds (linked total at least 5e24 FLOP, linked total below 1e26 FLOP, "
        "workload training, operator op1 or op2, at least 4 chips, run longer than 1h30m, without lineage)"
    )
    assert make_rules().decide(PROPOSAL, linked_flop=TOTAL, band="x").explain() == (
        "ask: no rule holds, so the default does"
    )


def test_a_proposal_of_another_time_is_answered_alike() -> None:
    rules = make_rules((Conditions(below_flop=TOTAL + 1), GRANT))
    later = replace(
        PROPOSAL,
        **{
            name: getattr(PROPOSAL, name) + NOW_MS
            for name in ("opens_ms", "closes_ms", "starts_ms", "ends_ms")
        },
    )
    assert rules.decide(later, linked_flop=TOTAL, band="licensed").answer is GRANT
