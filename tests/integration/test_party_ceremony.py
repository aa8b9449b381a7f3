"""Key ceremonies between daemons over mutual TLS: nobody deals for all, and everybody names a cheat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest

from support.ceremony import make_cast
from support.ceremony_daemons import (
    LATE_S,
    LOOPBACK,
    credential_of,
    make_driver,
    play_out,
    reserve_address,
    serve_ceremony,
    take_part,
)
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import (
    EncodingError,
    EpochError,
    UnexpectedEventError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.party.ceremony import CeremonyDriver
from vetonet.party.peer import PeerClient, serve_party
from vetonet.party.views import PartyStatus
from vetonet.policy.ceremony import CeremonyEcho, CeremonyShares
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import CeremonyEffect, Complain, Finish, SendTo
from vetonet.voting.ceremony_transcript import CeremonyAbortedError, CeremonyVerdict
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role
from vetonet.wire.pki import Credential


class DealsBadly(CeremonyDriver):
    """Deals one wrong share, to ``p3``."""

    def _carry_out_one(self, effect: CeremonyEffect) -> None:
        if isinstance(effect, SendTo) and effect.party_id == "p3":
            share = frost.Round2Package(
                sender=frost.Identifier(2), receiver=frost.Identifier(3), share=frost.Scalar(7)
            )
            transcript = self._state.transcript
            bad = seal_secrets(transcript, CeremonyShares, [share], sender="p2", receiver="p3")
            effect = SendTo(party_id="p3", data=sign(bad, CAST.keys["p2"]))
        super()._carry_out_one(effect)


class KeepsComplaint(CeremonyDriver):
    """Remembers what it complained of."""

    complaint = b""

    def _carry_out_one(self, effect: CeremonyEffect) -> None:
        if isinstance(effect, Complain):
            self.complaint = effect.data
        super()._carry_out_one(effect)


CAST = make_cast(4)


def test_four_daemons_make_a_key_though_one_comes_late() -> None:
    async def scenario() -> None:
        addresses = {name: reserve_address() for name in CAST.keys}
        ends = await asyncio.gather(
            *(
                take_part(make_driver(CAST, name), addresses, wait_s=LATE_S if name == "p4" else 0.0)
                for name in CAST.keys
            )
        )
        finishes = [end for end in ends if isinstance(end, Finish)]
        assert len(finishes) == 4, ends
        assert len({finish.package for finish in finishes}) == 1
        assert [int(finish.key_shares[0].identifier) for finish in finishes] == [1, 2, 3, 4]
        assert replay_transcript(CAST.plan, finishes[3].transcript) == finishes[0].package

    play_out(scenario())


def test_a_daemon_that_deals_a_bad_share_is_named_by_everybody() -> None:
    kinds = {"p2": DealsBadly, "p3": KeepsComplaint}

    async def scenario() -> None:
        addresses = {name: reserve_address() for name in CAST.keys}
        drivers = {name: make_driver(CAST, name, kind=kinds.get(name, CeremonyDriver)) for name in CAST.keys}
        ends = await asyncio.gather(*(take_part(driver, addresses) for driver in drivers.values()))
        named = [end.verdict.culprits for end in ends if isinstance(end, CeremonyAbortedError)]
        assert named == [("p2",)] * 4, ends
        complainer = drivers["p3"]
        assert isinstance(complainer, KeepsComplaint)
        public = drivers["p1"]._state.transcript.list_public()
        verdict = replay_transcript(CAST.plan, (*public, complainer.complaint))
        assert isinstance(verdict, CeremonyVerdict)
        assert verdict.culprits == ("p2",)

    play_out(scenario())


def test_a_daemon_that_never_comes_is_named_as_silent_only() -> None:
    async def scenario() -> None:
        addresses = {name: reserve_address() for name in CAST.keys}
        drivers = [make_driver(CAST, name, patience_ms=1_500) for name in ("p1", "p2", "p3")]
        ends = await asyncio.gather(*(take_part(driver, addresses) for driver in drivers))
        for end in ends:
            assert isinstance(end, CeremonyAbortedError)
            assert (end.verdict.culprits, end.verdict.silent, end.culprit) == ((), ("p4",), None)

    play_out(scenario())


def test_who_is_still_at_an_aborted_attempt_is_waited_for() -> None:
    again = make_cast(4, context=b"attempt 2")

    async def come_back(addresses: Mapping[str, str]) -> Finish | CeremonyAbortedError:
        old = make_driver(CAST, "p4", patience_ms=700)
        assert isinstance(await take_part(old, addresses), CeremonyAbortedError)
        return await take_part(make_driver(again, "p4"), addresses)

    async def scenario() -> None:
        addresses = {name: reserve_address() for name in CAST.keys}
        others = (take_part(make_driver(again, name), addresses) for name in ("p1", "p2", "p3"))
        ends = await asyncio.gather(come_back(addresses), *others)
        assert all(isinstance(end, Finish) for end in ends), ends

    play_out(scenario())


@contextlib.asynccontextmanager
async def one_server(driver: CeremonyDriver) -> AsyncIterator[str]:
    bound = await serve_ceremony(driver, LOOPBACK, driver.party_id)
    try:
        yield bound.address
    finally:
        await bound.stop(0.1)


@contextlib.asynccontextmanager
async def calling(address: str, server: str, caller: Credential) -> AsyncIterator[PeerClient]:
    client = PeerClient.connect(address, party_id=server, credential=caller, rng=SeededRng(b"calling"))
    try:
        yield client
    finally:
        await client.close()


async def refuse(client: PeerClient, data: bytes, kind: type[VetonetError]) -> None:
    with pytest.raises(kind):
        await client.deliver_ceremony_message(data)


def test_a_caller_hands_over_its_own_statements_only() -> None:
    # VN-13.1
    echo = CeremonyEcho(ceremony=CAST.plan.compute_digest(), transcript=bytes(32))
    data = sign(echo, CAST.keys["p2"])

    async def scenario() -> None:
        async with one_server(make_driver(CAST, "p1")) as address:
            for stranger in (
                credential_of("p3"),
                credential_of("p9"),
                credential_of("p2", Role.OPERATOR),
            ):
                async with calling(address, "p1", stranger) as client:
                    await refuse(client, data, WrongIdentityError)
            async with calling(address, "p1", credential_of("p2")) as client:
                await client.deliver_ceremony_message(data)
                await client.deliver_ceremony_message(data)

    play_out(scenario())


def test_what_is_no_statement_of_the_ceremony_is_refused() -> None:
    other = CeremonyEcho(ceremony=bytes(32), transcript=bytes(32))
    stranger = make_cast(5).keys["p5"]

    async def scenario() -> None:
        driver = make_driver(CAST, "p1")
        async with one_server(driver) as address, calling(address, "p1", credential_of("p2")) as client:
            await refuse(client, b"junk", EncodingError)
            await refuse(client, bytes(driver.plan.max_message_bytes + 100), EncodingError)
            await refuse(client, sign(other, CAST.keys["p2"]), EpochError)
            await refuse(client, sign(other, stranger), UnknownPartyError)
            with pytest.raises(UnexpectedEventError):
                await client.deliver_ballot(b"ballot")
            with pytest.raises(UnexpectedEventError):
                await client.get_status()

    play_out(scenario())


def test_a_certificate_of_another_party_serves_no_ceremony() -> None:
    async def scenario() -> None:
        with pytest.raises(WrongIdentityError):
            await serve_ceremony(make_driver(CAST, "p1"), LOOPBACK, "p2")
        with pytest.raises(ValueError, match="a peer for each of"):
            await make_driver(CAST, "p1").run({})

    play_out(scenario())


def test_a_daemon_under_a_treaty_takes_no_ceremony_message() -> None:
    council = make_council(3, 2)

    class Desk:
        party_id = "p1"

        def receive_ballot(self, data: bytes) -> None:
            raise AssertionError(data)

        def get_status(self) -> PartyStatus:
            raise AssertionError

    async def scenario() -> None:
        bound = await serve_party(Desk(), council.treaty.statement, LOOPBACK, credential=credential_of("p1"))
        try:
            async with calling(bound.address, "p1", credential_of("p2")) as client:
                await refuse(client, b"junk", UnexpectedEventError)
        finally:
            await bound.stop(0.1)

    play_out(scenario())
