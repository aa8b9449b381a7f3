"""Resharing, refresh and repair between daemons over mutual TLS: the key stays, and all name a cheat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

import pytest

from support.ceremony import Cast, make_refresh, make_repair, make_resharing
from support.ceremony_daemons import (
    LATE_S,
    credential_of,
    make_driver,
    play_out,
    reserve_address,
    take_part,
)
from support.frost_groups import sign_together
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EpochError, StorageError, UnexpectedEventError, UnknownPartyError
from vetonet.party.ceremony import CEREMONY_POLICY, CeremonyDriver
from vetonet.party.ceremony_hall import CeremonyHall
from vetonet.party.peer import connect_peers, serve_party
from vetonet.party.views import PartyStatus
from vetonet.policy.ceremony import CeremonyEcho, CeremonyShares
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import CeremonyEffect, Finish, Keep, SendTo
from vetonet.voting.ceremony_transcript import CeremonyAbortedError
from vetonet.wire.boundary import Limits
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Identity, Role
from vetonet.wire.serving import BoundServer

OLD_CONTEXT = b"epoch 1 attempt 1"


class Disk:
    """A party's store of key shares, by context."""

    def __init__(self, cast: Cast, name: str) -> None:
        old = cast.list_key_shares(name)
        self.shares: dict[bytes, tuple[frost.KeyShare, ...]] = {OLD_CONTEXT: old} if old else {}

    def keep(self, kept: Keep) -> None:
        """New shares stand beside the old ones."""
        self.shares[kept.context] = kept.key_shares

    def erase_old(self) -> None:
        """Old shares are gone."""
        self.shares.pop(OLD_CONTEXT, None)


class CannotWrite(Disk):
    """A store that is full."""

    def keep(self, kept: Keep) -> None:
        """Refuse it."""
        raise StorageError(f"no room for {len(kept.key_shares)} shares")


class DealsBadly(CeremonyDriver):
    """Deals one wrong share, to ``p6``."""

    def _carry_out_one(self, effect: CeremonyEffect) -> None:
        if isinstance(effect, SendTo) and effect.party_id == "p6":
            transcript = self._state.transcript
            pairs = transcript.plan.list_pairs(CeremonyShares, "p2", "p6")
            bad = [frost.SecretPackage(sender=a, receiver=b, share=frost.Scalar(7)) for a, b in pairs]
            sealed = seal_secrets(transcript, CeremonyShares, bad, sender="p2", receiver="p6")
            effect = SendTo(party_id="p6", data=sign(sealed, RESHARING.keys["p2"]))
        super()._carry_out_one(effect)


RESHARING = make_resharing()


async def hold(
    cast: Cast, disks: Mapping[str, Disk], *, late: str = "", patience_ms: int = 20_000
) -> list[Finish | CeremonyAbortedError | BaseException]:
    """Return how it ended for each daemon, in the order of the plan; who finished erased its old shares."""
    addresses = {name: reserve_address() for name in cast.plan.party_ids}

    async def one(name: str) -> Finish | CeremonyAbortedError:
        driver = make_driver(cast, name, keep=disks[name].keep, patience_ms=patience_ms)
        end = await take_part(driver, addresses, wait_s=LATE_S if name == late else 0.0)
        if isinstance(end, Finish):
            disks[name].erase_old()
        return end

    parts: list[Awaitable[Finish | CeremonyAbortedError]] = [one(name) for name in cast.plan.party_ids]
    return list(await asyncio.gather(*parts, return_exceptions=True))


def make_disks(cast: Cast) -> dict[str, Disk]:
    return {name: Disk(cast, name) for name in cast.plan.party_ids}


def list_finished(ends: list[Finish | CeremonyAbortedError | BaseException], count: int) -> list[Finish]:
    finished = [end for end in ends if isinstance(end, Finish)]
    assert len(finished) == count, ends
    assert len({finish.package for finish in finished}) == 1
    return finished


