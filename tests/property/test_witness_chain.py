"""Whatever a witness is asked, in whatever order and through whatever ends, it cosigns one history of a log.

The world lies: a log with many histories asks with any old size, with the proof of another history, again and
again, to a witness that is restarted and whose journal fails before or after it has stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from support.histories import History, make_history
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import VetonetError
from vetonet.party.witness import Witness
from vetonet.storage import FullJournalError, MemoryJournal, PoisonedJournalError, Record
from vetonet.tlog.add_checkpoint import AddCheckpoint, parse_cosignatures
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vetonet.tlog.cosignature import verify_cosignature
from vetonet.tlog.witness import trust_by_name

MAX_SIZE = 6
NOW_S = 1_800_000_000
KEY = generate_ed25519(SeededRng(b"witness"))
TRUNK = make_history(MAX_SIZE)
HISTORIES = (TRUNK, *(TRUNK.fork(at, f"{label}{at}") for at in (1, 3) for label in "ab"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: of one history, perhaps with the proof of another, after a restart, before a failure.

    Without an old size it takes what the witness cosigned last, as whoever retries does.
    """

    history: int
    prover: int
    old_size: int | None
    size: int
    restarts: bool
    fails: str
    repeats: bool

    def build(self, known_size: int) -> AddCheckpoint:
        old_size = min(known_size, self.size) if self.old_size is None else self.old_size
        honest = HISTORIES[self.history].ask(old_size, self.size)
        return replace(honest, proof=HISTORIES[self.prover].ask(old_size, self.size).proof)


@st.composite
def draw_ask(draw: st.DrawFn) -> Ask:
    size = draw(st.integers(0, MAX_SIZE))
    history = draw(st.integers(0, len(HISTORIES) - 1))
    return Ask(
        history=history,
        prover=draw(st.just(history) | st.integers(0, len(HISTORIES) - 1)),
        old_size=draw(st.none() | st.integers(0, size)),
        size=size,
        restarts=draw(st.booleans()),
        fails=draw(st.sampled_from(["", "", "", "full", "before", "after"])),
        repeats=draw(st.booleans()),
    )


class MortalJournal(MemoryJournal):
    """A journal that fails as told: for want of room, or so that it is poisoned until it is reopened."""

    __slots__ = ("fails", "is_poisoned")

    def __init__(self) -> None:
        super().__init__()
        self.fails, self.is_poisoned = "", False

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        if self.is_poisoned:
            raise PoisonedJournalError("poisoned")
        if not self.fails:
            return super().append(records)
        if self.fails == "full":
            raise FullJournalError("no room")
        if self.fails == "after":
            super().append(records)
        self.is_poisoned = True
        raise PoisonedJournalError("failed")


@dataclass(slots=True)
class World:
    """A witness, its journal, and everything that it ever cosigned."""

    journal: MortalJournal = field(default_factory=MortalJournal)
    cosigned: list[tuple[History, Checkpoint]] = field(default_factory=list)
    witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.journal.is_poisoned, self.journal.fails = False, ""
        logs = trust_by_name([TRUNK.log_key])
        self.witness = Witness.open(self.journal, name="witness", signing_key=KEY, logs=logs)

    @property
    def known_size(self) -> int:
        newest = self.witness.find_newest(TRUNK.log.origin)
        return 0 if newest is None else SignedCheckpoint.from_bytes(newest).checkpoint.tree_size

    def ask(self, ask: Ask) -> None:
        if ask.restarts:
            self.restart()
        self.journal.fails = ask.fails
        request = ask.build(self.known_size)
        try:
            answer = self.witness.add_checkpoint(request.to_bytes(), NOW_S)
        except VetonetError:
            return
        finally:
            self.journal.fails = ""
        (line,) = parse_cosignatures(answer)
        verify_cosignature(request.signed.checkpoint, line, self.witness.key)
        self.cosigned.append((HISTORIES[ask.history], request.signed.checkpoint))


@given(st.lists(draw_ask(), max_size=40))
def test_all_that_is_cosigned_of_a_log_is_one_history(asked: list[Ask]) -> None:
    world = World()
    for ask in asked:
        world.ask(ask)
        if ask.repeats:
            world.ask(replace(ask, old_size=None, restarts=False, fails=""))
    ordered = sorted(world.cosigned, key=lambda pair: pair[1].tree_size)
    for (_, earlier), (history, _) in itertools.pairwise(ordered):
        assert history.log.root_hash(earlier.tree_size) == earlier.root_hash


@given(st.lists(draw_ask(), max_size=40))
def test_sizes_only_grow_and_the_journal_holds_all_that_was_cosigned(asked: list[Ask]) -> None:
    world = World()
    for ask in asked:
        world.ask(ask)
        if ask.repeats:
            world.ask(replace(ask, old_size=None, restarts=False, fails=""))
    sizes = [checkpoint.tree_size for _, checkpoint in world.cosigned]
    assert sizes == sorted(sizes)
    payloads = [
        AddCheckpoint.from_bytes(stored.record.payload).signed.checkpoint
        for stored in world.journal.read(0, 1000)
        if stored.record.kind == "checkpoint"
    ]
    assert {checkpoint for _, checkpoint in world.cosigned} <= set(payloads)


@given(st.lists(st.integers(0, MAX_SIZE), max_size=20).map(sorted))
def test_an_honest_log_gets_every_cosignature_that_it_asks_for(sizes: list[int]) -> None:
    world = World()
    old_size = 0
    for size in sizes:
        request = TRUNK.ask(old_size, size)
        world.witness.add_checkpoint(request.to_bytes(), NOW_S)
        world.restart()
        old_size = size


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: TRUNK.body(3, 6)[:-100] + tail))
def test_any_bytes_are_a_request_that_reads_back_or_an_error_of_ours(data: bytes) -> None:
    try:
        request = AddCheckpoint.from_bytes(data)
    except VetonetError:
        return
    assert request.to_bytes() == data


@given(st.data())
def test_a_request_with_one_byte_changed_is_refused(data: st.DataObject) -> None:
    world = World()
    world.witness.add_checkpoint(TRUNK.body(0, 4), NOW_S)
    body = bytearray(TRUNK.body(4, 6))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        answer = world.witness.add_checkpoint(bytes(body), NOW_S)
    except VetonetError:
        return
    raise AssertionError(f"byte {place}: {answer!r}")
