"""Foundings over mutual TLS: one treaty for all, or everybody names who spoils it (VN-3.5)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support.charters import make_charter
from support.coordination import make_authority, read_real_time
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign, sign_entry
from vetonet.errors import EncodingError, UnexpectedEventError, UnknownPartyError
from vetonet.party.ceremony import CeremonyDriver
from vetonet.party.founding_network import FoundingDriver
from vetonet.party.founding_ports import Derived
from vetonet.party.founding_service import FoundingClient, FoundingStatus, connect_founders, serve_founding
from vetonet.party.keys import PartySecrets, verify_secrets
from vetonet.policy.ceremony import CeremonyShares
from vetonet.policy.expression import AllOf, Threshold
from vetonet.policy.founding import MAX_TRANSCRIPT, FoundingAbortedError, Position
from vetonet.policy.treaty import Treaty
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import CeremonyEffect, SendTo
from vetonet.voting.founding import judge_spoilt, verify_founding
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Identity, Role
from vetonet.wire.pki import Credential

PATIENCE_S = 25.0
CHARTER = make_charter()
NAMES = tuple(CHARTER.keys)
CREDENTIALS: dict[tuple[Role, str], Credential] = {}


def play_out(scenario: Coroutine[Any, Any, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario

    asyncio.run(within())


def credential_of(name: str, role: Role = Role.PARTY) -> Credential:
    if (role, name) not in CREDENTIALS:
        CREDENTIALS[role, name] = make_authority().issue(role, name, now=read_real_time())
    return CREDENTIALS[role, name]


def reserve_addresses() -> dict[str, str]:
    """Return an address for each party where nobody listens yet."""
    sockets = [socket.socket() for _ in NAMES]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return dict(zip(NAMES, addresses, strict=True))


@dataclass(kw_only=True)
class End:
    """How a founding ended for one party."""

    treaty: Signed[Treaty] | None = None
    derived: Derived | None = None
    error: FoundingAbortedError | None = None
    begun: list[Position] = field(default_factory=list)
    kept: list[Derived] = field(default_factory=list)

    def begin(self, position: Position) -> None:
        self.begun.append(position)

    def keep(self, derived: Derived) -> None:
        assert self.begun
        self.kept.append(derived)


def make_driver(
    name: str, *, kind: type[FoundingDriver] = FoundingDriver, patience_ms: int = 15_000, **changes: Any
) -> FoundingDriver:
    options: dict[str, Any] = {"terms": CHARTER.terms, "attempt": 1} | changes
    return kind(
        options["terms"],
        name,
        CHARTER.keys[name],
        attempt=options["attempt"],
        deadline_ms=read_real_time() + patience_ms,
        rng=SeededRng(b"founding").spawn(name),
        clock=read_real_time,
        flush_s=1.0,
    )


async def take_part(driver: FoundingDriver, addresses: Mapping[str, str], *, wait_s: float = 0.0) -> End:
    await asyncio.sleep(wait_s)
    name, end = driver.party_id, End()
    credential = credential_of(name)
    size = driver.max_message_bytes
    bound = await serve_founding(driver, addresses[name], credential=credential, max_message_bytes=size)
    others = {other: address for other, address in addresses.items() if other != name}
    peers = connect_founders(others, credential=credential, rng=SeededRng(b"calls").spawn(name))
    try:
        end.treaty, end.derived = await driver.run(peers, end)
    except FoundingAbortedError as error:
        end.error = error
    finally:
        await driver.linger()
        await bound.stop(0.5)
        for peer in peers.values():
            await peer.close()
    return end


async def found(drivers: Mapping[str, FoundingDriver], **waits_s: float) -> dict[str, End]:
    addresses = reserve_addresses()
    taking = (take_part(driver, addresses, wait_s=waits_s.get(name, 0.0)) for name, driver in drivers.items())
    return dict(zip(drivers, await asyncio.gather(*taking), strict=True))


def list_named(ends: Mapping[str, End]) -> set[tuple[str, ...]]:
    """Return whom each party names that ended without a treaty."""
    return {end.error.named for end in ends.values() if end.error is not None}


class DealsBadly(FoundingDriver):
    """Deals wrong shares in the group that it is in."""

    async def _make(self, index: int, peers: Any) -> Any:
        for ceremony in self._ceremonies.values():
            ceremony.__class__ = DealsOneBadly
        return await super()._make(index, peers)


class DealsOneBadly(CeremonyDriver):
    def _carry_out_one(self, effect: CeremonyEffect) -> None:
        if isinstance(effect, SendTo) and effect.party_id == "p3":
            transcript = self._state.transcript
            pairs = transcript.plan.list_pairs(CeremonyShares, "p2", "p3")
            shares = [frost.SecretPackage(sender=a, receiver=b, share=frost.Scalar(7)) for a, b in pairs]
            bad = seal_secrets(transcript, CeremonyShares, shares, sender="p2", receiver="p3")
            effect = SendTo(party_id="p3", data=sign(bad, CHARTER.keys["p2"]))
        super()._carry_out_one(effect)


class SignsAnother(FoundingDriver):
    """Shows its signature on other terms as that on the treaty."""

    def get_status(self, caller: Identity | None) -> FoundingStatus:
        status = super().get_status(caller)
        return (
            replace(status, signature=sign_entry(CHARTER.terms, self._signing_key))
            if status.treaty
            else status
        )


def test_five_parties_found_one_treaty_though_one_comes_late() -> None:
    async def scenario() -> None:
        ends = await found({name: make_driver(name) for name in NAMES}, p4=1.0)
        assert list_named(ends) == set()
        treaties = {end.treaty.data for end in ends.values() if end.treaty is not None}
        assert len(treaties) == 1
        seats = {
            name: [held.seat for held in end.derived.key_shares]
            for name, end in ends.items()
            if end.derived is not None
        }
        assert seats == {
            "p1": [(0, 1), (0, 2)],
            "p2": [(0, 3)],
            "p3": [(0, 4), (1, 1)],
            "p4": [(1, 2)],
            "p5": [],
        }
        for name, end in ends.items():
            assert end.treaty is not None
            assert end.derived is not None
            verify_founding(end.treaty.statement, end.derived.record)
            key, shares = CHARTER.keys[name], end.derived.key_shares
            verify_secrets(PartySecrets(party_id=name, statement_key=key, key_shares=shares), end.treaty)
            assert end.kept == [end.derived]

    play_out(scenario())


def test_a_group_of_one_seat_is_made_by_its_party_and_believed_by_all() -> None:
    alone = Threshold(min_grants=1, electorate=("p1",), weights=(), minority=False)
    both = AllOf(parts=(Threshold(min_grants=2, electorate=("p2", "p3"), weights=(), minority=False), alone))
    actions = tuple(
        replace(rule, quorum=replace(rule.quorum, expression=both)) for rule in CHARTER.terms.actions
    )
    terms = replace(CHARTER.terms, actions=actions)

    async def scenario() -> None:
        ends = await found({name: make_driver(name, terms=terms) for name in NAMES})
        assert list_named(ends) == set()
        assert len({end.treaty.data for end in ends.values() if end.treaty is not None}) == 1

    play_out(scenario())


def test_a_party_with_another_charter_is_named_by_all_before_any_ceremony() -> None:
    # VN-3.5
    async def scenario() -> None:
        drivers = {name: make_driver(name) for name in NAMES}
        drivers["p2"] = make_driver("p2", terms=replace(CHARTER.terms, name="Another Treaty"))
        ends = await found(drivers)
        assert [end.error.named for end in ends.values() if end.error] == [("p2",)] * 5
        assert all(not driver._ceremonies for driver in drivers.values())
        assert all(not end.begun for end in ends.values())

    play_out(scenario())


def test_a_party_that_stays_at_another_attempt_is_named() -> None:
    # VN-15.1
    async def scenario() -> None:
        drivers = {name: make_driver(name, patience_ms=2_500) for name in NAMES}
        drivers["p5"] = make_driver("p5", attempt=2, patience_ms=2_500)
        assert list_named(await found(drivers)) == {("p5",)}

    play_out(scenario())


def test_a_party_that_never_comes_is_named_as_out_of_reach() -> None:
    async def scenario() -> None:
        ends = await found({name: make_driver(name, patience_ms=2_000) for name in NAMES[:4]})
        assert list_named(ends) == {("p5",)}
        assert "reached" in str(ends["p1"].error)

    play_out(scenario())


def test_who_deals_badly_is_named_by_all_those_outside_the_group_too() -> None:
    # VN-15.5
    async def scenario() -> None:
        drivers = {name: make_driver(name) for name in NAMES}
        drivers["p2"] = make_driver("p2", kind=DealsBadly)
        ends = await found(drivers)
        assert [end.error.named for end in ends.values() if end.error] == [("p2",)] * 5
        assert all(not end.kept for end in ends.values())
        for end in ends.values():
            assert end.error is not None
            assert end.error.spoilt is not None
            verdict = judge_spoilt(CHARTER.terms, end.error.spoilt)
            assert verdict is not None
            assert verdict.culprits == ("p2",)

    play_out(scenario())


def test_who_does_not_sign_the_treaty_is_named_and_its_shares_are_kept_by_the_others() -> None:
    # VN-3.1
    async def scenario() -> None:
        drivers = {name: make_driver(name, patience_ms=6_000) for name in NAMES}
        drivers["p1"] = make_driver("p1", kind=SignsAnother, patience_ms=6_000)
        ends = await found(drivers)
        assert list_named({name: ends[name] for name in NAMES[1:]}) == {("p1",)}
        assert all(ends[name].treaty is None for name in NAMES[1:])
        assert all(len(end.kept) == 1 for end in ends.values())

    play_out(scenario())


@pytest.mark.parametrize(
    ("name", "role"), [("op1", Role.OPERATOR), ("p9", Role.PARTY), ("coordinator", Role.COORDINATOR)]
)
def test_nobody_but_a_party_of_the_charter_is_served(name: str, role: Role) -> None:
    # VN-13.1
    async def scenario() -> None:
        driver = make_driver("p1")
        own = credential_of("p1")
        bound = await serve_founding(driver, "127.0.0.1:0", credential=own, max_message_bytes=4096)
        client = FoundingClient.connect(
            bound.address, party_id="p1", credential=credential_of(name, role), rng=SeededRng(b"x")
        )
        with pytest.raises(WrongIdentityError):
            await client.get_founding()
        with pytest.raises(WrongIdentityError):
            await client.get_transcript(0)
        await client.close()
        await bound.stop(0.1)

    play_out(scenario())


class SaysNonsense(FoundingDriver):
    """Answers with what no founding can say."""

    nonsense = FoundingStatus(position=Position(charter=b"short", attempt=1))

    def get_status(self, caller: Identity | None) -> FoundingStatus:
        del caller
        return self.nonsense

    def get_transcript(self, group: int) -> tuple[bytes, ...]:
        return (b"statement",) * (MAX_TRANSCRIPT + 1 + group)


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(FoundingStatus(position=Position(charter=b"short", attempt=1)), id="no digest"),
        pytest.param(
            FoundingStatus(position=Position(charter=bytes(32), attempt=1), treaty=b"t"), id="no treaty"
        ),
        pytest.param(
            FoundingStatus(position=Position(charter=bytes(32), attempt=1), signature=bytes(129)),
            id="no signature",
        ),
    ],
)
def test_an_answer_that_no_founding_gives_is_refused(nonsense: FoundingStatus) -> None:
    async def scenario() -> None:
        driver = make_driver("p1", kind=SaysNonsense)
        assert isinstance(driver, SaysNonsense)
        driver.nonsense = nonsense
        own = credential_of("p1")
        bound = await serve_founding(driver, "127.0.0.1:0", credential=own, max_message_bytes=4096)
        client = FoundingClient.connect(
            bound.address, party_id="p1", credential=credential_of("p2"), rng=SeededRng(b"x")
        )
        with pytest.raises(EncodingError):
            await client.get_founding()
        with pytest.raises(EncodingError):
            await client.get_transcript(0)
        await client.close()
        await bound.stop(0.1)

    play_out(scenario())


def test_a_statement_larger_than_any_of_the_ceremonies_is_refused() -> None:
    # VN-13.3
    async def scenario() -> None:
        own = credential_of("p1")
        bound = await serve_founding(make_driver("p1"), "127.0.0.1:0", credential=own, max_message_bytes=4096)
        client = FoundingClient.connect(
            bound.address, party_id="p1", credential=credential_of("p2"), rng=SeededRng(b"x")
        )
        with pytest.raises(EncodingError, match="at most"):
            await client.deliver_ceremony_message(bytes(5000))
        await client.close()
        await bound.stop(0.1)

    play_out(scenario())


def test_a_ceremony_that_is_not_held_has_no_transcript() -> None:
    driver = make_driver("p1")
    for group in (0, 1, 99):
        with pytest.raises(UnexpectedEventError):
            driver.get_transcript(group)


def test_a_key_that_the_charter_does_not_name_founds_nothing() -> None:
    with pytest.raises(UnknownPartyError):
        FoundingDriver(
            CHARTER.terms,
            "p1",
            CHARTER.keys["p2"],
            attempt=1,
            deadline_ms=0,
            rng=SeededRng(b"x"),
            clock=read_real_time,
        )
