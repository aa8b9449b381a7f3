"""The witness (VN-11.7): what it cosigns it remembers, before it says so and after every kind of end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.histories import ORIGIN, History, make_history
from vetonet.crypto.keys import Ed25519SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, StorageError
from vetonet.party.witness import LocalWitness, Witness
from vetonet.storage import (
    FullJournalError,
    Journal,
    MemoryJournal,
    PoisonedJournalError,
    Record,
    SqliteJournal,
)
from vetonet.storage.sqlite import JOURNAL_NAME
from vetonet.tlog.add_checkpoint import AddCheckpoint, parse_cosignatures
from vetonet.tlog.cosignature import verify_cosignature
from vetonet.tlog.witness import (
    SplitViewError,
    StaleCheckpointError,
    UnknownLogError,
    UnprovenCheckpointError,
    trust_by_name,
)

NOW_S = 1_800_000_000
NAME = "witness.example/w1"
LOG = make_history()
FORK = LOG.fork(2)
LOG2 = make_history(origin="vetonet.example/log2")
KEY = generate_ed25519(SeededRng(b"witness"))


class WatchedKey:
    """A signing key that counts, and that can see to it that nothing follows."""

    def __init__(self) -> None:
        self.count = 0
        self.is_dead = False

    @property
    def public_key(self) -> object:
        return KEY.public_key

    def sign(self, message: bytes) -> bytes:
        if self.is_dead:
            raise KeyboardInterrupt
        self.count += 1
        return KEY.sign(message)


class BrokenJournal(MemoryJournal):
    """A journal that fails as told: before anything is stored, or after."""

    __slots__ = ("after", "before")

    def __init__(self) -> None:
        super().__init__()
        self.before: StorageError | None = None
        self.after: StorageError | None = None

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        if self.before is not None:
            raise self.before
        sequences = super().append(records)
        if self.after is not None:
            self.before = self.after
            raise self.after
        return sequences


def open_witness(
    journal: Journal | None = None, key: object = KEY, logs: Sequence[History] = (LOG,)
) -> Witness:
    return Witness.open(
        MemoryJournal() if journal is None else journal,
        name=NAME,
        signing_key=key,  # type: ignore[arg-type]
        logs=trust_by_name(history.log_key for history in logs),
    )


def verify_answer(witness: Witness, request: AddCheckpoint, answer: bytes, *, now_s: int = NOW_S) -> None:
    (line,) = parse_cosignatures(answer)
    assert verify_cosignature(request.signed.checkpoint, line, witness.key).timestamp_s == now_s


def fill_until_refused(witness: Witness, history: History) -> int:
    """Return the first size that had no room."""
    for size in range(history.log.tree_size):
        try:
            witness.add_checkpoint(history.body(max(0, size - 1), size), NOW_S)
        except FullJournalError:
            return size
    raise AssertionError("there was room for everything")


def list_kinds(journal: Journal) -> list[str]:
    return [stored.record.kind for stored in journal.read(0, 1000)]


def test_a_log_that_grows_is_cosigned_step_by_step() -> None:
    witness = open_witness()
    for old_size, size in [(0, 0), (0, 3), (3, 7), (7, 12)]:
        request = LOG.ask(old_size, size)
        verify_answer(witness, request, witness.add_checkpoint(request.to_bytes(), NOW_S))
    assert witness.find_newest(ORIGIN) == LOG.sign(12).to_bytes()


def test_the_newest_checkpoint_again_gets_a_cosignature_with_a_new_time_and_no_record() -> None:
    journal = MemoryJournal()
    witness = open_witness(journal)
    witness.add_checkpoint(LOG.body(0, 3), NOW_S)
    request = LOG.ask(3, 3)
    verify_answer(witness, request, witness.add_checkpoint(request.to_bytes(), NOW_S + 60), now_s=NOW_S + 60)
    assert list_kinds(journal) == ["checkpoint"]


def test_it_is_durable_before_it_is_signed() -> None:
    key, journal = WatchedKey(), MemoryJournal()
    witness = open_witness(journal, key)
    sizes = []
    key.sign = lambda message: sizes.append(journal.size()) or KEY.sign(message)  # type: ignore[method-assign,func-returns-value]
    witness.add_checkpoint(LOG.body(0, 3), NOW_S)
    witness.add_checkpoint(LOG.body(3, 7), NOW_S)
    assert sizes == [1, 2]


def test_a_rollback_is_refused_and_told_the_newest_size() -> None:
    witness = open_witness()
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)
    for body in (LOG.body(0, 3), LOG.body(3, 3), LOG.body(3, 5)):
        with pytest.raises(StaleCheckpointError) as caught:
            witness.add_checkpoint(body, NOW_S)
        assert caught.value.known_size == 7


def test_a_restarted_witness_goes_on_where_it_was(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path) as journal:
        open_witness(journal).add_checkpoint(LOG.body(0, 7), NOW_S)
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal)
        assert witness.find_newest(ORIGIN) == LOG.sign(7).to_bytes()
        for body in (FORK.body(0, 7), FORK.body(0, 12), FORK.body(7, 7), FORK.body(7, 12)):
            with pytest.raises((StaleCheckpointError, SplitViewError, UnprovenCheckpointError)):
                witness.add_checkpoint(body, NOW_S)
        witness.add_checkpoint(LOG.body(7, 12), NOW_S)


def test_a_kill_between_persisting_and_signing_costs_an_answer_and_no_history(tmp_path: Path) -> None:
    key = WatchedKey()
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal, key)
        witness.add_checkpoint(LOG.body(0, 3), NOW_S)
        key.is_dead = True
        with pytest.raises(KeyboardInterrupt):
            witness.add_checkpoint(LOG.body(3, 7), NOW_S)
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal)
        with pytest.raises(StaleCheckpointError) as caught:
            witness.add_checkpoint(LOG.body(3, 7), NOW_S)
        assert caught.value.known_size == 7
        with pytest.raises(StaleCheckpointError):
            witness.add_checkpoint(FORK.body(3, 7), NOW_S)
        with pytest.raises(SplitViewError):
            witness.add_checkpoint(FORK.body(7, 7), NOW_S)
        again = LOG.ask(7, 7)
        verify_answer(witness, again, witness.add_checkpoint(again.to_bytes(), NOW_S))


def test_a_witness_with_an_older_copy_of_its_journal_cannot_know_better(tmp_path: Path) -> None:
    # The bound on colluding witnesses is what covers this: such a witness counts among the f.
    (tmp_path / "now").mkdir()
    with SqliteJournal.open(tmp_path / "now") as journal:
        open_witness(journal).add_checkpoint(LOG.body(0, 2), NOW_S)
    copy = (tmp_path / "now" / JOURNAL_NAME).read_bytes()
    with SqliteJournal.open(tmp_path / "now") as journal:
        open_witness(journal).add_checkpoint(LOG.body(2, 7), NOW_S)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / JOURNAL_NAME).write_bytes(copy)
    with SqliteJournal.open(tmp_path / "old") as journal:
        witness = open_witness(journal)
        assert witness.find_newest(ORIGIN) == LOG.sign(2).to_bytes()
        request = FORK.ask(2, 7)
        verify_answer(witness, request, witness.add_checkpoint(request.to_bytes(), NOW_S))


def test_of_two_threads_that_race_with_two_histories_exactly_one_wins(tmp_path: Path) -> None:
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal)
        witness.add_checkpoint(LOG.body(0, 2), NOW_S)
        start, won, refused = threading.Barrier(8), list[History](), list[Exception]()

        def race(history: History) -> None:
            body = history.body(2, 7)
            start.wait()
            try:
                witness.add_checkpoint(body, NOW_S)
                won.append(history)
            except (StaleCheckpointError, SplitViewError) as error:
                refused.append(error)

        threads = [threading.Thread(target=race, args=(LOG.fork(2, f"{n}"),)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(refused)) == (1, 7)
        assert witness.find_newest(ORIGIN) == won[0].sign(7).to_bytes()
        assert list_kinds(journal).count("checkpoint") == 2


def test_of_two_threads_that_race_to_different_sizes_none_rolls_the_other_back() -> None:
    for _ in range(20):
        witness = open_witness()
        witness.add_checkpoint(LOG.body(0, 2), NOW_S)
        threads = [threading.Thread(target=_try, args=(witness, LOG.body(2, size))) for size in (5, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        newest = AddCheckpoint.from_bytes(b"old 0\n\n" + (witness.find_newest(ORIGIN) or b""))
        assert newest.signed.checkpoint.tree_size in {5, 9}


def _try(witness: Witness, body: bytes) -> None:
    try:
        witness.add_checkpoint(body, NOW_S)
    except StaleCheckpointError:
        return


@pytest.mark.parametrize("error", [StorageError("no"), FullJournalError("full"), PoisonedJournalError("?")])
def test_what_cannot_be_kept_is_not_signed(error: StorageError) -> None:
    journal, key = BrokenJournal(), WatchedKey()
    witness = open_witness(journal, key)
    witness.add_checkpoint(LOG.body(0, 3), NOW_S)
    journal.before = error
    with pytest.raises(type(error)):
        witness.add_checkpoint(LOG.body(3, 7), NOW_S)
    assert key.count == 1
    assert witness.find_newest(ORIGIN) == LOG.sign(3).to_bytes()
    journal.before = None
    witness.add_checkpoint(LOG.body(3, 7), NOW_S)
    assert key.count == 2


def test_a_full_disk_is_told_and_nothing_is_signed(tmp_path: Path) -> None:
    key = WatchedKey()
    with SqliteJournal.open(tmp_path, max_bytes=64 * 1024) as journal:
        witness = open_witness(journal, key)
        history = make_history(400)
        size = fill_until_refused(witness, history)
        assert key.count == size
    with SqliteJournal.open(tmp_path) as journal:
        witness = open_witness(journal, key)
        assert witness.find_newest(ORIGIN) == history.sign(size - 1).to_bytes()
        witness.add_checkpoint(history.body(size - 1, size), NOW_S)


def test_a_journal_in_an_unknown_state_keeps_the_witness_from_signing_anything_more() -> None:
    journal, key = BrokenJournal(), WatchedKey()
    witness = open_witness(journal, key)
    witness.add_checkpoint(LOG.body(0, 2), NOW_S)
    journal.after = PoisonedJournalError("who knows")
    with pytest.raises(PoisonedJournalError):
        witness.add_checkpoint(LOG.body(2, 7), NOW_S)
    for body in (LOG.body(2, 7), LOG.body(2, 2), FORK.body(2, 7)):
        with pytest.raises(PoisonedJournalError):
            witness.add_checkpoint(body, NOW_S)
    assert key.count == 1


def test_after_an_unknown_state_the_reopened_journal_decides() -> None:
    journal = BrokenJournal()
    witness = open_witness(journal)
    witness.add_checkpoint(LOG.body(0, 2), NOW_S)
    journal.after = PoisonedJournalError("who knows")
    with pytest.raises(PoisonedJournalError):
        witness.add_checkpoint(LOG.body(2, 7), NOW_S)
    journal.before = journal.after = None
    reopened = open_witness(journal)
    with pytest.raises(StaleCheckpointError) as caught:
        reopened.add_checkpoint(FORK.body(2, 7), NOW_S)
    assert caught.value.known_size == 7


def test_what_is_no_request_of_a_known_log_is_refused_and_leaves_no_record() -> None:
    journal = MemoryJournal()
    witness = open_witness(journal)
    with pytest.raises(EncodingError):
        witness.add_checkpoint(b"old 0\n", NOW_S)
    with pytest.raises(UnknownLogError):
        witness.add_checkpoint(LOG2.body(0, 3), NOW_S)
    forged = LOG.body(0, 3).replace(b"\n3\n", b"\n4\n")
    with pytest.raises(InvalidSignatureError):
        witness.add_checkpoint(forged, NOW_S)
    with pytest.raises(ProofError):
        witness.add_checkpoint(LOG.body(2, 3).replace(b"old 2", b"old 0"), NOW_S)
    assert journal.size() == 0


def test_several_logs_are_followed_at_once_and_after_a_restart() -> None:
    journal = MemoryJournal()
    witness = open_witness(journal, logs=(LOG, LOG2))
    for body in (LOG.body(0, 3), LOG2.body(0, 5), LOG.body(3, 7), LOG2.body(5, 6)):
        witness.add_checkpoint(body, NOW_S)
    again = open_witness(journal, logs=(LOG, LOG2))
    assert again.origins == (LOG.log.origin, LOG2.log.origin)
    assert again.find_newest(LOG.log.origin) == LOG.sign(7).to_bytes()
    assert again.find_newest(LOG2.log.origin) == LOG2.sign(6).to_bytes()


def test_of_a_log_not_seen_yet_there_is_no_newest_checkpoint_and_of_a_stranger_no_answer() -> None:
    witness = open_witness()
    assert witness.find_newest(ORIGIN) is None
    with pytest.raises(UnknownLogError):
        witness.find_newest("vetonet.example/stranger")


def test_a_second_root_is_kept_as_proof_and_survives_a_restart() -> None:
    journal = MemoryJournal()
    witness = open_witness(journal)
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)
    with pytest.raises(SplitViewError):
        witness.add_checkpoint(FORK.body(7, 7), NOW_S)
    with pytest.raises(StaleCheckpointError):
        witness.add_checkpoint(FORK.body(0, 7), NOW_S)
    with pytest.raises(UnprovenCheckpointError):
        witness.add_checkpoint(FORK.body(7, 12), NOW_S)
    assert list_kinds(journal) == ["checkpoint", "split-view", "unproven"]
    conflicts = open_witness(journal).list_conflicts()
    assert [conflict.is_split_view for conflict in conflicts] == [True, False]
    assert conflicts[0].known == LOG.sign(7)
    assert conflicts[0].offered == FORK.sign(7)


def test_conflicts_are_kept_in_bounded_number_and_proofs_are_not_crowded_out() -> None:
    journal = MemoryJournal()
    witness = open_witness(journal)
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)
    for number in range(40):
        with pytest.raises(UnprovenCheckpointError):
            witness.add_checkpoint(LOG.fork(2, f"other {number}").body(7, 12), NOW_S)
    again = open_witness(journal)
    for number in range(40):
        with pytest.raises(SplitViewError):
            again.add_checkpoint(LOG.fork(2, f"other {number}").body(7, 7), NOW_S)
    kinds = list_kinds(journal)
    assert (kinds.count("unproven"), kinds.count("split-view")) == (16, 16)


def test_a_conflict_that_cannot_be_kept_is_refused_all_the_same() -> None:
    journal = BrokenJournal()
    witness = open_witness(journal)
    witness.add_checkpoint(LOG.body(0, 7), NOW_S)
    journal.before = FullJournalError("full")
    with pytest.raises(SplitViewError):
        witness.add_checkpoint(FORK.body(7, 7), NOW_S)
    assert journal.size() == 1


def test_a_key_or_name_that_cannot_cosign_is_refused_at_once() -> None:
    with pytest.raises(EncodingError, match="Ed25519"):
        open_witness(key=generate_ecdsa(SeededRng(b"ecdsa")))
    with pytest.raises(EncodingError):
        Witness.open(MemoryJournal(), name="a b", signing_key=KEY, logs={})


def test_the_port_gives_the_same_answers() -> None:
    witness = open_witness()
    port = LocalWitness(witness, clock_s=lambda: NOW_S)
    request = LOG.ask(0, 7)
    verify_answer(witness, request, asyncio.run(port.add_checkpoint(request)))
    with pytest.raises(StaleCheckpointError):
        asyncio.run(port.add_checkpoint(LOG.ask(0, 12)))


def test_the_secret_of_the_key_is_not_shown() -> None:
    witness = open_witness()
    assert isinstance(KEY, Ed25519SigningKey)
    assert KEY.seed.hex() not in repr(witness)
    assert KEY.seed.hex() not in repr(witness.key)
