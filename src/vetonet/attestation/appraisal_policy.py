"""Appraisal policies: rules that each look at one thing, put together so that all of them speak (VN-17.9).

A rule says what is wrong; ``judge`` says as well what it found to be right. A policy asks every rule,
whatever the others found. Whether evidence is authentic is no rule: only authentic evidence gets here, so
nothing is ever said for bytes that anybody could have made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeAlias, TypeVar

from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import Judgement

E_contra = TypeVar("E_contra", contravariant=True)
E = TypeVar("E")

Found: TypeAlias = tuple[str, str]
"""A reason code, and what is wrong, in words that follow "the report"."""


class AppraisalRule(Protocol[E_contra]):
    """What looks at one side of evidence; a policy is one too, and so is a rule of anybody's own."""

    def find_problems(self, evidence: E_contra, /) -> Iterable[Found]:
        """Yield what is wrong; nothing where the evidence satisfies the rule."""
        ...

    def judge(self, evidence: E_contra, /) -> Iterable[Judgement]:
        """Yield the judgements: also what was verified is said.

        At least one, except where another rule has to tell of what this one lacks.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleRule(Generic[E]):
    """A rule with one reason code for evidence that satisfies it.

    Attributes:
        GOOD: that code.
        PRAISE: what it says, in words that follow "the report".
    """

    GOOD: ClassVar[str]
    PRAISE: ClassVar[str]

    @abstractmethod
    def find_problems(self, evidence: E, /) -> Iterator[Found]:
        """Yield what is wrong."""

    def praise(self, evidence: E, /) -> str:
        """Return what is said of evidence that satisfies the rule."""
        del evidence
        return self.PRAISE

    def judge(self, evidence: E, /) -> Iterator[Judgement]:
        """Yield a judgement for each problem, or the good one."""
        found = tuple(self.find_problems(evidence)) or ((self.GOOD, self.praise(evidence)),)
        for reason, detail in found:
            yield build_judgement(reason, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalPolicy(Generic[E]):
    """Every one of these rules must be satisfied, and each speaks, whatever the others find.

    Attributes:
        rules: in the order in which they speak; at least one.
    """

    rules: tuple[AppraisalRule[E], ...]

    def __post_init__(self) -> None:
        """Refuse a policy without rules, which every piece of evidence would satisfy."""
        if not self.rules:
            raise ValueError("expected at least one rule: an empty policy accepts everything")

    def find_problems(self, evidence: E, /) -> Iterator[Found]:
        """Yield what every rule finds wrong."""
        for rule in self.rules:
            yield from rule.find_problems(evidence)

    def judge(self, evidence: E, /) -> Iterator[Judgement]:
        """Yield the judgements of every rule."""
        for rule in self.rules:
            yield from rule.judge(evidence)
