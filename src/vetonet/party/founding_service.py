"""FoundingService: what a party shows the others while a council founds its treaty, and how it asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import grpc.aio

from vetonet.errors import EncodingError
from vetonet.party.calls import Caller, CallPolicy, Sleep
from vetonet.party.ceremony import (
    CEREMONY_POLICY,
    RPC_TIMEOUT_S,
    CeremonyPeer,
    CeremonyServicer,
    require_participant,
)
from vetonet.party.peer import CeremonyDesk, require_own_certificate
from vetonet.policy.ceremony import MAX_CEREMONY_BYTES
from vetonet.policy.founding import MAX_TRANSCRIPT, Position
from vetonet.units import Rng
from vetonet.v1 import founding_pb2, founding_pb2_grpc, party_pb2, party_pb2_grpc
from vetonet.wire.boundary import Limits, read_caller
from vetonet.wire.channel import open_channel
from vetonet.wire.identity import Identity, Role
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

ASKING_POLICY: Final = CallPolicy(deadline_s=5.0, attempts=1)
"""Whoever does not answer is asked again, by the founding itself."""

MAX_SIGNATURE_BYTES: Final = 128
_DIGEST_BYTES: Final = 32
_FIELD_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundingStatus:
    """What a party says of its founding.

    Attributes:
        position: the charter and attempt that it takes part in.
        treaty: the digest of the treaty that it derived, empty before.
        signature: its entry of the treaty's COSE_Sign, empty before.
    """

    position: Position
    treaty: bytes = b""
    signature: bytes = field(default=b"", repr=False)


class FoundingDesk(CeremonyDesk, Protocol):
    """What the server needs of a party's founding."""

    @property
    def party_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def roster(self) -> frozenset[str]:
        """Who may call."""
        ...

    def get_status(self, caller: Identity | None) -> FoundingStatus:
        """Return what the party is about to found."""
        ...

    def get_transcript(self, group: int) -> tuple[bytes, ...]:
        """Return what was signed in a group's ceremony.

        Raises:
            UnexpectedEventError: it is not held here, or has not ended.
        """
        ...


class FoundingPeer(CeremonyPeer, Protocol):
    """Another party's founding."""

    async def get_founding(self) -> FoundingStatus:
        """Return what the peer is about to found.

        Raises:
            VetonetError: it cannot be reached, or its answer is malformed.
        """
        ...

    async def get_transcript(self, group: int) -> tuple[bytes, ...]:
        """Return what the peer says was signed in a group's ceremony; untrusted.

        Raises:
            VetonetError: it cannot be reached, or has nothing to show yet.
        """
        ...


class FoundingClient:
    """A peer over gRPC."""

    __slots__ = ("_asking", "_channel", "_delivering", "_founding", "_party")

    def __init__(self, channel: grpc.aio.Channel, *, rng: Rng, sleep: Sleep = asyncio.sleep) -> None:
        """Speak to a party over this channel; the client owns it from now on."""
        self._channel = channel
        self._asking = Caller(ASKING_POLICY, rng=rng, sleep=sleep)
        self._delivering = Caller(CEREMONY_POLICY, rng=rng, sleep=sleep)
        self._founding: founding_pb2_grpc.FoundingServiceAsyncStub = founding_pb2_grpc.FoundingServiceStub(
            channel
        )
        self._party: party_pb2_grpc.PartyServiceAsyncStub = party_pb2_grpc.PartyServiceStub(channel)

    @classmethod
    def connect(cls, address: str, *, party_id: str, credential: Credential | None, rng: Rng) -> Self:
        """Return a client of a party's founding; nobody else's certificate is taken for it.

        Raises:
            ConfigError: plaintext to another machine.
        """
        server = None
        if credential is not None:
            domain = credential.identity.trust_domain
            server = Identity(trust_domain=domain, role=Role.PARTY, name=party_id)
        return cls(open_channel(address, credential=credential, server=server), rng=rng)

    async def close(self) -> None:
        """The channel is closed."""
        await self._channel.close()

    async def deliver_ceremony_message(self, data: bytes) -> None:
        """The peer has this signed statement of a key ceremony.

        Raises:
            VetonetError: it refuses it.
        """
        request = party_pb2.DeliverCeremonyMessageRequest(statement=data)
        await self._delivering.call(self._party.DeliverCeremonyMessage, request)

    async def get_founding(self) -> FoundingStatus:
        """Return what the peer is about to found.

        Raises:
            VetonetError: it cannot be reached, or its answer is malformed.
        """
        answer = await self._asking.call(self._founding.GetFounding, founding_pb2.GetFoundingRequest())
        is_digest = len(answer.charter) == _DIGEST_BYTES and len(answer.treaty) in {0, _DIGEST_BYTES}
        if not is_digest or len(answer.signature) > MAX_SIGNATURE_BYTES:
            raise EncodingError("expected digests and a signature in the status of a founding")
        return FoundingStatus(
            position=Position(charter=answer.charter, attempt=answer.attempt),
            treaty=answer.treaty,
            signature=answer.signature,
        )

    async def get_transcript(self, group: int) -> tuple[bytes, ...]:
        """Return what the peer says was signed in a group's ceremony; untrusted.

        Raises:
            VetonetError: it cannot be reached, has nothing to show yet, or shows too much.
        """
        request = founding_pb2.GetTranscriptRequest(group=group)
        statements = (await self._asking.call(self._founding.GetTranscript, request)).statements
        if len(statements) > MAX_TRANSCRIPT or any(len(data) > MAX_CEREMONY_BYTES for data in statements):
            raise EncodingError("a transcript larger than that of any ceremony")
        return tuple(statements)


