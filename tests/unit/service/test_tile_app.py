"""A log over HTTP: what may be cached for ever, what may not, and that a path has one spelling."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from support.published import Folder, publish
from support.sockets import play_out, request, send_raw, serve_http, split_answer, status_of
from vetonet.errors import StorageError
from vetonet.service.tile_app import TileApp, make_tile_app

FILES = publish(300)
FOREVER = "public, max-age=31536000, immutable"


def app_of(folder: Folder, prefix: str = "") -> Starlette:
    return make_tile_app(
        read_tile=folder.read, read_checkpoint=lambda: folder.read("checkpoint"), prefix=prefix
    )


def ask(data: bytes, app: Starlette | None = None) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of what an application answers, by default the log of 300 leaves."""
    said = bytearray()

    async def scenario() -> None:
        async with serve_http(app or app_of(Folder(FILES))) as bound:
            said.extend(await send_raw(bound.address, data))

    play_out(scenario())
    return split_answer(bytes(said))


def test_the_checkpoint_is_text_that_nobody_keeps() -> None:
    status, headers, body = ask(request("/checkpoint"))
    assert (status, body) == (200, FILES["checkpoint"])
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"]
)
def test_a_tile_is_bytes_that_anybody_may_keep_for_ever(path: str) -> None:
    status, headers, body = ask(request(f"/{path}"))
    assert (status, body) == (200, FILES[path])
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == FOREVER


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000"])
def test_head_says_the_same_without_the_bytes(path: str) -> None:
    status, headers, body = ask(request(f"/{path}", method="HEAD"))
    assert (status, body) == (200, b"")
    assert headers == ask(request(f"/{path}"))[1]
    assert headers["content-length"] == str(len(FILES[path]))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/nonsense"])
def test_a_log_is_only_read(method: str, path: str) -> None:
    status, headers, _ = ask(request(path, method=method))
    assert status == 405
    assert {"get", "head"} == set(headers["allow"].split(", "))


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/tile",
        "/tile/",
        "//checkpoint",
        "/checkpoint/",
        "/checkpoint?newest",
        "/Checkpoint",
        "/checkpoint%0a",
        "/%63heckpoint",
        "/checkpoint.300",
        "/tile/../checkpoint",
        "/./checkpoint",
        "/tile/%2e%2e/checkpoint",
        "/tile/%2e%2e/",
        "/tile/0/../0/000",
        "/tile/0/%2e/000",
        "/tile//0/000",
        "//tile/0/000",
        "/tile/0/000/",
        "/tile/0/000?x=1",
        "/tile/0%2f000",
        "/tile/0/0%30%30",
        "/tile/%30/000",
        "/tile/0/000%00",
        "/tile/0/000%0a",
        "/tile/0/x000/000",
        "/tile/0/1",
        "/tile/0/0000",
        "/tile/00/000",
        "/tile/8/000",
        "/tile/0/001.p/044",
        "/tile/0/001.p/0",
        "/tile/0/000.p/256",
        "/tile/0/001.p",
        "/tile/0/001.p/",
        "/tile/0/%D9%A0%D9%A0%D9%A0",
        "/tile/0/000\\..\\001",
        "/tile/0/" + "x999/" * 500 + "999",
        "/tile/etc/passwd",
        "/tile//etc/passwd",
        "http://localhost/checkpoint",
        "*",
    ],
)
def test_another_spelling_is_nothing(target: str) -> None:
    folder = Folder(FILES)
    status, _, body = ask(request(target), app_of(folder))
    assert status == 404
    assert folder.asked == []
    assert b"/" not in body


def test_a_tile_that_is_not_there_may_come_and_is_not_cached() -> None:
    for path in ("tile/0/001", "tile/0/001.p/45", "tile/entries/999", "tile/2/000.p/1"):
        status, headers, body = ask(request(f"/{path}"))
        assert (status, body) == (404, b"the log has no such tile, or not yet\n")
        assert headers["cache-control"] == "no-cache"


def test_before_the_first_checkpoint_there_is_none() -> None:
    nothing = make_tile_app(read_tile=Folder({}).read, read_checkpoint=lambda: None)
    for app in (nothing, app_of(Folder({}))):
        status, headers, body = ask(request("/checkpoint"), app)
        assert (status, body) == (404, b"no checkpoint is published yet\n")
        assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000"])
def test_a_file_that_cannot_be_read_is_not_said_to_be_absent(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, headers, body = ask(request(f"/{path}"), app_of(Folder(FILES, unreadable=path)))
    assert (status, body) == (503, b"the log cannot be read at present\n")
    assert headers["cache-control"] == "no-cache"
    assert f"{path}: cannot be read" in caplog.text


def test_a_log_may_lie_below_a_prefix_and_only_there() -> None:
    app = app_of(Folder(FILES), prefix="/logs/one")
    assert ask(request("/logs/one/checkpoint"), app)[2] == FILES["checkpoint"]
    assert ask(request("/logs/one/tile/0/000"), app)[2] == FILES["tile/0/000"]
    for target in ("/checkpoint", "/tile/0/000", "/logs/one//checkpoint", "/logs/../logs/one/checkpoint"):
        assert ask(request(target), app)[0] == 404


@pytest.mark.parametrize("prefix", ["log", "/", "/log/"])
def test_a_prefix_of_another_shape_is_a_mistake(prefix: str) -> None:
    with pytest.raises(ValueError, match="expected a prefix such as /log"):
        TileApp(read_tile=Folder({}).read, read_checkpoint=lambda: None, prefix=prefix)


def test_one_log_that_fails_leaves_the_server_standing() -> None:
    def fail() -> bytes:
        raise StorageError("the disk is gone")

    async def scenario() -> None:
        app = make_tile_app(read_tile=Folder(FILES).read, read_checkpoint=fail)
        async with serve_http(app) as bound:
            assert status_of(await send_raw(bound.address, request("/checkpoint"))) == 503
            assert status_of(await send_raw(bound.address, request("/tile/0/000"))) == 200

    play_out(scenario())
