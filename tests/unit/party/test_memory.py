"""What a party never forgets: durable before anything leaves it, and read back as it was (VN-6.4, VN-7.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from support.world import NOW_MS, make_council
from vetonet.crypto import frost
from vetonet.errors import RefusedError, StorageError
from vetonet.party.memory import DIRECT_BALLOT, OWN_BALLOT, SHARE, GivenShare, PartyMemory
from vetonet.policy.quorum import Choice
from vetonet.storage import MemoryJournal
from vetonet.storage.journal import Record

COUNCIL = make_council(3, 2)
PROPOSAL = COUNCIL.sign_proposal()
DIGEST = PROPOSAL.payload_digest
LICENCE, OTHER = b"\x01" * 32, b"\x02" * 32


class FullJournal(MemoryJournal):
    """A journal without room."""

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        raise StorageError(f"no room for {len(records)}")


def commitments(count: int = 1) -> tuple[frost.SigningCommitments, ...]:
    share = COUNCIL.key_shares["p1"][0].share
    return tuple(frost.commit(share, COUNCIL.rng)[1] for _ in range(count))


def given(
    statement: bytes = LICENCE,
    *,
    nonces: tuple[frost.SigningCommitments, ...] | None = None,
    lease: int = 0,
    attempt: int = 0,
    digest: bytes = DIGEST,
    treaty: bytes | None = None,
) -> GivenShare:
    return GivenShare(
        digest=digest,
        lease=lease,
        treaty_digest=treaty,
        attempt=attempt,
        statement_digest=statement,
        commitments=commitments() if nonces is None else nonces,
    )


Memories = Callable[[], PartyMemory]


@pytest.fixture(params=["in one life", "restarted each time"])
def memories(request: pytest.FixtureRequest) -> Memories:
    """The same memory again and again: the object, or a new one over its journal."""
    journal = MemoryJournal()
    kept = PartyMemory.open(journal)
    return (lambda: kept) if request.param == "in one life" else lambda: PartyMemory.open(journal)


def test_a_ballot_is_kept_and_a_different_one_refused(memories: Memories) -> None:
    # VN-6.4
    ballot = COUNCIL.sign_ballot("p1", PROPOSAL)
    memories().keep_ballot(ballot, NOW_MS)
    memories().keep_ballot(ballot, NOW_MS + 1)
    assert memories().own_ballots == {DIGEST: ballot.data}
    for other in (
        COUNCIL.sign_ballot("p1", PROPOSAL, Choice.VETO),
        COUNCIL.sign_ballot("p1", PROPOSAL, cast_ms=NOW_MS + 1),
    ):
        with pytest.raises(RefusedError, match="different ballot") as caught:
            memories().keep_ballot(other, NOW_MS)
        assert caught.value.clause == "VN-6.4"
    memories().keep_ballot(COUNCIL.sign_ballot("p1", COUNCIL.sign_proposal()), NOW_MS)
    assert memories().own_ballots[DIGEST] == ballot.data


def test_a_direct_ballot_is_kept_once_with_the_time_when_it_first_came(memories: Memories) -> None:
    veto = COUNCIL.sign_ballot("p3", PROPOSAL, Choice.VETO).data
    memories().keep_direct(veto, NOW_MS)
    memories().keep_direct(veto, NOW_MS + 1)
    assert memories().direct_ballots == {veto: NOW_MS}


def test_another_statement_of_the_same_task_is_refused(memories: Memories) -> None:
    # VN-7.3
    memories().keep_share(given(), NOW_MS)
    memories().keep_share(given(attempt=1), NOW_MS)
    for attempt in (0, 1, 2):
        with pytest.raises(RefusedError, match="another licence of proposal") as caught:
            memories().keep_share(given(OTHER, attempt=attempt), NOW_MS)
        assert caught.value.clause == "VN-7.3"
    memories().keep_share(given(OTHER, lease=1), NOW_MS)
    memories().keep_share(given(OTHER, digest=b"\x03" * 32), NOW_MS)


FIRST, SECOND = b"\x04" * 32, b"\x05" * 32
"""Digests of two treaties."""


def test_a_lease_is_signed_once_under_each_treaty(memories: Memories) -> None:
    # VN-14.3, VN-16.8: the statement of the next epoch is another, and the run needs it.
    memories().keep_share(given(LICENCE, lease=1, treaty=FIRST), NOW_MS)
    memories().keep_share(given(OTHER, lease=1, treaty=SECOND), NOW_MS)
    for statement, treaty in ((OTHER, FIRST), (LICENCE, SECOND)):
        with pytest.raises(RefusedError, match="another lease 1 of proposal") as caught:
            memories().keep_share(given(statement, lease=1, treaty=treaty), NOW_MS)
        assert caught.value.clause == "VN-7.3"


def test_a_lease_that_was_kept_before_treaties_were_named_binds_under_each(memories: Memories) -> None:
    memories().keep_share(given(LICENCE, lease=1), NOW_MS)
    for treaty in (FIRST, SECOND):
        with pytest.raises(RefusedError, match="another lease 1"):
            memories().keep_share(given(OTHER, lease=1, treaty=treaty), NOW_MS)
        memories().keep_share(given(LICENCE, lease=1, treaty=treaty), NOW_MS)


def test_a_nonce_that_is_burnt_is_burnt_for_everything(memories: Memories) -> None:
    # VN-7.2: also for the same statement, another lease and another matter.
    burnt, fresh = commitments(2)
    memories().keep_share(given(nonces=(burnt,)), NOW_MS)
    for again in (
        given(nonces=(burnt,)),
        given(nonces=(burnt,), attempt=1),
        given(nonces=(burnt,), lease=1),
        given(OTHER, nonces=(burnt,), digest=b"\x03" * 32),
        given(nonces=(fresh, burnt)),
    ):
        with pytest.raises(RefusedError, match="burnt") as caught:
            memories().keep_share(again, NOW_MS)
        assert caught.value.clause == "VN-7.3"
    memories().keep_share(given(nonces=(fresh,)), NOW_MS)


def test_two_seats_do_not_share_a_nonce() -> None:
    # VN-7.2
    (one,) = commitments()
    with pytest.raises(RefusedError, match="burnt"):
        PartyMemory.open(MemoryJournal()).keep_share(given(nonces=(one, one)), NOW_MS)


def test_what_could_not_be_made_durable_is_not_kept() -> None:
    # VN-7.3: no share leaves over a record that is not on the disk.
    memory = PartyMemory.open(FullJournal())
    ballot = COUNCIL.sign_ballot("p1", PROPOSAL)
    share = given()
    steps: tuple[Callable[[], None], ...] = (
        lambda: memory.keep_ballot(ballot, NOW_MS),
        lambda: memory.keep_direct(ballot.data, NOW_MS),
        lambda: memory.keep_share(share, NOW_MS),
    )
    for step in steps * 2:
        with pytest.raises(StorageError, match="no room"):
            step()
    assert (memory.own_ballots, memory.direct_ballots) == ({}, {})


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("leaf", b""),
        ("own-ballot2", b""),
        (OWN_BALLOT, b""),
        (OWN_BALLOT, b"\xd2\x84"),
        (SHARE, b""),
        (SHARE, given().to_bytes()[:-1]),
        (SHARE, given().to_bytes() + b"\x00"),
    ],
)
def test_a_journal_that_is_not_a_partys_is_refused(kind: str, payload: bytes) -> None:
    journal = MemoryJournal()
    journal.append((Record(kind=kind, request_id=None, payload=payload, recorded_at_ms=NOW_MS),))
    with pytest.raises(StorageError):
        PartyMemory.open(journal)


def test_a_long_memory_is_read_to_its_end() -> None:
    journal = MemoryJournal()
    memory = PartyMemory.open(journal)
    ballots = [COUNCIL.sign_ballot("p1", COUNCIL.sign_proposal()) for _ in range(300)]
    for ballot in ballots:
        memory.keep_ballot(ballot, NOW_MS)
    assert PartyMemory.open(journal).own_ballots == memory.own_ballots
    assert len(memory.own_ballots) == 300


def test_no_secret_goes_into_the_journal() -> None:
    # A nonce or a key share on the disk is what a thief of the disk would need.
    share = COUNCIL.key_shares["p1"][0].share
    nonces, commitment = frost.commit(share, COUNCIL.rng)
    journal = MemoryJournal()
    PartyMemory.open(journal).keep_share(given(nonces=(commitment,)), NOW_MS)
    secrets = [frost.group.scalar_to_bytes(scalar) for scalar in (*nonces.take(), share.signing_share)]
    (stored,) = journal.read(0, 9)
    assert not any(secret in stored.record.payload for secret in secrets)
    assert stored.record.kind != DIRECT_BALLOT
