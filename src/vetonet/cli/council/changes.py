"""The scenes in which the council changes: members are replaced, and a lost key share comes back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vetonet.cli.council.charter import LARGE_FLOP, RULES, count_amending, count_grants, list_permanent
from vetonet.cli.council.council import Council, Outcome, is_ended
from vetonet.party.home import list_named_shares
from vetonet.party.keystore import KEY_STORE_FILE, KeyFile, KeyStore
from vetonet.voting.state import Phase

if TYPE_CHECKING:
    from vetonet.cli.council.stage import Seat

DEADLINE = "150s"


async def replace_members(council: Council) -> Outcome:
    """New members take the places of old ones: new shares under old keys, a motion, another treaty."""
    stage = council.stage
    charter = await _draft_next(council)
    coming = tuple(n for n in council.members if n not in council.leavers) + council.newcomers
    signed = await stage.run_together(
        [(f"reshare-{n}", _list_reshare_arguments(council, n, coming, charter)) for n in coming]
    )
    values = [done.require("party reshare") for done in signed]
    digests, successor = {value["treaty"] for value in values}, Path(values[0]["file"])
    # A daemon takes its key shares from the home when it starts; the old treaty is still in force.
    await stage.stop_daemons(n for n in council.members if n not in council.leavers)
    await stage.start_daemons(coming, *council.newcomers)
    name = await _decide(council, successor)
    entry = await stage.await_vote(council.watcher, name, is_ended)
    phase = "unknown" if entry is None else entry.phase.value
    if phase != Phase.LICENSED:
        return Outcome(is_as_expected=False, detail=f"the motion is {phase}")
    erased = await _amend(council, coming, successor)
    stage.epoch_files.append(successor)
    council.members = coming
    followed = await _await_epoch(council)
    detail = (
        f"{', '.join(council.newcomers)} for {', '.join(council.leavers)}: treaty {min(digests)[:16]} in "
        f"force, followed by {followed} of {len(coming)} daemons, {erased} old shares erased"
    )
    is_right = len(digests) == 1 and followed == len(coming) and erased > 0
    return Outcome(is_as_expected=is_right, detail=detail)


async def _draft_next(council: Council) -> Path:
    """Return the next charter; the newcomers have homes."""
    stage, replaced = council.stage, list[str]()
    for leaver, name in zip(council.leavers, council.newcomers, strict=True):
        seat = stage.seats[name]
        made = await stage.call(
            f"card-{name}", "party", "card", seat.home, "--party", name, "--key-file", seat.key_file
        )
        made.require("party card")
        (seat.home / "rules.toml").write_text(RULES)
        replaced.append(f"--replace={leaver}={seat.home / 'card.json'}")
    folder = stage.root / "next"
    drafted = await stage.call(
        "succeed", "treaty", "succeed", "--dir", stage.directory, *replaced, "--out", folder
    )
    drafted.require("treaty succeed")
    for name in council.newcomers:
        joined = await stage.call(f"join-{name}", *_list_join_arguments(council, stage.seats[name], folder))
        joined.require("party join")
    return folder / "charter.cbor"


def _list_join_arguments(council: Council, seat: Seat, folder: Path) -> tuple[str | Path, ...]:
    invitation = ("--invitation", folder / "parties" / seat.party_id)
    where = ("--listen", seat.address, "--coordinator", council.stage.coordinator)
    peers = [f"--peer={n}={council.stage.seats[n].address}" for n in council.members]
    return ("party", "join", *seat.opened, *invitation, *where, *peers)


def _list_reshare_arguments(
    council: Council, name: str, coming: tuple[str, ...], charter: Path
) -> tuple[str | Path, ...]:
    seats = council.stage.seats
    peers = [f"--peer={n}={seats[n].ceremony}" for n in coming if n != name]
    where = ("--charter", charter, "--listen", seats[name].ceremony, "--deadline", DEADLINE)
    return ("party", "reshare", *seats[name].opened, *where, *peers)


async def _decide(council: Council, successor: Path) -> str:
    """Return the name of the motion that puts the successor in force; the members' rules grant it."""
    first = council.stage.seats[council.watcher]
    home, *unlock = first.opened
    asked = ("--subject", successor, "--window", council.window, "--home", home, *unlock)
    moved = await council.stage.call("move", "move", "roster-change", *asked)
    return str(moved.require("move")["name"])


