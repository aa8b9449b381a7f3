"""Party to party: ballots handed over directly, and what each daemon says it was shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, Protocol, Self

import grpc.aio

from vetonet.errors import EncodingError, UnexpectedEventError
from vetonet.party.calls import Caller, CallPolicy, Sleep
from vetonet.party.orders import Orders, carry_consent, carry_vote
from vetonet.party.status import PartyStatus, read_status, status_message
from vetonet.policy.treaty import Treaty
from vetonet.units import Rng
from vetonet.v1 import party_pb2, party_pb2_grpc
from vetonet.wire.boundary import Limits, read_caller
from vetonet.wire.channel import open_channel
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Identity, Role
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

PEER_POLICY: Final = CallPolicy(deadline_s=2.0, attempts=1)
"""Peers may be away: nobody waits long for one, and what could not be delivered is delivered later."""

SERVER_LIMITS: Final = Limits(max_request_bytes=20 * 1024, rpc_timeout_s=5.0)
"""A ballot has at most 16 KiB."""

ORDER_LIMITS: Final = Limits(max_request_bytes=20 * 1024, rpc_timeout_s=30.0)
"""An order ends when the log holds what was said, which takes the coordinator and its witnesses."""


class Peer(Protocol):
    """Another party's daemon."""

    async def deliver_ballot(self, data: bytes) -> None:
        """The peer has this signed ballot.

        Raises:
            VetonetError: it refuses it, or cannot be reached.
        """
        ...

    async def get_status(self) -> PartyStatus:
        """Return what the peer says it knows.

        Raises:
            VetonetError: it cannot be reached.
        """
        ...


class Desk(Protocol):
    """What a party's server needs of its daemon."""

    @property
    def party_id(self) -> str:
        """Whose daemon it is."""
        ...

    def receive_ballot(self, data: bytes) -> None:
        """A ballot that another party handed over is verified and kept.

        Raises:
            VetonetError: it is not accepted.
        """
        ...

    def get_status(self) -> PartyStatus:
        """Return what the daemon knows."""
        ...


class PeerClient:
    """A peer over gRPC."""

    __slots__ = ("_caller", "_channel", "_party_id", "_stub")

    def __init__(self, channel: grpc.aio.Channel, party_id: str, caller: Caller) -> None:
        """Speak to this party over this channel; the client owns it from now on."""
        self._channel = channel
        self._party_id = party_id
        self._caller = caller
        self._stub: party_pb2_grpc.PartyServiceAsyncStub = party_pb2_grpc.PartyServiceStub(channel)

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        party_id: str,
        credential: Credential | None,
        rng: Rng,
        policy: CallPolicy = PEER_POLICY,
        sleep: Sleep = asyncio.sleep,
    ) -> Self:
        """Return a client of a party's daemon; nobody else's certificate is taken for it.

        Raises:
            ConfigError: plaintext to another machine.
        """
        server = None
        if credential is not None:
            domain = credential.identity.trust_domain
            server = Identity(trust_domain=domain, role=Role.PARTY, name=party_id)
        channel = open_channel(address, credential=credential, server=server)
        return cls(channel, party_id, Caller(policy, rng=rng, sleep=sleep))

    async def close(self) -> None:
        """The channel is closed."""
        await self._channel.close()

    async def deliver_ballot(self, data: bytes) -> None:
        """The peer has this signed ballot.

        Raises:
            VetonetError: it refuses it, or cannot be reached.
        """
        await self._caller.call(self._stub.DeliverBallot, party_pb2.DeliverBallotRequest(statement=data))

    async def deliver_ceremony_message(self, data: bytes) -> None:
        """The peer has this signed statement of a key ceremony.

        Raises:
            VetonetError: it refuses it, or cannot be reached.
        """
        request = party_pb2.DeliverCeremonyMessageRequest(statement=data)
        await self._caller.call(self._stub.DeliverCeremonyMessage, request)

    async def get_status(self) -> PartyStatus:
        """Return what the peer says it knows.

        Raises:
            EncodingError: it speaks for another party, or is malformed.
            VetonetError: it cannot be reached.
        """
        answer = await self._caller.call(self._stub.GetStatus, party_pb2.GetStatusRequest())
        status = read_status(answer)
        if status.party_id != self._party_id:
            msg = f"asked {self._party_id} for its status, got that of {status.party_id[:64]!r}"
            raise EncodingError(msg)
        return status


class CeremonyDesk(Protocol):
    """Whoever takes what participants of a ceremony deliver (``vetonet.party.ceremony_hall``)."""

    def receive(self, data: bytes, caller: Identity | None) -> None:
        """A statement is taken.

        Raises:
            VetonetError: it is none of a ceremony that is held here, or not the caller's.
        """
        ...


