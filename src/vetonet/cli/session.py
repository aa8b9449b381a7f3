"""Calls from the command line to a coordinator: who calls, whom, by which clock."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import warn
from vetonet.cli.parameters import ADDRESS, show
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.party.client import CoordinatorClient
    from vetonet.party.views import ProposalView
    from vetonet.policy.proposal import Proposal

T = TypeVar("T")

DEFAULT_ADDRESS: Final = "127.0.0.1:7443"
COLLECTION: Final = "proposals/"
MIN_PREFIX_CHARS: Final = 4

directory_option: Final = click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(path_type=Path),
    help="The treaty directory, as `vetonet treaty new` writes it.",
)
server_option: Final = click.option(
    "--server",
    type=ADDRESS,
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the coordinator is.",
)
insecure_option: Final = click.option(
    "--insecure-loopback", is_flag=True, help="No certificates; only on this machine, only to try things."
)


def read_clock() -> Milliseconds:
    """Return the present, in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def stop_on_signals() -> asyncio.Event:
    """Return what is set when somebody asks this process to end; needs a running event loop."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what the work comes to; an interrupt from the keyboard ends it in order."""
    return asyncio.run(work())


def connect(member: Member, address: str, *, is_insecure: bool) -> CoordinatorClient:
    """Return a client of the coordinator at an address, calling as this participant.

    Raises:
        ConfigError: plaintext to another machine.
    """
    from vetonet.party.client import CoordinatorClient

    if is_insecure:
        warn("no certificates: anybody on this machine can pose as anybody")
    return CoordinatorClient.connect(
        address,
        treaty=member.treaty,
        credential=None if is_insecure else member.credential,
        server=None if is_insecure else member.server,
        rng=secrets.token_bytes,
    )


def parse_prefix(text: str) -> str:
    """Return the hexadecimal digits by which a user names a proposal: its whole name, or how its id begins.

    Raises:
        Failure: they name none.
    """
    digits = text.strip().removeprefix(COLLECTION).lower()
    if len(digits) < MIN_PREFIX_CHARS or not set(digits) <= set("0123456789abcdef"):
        expected = f"proposals/ID, or at least {MIN_PREFIX_CHARS} digits of the ID"
        raise Failure(
            f"expected a proposal as {expected}, got {show(text)}; `vetonet watch --once` lists them"
        )
    return digits


def pick(prefix: str, digests: list[bytes]) -> bytes:
    """Return the one digest that begins so.

    Raises:
        Failure: none does, or several do.
    """
    found = [digest for digest in digests if digest.hex().startswith(prefix)]
    if len(found) != 1:
        several = "no proposal in the log" if not found else f"{len(found)} proposals in the log"
        raise Failure(f"{several} whose id begins with {prefix}; `vetonet watch --once` lists all")
    return found[0]


async def list_licensed(client: CoordinatorClient) -> dict[bytes, Proposal]:
    """Return the proposals that hold a licence, by digest, as the coordinator shows them.

    Raises:
        VetonetError: the coordinator cannot be asked.
    """
    views = [view for view in await client.list_proposals() if view.licence_leaf_index is not None]
    return {view.matter.payload_digest: view.run for view in views if view.run is not None}


async def find_view(client: CoordinatorClient, prefix: str) -> ProposalView:
    """Return the one proposal whose id begins so, as the coordinator shows it.

    Raises:
        Failure: none or several begin so.
        VetonetError: the coordinator cannot be asked.
    """
    views = {view.matter.payload_digest: view for view in await client.list_proposals()}
    return views[pick(prefix, list(views))]
