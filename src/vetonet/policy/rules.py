"""A party's own rules: what its daemon answers to a proposal, and where it asks a person.

The first rule that holds decides. Nothing here replaces the treaty: a ballot that follows from a rule is
counted like any other, and a grant of what the treaty forbids is still refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from vetonet.policy.ballot import VetoReason
from vetonet.policy.proposal import MAX_DEVICES, Proposal
from vetonet.policy.quorum import Choice
from vetonet.units import (
    MAX_DURATION_MS,
    MAX_FLOP,
    Flop,
    Milliseconds,
    Precision,
    WorkloadClass,
    spell_duration,
    spell_flop,
)

RUN_GRANT: Final = "run-grant"
"""The action class of a proposal; a rule that names no action speaks of this one alone."""

MAX_RULES: Final = 256
MAX_NAMES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rule says: a ballot's choice, or that a person is asked.

    Attributes:
        choice: None where a person is asked.
        reason: of a VETO, else None.
    """

    choice: Choice | None
    reason: VetoReason | None = None

    def __post_init__(self) -> None:
        """Refuse a veto without a reason, and a reason for anything else (VN-6.1)."""
        if (self.choice is Choice.VETO) != (self.reason is not None):
            msg = "expected a reason with a veto and only there"
            raise ValueError(msg)

    def __str__(self) -> str:
        """Return the words for people: ``ask``, ``grant``, ``abstain`` or ``veto (scale)``."""
        if self.choice is None:
            return "ask"
        return self.choice.value if self.reason is None else f"{self.choice.value} ({self.reason.value})"


ASK: Final = Answer(choice=None)


