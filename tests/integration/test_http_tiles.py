"""A log on disk, served over HTTP, read by a client who believes nothing but the log's key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.applications import Starlette

from support.published import log_key, publish, verify
from support.sockets import connect, play_out, read_rest, request, send_raw, serve_http, status_of
from support.tiles import vector_entries
from vetonet.crypto.merkle import compute_leaf_hash, verify_inclusion
from vetonet.errors import ProofError
from vetonet.party.http_log import HttpLog
from vetonet.service.tile_app import make_tile_app
from vetonet.storage.file_tiles import FileTileStore
from vetonet.storage.tile_store import CHECKPOINT, MemoryTileStore, TileStore
from vetonet.tlog.checkpoint import verify_checkpoint
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tiles import MissingTileError
from vetonet.wire.boundary import Limits
from vetonet.wire.http_boundary import HttpLimits
from vetonet.wire.serving import BoundServer

SIZE = 700
FILES = publish(300, SIZE)


def fill(store: TileStore, files: Mapping[str, bytes]) -> None:
    """The store holds these files of a log."""
    store.write_all((path, data) for path, data in files.items() if path != CHECKPOINT)
    store.write_checkpoint(files[CHECKPOINT])


def read_log(url: str) -> None:
    """Every entry, root and proof of the log is as its checkpoint says."""
    with HttpLog(url) as log:
        checkpoint = verify_checkpoint(log.read_checkpoint(), log_key())
        reader = TileReader(log.fetch)
        root = checkpoint.root_hash
        assert checkpoint.tree_size == SIZE
        assert reader.root_hash(SIZE) == root
        entries = list(reader.entries(0, SIZE, SIZE, root_hash=root))
        assert entries == vector_entries(0, SIZE)
        verify_inclusion(
            leaf_hash=compute_leaf_hash(entries[7]),
            leaf_index=7,
            tree_size=SIZE,
            proof=reader.inclusion_proof(7, SIZE).hashes,
            root_hash=root,
        )


def serve_store(store: TileStore, read: Callable[[str], bytes] | None = None) -> Starlette:
    return make_tile_app(read_tile=read or store.read, read_checkpoint=partial(store.read, CHECKPOINT))


def test_a_log_on_disk_is_read_and_verified_over_http(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = FileTileStore(tmp_path)
        fill(store, FILES)
        async with serve_http(serve_store(store)) as bound:
            await asyncio.to_thread(read_log, bound.url)

    play_out(scenario())


def test_several_readers_read_at_a_time() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        async with serve_http(serve_store(store)) as bound:
            await asyncio.gather(*(asyncio.to_thread(read_log, bound.url) for _ in range(4)))

    play_out(scenario())


def test_a_log_read_over_http_fscks_clean() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        paths = [path for path in FILES if not path.startswith("checkpoint.")]

        def judge(log: HttpLog) -> None:
            report = judge_files(
                paths,
                lambda path: log.read_checkpoint() if path == CHECKPOINT else log.read_tile(path),
                verify,
            )
            assert report.problems == ()

        async with serve_http(serve_store(store)) as bound:
            with HttpLog(bound.url) as log:
                await asyncio.to_thread(judge, log)

    play_out(scenario())


def test_a_partial_tile_that_was_pruned_is_read_from_the_full_one() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        assert store.prune_partials() > 0
        async with serve_http(serve_store(store)) as bound:
            with HttpLog(bound.url) as log:
                with pytest.raises(MissingTileError):
                    await asyncio.to_thread(log.read_tile, "tile/0/001.p/44")
                old = TileReader(log.fetch)
                assert (
                    await asyncio.to_thread(old.root_hash, 300) == verify(FILES["checkpoint.300"]).root_hash
                )

    play_out(scenario())


def test_a_server_that_changes_a_bit_is_caught() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)

        def lie(path: str) -> bytes:
            data = bytearray(store.read(path))
            data[-1] ^= path.startswith("tile/entries/")
            return bytes(data)

        async with serve_http(serve_store(store, lie)) as bound:
            with pytest.raises(ProofError):
                await asyncio.to_thread(read_log, bound.url)

    play_out(scenario())


def test_a_log_goes_on_beside_clients_who_only_waste_its_time() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        limits = HttpLimits(request_timeout_s=0.3)
        async with serve_http(serve_store(store), limits) as bound:
            wasters = [
                asyncio.create_task(send_raw(bound.address, start))
                for start in (b"", b"GET /ch", b"\x16\x03\x01", request("/checkpoint", "Content-Length: 5"))
                * 10
            ]
            await asyncio.to_thread(read_log, bound.url)
            answers = await asyncio.gather(*wasters)
            assert {status_of(answer) for answer in answers if answer} <= {400, 408}

    play_out(scenario())


async def is_healthy(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_http_and_grpc_live_in_one_process_and_end_apart() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        beside = BoundServer.bind("127.0.0.1:0", credential=None, limits=Limits())
        await beside.start(())
        try:
            async with serve_http(serve_store(store)) as bound:
                await asyncio.to_thread(read_log, bound.url)
                assert await is_healthy(beside.address)
            assert await is_healthy(beside.address)
        finally:
            await beside.stop(0)

    play_out(scenario())


def test_a_server_that_stops_while_tiles_are_read_leaves_a_plain_error() -> None:
    async def scenario() -> None:
        store = MemoryTileStore()
        fill(store, FILES)
        async with serve_http(serve_store(store)) as bound:
            async with connect(bound.address) as (reader, writer):
                writer.write(request("/tile/0/000", is_last=False))
                await reader.readuntil(b"\r\n\r\n")
                await bound.stop(1)
                assert await read_rest(reader) == FILES["tile/0/000"]
            with pytest.raises(ConnectionError):
                await send_raw(bound.address, b"")

    play_out(scenario())
