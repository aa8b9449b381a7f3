"""What watchers see: the newest of each kind, in order, and never a queue."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.service.bulletin import Bulletin, Changed
from vetonet.voting.signing import RequestCommitments
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


def name_culprit(party_id: str) -> NameCulprits:
    return NameCulprits(party_ids=(party_id,), reason="silent")


def list_named(bulletin: Bulletin, digest: bytes = A) -> list[str]:
    """Whom a watcher that comes now is told of."""
    news = [notice.news for notice in bulletin.list_after(0, digest)]
    return [name for named in news if isinstance(named, NameCulprits) for name in named.party_ids]


def test_whoever_was_named_is_named_until_signing_is_over() -> None:
    bulletin = Bulletin(1)
    bulletin.announce_signing(A, 1, (name_culprit("p1"),), is_over=False)
    bulletin.announce_signing(B, 1, (name_culprit("p3"),), is_over=False)
    seen = bulletin.last_sequence
    bulletin.announce_signing(A, 1, (name_culprit("p2"),), is_over=True)
    assert [notice.news for notice in bulletin.list_after(seen)] == [name_culprit("p2")]
    assert list_named(bulletin) == ["p2"]  # with whom it ended: nobody else would hear of it
    bulletin.announce_signing(A, 2, (), is_over=True)
    assert (list_named(bulletin), list_named(bulletin, B)) == ([], ["p3"])


def test_whoever_is_named_again_is_named_once_and_let_go_once() -> None:
    bulletin = Bulletin(1)
    for _ in range(2):
        bulletin.announce_signing(A, 1, (name_culprit("p1"),), is_over=False)
    assert list_named(bulletin) == ["p1"]
    for _ in range(2):
        bulletin.announce_signing(A, 1, (), is_over=True)
    assert list_named(bulletin) == []


def test_another_treaty_leaves_how_things_stand_and_nothing_that_was_asked_or_told() -> None:
    # VN-16.8: whoever was asked or named may be on no roster that a watcher knows.
    bulletin = Bulletin(1)
    asked = RequestCommitments(attempt=0, party_ids=("p1",), deadline_ms=1)
    for digest in (A, B):
        bulletin.post(digest, Changed())
        bulletin.announce_signing(digest, 0, (name_culprit("p1"), asked), is_over=False)
    bulletin.end_epoch()
    assert [notice.news for notice in bulletin.list_after(0)] == [Changed(), Changed()]


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
