"""``vetonet party run --demo-fleet N``: a council of processes on one machine, to try things."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder, require_empty
from vetonet.cli.output import note, print_json, print_line, spell_command
from vetonet.cli.session import read_clock, run_async, stop_on_signals

if TYPE_CHECKING:
    from vetonet.cli.children import Child

LOOPBACK: Final = "127.0.0.1"
MONITORED_FLOP: Final = 10**21
SIGNING_MS_PER_PARTY: Final = 4_000
"""How much longer one attempt at a signature may take for each party that shares the machine."""

FLEET_RULES: Final = """\
# Small runs are granted by the rules, large ones are left to people.
default = "ask"

[[rule]]
when = { below-flop = "1e23" }
decide = "grant"
"""
SMALL_FLOP: Final = "5e21"
LARGE_FLOP: Final = "5e23"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """One party of the fleet, and where everything of it is."""

    party_id: str
    home: Path
    key_file: Path
    address: str
    witness: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fleet:
    root: Path
    coordinator: str
    seats: tuple[_Seat, ...]

    @property
    def trial(self) -> Path:
        """The treaty directory."""
        return self.root / "trial"


def run_fleet(size: int, out: Path | None, *, as_json: bool) -> None:
    """A council of so many ran until it was told to stop.

    Args:
        size: parties; each is a process, and so is the coordinator.
        out: a new or empty folder, or None for a new one.
        as_json: one object once all of it runs.

    Raises:
        Failure: the folder is in use, or a process did not begin.
    """
    root = Path(tempfile.mkdtemp(prefix="vetonet-fleet-")) if out is None else out
    require_empty(root)
    make_folder(root, mode=PRIVATE_FOLDER_MODE)
    fleet = _plan(size, root)
    note(f"founding a treaty among {size} parties below {root} ...")
    _found(fleet)
    for seat in fleet.seats:
        _settle(fleet, seat)
    run_async(lambda: _keep(fleet, as_json=as_json))


def _plan(size: int, root: Path) -> _Fleet:
    coordinator, *ports = find_ports(1 + 2 * size)
    ids = [f"P{number}" for number in range(1, size + 1)]
    return _Fleet(
        root=root,
        coordinator=coordinator,
        seats=tuple(
            _Seat(
                party_id=party_id,
                home=root / "homes" / party_id,
                key_file=root / "keys" / f"{party_id}.key",
                address=ports[2 * place],
                witness=ports[2 * place + 1],
            )
            for place, party_id in enumerate(ids)
        ),
    )


def find_ports(count: int) -> list[str]:
    """Return addresses that are free at this moment: all are held at once, so they are different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return [f"{LOOPBACK}:{held.getsockname()[1]}" for held in sockets]


def _found(fleet: _Fleet) -> None:
    from vetonet.cli.directory import write_directory
    from vetonet.cli.founding import found_treaty
    from vetonet.policy.default_times import DEFAULT_SIGNING_MS
    from vetonet.policy.plan import TreatyPlan

    ids = tuple(seat.party_id for seat in fleet.seats)
    plan = TreatyPlan.of_threshold(
        name="Demo fleet",
        party_ids=ids,
        min_grants=len(ids) // 2 + 1,
        veto_ids=ids[:1],
        licensed_flop=MONITORED_FLOP,
        operators=(("op1", None),),
        maker_ids=("maker1",),
        signing_ms=DEFAULT_SIGNING_MS + SIGNING_MS_PER_PARTY * len(ids),
    )
    write_directory(fleet.trial, found_treaty(plan, lambda _: secrets.token_bytes, read_clock()))


def _settle(fleet: _Fleet, seat: _Seat) -> None:
    from vetonet.cli.directory import load_party
    from vetonet.cli.party_init import settle
    from vetonet.party.home_settings import HomeSettings
    from vetonet.party.keystore import KeyFile

    make_folder(seat.key_file.parent, mode=PRIVATE_FOLDER_MODE)
    settings = HomeSettings(
        party_id=seat.party_id,
        trust_domain=load_party(fleet.trial, seat.party_id).credential.identity.trust_domain,
        coordinator=fleet.coordinator,
        listen=seat.address,
        witness_listen=seat.witness,
        peers={other.party_id: other.address for other in fleet.seats if other is not seat},
    )
    unlock = KeyFile.create(seat.key_file, secrets.token_bytes)
    settle(seat.home, fleet.trial, settings, unlock, rules=FLEET_RULES)


