"""Somebody else's log: bytes of a bounded size, absence told from outage, and every error with its URL."""

from __future__ import annotations

import asyncio

import pytest

from support.published import publish
from support.sockets import play_out, say, serve_raw
from vetonet.errors import ConfigError, EncodingError, VetonetError
from vetonet.party.http_log import HttpLog
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.tiles import MAX_BUNDLE_BYTES, MissingTileError, Tile
from vetonet.wire.errors import HttpError

FILES = publish(300)


def answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def announce(size: int) -> bytes:
    """A head that promises a body of this size, without the body."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()


def read(path: str, said: bytes) -> bytes:
    """Return what a client reads at a path of a log whose server says this, whatever it is asked."""
    found = bytearray()

    async def scenario() -> None:
        async with serve_raw(say(said)) as url:
            with HttpLog(f"{url}/log/", timeout_s=2) as log:
                if path == "checkpoint":
                    found.extend(await asyncio.to_thread(log.read_checkpoint))
                else:
                    found.extend(await asyncio.to_thread(log.read_tile, path))

    play_out(scenario())
    return bytes(found)


def refuse(path: str, said: bytes) -> VetonetError:
    with pytest.raises(VetonetError) as caught:
        read(path, said)
    return caught.value


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_a_file_is_read(path: str) -> None:
    assert read(path, answer("200 OK", FILES[path])) == FILES[path]


def test_what_is_no_tile_is_not_even_asked_for() -> None:
    log = HttpLog("http://127.0.0.1:1")
    for path in ("tile/0/1", "tile/../checkpoint", "checkpoint", "", "tile/0/000/"):
        with pytest.raises(EncodingError, match="expected the path of a tile"):
            log.read_tile(path)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("checkpoint", MAX_NOTE_BYTES),
        ("tile/0/000", 8_192),
        ("tile/0/001.p/44", 44 * 32),
        ("tile/entries/000", MAX_BUNDLE_BYTES),
    ],
)
def test_a_file_that_is_larger_than_any_of_its_kind_is_refused(path: str, limit: int) -> None:
    error = refuse(path, announce(limit + 1))
    assert isinstance(error, HttpError)
    assert f"/log/{path}: the body is longer than the {limit} bytes" in str(error)
    assert "shorter than it says" in str(refuse(path, announce(limit)))


def test_a_tile_that_the_server_says_is_not_there_is_missing() -> None:
    error = refuse("tile/0/000", answer("404 Not Found", b""))
    assert isinstance(error, MissingTileError)
    assert "/log/tile/0/000: expected a file of the log, found none" in str(error)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("checkpoint", "500 Internal Server Error"),
        ("tile/0/000", "503 Service Unavailable"),
        ("tile/0/000", "302 Found"),
        ("tile/0/000", "204 No Content"),
        ("tile/0/000", "206 Partial Content"),
    ],
)
def test_any_other_answer_is_none(path: str, status: str) -> None:
    error = refuse(path, answer(status, b""))
    assert isinstance(error, HttpError)
    assert str(error).endswith(f"/log/{path}: expected status 200, got {status[:3]}")


def test_a_log_that_has_published_nothing_says_so() -> None:
    error = refuse("checkpoint", answer("404 Not Found", b""))
    assert isinstance(error, HttpError)
    assert str(error).endswith("/log/checkpoint: nothing is published there, or not yet")


def test_a_log_that_is_away_is_not_one_without_tiles() -> None:
    error = refuse("tile/0/000", b"")
    assert isinstance(error, HttpError)
    assert "/log/tile/0/000: the server closed the connection" in str(error)
    with pytest.raises(HttpError, match="connection refused"):
        HttpLog("http://127.0.0.1:1").fetch(Tile(level=0, index=0))


def test_a_url_that_is_not_plain_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match="expected a URL"):
        HttpLog("http://log.example/#x")
