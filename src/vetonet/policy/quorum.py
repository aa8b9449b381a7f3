"""Who must agree: a threshold over the roster, with veto holders and recusal (VN-4).

One threshold leaf is one FROST group. Expressions of several leaves (AllOf, AnyOf) come with the governance
issue; this is the leaf they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vetonet.encoding.record import Record, flag, many, member, tstr, uint

MAX_PARTIES: Final = 128


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Record):
    """At least ``min_grants`` of the electorate must grant, and no veto holder may veto.

    The denominator is always the whole electorate: abstention, absence and recusal never lower the bar, so
    nobody gains by silencing somebody.

    Attributes:
        min_grants: k, at least floor(n/2) + 1 unless ``minority`` says that the treaty wants less.
        electorate: ids of the n parties that count, each once.
        veto_holders: ids of the parties whose VETO ends the proposal; all of them in the electorate.
        minority: whether the treaty deliberately lets fewer than half decide.
    """

    min_grants: int = member(1, uint(MAX_PARTIES))
    electorate: tuple[str, ...] = member(2, many(tstr(64), maximum=MAX_PARTIES))
    veto_holders: tuple[str, ...] = member(3, many(tstr(64), maximum=MAX_PARTIES))
    minority: bool = member(4, flag())

    def __post_init__(self) -> None:
        """Refuse an empty or repeated electorate, a threshold out of range, a stranger's veto (VN-4.1)."""
        size, holders = len(self.electorate), set(self.veto_holders)
        if not size or len(set(self.electorate)) < size or len(holders) < len(self.veto_holders):
            msg = "expected a non-empty electorate and veto holders without duplicates"
            raise ValueError(msg)
        if not holders <= set(self.electorate):
            msg = f"veto holders outside the electorate: {sorted(holders - set(self.electorate))}"
            raise ValueError(msg)
        lowest = 1 if self.minority else size // 2 + 1
        if not lowest <= self.min_grants <= size:
            msg = f"expected a threshold from {lowest} to {size} of {size} parties, got {self.min_grants}"
            raise ValueError(msg)

    def is_vetoed(self, choices: Mapping[str, Choice]) -> bool:
        """Whether a veto holder vetoed (VN-4.3); the recused keep their veto."""
        return any(choices.get(holder) is Choice.VETO for holder in self.veto_holders)

    def has_quorum(self, choices: Mapping[str, Choice], recused: AbstractSet[str] = frozenset()) -> bool:
        """Whether enough of the electorate granted, the recused not counted (VN-4.2)."""
        grants = sum(choices.get(party) is Choice.GRANT and party not in recused for party in self.electorate)
        return grants >= self.min_grants

    def decide(
        self, choices: Mapping[str, Choice], *, recused: AbstractSet[str] = frozenset(), is_closed: bool
    ) -> Decision:
        """Return what these choices amount to: the truth table of VN-4.4.

        Args:
            choices: one choice for each party that voted; strangers are ignored.
            recused: parties whose grant does not count.
            is_closed: whether the voting window is over.
        """
        if not is_closed:
            return Decision.PENDING
        if self.is_vetoed(choices):
            return Decision.VETOED
        return Decision.GRANTED if self.has_quorum(choices, recused) else Decision.EXPIRED
