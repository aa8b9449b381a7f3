"""``vetonet vote --home`` and ``vetonet consent --home``: the party's running daemon says the word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import note, print_json, print_line, print_table, warn
from vetonet.cli.party_home import enter, reach_daemon
from vetonet.cli.session import COLLECTION, connect, read_clock, run_async
from vetonet.cli.vote_outcome import LICENSED, UNKNOWN, to_exit

if TYPE_CHECKING:
    from vetonet.cli.speaker import HomeChoice
    from vetonet.crypto.statement import Signed
    from vetonet.party.home import Home
    from vetonet.party.order_client import OrderClient
    from vetonet.party.orders import Carried
    from vetonet.party.status import PartyStatus, ProposalStatus
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.matter import Matter
    from vetonet.policy.quorum import Choice
    from vetonet.policy.standing import Standing
    from vetonet.policy.treaty import Treaty

POLL_S: Final = 1.0
MOST_LOOKS: Final = 3
NAME_CHARS: Final = 32
"""Hexadecimal digits of a proposal's name; a user may give the whole digest, which is longer."""


def vote_through_daemon(
    choice_of_home: HomeChoice,
    choice: Choice,
    reason: VetoReason | None,
    prefix: str,
    *,
    is_waiting: bool,
    needs_consent: bool,
    as_json: bool,
) -> int:
    """Return the exit code of a vote that the home's daemon cast, having shown what is voted on.

    Raises:
        Failure: no daemon answers, there is no such vote, or the user said no.
        VetonetError: the daemon refused.
    """
    home = _enter(choice_of_home)

    async def ask() -> int:
        async with reach_daemon(home) as daemon:
            entry = await _show(await _find_in_time(daemon, prefix), prefix, home, as_json=as_json)
            if needs_consent and not click.confirm("Cast this ballot? It cannot be changed.", err=True):
                raise Failure("no ballot was cast", code=Exit.NEGATIVE, reason="declined")
            done = await daemon.cast_vote(entry.name, choice, reason)
            _say_carried(home.settings.party_id, choice.value, done)
            ended = await _wait(daemon, entry.name) if is_waiting else await _look(daemon, entry.name)
            return _conclude(home, choice, ended, done, is_waited=is_waiting, as_json=as_json)

    return run_async(ask)


def consent_through_daemon(
    choice_of_home: HomeChoice, standing: Standing, reason: VetoReason | None, prefix: str
) -> tuple[str, str, Carried]:
    """Return party, run and where the log holds what the home's daemon stated.

    Raises:
        Failure: no daemon answers, or there is no such run.
        VetonetError: the daemon refused.
    """
    home = _enter(choice_of_home)

    async def ask() -> tuple[str, str, Carried]:
        async with reach_daemon(home) as daemon:
            name = pick_entry(await _find_in_time(daemon, prefix), prefix).name
            return home.settings.party_id, name, await daemon.state_consent(name, standing, reason)

    return run_async(ask)


async def _find_in_time(daemon: OrderClient, prefix: str) -> PartyStatus:
    """Return the daemon's status; one that has not read the newest leaves yet gets a moment to."""
    for _ in range(MOST_LOOKS - 1):
        status = await daemon.get_status()
        if any(entry.name.startswith(COLLECTION + prefix[:NAME_CHARS]) for entry in status.proposals):
            return status
        await asyncio.sleep(POLL_S)
    return await daemon.get_status()


def pick_entry(status: PartyStatus, prefix: str) -> ProposalStatus:
    """Return the one vote whose id begins so.

    Raises:
        Failure: none does, or several do.
    """
    begin = COLLECTION + prefix[:NAME_CHARS]
    found = [entry for entry in status.proposals if entry.name.startswith(begin)]
    if len(found) != 1:
        several = "no proposal in the log" if not found else f"{len(found)} proposals in the log"
        raise Failure(f"{several} whose id begins with {prefix}; `vetonet party status` lists all")
    return found[0]