class FoundingServicer(founding_pb2_grpc.FoundingServiceServicer):
    """Serves a founding to the parties of its charter, and to nobody else."""

    def __init__(self, desk: FoundingDesk, *, trust_domain: str | None) -> None:
        """Serve this founding; ``trust_domain`` is None on a server without certificates."""
        self._desk = desk
        self._trust_domain = trust_domain

    async def GetFounding(  # noqa: N802 - the name is the proto's
        self, request: founding_pb2.GetFoundingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> founding_pb2.FoundingStatus:
        """Return what the party is about to found."""
        del request
        status = self._desk.get_status(self._require_party(context))
        return founding_pb2.FoundingStatus(
            charter=status.position.charter,
            attempt=status.position.attempt,
            treaty=status.treaty,
            signature=status.signature,
        )

    async def GetTranscript(  # noqa: N802 - the name is the proto's
        self, request: founding_pb2.GetTranscriptRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> founding_pb2.Transcript:
        """Return what was signed in a ceremony."""
        self._require_party(context)
        return founding_pb2.Transcript(statements=self._desk.get_transcript(request.group))

    def _require_party(self, context: grpc.aio.ServicerContext[Any, Any]) -> Identity | None:
        return require_participant(read_caller(context, trust_domain=self._trust_domain), self._desk.roster)


async def serve_founding(
    desk: FoundingDesk, address: str, *, credential: Credential | None, max_message_bytes: int
) -> BoundServer:
    """Return a running server of a party's founding; ``stop`` it when done.

    Args:
        desk: the founding.
        address: ``host:port``; port 0 for one that is free.
        credential: the party's, or None for plaintext, which only a loopback address may have.
        max_message_bytes: the largest statement of its ceremonies.

    Raises:
        ConfigError: the address cannot be listened on.
        WrongIdentityError: the certificate is another participant's.
    """
    require_own_certificate(credential, desk.party_id)
    limits = Limits(max_request_bytes=max_message_bytes + _FIELD_BYTES, rpc_timeout_s=RPC_TIMEOUT_S)
    bound = BoundServer.bind(address, credential=credential, limits=limits)
    ceremonies = CeremonyServicer(desk, desk.roster, trust_domain=bound.trust_domain)
    party_pb2_grpc.add_PartyServiceServicer_to_server(ceremonies, bound.server)
    founding = FoundingServicer(desk, trust_domain=bound.trust_domain)
    founding_pb2_grpc.add_FoundingServiceServicer_to_server(founding, bound.server)
    services = (party_pb2.DESCRIPTOR.services_by_name, founding_pb2.DESCRIPTOR.services_by_name)
    await bound.start(service.full_name for named in services for service in named.values())
    return bound


def connect_founders(
    addresses: Mapping[str, str], *, credential: Credential | None, rng: Rng
) -> dict[str, FoundingClient]:
    """Return a client for each peer, by party id.

    Args:
        addresses: ``host:port`` by party id, without the caller's own.
        credential: the caller's.
        rng: for pauses.

    Raises:
        ConfigError: plaintext to another machine.
    """
    return {
        party_id: FoundingClient.connect(address, party_id=party_id, credential=credential, rng=rng)
        for party_id, address in addresses.items()
    }
