"""``vetonet consent``: a party withdraws its consent to a licensed run, or gives it again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vetonet.cli.deputy import parse_peers, start_daemon
from vetonet.cli.output import examples, json_option, print_json, print_line, warn
from vetonet.cli.session import connect, insecure_option, parse_prefix, pick, run_async, server_option
from vetonet.cli.speaker import find_home, speaker_options
from vetonet.cli.vote import REASONS

if TYPE_CHECKING:
    from vetonet.party.orders import Carried
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.standing import Standing

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(
    epilog=examples(
        "vetonet consent withdraw proposals/5f0e... --dir trial --party P1 --reason operator-record",
        "vetonet consent give 5f0e --home p1 --key-file p1.key",
    )
)
def consent() -> None:
    """Say whether a party still consents to a run that holds a licence.

    Without enough consent no further lease is signed, and every chip stops when its present one ends.
    """


def _reach_options(command: Command) -> Command:
    peer = click.option(
        "--peer",
        "peers",
        multiple=True,
        metavar="ID=HOST:PORT",
        help="Tell this party's daemon directly, too; repeat.",
    )
    return server_option(peer(insecure_option(json_option(command))))


@consent.command(
    epilog=examples("vetonet consent withdraw 5f0e --home p1 --key-file p1.key --reason operator-record")
)
@click.argument("proposal")
@speaker_options
@click.option("--reason", type=click.Choice(REASONS), required=True, help="Why.")
@_reach_options
def withdraw(*, proposal: str, reason: str, **options: Any) -> None:
    """Withdraw the party's consent to the licensed run PROPOSAL; it binds until it is given again."""
    from vetonet.policy.ballot import VetoReason
    from vetonet.policy.standing import Standing

    _state(Standing.WITHDRAWN, VetoReason(reason), parse_prefix(proposal), options)


@consent.command(epilog=examples("vetonet consent give 5f0e --dir trial --party P1"))
@click.argument("proposal")
@speaker_options
@_reach_options
def give(*, proposal: str, **options: Any) -> None:
    """Give the party's consent to the licensed run PROPOSAL, for the first time or again."""
    from vetonet.policy.standing import Standing

    _state(Standing.GIVEN, None, parse_prefix(proposal), options)


def _state(standing: Standing, reason: VetoReason | None, prefix: str, options: dict[str, Any]) -> None:
    home, as_json = find_home(options), options.pop("as_json")
    if home is None:
        party_id, name, done = run_async(lambda: _state_directly(standing, reason, prefix, **options))
    else:
        from vetonet.cli.vote_home import consent_through_daemon

        party_id, name, done = consent_through_daemon(home, standing, reason, prefix)
    if done.undelivered:
        warn(f"not told directly yet: {', '.join(done.undelivered)}")
    if as_json:
        print_json(
            {
                "party": party_id,
                "proposal": name,
                "standing": standing.value,
                "leaf_index": done.leaf_index,
                "undelivered": list(done.undelivered),
            }
        )
    else:
        print_line(f"{party_id}'s consent to {name} is {standing.value}: leaf {done.leaf_index} of the log")


async def _state_directly(
    standing: Standing,
    reason: VetoReason | None,
    prefix: str,
    *,
    directory: Path,
    party_id: str,
    server: str,
    peers: tuple[str, ...],
    insecure_loopback: bool,
) -> tuple[str, str, Carried]:
    """Return what was stated as a party of a treaty directory, by this command alone."""
    from vetonet.cli.directory import find_party_journal, load_party
    from vetonet.party.orders import Carried
    from vetonet.wire.convert import proposal_name

    member = load_party(directory, party_id)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(member, server, is_insecure=insecure_loopback))
        daemon = await start_daemon(
            member,
            client,
            stack,
            data=find_party_journal(directory, party_id),
            peers=parse_peers(peers, member),
            is_insecure=insecure_loopback,
        )
        ledger = await daemon.sync()
        digest = pick(prefix, list(ledger.order))
        proof = await daemon.state_consent(digest, standing, reason)
        undelivered = tuple(sorted(daemon.undelivered))
        return party_id, proposal_name(digest), Carried(leaf_index=proof.leaf_index, undelivered=undelivered)
