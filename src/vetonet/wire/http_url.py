"""Where a server's paths begin: a plain http or https URL, read strictly."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from vetonet.errors import ConfigError

MAX_URL_CHARS: Final = 1_024
MAX_PORT: Final = 65_535
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_LABEL: Final = r"[A-Za-z0-9-]{1,63}"
_URL: Final = re.compile(
    rf"(?P<scheme>https?)://(?P<authority>(?P<host>\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?)(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?"
)
_PATH: Final = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPrefix:
    """The beginning of every URL of one server.

    Attributes:
        scheme: ``http`` or ``https``.
        authority: host and port as the URL spells them, which is what the Host header says.
        host: a name, or an address without brackets.
        port: the port, also where the URL left it out.
        path: without a slash at its end; empty where the server has the whole host.
    """

    scheme: str
    authority: str
    host: str
    port: int
    path: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the prefix that a URL spells, with or without a slash at its end.

        Raises:
            ConfigError: anything but scheme, host, port and path: a user, a query, a fragment, an escape.
        """
        match = _URL.fullmatch(text) if len(text) <= MAX_URL_CHARS else None
        if match is None or not _is_host(match["host"]) or _has_dots(match["path"]):
            raise ConfigError(f"expected a URL such as https://log.example/path, got {text[:80]!r}")
        port = int(match["port"] or DEFAULT_PORTS[match["scheme"]])
        if port > MAX_PORT:
            raise ConfigError(f"expected a port up to {MAX_PORT} in {text!r}")
        return cls(
            scheme=match["scheme"],
            authority=match["authority"],
            host=match["host"].strip("[]"),
            port=port,
            path=match["path"],
        )

    def __str__(self) -> str:
        """Return the URL, without a slash at its end."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def to_target(self, path: str) -> str:
        """Return what a request line asks for: the path below the prefix.

        Args:
            path: without a slash at its beginning or end, and without anything that needs an escape.
        """
        if not _PATH.fullmatch(path) or _has_dots(path):
            raise ValueError(f"expected a plain path, got {path[:80]!r}")
        return f"{self.path}/{path}"


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _has_dots(path: str) -> bool:
    return not _DOTS.isdisjoint(path.split("/"))