class PartyServicer(party_pb2_grpc.PartyServiceServicer):
    """Serves a daemon to the parties of the roster, and to nobody else."""

    def __init__(
        self,
        desk: Desk,
        treaty: Treaty,
        *,
        trust_domain: str | None,
        orders: Orders | None = None,
        hall: CeremonyDesk | None = None,
        list_callers: Callable[[], Container[str]] | None = None,
    ) -> None:
        """Serve this daemon.

        Args:
            desk: the daemon.
            treaty: whose roster may call, where ``list_callers`` does not say who.
            trust_domain: None on a server without certificates, which tells nobody who calls.
            orders: what takes the party's own orders, or None where nothing does.
            hall: what takes statements of ceremonies, or None where none is ever held.
            list_callers: returns who may call now; the party itself always may.
        """
        self._desk, self._orders, self._hall = desk, orders, hall
        founding = frozenset(party.party_id for party in treaty.parties)
        self._list_callers = list_callers or (lambda: founding)
        self._trust_domain = trust_domain

    async def DeliverBallot(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.DeliverBallotRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.DeliverBallotResponse:
        """The ballot is verified and kept."""
        self._require_party(context)
        self._desk.receive_ballot(request.statement)
        return party_pb2.DeliverBallotResponse()

    async def GetStatus(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.GetStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.PartyStatus:
        """Return what the daemon knows: to the party itself all, to others what the log shows (VN-13.4)."""
        del request
        caller, status = self._require_party(context), self._desk.get_status()
        is_own = caller is not None and caller.name == self._desk.party_id
        return status_message(status if is_own else status.for_others())

    async def CastVote(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.CastVoteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.CastVoteResponse:
        """The party's word is said, where the party itself asks for it."""
        return await carry_vote(self._require_own(context), request)

    async def StateConsent(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.StateConsentRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.StateConsentResponse:
        """The party's consent is stated, where the party itself asks for it."""
        return await carry_consent(self._require_own(context), request)

    async def DeliverCeremonyMessage(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.DeliverCeremonyMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.DeliverCeremonyMessageResponse:
        """The statement is verified and kept; whose it may be, the ceremony's plan says, not the treaty."""
        if self._hall is None:
            self._require_party(context)
            raise UnexpectedEventError("no key ceremony is held here")
        self._hall.receive(request.statement, read_caller(context, trust_domain=self._trust_domain))
        return party_pb2.DeliverCeremonyMessageResponse()

    def _require_own(self, context: grpc.aio.ServicerContext[Any, Any]) -> Orders:
        """Return what takes orders, for nobody but the holder of the party's own certificate."""
        caller = self._require_party(context)
        if caller is None or caller.name != self._desk.party_id:
            named = "somebody without a certificate" if caller is None else caller.name
            msg = f"only {self._desk.party_id} itself orders its daemon, not {named}"
            raise WrongIdentityError(msg, culprit=None if caller is None else caller.name, clause="VN-13.4")
        if self._orders is None:
            raise UnexpectedEventError("this daemon takes no orders")
        return self._orders

    def _require_party(self, context: grpc.aio.ServicerContext[Any, Any]) -> Identity | None:
        caller = read_caller(context, trust_domain=self._trust_domain)
        if caller is None:
            return None
        is_known = caller.name == self._desk.party_id or caller.name in self._list_callers()
        if caller.role is not Role.PARTY or not is_known:
            msg = f"expected a party of the roster, got {caller.role} {caller.name!r}"
            raise WrongIdentityError(msg, culprit=caller.name, clause="VN-13.1")
        return caller


async def serve_party(
    desk: Desk,
    treaty: Treaty,
    address: str,
    *,
    credential: Credential | None,
    limits: Limits = SERVER_LIMITS,
    orders: Orders | None = None,
    hall: CeremonyDesk | None = None,
    list_callers: Callable[[], Container[str]] | None = None,
) -> BoundServer:
    """Return a running server of this daemon; ``stop`` it when done.

    Args:
        desk: the daemon.
        treaty: whose roster may call, where ``list_callers`` does not say who.
        address: ``host:port``; port 0 for one that is free.
        credential: the party's, or None for plaintext, which only a loopback address may have.
        limits: what a call is granted; statements of a ceremony may need more than those of a vote.
        orders: what takes the party's own orders, or None where nothing does.
        hall: what takes statements of ceremonies, or None where none is ever held.
        list_callers: returns who may call now; the party itself always may.

    Raises:
        ConfigError: the address cannot be listened on.
        WrongIdentityError: the certificate is another participant's.
    """
    require_own_certificate(credential, desk.party_id)
    bound = BoundServer.bind(address, credential=credential, limits=limits)
    domain = bound.trust_domain
    servicer = PartyServicer(
        desk, treaty, trust_domain=domain, orders=orders, hall=hall, list_callers=list_callers
    )
    party_pb2_grpc.add_PartyServiceServicer_to_server(servicer, bound.server)
    await bound.start((party_pb2.DESCRIPTOR.services_by_name["PartyService"].full_name,))
    return bound


def require_own_certificate(credential: Credential | None, party_id: str) -> None:
    """The certificate, where there is one, is that of this party.

    Raises:
        WrongIdentityError: it is another participant's.
    """
    if credential is not None and (credential.identity.role, credential.identity.name) != (
        Role.PARTY,
        party_id,
    ):
        msg = f"the certificate is that of {credential.identity.to_uri()}, not of party {party_id}"
        raise WrongIdentityError(msg)


def connect_peers(
    addresses: Mapping[str, str],
    *,
    credential: Credential | None,
    rng: Rng,
    policy: CallPolicy = PEER_POLICY,
) -> dict[str, PeerClient]:
    """Return a client for each peer, by party id.

    Args:
        addresses: ``host:port`` by party id, without the caller's own.
        credential: the caller's.
        rng: for request ids and pauses.
        policy: how patient the caller is.

    Raises:
        ConfigError: plaintext to another machine.
    """
    return {
        party_id: PeerClient.connect(
            address, party_id=party_id, credential=credential, rng=rng, policy=policy
        )
        for party_id, address in addresses.items()
    }
