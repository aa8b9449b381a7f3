"""What ``vetonet explain`` says of each claim: the question, what is proven, by whom, and what is not.

Every sentence is for somebody who knows no cryptography. It is true of every bundle on which the claim holds,
so it names no figures: those are worked out beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vetonet.compliance.result import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimWords:
    """One claim in plain words.

    Attributes:
        question: what was asked.
        shown: what is proven where the claim holds and counts stand in clear.
        shown_hidden: the same where totals are confidential; empty for the same words.
        by: whose signatures or arithmetic show it.
        by_hidden: the same where totals are confidential; empty for the same words.
        not_shown: what it does not say, even where it holds.
        not_shown_hidden: what else it does not say where totals are confidential.
    """

    question: str
    shown: str
    by: str
    not_shown: str
    shown_hidden: str = ""
    by_hidden: str = ""
    not_shown_hidden: str = ""


VERDICTS: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        Verdict.COMPLIANT: (
            "All that the treaty asks for is shown by this file, and nothing in it speaks against that."
        ),
        Verdict.INCONCLUSIVE: (
            "Something that the treaty asks for is not shown, or the public record contradicts itself. That "
            "accuses nobody: more evidence may show it, and whoever made this file may have left it out."
        ),
        Verdict.VIOLATION: (
            "A rule of the treaty was broken: the file holds two things that cannot both be in order. Which "
            "they are stands below."
        ),
    }
)

WORDS: Final[Mapping[str, ClaimWords]] = MappingProxyType(
    {
        "record": ClaimWords(
            question="Is the public record in order?",
            shown="Every entry of the log is one that the rules of the treaty let in.",
            by="whoever signed each entry; the log and its witnesses, who vouch for one list of entries",
            not_shown="What was logged after the last entry in this file.",
        ),
        "authority": ClaimWords(
            question="Did the parties allow the work?",
            shown=(
                "All work that needed a licence ran under one of this log, on the chips it names, within its "
                "time, and while the consent of the parties (the lease) lasted."
            ),
            by="the parties' joint signature under each licence and lease; the chips' under their reports",
            not_shown="Work that no chip reported.",
        ),
        "genuineness": ClaimWords(
            question="Are the reports genuine?",
            shown=(
                "Each report was signed by a chip that its maker vouches for, which ran firmware that counts "
                "as good, could not be debugged, and noticed no tampering."
            ),
            by="each chip's key, its maker's root key in the treaty, and the maker's list of revoked chips",
            not_shown="That nobody opened a chip without its noticing.",
        ),
        "freshness": ClaimWords(
            question="Were the reports made when they say?",
            shown=(
                "Each report was made after a state of the log that it names, and before the log held the "
                "list of the operator with it."
            ),
            by="the times that the log's witnesses signed",
            not_shown=(
                "The second in which anything happened: the log dates a report between two of its states."
            ),
        ),
        "continuity": ClaimWords(
            question="Is any chip's account broken?",
            shown="Each chip's reports follow from one another: none is missing, altered, or there twice.",
            by="the chips themselves: each report names the fingerprint of the one before it",
            not_shown="What a chip would report after the last of these reports.",
        ),
        "publication": ClaimWords(
            question="Are these the reports that the operator published?",
            shown="The reports in this file are exactly those that the operators' lists in the log name.",
            by="the operators' signatures under those lists",
            not_shown="That an operator has no chips of which nobody knows.",
        ),
        "budget": ClaimWords(
            question="Did the work stay within what was licensed?",
            shown=(
                "By the reports in this file, all chips together, each chip, and each chip in each lease "
                "computed no more than was allowed."
            ),
            by="the counts in the chips' reports, added up here",
            not_shown=(
                "What the work was good for: a count says nothing of models or data. What a report that is "
                "missing would add: publication and coverage ask whether one is."
            ),
            shown_hidden=(
                "By the reports in this file, all chips of each licence together computed no more than it "
                "allows."
            ),
            by_hidden=(
                "the sealed counts in the chips' reports, and the operator's proof that their sum is below "
                "the limit, recomputed here"
            ),
            not_shown_hidden=(
                "How much was computed. What a single chip computed, or all in one lease: each chip keeps "
                "those limits itself, and nobody else sees it."
            ),
        ),
        "coverage": ClaimWords(
            question="Did every chip account for its time?",
            shown=(
                "Every chip of a licence, and every chip that was registered before it, accounts for all its "
                "time while the licence ran."
            ),
            by="the chips' reports, side by side with the register in the log",
            not_shown="Chips that nobody registered.",
        ),
        "plausibility": ClaimWords(
            question="Is it physically possible?",
            shown=(
                "No chip claims more computing than its model can do in the time and the format, more "
                "power than it can draw, or more traffic than its links carry."
            ),
            by="the makers' figures for each model, held against the reports",
            not_shown="That a possible count is the true one.",
            shown_hidden=(
                "By the reports in this file, all chips of a licence together computed no more than their "
                "models can do in the time, and with the energy, that they report; no chip claims more power "
                "or traffic than is possible."
            ),
            by_hidden="the makers' figures for each model, and the operator's proof about the hidden sum",
        ),
        "aggregation": ClaimWords(
            question="Is much work hidden in many small pieces?",
            shown=(
                "By the reports in this file, what each operator, and each owner behind several, ran without "
                "any licence stays below what needs one, all together; linked runs count as one when they "
                "are licensed."
            ),
            by="the counts in the chips' reports, added up by owner",
            not_shown=(
                "Owners behind owners: who stands behind an operator is what the treaty says. What a report "
                "that is missing would add."
            ),
            by_hidden="the sealed counts in the chips' reports, and the operators' proofs about their sums",
        ),
        "inspection": ClaimWords(
            question="Were the parties' questions answered?",
            shown=(
                "Every challenge in the log to disclose a part of a run's private description was answered, "
                "in time or late, as its operator had committed to; no check of a run's transcript failed."
            ),
            by=(
                "the operators' signatures under their answers, held against what they had committed to "
                "before"
            ),
            not_shown="What nobody asked, and whether what was committed to is true.",
        ),
        "guard": ClaimWords(
            question="Could this file accuse somebody wrongly?",
            shown="Nobody is accused of anything that something under their own signature does not show.",
            by="this program: whoever makes such a file can leave things out or add some",
            not_shown="That whoever is not accused did nothing.",
        ),
    }
)

OF_EVERY_BUNDLE: Final = (
    "What the computing was for, which data and which model: no report says any of that.",
    "Anything that no registered chip computed.",
    "That the keys of parties, makers and operators are where they should be: whoever has a key signs.",
)
"""What no bundle shows, of whatever treaty."""

SIMULATED: Final = (
    "Anything about real chips: those of kind SIMULATED are programs with keys in software, for trials."
)
HIDDEN: Final = (
    "How much anybody computed. A proof shows that a sum is within a limit, and nothing else about it.",
    "That nobody can guess it: whether a chip worked, and its energy in steps of 100 kJ, are in clear.",
    "The last digits: chips seal whole units of 10^15 FLOP, so a sum lacks less than one unit a chip.",
)
COUNTS_HIDDEN: Final = (
    "sealed by the chips: nobody but their operator can read them, anybody can add them up unread"
)
COUNTS_IN_CLEAR: Final = "in clear, for everybody who holds this file"
"""How reports state what a chip computed."""

GLOSSARY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FLOP": "a floating-point operation, in which computing is counted; 1e21 is a 1 with 21 noughts",
        "log": "a public list that only grows: nobody can take an entry out without its being seen",
        "witness": "somebody who vouches that the log showed everybody the same list",
        "quorum": "which parties are enough to decide",
        "licence": "the parties' permission for one run, on named chips, up to a count, until a time",
        "lease": "their consent that it goes on, for a short time; without the next one the chips stop",
        "report": "what a chip says of one interval of its time, under its own signature",
        "band": "a range of totals; the treaty says from which on a licence is needed",
    }
)
HIDDEN_GLOSSARY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sealed count": "a number that nobody can read or change, but add to others (a commitment)",
        "proof": "arithmetic that comes out only if a sum of sealed counts is within a limit (a range proof)",
    }
)
