"""``vetonet vote``: a party reads what is asked, says its word, and signs what it granted."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line, print_table, warn
from vetonet.cli.parameters import ADDRESS, parse_address, show
from vetonet.cli.session import (
    connect,
    directory_option,
    insecure_option,
    parse_prefix,
    pick,
    read_clock,
    run_async,
    server_option,
)
from vetonet.errors import EquivocationError, VetonetError
from vetonet.units import format_time

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.views import CommitmentsAsked, SigningAsked, WatchEvent
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.quorum import Choice
    from vetonet.units import Milliseconds
    from vetonet.voting.state import Voting

CHOICES: Final = ("grant", "veto", "abstain")
REASONS: Final = ("scale", "safety-case", "information-missing", "operator-record", "treaty-breach", "other")
"""What a ballot can say, known without importing what ballots are made of."""

UNKNOWN: Final = "unknown"
LICENSED: Final = "licensed"
SAID: Final = {"grant": "granted", "veto": "vetoed", "abstain": "abstained"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for.

    Attributes:
        choice: the party's word.
        reason: of a veto.
        prefix: how the proposal's id begins.
        is_waiting: whether to stay until the vote has ended.
        needs_consent: whether to ask before the ballot leaves.
        peers: where other parties' daemons are.
        listen: where to take ballots from them, or None.
        is_insecure: no certificates.
        as_json: no words on standard output.
        data: the party's journal: what it must not forget.
    """

    choice: Choice
    reason: VetoReason | None
    prefix: str
    is_waiting: bool
    needs_consent: bool
    peers: Mapping[str, str]
    listen: str | None
    is_insecure: bool
    as_json: bool
    data: Path


@click.command(
    epilog=examples(
        "vetonet vote grant proposals/5f0e... --dir trial --party P3",
        "vetonet vote veto 5f0e --dir trial --party P1 --reason scale",
    ),
)
@click.argument("choice", type=click.Choice(CHOICES))
@click.argument("proposal")
@directory_option
@click.option("--party", "party_id", required=True, help="Who votes, as the treaty names it.")
@server_option
@click.option(
    "--reason",
    type=click.Choice(REASONS),
    help="Why; needed with a veto, and only there.",
)
@click.option(
    "--wait/--no-wait",
    "is_waiting",
    default=None,
    help="Stay until the vote has ended.  [default: stay after a grant, to sign]",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="ID=HOST:PORT",
    help="Tell this party's daemon directly, too; repeat.",
)
@click.option(
    "--listen",
    type=ADDRESS,
    metavar="HOST:PORT",
    help="Take ballots from other parties' daemons here while waiting.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the ballot leaves.")
@insecure_option
@json_option
def vote(
    *,
    choice: str,
    proposal: str,
    directory: Path,
    party_id: str,
    server: str,
    reason: str | None,
    is_waiting: bool | None,
    peers: tuple[str, ...],
    listen: str | None,
    yes: bool,
    insecure_loopback: bool,
    as_json: bool,
) -> int:
    """Say a party's word on PROPOSAL: grant, veto or abstain. It is said once and stands.

    What is voted on is shown from the log, which this command reads and verifies itself. A grant stays until
    the vote has ended, to sign the licence; where it was ended early, the same command goes on waiting.

    Exits with 0 if the outcome is the one voted for (or nobody waited for it), 1 if not, 3 if nobody knows.
    """
    from vetonet.cli.directory import find_party_journal, load_party
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.quorum import Choice

    chosen = Choice(choice)
    if (chosen is Choice.VETO) != (reason is not None):
        raise Failure(f"expected --reason with a veto and only there; one of {', '.join(REASONS)}")
    member = load_party(directory, party_id)
    order = Order(
        choice=chosen,
        reason=None if reason is None else VetoReason(reason),
        prefix=parse_prefix(proposal),
        is_waiting=chosen is Choice.GRANT if is_waiting is None else is_waiting,
        needs_consent=not (yes or as_json) and sys.stdin.isatty(),
        peers=_parse_peers(peers, member),
        listen=listen,
        is_insecure=insecure_loopback,
        as_json=as_json,
        data=find_party_journal(directory, party_id),
    )
    return run_async(lambda: _vote(member, server, order))


def _parse_peers(texts: tuple[str, ...], member: Member) -> dict[str, str]:
    roster = {party.party_id for party in member.treaty.statement.parties}
    peers = {}
    for text in texts:
        party_id, _, address = text.partition("=")
        if party_id not in roster - {member.name}:
            others = ", ".join(sorted(roster - {member.name}))
            raise Failure(f"--peer: expected ID=HOST:PORT of another party ({others}), got {show(text)}")
        try:
            peers[party_id] = parse_address(address)
        except ValueError as error:
            raise Failure(f"--peer {party_id}: {error}") from error
    return peers


