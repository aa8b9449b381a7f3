"""``vetonet treaty check|diff|presets|power``: what a treaty's text says, before anybody has a key."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line

if TYPE_CHECKING:
    from vetonet.policy.quorum import Quorum

DEFAULT_ACTION: Final = "run-grant"


@click.command("check", epilog=examples("vetonet treaty check council.toml"))
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def print_mistakes(path: Path, *, as_json: bool) -> int:
    """Say every mistake in a treaty's FILE, one line each: FILE:LINE: what came, and what would be right."""
    from vetonet.cli.treaty_text import list_file_mistakes

    mistakes = list_file_mistakes(path)
    if as_json:
        print_json({"mistakes": mistakes})
    else:
        for mistake in mistakes:
            print_line(mistake)
    return Exit.NEGATIVE if mistakes else Exit.OK


@click.command(epilog=examples("vetonet treaty diff old.toml new.toml"))
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
def diff(old: Path, new: Path, *, as_json: bool) -> int:
    """Say in plain words what the treaty file NEW changes of OLD; exits with 1 where they differ."""
    from vetonet.cli.treaty_plans import read_plan
    from vetonet.cli.treaty_text import diff_plans

    changes = diff_plans(read_plan(None, old), read_plan(None, new))
    if as_json:
        print_json({"changes": changes})
    else:
        for change in changes or ["they say the same"]:
            print_line(change)
    return Exit.NEGATIVE if changes else Exit.OK


@click.command(epilog=examples("vetonet treaty presets", "vetonet treaty presets --show miri > miri.toml"))
@click.option("--show", "shown", help="Print the file of this one.")
@json_option
def presets(shown: str | None, *, as_json: bool) -> None:
    """List the treaties that come with vetonet."""
    from vetonet.cli.treaty_plans import read_plan
    from vetonet.party.preset import list_presets, read_preset

    if shown is not None:
        read_plan(shown, None)
        click.echo(read_preset(shown), nl=False)
    elif as_json:
        print_json({"presets": list(list_presets())})
    else:
        for name in list_presets():
            print_line(name)


@click.command(
    epilog=examples(
        "vetonet treaty power --preset council-of-fifteen",
        "vetonet treaty power council.toml --action roster-change --json",
    )
)
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--preset", help="A treaty that comes with vetonet, instead of FILE.")
@click.option(
    "--action", default=DEFAULT_ACTION, show_default=True, help="Which class of action is to be decided."
)
@click.option(
    "--losses", type=click.IntRange(min=0), default=1, show_default=True, help="How many parties are lost."
)
@click.option(
    "--samples",
    type=click.IntRange(min=100),
    default=10_000,
    show_default=True,
    help="How many samples are drawn where exact counting would take too long.",
)
@json_option
def power(
    path: Path | None, preset: str | None, action: str, losses: int, samples: int, *, as_json: bool
) -> None:
    """Say how much each party counts: its power to decide and to block, and who suffices (docs/power.md).

    FILE is a treaty's text, a founded treaty, or its directory.
    """
    from vetonet.cli.power import describe_power, print_power
    from vetonet.policy.estimation import estimate_power
    from vetonet.policy.game import is_exact
    from vetonet.policy.losses import compute_losses
    from vetonet.policy.power import compute_power

    if (path is None) == (preset is None):
        raise Failure("expected a treaty's FILE or --preset, one of them")
    quorum = _find_quorum(path, preset, action)
    if losses > len(quorum.parties):
        raise Failure(f"--losses: expected at most the {len(quorum.parties)} parties, got {losses}")
    is_counted = is_exact(quorum)
    found = compute_power(quorum) if is_counted else estimate_power(quorum, secrets.token_bytes, samples)
    lost = compute_losses(quorum, losses) if is_counted else None
    if as_json:
        print_json(describe_power(quorum, found, lost))
    else:
        print_power(quorum, found, lost)


def _find_quorum(path: Path | None, preset: str | None, action: str) -> Quorum:
    from vetonet.cli.directory import read_treaty, read_treaty_file
    from vetonet.cli.treaty_plans import is_plan, read_plan
    from vetonet.policy.action import IMPOSSIBLE, ActionClass

    try:
        wanted = ActionClass(action)
    except ValueError:
        known = ", ".join(possible for possible in ActionClass if possible not in IMPOSSIBLE)
        raise Failure(f"--action: expected one of {known}, got {action!r}") from None
    if path is None or is_plan(path):
        decided = dict(read_plan(preset, path).actions)
    else:
        founded = read_treaty(path) if path.is_dir() else read_treaty_file(path)
        decided = {rule.action: rule.quorum for rule in founded.statement.actions}
    if wanted not in decided:
        known = ", ".join(decided)
        raise Failure(f"--action: this treaty lets nobody decide {action}; it has {known}")
    return decided[wanted]
