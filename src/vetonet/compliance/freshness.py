"""Step 11: the log is the clock: a report is later than its checkpoint and earlier than its batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.report import NO_DIGEST, ComputeReport
from vetonet.compliance.authority import by_commitment
from vetonet.compliance.case import Case, Found
from vetonet.compliance.evidence import Chain, Usage, about
from vetonet.compliance.findings import Undecided
from vetonet.compliance.public_record import PublicRecord
from vetonet.units import MS_PER_S, format_time

CLOCK_SLACK_MS: Final = 60 * MS_PER_S
"""How far apart the clocks of a chip and of honest witnesses may be before anybody is accused."""


def judge_freshness(case: Case, chain: Chain) -> Iterator[Found]:
    """Step 11: every report names a checkpoint of this log, fresh enough, and the challenge that follows."""
    sizes, newest = case.record.checkpoint_sizes, 0
    for usage in chain.usages:
        claims = usage.claims
        size = sizes.get(claims.checkpoint_digest)
        if claims.window_end_ms > case.now:
            yield about(usage, "ahead-of-clock", f"is about a time after {format_time(case.now)}")
        if not _is_public_challenge(case.record, claims):
            yield about(usage, "challenge-unknown", "answers a challenge that only its verifier knows")
        yield from _judge_checkpoint(case, usage, size, newest)
        yield from _judge_time(case.record, usage)
        newest = max(newest, size or 0)


def _is_public_challenge(record: PublicRecord, claims: ComputeReport) -> bool:
    """Whether a report answers the challenge of its interval, under whatever treaty its chip was then."""
    for digest in record.treaty_digests:
        if claims.challenge == compute_challenge(digest, claims.checkpoint_digest, claims.window_start_ms):
            return True
    return False


def _judge_checkpoint(case: Case, usage: Usage, size: int | None, newest: int) -> Iterator[Found]:
    """A committed report names a checkpoint that the log had before its batch; any other may come later."""
    claims, batch_leaf = usage.claims, usage.batch_leaf
    if claims.checkpoint_digest == NO_DIGEST:
        if claims.licence_id is not None or usage.has_worked:
            yield about(usage, "checkpoint-missing", "was made before the chip saw any checkpoint")
        return  # an idle chip that has not seen the log yet says nothing that needs a clock
    if size is None:
        what = "names a checkpoint that this log does not hold (yet)"
        yield by_commitment(usage, "checkpoint-unknown", "checkpoint-not-shown", what)
        return
    stale = None
    if size < newest or size <= _find_newest_permission(case.record, usage):
        stale = about(
            usage, "checkpoint-stale", f"names the checkpoint of size {size}, older than it must be"
        )
    if batch_leaf is not None and size > batch_leaf:
        early = about(usage, "checkpoint-unknown", "names a checkpoint that the log did not have by then")
        yield Undecided(batch_leaf=batch_leaf, committed=early, otherwise=stale)
    elif stale is not None:
        yield stale


def _judge_time(record: PublicRecord, usage: Usage) -> Iterator[Found]:
    """A batch was made after all that it commits to, and no later than the log was seen with it (VN-11.9)."""
    batch_leaf, end_ms = usage.batch_leaf, usage.claims.window_end_ms
    latest_ms = None if batch_leaf is None else record.find_latest_ms(batch_leaf)
    if batch_leaf is not None and latest_ms is not None and end_ms > latest_ms + CLOCK_SLACK_MS:
        what = f"is about a time after {format_time(latest_ms)}, when the log held it already"
        yield Undecided(batch_leaf=batch_leaf, committed=about(usage, "reported-ahead", what), otherwise=None)


def _find_newest_permission(record: PublicRecord, usage: Usage) -> int:
    """Return the leaf of the licence or lease that a chip had seen when it did this; 0 for none needed."""
    if usage.licence is None:
        return 0
    licence_id = usage.licence.licence_id
    return max(
        record.licence_leaves.get(licence_id, 0),
        record.lease_leaves.get((licence_id, usage.lease_number or 0), 0),
    )
