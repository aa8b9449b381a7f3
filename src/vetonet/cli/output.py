"""What commands say: results on standard output, all else on standard error; colour only for people.

Much of what is said comes from others, so no text given here can break its line or steer a terminal.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import click

from vetonet.cli.exits import to_plain
from vetonet.units import MS_PER_HOUR, MS_PER_S, Milliseconds

COMMAND: Final = "vetonet"
PIPE_COLUMNS: Final = 200
COLUMNS: Final = 100
"""The width of prose."""
STYLES: Final[Mapping[str, str]] = {
    "COMPLIANT": "green",
    "INCONCLUSIVE": "yellow",
    "VIOLATION": "bold red",
    "licensed": "green",
    "adopted": "green",
    "granted": "green",
    "grant": "green",
    "vetoed": "bold red",
    "veto": "bold red",
    "expired": "yellow",
    "possible": "green",
    "impossible": "bold red",
}
"""Words that mean something good or bad wherever they stand alone in a cell."""

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)


def examples(*lines: str) -> str:
    """Return the closing words of a command's help: what to type."""
    # The first character tells click to keep the lines as they are.
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def spell_command() -> str:
    """Return this command as the user called it, so that a line of ours can be typed as it stands."""
    called, known = Path(sys.argv[0]), shutil.which(COMMAND)
    if called.name != COMMAND or (known is not None and Path(known).resolve() == called.resolve()):
        return COMMAND
    is_below = called.is_absolute() and called.is_relative_to(Path.cwd())
    return shlex.quote(str(called.relative_to(Path.cwd()) if is_below else called))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object in one line, all of it in ASCII: names from files must not steer a terminal."""
    click.echo(json.dumps(value))


def print_line(text: str = "") -> None:
    """Print one line of a result."""
    click.echo(to_plain(text))


def print_wrapped(text: str) -> None:
    """Print a sentence or two, what follows the first line set in."""
    for line in textwrap.wrap(to_plain(text), COLUMNS, subsequent_indent="  ", break_on_hyphens=False):
        click.echo(line)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> None:
    """Print a table.

    Args:
        columns: the headings.
        rows: the cells; a word of ``STYLES`` is coloured where that is wanted.
        right: headings of columns with numbers.
    """
    from rich.table import Table
    from rich.text import Text

    table, numbers = Table(box=None, pad_edge=False, header_style="bold"), set(right)
    for column in columns:
        table.add_column(to_plain(column), justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(to_plain(cell), style=STYLES.get(cell, "")) for cell in row))
    _print_rich(table)


def _print_rich(renderable: object) -> None:
    """Print for a terminal of its width, or for a file without colour, wrapping or trailing blanks."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(renderable)
        return
    text = io.StringIO()
    Console(file=text, width=PIPE_COLUMNS, color_system=None).print(renderable)
    click.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def note(text: str) -> None:
    """Say on standard error what is going on."""
    click.echo(to_plain(text), err=True)


def warn(text: str) -> None:
    """Say on standard error what the user should know before relying on the result."""
    click.echo(
        click.style("Warning: ", fg="yellow") + to_plain(text), err=True, color=_has_colour(sys.stderr)
    )


def _has_colour(stream: IO[str]) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def format_duration(duration_ms: Milliseconds) -> str:
    """Return a duration for people: ``3 h 53 min``, ``25 min 10 s``, ``3 s``, ``250 ms``."""
    if duration_ms < MS_PER_S:
        return f"{duration_ms} ms"
    seconds = duration_ms // MS_PER_S
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    is_exact = duration_ms < 10 * MS_PER_HOUR
    return " ".join(parts[: 3 if is_exact else 2])


def format_flop(flop: int) -> str:
    """Return a count of FLOP in scientific notation, rounded to at most 4 digits, without a float."""
    digits = str(flop)
    exponent = len(digits) - 1
    kept = 3
    if exponent <= kept:
        return digits
    scaled = (flop + 5 * 10 ** (exponent - kept - 1)) // 10 ** (exponent - kept)
    if len(str(scaled)) > kept + 1:
        scaled, exponent = scaled // 10, exponent + 1
    head, tail = str(scaled)[0], str(scaled)[1:].rstrip("0")
    return f"{head}.{tail}e{exponent}" if tail else f"{head}e{exponent}"
