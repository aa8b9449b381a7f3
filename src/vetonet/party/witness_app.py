"""A witness over HTTP: C2SP tlog-witness, and one question of our own for monitors.

``POST /add-checkpoint`` asks for a cosignature. ``GET /newest/<SHA-256 of the origin, in hex>`` returns the
newest checkpoint of a log that this witness cosigned, as the log signed it, so that monitors can compare what
they were shown. Whoever serves the application bounds the requests: ``WITNESS_LIMITS`` is for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vetonet.errors import VetonetError
from vetonet.party.witness import Witness
from vetonet.tlog.add_checkpoint import MAX_REQUEST_BYTES
from vetonet.tlog.witness_answer import Answer, answer_granted, answer_refused, name_log
from vetonet.wire.http_boundary import HttpLimits

WITNESS_LIMITS: Final = HttpLimits(max_body_bytes=MAX_REQUEST_BYTES)


class WitnessApp:
    """The answers of one witness."""

    __slots__ = ("_clock_s", "_origins", "_witness")

    def __init__(self, witness: Witness, *, clock_s: Callable[[], int]) -> None:
        """Answer for this witness, by this clock: seconds since the Unix epoch."""
        self._witness, self._clock_s = witness, clock_s
        self._origins = {name_log(origin): origin for origin in witness.origins}

    async def add_checkpoint(self, request: Request) -> Response:
        """Return the witness's signature line, or why there is none."""
        data = await request.body()
        try:
            lines = await asyncio.to_thread(self._witness.add_checkpoint, data, self._clock_s())
        except VetonetError as error:
            return _respond(answer_refused(error))
        return _respond(answer_granted(lines))

    async def find_newest(self, request: Request) -> Response:
        """Return the newest checkpoint of a log that this witness cosigned."""
        origin = self._origins.get(request.path_params["log"])
        newest = None if origin is None else self._witness.find_newest(origin)
        if newest is None:
            return _respond(Answer(status=404, body=b"nothing was cosigned of such a log\n"))
        return _respond(Answer(status=200, body=newest))


def make_witness_app(witness: Witness, *, clock_s: Callable[[], int]) -> Starlette:
    """Return the application that answers for a witness.

    Args:
        witness: the witness.
        clock_s: the present in seconds since the Unix epoch, which cosignatures state.
    """
    app = WitnessApp(witness, clock_s=clock_s)
    return Starlette(
        routes=[
            Route("/add-checkpoint", app.add_checkpoint, methods=["POST"]),
            Route("/newest/{log}", app.find_newest, methods=["GET"]),
        ]
    )


def _respond(answer: Answer) -> Response:
    headers = {"content-type": answer.media_type, "cache-control": "no-store"}
    return Response(answer.body, answer.status, headers=headers)
