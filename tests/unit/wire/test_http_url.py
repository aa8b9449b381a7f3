"""Where a server's paths begin has one meaning, whoever reads it."""

from __future__ import annotations

import pytest

from vetonet.errors import ConfigError
from vetonet.wire.http_url import UrlPrefix


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("http://log.example", "log.example", 80, "/checkpoint"),
        ("https://log.example", "log.example", 443, "/checkpoint"),
        ("https://log.example:8443/", "log.example", 8443, "/checkpoint"),
        ("https://log.example/one/2024", "log.example", 443, "/one/2024/checkpoint"),
        ("https://log.example/one/2024/", "log.example", 443, "/one/2024/checkpoint"),
        ("http://127.0.0.1:1", "127.0.0.1", 1, "/checkpoint"),
        ("http://[::1]:65535/a", "::1", 65535, "/a/checkpoint"),
    ],
)
def test_a_plain_url_is_read(text: str, host: str, port: int, target: str) -> None:
    prefix = UrlPrefix.from_text(text)
    assert (prefix.host, prefix.port, prefix.to_target("checkpoint")) == (host, port, target)
    assert str(prefix) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log.example",
        "//log.example",
        "ftp://log.example",
        "file:///etc/passwd",
        "http:/log.example",
        "http://",
        "http:///path",
        "http://user@log.example",
        "http://user:word@log.example",
        "http://log.example?x=1",
        "http://log.example/?x",
        "http://log.example#part",
        "http://log.example//",
        "http://log.example//a",
        "http://log.example/a/../b",
        "http://log.example/./a",
        "http://log.example/%61",
        "http://log.example/a b",
        "http://log.example\n",
        "http://log.example/\r\nHost: other",
        " http://log.example",
        "http://log..example",
        "http://log.example:",
        "http://log.example:0",
        "http://log.example:080",
        "http://log.example:65536",
        "http://log.example:80:80",
        "http://log\\example",
        "http://l\N{LATIN SMALL LETTER O WITH DIAERESIS}g.example",
        "http://[::1",
        "http://[1:2]",
        "http://[::1%25eth0]",
        "http://" + "a" * 64 + ".example",
        "http://log.example/" + "a" * 1_024,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected a (URL|port)"):
        UrlPrefix.from_text(text)


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a/./b", "a b", "a?b", "a#b", "a%20b", "a\r\nb"]
)
def test_a_path_of_ours_that_needs_an_escape_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match="expected a plain path"):
        UrlPrefix.from_text("http://log.example").to_target(path)
