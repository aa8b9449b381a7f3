"""A council on one machine, each party a folder and a process of its own."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from support.command_line import call, start

NAMES: Final = ("P1", "P2", "P3", "P4", "P5")

PLAN: Final = """
name = "Council of five"
parties = ["P1", "P2", "P3", "P4", "P5"]
makers = ["maker1"]

[[operator]]
id = "op1"

[[band]]
name = "free"
from-flop = 0
rule = "free"

[[band]]
name = "licensed"
from-flop = 1e24
rule = "licensed"

[times]
window = "1h"
signing = "30s"
report-interval = "10m"
report-grace = "5m"
lease = "1h"

[action.run-grant]
quorum = { threshold = 3, weights = { P1 = 2, P2 = 1, P3 = 1 } }

[action.lease-renewal]
quorum = { threshold = 2, of = ["P3", "P4"] }
"""
"""Two groups of different electorates, P1 twice in the first, P5 in none."""


def make_cards(root: Path, names: Sequence[str] = NAMES) -> list[Path]:
    """Return the cards of parties whose homes are in ``root`` now, each with the key file ``NAME.key``."""
    for name in names:
        ended = call("party", "card", root / name, "--party", name, "--key-file", root / f"{name}.key")
        assert ended.code == 0, ended.err
    return [root / name / "card.json" for name in names]


def draft(root: Path, out: str, cards: Sequence[Path], plan: str = PLAN) -> Path:
    """Return the folder with a convener's draft."""
    path = root / f"{out}.toml"
    path.write_text(plan, encoding="utf-8")
    options = [option for card in cards for option in ("--card", str(card))]
    ended = call("treaty", "draft", "--file", path, *options, "--out", root / out)
    assert ended.code == 0, ended.err
    return root / out


def reserve_addresses(names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return an address for each party where nobody listens yet."""
    sockets = [socket.socket() for _ in names]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return dict(zip(names, addresses, strict=True))


def spell_founding(
    root: Path, name: str, addresses: Mapping[str, str], charter: Path, *options: str
) -> list[str]:
    """Return the command line of a party's part in a founding."""
    peers = [f"--peer={other}={address}" for other, address in addresses.items() if other != name]
    keys = ["--key-file", str(root / f"{name}.key")]
    where = ["--charter", str(charter), "--listen", addresses[name]]
    return ["party", "found", str(root / name), *where, *keys, *peers, *options]


def start_founding(*arguments: Any) -> Any:
    """Return the process of a party that takes part, as ``spell_founding`` has it."""
    return start(*spell_founding(*arguments), "--json")
