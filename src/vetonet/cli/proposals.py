"""Proposals in words: what is asked for, from the signed statement itself, and how the vote stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from vetonet.cli.output import format_duration, format_flop
from vetonet.cli.references import list_reference_rows
from vetonet.crypto.statement import Signed, compute_digest
from vetonet.policy.expression import Threshold
from vetonet.policy.matter import Matter, find_action, find_recused
from vetonet.policy.motion import Motion
from vetonet.policy.proposal import Proposal, compute_linked_flop
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds, format_time
from vetonet.wire.convert import proposal_name

NOTHING_SHA256: Final = hashlib.sha256(b"").digest()
"""What a proposal without a specification says its specification's digest is."""


def describe_matter(
    signed: Signed[Proposal] | Signed[Motion], treaty: Treaty, licensed: Mapping[bytes, Proposal]
) -> dict[str, Any]:
    """Return a proposal or motion as plain values, for JSON; the digest is computed here."""
    if isinstance(signed.statement, Proposal):
        return {"action": "run-grant", **describe_proposal(signed, treaty, licensed)}
    asked, digest = signed.statement, compute_digest(signed.statement)
    return {
        "action": asked.action.value,
        "name": proposal_name(digest),
        "digest": digest.hex(),
        "mover": asked.mover,
        "subject": asked.subject_digest.hex(),
        "text": asked.text,
        "opens_ms": asked.opens_ms,
        "closes_ms": asked.closes_ms,
        "ends_ms": asked.ends_ms,
    }


def describe_proposal(
    signed: Signed[Proposal], treaty: Treaty, licensed: Mapping[bytes, Proposal]
) -> dict[str, Any]:
    """Return a proposal as plain values, for JSON; the digest is computed here.

    Args:
        signed: the operator's statement.
        treaty: in force.
        licensed: runs that hold a licence, for the band.
    """
    asked = signed.statement
    linked = compute_linked_flop(asked, licensed)
    digest, specification = compute_digest(asked), asked.specification_digest
    return {
        "name": proposal_name(digest),
        "digest": digest.hex(),
        "operator": asked.operator_id,
        "owner": asked.beneficial_owner,
        "workload": asked.workload.value,
        "precision": asked.precision.value,
        "total_flop": asked.total_flop,
        "per_device_flop": asked.per_device_flop,
        "linked_flop": linked,
        "band": treaty.find_band(linked).name,
        "chips": asked.device_count,
        "device_set_root": asked.device_set_root.hex(),
        "opens_ms": asked.opens_ms,
        "closes_ms": asked.closes_ms,
        "starts_ms": asked.starts_ms,
        "ends_ms": asked.ends_ms,
        "specification_sha256": None if specification == NOTHING_SHA256 else specification.hex(),
        "lineage": [parent.hex() for parent in asked.lineage],
    }


def list_rows(described: Mapping[str, Any], now: Milliseconds) -> list[tuple[str, str]]:
    """Return a described proposal or motion as rows of a table for people."""
    left = described["closes_ms"] - now
    closes = (
        f"{format_time(described['closes_ms'])} ({f'in {format_duration(left)}' if left > 0 else 'over'})"
    )
    if "mover" in described:
        return [
            ("digest", described["digest"]),
            ("motion", f"{described['action']}, by {described['mover']}"),
            ("about", described["subject"]),
            *list_reference_rows(described),
            ("text", described["text"] or "none"),
            ("vote closes", closes),
            ("lapses", format_time(described["ends_ms"])),
        ]
    run_ms = described["ends_ms"] - described["starts_ms"]
    starts, ends = format_time(described["starts_ms"]), format_time(described["ends_ms"])
    linked = described["linked_flop"]
    with_linked = "" if linked == described["total_flop"] else f"; with its linked runs {format_flop(linked)}"
    rows = [
        ("digest", described["digest"]),
        ("operator", f"{described['operator']}, for {described['owner']}"),
        ("work", f"{described['workload']} in {described['precision']}"),
        (
            "compute",
            f"up to {format_flop(described['total_flop'])} FLOP ({described['total_flop']}){with_linked}",
        ),
        ("band", described["band"]),
        ("chips", f"{described['chips']}, each up to {format_flop(described['per_device_flop'])} FLOP"),
        ("chip set", described["device_set_root"]),
        ("vote closes", closes),
        (
            "run",
            f"{starts} to {ends} ({format_duration(run_ms)})",
        ),
    ]
    return rows + [("continues", parent) for parent in described["lineage"]]


