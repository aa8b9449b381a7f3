"""How a vote ended, as the log has it, whatever the coordinator said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vetonet.cli.exits import Exit
from vetonet.cli.output import print_json, print_line, warn
from vetonet.cli.session import read_clock

if TYPE_CHECKING:
    from vetonet.party.daemon import PartyDaemon
    from vetonet.policy.quorum import Choice
    from vetonet.voting.state import Voting

UNKNOWN: Final = "unknown"
LICENSED: Final = "licensed"
ADOPTED: Final = "adopted"
"""What a quorum's signature makes of a motion, as ``licensed`` of a run."""


async def conclude(
    daemon: PartyDaemon, choice: Choice, digest: bytes, *, leaf_index: int, claimed: str | None, as_json: bool
) -> int:
    """Print how it ended as the log has it, whatever the coordinator said."""
    from vetonet.cli.proposals import describe_tally, explain_end, say_tally

    ledger = await daemon.sync()
    state = ledger.find(digest)
    asked = state.matter.statement
    outcome = _read_outcome(state, claimed)
    is_open = outcome == "open"
    tally = describe_tally(
        state.choices,
        state.treaty.statement,
        matter=asked,
        is_open=is_open,
        reasons=_list_reasons(state),
    )
    if outcome == "expired" and tally["has_quorum"]:
        warn("enough parties granted, but too few of them signed in time; who grants has to wait and sign")
    licence_id = None if state.licence is None else state.licence.statement.licence_id
    resolution = None if state.resolution is None else daemon.view.find_leaf(state.resolution.data)
    if as_json:
        print_json(
            {
                "party": daemon.party_id,
                "choice": choice.value,
                "proposal": digest.hex(),
                "leaf_index": leaf_index,
                "outcome": outcome,
                "why": explain_end(tally, outcome),
                "licence_id": licence_id,
                "resolution_leaf_index": resolution,
                "tally": tally,
            }
        )
    else:
        granted = "" if licence_id is None else f", licence {licence_id}"
        granted = granted if resolution is None else f", resolution at leaf {resolution}"
        print_line(f"{outcome}{granted}: {say_tally(tally, outcome)}")
    return to_exit(choice, outcome, is_waited=claimed is not None)


def _list_reasons(state: Voting) -> dict[str, str]:
    said = ((logged.party_id, logged.ballot.statement.reason) for logged in state.ballots)
    return {party_id: reason.value for party_id, reason in said if reason is not None}


def _read_outcome(state: Voting, claimed: str | None) -> str:
    """Return what the log itself shows of what the coordinator claims; ``open`` where nobody waited."""
    from vetonet.policy.quorum import Decision
    from vetonet.voting.machine import decide

    decision = decide(state, read_clock())
    if state.outcome is not None:
        return ADOPTED if state.licence is None else LICENSED
    if claimed is None:
        return "open" if decision is Decision.PENDING else decision.value
    if claimed == LICENSED or (claimed == "vetoed") != (decision is Decision.VETOED):
        warn(f"the coordinator says {claimed}, but the log does not show it")
        return UNKNOWN
    return claimed


def to_exit(choice: Choice, outcome: str, *, is_waited: bool) -> Exit:
    """Return whether it ended as the party voted; where nobody waited the ballot alone counts."""
    from vetonet.policy.quorum import Choice

    if not is_waited or choice is Choice.ABSTAIN:
        return Exit.INCONCLUSIVE if outcome == UNKNOWN else Exit.OK
    if outcome == UNKNOWN:
        return Exit.INCONCLUSIVE
    return Exit.OK if (choice is Choice.GRANT) == (outcome in {LICENSED, ADOPTED}) else Exit.NEGATIVE
