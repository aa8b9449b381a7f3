"""Addresses as people write them: one spelling, ``host:port``."""

from __future__ import annotations

import re
from typing import Final

from vetonet.units import show

MAX_PORT: Final = 65_535

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\]")


def parse_address(text: str) -> str:
    """Return an address as ``host:port``; an IPv6 host stands in brackets.

    Raises:
        ValueError: no such address.
    """
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isascii() or not port.isdecimal() or int(port) > MAX_PORT:
        msg = f"expected HOST:PORT, such as 127.0.0.1:7443, got {show(text)}"
        raise ValueError(msg)
    return text
