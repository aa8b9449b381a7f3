"""``vetonet log append``: files, or their lines, as leaves of a log that takes any."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from vetonet.cli.exits import Exit, Failure, to_failure
from vetonet.cli.files import MAX_INPUT_BYTES, read_input
from vetonet.cli.log_source import DEFAULT_ADDRESS, MAX_LEAF_BYTES
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.cli.parameters import ADDRESS
from vetonet.cli.session import run_async
from vetonet.errors import ProtocolError, VetonetError

STDIN: Final = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    """What becomes a leaf, and where the user has it from."""

    content: bytes
    source: str


@click.command(
    epilog=examples(
        "vetonet log append statement.cose",
        "vetonet log append a.txt b.txt --server 127.0.0.1:7447 --json",
        "seq 5000 | vetonet log append --lines -",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--lines", "by_line", is_flag=True, help="Every line is a leaf, without its newline.")
@click.option(
    "--server", type=ADDRESS, default=DEFAULT_ADDRESS, show_default=True, help="Where `vetonet log serve` is."
)
@json_option
def append(*, files: tuple[Path, ...], by_line: bool, server: str, as_json: bool) -> None:
    """Log each of FILES as one leaf, `-` for standard input; print the index of each.

    They are on the log's disk then, and proven by its next checkpoint. Up to 1,024 leaves of together 2 MiB
    go in at once, all or none; more go in one batch after the other, and an error says how far they came.
    """
    if files.count(STDIN) > 1:
        raise Failure("expected `-` once: standard input can be read only once")
    leaves = [leaf for path in files for leaf in (_read_lines(path) if by_line else _read_whole(path))]
    if not leaves:
        raise Failure("expected at least one leaf, got files without a line", code=Exit.INVALID)
    sending = _Sending(leaves, server, is_quiet=as_json)
    run_async(sending.send)
    if as_json:
        print_json({"leaf_indices": sending.indices})


class _Sending:
    """Leaves on their way into a log, batch by batch."""

    __slots__ = ("_is_quiet", "_leaves", "_server", "indices")

    def __init__(self, leaves: Sequence[_Leaf], server: str, *, is_quiet: bool) -> None:
        self._leaves, self._server, self._is_quiet = leaves, server, is_quiet
        self.indices: Final = list[int]()

    async def send(self) -> None:
        """Every leaf is in the log, and where, has been said of each batch as soon as it was.

        Raises:
            Failure: a batch was refused or not answered; says how many leaves were acknowledged before.
        """
        from vetonet.party.log_client import OpenLogClient, split_batches

        async with OpenLogClient(self._server, rng=secrets.token_bytes) as client:
            for batch in split_batches(leaf.content for leaf in self._leaves):
                try:
                    self._take(await client.append(batch))
                except VetonetError as error:
                    raise self._explain(error, len(batch)) from error

    def _take(self, indices: Sequence[int]) -> None:
        begin = len(self.indices)
        self.indices.extend(indices)
        if not self._is_quiet:
            for leaf, index in zip(self._leaves[begin:], indices, strict=False):
                print_line(f"{index}  {leaf.source}")

    def _explain(self, error: VetonetError, pending: int) -> Failure:
        """Return what a user sees: what went wrong, and what of it all is in the log."""
        failure = to_failure(error)
        message = failure.message
        if failure.reason == "rpc":
            message = f"{self._server}: nobody takes leaves there; see that `vetonet log serve` runs"
        message += self._describe_fate(pending, is_refused=isinstance(error, ProtocolError))
        return Failure(message, code=failure.code, reason=failure.reason, culprit=failure.culprit)

    def _describe_fate(self, pending: int, *, is_refused: bool) -> str:
        """Return how far it came; a batch without an answer may be in the log, a refused one is not."""
        done, whole = len(self.indices), len(self._leaves)
        if pending == whole:
            return "" if is_refused else "; the leaves may be logged all the same"
        fate = "are not" if is_refused else "may be"
        return f"; {done} of {whole} leaves are logged, the next {pending} {fate}, the others are not"


def _read_whole(path: Path) -> Iterator[_Leaf]:
    if path != STDIN:
        yield _Leaf(content=read_input(path, "a leaf", maximum=MAX_LEAF_BYTES), source=str(path))
    else:
        yield _Leaf(content=_read_stdin("a leaf", MAX_LEAF_BYTES), source=str(path))


def _read_lines(path: Path) -> Iterator[_Leaf]:
    what = "leaves, one a line,"
    data = _read_stdin(what, MAX_INPUT_BYTES) if path == STDIN else read_input(path, what)
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    for number, line in enumerate(lines, start=1):
        source = f"{path}:{number}"
        if len(line) > MAX_LEAF_BYTES:
            message = f"{source}: expected a leaf of at most {MAX_LEAF_BYTES} bytes, got {len(line)}"
            raise Failure(message, code=Exit.INVALID, reason="input")
        yield _Leaf(content=line, source=source)


def _read_stdin(what: str, maximum: int) -> bytes:
    if sys.stdin is None:  # closed by whoever called us
        raise Failure(f"standard input: expected {what}, but it is closed", code=Exit.INVALID, reason="input")
    try:
        data = sys.stdin.buffer.read(maximum + 1)
    except OSError as error:
        message = f"standard input: expected {what} that can be read, but: {error.strerror}"
        raise Failure(message, code=Exit.INVALID, reason="input") from error
    if len(data) > maximum:
        message = f"standard input: expected {what} of at most {maximum} bytes, got more"
        raise Failure(message, code=Exit.INVALID, reason="input")
    return data