def test_a_council_of_five_replaces_two_members_though_a_new_one_comes_late() -> None:
    disks, old = make_disks(RESHARING), RESHARING.group
    assert old is not None

    async def scenario() -> None:
        finished = list_finished(await hold(RESHARING, disks, late="p7"), 6)
        package = finished[0].package
        assert package.group_public_key == old.key
        assert replay_transcript(RESHARING.plan, finished[-1].transcript) == package
        context = RESHARING.plan.context
        new = ("p1", "p2", "p3", "p6", "p7")
        assert {name: tuple(disk.shares) for name, disk in disks.items()} == {
            name: (context,) if name in new else () for name in disks
        }
        shares = [disks[name].shares[context][0] for name in ("p3", "p6", "p7")]
        old.key.verify_signature(b"m", sign_together(shares, package))

    play_out(scenario())


def test_five_daemons_deal_themselves_new_shares() -> None:
    cast = make_refresh()
    disks, old = make_disks(cast), cast.group
    assert old is not None

    async def scenario() -> None:
        package = list_finished(await hold(cast, disks, late="p2"), 5)[0].package
        assert package.group_public_key == old.key
        held = [disks[name].shares[cast.plan.context][0] for name in cast.plan.party_ids]
        assert not {share.verifying_share for share in held} & {
            share.verifying_share for share in old.shares.values()
        }
        old.key.verify_signature(b"m", sign_together(held[2:], package))

    play_out(scenario())


def test_three_daemons_give_a_fourth_its_lost_share_back() -> None:
    cast = make_repair()
    disks, old = make_disks(cast), cast.group
    assert old is not None
    assert disks["p3"].shares == {}

    async def scenario() -> None:
        finished = list_finished(await hold(cast, disks, late="p3"), 4)
        assert finished[0].package == old.public
        assert disks["p3"].shares == {cast.plan.context: (old.shares[3],)}
        assert [len(finish.key_shares) for finish in finished] == [0, 0, 1, 0]
        assert replay_transcript(cast.plan, finished[1].transcript) == old.public

    play_out(scenario())


def test_a_dealer_that_cheats_in_a_resharing_is_named_by_all_and_nothing_is_erased() -> None:
    disks = make_disks(RESHARING)

    async def scenario() -> None:
        addresses = {name: reserve_address() for name in RESHARING.keys}
        drivers = [
            make_driver(
                RESHARING,
                name,
                kind=DealsBadly if name == "p2" else CeremonyDriver,
                keep=disks[name].keep,
            )
            for name in RESHARING.keys
        ]
        ends = await asyncio.gather(*(take_part(driver, addresses) for driver in drivers))
        named = [end.verdict.culprits for end in ends if isinstance(end, CeremonyAbortedError)]
        assert named == [("p2",)] * 6, ends
        assert all(OLD_CONTEXT in disks[name].shares for name in ("p1", "p2", "p3", "p4"))

    play_out(scenario())


def test_who_cannot_store_its_new_share_is_silent_and_nobody_erases_an_old_one() -> None:
    # VN-15.10
    disks = make_disks(RESHARING) | {"p3": CannotWrite(RESHARING, "p3")}

    async def scenario() -> None:
        ends = await hold(RESHARING, disks, patience_ms=2_000)
        by_name = dict(zip(RESHARING.plan.party_ids, ends, strict=True))
        assert isinstance(by_name.pop("p3"), StorageError)
        for end in by_name.values():
            assert isinstance(end, CeremonyAbortedError)
            assert (end.verdict.culprits, end.verdict.silent) == ((), ("p3",))
        assert all(OLD_CONTEXT in disks[name].shares for name in ("p1", "p2", "p3", "p4"))

    play_out(scenario())


def test_nobody_takes_a_share_that_it_would_not_keep() -> None:
    # VN-15.10
    with pytest.raises(ValueError, match="kept"):
        make_driver(RESHARING, "p6")
    assert make_driver(RESHARING, "p4").party_id == "p4"


class Desk:
    """A daemon that follows a treaty and is not asked about it here."""

    def __init__(self, party_id: str) -> None:
        self.party_id = party_id

    def receive_ballot(self, data: bytes) -> None:
        raise AssertionError(data)

    def get_status(self) -> PartyStatus:
        raise AssertionError


def make_small(context: bytes, old: tuple[str, ...] = ("p1", "p2", "p3")) -> Cast:
    return make_refresh(old=old, k=2, dealers=(1, 2), context=context)


async def serve(name: str, hall: CeremonyHall, address: str) -> BoundServer:
    limits = Limits(max_request_bytes=2**20, rpc_timeout_s=5.0)
    treaty = make_council(3, 2).treaty.statement
    return await serve_party(
        Desk(name), treaty, address, credential=credential_of(name), limits=limits, hall=hall
    )


