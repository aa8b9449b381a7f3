"""Servers: mutual TLS on one address, bounded in everything, with health and reflection."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, Self

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from vetonet.errors import ConfigError
from vetonet.wire.boundary import Boundary, Limits
from vetonet.wire.channel import KEEPALIVE_OPTIONS, MAX_MESSAGE_BYTES, Options, require_loopback
from vetonet.wire.pki import Credential, server_credentials

MAX_CONCURRENT_RPCS: Final = 4_096
MAX_STREAMS_PER_CONNECTION: Final = 256
MAX_METADATA_BYTES: Final = 16 * 1024

_OPTIONS: Final[Options] = (
    *KEEPALIVE_OPTIONS,
    # Clients ping every 2 s; gRPC's default would take that for an attack and hang up.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    # Two servers on one port would each get some of the calls: the second has to fail.
    ("grpc.so_reuseport", 0),
)

_logger: Final = logging.getLogger(__name__)


class BoundServer:
    """A gRPC server that listens; services are added before ``start``.

    Attributes:
        server: where services are added.
        address: ``host:port``, with the port that the system chose where 0 was asked for.
        trust_domain: whose certificates it takes, or None for plaintext.
    """

    __slots__ = ("_health", "_names", "address", "server", "trust_domain")

    def __init__(self, *, server: grpc.aio.Server, address: str, trust_domain: str | None) -> None:
        """Take over a server that is bound; use ``bind`` instead."""
        self.server: Final = server
        self.address: Final = address
        self.trust_domain: Final = trust_domain
        self._health = health.aio.HealthServicer()
        self._names: tuple[str, ...] = ()

    @classmethod
    def bind(cls, address: str, *, credential: Credential | None, limits: Limits) -> Self:
        """The address is this server's, and nobody else's.

        Args:
            address: ``host:port``; port 0 for one that is free.
            credential: the server's, or None for plaintext, which only a loopback address may have.
            limits: what it grants a call.

        Raises:
            ConfigError: the address is in use, is not this machine's, or would be plaintext to others.
        """
        trust_domain = None if credential is None else credential.identity.trust_domain
        boundary = Boundary(limits, trust_domain=trust_domain)
        server = grpc.aio.server(
            interceptors=(boundary,), options=_OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS
        )
        port = _listen(server, address, credential)
        host = address.rpartition(":")[0]
        return cls(server=server, address=f"{host}:{port}", trust_domain=trust_domain)

    async def start(self, services: Iterable[str]) -> None:
        """Calls are taken, and health and reflection name these services."""
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        reflection.enable_server_reflection(names, self.server)
        self._names = ("", *names)
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self.server.start()

    async def suspend(self) -> None:
        """Health says of every service that it does not serve; calls are taken all the same."""
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """No call is taken any more; those under way had ``grace_s`` to end."""
        await self._health.enter_graceful_shutdown()
        await self.server.stop(grace_s)


def _listen(server: grpc.aio.Server, address: str, credential: Credential | None) -> int:
    try:
        if credential is not None:
            return server.add_secure_port(address, server_credentials(credential))
        require_loopback(address)
        _logger.warning(
            "%s: plaintext, without certificates: for trying things on this machine only", address
        )
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {address}: in use, or not an address of this machine") from error
