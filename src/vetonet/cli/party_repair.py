"""``vetonet party repair``: a member that lost its key shares gets them back from enough of the others."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line, spell_command
from vetonet.cli.parameters import ADDRESS, DURATION
from vetonet.cli.party_home import enter, read_unlock, to_member, unlock_options
from vetonet.cli.party_reshare import find_addresses
from vetonet.cli.session import read_clock, run_async

if TYPE_CHECKING:
    from vetonet.crypto.statement import Signed
    from vetonet.party.ceremony import CeremonyDriver
    from vetonet.party.home import Home
    from vetonet.party.keystore import KeyStore
    from vetonet.policy.ceremony import CeremonyPlan
    from vetonet.policy.treaty import Treaty

STOP_GRACE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One party's part in a repair.

    Attributes:
        plans: one for each seat whose share was lost and that this party takes part in, with its group.
        treaty: in force.
    """

    home: Home
    store: KeyStore = field(repr=False)
    treaty: Signed[Treaty]
    plans: tuple[tuple[int, CeremonyPlan], ...]
    deadline_ms: int
    listen: str


@click.command(
    epilog=examples(
        "vetonet party repair p3 --lost --helper P1 --helper P2 --helper P4 --key-file p3.key",
        "vetonet party repair p1 --help-repair P3 --helper P1 --helper P2 --helper P4 --key-file p1.key",
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--lost", "is_lost", is_flag=True, help="The party of HOME is the one that lost its shares.")
@click.option("--help-repair", "helped", metavar="ID", help="The party of HOME helps this one.")
@click.option(
    "--helper",
    "helpers",
    multiple=True,
    metavar="ID",
    help="Who helps; all say the same.  [default: the first members that are enough, group by group]",
)
@click.option("--group", "groups", multiple=True, type=int, metavar="N", help="Only this group; repeat.")
@unlock_options
@click.option(
    "--listen",
    type=ADDRESS,
    metavar="HOST:PORT",
    help="Where to take the others' calls.  [default: as the daemon does, which must be stopped then]",
)
@click.option(
    "--peer", "peers", multiple=True, metavar="ID=HOST:PORT", help="Where another takes calls for this."
)
@click.option("--attempt", type=click.IntRange(min=1), default=1, show_default=True, help="The parties'.")
@click.option(
    "--deadline",
    "deadline_ms",
    type=DURATION,
    default="2m",
    show_default=True,
    help="So long from now for everything; then the silent are named.",
)
@json_option
def repair(
    *,
    home: Path,
    is_lost: bool,
    helped: str | None,
    helpers: tuple[str, ...],
    passphrase_file: Path | None,
    key_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Give a member the key shares back that it lost, under the treaty in force; no key is put together.

    As many members help as could sign for the group; a group that all must sign for cannot be repaired. Whom
    one helps gets what was its own before: make sure by voice that it is still that party.
    """
    if is_lost == (helped is not None):
        raise Failure("expected --lost, as the party that lost its shares, or --help-repair ID, to help it")
    opened, unlock = enter(home, passphrase_file, key_file), read_unlock(passphrase_file, key_file)
    name = opened.settings.party_id
    part = run_async(lambda: _plan(opened, unlock, helped or name, helpers, options))
    if not part.plans:
        raise Failure(f"{name} takes no part in a repair of {helped or name}; nothing was done")
    others = {party for _, plan in part.plans for party in plan.party_ids} - {name}
    addresses = find_addresses(opened, others, options["peers"])
    run_async(lambda: _take_part(part, addresses))
    groups = sorted({group for group, _ in part.plans})
    if as_json:
        print_json({"party": name, "repaired": helped or name, "groups": groups})
        return
    shown = ", ".join(map(str, groups))
    print_line(f"{'got back' if is_lost else f'{helped} has'} its shares of group {shown}")
    if is_lost:
        print_line(f"next: start the daemon again, `{spell_command()} party run {home}`")


async def _plan(
    home: Home, unlock: Any, lost: str, helpers: tuple[str, ...], options: dict[str, Any]
) -> _Part:
    """Return what this party takes part in, from the treaty in force as the log shows it.

    Raises:
        RefusedError: too few are left that could help.
        VetonetError: the log cannot be read.
    """
    from vetonet.cli.present import reading
    from vetonet.party.keystore import KEY_STORE_FILE, KeyStore
    from vetonet.policy.handover_plan import choose_dealers, plan_repair

    async with reading(to_member(home), home.settings.coordinator) as (_, ledger):
        treaty = ledger.treaty
    name, plans = home.settings.party_id, list[tuple[int, "CeremonyPlan"]]()
    known = {party.party_id for party in treaty.statement.parties}
    for party in (lost, *helpers):
        if party not in known:
            raise Failure(f"{party} is no member under the treaty in force")
    away = (known - set(helpers) if helpers else set()) | {lost}
    for group in treaty.statement.all_groups:
        seats = group.list_seats(lost)
        if not seats or (options["groups"] and group.index not in options["groups"]):
            continue
        if len(group.leaf.seats) - len(seats) < group.package.min_signers and not options["groups"]:
            note(f"group {group.index} cannot be repaired without {lost}: all others are too few")
            continue
        dealers = choose_dealers(group, without=away)
        for seat in seats:
            plan = plan_repair(
                treaty, group.index, lost=int(seat), helpers=dealers, attempt=options["attempt"]
            )
            plans += [(group.index, plan)] if name in plan.party_ids else []
    return _Part(
        home=home,
        store=KeyStore.open(home.root / KEY_STORE_FILE, unlock, secrets.token_bytes),
        treaty=treaty,
        plans=tuple(plans),
        deadline_ms=read_clock() + options["deadline_ms"],
        listen=options["listen"] or home.settings.listen,
    )


async def _take_part(part: _Part, addresses: dict[str, str]) -> None:
    """Every ceremony ended well, and what was lost is on the disk.

    Raises:
        CeremonyAbortedError: there is no share from one of them; it says through whom.
        ConfigError: an attempt was used up before, or a share cannot be written.
    """
    from vetonet.party.ceremony import CEREMONY_POLICY, serve_desk
    from vetonet.party.ceremony_hall import CeremonyHall
    from vetonet.party.peer import connect_peers

    own, credential = part.home.settings.party_id, part.home.credential
    hall, drivers = CeremonyHall(own), [_prepare(part, group, plan) for group, plan in part.plans]
    for driver in drivers:
        hall.admit(driver)
    roster, largest = {own, *addresses}, hall.max_message_bytes
    async with AsyncExitStack() as stack:
        bound = await serve_desk(hall, roster, part.listen, credential=credential, max_message_bytes=largest)
        stack.push_async_callback(bound.stop, STOP_GRACE_S)
        note(f"{own} listens on {bound.address}; waiting for {', '.join(sorted(addresses))}")
        peers = connect_peers(
            addresses, credential=credential, rng=secrets.token_bytes, policy=CEREMONY_POLICY
        )
        for peer in peers.values():
            stack.push_async_callback(peer.close)
        await asyncio.gather(
            *(
                driver.run({name: peers[name] for name in driver.plan.party_ids if name != own})
                for driver in drivers
            )
        )


def _prepare(part: _Part, group: int, plan: CeremonyPlan) -> CeremonyDriver:
    from vetonet.party.ceremony import CeremonyDriver
    from vetonet.party.succession_home import begin_once, keep_repaired
    from vetonet.policy.handover_plan import CeremonyContext
    from vetonet.voting.ceremony_state import Keep

    secrets_, name = part.home.secrets, part.home.settings.party_id
    held = secrets_.find_shares(part.treaty.statement)
    dealing = [int(seat) for seat in plan.list_dealing_seats(name)]
    lacking = [seat for seat in dealing if (group, seat) not in held]
    if lacking:
        raise Failure(f"{name} has no share of seat {lacking[0]} in group {group}, so it cannot help")
    begin_once(part.store, plan.compute_digest(), CeremonyContext.from_bytes(plan.context).attempt)

    def keep(kept: Keep) -> None:
        for share in kept.key_shares:
            keep_repaired(part.store, part.treaty.statement, group, share)

    return CeremonyDriver(
        plan,
        name,
        secrets_.statement_key,
        deadline_ms=part.deadline_ms,
        rng=secrets.token_bytes,
        clock=read_clock,
        key_shares=[held[group, seat] for seat in dealing],
        keep=keep,
    )
