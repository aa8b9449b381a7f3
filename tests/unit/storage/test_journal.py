"""What every journal promises, run on each back end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.errors import StorageError
from vetonet.storage import (
    Journal,
    MemoryJournal,
    Record,
    RequestConflictError,
    SqliteJournal,
    StoredRecord,
)
from vetonet.storage.journal import MAX_PAYLOAD_BYTES

BACK_ENDS: dict[str, Callable[[Path], Journal]] = {
    "memory": lambda _: MemoryJournal(),
    "sqlite": SqliteJournal.open,
}


@pytest.fixture(params=sorted(BACK_ENDS))
def open_journal(request: pytest.FixtureRequest) -> Callable[[Path], Journal]:
    """Open an empty journal of each back end."""
    return BACK_ENDS[request.param]


@pytest.fixture
def journal(open_journal: Callable[[Path], Journal], tmp_path: Path) -> Iterator[Journal]:
    """An empty journal of each back end."""
    with open_journal(tmp_path) as opened:
        yield opened


def make_record(
    payload: bytes = b"ballot",
    *,
    kind: str = "ballot",
    request_id: str | None = None,
    recorded_at_ms: int = 1_000,
) -> Record:
    """Return a record that differs from another in what the test names."""
    return Record(kind=kind, request_id=request_id, payload=payload, recorded_at_ms=recorded_at_ms)


def payloads(journal: Journal) -> list[bytes]:
    """Return every payload in order."""
    return [stored.record.payload for stored in journal.read(0, 10_000)]


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.size() == 0
    assert journal.read(0, 10) == ()
    assert journal.find_request("r1") is None


def test_sequences_start_at_zero_and_have_no_gap(journal: Journal) -> None:
    assert journal.append([make_record(b"a")]) == (0,)
    assert journal.append([make_record(b"b"), make_record(b"c")]) == (1, 2)
    assert [stored.sequence for stored in journal.read(0, 10)] == [0, 1, 2]
    assert journal.size() == 3


def test_every_field_comes_back_as_it_went_in(journal: Journal) -> None:
    record = Record(kind="!~", request_id="~" * 64, payload=bytes(range(256)), recorded_at_ms=2**63 - 1)
    journal.append([record])
    assert journal.read(0, 1) == (StoredRecord(sequence=0, record=record),)


def test_an_empty_batch_appends_nothing(journal: Journal) -> None:
    assert journal.append([]) == ()
    assert journal.size() == 0


def test_an_empty_payload_is_a_payload(journal: Journal) -> None:
    journal.append([make_record(b"")])
    assert payloads(journal) == [b""]


def test_the_largest_payload_comes_back_whole(journal: Journal) -> None:
    payload = b"\xa5" * MAX_PAYLOAD_BYTES
    journal.append([make_record(payload)])
    assert payloads(journal) == [payload]


@pytest.mark.parametrize(
    ("start", "limit", "expected"),
    [(0, 2, [b"0", b"1"]), (1, 3, [b"1", b"2", b"3"]), (3, 9, [b"3", b"4"]), (5, 1, []), (99, 1, [])],
)
def test_a_read_gives_the_range_asked_for(
    journal: Journal, start: int, limit: int, expected: list[bytes]
) -> None:
    journal.append([make_record(str(number).encode()) for number in range(5)])
    assert [stored.record.payload for stored in journal.read(start, limit)] == expected


def test_a_request_is_found_by_its_id(journal: Journal) -> None:
    journal.append([make_record(b"a", request_id="r1"), make_record(b"b", request_id="r2")])
    found = journal.find_request("r2")
    assert found == StoredRecord(sequence=1, record=make_record(b"b", request_id="r2"))


def test_an_unknown_request_is_not_found(journal: Journal) -> None:
    journal.append([make_record(request_id="r1")])
    assert journal.find_request("r") is None
    assert journal.find_request("R1") is None


def test_a_retry_gets_the_first_sequence_and_is_stored_once(journal: Journal) -> None:
    journal.append([make_record(b"before"), make_record(request_id="r1")])
    assert journal.append([make_record(request_id="r1", recorded_at_ms=9_999)]) == (1,)
    assert journal.size() == 2
    assert journal.read(1, 1)[0].record.recorded_at_ms == 1_000


def test_a_retry_beside_fresh_records_leaves_no_gap(journal: Journal) -> None:
    journal.append([make_record(b"a", request_id="r1")])
    batch = [make_record(b"b"), make_record(b"a", request_id="r1"), make_record(b"c", request_id="r3")]
    assert journal.append(batch) == (1, 0, 2)
    assert payloads(journal) == [b"a", b"b", b"c"]


def test_a_retry_within_a_batch_is_stored_once(journal: Journal) -> None:
    twice = make_record(request_id="r1")
    assert journal.append([twice, make_record(b"x"), twice]) == (0, 1, 0)
    assert journal.size() == 2


def test_records_without_a_request_id_are_never_taken_for_retries(journal: Journal) -> None:
    assert journal.append([make_record(), make_record()]) == (0, 1)


@pytest.mark.parametrize("changed", [{"payload": b"other"}, {"kind": "veto"}])
def test_a_request_id_used_for_something_else_is_refused(journal: Journal, changed: dict[str, str]) -> None:
    journal.append([make_record(b"before"), make_record(request_id="r1")])
    conflicting = make_record(**{"request_id": "r1", **changed})  # type: ignore[arg-type]
    with pytest.raises(RequestConflictError, match=r"request r1 .* record 1") as caught:
        journal.append([conflicting])
    assert (caught.value.request_id, caught.value.sequence) == ("r1", 1)
    assert journal.size() == 2


def test_a_conflict_refuses_its_whole_batch(journal: Journal) -> None:
    journal.append([make_record(request_id="r1")])
    with pytest.raises(RequestConflictError):
        journal.append([make_record(b"fresh", request_id="r2"), make_record(b"other", request_id="r1")])
    assert journal.size() == 1
    assert journal.find_request("r2") is None


def test_a_conflict_within_a_batch_is_refused(journal: Journal) -> None:
    with pytest.raises(RequestConflictError):
        journal.append([make_record(b"one", request_id="r1"), make_record(b"two", request_id="r1")])
    assert journal.size() == 0


def test_appends_go_on_after_a_conflict(journal: Journal) -> None:
    journal.append([make_record(request_id="r1")])
    with pytest.raises(RequestConflictError):
        journal.append([make_record(b"other", request_id="r1")])
    assert journal.append([make_record(b"next")]) == (1,)


@pytest.mark.parametrize(("start", "limit"), [(-1, 1), (0, 0), (0, -1)])
def test_a_senseless_range_is_refused(journal: Journal, start: int, limit: int) -> None:
    with pytest.raises(ValueError, match="read"):
        journal.read(start, limit)


@pytest.mark.parametrize(
    "use",
    [
        lambda journal: journal.append([make_record()]),
        lambda journal: journal.append([]),
        lambda journal: journal.read(0, 1),
        lambda journal: journal.size(),
        lambda journal: journal.find_request("r1"),
    ],
    ids=["append", "append nothing", "read", "size", "find_request"],
)
def test_a_closed_journal_refuses_everything(journal: Journal, use: Callable[[Journal], object]) -> None:
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        use(journal)


def test_closing_twice_changes_nothing(journal: Journal) -> None:
    journal.close()
    journal.close()


def test_threads_append_and_read_without_losing_a_record(journal: Journal) -> None:
    def append_and_read(worker: int) -> list[int]:
        sequences: list[int] = []
        for number in range(10):
            sequences += journal.append([make_record(request_id=f"{worker}-{number}")])
            assert journal.find_request(f"{worker}-{number}") is not None
            assert len(journal.read(0, 1_000)) >= len(sequences)
        return sequences

    with ThreadPoolExecutor(max_workers=4) as pool:
        sequences = [sequence for part in pool.map(append_and_read, range(4)) for sequence in part]
    assert sorted(sequences) == list(range(40))
    requests = [stored.record.request_id for stored in journal.read(0, 100)]
    assert len(set(requests)) == 40


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": ""},
        {"kind": "k" * 65},
        {"kind": "two words"},
        {"request_id": ""},
        {"request_id": "r" * 65},
        {"request_id": "r\x00"},
        {"request_id": "\ud800"},
        {"request_id": "ä"},
        {"payload": b"x" * (MAX_PAYLOAD_BYTES + 1)},
        {"payload": bytearray(b"mutable")},
        {"recorded_at_ms": -1},
        {"recorded_at_ms": 2**63},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_record_outside_its_bounds_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"record|request"):
        make_record(**changed)  # type: ignore[arg-type]


def test_a_negative_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        StoredRecord(sequence=-1, record=make_record())


BATCHES = st.lists(
    st.lists(
        st.builds(
            make_record,
            st.sampled_from([b"", b"a", b"b"]),
            kind=st.sampled_from(["ballot", "licence"]),
            request_id=st.sampled_from([None, "r1", "r2", "r3"]),
        ),
        max_size=4,
    ),
    max_size=6,
)


@given(batches=BATCHES)
@settings(max_examples=40, deadline=None)
def test_back_ends_answer_alike_and_as_the_naive_journal_does(batches: list[list[Record]]) -> None:
    with TemporaryDirectory() as directory, SqliteJournal.open(Path(directory)) as on_disk:
        in_memory, naive = MemoryJournal(), NaiveJournal()
        for batch in batches:
            expected = naive.append(batch)
            assert answer(in_memory, batch) == expected
            assert answer(on_disk, batch) == expected
        assert [stored.record for stored in in_memory.read(0, 100)] == naive.records
        assert [stored.record for stored in on_disk.read(0, 100)] == naive.records


def answer(journal: Journal, batch: list[Record]) -> tuple[int, ...] | str:
    """Return the sequences, or the request id in conflict."""
    try:
        return journal.append(batch)
    except RequestConflictError as error:
        return error.request_id


class NaiveJournal:
    """The rules told in the plainest way: copy everything, look through everything."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, batch: list[Record]) -> tuple[int, ...] | str:
        """Return the sequences, or the request id in conflict."""
        records, sequences = list(self.records), []
        for record in batch:
            same = [
                n
                for n, old in enumerate(records)
                if record.request_id and old.request_id == record.request_id
            ]
            if not same:
                records.append(record)
                sequences.append(len(records) - 1)
            elif (records[same[0]].kind, records[same[0]].payload) != (record.kind, record.payload):
                return str(record.request_id)
            else:
                sequences.append(same[0])
        self.records = records
        return tuple(sequences)
