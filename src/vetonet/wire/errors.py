"""What only happens between two machines: the errors of calls, callers and names."""

from __future__ import annotations

from vetonet.errors import ProtocolError, VetonetError


class WrongIdentityError(ProtocolError):
    """The caller's certificate is not the one that this call needs."""

    reason = "wrong-identity"


class NotFoundError(ProtocolError):
    """The server knows nothing of this name."""

    reason = "not-found"


class OverloadedError(VetonetError):
    """The server has no room for one more of these at present; a retry may succeed."""

    reason = "overloaded"


class DeadlineError(VetonetError):
    """The call took longer than it may; whether it had an effect, a retry with the same request id tells."""

    reason = "deadline"


class HttpError(VetonetError):
    """An HTTP server gave no answer that can be used: it is away, too slow, or speaks something else."""

    reason = "http"