def _enter(chosen: HomeChoice) -> Home:
    return enter(chosen.home, chosen.passphrase_file, chosen.key_file)


async def _show(status: PartyStatus, prefix: str, home: Home, *, as_json: bool) -> ProposalStatus:
    """Return what is voted on, having shown it from the signed statement that the daemon keeps."""
    from vetonet.cli.proposals import describe_matter, list_rows
    from vetonet.policy.matter import open_matter
    from vetonet.policy.proposal import Proposal

    entry = pick_entry(status, prefix)
    opened = {e.name: open_matter(e.statement, _find_treaty(home, e.statement)) for e in status.proposals}
    licensed = {
        opened[e.name].payload_digest: run
        for e in status.proposals
        if e.phase == LICENSED and isinstance(run := opened[e.name].statement, Proposal)
    }
    if not as_json:
        described = describe_matter(
            opened[entry.name], _find_treaty(home, entry.statement).statement, licensed
        )
        described |= await _read_reference(home, opened[entry.name].statement)
        print_table(("", ""), list_rows(described, read_clock()))
        print_line()
    return entry


async def _read_reference(home: Home, matter: Matter) -> dict[str, Any]:
    """Return what a motion on firmware is about, from the log itself, as the daemon keeps votes alone.

    Raises:
        VetonetError: what the log shows does not hold.
    """
    from vetonet.cli.party_home import to_member
    from vetonet.cli.present import read_view
    from vetonet.cli.references import APPROVING, describe_reference
    from vetonet.policy.matter import find_action
    from vetonet.wire.status import RpcError

    if find_action(matter) not in APPROVING:
        return {}
    try:
        async with connect(to_member(home), home.settings.coordinator, is_insecure=False) as client:
            return describe_reference(await read_view(client, home.treaty), matter)
    except RpcError as error:
        warn(f"the log cannot be read now, so what firmware this is about is not shown: {error}")
        return {}


def _find_treaty(home: Home, statement: bytes) -> Signed[Treaty]:
    """Return the treaty that a vote is under.

    Raises:
        Failure: the home has no such treaty.
    """
    from vetonet.policy.matter import read_treaty_reference

    named = read_treaty_reference(statement)
    if named not in home.treaties:
        hint = "end the change of members that made it with `vetonet party reshare`"
        raise Failure(f"{home.root}: no treaty {named.hex()[:16]}, under which this vote is held; {hint}")
    return home.treaties[named]


def _say_carried(party_id: str, word: str, done: Carried) -> None:
    note(f"{party_id}'s {word} is leaf {done.leaf_index} of the log")
    if done.undelivered:
        warn(f"not told directly yet, the daemon goes on trying: {', '.join(done.undelivered)}")


async def _look(daemon: OrderClient, name: str) -> ProposalStatus:
    entries = {entry.name: entry for entry in (await daemon.get_status()).proposals}
    return entries[name]


async def _wait(daemon: OrderClient, name: str) -> ProposalStatus:
    from vetonet.voting.state import Phase

    note("waiting for the vote to close ...")
    while True:
        entry = await _look(daemon, name)
        if entry.phase not in {Phase.OPEN, Phase.SIGNING}:
            return entry
        await asyncio.sleep(POLL_S)


def _conclude(
    home: Home, choice: Choice, entry: ProposalStatus, done: Carried, *, is_waited: bool, as_json: bool
) -> int:
    from vetonet.cli.party_status import say_lacking

    outcome = entry.phase_word or UNKNOWN
    if as_json:
        print_json(
            {
                "party": home.settings.party_id,
                "choice": choice.value,
                "proposal": entry.name,
                "leaf_index": done.leaf_index,
                "outcome": outcome,
                "undelivered": list(done.undelivered),
            }
        )
    else:
        print_line(f"{outcome}; still lacks: {say_lacking(entry)}")
    return to_exit(choice, outcome, is_waited=is_waited)
