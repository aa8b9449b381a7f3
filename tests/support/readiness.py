"""Waiting for what a command that runs does a moment later than it says that it is ready."""

from __future__ import annotations

import contextlib
import time

from vetonet.party.http_log import HttpLog
from vetonet.wire.errors import HttpError


def wait_for_log(url: str, size: int) -> str:
    """Return the URL, once a checkpoint over that many leaves is published there.

    The first one may cover the treaty alone: a coordinator publishes what it logs an interval later.
    """
    for _ in range(400):
        with contextlib.suppress(HttpError), HttpLog(url) as log:
            if int(log.read_checkpoint().splitlines()[1]) >= size:
                return url
        time.sleep(0.05)
    raise AssertionError(f"no checkpoint over {size} leaves")
