"""How the commands of ``vetonet appraise`` end, and what they print for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from vetonet.cli.exits import Exit
from vetonet.cli.output import print_table

if TYPE_CHECKING:
    from vetonet.attestation.ear import AttestationResult

STATUS_EXITS: Final[Mapping[str, Exit]] = MappingProxyType(
    {
        "affirming": Exit.OK,
        "contraindicated": Exit.NEGATIVE,
        "warning": Exit.INCONCLUSIVE,
        "none": Exit.INCONCLUSIVE,
    }
)


def print_judgements(result: AttestationResult) -> None:
    """Print every judgement of a result, those that weigh most first."""
    rows = [
        (
            entry.finding.value,
            entry.reason,
            "all" if entry.claim is None else entry.claim.value,
            str(entry.value),
            entry.detail,
        )
        for entry in result.worst_first
    ]
    print_table(("finding", "reason", "claim", "value", "the evidence"), rows, right=("value",))
