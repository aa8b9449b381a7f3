"""``vetonet watch``: how votes stand, live."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit
from vetonet.cli.output import examples, format_duration, json_option, print_json, print_line
from vetonet.cli.session import (
    connect,
    directory_option,
    find_view,
    insecure_option,
    list_licensed,
    parse_prefix,
    read_clock,
    run_async,
    server_option,
)

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.views import ProposalView
    from vetonet.policy.proposal import Proposal

ENDS: Final = {"licensed": Exit.OK, "vetoed": Exit.NEGATIVE, "expired": Exit.NEGATIVE}


@click.command(
    epilog=examples(
        "vetonet watch --dir trial",
        "vetonet watch proposals/5f0e... --dir trial --json",
    ),
)
@click.argument("proposal", required=False)
@directory_option
@click.option("--as", "participant", help="Whose certificate to show.  [default: the first in --dir]")
@server_option
@click.option("--once", is_flag=True, help="Say how things stand and end.")
@insecure_option
@json_option
def watch(
    proposal: str | None,
    directory: Path,
    participant: str | None,
    server: str,
    *,
    once: bool,
    insecure_loopback: bool,
    as_json: bool,
) -> int:
    """Follow PROPOSAL until it ends, or all proposals until interrupted.

    What is shown is the coordinator's word; `vetonet vote` and `vetonet verify` read the log themselves. With
    --json one object is printed: PROPOSAL when it has ended, or with --once or without PROPOSAL how things
    stand now. Exits with 0 for a licence and 1 for none.
    """
    member = _load(directory, participant)
    prefix = None if proposal is None else parse_prefix(proposal)

    async def follow() -> int:
        async with connect(member, server, is_insecure=insecure_loopback) as client:
            if prefix is None:
                return await _follow_all(client, member, is_once=once or as_json, as_json=as_json)
            view = await find_view(client, prefix)
            return await _follow_one(client, member, view, is_once=once, as_json=as_json)

    return run_async(follow)


def _load(directory: Path, participant: str | None) -> Member:
    from vetonet.cli.directory import load_any, load_operator, load_party, read_treaty

    if participant is None:
        return load_any(directory)
    operators = {operator.operator_id for operator in read_treaty(directory).statement.operators}
    return (
        load_operator(directory, participant)
        if participant in operators
        else load_party(directory, participant)
    )


async def _follow_all(client: CoordinatorClient, member: Member, *, is_once: bool, as_json: bool) -> int:
    if not is_once:
        await _print_changes(client, member)
        return Exit.OK
    views = await client.list_proposals()
    if as_json:
        licensed = await list_licensed(client)
        print_json({"proposals": [describe_view(view, member, licensed) for view in views]})
    else:
        for line in [say_view(view, member) for view in views] or ["no proposals yet"]:
            print_line(line)
    return Exit.OK


async def _print_changes(client: CoordinatorClient, member: Member) -> None:
    from vetonet.party.views import CulpritsNamed, ProposalUpdated

    async with contextlib.aclosing(client.watch()) as events:
        async for event in events:
            if isinstance(event, ProposalUpdated):
                print_line(say_view(event.proposal, member))
            elif isinstance(event, CulpritsNamed):
                print_line(
                    f"{event.name}  spoilt by {', '.join(event.party_ids) or 'somebody'}: {event.reason}"
                )


async def _follow_one(
    client: CoordinatorClient, member: Member, view: ProposalView, *, is_once: bool, as_json: bool
) -> int:
    from vetonet.party.views import ProposalUpdated

    shown = None
    async with contextlib.aclosing(client.watch(view.name)) as events:
        while True:
            if not as_json and view.etag != shown:
                print_line(say_view(view, member))
            shown = view.etag
            if is_once or view.phase.value in ENDS:
                break
            event = await anext(events)
            view = event.proposal if isinstance(event, ProposalUpdated) else view
    if as_json:
        print_json(describe_view(view, member, await list_licensed(client)))
    return ENDS.get(view.phase.value, Exit.OK)


def describe_view(view: ProposalView, member: Member, licensed: Mapping[bytes, Proposal]) -> dict[str, Any]:
    """Return a proposal and how its vote stands as plain values, for JSON."""
    from vetonet.cli.proposals import describe_proposal, describe_tally

    terms, asked = member.treaty.statement, view.proposal.statement
    is_open = view.phase.value == "open" and asked.closes_ms > read_clock()
    choices = {ballot.party_id: ballot.choice for ballot in view.ballots}
    return {
        **describe_proposal(view.proposal, terms, licensed),
        "phase": view.phase.value,
        "decision": view.decision.value,
        "licence_leaf_index": view.licence_leaf_index,
        "tally": describe_tally(choices, terms, operator_id=asked.operator_id, is_open=is_open),
    }


def say_view(view: ProposalView, member: Member) -> str:
    """Return a proposal and how its vote stands in one line."""
    from vetonet.cli.proposals import describe_tally, say_tally

    asked = view.proposal.statement
    choices = {ballot.party_id: ballot.choice for ballot in view.ballots}
    left = asked.closes_ms - read_clock()
    is_open = view.phase.value == "open" and left > 0
    terms = member.treaty.statement
    tally = describe_tally(choices, terms, operator_id=asked.operator_id, is_open=is_open)
    when = f" (closes in {format_duration(left)})" if is_open else ""
    return f"{view.name}  {view.phase.value}{when}: {say_tally(tally)}"
