"""Treaties before anybody has a key: presets and files, as plans and in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_text_input
from vetonet.cli.output import print_line
from vetonet.cli.treaties import print_actions, print_times
from vetonet.cli.treaty_options import MAX_PARTIES
from vetonet.cli.treaty_text import describe_quorum, describe_totals, name_totals
from vetonet.party.preset import list_presets, read_preset
from vetonet.party.toml_reading import MAX_FILE_CHARS
from vetonet.party.treaty_file import TreatyFileError, read_treaty_text
from vetonet.policy.plan import TreatyPlan, spell_maker
from vetonet.units import spell_flop

SUFFIX: Final = ".toml"


def is_plan(path: Path) -> bool:
    """Whether a file's name says that it is a treaty's text."""
    return path.suffix == SUFFIX


def read_plan(preset: str | None, path: Path | None) -> TreatyPlan:
    """Return the plan of a preset, or of a file.

    Raises:
        Failure: there is no such preset, or the file cannot be read, or has mistakes: the first is named.
    """
    if path is not None:
        return _read(read_text_input(path, "a treaty file", maximum=MAX_FILE_CHARS), str(path))
    if preset not in list_presets():
        known = ", ".join(list_presets())
        raise Failure(f"--preset: expected one of {known}, got {preset!r}")
    return _read(read_preset(preset), f"preset {preset}")


def require_few(plan: TreatyPlan) -> TreatyPlan:
    """Return a plan whose keys one machine can generate.

    Raises:
        Failure: it has too many parties for that.
    """
    if len(plan.party_ids) > MAX_PARTIES:
        raise Failure(f"expected a treaty of at most {MAX_PARTIES} parties, got {len(plan.party_ids)}")
    return plan


def _read(text: str, name: str) -> TreatyPlan:
    try:
        return read_treaty_text(text)
    except TreatyFileError as error:
        first, *rest = error.mistakes
        more = f" (and {len(rest)} more; `vetonet treaty check` lists all)" if rest else ""
        message = f"{name}:{first.line}: {first.reason}{more}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def describe_plan(plan: TreatyPlan) -> dict[str, Any]:
    """Return a plan as plain values, for JSON."""
    quorum, colluding = plan.witnessing
    return {
        "name": plan.name,
        "parties": list(plan.party_ids),
        "actions": {
            action.value: describe_quorum(q, plan.party_ids, (action,)) for action, q in plan.actions
        },
        "bands": [{"name": b.name, "floor_flop": b.floor_flop, "rule": b.rule.value} for b in plan.bands],
        "operators": [
            {"id": name, "party": party, "beneficial_owner": plan.find_owner(name)}
            for name, party in plan.operators
        ],
        "makers": [spell_maker(plan, maker) for maker in plan.maker_ids],
        "times_ms": dict(plan.times),
        "witness_quorum": quorum,
        "max_colluding": colluding,
        "totals": name_totals(plan.totals),
    }


def print_plan(plan: TreatyPlan) -> None:
    """Print a plan in plain words."""
    print_line(f"{plan.name}: {len(plan.party_ids)} parties, no keys yet")
    print_line(", ".join(plan.party_ids))
    print_line()
    print_actions(plan.actions, plan.party_ids)
    print_line()
    for band in plan.bands:
        print_line(f"from {spell_flop(band.floor_flop)} FLOP on: {band.rule.value} ({band.name})")
    print_times(plan.times)
    print_line(describe_totals(plan.totals))
    for operator, owner in plan.beneficial_owners:
        print_line(f"behind {operator} stands {owner}")
