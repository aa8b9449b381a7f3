"""The scenes of the council, in order; each says what came of it and what should have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

from vetonet.cli.council.changes import repair_share, replace_members, vote_anew
from vetonet.cli.council.charter import BY_HAND, LARGE_FLOP, RULES, SMALL_FLOP, write_charter
from vetonet.cli.council.council import Council, Outcome, has_lease, is_ended, shorten
from vetonet.cli.council.stage import Seat, copy_treaty, count_own_processes
from vetonet.cli.exits import Exit
from vetonet.voting.state import Phase

FOUNDING_DEADLINE: Final = "150s"


Scene: TypeAlias = Callable[[Council], Awaitable[Outcome]]


def seat_of(council: Council, party_id: str) -> Seat:
    """Return where everything of a party is."""
    return council.stage.seats[party_id]


async def found(council: Council) -> Outcome:
    """Every party makes its keys; all agree on the charter, generate the groups' keys and sign the treaty."""
    stage = council.stage
    cards = [
        (f"card-{n}", ("party", "card", seat_of(council, n).home, "--party", n, "--key-file", key))
        for n in council.founders
        for key in (seat_of(council, n).key_file,)
    ]
    for done in await stage.call_all(cards):
        done.require("party card")
    await draft(council)
    results = await stage.run_together(
        [(f"found-{n}", _list_found_arguments(council, n)) for n in council.founders]
    )
    digests = {done.require("party found")["treaty"] for done in results}
    copy_treaty(stage, seat_of(council, council.watcher).home)
    await stage.start_daemons(council.founders)
    await stage.start_coordinator()
    council.members = council.founders
    running = count_own_processes(stage)
    return Outcome(
        is_as_expected=len(digests) == 1 and running == len(council.founders) + 1,
        detail=f"{len(results)} parties signed treaty {min(digests)[:16]}; {running} processes run",
    )


async def draft(council: Council) -> None:
    """The convener has the charter, from the cards alone.

    Raises:
        Failure: it was refused.
    """
    stage, plan = council.stage, council.stage.root / "council.toml"
    plan.write_text(write_charter(council.founders))
    cards = [f"--card={seat_of(council, n).home / 'card.json'}" for n in council.founders]
    drafted = await stage.call("draft", "treaty", "draft", "--file", plan, *cards, "--out", stage.directory)
    drafted.require("treaty draft")
    by_hand = council.elected[-1]
    for name in council.founders:
        (seat_of(council, name).home / "rules.toml").write_text(BY_HAND if name == by_hand else RULES)


def _list_found_arguments(council: Council, name: str) -> tuple[str | Path, ...]:
    seat, others = seat_of(council, name), [other for other in council.founders if other != name]
    charter = council.stage.directory / "parties" / name / "charter.cbor"
    peers = [f"--peer={other}={seat_of(council, other).address}" for other in others]
    listening = ("--listen", seat.address, "--coordinator", council.stage.coordinator)
    patience = ("--deadline", FOUNDING_DEADLINE)
    return ("party", "found", *seat.opened, "--charter", charter, *listening, *patience, *peers)


async def grant(council: Council) -> Outcome:
    """A small run is granted by the members' rules, licensed, and gets its first lease."""
    name = await council.stage.propose(SMALL_FLOP, council.window)
    entry = await council.stage.await_vote(council.watcher, name, is_ended)
    status = await council.stage.await_status(council.watcher, lambda told: has_lease(told, name))
    lease = "no lease" if status is None else "lease 1 signed"
    phase = "unknown" if entry is None else entry.phase.value
    is_right = phase == Phase.LICENSED and status is not None
    return Outcome(is_as_expected=is_right, detail=f"{shorten(name)} {phase} by rules alone, {lease}")


async def suspend(council: Council) -> Outcome:
    """A member moves to suspend the licensed run; the others' rules agree, and its leases stop."""
    stage, mover = council.stage, council.elected[0]
    run = next(licence.name for licence in (await stage.ask(council.watcher)).licences)
    home, *unlock = seat_of(council, mover).opened
    asked = ("--subject", run, "--window", council.window, "--home", home, *unlock)
    moved = await stage.call("suspend", "move", "emergency-suspension", *asked)
    name = str(moved.require("move")["name"])
    entry = await stage.await_vote(council.watcher, name, is_ended)
    status = await stage.await_status(
        council.watcher, lambda told: any(e.name == run and e.obstacle for e in told.licences)
    )
    phase = "unknown" if entry is None else entry.phase.value
    is_right = phase == Phase.LICENSED and status is not None
    stop = "no lease can be signed any more" if status is not None else "leases go on"
    said = "adopted" if phase == Phase.LICENSED else phase
    return Outcome(is_as_expected=is_right, detail=f"the motion of {mover} is {said}: {shorten(run)}, {stop}")


async def veto(council: Council) -> Outcome:
    """A large run is left to people, and one permanent member vetoes it by hand."""
    stage, first = council.stage, council.watcher
    name = await stage.propose(LARGE_FLOP, council.window)
    await stage.await_vote(first, name, lambda entry: entry.phase is Phase.OPEN)
    home, *unlock = seat_of(council, first).opened
    said = await stage.call("veto", "vote", "veto", name, "--home", home, *unlock, "--reason", "scale")
    entry = await stage.await_vote(first, name, is_ended)
    phase = "unknown" if entry is None else entry.phase.value
    is_right = said.code == Exit.OK and phase == Phase.VETOED
    return Outcome(is_as_expected=is_right, detail=f"{shorten(name)} {phase} by {first} alone")


async def kill(council: Council) -> Outcome:
    """Two daemons are killed during a vote, one after its ballot, one before; both go on where they were."""
    stage, first = council.stage, council.watcher
    after, before = council.elected[0], council.elected[-1]
    name = await stage.propose(SMALL_FLOP, council.long_window)
    at_kill = await stage.await_vote(first, name, lambda e: after not in e.missing and before in e.missing)
    await stage.kill(after)
    await stage.kill(before)
    await asyncio.sleep(1.0)
    await stage.start_daemons([after, before])
    await stage.await_vote(before, name, lambda entry: entry.phase is Phase.OPEN)
    home, *unlock = seat_of(council, before).opened
    said = await stage.call("grant", "vote", "grant", name, "--home", home, *unlock, "--no-wait")
    entry = await stage.await_vote(first, name, is_ended)
    phase = "unknown" if entry is None else entry.phase.value
    missing = ["all"] if entry is None else list(entry.missing)
    is_in_time = at_kill is not None and at_kill.phase is Phase.OPEN
    is_right = is_in_time and said.code == Exit.OK and phase == Phase.LICENSED and not missing
    told = f"{after} killed after its ballot, {before} before: {shorten(name)} {phase}"
    return Outcome(is_as_expected=is_right, detail=f"{told}, {len(missing)} ballots missing")


SCENES: tuple[tuple[str, Scene], ...] = (
    ("a council founds its keys", found),
    ("a run is granted", grant),
    ("a run is vetoed", veto),
    ("a licensed run is suspended", suspend),
    ("two daemons are killed", kill),
    ("members are replaced", replace_members),
    ("the new council votes", vote_anew),
    ("a lost share is repaired", repair_share),
)
