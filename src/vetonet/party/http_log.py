"""Somebody else's log, read over HTTP (C2SP tlog-tiles): bytes of a bounded size, which nobody vouches for.

``verify_checkpoint`` and ``TileReader`` find out what they are worth.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Final, Self

from vetonet.storage.tile_store import CHECKPOINT, compute_limit
from vetonet.tlog.tiles import MissingTileError, Tile
from vetonet.wire.errors import HttpError
from vetonet.wire.http_client import DEFAULT_TIMEOUT_S, HttpClient
from vetonet.wire.http_exchange import HttpAnswer


class HttpLog:
    """The files of one log behind a URL; may be read by several threads at a time.

    Attributes:
        url: where its paths begin, for messages.
    """

    __slots__ = ("_client", "url")

    def __init__(
        self, url: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        """Read the log whose paths begin so; nothing is sent yet.

        Args:
            url: the prefix, http or https.
            timeout_s: how long one file may take.
            tls: whose certificates are accepted; by default the system's authorities.

        Raises:
            ConfigError: the URL is not a plain one.
        """
        self._client = HttpClient(url, timeout_s=timeout_s, tls=tls)
        self.url: Final = str(self._client.prefix)

    def __enter__(self) -> Self:
        """Within, connections are kept for the next file."""
        return self

    def __exit__(self, *_: object) -> None:
        """No connection is kept any more."""
        self.close()

    def close(self) -> None:
        """No connection is kept any more."""
        self._client.close()

    def read_checkpoint(self) -> bytes:
        """Return the newest checkpoint that the log shows us.

        Raises:
            HttpError: the server gives none, or one that is too large.
        """
        return self._read(CHECKPOINT)

    def read_tile(self, path: str) -> bytes:
        """Return a tile or an entry bundle.

        Args:
            path: as ``Tile.to_path`` spells it.

        Raises:
            EncodingError: no path of a tile.
            MissingTileError: the server says that there is none, which no signature confirms.
            HttpError: the server gives none for another reason, or one that is too large.
        """
        Tile.from_path(path)
        return self._read(path)

    def fetch(self, tile: Tile) -> bytes:
        """Return a tile or an entry bundle: what ``TileReader`` reads a log through.

        Raises:
            MissingTileError, HttpError: as ``read_tile`` says.
        """
        return self._read(tile.to_path())

    def _read(self, path: str) -> bytes:
        return self._take(path, self._client.get(path, max_bytes=compute_limit(path)))

    def _take(self, path: str, answer: HttpAnswer) -> bytes:
        if answer.status == HTTPStatus.OK:
            return answer.body
        if answer.status == HTTPStatus.NOT_FOUND and path != CHECKPOINT:
            raise MissingTileError(f"{self.url}/{path}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise HttpError(f"{self.url}/{path}: nothing is published there, or not yet")
        raise HttpError(f"{self.url}/{path}: expected status 200, got {answer.status}")
