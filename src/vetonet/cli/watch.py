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
    stand now. Exits with 0 for a licence or resolution and 1 for none.
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
    told = [(view, await find_reasons(client, view, member)) for view in views]
    if as_json:
        licensed = await list_licensed(client)
        print_json({"proposals": [describe_view(view, member, licensed, why) for view, why in told]})
    else:
        for line in [say_view(view, member, why) for view, why in told] or ["no proposals yet"]:
            print_line(line)
    return Exit.OK


async def _print_changes(client: CoordinatorClient, member: Member) -> None:
    from vetonet.cli.following import follow
    from vetonet.party.views import CulpritsNamed, ProposalUpdated
    from vetonet.wire.convert import ALL_PROPOSALS

    await client.get_checkpoint()  # who was never there is not waited for
    async with contextlib.aclosing(follow(client, ALL_PROPOSALS)) as events:
        async for event in events:
            if isinstance(event, ProposalUpdated):
                reasons = await find_reasons(client, event.proposal, member)
                print_line(say_view(event.proposal, member, reasons))
            elif isinstance(event, CulpritsNamed):
                print_line(
                    f"{event.name}  spoilt by {', '.join(event.party_ids) or 'somebody'}: {event.reason}"
                )


async def _follow_one(
    client: CoordinatorClient, member: Member, view: ProposalView, *, is_once: bool, as_json: bool
) -> int:
    from vetonet.cli.following import compute_deadline, follow
    from vetonet.party.views import ProposalUpdated

    shown, reasons = None, dict[str, str]()
    deadline = compute_deadline(view.matter.statement, member.treaty.statement)
    async with contextlib.aclosing(follow(client, view.name, deadline=deadline)) as events:
        while True:
            if view.etag != shown:
                reasons = await find_reasons(client, view, member)
            if not as_json and view.etag != shown:
                print_line(say_view(view, member, reasons))
            shown = view.etag
            if is_once or view.phase.value in ENDS:
                break
            event = await anext(events)
            view = event.proposal if isinstance(event, ProposalUpdated) else view
    if as_json:
        print_json(describe_view(view, member, await list_licensed(client), reasons))
    return ENDS.get(view.phase.value, Exit.OK)


async def find_reasons(client: CoordinatorClient, view: ProposalView, member: Member) -> dict[str, str]:
    """Return why each party vetoed, from its own signed ballot; nothing of those that cannot be fetched now.

    Raises:
        VetonetError: what the log shows in its place is no ballot of this treaty.
    """
    from vetonet.policy.ballot import open_ballot
    from vetonet.wire.status import RpcError

    reasons = {}
    for shown in view.ballots:
        if shown.choice.value != "veto":
            continue
        with contextlib.suppress(RpcError):  # it is away: the vote is told all the same
            (leaf,) = await client.fetch_leaves(shown.leaf_index, shown.leaf_index + 1)
            reason = open_ballot(leaf, member.treaty).statement.reason
            reasons[shown.party_id] = "no veto" if reason is None else reason.value
    return reasons


def describe_view(
    view: ProposalView, member: Member, licensed: Mapping[bytes, Proposal], reasons: Mapping[str, str]
) -> dict[str, Any]:
    """Return a proposal and how its vote stands as plain values, for JSON."""
    from vetonet.cli.proposals import describe_matter, explain_end

    tally = _describe_tally(view, member, reasons)
    return {
        **describe_matter(view.matter, member.treaty.statement, licensed),
        "phase": view.phase.value,
        "decision": view.decision.value,
        "why": explain_end(tally, view.phase.value),
        "licence_leaf_index": view.licence_leaf_index if view.run is not None else None,
        "resolution_leaf_index": view.licence_leaf_index if view.run is None else None,
        "tally": tally,
    }


def say_view(view: ProposalView, member: Member, reasons: Mapping[str, str]) -> str:
    """Return a proposal and how its vote stands in one line."""
    from vetonet.cli.proposals import say_tally

    tally = _describe_tally(view, member, reasons)
    left = view.matter.statement.closes_ms - read_clock()
    when = f" (closes in {format_duration(left)})" if tally["is_open"] and left > 0 else ""
    return f"{view.name}  {view.phase_word}{when}: {say_tally(tally, view.phase.value)}"


def _describe_tally(view: ProposalView, member: Member, reasons: Mapping[str, str]) -> dict[str, Any]:
    from vetonet.cli.proposals import describe_tally

    asked = view.matter.statement
    return describe_tally(
        {ballot.party_id: ballot.choice for ballot in view.ballots},
        member.treaty.statement,
        matter=asked,
        is_open=view.phase.value == "open" and asked.closes_ms > read_clock(),
        reasons=reasons,
    )