async def _keep(fleet: _Fleet, *, as_json: bool) -> None:
    """Everybody runs until a signal, or until nobody does; then nobody does."""
    from vetonet.cli.children import Child, end_children, watch_ends

    stopped, parties, coordinators = stop_on_signals(), list[Child](), list[Child]()
    # A terminal that is closed would leave everybody behind: they have sessions of their own.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stopped.set)
    try:
        beginning = asyncio.create_task(_begin(fleet, parties, coordinators))
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({beginning, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not beginning.done():
            beginning.cancel()
            return
        beginning.result()
        _say_ready(fleet, [*coordinators, *parties], as_json=as_json)
        ending = asyncio.create_task(watch_ends([*coordinators, *parties]))
        await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            message = f"all of the fleet ended by itself; see {fleet.root / 'logs'}"
            raise Failure(message, code=Exit.NEGATIVE, reason="child")
    finally:
        note("stopping: the parties first, then the coordinator ...")
        await end_children(parties)
        await end_children(coordinators)


async def _begin(fleet: _Fleet, parties: list[Child], coordinators: list[Child]) -> None:
    """Every party's daemon and witness take calls, then the coordinator does."""
    from vetonet.cli.children import await_ready, start_child

    logs = fleet.root / "logs"
    make_folder(logs)
    for seat in fleet.seats:
        arguments = ("party", "run", seat.home, "--key-file", seat.key_file, "--json")
        parties.append(await start_child(seat.party_id, arguments, logs / f"{seat.party_id}.log"))
    await await_ready(parties)
    witnesses = [f"--witness={seat.party_id}=http://{seat.witness}" for seat in fleet.seats]
    serve: tuple[str | Path, ...] = (
        "serve",
        "--dir",
        fleet.trial,
        "--listen",
        fleet.coordinator,
        *witnesses,
        "--json",
    )
    coordinators.append(await start_child("coordinator", serve, logs / "coordinator.log"))
    await await_ready(coordinators)


def _say_ready(fleet: _Fleet, children: list[Child], *, as_json: bool) -> None:
    if as_json:
        print_json(_describe(fleet, children))
    else:
        _print_hints(fleet)
    sys.stdout.flush()


def _describe(fleet: _Fleet, children: list[Child]) -> dict[str, Any]:
    return {
        "directory": str(fleet.trial),
        "coordinator": fleet.coordinator,
        "logs": str(fleet.root / "logs"),
        "parties": [
            {
                "party": seat.party_id,
                "home": str(seat.home),
                "key_file": str(seat.key_file),
                "address": seat.address,
                "witness": f"http://{seat.witness}",
            }
            for seat in fleet.seats
        ],
        "pids": {child.name: child.process.pid for child in children},
    }


def _print_hints(fleet: _Fleet) -> None:
    """Say what to type next, each line as it stands."""
    command, first = spell_command(), fleet.seats[0]
    propose = f"{command} propose --dir {fleet.trial} --server {fleet.coordinator} --operator op1"
    opened = f"--home {first.home} --key-file {first.key_file}"
    print_line(f"{len(fleet.seats)} parties and a coordinator run below {fleet.root}; Ctrl-C stops them")
    print_line("homes are in homes/, their key files in keys/, what each process says in logs/")
    print_line()
    print_line("a small run, which their rules grant; then a large one, which they leave to people:")
    for flop in (SMALL_FLOP, LARGE_FLOP):
        print_line(f"  {propose} --total-flop {flop} --chips 512 --duration 4h --window 30s")
    print_line(f"{first.party_id} can veto alone:")
    print_line(f"  {command} vote veto PROPOSAL {opened} --reason scale")
    print_line(f"  {command} party status {first.home} --key-file {first.key_file}")
