"""Writes the state diagrams of docs/protocol.md from the transition tables; with --verify, compares only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vetonet.attester.diagram import draw_states as draw_chip
from vetonet.voting.diagram import draw_ceremony, draw_tenure
from vetonet.voting.diagram import draw_states as draw_voting

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"
DIAGRAMS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {"voting": draw_voting, "chip": draw_chip, "ceremony": draw_ceremony, "tenure": draw_tenure}
)
"""What stands between the markers ``<!-- NAME-diagram:start -->`` and ``<!-- NAME-diagram:end -->``."""


def insert_diagram(text: str, name: str, diagram: str) -> str:
    """Return the document with this diagram between its markers.

    Raises:
        ValueError: a marker is missing or stands twice.
    """
    start, end = f"<!-- {name}-diagram:start -->", f"<!-- {name}-diagram:end -->"
    if text.count(start) != 1 or text.count(end) != 1:
        msg = f"expected the markers of the {name} diagram once each"
        raise ValueError(msg)
    before, rest = text.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n\n```mermaid\n{diagram.rstrip()}\n```\n\n{end}{after}"


def insert_diagrams(text: str) -> str:
    """Return the document with every diagram as its transition table has it now."""
    for name, draw in DIAGRAMS.items():
        text = insert_diagram(text, name, draw())
    return text


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 done or up to date, 1 stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verify", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    text = DOCUMENT.read_text(encoding="utf-8")
    drawn = insert_diagrams(text)
    if not options.verify:
        DOCUMENT.write_text(drawn, encoding="utf-8")
        return 0
    if drawn != text:
        print("docs/protocol.md: a diagram is stale; run `.venv/bin/python .ci/diagrams.py`")
    return 0 if drawn == text else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
