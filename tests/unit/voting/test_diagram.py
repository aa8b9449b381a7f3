from __future__ import annotations

from vetonet.voting.ceremony import CEREMONY_TABLE
from vetonet.voting.diagram import draw_ceremony, draw_states
from vetonet.voting.machine import TABLE
from vetonet.voting.state import Phase


def test_every_phase_is_in_the_picture() -> None:
    picture = draw_states()
    assert all(phase.value in picture for phase in Phase)


def test_every_labelled_target_is_an_arrow_and_nothing_else_is() -> None:
    arrows = [line for line in draw_states().splitlines() if ": " in line and "[*]" not in line]
    assert len(arrows) == sum(len(row.targets) for row in TABLE.values() if row.label)


def test_the_ends_have_no_way_out() -> None:
    lines = draw_states().splitlines()
    ends = {line.split()[0] for line in lines if line.endswith("--> [*]")}
    assert ends == {"licensed", "vetoed", "expired"}


def test_a_ceremony_is_drawn_by_its_table_and_its_ends_have_no_way_out() -> None:
    lines = draw_ceremony().splitlines()
    arrows = [line for line in lines if ": " in line and "[*]" not in line]
    assert len(arrows) == sum(len(row.targets - {row.phase}) for row in CEREMONY_TABLE.values())
    assert {line.split()[0] for line in lines if line.endswith("--> [*]")} == {"done", "aborted"}