async def _vote(member: Member, address: str, order: Order) -> int:
    from vetonet.policy.quorum import Choice

    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(member, address, is_insecure=order.is_insecure))
        daemon = await _start_daemon(member, client, order, stack)
        digest = await _show_proposal(daemon, member, order)
        if order.choice is Choice.GRANT and not order.is_waiting:
            warn(
                "with --no-wait this grant counts but cannot sign: the licence needs enough others that wait"
            )
        leaf_index = await _cast(daemon, order, digest)
        note(f"{member.name}'s {order.choice} is leaf {leaf_index} of the log")
        if daemon.undelivered:
            warn(
                f"not told directly, because they cannot be reached: {', '.join(sorted(daemon.undelivered))}"
            )
        outcome = await _stay(client, daemon, order, digest, member) if order.is_waiting else None
        return await _conclude(daemon, order, digest, leaf_index=leaf_index, claimed=outcome)


async def _cast(daemon: PartyDaemon, order: Order, digest: bytes) -> int:
    """Return the leaf of the party's ballot: of the one cast now, or of the same one cast before."""
    logged = daemon.ledger.find(digest).find_ballot(daemon.party_id)
    if logged is not None:
        return logged.leaf_index
    return (await daemon.vote(digest, order.choice, order.reason)).leaf_index


async def _start_daemon(
    member: Member, client: CoordinatorClient, order: Order, stack: contextlib.AsyncExitStack
) -> PartyDaemon:
    from vetonet.party.daemon import PartyDaemon
    from vetonet.party.memory import PartyMemory
    from vetonet.party.peer import connect_peers, serve_party
    from vetonet.storage import SqliteJournal

    if member.secrets is None:
        msg = "a party without secrets"
        raise ValueError(msg)
    credential = None if order.is_insecure else member.credential
    peers = connect_peers(order.peers, credential=credential, rng=secrets.token_bytes)
    for peer in peers.values():
        stack.push_async_callback(peer.close)
    daemon = PartyDaemon(
        secrets=member.secrets,
        treaty=member.treaty,
        coordinator=client,
        memory=PartyMemory.open(stack.enter_context(SqliteJournal.open(order.data))),
        peers=peers,
        clock=read_clock,
        rng=secrets.token_bytes,
    )
    if order.listen is not None:
        bound = await serve_party(daemon, member.treaty.statement, order.listen, credential=credential)
        stack.push_async_callback(bound.stop, 1.0)
        note(f"taking ballots of other parties at {bound.address}")
    return daemon


async def _show_proposal(daemon: PartyDaemon, member: Member, order: Order) -> bytes:
    """Return what is voted on, having shown it as the log has it."""
    from vetonet.cli.proposals import describe_matter, list_rows

    ledger = await daemon.sync()
    digest = pick(order.prefix, list(ledger.order))
    is_resumed = _require_open(ledger.find(digest), member.name, order)
    described = describe_matter(ledger.find(digest).matter, member.treaty.statement, ledger.licensed)
    if not order.as_json:
        print_line(f"{member.name} votes {order.choice} on {described['name']}")
        print_table(("", ""), list_rows(described, read_clock()))
        print_line()
    if (
        order.needs_consent
        and not is_resumed
        and not click.confirm("Cast this ballot? It cannot be changed.", err=True)
    ):
        raise Failure("no ballot was cast", code=Exit.NEGATIVE, reason="declined")
    _require_open(ledger.find(digest), member.name, order)
    return digest


def _require_open(vote: Voting, party_id: str, order: Order) -> bool:
    """Return whether this party said this word before and still waits to sign; else it can still say it."""
    asked, now, logged = vote.matter.statement, read_clock(), vote.find_ballot(party_id)
    is_same = logged is not None and logged.ballot.statement.choice is order.choice
    if is_same and order.is_waiting and vote.outcome is None and now < asked.ends_ms:
        return True
    if logged is not None:
        said = f"{party_id} already {SAID[logged.ballot.statement.choice]} (leaf {logged.leaf_index})"
        message, reason = f"{said}; a ballot stands; nothing was changed", "refused"
    elif asked.is_open_at(now):
        return False
    else:
        window = f"from {format_time(asked.opens_ms)} to {format_time(asked.closes_ms)}"
        state = "is over" if now >= asked.closes_ms else "is not open yet by this machine's clock"
        message = f"the vote {state}: it runs {window}, now is {format_time(now)}; nothing was changed"
        reason = "expired"
    raise Failure(message, code=Exit.NEGATIVE, reason=reason, culprit=party_id)