def describe_tally(
    choices: Mapping[str, Choice],
    treaty: Treaty,
    *,
    matter: Matter,
    is_open: bool = True,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return how a vote stands as plain values, for JSON.

    Args:
        choices: one for each party that voted.
        treaty: in force.
        matter: what is voted on; the grant of an operator's own party does not count.
        is_open: whether anybody can still vote.
        reasons: of the vetoes, as far as they are known.
    """
    quorum, recused = treaty.find_quorum(find_action(matter)), find_recused(matter, treaty)
    expression, parties = quorum.expression, quorum.parties
    return {
        "granted": list(quorum.list_granting(choices, recused)),
        "vetoed": [p for p in parties if choices.get(p) is Choice.VETO],
        "abstained": [p for p in parties if choices.get(p) is Choice.ABSTAIN],
        "missing": [p for p in parties if p not in choices],
        "recused": sorted(recused),
        "outcome_kind": name_outcome(matter),
        "min_grants": expression.min_grants if isinstance(expression, Threshold) else None,
        "has_quorum": quorum.has_quorum(choices, recused),
        "is_vetoed": quorum.is_vetoed(choices, recused),
        "reasons": dict(reasons or {}),
        "is_open": is_open,
        "can_still_veto": [p for p in quorum.veto_holders if is_open and p not in choices],
    }


def name_outcome(matter: Matter) -> str:
    """Return what a quorum signs where it grants this: a licence of a run, a resolution on a motion."""
    return "resolution" if isinstance(matter, Motion) else "licence"


def explain_end(tally: Mapping[str, Any], outcome: str) -> str | None:
    """Return why a vote ended so, where the tally seems to say otherwise."""
    if outcome == "expired" and tally["has_quorum"] and not tally["is_vetoed"]:
        return f"no {tally['outcome_kind']} was signed in time"
    return None


def say_tally(tally: Mapping[str, Any], outcome: str = "") -> str:
    """Return how a vote stands in one line: ``2 of 5 granted, P1 can still veto; missing: P1, P4``."""
    said = _say_grants(tally)
    if tally["is_vetoed"]:
        said += f", vetoed by {_list_vetoes(tally)}"
    elif tally["vetoed"]:
        said += f", no by {_list_vetoes(tally)} (no veto holder)"
    if tally["can_still_veto"] and not tally["is_vetoed"]:
        said += f", {', '.join(tally['can_still_veto'])} can still veto"
    why = explain_end(tally, outcome)
    parts = [f"{said}, but {why}" if why else said]
    if tally["abstained"]:
        parts.append(f"abstained: {', '.join(tally['abstained'])}")
    if tally["recused"]:
        parts.append(f"recused: {', '.join(tally['recused'])}")
    silent = "missing" if tally["is_open"] else "did not vote"
    parts.append(f"{silent}: {', '.join(tally['missing']) or 'nobody'}")
    return "; ".join(parts)


def _say_grants(tally: Mapping[str, Any]) -> str:
    """Of a plain threshold the count says all; of an expression only whether it holds does."""
    if tally["min_grants"] is not None:
        return f"{len(tally['granted'])} of {tally['min_grants']} granted"
    holds = "a quorum" if tally["has_quorum"] else "no quorum"
    return f"granted by {', '.join(tally['granted']) or 'nobody'} ({holds})"


def _list_vetoes(tally: Mapping[str, Any]) -> str:
    reasons = tally["reasons"]
    return ", ".join(f"{p}: {reasons[p]}" if p in reasons else p for p in tally["vetoed"])