class _Question(NamedTuple):
    """All that a rule may look at."""

    proposal: Proposal
    linked_flop: Flop
    band: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold, all of it, for a rule to decide; None or empty asks for nothing.

    Attributes:
        below_flop, at_least_flop: bounds on the total with linked runs; the first is outside, the second in.
        workloads, precisions, operators, beneficial_owners, bands: one of these.
        at_least_devices: chips of the run.
        run_longer_than_ms: the run's own window is longer than that, not equal.
        has_lineage: whether the run continues another.
        actions: one of these action classes; empty is ``RUN_GRANT``, so that a rule written for runs never
            answers another question.
    """

    below_flop: Flop | None = None
    at_least_flop: Flop | None = None
    workloads: tuple[WorkloadClass, ...] = ()
    precisions: tuple[Precision, ...] = ()
    operators: tuple[str, ...] = ()
    beneficial_owners: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    at_least_devices: int | None = None
    run_longer_than_ms: Milliseconds | None = None
    has_lineage: bool | None = None
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse conditions that always hold, never hold, or name something twice."""
        if all(getattr(self, field.name) in {None, ()} for field in fields(self)):
            msg = "expected at least one condition: what always holds is the default"
            raise ValueError(msg)
        limits = (
            (self.below_flop, MAX_FLOP),
            (self.at_least_flop, MAX_FLOP),
            (self.at_least_devices, MAX_DEVICES),
            (self.run_longer_than_ms, MAX_DURATION_MS),
        )
        if any(value is not None and not 0 < value <= most for value, most in limits):
            msg = "expected numbers above zero, and none that no run can have"
            raise ValueError(msg)
        free = self.operators, self.beneficial_owners, self.bands, self.actions
        lists = *free, self.workloads, self.precisions
        is_listed = all(len(set(names)) == len(names) <= MAX_NAMES for names in lists)
        if not is_listed or not all(name and name.isprintable() for names in free for name in names):
            msg = f"expected lists of at most {MAX_NAMES} printable names, each once"
            raise ValueError(msg)
        if self.below_flop is not None and self.below_flop <= (self.at_least_flop or 0):
            msg = "expected at-least-flop smaller than below-flop: no total is both"
            raise ValueError(msg)

    def are_met(self, question: _Question) -> bool:
        """Whether every condition holds for the run that is asked for."""
        proposal, total = question.proposal, question.linked_flop
        return (
            (self.below_flop is None or total < self.below_flop)
            and (self.at_least_flop is None or total >= self.at_least_flop)
            and (not self.workloads or proposal.workload in self.workloads)
            and (not self.precisions or proposal.precision in self.precisions)
            and (not self.operators or proposal.operator_id in self.operators)
            and (not self.beneficial_owners or proposal.beneficial_owner in self.beneficial_owners)
            and (not self.bands or question.band in self.bands)
            and (self.at_least_devices is None or proposal.device_count >= self.at_least_devices)
            and (self.run_longer_than_ms is None or _duration_of(proposal) > self.run_longer_than_ms)
            and (self.has_lineage is None or bool(proposal.lineage) is self.has_lineage)
            and RUN_GRANT in (self.actions or (RUN_GRANT,))
        )

    def are_met_by_motion(self, action: str) -> bool:
        """Whether a motion of this action class is all that is asked for: of a motion no run is known."""
        is_about_runs = any(
            getattr(self, field.name) not in {None, ()} for field in fields(self) if field.name != "actions"
        )
        return action in self.actions and not is_about_runs

    def covers(self, other: Conditions) -> bool:
        """Whether these hold wherever the others do, so that a later rule with those never decides."""
        lower = (
            (self.at_least_flop, other.at_least_flop),
            (self.at_least_devices, other.at_least_devices),
            (self.run_longer_than_ms, other.run_longer_than_ms),
        )
        lists = (
            (self.workloads, other.workloads),
            (self.precisions, other.precisions),
            (self.operators, other.operators),
            (self.beneficial_owners, other.beneficial_owners),
            (self.bands, other.bands),
            (self.actions or (RUN_GRANT,), other.actions or (RUN_GRANT,)),
        )
        is_below = other.below_flop is not None and other.below_flop <= (self.below_flop or 0)
        return (
            (self.below_flop is None or is_below)
            and all(mine is None or (theirs is not None and theirs >= mine) for mine, theirs in lower)
            and all(not mine or (theirs and set(theirs) <= set(mine)) for mine, theirs in lists)
            and self.has_lineage in {None, other.has_lineage}
        )

    def __str__(self) -> str:
        """Return the conditions in words for people."""
        return ", ".join(_iter_words(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An answer, and when it is given."""

    when: Conditions
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the rules say of one proposal.

    Attributes:
        answer: what to do.
        number: which rule decided, from 1; None where none held.
        rule: that rule.
    """

    answer: Answer
    number: int | None = None
    rule: Rule | None = None

    def explain(self) -> str:
        """Return one line for people: what was decided, by which rule and why."""
        if self.rule is None:
            return f"{self.answer}: no rule holds, so the default does"
        return f"{self.answer}: rule {self.number} holds ({self.rule.when})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A party's rules in their order, and what it answers where none holds."""

    default: Answer
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse more rules than anybody reads, and one that never decides."""
        if len(self.rules) > MAX_RULES:
            msg = f"expected at most {MAX_RULES} rules, got {len(self.rules)}"
            raise ValueError(msg)
        for later, earlier in find_covered(rule.when for rule in self.rules):
            msg = f"rule {later + 1} never decides: rule {earlier + 1} holds wherever it does"
            raise ValueError(msg)

    def decide(self, proposal: Proposal, *, linked_flop: Flop, band: str) -> Ruling:
        """Return what the first rule that holds says, or the default.

        Args:
            proposal: the run in question, as its operator signed it.
            linked_flop: its total with that of all linked runs; see ``compute_linked_flop``.
            band: the name of the treaty's band for that total.

        Raises:
            ValueError: the total is less than the proposal's own, so it is not the linked one.
        """
        if linked_flop < proposal.total_flop:
            msg = f"expected a linked total of at least the run's own, got {linked_flop}"
            raise ValueError(msg)
        question = _Question(proposal=proposal, linked_flop=linked_flop, band=band)
        for number, rule in enumerate(self.rules, start=1):
            if rule.when.are_met(question):
                return Ruling(answer=rule.answer, number=number, rule=rule)
        return Ruling(answer=self.default)

    def decide_motion(self, action: str) -> Ruling:
        """Return what the first rule says that names this action class and nothing else, or that one asks.

        The default is for runs: that a party grants whatever it has no rule for must not amend a treaty.
        """
        for number, rule in enumerate(self.rules, start=1):
            if rule.when.are_met_by_motion(action):
                return Ruling(answer=rule.answer, number=number, rule=rule)
        return Ruling(answer=ASK)


def find_covered(rules: Iterable[Conditions]) -> Iterator[tuple[int, int]]:
    """Yield each rule that never decides, with the first before it that holds wherever it does."""
    ordered = tuple(rules)
    for later, conditions in enumerate(ordered):
        earlier = next((n for n, before in enumerate(ordered[:later]) if before.covers(conditions)), None)
        if earlier is not None:
            yield later, earlier


def _duration_of(proposal: Proposal) -> Milliseconds:
    return proposal.ends_ms - proposal.starts_ms


def _iter_words(when: Conditions) -> Iterator[str]:
    if when.at_least_flop is not None:
        yield f"linked total at least {spell_flop(when.at_least_flop)} FLOP"
    if when.below_flop is not None:
        yield f"linked total below {spell_flop(when.below_flop)} FLOP"
    lists = {
        "workload": when.workloads,
        "precision": when.precisions,
        "operator": when.operators,
        "beneficial owner": when.beneficial_owners,
        "band": when.bands,
        "action": when.actions,
    }
    for what, names in lists.items():
        if names:
            yield f"{what} {' or '.join(names)}"
    if when.at_least_devices is not None:
        yield f"at least {when.at_least_devices} chips"
    if when.run_longer_than_ms is not None:
        yield f"run longer than {spell_duration(when.run_longer_than_ms)}"
    if when.has_lineage is not None:
        yield "with lineage" if when.has_lineage else "without lineage"
