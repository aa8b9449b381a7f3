"""A witness's journal is judged again when it is opened: what the rules would not let in stops it."""

from __future__ import annotations

import pytest

from support.histories import ORIGIN, History, make_history
from vetonet.errors import StorageError
from vetonet.party.witness_memory import WitnessMemory
from vetonet.storage import MemoryJournal, Record
from vetonet.tlog.witness import Conflict, trust_by_name

LOG = make_history()
FORK = LOG.fork(2)
LOG2 = make_history(origin="vetonet.example/log2")
LOGS = trust_by_name([LOG.log_key])


def fill(*payloads: bytes, kind: str = "checkpoint") -> MemoryJournal:
    """Return a journal that holds these records after an honest one."""
    journal = MemoryJournal()
    kinds = ["checkpoint", *[kind] * len(payloads)]
    for each, payload in zip(kinds, (LOG.body(0, 7), *payloads), strict=True):
        journal.append([Record(kind=each, request_id=None, payload=payload, recorded_at_ms=1)])
    return journal


def test_an_empty_journal_knows_nothing() -> None:
    assert dict(WitnessMemory.open(MemoryJournal(), LOGS).state.newest) == {}


def test_an_honest_journal_is_read_to_its_newest_checkpoint() -> None:
    journal = fill(LOG.body(7, 8), LOG.body(8, 12))
    assert WitnessMemory.open(journal, LOGS).state.newest[ORIGIN] == LOG.sign(12)


def test_a_journal_longer_than_a_page_is_read_whole() -> None:
    long = make_history(600)
    journal = MemoryJournal()
    for size in range(1, 600):
        payload = long.body(size - 1, size)
        journal.append([Record(kind="checkpoint", request_id=None, payload=payload, recorded_at_ms=1)])
    assert WitnessMemory.open(journal, LOGS).state.newest[ORIGIN].checkpoint.tree_size == 599


@pytest.mark.parametrize(
    "payload",
    [
        LOG.body(0, 3),
        LOG.body(3, 3),
        LOG.body(3, 12),
        FORK.body(7, 7),
        FORK.body(7, 12),
        FORK.body(0, 12),
        LOG.body(7, 12).replace(b"\n12\n", b"\n11\n"),
        LOG.body(7, 7),
        LOG.sign(12).to_bytes(),
        b"",
        b"old 7\n",
    ],
    ids=[
        "shrinks",
        "an older one again",
        "not from the newest",
        "another root of the same size",
        "a fork",
        "a second beginning",
        "not signed by the log",
        "the same again",
        "no request",
        "empty",
        "cut",
    ],
)
def test_a_record_that_the_rules_would_not_let_in_stops_the_witness(payload: bytes) -> None:
    with pytest.raises(StorageError, match="record 1 of the witness's journal"):
        WitnessMemory.open(fill(payload), LOGS)


def test_a_log_that_is_not_trusted_any_more_stops_the_witness_with_a_way_out() -> None:
    with pytest.raises(StorageError, match=r"record 1 .* trust its key again, or begin a new journal"):
        WitnessMemory.open(fill(LOG2.body(0, 3)), LOGS)


def test_a_record_of_another_program_stops_the_witness() -> None:
    with pytest.raises(StorageError, match="got one of kind ballot"):
        WitnessMemory.open(fill(LOG.body(7, 8), kind="ballot"), LOGS)


@pytest.mark.parametrize("kind", ["split-view", "unproven"])
def test_a_damaged_conflict_stops_the_witness(kind: str) -> None:
    good = Conflict(known=LOG.sign(7), request=FORK.ask(7, 7)).to_bytes()
    assert len(list(WitnessMemory.open(fill(good, kind=kind), LOGS).iter_conflicts())) == 1
    with pytest.raises(StorageError, match="record 1"):
        WitnessMemory.open(fill(good[:-1], kind=kind), LOGS)


@pytest.mark.parametrize("other", [LOG, FORK])
def test_a_conflict_is_kept_once(other: History) -> None:
    journal = MemoryJournal()
    memory = WitnessMemory.open(journal, LOGS)
    conflict = Conflict(known=LOG.sign(7), request=other.ask(7, 12))
    assert [memory.keep(conflict, now) for now in range(3)] == [True, False, False]
    assert not WitnessMemory.open(journal, LOGS).keep(conflict, 9)
    assert journal.size() == 1
