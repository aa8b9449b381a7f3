"""Pictures of a proposal, a licence and a key ceremony, drawn from their tables: they cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.voting.ceremony import CEREMONY_TABLE, CeremonyTransition
from vetonet.voting.ceremony_state import CeremonyPhase
from vetonet.voting.machine import TABLE, Transition
from vetonet.voting.state import Phase
from vetonet.voting.tenure import TENURE_TABLE, TenureTransition
from vetonet.voting.tenure_state import TenurePhase


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


def draw_ceremony(rows: Iterable[CeremonyTransition] = tuple(CEREMONY_TABLE.values())) -> str:
    """Return a Mermaid state diagram of a ceremony; what changes no phase is left out."""
    drawn = [row for row in rows if row.label]
    arrows = [
        f"    {row.phase} --> {target}: {row.event.__name__} ({row.label})"
        for row in drawn
        for target in CeremonyPhase
        if target in row.targets - {row.phase}
    ]
    ends = [phase for phase in CeremonyPhase if phase not in {row.phase for row in drawn}]
    lines = ["stateDiagram-v2", f"    [*] --> {CeremonyPhase.COMMITTING}: round 1 sent", *arrows]
    return "\n".join([*lines, *(f"    {phase} --> [*]" for phase in ends), ""])


def draw_tenure(rows: Iterable[TenureTransition] = tuple(TENURE_TABLE.values())) -> str:
    """Return a Mermaid state diagram of a licence's life; unlabelled rows change nothing."""
    arrows = [
        f"    {row.phase} --> {target}: {row.event.__name__} ({row.label})"
        for row in rows
        if row.label
        for target in TenurePhase
        if target in row.targets
    ]
    lines = ["stateDiagram-v2", f"    [*] --> {TenurePhase.WAITING}: licence logged", *arrows]
    return "\n".join([*lines, f"    {TenurePhase.ENDED} --> [*]", ""])
