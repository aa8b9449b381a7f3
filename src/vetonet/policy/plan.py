"""What a treaty is to say before anybody has a key: a plan, and every rule between its parts (VN-3, VN-4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.encoding.record import Record
from vetonet.errors import EncodingError
from vetonet.policy.action import IMPOSSIBLE, REQUIRED, ActionClass
from vetonet.policy.band import Band, BandRule, verify_bands
from vetonet.policy.default_times import (
    DEFAULT_LEASE_MS,
    DEFAULT_REPORT_GRACE_MS,
    DEFAULT_REPORT_INTERVAL_MS,
    DEFAULT_SIGNING_MS,
    DEFAULT_WINDOW_MS,
)
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.quorum import Choice, Decision, Quorum, Recusal
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import MAX_GROUPS, Terms, list_leaves
from vetonet.policy.witnessing import compute_smallest_quorum
from vetonet.units import MAX_DURATION_MS, MS_PER_S, Flop, Milliseconds

MAX_OPERATORS: Final = 256
MAX_MAKERS: Final = 32
MAX_BANDS: Final = 16
MAX_NAME: Final = 128
MAX_OWNER: Final = 128

PARTIES: Final = "parties"
MAKERS: Final = "makers"
OWNER_KEY: Final = "beneficial-owner"
NAME_RULE: Final = (
    "a name of up to 64 letters, digits, dots, dashes and underscores, with a letter or digit first"
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KIND: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")

Where: TypeAlias = tuple[str | int, ...]
"""The part of a plan at fault, by the keys under which its file says it."""

Operators: TypeAlias = tuple[tuple[str, str | None], ...]
Actions: TypeAlias = tuple[tuple[ActionClass, Quorum], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One reason why a plan must not exist, and the part of it that is at fault."""

    where: Where
    reason: str


