"""The monitor's driver: what a round says of the log, what of a server, and what is remembered."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from support.coordination import ManualClock
from support.tiles import TileSource
from support.world import make_council
from vetonet.compliance.monitor import MAX_PENDING, Monitor
from vetonet.errors import StorageError, VetonetError
from vetonet.party.monitor_memory import MonitorMemory
from vetonet.party.monitoring import MonitorDriver, StoredLog
from vetonet.storage import MemoryJournal, MemoryTileStore
from vetonet.storage.journal import Record
from vetonet.tlog.fork import verify_fork
from vetonet.tlog.log import Log
from vetonet.tlog.tiles import Tile
from vetonet.tlog.tree_edge import TreeEdge
from vetonet.wire.errors import HttpError

COUNCIL = make_council(7, 5)
ORIGIN = COUNCIL.treaty.statement.log_origin


@dataclass(slots=True)
class Site:
    """A log at a URL, which can be down or change."""

    checkpoint: bytes = b""
    tiles: TileSource | None = None
    failure: VetonetError | None = None

    def show(self, *leaves: bytes, **signed: Any) -> None:
        log = Log(ORIGIN, [COUNCIL.treaty.data, *leaves])
        growth = TreeEdge().extend([log.leaf(index) for index in range(log.tree_size)])
        self.checkpoint, self.tiles = COUNCIL.sign_head(log, **signed), TileSource(dict(growth.files))

    def read_checkpoint(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        return self.checkpoint

    def fetch(self, tile: Tile) -> bytes:
        if self.failure is not None or self.tiles is None:
            raise self.failure or HttpError("http://log.example: expected status 200, got 500")
        return self.tiles(tile)


def make_driver(own: Site, *, journal: MemoryJournal | None = None, **views: Site) -> MonitorDriver:
    memory = MonitorMemory(journal or MemoryJournal(), ManualClock())
    monitor = Monitor(COUNCIL.treaty, remembered=memory.newest, pending=memory.pending)
    return MonitorDriver(monitor, own, views, memory)


def reasons(found: Any) -> list[str]:
    return [problem.reason for problem in found]


def test_an_honest_log_comes_to_nothing() -> None:
    own, peer = Site(), Site()
    own.show()
    peer.show()
    driver = make_driver(own, peer=peer)
    for _ in range(2):
        seen = driver.look()
        assert (seen.tree_size, seen.read_size, seen.problems, seen.doubts) == (1, 1, (), ())


def test_a_split_view_that_gossip_finds_comes_with_evidence() -> None:
    own, peer = Site(), Site()
    own.show(b"a", b"b")
    peer.show(b"a", b"x", b"c")
    seen = make_driver(own, peer=peer).look()
    assert seen.evidence is not None
    assert reasons(seen.problems)[-1] == "equivocation"
    assert seen.problems[-1].culprit == ORIGIN
    assert verify_fork(seen.evidence, COUNCIL.log_policy).culprits[0] == ORIGIN


def test_a_rollback_shows_after_a_restart() -> None:
    own, journal = Site(), MemoryJournal()
    own.show(b"a", b"b")
    make_driver(own, journal=journal).look()
    own.show(b"a")
    seen = make_driver(own, journal=journal).look()
    assert (reasons(seen.doubts), seen.problems) == (["refused"], ())  # a stale cache shows the same
    assert seen.doubts[0].culprit is None
    assert (seen.tree_size, seen.read_size) == (3, 0)
    own.show(b"a", b"x", b"y")
    assert make_driver(own, journal=journal).look().evidence is not None


def test_a_checkpoint_that_too_few_witnesses_cosigned_is_not_believed() -> None:
    """Whoever serves it may have taken lines away, so it is a doubt."""
    own = Site()
    own.show(witness_ids=COUNCIL.party_ids[:4])
    seen = make_driver(own).look()
    assert (reasons(seen.doubts), seen.problems) == (["witness-quorum"], ())
    assert seen.tree_size == 0


@pytest.mark.parametrize("failure", [HttpError("http://log.example: refused"), StorageError("disk")])
def test_a_server_that_does_not_answer_is_a_doubt_and_no_crime(failure: VetonetError) -> None:
    own, peer = Site(failure=failure), Site(failure=failure)
    seen = make_driver(own, peer=peer).look()
    assert not seen.problems
    assert reasons(seen.doubts) == [failure.reason] * 2


def test_a_log_that_withholds_what_it_signed_is_a_doubt_and_stays_bound() -> None:
    own, journal = Site(), MemoryJournal()
    own.show(b"a", b"b")
    assert own.tiles is not None
    own.tiles.files = {path: data for path, data in own.tiles.files.items() if "entries" not in path}
    seen = make_driver(own, journal=journal).look()
    assert reasons(seen.doubts) == ["tile-missing"]
    assert "does not show what it signed" in seen.doubts[0].detail
    own.show(b"a", b"x")
    assert make_driver(own, journal=journal).look().evidence is not None


@pytest.mark.parametrize("shown", [b"", b"not a note", b"other.example/log\n1\n"])
def test_a_view_that_shows_rubbish_accuses_nobody(shown: bytes) -> None:
    own, peer = Site(), Site(checkpoint=shown)
    own.show()
    seen = make_driver(own, peer=peer).look()
    assert (seen.problems, seen.evidence) == ((), None)
    assert "peer shows no checkpoint of this log" in seen.doubts[0].detail


def test_one_view_that_is_down_does_not_hide_the_next() -> None:
    own, down, liar = Site(), Site(failure=HttpError("down")), Site()
    own.show(b"a")
    liar.show(b"x")
    seen = make_driver(own, down=down, liar=liar).look()
    assert reasons(seen.doubts) == ["http"]
    assert seen.evidence is not None


def test_what_cannot_be_remembered_is_not_passed_over() -> None:
    class FullJournal(MemoryJournal):
        def append(self, records: Any) -> Any:
            del records
            raise StorageError("no space left")

    own = Site()
    own.show()
    with pytest.raises(StorageError, match="no space"):
        make_driver(own, journal=FullJournal()).look()


@pytest.mark.parametrize("shown", [b"", b"<html>captive portal</html>", b"other.example/log\n1\n"])
def test_whatever_a_server_makes_up_is_held_against_nobody(shown: bytes) -> None:
    seen = make_driver(Site(checkpoint=shown)).look()
    assert (seen.problems, seen.evidence) == ((), None)
    assert "what is shown is no checkpoint of this log" in seen.doubts[0].detail


def test_what_waits_to_be_compared_outlives_a_restart() -> None:
    own, peer, journal = Site(), Site(), MemoryJournal()
    own.show(b"a")
    peer.show(b"a", b"x")
    peer.tiles = None
    seen = make_driver(own, journal=journal, peer=peer).look()
    assert "ahead" in reasons(seen.doubts)
    own.show(b"a", b"b", b"c")
    peer.show(b"a")  # it hides what it showed before
    seen = make_driver(own, journal=journal, peer=peer).look()
    assert seen.evidence is not None
    assert verify_fork(seen.evidence, COUNCIL.log_policy).culprits[0] == ORIGIN


def test_a_conviction_outlives_a_restart_and_whatever_is_shown_then() -> None:
    own, peer, journal = Site(), Site(), MemoryJournal()
    own.show(b"a", b"b")
    peer.show(b"a", b"x")
    found = make_driver(own, journal=journal, peer=peer).look().evidence
    peer.show(b"a", b"b")
    again = make_driver(own, journal=journal, peer=peer).look()
    assert again.evidence == found
    assert [problem.culprit for problem in again.problems] == [ORIGIN]


def test_other_lines_below_the_same_checkpoint_are_nothing_new() -> None:
    own, journal = Site(), MemoryJournal()
    driver = None
    for left_out in range(3):
        own.show(witness_ids=COUNCIL.party_ids[left_out : left_out + 5])
        driver = driver or make_driver(own, journal=journal)
        driver.look()
    assert len(journal.read(0, 10)) == 1


def test_the_same_checkpoint_is_remembered_once() -> None:
    own, journal = Site(), MemoryJournal()
    own.show(b"a")
    driver = make_driver(own, journal=journal)
    driver.look()
    driver.look()
    assert len(journal.read(0, 10)) == 1


def test_a_journal_that_is_not_a_monitors_is_refused() -> None:
    journal = MemoryJournal()
    journal.append((Record(kind="checkpoint", request_id=None, payload=b"x", recorded_at_ms=0),))
    with pytest.raises(StorageError, match="expected a monitor's checkpoint"):
        MonitorMemory(journal, ManualClock())


def test_a_log_in_files_is_read_like_any_other() -> None:
    store, own = MemoryTileStore(), Site()
    own.show(b"a")
    assert own.tiles is not None
    store.write_all(own.tiles.files.items())
    store.write_checkpoint(own.checkpoint)
    seen = MonitorDriver(Monitor(COUNCIL.treaty), StoredLog(store), {}).look()
    assert (seen.tree_size, seen.read_size) == (2, 2)


def test_views_that_were_settled_do_not_crowd_out_one_that_waits_after_a_restart() -> None:
    own, peer, journal = Site(), Site(), MemoryJournal()
    leaves = [b"%d" % number for number in range(MAX_PENDING + 3)]
    own.show()
    driver = make_driver(own, journal=journal, peer=peer)
    for size in range(1, MAX_PENDING + 2):
        peer.show(*leaves[:size])
        peer.tiles = None
        driver.look()
        own.show(*leaves[:size])
        driver.look()
    peer.show(*leaves[:-1], b"another")  # beyond the log that is followed, and another history
    peer.tiles = None
    driver.look()
    own.show(*leaves)
    peer.show()
    assert make_driver(own, journal=journal, peer=peer).look().evidence is not None


def test_evidence_is_durable_before_what_it_was_found_by_is_forgotten() -> None:
    """A journal that fills up between the two keeps the fork to be found again."""

    class FillingJournal(MemoryJournal):
        left = 100

        def append(self, records: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise StorageError("no space left")
            return super().append(records)

    for left in range(3):
        own, peer, journal = Site(), Site(), FillingJournal()
        own.show(b"a")
        peer.show(b"a", b"x")
        peer.tiles = None
        driver = make_driver(own, journal=journal, peer=peer)
        driver.look()
        own.show(b"a", b"b", b"c")
        peer.show(b"a")
        journal.left = left
        with contextlib.suppress(StorageError):
            driver.look()
        journal.left = 100
        assert make_driver(own, journal=journal, peer=peer).look().evidence is not None


@pytest.mark.parametrize("source", ["a\nfolder", "caf\udce9", "http://peer.example"])
def test_a_view_waits_under_its_own_name_whatever_that_is(source: str) -> None:
    own, peer, journal = Site(), Site(), MemoryJournal()
    own.show()
    peer.show(b"a")
    peer.tiles = None
    make_driver(own, journal=journal, **{source: peer}).look()
    assert MonitorMemory(journal, ManualClock()).pending == ((source, peer.checkpoint),)
