"""What all replays do with the reports that their chips sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from vetonet.cli.exits import Failure
from vetonet.cli.files import make_folder, write_output
from vetonet.cli.output import note

if TYPE_CHECKING:
    from vetonet.cli.replay_fleet import Metered

MAX_REPORTS: Final = 100_000


def require_affordable(reports: int) -> None:
    """Refuse a replay that would take all day.

    Raises:
        Failure: there would be too many reports.
    """
    if reports > MAX_REPORTS:
        raise Failure(
            f"--interval: expected at most {MAX_REPORTS} reports in all, got {reports}; give a longer one"
        )


def write_reports(out: Path, metered: Metered) -> None:
    """Every report is in a file named by chip and counter.

    Raises:
        Failure: a file cannot be written.
    """
    make_folder(out)
    for name, data in metered.reports:
        write_output(out / f"{name}.cose", data)
    note(f"{len(metered.reports)} reports written to {out}")
