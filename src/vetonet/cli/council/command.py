"""``vetonet demo-council``: a council of separate processes over mutual TLS, from its founding on."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder, require_empty
from vetonet.cli.output import examples, json_option, note, print_json, print_line
from vetonet.errors import VetonetError

MIN_PARTIES: Final = 5
MAX_PARTIES: Final = 15
MANY: Final = 10
"""From so many parties on two members are replaced and votes stay open longer."""


@click.command(epilog=examples("vetonet demo-council", "vetonet demo-council --parties 5 --out council"))
@click.option(
    "--parties",
    type=click.IntRange(MIN_PARTIES, MAX_PARTIES),
    default=MAX_PARTIES,
    show_default=True,
    help="How many found the council; a third of them, and two at least, can veto alone.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where homes, keys and logs go: a new or empty folder.  [default: a new temporary folder]",
)
@json_option
def demo_council(*, parties: int, out: Path | None, as_json: bool) -> int:
    """Run a council on this machine, each party a process: a few minutes for fifteen.

    Nothing but loopback is used. Exits with 0 only where every scene went as it should.
    """
    root = Path(tempfile.mkdtemp(prefix="vetonet-council-")) if out is None else out
    require_empty(root)
    make_folder(root, mode=PRIVATE_FOLDER_MODE)
    began = time.monotonic()
    try:
        scenes = asyncio.run(_perform(parties, root.resolve(), as_json=as_json))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    took_s, is_right = round(time.monotonic() - began, 1), all(scene["as_expected"] for scene in scenes)
    if as_json:
        print_json({"directory": str(root), "scenes": scenes, "seconds": took_s, "as_expected": is_right})
    else:
        verdict = "all as expected" if is_right else "NOT as expected"
        print_line(f"{len(scenes)} scenes in {took_s:g} s, {verdict}; homes and logs are in {root}")
    return Exit.OK if is_right else Exit.NEGATIVE


async def _perform(parties: int, root: Path, *, as_json: bool) -> list[dict[str, Any]]:
    """Return how each scene went; after one that failed none is played."""
    from vetonet.cli.council.casting import cast
    from vetonet.cli.council.scenes import SCENES

    task = asyncio.current_task()
    if task is not None:  # whoever ends this process ends all that it started
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    council, played = cast(parties, root, is_small=parties < MANY), list[dict[str, Any]]()
    try:
        for title, scene in SCENES:
            note(f"{title} ...")
            began = time.monotonic()
            try:
                outcome = await scene(council)
                is_right, detail = outcome.is_as_expected, outcome.detail
            except (Failure, VetonetError) as error:
                is_right, detail = False, str(error)
            took_s = round(time.monotonic() - began, 1)
            played.append({"title": title, "as_expected": is_right, "detail": detail, "seconds": took_s})
            if not as_json:
                verdict = "as expected" if is_right else "NOT AS EXPECTED"
                print_line(f"{verdict}: {title}: {detail} ({took_s:g} s)")
            if not is_right:
                break
    finally:
        note("stopping: the parties first, then the coordinator ...")
        await council.stage.close()
    return played
