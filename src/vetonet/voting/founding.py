"""A founding judged by anybody, offline: from what was signed in its ceremonies to the treaty's groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vetonet.crypto import frost
from vetonet.errors import EncodingError
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.founding import FoundingRecord, SpoiltCeremony, plan_ceremonies
from vetonet.policy.succession_plan import Succession
from vetonet.policy.treaty import Terms, Treaty
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_transcript import CeremonyAbortedError, CeremonyVerdict


def read_group(plan: CeremonyPlan, statements: Iterable[bytes]) -> frost.PublicKeyPackage:
    """Return the group that a ceremony made; no secret is needed, nor to have taken part.

    Raises:
        CeremonyAbortedError: it made none; the verdict says through whom.
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError, RefusedError: a statement is
            none of this ceremony's.
        ProtocolError: every statement is right, and yet they make no key.
    """
    outcome = replay_transcript(plan, statements)
    if isinstance(outcome, CeremonyVerdict):
        raise CeremonyAbortedError(outcome)
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTranscript:
    """What participants showed of a ceremony to somebody who took no part, put together.

    Attributes:
        plan: what was agreed before.
        statements: each once, in the order in which they were shown.
        package: the group, once it follows from them.
        verdict: who spoilt it, or who is silent as far as they go; None where nothing was shown.
    """

    plan: CeremonyPlan = field(repr=False)
    statements: tuple[bytes, ...] = field(default=(), repr=False)
    package: frost.PublicKeyPackage | None = None
    verdict: CeremonyVerdict | None = None

    def add(self, shown: Iterable[bytes]) -> ShownTranscript:
        """Return it with more statements; those that are there already are no news.

        Raises:
            VetonetError: one of them is none of this ceremony's, so none of them counts.
        """
        together = tuple(dict.fromkeys((*self.statements, *shown)))
        if len(together) == len(self.statements):
            return self
        try:
            package = read_group(self.plan, together)
        except CeremonyAbortedError as error:
            return replace(self, statements=together, verdict=error.verdict)
        return replace(self, statements=together, package=package, verdict=None)


def judge_spoilt(terms: Terms, spoilt: SpoiltCeremony) -> CeremonyVerdict | None:
    """Return through whom a ceremony gave no group, as far as what was signed goes; None where it gave one.

    Args:
        terms: the charter, from a source that the reader trusts.
        spoilt: untrusted.

    Raises:
        EncodingError: the charter has no such ceremony.
        VetonetError: as ``read_group``.
    """
    if not spoilt.attempt or spoilt.group >= len(terms.leaves):
        raise EncodingError(f"this charter has no group {spoilt.group} at attempt {spoilt.attempt}")
    try:
        read_group(plan_ceremonies(terms, spoilt.attempt)[spoilt.group], spoilt.statements)
    except CeremonyAbortedError as error:
        return error.verdict
    return None


def verify_takeover(succession: Succession, treaty: Treaty, kept: FoundingRecord) -> None:
    """Hold that each group of a later treaty is kept, or came of a ceremony under its old key.

    Raises:
        EncodingError: the record is not this treaty's: ceremonies are missing, or gave other groups.
        RefusedError: the treaty may not follow the one in force (VN-16).
        VetonetError: as ``read_group``.
    """
    succession.verify(treaty)
    if not len(treaty.groups) == len(kept.transcripts) == len(succession.plans):
        raise EncodingError(f"expected {len(treaty.groups)} ceremonies, got {len(kept.transcripts)}")
    for group, plan, shown in zip(treaty.all_groups, succession.plans, kept.transcripts, strict=True):
        made = read_group(plan, shown.statements) if isinstance(plan, CeremonyPlan) else plan
        if group.package != made:
            raise EncodingError(f"group {group.index} of the treaty did not come of its ceremony")


def verify_founding(treaty: Treaty, kept: FoundingRecord) -> None:
    """Hold that each group of a treaty is the one that the parties made for its charter, without a dealer.

    Raises:
        EncodingError: the record is not this treaty's: ceremonies are missing, or gave other groups.
        VetonetError: as ``read_group``.
    """
    plans = plan_ceremonies(treaty.to_terms(), kept.attempt) if kept.attempt else ()
    if len(plans) != len(kept.transcripts):
        raise EncodingError(f"expected {len(treaty.groups)} ceremonies, got {len(kept.transcripts)}")
    for group, plan, transcript in zip(treaty.all_groups, plans, kept.transcripts, strict=True):
        if read_group(plan, transcript.statements) != group.package:
            raise EncodingError(f"the ceremony of group {group.index} made another group than the treaty has")