class PlanError(ValueError):
    """No treaty can say that.

    Attributes:
        faults: every reason, in the order of the plan.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.reason for fault in faults))
        self.faults: Final = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatyPlan:
    """What a treaty is to say, before anybody has a key.

    Attributes:
        name: for people.
        party_ids: the roster, in order.
        actions: who decides what, in the order of ``ActionClass``; what is left out, nobody can decide.
        bands: how much compute needs consent.
        operators: ids, each with the party it belongs to, if any.
        maker_ids: chip makers.
        attester_kinds: what vouches for the chips of those makers whose kind is not the default one.
        window_ms: the longest a vote may stay open.
        signing_ms: how long one attempt at a threshold signature may take.
        report_interval_ms: how often a chip that runs must report.
        report_grace_ms: how late a report may be without a question.
        lease_ms: how long a lease lasts, so how soon a run stops that nobody consents to any longer.
        suspension_ms: how long an emergency suspension lasts that nobody confirms, 0 where there is none.
        refresh_ms: how often the parties refresh their key shares, 0 for never.
        max_colluding: how many of the parties' witnesses may collude, or None for just under a third.
        witness_quorum: how many of them must cosign, or None for the fewest that this allows.
        totals: whether reports say how much was computed; None for a treaty that leaves it out: they do.
        beneficial_owners: who stands behind those operators that somebody else stands behind.
    """

    name: str
    party_ids: tuple[str, ...]
    actions: Actions
    bands: tuple[Band, ...]
    operators: Operators
    maker_ids: tuple[str, ...]
    window_ms: Milliseconds = DEFAULT_WINDOW_MS
    signing_ms: Milliseconds = DEFAULT_SIGNING_MS
    report_interval_ms: Milliseconds = DEFAULT_REPORT_INTERVAL_MS
    report_grace_ms: Milliseconds = DEFAULT_REPORT_GRACE_MS
    lease_ms: Milliseconds = DEFAULT_LEASE_MS
    suspension_ms: Milliseconds = 0
    refresh_ms: Milliseconds = 0
    max_colluding: int | None = None
    witness_quorum: int | None = None
    attester_kinds: tuple[tuple[str, str], ...] = ()
    totals: Totals | None = None
    beneficial_owners: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a plan that no treaty can follow, with all the reasons at once."""
        faults = (
            *find_name_faults(self.name, self.party_ids, self.operators, self.maker_ids),
            *_find_kind_faults(self.maker_ids, self.attester_kinds),
            *find_owner_faults(self.operators, self.beneficial_owners),
            *find_band_faults(self.bands),
            *find_time_faults(self.times, {action for action, _ in self.actions}),
            *find_witness_faults(len(self.party_ids), self.max_colluding, self.witness_quorum),
            *find_action_faults(self.party_ids, self.actions),
        )
        if faults:
            raise PlanError(faults)

    @classmethod
    def of_threshold(
        cls,
        *,
        party_ids: tuple[str, ...],
        min_grants: int,
        veto_ids: tuple[str, ...] = (),
        is_minority: bool = False,
        licensed_flop: Flop,
        forbidden_flop: Flop | None = None,
        **parts: object,
    ) -> TreatyPlan:
        """Return the plain plan: so many must grant a run or a lease, two thirds change rules and roster.

        Whoever can veto a run can veto a change of the rules, too: otherwise the others could take the veto
        away first.

        Args:
            party_ids: the roster.
            min_grants: how many of them must grant.
            veto_ids: those whose veto alone ends a vote, by rule.
            is_minority: whether half of them or fewer may decide.
            licensed_flop: from this total on a run needs a licence.
            forbidden_flop: from this total on nobody may license it, or None for no such band.
            parts: the other attributes of a plan.

        Raises:
            ValueError: no treaty can say that.
        """
        size = len(party_ids)
        granting = Quorum.of_threshold(min_grants, party_ids, veto_ids, minority=is_minority)
        changing = Quorum.of_threshold(max(min_grants, -(-2 * size // 3)), party_ids, veto_ids)
        bands = [
            Band(name="free", floor_flop=0, rule=BandRule.FREE),
            Band(name="licensed", floor_flop=licensed_flop, rule=BandRule.LICENSED),
        ]
        if forbidden_flop is not None:
            bands.append(Band(name="forbidden", floor_flop=forbidden_flop, rule=BandRule.FORBIDDEN))
        actions = (
            (ActionClass.RUN_GRANT, granting),
            (ActionClass.LEASE_RENEWAL, granting),
            (ActionClass.AMEND_RULES, changing),
            (ActionClass.ROSTER_CHANGE, changing),
        )
        return cls(party_ids=party_ids, actions=actions, bands=tuple(bands), **parts)  # type: ignore[arg-type]

    def find_kind(self, maker_id: str) -> str | None:
        """Return the kind of a maker's attesters, or None for the default one."""
        return dict(self.attester_kinds).get(maker_id)

    def find_owner(self, operator_id: str) -> str | None:
        """Return who stands behind an operator, or None where nobody else does."""
        return dict(self.beneficial_owners).get(operator_id)

    @property
    def times(self) -> Mapping[str, Milliseconds]:
        """Every duration, by its key in a file."""
        return list_times(self)

    @property
    def witnessing(self) -> tuple[int, int]:
        """The witness quorum k and the number f of witnesses that may collude; each party runs one.

        With just under a third, the honest ones are a quorum alone, so the others cannot stall the log.
        """
        return compute_witnessing(len(self.party_ids), self.max_colluding, self.witness_quorum)

    def find_quorum(self, action: ActionClass) -> Quorum | None:
        """Return what it takes to decide an action, or None where nobody can."""
        return dict(self.actions).get(action)

    def list_hopeless_operators(self) -> tuple[tuple[str, str], ...]:
        """Return each operator nothing of which can be licensed, as its party is recused, with that party."""
        quorum = dict(self.actions)[ActionClass.RUN_GRANT]
        return tuple(
            (operator, party)
            for operator, party in self.operators
            if party is not None and not _can_grant_without(quorum, party)
        )


def list_times(timed: Terms | TreatyPlan) -> Mapping[str, Milliseconds]:
    """Return every duration that a plan, a charter or a treaty has, by its key in a file."""
    return {
        "window": timed.window_ms,
        "signing": timed.signing_ms,
        "report-interval": timed.report_interval_ms,
        "report-grace": timed.report_grace_ms,
        "lease": timed.lease_ms,
        "suspension": timed.suspension_ms,
        "refresh": timed.refresh_ms,
    }


def compute_witnessing(count: int, max_colluding: int | None, witness_quorum: int | None) -> tuple[int, int]:
    """Return k and f of ``count`` witnesses, with what was left out chosen."""
    colluding = max(count - 1, 0) // 3 if max_colluding is None else max_colluding
    smallest = compute_smallest_quorum(count, colluding)
    return smallest if witness_quorum is None else witness_quorum, colluding


def is_name(text: str) -> bool:
    """Whether a text can be a participant's id, a folder and part of a certificate."""
    return _NAME.fullmatch(text) is not None


def find_name_faults(
    name: str, party_ids: tuple[str, ...], operators: Operators, maker_ids: tuple[str, ...]
) -> Iterator[Fault]:
    """Yield what is wrong with who there is: names, their number, and one under which two stand (VN-3.2)."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        yield Fault(where=("name",), reason=f"expected a printable name of 1 to {MAX_NAME} characters")
    named = (
        *(((PARTIES, index), party) for index, party in enumerate(party_ids)),
        *((("operator", index, "id"), operator) for index, (operator, _) in enumerate(operators)),
        *(((MAKERS, index), maker) for index, maker in enumerate(maker_ids)),
    )
    kinds = (
        (PARTIES, "parties", len(party_ids), MAX_PARTIES),
        ("operator", "operators", len(operators), MAX_OPERATORS),
        (MAKERS, "chip makers", len(maker_ids), MAX_MAKERS),
    )
    for key, what, count, maximum in kinds:
        if not 1 <= count <= maximum:
            yield Fault(where=(key,), reason=f"expected 1 to {maximum} {what}, got {count}")
    seen = set[str]()
    for where, one in named:
        if not is_name(one):
            yield Fault(where=where, reason=f"expected {NAME_RULE}, got {one[:80]!r}")
        elif one in seen:
            yield Fault(where=where, reason=f"expected a name that nobody else has, got {one!r} once more")
        seen.add(one)
    for index, (operator, party) in enumerate(operators):
        if party is not None and party not in party_ids:
            reason = f"expected a party of the roster as that of operator {operator}, got {party!r}"
            yield Fault(where=("operator", index, "party"), reason=reason)


def _find_kind_faults(
    maker_ids: tuple[str, ...], attester_kinds: tuple[tuple[str, str], ...]
) -> Iterator[Fault]:
    """Yield what is wrong with the kinds of attesters: each is of one maker, and has a name (VN-17.1)."""
    named = [maker for maker, _ in attester_kinds]
    for maker in dict.fromkeys(named):
        if maker not in maker_ids or named.count(maker) > 1:
            yield Fault(
                where=(MAKERS,), reason=f"expected one kind of attester for a chip maker, got {maker!r}"
            )
    for maker, kind in attester_kinds:
        if _KIND.fullmatch(kind) is None:
            reason = f"expected a kind of attester such as TPM2 for {maker}, got {kind[:80]!r}"
            yield Fault(where=(MAKERS,), reason=reason)


def find_owner_faults(
    operators: Operators, beneficial_owners: tuple[tuple[str, str], ...]
) -> Iterator[Fault]:
    """Yield what is wrong with who stands behind operators: each is named once, as the proposals name it."""
    known = [operator for operator, _ in operators]
    named = [operator for operator, _ in beneficial_owners]
    for operator in dict.fromkeys(named):
        if operator not in known or named.count(operator) > 1:
            reason = f"expected one beneficial owner for an operator, got {operator!r}"
            yield Fault(where=("operator",), reason=reason)
    for operator, owner in beneficial_owners:
        if not 1 <= len(owner) <= MAX_OWNER or not owner.isprintable():
            where: Where = (
                ("operator", known.index(operator), OWNER_KEY) if operator in known else ("operator",)
            )
            reason = f"expected a printable beneficial owner of 1 to {MAX_OWNER} characters"
            yield Fault(where=where, reason=reason)


def split_maker(text: str) -> tuple[str, str | None]:
    """Return a chip maker and the kind of its attesters, if said, of ``NAME`` or ``NAME:KIND``."""
    maker_id, colon, kind = text.partition(":")
    return maker_id, kind if colon else None


def spell_maker(plan: TreatyPlan, maker_id: str) -> str:
    """Return ``NAME``, or ``NAME:KIND`` where the plan says one."""
    kind = plan.find_kind(maker_id)
    return maker_id if kind is None else f"{maker_id}:{kind}"


def find_band_faults(bands: tuple[Band, ...]) -> Iterator[Fault]:
    """Yield what is wrong with the bands (VN-3.3)."""
    if len(bands) > MAX_BANDS:
        yield Fault(where=("band",), reason=f"expected at most {MAX_BANDS} bands, got {len(bands)}")
    for index, band in enumerate(bands):
        yield from _find_unwritable(band, ("band", index))
    try:
        verify_bands(bands)
    except ValueError as error:
        yield Fault(where=("band",), reason=str(error))


def find_time_faults(times: Mapping[str, Milliseconds], actions: set[ActionClass]) -> Iterator[Fault]:
    """Yield what is wrong with the durations that are there."""
    can_be_zero = {"report-grace", "refresh", "suspension"}
    for key, duration in times.items():
        if not (0 if key in can_be_zero else 1) <= duration <= MAX_DURATION_MS:
            yield Fault(where=("times", key), reason=f"expected {key} above zero, and of at most 366 days")
    lease = times.get("lease", 0)
    if lease % MS_PER_S:
        reason = f"expected a lease of whole seconds, as witnesses state time, got {lease} ms"
        yield Fault(where=("times", "lease"), reason=reason)
    is_suspending = ActionClass.EMERGENCY_SUSPENSION in actions
    if is_suspending and times.get("suspension") == 0:
        reason = "expected a suspension time, because there is an emergency-suspension, got none"
        yield Fault(where=("times", "suspension"), reason=reason)
    if times.get("suspension", 0) and not is_suspending:
        reason = "expected no suspension time, because nobody decides an emergency-suspension"
        yield Fault(where=("times", "suspension"), reason=reason)


def find_witness_faults(count: int, max_colluding: int | None, witness_quorum: int | None) -> Iterator[Fault]:
    """Yield why so many of the parties' witnesses do not exclude a split view unseen (VN-3.4)."""
    quorum, colluding = compute_witnessing(count, max_colluding, witness_quorum)
    smallest = compute_smallest_quorum(count, colluding)
    if not count or (quorum <= count and 2 * quorum - count > colluding):
        return
    key = "colluding" if smallest > count else "quorum"
    hint = f"k from {smallest} to {count}" if smallest <= count else f"f of at most {count - 1}"
    got = f"2 x {quorum} - {count} = {2 * quorum - count} with f = {colluding}"
    if quorum > count:
        got = f"k = {quorum} of n = {count} with f = {colluding}"
    reason = f"expected 2k - n > f of the witnesses, so {hint}, got {got}"
    yield Fault(where=("witnesses", key), reason=reason)


def find_class_faults(named: Sequence[ActionClass]) -> Iterator[Fault]:
    """Yield what is wrong with which actions anybody decides (VN-4.6)."""
    if list(named) != [action for action in ActionClass if action in named]:
        yield Fault(where=("action",), reason="expected each action class at most once, in their order")
    for action in (missing for missing in REQUIRED if missing not in named):
        yield Fault(where=("action",), reason=f"expected an action.{action}: without it nothing is regulated")
    for action in (wrong for wrong in named if wrong in IMPOSSIBLE):
        reason = f"expected no action.{action}: no quorum can decide it, however large"
        yield Fault(where=("action", action.value), reason=reason)
    if ActionClass.SUSPENSION_CONFIRMATION in named and ActionClass.EMERGENCY_SUSPENSION not in named:
        reason = "expected an action.emergency-suspension beside the confirmation of suspensions"
        yield Fault(where=("action", ActionClass.SUSPENSION_CONFIRMATION.value), reason=reason)


def find_action_faults(party_ids: tuple[str, ...], actions: Actions) -> Iterator[Fault]:
    """Yield what is wrong with who decides what."""
    yield from find_class_faults([action for action, _ in actions])
    for action, quorum in actions:
        yield from _find_unwritable(quorum, ("action", action.value))
        for party in (stranger for stranger in quorum.parties if stranger not in party_ids):
            reason = f"expected parties of the roster, got {party!r}"
            yield Fault(where=("action", action.value), reason=reason)
    yield from find_group_faults(actions)


def find_group_faults(actions: Actions) -> Iterator[Fault]:
    """Yield that there are too many different thresholds, each of which gets a group of keys (VN-3.2)."""
    count = len(list_leaves(quorum for _, quorum in actions))
    if count <= MAX_GROUPS:
        return
    first = next(
        action
        for number, (action, _) in enumerate(actions, start=1)
        if len(list_leaves(quorum for _, quorum in actions[:number])) > MAX_GROUPS
    )
    reason = f"expected at most {MAX_GROUPS} different thresholds in all actions, got {count}"
    yield Fault(where=("action", first.value), reason=reason)


def _find_unwritable(part: Record, where: Where) -> Iterator[Fault]:
    """Yield why a part cannot be written into a treaty, if it cannot."""
    try:
        part.to_bytes()
    except EncodingError as error:
        yield Fault(where=where, reason=str(error))


def _can_grant_without(quorum: Quorum, party: str) -> bool:
    """Whether a run can be granted that this party proposes, though everybody wants it."""
    choices = dict.fromkeys(quorum.parties, Choice.GRANT)
    if quorum.recusal is Recusal.GRANTS and party in choices:
        choices[party] = Choice.ABSTAIN
    return quorum.decide(choices, recused=frozenset({party}), is_closed=True) is Decision.GRANTED