async def _stay(
    client: CoordinatorClient, daemon: PartyDaemon, order: Order, digest: bytes, member: Member
) -> str:
    """Return the phase in which the vote ended; a grant that stops waiting early is told how to go on."""
    ended = UNKNOWN
    try:
        ended = await _follow(client, daemon, digest, member)
    finally:
        if ended == UNKNOWN and order.choice == "grant":
            note(f"{daemon.party_id} has not signed a licence; run the same command to go on waiting for it")
    return ended


async def _follow(client: CoordinatorClient, daemon: PartyDaemon, digest: bytes, member: Member) -> str:
    """Return the phase in which the vote ended, having signed what the party's own review lets it sign."""
    from vetonet.cli.following import compute_deadline, follow
    from vetonet.party.views import CommitmentsAsked, SigningAsked
    from vetonet.wire.convert import proposal_name

    asked = daemon.ledger.find(digest).matter.statement
    deadline, answered = compute_deadline(asked, member.treaty.statement), set[tuple[bool, int]]()
    note("waiting for the vote to close ...")
    async with contextlib.aclosing(follow(client, proposal_name(digest), deadline=deadline)) as events:
        async for event in events:
            if isinstance(event, CommitmentsAsked | SigningAsked):
                key = (isinstance(event, SigningAsked), event.attempt)
                answered |= {key} if key not in answered and await _answer(daemon, event) else set()
            ended = _find_end(event, deadline)
            if ended is not None:
                return ended
    return UNKNOWN


def _find_end(event: WatchEvent, deadline: Milliseconds) -> str | None:
    from vetonet.party.views import ProposalUpdated
    from vetonet.voting.state import Phase

    if isinstance(event, ProposalUpdated) and event.proposal.phase not in {Phase.OPEN, Phase.SIGNING}:
        return event.proposal.phase.value
    return UNKNOWN if read_clock() > deadline else None


async def _answer(daemon: PartyDaemon, asked: CommitmentsAsked | SigningAsked) -> bool:
    """Return whether this is settled: what was asked for was given, or is not ours to give.

    Where it could not be given the user knows why not; proof that the log cheats ends the command.
    """
    from vetonet.party.views import CommitmentsAsked

    try:
        if isinstance(asked, CommitmentsAsked):
            if daemon.party_id in asked.party_ids:
                await daemon.commit(asked)
            return True
        if daemon.party_id not in asked.signers:
            others = ", ".join(asked.signers)
            note(f"attempt {asked.attempt + 1} at the signature goes without us: {others} sign")
            return True
        await daemon.answer(asked)
    except EquivocationError:
        raise
    except VetonetError as error:
        warn(str(error))
        return False
    note(f"signed our share of the licence, attempt {asked.attempt + 1}")
    return True


async def _conclude(
    daemon: PartyDaemon, order: Order, digest: bytes, *, leaf_index: int, claimed: str | None
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
    if order.as_json:
        print_json(
            {
                "party": daemon.party_id,
                "choice": order.choice.value,
                "proposal": digest.hex(),
                "leaf_index": leaf_index,
                "outcome": outcome,
                "why": explain_end(tally, outcome),
                "licence_id": licence_id,
                "tally": tally,
            }
        )
    else:
        granted = "" if licence_id is None else f", licence {licence_id}"
        print_line(f"{outcome}{granted}: {say_tally(tally, outcome)}")
    return _to_exit(order.choice, outcome, is_waited=claimed is not None)


def _list_reasons(state: Voting) -> dict[str, str]:
    said = ((logged.party_id, logged.ballot.statement.reason) for logged in state.ballots)
    return {party_id: reason.value for party_id, reason in said if reason is not None}


def _read_outcome(state: Voting, claimed: str | None) -> str:
    """Return what the log itself shows of what the coordinator claims; ``open`` where nobody waited."""
    from vetonet.policy.quorum import Decision
    from vetonet.voting.machine import decide

    decision = decide(state, read_clock())
    if state.licence is not None:
        return LICENSED
    if claimed is None:
        return "open" if decision is Decision.PENDING else decision.value
    if claimed == LICENSED or (claimed == "vetoed") != (decision is Decision.VETOED):
        warn(f"the coordinator says {claimed}, but the log does not show it")
        return UNKNOWN
    return claimed


def _to_exit(choice: Choice, outcome: str, *, is_waited: bool) -> Exit:
    from vetonet.policy.quorum import Choice

    if not is_waited or choice is Choice.ABSTAIN:
        return Exit.INCONCLUSIVE if outcome == UNKNOWN else Exit.OK
    if outcome == UNKNOWN:
        return Exit.INCONCLUSIVE
    return Exit.OK if (choice is Choice.GRANT) == (outcome == LICENSED) else Exit.NEGATIVE
