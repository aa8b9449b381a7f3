"""How ballots become a decision: an expression of thresholds, veto holders, recusal, denominators (VN-4)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from vetonet.encoding.record import Record, many, member, one_of, record, tstr, uint
from vetonet.policy.expression import EXPRESSION, MAX_PARTIES, Expression, Threshold, list_parties


class Choice(StrEnum):
    """What a ballot says."""

    GRANT = "grant"
    VETO = "veto"
    ABSTAIN = "abstain"


class Decision(StrEnum):
    """What the ballots amount to; anything but GRANTED is "no"."""

    PENDING = "pending"
    GRANTED = "granted"
    VETOED = "vetoed"
    EXPIRED = "expired"


class Recusal(StrEnum):
    """What does not count of a party that proposes, or whose operator does (Vault #19214)."""

    GRANTS = "grants"
    BALLOTS = "ballots"


class Denominator(StrEnum):
    """Of whom a share of vetoes is taken.

    ELECTORATE: of all parties. CAST: of those that voted, abstentions included. DECIDED: of those that
    granted or vetoed, abstentions left out. A treaty has to say which (gaia #1900).
    """

    ELECTORATE = "electorate"
    CAST = "cast"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class VetoShare(Record):
    """Vetoes of at least ``numerator / denominator`` of some parties end the vote, whoever casts them."""

    numerator: int = member(1, uint(MAX_PARTIES))
    denominator: int = member(2, uint(MAX_PARTIES))
    of: Denominator = member(3, one_of(Denominator))

    def __post_init__(self) -> None:
        """Refuse a share that nobody, or everybody, always reaches."""
        if not 1 <= self.numerator <= self.denominator:
            raise ValueError(
                f"expected a share of vetoes above 0 and at most 1, got {self.numerator}/{self.denominator}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum(Record):
    """What it takes to decide one class of action.

    Attributes:
        expression: who must grant; its thresholds are the groups that sign.
        veto_holders: ids of the parties whose VETO ends the vote, each alone: a veto by rule.
        veto_share: a share of vetoes that ends it, or None.
        min_ballots: how many of the electorate must have voted at all, 0 for no such rule.
        recusal: what of the proposing party's ballot does not count.
    """

    expression: Expression = member(1, EXPRESSION)
    veto_holders: tuple[str, ...] = member(2, many(tstr(64), maximum=MAX_PARTIES))
    veto_share: VetoShare | None = member(3, record(VetoShare), optional=True)
    min_ballots: int = member(4, uint(MAX_PARTIES))
    recusal: Recusal = member(5, one_of(Recusal))

    def __post_init__(self) -> None:
        """Refuse veto holders twice, and more ballots than there are parties (VN-4.1).

        A veto holder need not be one of those that grant: an inspectorate may only be able to say no.
        """
        if len(set(self.veto_holders)) < len(self.veto_holders):
            raise ValueError("expected veto holders without duplicates")
        if self.min_ballots > len(self.parties):
            raise ValueError(
                f"expected at most {len(self.parties)} ballots to be needed, got {self.min_ballots}"
            )

    @classmethod
    def of_threshold(
        cls,
        min_grants: int,
        electorate: tuple[str, ...],
        veto_holders: tuple[str, ...] = (),
        *,
        minority: bool = False,
    ) -> Quorum:
        """Return the plain quorum: so many of these parties, and no veto of a veto holder.

        Raises:
            ValueError: one that must not exist.
        """
        leaf = Threshold(min_grants=min_grants, electorate=electorate, weights=(), minority=minority)
        return cls(
            expression=leaf, veto_holders=veto_holders, veto_share=None, min_ballots=0, recusal=Recusal.GRANTS
        )

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody whose ballot can matter: those that grant, then those that can only veto."""
        return tuple(dict.fromkeys((*list_parties(self.expression), *self.veto_holders)))

    @property
    def leaves(self) -> tuple[Threshold, ...]:
        """The thresholds, each of them a FROST group."""
        return self.expression.leaves

    def is_vetoed(self, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()) -> bool:
        """Whether a veto holder vetoed, or vetoes reached the treaty's share (VN-4.3)."""
        counted = self._count(choices, recused)
        vetoes = sum(choice is Choice.VETO for choice in counted.values())
        if any(counted.get(holder) is Choice.VETO for holder in self.veto_holders):
            return True
        share = self.veto_share
        if share is None or not vetoes:
            return False
        decided = sum(choice is not Choice.ABSTAIN for choice in counted.values())
        totals = {
            Denominator.ELECTORATE: len(self.parties),
            Denominator.CAST: len(counted),
            Denominator.DECIDED: decided,
        }
        return vetoes * share.denominator >= share.numerator * totals[share.of]

    def list_granting(
        self, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()
    ) -> tuple[str, ...]:
        """Return the parties whose grant counts (VN-4.2, VN-4.5)."""
        counted = self._count(choices, recused)
        return tuple(party for party in self.parties if counted.get(party) is Choice.GRANT)

    def count_ballots(self, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()) -> int:
        """Return how many ballots count, whatever they say (VN-4.2, VN-4.5)."""
        return len(self._count(choices, recused))

    def has_quorum(self, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()) -> bool:
        """Whether enough voted, and those that granted are enough (VN-4.2)."""
        if self.count_ballots(choices, recused) < self.min_ballots:
            return False
        return self.expression.select(frozenset(self.list_granting(choices, recused))) is not None

    def decide(
        self, choices: Mapping[str, Choice], *, recused: AbstractSet[str] = frozenset(), is_closed: bool
    ) -> Decision:
        """Return what these choices amount to: the truth table of VN-4.4.

        Args:
            choices: one choice for each party that voted; strangers are ignored.
            recused: parties of which ``recusal`` does not count.
            is_closed: whether the voting window is over.
        """
        if not is_closed:
            return Decision.PENDING
        if self.is_vetoed(choices, recused):
            return Decision.VETOED
        return Decision.GRANTED if self.has_quorum(choices, recused) else Decision.EXPIRED

    def _count(self, choices: Mapping[str, Choice], recused: AbstractSet[str]) -> Mapping[str, Choice]:
        """Return the ballots that count: of the electorate, without what recusal takes away."""
        return {
            party: choices[party]
            for party in self.parties
            if party in choices and not (party in recused and self._is_struck(choices[party]))
        }

    def _is_struck(self, choice: Choice) -> bool:
        return self.recusal is Recusal.BALLOTS or choice is Choice.GRANT
