"""The picture of a chip's life, drawn from the transition table, so that it cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.attester.machine import TABLE, Transition
from vetonet.attester.state import Phase


def draw_states(rows: Iterable[Transition] = tuple(TABLE.values())) -> str:
    """Return a Mermaid state diagram: an arrow for each row and target; unlabelled rows change nothing."""
    arrows = [
        f"    {row.phase} --> {target}: {row.event.__name__} ({row.label})"
        for row in rows
        if row.label
        for target in Phase
        if target in row.targets
    ]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.OFF}: manufactured", *arrows, ""])
