"""``vetonet vote``: a party reads what is asked, says its word, and signs what it granted."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.deputy import parse_peers, start_daemon
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, note, print_line, print_table, warn
from vetonet.cli.parameters import ADDRESS
from vetonet.cli.session import (
    connect,
    insecure_option,
    parse_prefix,
    pick,
    read_clock,
    run_async,
    server_option,
)
from vetonet.cli.speaker import find_home, speaker_options
from vetonet.cli.vote_outcome import UNKNOWN, conclude
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
        "vetonet vote veto 5f0e --home p1 --key-file p1.key --reason scale",
    ),
)
@click.argument("choice", type=click.Choice(CHOICES))
@click.argument("proposal")
@speaker_options
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
def vote(*, choice: str, proposal: str, reason: str | None, **options: Any) -> int:
    """Say a party's word on PROPOSAL: grant, veto or abstain. It is said once and stands.

    What is voted on is shown from the log, which this command reads and verifies itself. A grant stays until
    the vote has ended, to sign the licence or resolution; where it was ended early, the same command goes on
    waiting. With --home the party's running daemon says the word, and signs by itself.

    Exits with 0 if the outcome is the one voted for (or nobody waited for it), 1 if not, 3 if nobody knows.
    """
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.quorum import Choice

    chosen = Choice(choice)
    if (chosen is Choice.VETO) != (reason is not None):
        raise Failure(f"expected --reason with a veto and only there; one of {', '.join(REASONS)}")
    said = None if reason is None else VetoReason(reason)
    home = find_home(options)
    if home is None:
        return _vote_from_directory(chosen, said, parse_prefix(proposal), **options)
    from vetonet.cli.vote_home import vote_through_daemon

    return vote_through_daemon(
        home,
        chosen,
        said,
        parse_prefix(proposal),
        is_waiting=bool(options["is_waiting"]),
        needs_consent=_needs_consent(yes=options["yes"], as_json=options["as_json"]),
        as_json=options["as_json"],
    )


def _vote_from_directory(
    choice: Choice,
    reason: VetoReason | None,
    prefix: str,
    *,
    directory: Path,
    party_id: str,
    server: str,
    is_waiting: bool | None,
    peers: tuple[str, ...],
    listen: str | None,
    yes: bool,
    insecure_loopback: bool,
    as_json: bool,
) -> int:
    from vetonet.cli.directory import find_party_journal, load_party

    member = load_party(directory, party_id)
    order = Order(
        choice=choice,
        reason=reason,
        prefix=prefix,
        is_waiting=choice == "grant" if is_waiting is None else is_waiting,
        needs_consent=_needs_consent(yes=yes, as_json=as_json),
        peers=parse_peers(peers, member),
        listen=listen,
        is_insecure=insecure_loopback,
        as_json=as_json,
        data=find_party_journal(directory, party_id),
    )
    return run_async(lambda: _vote(member, server, order))


def _needs_consent(*, yes: bool, as_json: bool) -> bool:
    return not (yes or as_json) and sys.stdin.isatty()


async def _vote(member: Member, address: str, order: Order) -> int:
    from vetonet.cli.proposals import name_outcome
    from vetonet.policy.quorum import Choice

    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(member, address, is_insecure=order.is_insecure))
        daemon = await start_daemon(
            member,
            client,
            stack,
            data=order.data,
            peers=order.peers,
            listen=order.listen,
            is_insecure=order.is_insecure,
        )
        digest = await _show_proposal(daemon, member, order)
        if order.choice is Choice.GRANT and not order.is_waiting:
            sought = name_outcome(daemon.ledger.find(digest).matter.statement)
            warn(
                "with --no-wait this grant counts but cannot sign: "
                f"the {sought} needs enough others that wait"
            )
        leaf_index = await _cast(daemon, order, digest)
        note(f"{member.name}'s {order.choice} is leaf {leaf_index} of the log")
        if daemon.undelivered:
            warn(
                f"not told directly, because they cannot be reached: {', '.join(sorted(daemon.undelivered))}"
            )
        outcome = await _stay(client, daemon, order, digest, member) if order.is_waiting else None
        return await conclude(
            daemon,
            order.choice,
            digest,
            leaf_index=leaf_index,
            claimed=outcome,
            as_json=order.as_json,
        )


async def _cast(daemon: PartyDaemon, order: Order, digest: bytes) -> int:
    """Return the leaf of the party's ballot: of the one cast now, or of the same one cast before."""
    logged = daemon.ledger.find(digest).find_ballot(daemon.party_id)
    if logged is not None:
        return logged.leaf_index
    return (await daemon.vote(digest, order.choice, order.reason)).leaf_index


async def _show_proposal(daemon: PartyDaemon, member: Member, order: Order) -> bytes:
    """Return what is voted on, having shown it as the log has it."""
    from vetonet.cli.proposals import describe_matter, list_rows
    from vetonet.cli.references import describe_reference

    ledger = await daemon.sync()
    digest = pick(order.prefix, list(ledger.order))
    is_resumed = _require_open(ledger.find(digest), member.name, order)
    matter = ledger.find(digest).matter
    described = describe_matter(matter, member.treaty.statement, ledger.licensed)
    if not order.as_json:
        described |= describe_reference(daemon.view, matter.statement)
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
    from vetonet.cli.proposals import name_outcome

    sought, ended = name_outcome(daemon.ledger.find(digest).matter.statement), UNKNOWN
    try:
        ended = await _follow(client, daemon, digest, member)
    finally:
        if ended == UNKNOWN and order.choice == "grant":
            said = f"{daemon.party_id} has not signed a {sought}"
            note(f"{said}; run the same command to go on waiting for it")
    return ended


async def _follow(client: CoordinatorClient, daemon: PartyDaemon, digest: bytes, member: Member) -> str:
    """Return the phase in which the vote ended, having signed what the party's own review lets it sign."""
    from vetonet.cli.following import compute_deadline, follow
    from vetonet.cli.proposals import name_outcome
    from vetonet.party.views import CommitmentsAsked, SigningAsked
    from vetonet.wire.convert import proposal_name

    asked = daemon.ledger.find(digest).matter.statement
    deadline, sought = compute_deadline(asked, member.treaty.statement), name_outcome(asked)
    answered = set[tuple[bool, int]]()
    note("waiting for the vote to close ...")
    async with contextlib.aclosing(follow(client, proposal_name(digest), deadline=deadline)) as events:
        async for event in events:
            if isinstance(event, CommitmentsAsked | SigningAsked):
                key = (isinstance(event, SigningAsked), event.attempt)
                answered |= {key} if key not in answered and await _answer(daemon, event, sought) else set()
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


async def _answer(daemon: PartyDaemon, asked: CommitmentsAsked | SigningAsked, sought: str) -> bool:
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
    note(f"signed our share of the {sought}, attempt {asked.attempt + 1}")
    return True
