"""What the council of the demonstration agrees on: permanent members with a veto, and elected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

OPERATOR_ID: Final = "op1"
SMALL_FLOP: Final = "5e21"
LARGE_FLOP: Final = "5e23"

RULES: Final = """\
# Small runs and changes of the roster are granted by the rules, large runs are left to people.
default = "ask"

[[rule]]
when = { below-flop = "1e23" }
decide = "grant"

[[rule]]
when = { action = "roster-change" }
decide = "grant"

[[rule]]
when = { action = "emergency-suspension" }
decide = "grant"
"""
BY_HAND: Final = """\
# A person says every word of this party.
default = "ask"

[[rule]]
when = { action = "roster-change" }
decide = "grant"
"""

_CHARTER: Final = """\
name = "Council of the demonstration"
parties = [{parties}]
makers = ["maker1"]

[groups]
permanent = [{permanent}]

[[operator]]
id = "{operator}"

[[band]]
name = "free"
from-flop = 0
rule = "free"

[[band]]
name = "licensed"
from-flop = 1e21
rule = "licensed"

[times]
window = "1h"
signing = "{signing}"
report-interval = "1h"
report-grace = "1h"
lease = "4h"
suspension = "1d"
refresh = "90d"

[action.run-grant]
quorum.all-of = [
  {{ threshold = {grants}, of = "parties" }},
  {{ threshold = {all_permanent}, of = "permanent" }},
]
veto = "permanent"

[action.lease-renewal]
same-as = "run-grant"

[action.emergency-suspension]
quorum = {{ threshold = {grants}, of = "parties" }}

[action.suspension-confirmation]
same-as = "run-grant"

[action.amend-rules]
quorum.all-of = [
  {{ threshold = {amending}, of = "parties" }},
  {{ threshold = {all_permanent}, of = "permanent" }},
]
veto = "permanent"

[action.roster-change]
same-as = "amend-rules"
"""


def list_permanent(parties: Sequence[str]) -> tuple[str, ...]:
    """Return the members with a veto: a third of all, and two at least."""
    return tuple(parties[: max(2, len(parties) // 3)])


def count_grants(parties: Sequence[str]) -> int:
    """Return how many must grant a run: three fifths."""
    return 3 * len(parties) // 5


def count_amending(parties: Sequence[str]) -> int:
    """Return how many must agree to another roster: two thirds."""
    return -(-2 * len(parties) // 3)


def write_charter(parties: Sequence[str], *, signing: str = "20s") -> str:
    """Return a council's file: three fifths grant a run, two thirds change it; the permanent must agree."""
    permanent = list_permanent(parties)
    return _CHARTER.format(
        parties=", ".join(f'"{name}"' for name in parties),
        permanent=", ".join(f'"{name}"' for name in permanent),
        operator=OPERATOR_ID,
        signing=signing,
        grants=count_grants(parties),
        amending=count_amending(parties),
        all_permanent=len(permanent),
    )