async def _amend(council: Council, coming: tuple[str, ...], successor: Path) -> int:
    """Return how many old key shares were erased, once the log shows everybody that the successor counts."""
    stage, first = council.stage, council.watcher
    logged = await stage.call(f"amend-{first}", "party", "amend", *stage.seats[first].opened)
    done = [logged.require("party amend")]
    others = [(f"amend-{n}", ("party", "amend", *stage.seats[n].opened)) for n in coming if n != first]
    for left in council.leavers:
        arguments = ("party", "amend", *stage.seats[left].opened, "--treaty", successor)
        others.append((f"amend-{left}", arguments))
    done += [ended.require("party amend") for ended in await stage.call_all(others)]
    return sum(len(value["erased"]) for value in done)


async def _await_epoch(council: Council) -> int:
    """Return how many members' daemons have found the newest treaty in their log."""
    epoch = 1 + len(council.stage.epoch_files)
    statuses = [
        await council.stage.await_status(n, lambda told: told.epoch == epoch, patience_s=40.0)
        for n in council.members
    ]
    return sum(status is not None for status in statuses)


async def vote_anew(council: Council) -> Outcome:
    """A run is licensed under the new treaty by as few as can, so that the new members must sign."""
    phase, signed = await _license(council, council.newcomers)
    epoch, who = 1 + len(council.stage.epoch_files), ", ".join(council.newcomers)
    is_right = phase == Phase.LICENSED and set(council.newcomers) <= signed
    detail = f"{phase} under epoch {epoch} by {len(signed)} signers; signed by {who}: {is_right}"
    return Outcome(is_as_expected=is_right, detail=detail)


async def _license(council: Council, needed: Sequence[str]) -> tuple[str, set[str]]:
    """Return how a vote ended in which no more grant than must, and which of them signed.

    The run is too large for the members' rules: each grants by its own order.
    """
    stage = council.stage
    permanent = list_permanent(council.founders)
    others = [n for n in council.members if n not in {*permanent, *needed}]
    granting = [*permanent, *needed, *others][: count_grants(council.members)]
    name = await stage.propose(LARGE_FLOP, council.long_window)
    await stage.await_vote(council.watcher, name, lambda entry: entry.phase is Phase.OPEN)
    calls = []
    for member in granting:
        home, *unlock = stage.seats[member].opened
        calls.append((f"grant-{member}", ("vote", "grant", name, "--home", home, *unlock, "--no-wait")))
    for done in await stage.call_all(calls):
        done.require("vote")
    entry = await stage.await_vote(council.watcher, name, is_ended)
    signed = {member for member in granting if f"{name}: outcome" in stage.read_lines(member)}
    return ("unknown" if entry is None else entry.phase.value), signed


async def repair_share(council: Council) -> Outcome:
    """A member loses its key shares, gets them back from others, and signs again."""
    stage, name = council.stage, council.elected[1]
    seat, others = stage.seats[name], [n for n in council.members if n != name]
    helpers = others[: count_amending(council.members)]
    await stage.stop_daemons([name])
    lost = _lose_shares(seat)
    calls = [(f"repair-{n}", _list_repair_arguments(council, n, name, helpers)) for n in (name, *helpers)]
    ended = [done.require("party repair") for done in await stage.run_together(calls)]
    await stage.start_daemons([name], *council.newcomers)
    phase, signed = await _license(council, [name])
    is_right = phase == Phase.LICENSED and lost > 0 and name in signed
    detail = (
        f"{name} lost {lost} shares, {len(helpers)} members gave back those of groups {ended[0]['groups']}; "
        f"{phase}, signed by {name}: {is_right}"
    )
    return Outcome(is_as_expected=is_right, detail=detail)


def _lose_shares(seat: Seat) -> int:
    """Return how many key shares the home has lost."""
    unlock = KeyFile.read(seat.key_file)
    store = KeyStore.open(seat.home / KEY_STORE_FILE, unlock, secrets.token_bytes)
    names = [name for name, _, _ in list_named_shares(store, seat.home)]
    for name in names:
        store.erase(name)
    return len(names)


def _list_repair_arguments(
    council: Council, name: str, lost: str, helpers: Sequence[str]
) -> tuple[str | Path, ...]:
    seats = council.stage.seats
    part = ("--lost",) if name == lost else ("--help-repair", lost)
    named = [f"--helper={helper}" for helper in helpers]
    peers = [f"--peer={other}={seats[other].ceremony}" for other in (lost, *helpers) if other != name]
    where = ("--listen", seats[name].ceremony, "--deadline", DEADLINE)
    return ("party", "repair", *seats[name].opened, *part, *named, *where, *peers)
