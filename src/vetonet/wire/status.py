"""Errors on the wire: one table from our tree to gRPC status codes, there and back (google.rpc.Status).

The reason code of an error is what travels; a client raises the class that the table names for it. What an
error says about contents stays on its own side: message, culprit and clause travel, problems do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from vetonet.errors import (
    AppraisalError,
    ComplianceError,
    ConfigError,
    EncodingError,
    EpochError,
    EquivocationError,
    ExpiredError,
    InvalidSignatureError,
    ProofError,
    ProtocolError,
    RefusedError,
    StorageError,
    UnexpectedEventError,
    UnknownPartyError,
    VerificationError,
    VetonetError,
    WitnessQuorumError,
)
from vetonet.wire.errors import DeadlineError, HttpError, NotFoundError, OverloadedError, WrongIdentityError

DOMAIN: Final = "vetonet"
MAX_MESSAGE_CHARS: Final = 512
MAX_CULPRITS: Final = 128
_SEPARATOR: Final = "\n"


class RpcError(VetonetError):
    """A call ended without an answer of ours: the server is away, too slow, or speaks something else.

    Attributes:
        code: the gRPC status code.
        is_retryable: whether the same request, with the same request id, may succeed later.
    """

    reason = "rpc"

    def __init__(self, message: str, *, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.code: Final = code
        self.is_retryable: Final = code in RETRYABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        code: what a server answers.
        kind: what a client raises: the error's own class, or the nearest above it that clients know.
    """

    code: grpc.StatusCode
    kind: type[VetonetError]


def _row(code: grpc.StatusCode, kind: type[VetonetError]) -> Row:
    return Row(code=code, kind=kind)


_CODE: Final = grpc.StatusCode
RETRYABLE: Final = frozenset(
    {_CODE.UNAVAILABLE, _CODE.DEADLINE_EXCEEDED, _CODE.RESOURCE_EXHAUSTED, _CODE.CANCELLED}
)

TABLE: Final[Mapping[str, Row]] = {
    "error": _row(_CODE.INTERNAL, VetonetError),
    "encoding": _row(_CODE.INVALID_ARGUMENT, EncodingError),
    "config": _row(_CODE.FAILED_PRECONDITION, ConfigError),
    "storage": _row(_CODE.UNAVAILABLE, StorageError),
    "journal-corrupt": _row(_CODE.DATA_LOSS, StorageError),
    "journal-locked": _row(_CODE.UNAVAILABLE, StorageError),
    "journal-full": _row(_CODE.RESOURCE_EXHAUSTED, StorageError),
    "journal-poisoned": _row(_CODE.UNAVAILABLE, StorageError),
    "tile-missing": _row(_CODE.NOT_FOUND, StorageError),
    "tile-corrupt": _row(_CODE.DATA_LOSS, StorageError),
    "protocol": _row(_CODE.FAILED_PRECONDITION, ProtocolError),
    "unknown-party": _row(_CODE.PERMISSION_DENIED, UnknownPartyError),
    "unexpected-event": _row(_CODE.FAILED_PRECONDITION, UnexpectedEventError),
    "equivocation": _row(_CODE.ALREADY_EXISTS, EquivocationError),
    "expired": _row(_CODE.FAILED_PRECONDITION, ExpiredError),
    "wrong-epoch": _row(_CODE.FAILED_PRECONDITION, EpochError),
    "refused": _row(_CODE.FAILED_PRECONDITION, RefusedError),
    "unknown-log": _row(_CODE.NOT_FOUND, RefusedError),
    "stale-checkpoint": _row(_CODE.FAILED_PRECONDITION, RefusedError),
    "split-view": _row(_CODE.ALREADY_EXISTS, EquivocationError),
    "founding-aborted": _row(_CODE.FAILED_PRECONDITION, ProtocolError),
    "request-conflict": _row(_CODE.ALREADY_EXISTS, ProtocolError),
    "wrong-identity": _row(_CODE.PERMISSION_DENIED, WrongIdentityError),
    "not-found": _row(_CODE.NOT_FOUND, NotFoundError),
    "verification": _row(_CODE.INVALID_ARGUMENT, VerificationError),
    "invalid-signature": _row(_CODE.INVALID_ARGUMENT, InvalidSignatureError),
    "witness-quorum": _row(_CODE.UNAVAILABLE, WitnessQuorumError),
    "proof": _row(_CODE.INVALID_ARGUMENT, ProofError),
    "unproven-checkpoint": _row(_CODE.INVALID_ARGUMENT, ProofError),
    "appraisal": _row(_CODE.INVALID_ARGUMENT, AppraisalError),
    "compliance": _row(_CODE.INVALID_ARGUMENT, ComplianceError),
    "overloaded": _row(_CODE.RESOURCE_EXHAUSTED, OverloadedError),
    "deadline": _row(_CODE.DEADLINE_EXCEEDED, DeadlineError),
    "rpc": _row(_CODE.UNAVAILABLE, RpcError),
    "http": _row(_CODE.UNAVAILABLE, HttpError),
}
"""Every reason code of the tree; a test walks the tree to prove that none is missing."""


def to_status(error: VetonetError) -> Status:
    """Return the status that says what this error says; reason, culprit and clause go into its ErrorInfo."""
    row = TABLE.get(error.reason, TABLE["error"])
    info = ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_list_metadata(error))
    detail = AnyMessage()
    detail.Pack(info)
    number: int = row.code.value[0]
    return Status(code=number, message=str(error)[:MAX_MESSAGE_CHARS], details=[detail])


def from_status(status: Status) -> VetonetError | None:
    """Return the error that a status carries, or None where it is none of ours."""
    info = ErrorInfo()
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            return _rebuild(info.reason, status.message, info.metadata)
    return None


def to_error(error: grpc.RpcError) -> VetonetError:
    """Return the error of our tree that a failed call amounts to."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return RpcError(f"the call failed ({type(error).__name__})")
    try:
        status = rpc_status.from_call(cast("grpc.Call", error))
    except ValueError:  # the details contradict the code: whoever wrote them is not our server
        status = None
    known = None if status is None else from_status(status)
    return known or RpcError(_describe(error), code=error.code())


def _list_metadata(error: VetonetError) -> dict[str, str]:
    if isinstance(error, ProtocolError):
        pairs = {"culprit": error.culprit, "clause": error.clause}
        return {key: value for key, value in pairs.items() if value is not None}
    if isinstance(error, InvalidSignatureError) and error.culprits:
        return {"culprits": _SEPARATOR.join(error.culprits[:MAX_CULPRITS])}
    return {}


def _rebuild(reason: str, message: str, metadata: Mapping[str, str]) -> VetonetError:
    kind = TABLE[reason].kind if reason in TABLE else VetonetError
    error: VetonetError
    if issubclass(kind, ProtocolError):
        error = kind(message, culprit=metadata.get("culprit"), clause=metadata.get("clause"))
    elif issubclass(kind, InvalidSignatureError):
        culprits = metadata.get("culprits", "")
        error = kind(message, culprits=tuple(culprits.split(_SEPARATOR)) if culprits else ())
    else:
        error = kind(message)
    error.reason = reason
    return error


def _describe(error: grpc.aio.AioRpcError) -> str:
    """Return one line for people; gRPC tells a refused certificate as UNAVAILABLE too."""
    said = (error.details() or "").splitlines()
    detail = said[0][:MAX_MESSAGE_CHARS] if said else "no details"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return f"the server cannot be reached, or refuses our certificate: {detail}"
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the server did not answer in time: {detail}"
    return f"the call failed with {error.code().name}: {detail}"
