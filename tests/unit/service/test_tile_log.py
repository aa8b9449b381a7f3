"""A log of any leaves: what it acknowledges, what it publishes, and what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from support.open_logs import COUNCIL, Ground, append_all, expect, make_leaves
from vetonet.crypto.merkle import verify_consistency, verify_inclusion
from vetonet.crypto.merkle.hashing import compute_leaf_hash
from vetonet.errors import ConfigError, RefusedError, StorageError, WitnessQuorumError
from vetonet.service.tile_log import MAX_BATCH
from vetonet.storage import MemoryJournal, Record, RequestConflictError, SqliteJournal
from vetonet.storage.file_tiles import FileTileStore
from vetonet.storage.tile_store import CHECKPOINT, CorruptTileError, MemoryTileStore
from vetonet.tlog.policy import verify_cosigned
from vetonet.tlog.tiles import Tile, list_tiles

FULL = [1, 2, 255, 256, 257, 511, 513, 770]


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(bounded())


@pytest.mark.parametrize("count", FULL)
def test_what_is_appended_is_published_as_tiles_with_proofs_of_every_leaf(count: int) -> None:
    """VN-11.1."""
    ground, leaves = Ground(), make_leaves(count)

    async def scene() -> None:
        async with ground.open() as log:
            for start in range(0, count, 100):
                batch = leaves[start : start + 100]
                indices = await log.append(batch, request_id=f"r{start}")
                assert indices == tuple(range(start, start + len(batch)))
            cosigned = await log.publisher.publish()
            expected = expect(ground, leaves)
            assert cosigned.checkpoint == expected.checkpoint()
            assert verify_cosigned(ground.store.read(CHECKPOINT), ground.policy) == cosigned
            assert {tile.to_path() for tile in list_tiles(count)} <= set(ground.store.list_paths())
            for index in {0, count // 2, count - 1}:
                proof = log.inclusion_proof(index, count)
                verify_inclusion(
                    leaf_hash=compute_leaf_hash(leaves[index]),
                    leaf_index=index,
                    tree_size=count,
                    proof=proof.hashes,
                    root_hash=cosigned.checkpoint.root_hash,
                )
            assert await log.read_leaves(0, count + 9) == tuple(leaves)

    play(scene)


def test_a_log_that_grows_publishes_consistent_sizes() -> None:
    ground, leaves = Ground(), make_leaves(600)

    async def scene() -> None:
        async with ground.open() as log:
            seen = []
            for start in range(0, 600, 150):
                await log.append(leaves[start : start + 150], request_id=f"r{start}")
                seen.append((await log.publisher.publish()).checkpoint)
            for old in seen:
                proof = log.consistency_proof(old.tree_size, 600)
                verify_consistency(
                    old_size=old.tree_size,
                    old_root=old.root_hash,
                    new_size=600,
                    new_root=seen[-1].root_hash,
                    proof=proof.hashes,
                )

    play(scene)


def test_a_retry_gets_the_indices_of_the_first_time_and_other_content_is_refused() -> None:
    """VN-13.2: also with more or less content."""
    ground, leaves = Ground(), make_leaves(5)

    async def scene() -> None:
        async with ground.open() as log:
            assert await log.append(leaves[:3], request_id="r") == (0, 1, 2)
            assert await log.append(leaves[3:4], request_id="s") == (3,)
            assert await log.append(leaves[:3], request_id="r") == (0, 1, 2)
            for other in (leaves[:2], leaves[:4], [leaves[0]], [*leaves[:2], leaves[4]], leaves[2::-1]):
                with pytest.raises(RequestConflictError):
                    await log.append(other, request_id="r")
            assert (await log.publisher.publish()).checkpoint == expect(ground, leaves[:4]).checkpoint()

    play(scene)


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        ([], "expected 1 to 1024 leaves, got 0"),
        ([b"x"] * (MAX_BATCH + 1), "got 1025"),
        ([b"x", bytes(2**16)], "at most 65535 bytes, got 65536"),
    ],
)
def test_a_batch_that_the_log_cannot_hold_is_refused_whole(leaves: list[bytes], message: str) -> None:
    ground = Ground()

    async def scene() -> None:
        async with ground.open() as log:
            with pytest.raises(RefusedError, match=message):
                await log.append(leaves, request_id="r")
            assert ground.journal.size() == 0

    play(scene)


def test_an_empty_leaf_and_the_largest_one_are_leaves() -> None:
    ground, leaves = Ground(), [b"", bytes(2**16 - 1)]

    async def scene() -> None:
        async with ground.open() as log:
            await log.append(leaves, request_id="r")
            assert (await log.publisher.publish()).checkpoint == expect(ground, leaves).checkpoint()

    play(scene)


def test_nothing_unpublished_is_read() -> None:
    """VN-11.6."""
    ground, leaves = Ground(), make_leaves(9)

    async def scene() -> None:
        async with ground.open() as log:
            await append_all(log, leaves[:4])
            await log.publisher.publish()
            for witness in ground.witnesses.values():
                witness.failure = RefusedError("away")
            await append_all(log, leaves[4:], "s")
            with pytest.raises(WitnessQuorumError):
                await log.publisher.publish()
            assert await log.read_leaves(0, 99) == tuple(leaves[:4])
            assert await log.read_leaves(4, 99) == ()

    play(scene)


def test_a_restart_finds_every_acknowledged_leaf_published_or_not() -> None:
    """VN-11.2."""
    ground, leaves = Ground(), make_leaves(300)

    async def scene() -> None:
        async with ground.open() as log:
            await log.append(leaves[:260], request_id="a")
            first = await log.publisher.publish()
            await log.append(leaves[260:], request_id="b")
        async with ground.open() as again:
            assert again.publisher.newest == first
            assert (await again.publisher.publish()).checkpoint == expect(ground, leaves).checkpoint()

    play(scene)


def test_missing_tiles_are_written_again_from_the_journal() -> None:
    ground, leaves = Ground(), make_leaves(600)

    async def scene() -> None:
        async with ground.open() as log:
            await log.append(leaves, request_id="a")
            await log.publisher.publish()
        published, paths = ground.store.read(CHECKPOINT), set(ground.store.list_paths())
        ground.store = MemoryTileStore()
        ground.store.write_checkpoint(published)
        async with ground.open() as again:
            assert again.checkpoint() == expect(ground, leaves).checkpoint()
            assert {tile.to_path() for tile in list_tiles(600)} <= set(ground.store.list_paths()) <= paths

    play(scene)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/001", "tile/1/000.p/2"])
def test_a_tile_that_contradicts_the_journal_is_refused_by_its_name(path: str) -> None:
    ground, leaves = Ground(), make_leaves(600)

    async def scene() -> None:
        async with ground.open() as log:
            await log.append(leaves, request_id="a")
            await log.publisher.publish()
        ground.store = _spoil(ground.store, path)
        with pytest.raises(CorruptTileError, match=path):
            async with ground.open(policy=ground.policy):
                pass

    play(scene)


def _spoil(store: Any, path: str) -> MemoryTileStore:
    """Return a copy of a store in which one bit of a file is another, and no edge can be restored from it."""
    spoilt = MemoryTileStore()
    spoilt.write_checkpoint(store.read(CHECKPOINT))
    edge = Tile(level=0, index=2, width=88).to_path()
    for name in store.list_paths():
        if name not in {CHECKPOINT, edge}:
            data = store.read(name)
            spoilt.write_all([(name, bytes([data[0] ^ 1]) + data[1:] if name == path else data)])
    return spoilt


def test_a_journal_that_lost_published_leaves_is_told_from_a_new_one() -> None:
    """A journal restored from a backup: what was published binds."""
    ground, leaves = Ground(), make_leaves(9)

    async def scene() -> None:
        async with ground.open() as log:
            await append_all(log, leaves)
            await log.publisher.publish()
        ground.journal = MemoryJournal()
        async with ground.open(publishing=None, policy=ground.policy, log_key=COUNCIL.log_key) as _:
            pytest.fail("opened a log whose leaves are gone")

    with pytest.raises(StorageError, match=r"expected the 9 leaves .* found 0 .*backup\?"):
        play(scene)


def test_a_journal_with_other_leaves_than_were_published_is_refused() -> None:
    ground, leaves = Ground(), make_leaves(9)

    async def scene() -> None:
        async with ground.open() as log:
            await append_all(log, leaves)
            await log.publisher.publish()
        published = ground.store.read(CHECKPOINT)
        ground.journal, ground.store = MemoryJournal(), MemoryTileStore()
        async with ground.open() as other:
            await append_all(other, make_leaves(12, "other"))
        ground.store.write_checkpoint(published)
        with pytest.raises(StorageError, match="first 9 leaves of the journal are not those"):
            async with ground.open():
                pass

    play(scene)


def test_a_journal_with_other_leaves_than_the_tiles_is_refused() -> None:
    ground = Ground()

    async def scene() -> None:
        async with ground.open() as log:
            await append_all(log, make_leaves(9))
            await log.publisher.publish()
        published = ground.store
        ground.journal, ground.store = MemoryJournal(), MemoryTileStore()
        async with ground.open() as other:
            await append_all(other, make_leaves(12, "other"))
        ground.store = published
        with pytest.raises(StorageError, match="first 9 leaves of the journal are not those"):
            async with ground.open():
                pass

    play(scene)


def test_lost_tiles_are_written_again_also_where_more_was_acknowledged_than_published() -> None:
    ground, leaves = Ground(), make_leaves(30)

    async def scene() -> None:
        async with ground.open() as log:
            await append_all(log, leaves[:9])
            await log.publisher.publish()
            await append_all(log, leaves[9:], "s")
        published = ground.store.read(CHECKPOINT)
        ground.store = MemoryTileStore()
        ground.store.write_checkpoint(published)
        async with ground.open() as again:
            assert again.checkpoint(9) == expect(ground, leaves[:9]).checkpoint()
            assert (await again.publisher.publish()).checkpoint == expect(ground, leaves).checkpoint()

    play(scene)


def test_the_journal_of_a_coordinator_is_no_log_of_leaves() -> None:
    ground = Ground()
    ground.journal.append([Record(kind="start", request_id=None, payload=b"", recorded_at_ms=1)])

    async def scene() -> None:
        with pytest.raises(StorageError, match="record 0: expected a leaf, got a 'start'"):
            async with ground.open():
                pass

    play(scene)


def test_another_logs_key_or_checkpoint_is_refused() -> None:
    ground = Ground()

    async def scene() -> None:
        with pytest.raises(ConfigError, match="expected the key of log"):
            async with ground.open(log_key=COUNCIL.device_keys[0]):
                pass
        ground.store.write_checkpoint(b"not a checkpoint")
        with pytest.raises(ConfigError, match="not of this log"):
            async with ground.open():
                pass

    play(scene)


def test_the_same_log_on_disk_is_opened_from_its_files(tmp_path: Path) -> None:
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    leaves = make_leaves(300)

    async def scene() -> None:
        for start in (0, 100, 200):
            with SqliteJournal.open(tmp_path) as journal:
                ground = Ground(journal=journal, store=FileTileStore(tiles), witnesses=witnesses)
                async with ground.open() as log:
                    await log.append(leaves[start : start + 100], request_id=f"r{start}")
                    cosigned = await log.publisher.publish()
                    expected = expect(ground, leaves[: start + 100])
                    assert cosigned.checkpoint == expected.checkpoint()

    witnesses = Ground().witnesses
    play(scene)
