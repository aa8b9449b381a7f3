"""Part of step 10: what reports are worth whose chip was revoked, or convicted of being cloned (VN-10.6).

The log is the clock. What a batch committed to before a chip was revoked or convicted stands: nobody made it
afterwards. What names a checkpoint from after that was certainly made later, and is held against the chip.
Between the two nobody can tell, so it counts for nothing and accuses nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.revocation import RevocationList
from vetonet.compliance.evidence import Evidence, Usage, about
from vetonet.compliance.public_record import PublicRecord
from vetonet.compliance.publication import Publication
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time


def find_maker_problems(record: PublicRecord) -> Iterator[Problem]:
    """Yield the makers that the log convicts of giving one identity twice (VN-17.4)."""
    for logged in record.registry.convictions:
        conviction = logged.conviction
        if conviction.kind.is_of_maker:
            detail = f"leaf {logged.leaf_index} proves: {conviction.detail}"
            yield Problem(reason="maker-equivocated", detail=detail, culprit=conviction.endorser_id)


def find_identity_problems(
    record: PublicRecord, evidence: Evidence, publication: Publication, now: Milliseconds
) -> Iterator[Problem]:
    """Yield what revocation lists and conflicts of the log say against the reports (VN-17.3, VN-17.4)."""
    yield from _judge_lists(record, evidence, now)
    for chain in evidence.chains.values():
        for mark in _list_marks(record, chain[0].device):
            for usage in chain:
                batch_leaf = publication.committed.get(usage.report.data)
                yield from _judge_usage(usage, mark, batch_leaf, record.checkpoint_sizes)


def _judge_lists(record: PublicRecord, evidence: Evidence, now: Milliseconds) -> Iterator[Problem]:
    """Each maker of a chip that reported has a list that counts up to its newest report."""
    for maker, until_ms in sorted(_compute_ends(evidence).items()):
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


def _compute_ends(evidence: Evidence) -> Mapping[str, Milliseconds]:
    ends: dict[str, Milliseconds] = defaultdict(int)
    for usage in evidence.iter_usages():
        maker = usage.device.enrolment.endorser_id
        ends[maker] = max(ends[maker], usage.claims.window_end_ms)
    return ends


_Mark: TypeAlias = tuple[int, str, str]
"""Since which leaf a chip does not count any more, the reason code, and the same for people."""


def _list_marks(record: PublicRecord, device: EnrolledDevice) -> Iterator[_Mark]:
    revoked, cloned = record.registry.find_revocation(device), record.registry.find_cloning(device)
    if revoked is not None:
        yield revoked, "device-revoked", f"its maker revoked in leaf {revoked}"
    if cloned is not None:
        yield cloned.leaf_index, "device-cloned", f"leaf {cloned.leaf_index} convicts of being cloned"


def _judge_usage(
    usage: Usage, mark: _Mark, batch_leaf: int | None, sizes: Mapping[bytes, int]
) -> Iterator[Problem]:
    leaf_index, reason, what = mark
    if batch_leaf is not None and batch_leaf < leaf_index:
        return
    if sizes.get(usage.claims.checkpoint_digest, 0) > leaf_index:
        yield about(usage, reason, f"was made by a chip that {what}, and later than that")
    else:
        yield about(usage, "device-undated", f"may be later than its chip's end: {what}")
