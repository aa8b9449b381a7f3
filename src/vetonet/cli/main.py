"""``vetonet``: finds the command, imports only what that needs, and ends every failure in one plain line."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import click

import vetonet
from vetonet.cli.exits import DEBUG, MEANINGS, Exit, Failure, to_failure
from vetonet.cli.output import examples
from vetonet.errors import VetonetError

OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command: where its code is, and its line in the help, known without importing it."""

    target: str
    summary: str


SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = MappingProxyType(
    {
        "See it work": {
            "demo": Entry(
                target="vetonet.cli.demo.command:demo",
                summary="Run the main job: treaty, vote, licence, chips, verdict.",
            ),
            "demo-council": Entry(
                target="vetonet.cli.council.command:demo_council",
                summary="Run a council of fifteen processes, from its keys on.",
            ),
        },
        "Found a treaty and vote": {
            "treaty": Entry(target="vetonet.cli.treaty:treaty", summary="Found a treaty, or read one."),
            "serve": Entry(target="vetonet.cli.serve:serve", summary="Run a treaty's coordinator."),
            "propose": Entry(
                target="vetonet.cli.propose:propose", summary="Propose a large run, as an operator."
            ),
            "vote": Entry(
                target="vetonet.cli.vote:vote", summary="Grant, veto or abstain, as a party; then sign."
            ),
            "move": Entry(
                target="vetonet.cli.move:move",
                summary="Move that the others suspend a run or change the treaty.",
            ),
            "consent": Entry(
                target="vetonet.cli.consent:consent",
                summary="Withdraw consent to a licensed run, or give it again.",
            ),
            "challenge": Entry(
                target="vetonet.cli.challenge:challenge",
                summary="Ask an operator for one private field of a run, as a party.",
            ),
            "disclose": Entry(
                target="vetonet.cli.disclose:disclose",
                summary="Show one private field of a run, as its operator.",
            ),
            "party": Entry(
                target="vetonet.cli.party:party",
                summary="Keep a party's daemon at work: votes, signs, tells.",
            ),
            "watch": Entry(target="vetonet.cli.watch:watch", summary="Follow the votes live."),
        },
        "Judge": {
            "verify": Entry(
                target="vetonet.cli.verify:verify", summary="Judge a bundle offline: was everything licensed?"
            ),
            "appraise": Entry(
                target="vetonet.cli.appraise:appraise",
                summary="Appraise one chip's evidence: what is it worth?",
            ),
            "verify-evidence": Entry(
                target="vetonet.cli.verify_evidence:verify_evidence",
                summary="Judge evidence that a log, a chip or its maker signed two truths.",
            ),
            "explain": Entry(
                target="vetonet.cli.explain:explain",
                summary="Judge a bundle, and say in plain words what that means.",
            ),
            "export": Entry(
                target="vetonet.cli.export:export", summary="Make the bundle of what an operator keeps."
            ),
            "ear": Entry(
                target="vetonet.cli.ear:ear", summary="Make a verifier's key, or read a result one signed."
            ),
            "plan-inspections": Entry(
                target="vetonet.cli.plan_inspections:plan_inspections",
                summary="Count the chips to inspect a year to catch a large run.",
            ),
            "conformance": Entry(
                target="vetonet.cli.conformance:conformance",
                summary="Judge this implementation by published test vectors.",
            ),
        },
        "The log": {
            "log": Entry(target="vetonet.cli.log:log", summary="Keep a transparency log, or judge one."),
            "witness": Entry(target="vetonet.cli.witness:witness", summary="Cosign the checkpoints of logs."),
            "monitor": Entry(
                target="vetonet.cli.monitor:monitor", summary="Follow a log, and catch it if it lies."
            ),
        },
        "Real data": {
            "replay": Entry(
                target="vetonet.cli.replay:replay",
                summary="Run real logs and tables through vetonet.",
            ),
            "cluster": Entry(
                target="vetonet.cli.cluster:cluster",
                summary="Tell which clusters of chips are covered, and must be registered.",
            ),
        },
    }
)
ENTRIES: Final[Mapping[str, Entry]] = MappingProxyType(
    {name: entry for section in SECTIONS.values() for name, entry in section.items()}
)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        del ctx
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it now."""
        del ctx
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, from the table alone."""
        del ctx
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples("vetonet demo", "vetonet treaty new --out trial --parties 5 --min-grants 3"),
)
@click.version_option(vetonet.__version__, prog_name="vetonet", message="%(prog)s %(version)s")
def cli() -> None:
    """A multilateral veto over large compute, end to end.

    Parties found a treaty, an operator proposes a large run, the parties vote, a threshold-signed licence
    unlocks chips, the chips sign reports, and anyone judges the whole offline.
    """


def main() -> NoReturn:
    """End the process with the exit code of the command on its command line."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Return the exit code of one command line, after its output; nothing is ever raised.

    Args:
        arguments: what stands after ``vetonet``.
    """
    as_json = _asks_for_json(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes to standard error on its own
    try:
        with _translate_errors():
            return _call(arguments)
    except Failure as failure:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        return _report(failure, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Exit.BROKEN_PIPE
    except SystemExit as ended:
        return _to_code(ended.code)
    except Exception as error:  # noqa: BLE001  (the last resort: whatever leaks out is our bug, in one line)
        if os.environ.get(DEBUG):
            traceback.print_exc()
        return _report(_describe_bug(error), as_json=as_json)


def _call(arguments: Sequence[str]) -> int:
    """Return the exit code of a command; click's own ``main`` would print several lines, and swallow some."""
    try:
        with cli.make_context("vetonet", list(arguments)) as context:
            return _to_code(cli.invoke(context))
    except click.exceptions.Exit as ended:
        return ended.exit_code


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Whatever we know how to explain leaves as a ``Failure``."""
    try:
        yield
    except VetonetError as error:
        raise to_failure(error) from error
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS or error.filename is not None:
            raise  # a broken pipe, or a file that the command itself should have answered for
        _silence_stdout()
        message = f"the output cannot be written: {error.strerror}; free some space, or send it elsewhere"
        raise Failure(message, reason="output") from error
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        raise SystemExit(Exit.USAGE) from error
    except click.UsageError as error:
        raise _explain_usage(error) from error
    except Failure:
        raise
    except click.ClickException as error:
        raise Failure(error.format_message()) from error


def _explain_usage(error: click.UsageError) -> Failure:
    where = error.ctx.command_path if error.ctx else "vetonet"
    said = error.format_message().rstrip(". ")
    return Failure(f"{said}; see `{where} --help`")


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON: asked before the arguments are parsed, for that too can fail."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _report(failure: Failure, *, as_json: bool) -> int:
    text = json.dumps(failure.to_plain()) if as_json else f"Error: {failure.message}"
    click.echo(text, err=True)
    return failure.code


def _describe_bug(error: Exception) -> Failure:
    place = "an unknown place"
    for frame in traceback.extract_tb(error.__traceback__):
        if "vetonet" in Path(frame.filename).parts:
            place = f"{Path(frame.filename).name}:{frame.lineno}"
    message = (
        f"a bug in vetonet: {type(error).__name__} at {place}; please report it with the output of {DEBUG}=1"
    )
    return Failure(message, code=Exit.BUG, reason="bug")


def _to_code(result: Any) -> int:
    """Return the exit code that a command returned or raised; one that returned nothing went well."""
    return int(result) if isinstance(result, int) else Exit.OK


def _silence_stdout() -> None:
    """Nobody takes the output any more: what Python flushes at its end must not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