def test_daemons_under_a_treaty_hold_two_ceremonies_at_once_at_one_address() -> None:
    casts = (make_small(b"group 0"), make_small(b"group 1"))
    names = casts[0].plan.party_ids
    stores: dict[str, dict[bytes, Keep]] = {name: {} for name in names}

    async def one(name: str, addresses: Mapping[str, str]) -> list[Finish]:
        def keep(kept: Keep) -> None:
            stores[name][kept.context] = kept

        hall = CeremonyHall()
        bound = await serve(name, hall, addresses[name])
        drivers = [make_driver(cast, name, keep=keep) for cast in casts]
        others = {other: address for other, address in addresses.items() if other != name}
        rng = SeededRng(b"calls").spawn(name)
        peers = connect_peers(others, credential=credential_of(name), rng=rng, policy=CEREMONY_POLICY)
        try:
            for driver in drivers:
                hall.admit(driver)
            return await asyncio.gather(*(driver.run(peers) for driver in drivers))
        finally:
            await bound.stop(1.0)
            for peer in peers.values():
                await peer.close()

    async def scenario() -> None:
        addresses = {name: reserve_address() for name in names}
        ends = await asyncio.gather(*(one(name, addresses) for name in names))
        for index, cast in enumerate(casts):
            package = {finishes[index].package for finishes in ends}
            assert len(package) == 1
            assert {stores[name][cast.plan.context].package for name in names} == package
        assert {len(kept) for kept in stores.values()} == {2}

    play_out(scenario())


def test_a_hall_gives_a_statement_to_the_ceremony_that_it_names() -> None:
    # VN-15.1
    mine, other, strange = make_small(b"mine"), make_small(b"other"), make_small(b"x", ("p1", "p7", "p8"))
    hall = CeremonyHall()
    echo = CeremonyEcho(ceremony=mine.plan.compute_digest(), transcript=bytes(32))
    data, caller = sign(echo, mine.keys["p2"]), Identity(trust_domain="x", role=Role.PARTY, name="p2")
    with pytest.raises(UnexpectedEventError):
        hall.receive(data, caller)
    drivers = {
        name: make_driver(cast, "p1", keep=lambda _: None)
        for name, cast in (("mine", mine), ("other", other), ("strange", strange))
    }
    hall.admit(drivers["strange"])
    with pytest.raises(UnknownPartyError):
        hall.receive(data, caller)
    hall.admit(drivers["other"])
    with pytest.raises(EpochError):
        hall.receive(data, caller)
    hall.admit(drivers["mine"])
    hall.receive(data, caller)
    with pytest.raises(WrongIdentityError):
        hall.receive(data, Identity(trust_domain="x", role=Role.PARTY, name="p3"))
    with pytest.raises(ValueError, match="already"):
        hall.admit(drivers["mine"])
    assert hall.max_message_bytes == drivers["mine"].plan.max_message_bytes


def test_a_daemon_answers_itself_and_the_roster_in_force_and_nobody_who_left() -> None:
    # VN-13.1
    class Told(Desk):
        def get_status(self) -> PartyStatus:
            return PartyStatus(party_id="p9", epoch=2, checkpoint=b"", proposals=())

    async def ask(name: str, address: str) -> PartyStatus:
        rng = SeededRng(b"calls").spawn(name)
        peers = connect_peers({"p9": address}, credential=credential_of(name), rng=rng)
        try:
            return await peers["p9"].get_status()
        finally:
            await peers["p9"].close()

    async def scenario() -> None:
        roster, treaty = {"p1", "p9"}, make_council(3, 2).treaty.statement
        bound = await serve_party(
            Told("p9"),
            treaty,
            "127.0.0.1:0",
            credential=credential_of("p9"),
            list_callers=lambda: roster,
        )
        try:
            assert (await ask("p1", bound.address)).epoch == 2
            assert (await ask("p9", bound.address)).epoch == 2
            with pytest.raises(WrongIdentityError):
                await ask("p2", bound.address)
            roster.add("p2")
            assert (await ask("p2", bound.address)).epoch == 2
        finally:
            await bound.stop(0.1)

    play_out(scenario())
