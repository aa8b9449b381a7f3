"""The picture of a proposal's life, drawn from the transition table, so that it cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.voting.machine import TABLE, Transition
from vetonet.voting.state import Phase


def draw_states(rows: Iterable[Transition] = tuple(TABLE.values())) -> str:
    """Return a Mermaid state diagram: an arrow for each row and target; unlabelled rows change nothing."""
    drawn = [row for row in rows if row.label]
    arrows = [
        f"    {row.phase} --> {target}: {row.event.__name__} ({row.label})"
        for row in drawn
        for target in Phase
        if target in row.targets
    ]
    ends = sorted(set(Phase) - {row.phase for row in drawn})
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.OPEN}: proposal logged", *arrows]
    return "\n".join([*lines, *(f"    {phase} --> [*]" for phase in ends), ""])
