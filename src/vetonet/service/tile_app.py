"""A log over HTTP: its checkpoint and its tiles, to be cached as they deserve (C2SP tlog-tiles).

A path has one spelling. Another one that a file system or a proxy would take for the same, with escapes,
dots, doubled slashes or a query, is nothing here, so that no cache holds a tile under two names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from vetonet.errors import EncodingError, StorageError
from vetonet.tlog.tiles import MissingTileError, Tile

CHECKPOINT_TYPE: Final = "text/plain; charset=utf-8"
TILE_TYPE: Final = "application/octet-stream"
NEVER_CHANGES: Final = {"cache-control": "public, max-age=31536000, immutable"}
MAY_CHANGE: Final = {"cache-control": "no-cache"}

_logger: Final = logging.getLogger(__name__)


class TileApp:
    """The answers of one log."""

    __slots__ = ("_prefix", "_read_checkpoint", "_read_tile")

    def __init__(
        self,
        *,
        read_tile: Callable[[str], bytes],
        read_checkpoint: Callable[[], bytes | None],
        prefix: str = "",
    ) -> None:
        """Answer from these sources; both are called in threads, several at a time.

        Args:
            read_tile: gives the file of a tile or bundle; raises MissingTileError where there is none.
            read_checkpoint: gives the published checkpoint, or None before there is one.
            prefix: what comes before the paths of the log, with a slash at its beginning and none at its end.
        """
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"expected a prefix such as /log, got {prefix!r}")
        self._read_tile, self._read_checkpoint, self._prefix = read_tile, read_checkpoint, prefix

    def list_routes(self) -> list[Route]:
        """Return where the answers are found, for an application that has others beside them."""
        return [
            Route(f"{self._prefix}/checkpoint", self.answer_checkpoint, methods=["GET"]),
            Route(f"{self._prefix}/tile/{{path:path}}", self.answer_tile, methods=["GET"]),
        ]

    async def answer_checkpoint(self, request: Request) -> Response:
        """Return the newest checkpoint that is published."""
        if not self._is_exact(request, "checkpoint"):
            return _refuse(404, "no such path")
        try:
            checkpoint = await asyncio.to_thread(self._read_checkpoint)
        except MissingTileError:
            checkpoint = None
        except StorageError as error:
            return _refuse_unread(error)
        if checkpoint is None:
            return _refuse(404, "no checkpoint is published yet")
        return Response(checkpoint, headers=MAY_CHANGE, media_type=CHECKPOINT_TYPE)

    async def answer_tile(self, request: Request) -> Response:
        """Return a tile or an entry bundle, which nobody needs to ask for again."""
        path = f"tile/{request.path_params['path']}"
        try:
            Tile.from_path(path)
        except EncodingError:
            return _refuse(404, "no such path")
        if not self._is_exact(request, path):
            return _refuse(404, "no such path")
        try:
            tile = await asyncio.to_thread(self._read_tile, path)
        except MissingTileError:
            return _refuse(404, "the log has no such tile, or not yet")
        except StorageError as error:
            return _refuse_unread(error)
        return Response(tile, headers=NEVER_CHANGES, media_type=TILE_TYPE)

    def _is_exact(self, request: Request, path: str) -> bool:
        """Whether the path was sent as it is spelled, without an escape and without a query."""
        sent: bytes = request.scope["raw_path"]
        return sent == f"{self._prefix}/{path}".encode() and not request.scope["query_string"]


def make_tile_app(
    *, read_tile: Callable[[str], bytes], read_checkpoint: Callable[[], bytes | None], prefix: str = ""
) -> Starlette:
    """Return the application that serves a log and nothing else; the arguments are those of ``TileApp``."""
    tiles = TileApp(read_tile=read_tile, read_checkpoint=read_checkpoint, prefix=prefix)
    app = Starlette(routes=tiles.list_routes())
    app.router.redirect_slashes = False  # checkpoint/ is not another name of checkpoint
    return app


def _refuse(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status, MAY_CHANGE)


def _refuse_unread(error: StorageError) -> Response:
    # Where the files lie is nobody's business on the other side.
    _logger.error("a file of the log cannot be read: %s", error)
    return _refuse(503, "the log cannot be read at present")
