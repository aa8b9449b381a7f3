"""Client channels that know whom they must reach, notice a silent partition and cap what they take."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, TypeAlias

import grpc.aio

from vetonet.errors import ConfigError
from vetonet.wire.pki import Credential, Identity, channel_credentials

Options: TypeAlias = tuple[tuple[str, Any], ...]

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""The largest message that anybody takes; servers take less of most requests."""

KEEPALIVE_OPTIONS: Final[Options] = (
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
"""Both sides ping, so that a partition that drops packets in silence ends a watch within 3 s."""

_CLIENT_OPTIONS: Final[Options] = (
    *KEEPALIVE_OPTIONS,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A channel to a server that restarts tries again at once and often: councils are small.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
)


def open_channel(address: str, *, credential: Credential | None, server: Identity | None) -> grpc.aio.Channel:
    """Return a channel to one participant's server; nobody else's certificate opens it.

    Args:
        address: ``host:port``.
        credential: the caller's, or None for plaintext, which only a loopback address may have.
        server: who must answer; None only for plaintext.

    Raises:
        ConfigError: plaintext to another machine, or a credential without a server's identity.
    """
    if credential is None:
        require_loopback(address)
        return grpc.aio.insecure_channel(address, options=_CLIENT_OPTIONS)
    if server is None:
        msg = f"expected the identity of the server at {address}"
        raise ConfigError(msg)
    options = (*_CLIENT_OPTIONS, ("grpc.ssl_target_name_override", server.server_name))
    return grpc.aio.secure_channel(address, channel_credentials(credential), options=options)


def require_loopback(address: str) -> None:
    """The address never leaves this machine, so plaintext may be spoken there.

    Raises:
        ConfigError: it may leave it.
    """
    host = address.rpartition(":")[0].strip("[]")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        msg = f"plaintext is for loopback addresses only, not for {address!r}: use certificates"
        raise ConfigError(msg)
