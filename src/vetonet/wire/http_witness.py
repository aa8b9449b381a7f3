"""Somebody else's witness, asked over HTTP (C2SP tlog-witness).

Its answers are the errors that a witness in this process would raise. None of them is evidence: what a
witness says of a log it has to prove, and what it signs is verified by whoever asked.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Final, Self

from vetonet.errors import EncodingError, InvalidSignatureError, VetonetError
from vetonet.tlog.add_checkpoint import (
    MAX_RESPONSE_BYTES,
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    parse_known_size,
)
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.witness import (
    SplitViewError,
    StaleCheckpointError,
    UnknownLogError,
    UnprovenCheckpointError,
)
from vetonet.tlog.witness_answer import name_log
from vetonet.wire.errors import HttpError
from vetonet.wire.http_client import HttpClient
from vetonet.wire.http_exchange import HttpAnswer

ADD_CHECKPOINT: Final = "add-checkpoint"
DEFAULT_TIMEOUT_S: Final = 10.0


class HttpWitness:
    """A ``WitnessPort`` at the other end of HTTP.

    Attributes:
        url: where its paths begin, for messages.
    """

    __slots__ = ("_client", "url")

    def __init__(
        self, url: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        """Ask the witness whose submission prefix this is; nothing is sent yet.

        Args:
            url: the prefix, http or https.
            timeout_s: how long one request may take.
            tls: whose certificates are accepted; by default the system's authorities.

        Raises:
            ConfigError: the URL is not a plain one.
        """
        self._client = HttpClient(url, timeout_s=timeout_s, max_bytes=MAX_RESPONSE_BYTES, tls=tls)
        self.url: Final = str(self._client.prefix)

    def __enter__(self) -> Self:
        """Within, connections are kept."""
        return self

    def __exit__(self, *_: object) -> None:
        """No connection is kept any more."""
        self.close()

    def close(self) -> None:
        """No connection is kept any more; requests under way end as they would have."""
        self._client.close()

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        """Return the signature lines that the witness answered, none of them verified.

        Raises:
            StaleCheckpointError: it says that it cosigned another size last, and which.
            SplitViewError: it says that it cosigned another root of this size.
            UnprovenCheckpointError: it says that the consistency proof does not verify.
            UnknownLogError, InvalidSignatureError, EncodingError: it says that it knows no such log, or no
                key of its that signed, or cannot read the request.
            HttpError: it cannot be reached, cannot keep what it would sign, or answers nonsense.
        """
        answer = await self._client.post_async(
            ADD_CHECKPOINT, request.to_bytes(), "text/plain; charset=utf-8"
        )
        if answer.status == HTTPStatus.OK:
            return answer.body
        raise self._find_refusal(request, answer)

    async def fetch_newest(self, origin: str) -> bytes:
        """Return the newest checkpoint of a log that one of our witnesses says it cosigned, not verified.

        Raises:
            UnknownLogError: it has cosigned nothing of this log.
            HttpError: it cannot be reached, or is not one of ours.
        """
        path = f"newest/{name_log(origin)}"
        answer = await self._client.get_async(path, max_bytes=MAX_NOTE_BYTES)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise UnknownLogError(f"witness {self.url} has cosigned nothing of log {origin!r}")
        if answer.status != HTTPStatus.OK:
            raise HttpError(f"{self.url}/{path}: expected status 200, got {answer.status}")
        return answer.body

    def _find_refusal(self, request: AddCheckpoint, answer: HttpAnswer) -> VetonetError:
        """Return the error that a status stands for; what the body says beside it is not repeated."""
        origin = request.signed.checkpoint.origin
        match answer.status:
            case HTTPStatus.CONFLICT:
                return self._find_conflict(request, answer)
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                return UnprovenCheckpointError(
                    f"witness {self.url} refuses the consistency proof of {origin!r}"
                )
            case HTTPStatus.NOT_FOUND:
                return UnknownLogError(f"witness {self.url} knows no log {origin!r}, or is not at this URL")
            case HTTPStatus.FORBIDDEN:
                return InvalidSignatureError(
                    f"witness {self.url} trusts no key that signed for log {origin!r}"
                )
            case HTTPStatus.BAD_REQUEST:
                return EncodingError(f"witness {self.url} cannot read the request")
        return HttpError(f"{self.url}/{ADD_CHECKPOINT}: expected a status of a witness, got {answer.status}")

    def _find_conflict(self, request: AddCheckpoint, answer: HttpAnswer) -> VetonetError:
        """Return which of the two conflicts it is: a stale old size, or a second root of one size."""
        offered, known_size = request.signed.checkpoint, None
        if answer.content_type.partition(";")[0].strip().lower() == SIZE_MEDIA_TYPE:
            try:
                known_size = parse_known_size(answer.body)
            except EncodingError as error:
                return HttpError(f"{self.url}/{ADD_CHECKPOINT}: {error}")
        if known_size is not None and known_size != request.old_size:
            msg = f"witness {self.url} cosigned size {known_size} last, not {request.old_size}"
            return StaleCheckpointError(msg, known_size=known_size)
        if request.old_size == offered.tree_size:
            msg = f"witness {self.url} says that it cosigned another root of size {offered.tree_size}"
            return SplitViewError(f"{msg} of log {offered.origin!r}", culprit=None)
        return HttpError(f"{self.url}/{ADD_CHECKPOINT}: expected a conflict with a {SIZE_MEDIA_TYPE}")
