"""Part of step 10: what reports are worth whose chip was revoked, or convicted of being cloned (VN-10.6).

The log is the clock. What a batch committed to before a chip was revoked or convicted stands: nobody made it
afterwards. What names a checkpoint from after that was certainly made later, and is held against the chip.
Between the two nobody can tell, so it counts for nothing and accuses nobody; and neither does a report that
its chip was idle, which its owner owes, whatever its maker thinks of the chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.revocation import RevocationList
from vetonet.compliance.case import Found
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.compliance.findings import Undecided
from vetonet.compliance.public_record import PublicRecord
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time


def find_maker_problems(record: PublicRecord, makers: AbstractSet[str]) -> Iterator[Problem]:
    """Yield the makers that the log convicts of giving one identity twice, if chips of theirs reported.

    What another maker did is nothing to a bundle without its chips (VN-17.4).
    """
    for logged in record.registry.convictions:
        conviction = logged.conviction
        if conviction.kind.is_of_maker and conviction.endorser_id in makers:
            detail = f"leaf {logged.leaf_index} proves: {conviction.detail}"
            yield Problem(reason="maker-equivocated", detail=detail, culprit=conviction.endorser_id)


def find_chip_problems(record: PublicRecord, chain: Chain) -> Iterator[Found]:
    """Yield what retirements, revocation lists and conflicts of the log say against reports of a chip."""
    yield from _judge_retired(record, chain)
    for mark in _list_marks(record, chain.device):
        for usage in chain.usages:
            yield _judge_usage(usage, mark, record.checkpoint_sizes)


def _judge_retired(record: PublicRecord, chain: Chain) -> Iterator[Problem]:
    """A chip that is out of service works no more (VN-8.5); that it is idle it may still say."""
    leaf_index = record.retirement_leaves.get(chain.device.ueid)
    if leaf_index is None:
        return
    for usage in chain.usages:
        is_later = record.checkpoint_sizes.get(usage.claims.checkpoint_digest, 0) > leaf_index
        if is_later and (usage.has_worked or usage.claims.licence_id is not None):
            yield about(usage, "device-retired", f"is of work after leaf {leaf_index} retired its chip")


def find_list_problems(
    record: PublicRecord, ends: Mapping[str, Milliseconds], now: Milliseconds
) -> Iterator[Problem]:
    """Yield each maker that has no list which counts up to the newest report of its chips (VN-17.3).

    Args:
        record: whose lists count.
        ends: until when the chips of each maker reported.
        now: when the judgement is made.
    """
    for maker, until_ms in sorted(ends.items()):
        listed = record.registry.revocations.find_newest(maker)
        if listed is None:
            detail = f"the log holds no revocation list of {maker!r}"
            yield Problem(reason="revocation-missing", detail=detail, culprit=maker)
        elif not _covers(listed, min(until_ms, now), now):
            life = f"from {format_time(listed.issued_ms)} to {format_time(listed.expires_ms)}"
            detail = (
                f"revocation list {listed.number} of {maker!r} counts {life}, its chips reported up to "
                f"{format_time(until_ms)}"
            )
            yield Problem(reason="revocation-stale", detail=detail, culprit=maker)


def _covers(listed: RevocationList, until_ms: Milliseconds, now: Milliseconds) -> bool:
    """Whether a list tells who was revoked up to some time, and is not postdated to seem so."""
    return listed.issued_ms <= now and until_ms <= listed.expires_ms


_Mark: TypeAlias = tuple[int, str, str]
"""Since which leaf a chip does not count any more, the reason code, and the same for people."""


def _list_marks(record: PublicRecord, device: EnrolledDevice) -> Iterator[_Mark]:
    revoked, cloned = record.registry.find_revocation(device), record.registry.find_cloning(device)
    if revoked is not None:
        yield revoked, "device-revoked", f"its maker revoked in leaf {revoked}"
    if cloned is not None:
        yield cloned.leaf_index, "device-cloned", f"leaf {cloned.leaf_index} convicts of being cloned"


def _judge_usage(usage: Usage, mark: _Mark, sizes: Mapping[bytes, int]) -> Found:
    """Return what a report is worth; nothing is wrong with one that a batch before the mark commits to."""
    leaf_index, reason, what = mark
    is_idle = usage.claims.licence_id is None and not usage.has_worked
    if sizes.get(usage.claims.checkpoint_digest, 0) > leaf_index and not is_idle:
        problem = about(usage, reason, f"was made by a chip that {what}, and later than that")
    else:
        problem = about(usage, "device-undated", f"may be later than its chip's end: {what}")
    if usage.batch_leaf is not None and usage.batch_leaf < leaf_index:
        return Undecided(batch_leaf=usage.batch_leaf, committed=None, otherwise=problem)
    return problem
