"""What watchers see: the newest of each kind, in order, and never a queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.service.bulletin import Bulletin, Changed
from vetonet.voting.state import NameCulprits

A, B = b"a" * 32, b"b" * 32


def test_a_newer_state_takes_the_place_of_the_older() -> None:
    bulletin = Bulletin(1)
    for digest in (A, B, A):
        bulletin.post(digest, Changed())
    assert [notice.proposal_digest for notice in bulletin.list_after(0)] == [B, A]


def test_each_spoilt_attempt_stays_news() -> None:
    bulletin = Bulletin(1)
    for name in ("p1", "p2"):
        bulletin.post(A, NameCulprits(party_ids=(name,), reason="silent"))
    assert len(bulletin.list_after(0)) == 2


def test_one_proposal_is_listed_alone() -> None:
    bulletin = Bulletin(1)
    bulletin.post(A, Changed())
    bulletin.post(B, Changed())
    assert [notice.proposal_digest for notice in bulletin.list_after(0, A)] == [A]


@given(st.lists(st.sampled_from([A, B]), max_size=30), st.integers(0, 30))
def test_a_watcher_that_reads_at_any_time_ends_with_the_newest_of_each(posts: list[bytes], stop: int) -> None:
    bulletin, seen, newest = Bulletin(1), 0, {}
    for number, digest in enumerate(posts):
        if number == stop:
            newest = {notice.proposal_digest: notice.sequence for notice in bulletin.list_after(0)}
            seen = bulletin.last_sequence
        bulletin.post(digest, Changed())
    newest |= {notice.proposal_digest: notice.sequence for notice in bulletin.list_after(seen)}
    assert newest == {notice.proposal_digest: notice.sequence for notice in bulletin.list_after(0)}
    assert set(newest) == set(posts)


def test_a_later_incarnation_begins_above_every_sequence_before() -> None:
    first = Bulletin(1)
    for _ in range(100):
        first.post(A, Changed())
    second = Bulletin(2)
    assert second.last_sequence > first.last_sequence


def test_whoever_waits_is_woken_by_news_and_by_the_end() -> None:
    async def scene() -> None:
        bulletin = Bulletin(1)
        waiting = asyncio.create_task(bulletin.wait_beyond(bulletin.last_sequence))
        await asyncio.sleep(0)
        assert not waiting.done()
        bulletin.post(A, Changed())
        await asyncio.wait_for(waiting, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bulletin.wait_beyond(bulletin.last_sequence), 0.01)
        bulletin.close()
        await asyncio.wait_for(bulletin.wait_beyond(bulletin.last_sequence), 1)

    asyncio.run(scene())
