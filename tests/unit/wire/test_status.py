"""The one table from errors to statuses: complete, and the same there and back."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Iterator

import grpc
import grpc.aio
import pytest
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

import vetonet
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    StorageError,
    VerificationError,
    VetonetError,
)
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.status import (
    TABLE,
    RpcError,
    from_status,
    to_error,
    to_status,
)


def list_error_classes() -> list[type[VetonetError]]:
    """Return every error of the tree, wherever it is defined."""
    for module in pkgutil.walk_packages(vetonet.__path__, "vetonet."):
        if ".v1" not in module.name and ".cli" not in module.name:
            importlib.import_module(module.name)

    def walk(kind: type[VetonetError]) -> Iterator[type[VetonetError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from walk(below)

    return [kind for kind in walk(VetonetError) if kind.__module__.startswith("vetonet.")]


def test_the_table_has_a_row_for_every_error_of_the_tree() -> None:
    missing = {kind.__name__ for kind in list_error_classes() if kind.reason not in TABLE}
    assert not missing, f"wire.status.TABLE lacks {sorted(missing)}"


def find_owner(kind: type[VetonetError]) -> type:
    """The class that states the reason, which those below it inherit."""
    return next(above for above in kind.__mro__ if "reason" in vars(above))


def test_a_reason_is_shared_only_with_the_class_that_states_it() -> None:
    classes = list_error_classes()
    for one, other in itertools.combinations(classes, 2):
        if one.reason == other.reason:
            assert find_owner(one) is find_owner(other), (one, other)


def test_what_a_client_raises_is_the_error_or_one_above_it() -> None:
    for kind in list_error_classes():
        assert issubclass(kind, TABLE[kind.reason].kind), kind


def test_no_row_is_for_nobody() -> None:
    assert set(TABLE) == {kind.reason for kind in list_error_classes()}


def fail(status: Status) -> grpc.aio.AioRpcError:
    """Return the error that a client gets for this status."""
    sent = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        code=sent.code,
        initial_metadata=grpc.aio.Metadata(),
        trailing_metadata=grpc.aio.Metadata(*sent.trailing_metadata),
        details=sent.details,
    )


@pytest.mark.parametrize("reason", sorted(TABLE))
def test_every_reason_comes_back(reason: str) -> None:
    error = TABLE[reason].kind("what happened")
    error.reason = reason
    back = to_error(fail(to_status(error)))
    assert (type(back), back.reason, str(back)) == (TABLE[reason].kind, reason, "what happened")


def test_culprit_and_clause_come_back() -> None:
    error = EquivocationError("two ballots", culprit="p1", clause="VN-6.4")
    back = to_error(fail(to_status(error)))
    assert isinstance(back, EquivocationError)
    assert (back.culprit, back.clause) == ("p1", "VN-6.4")


def test_every_culprit_of_a_bad_signature_comes_back() -> None:
    back = to_error(fail(to_status(InvalidSignatureError("bad shares", culprits=("2", "5")))))
    assert isinstance(back, InvalidSignatureError)
    assert back.culprits == ("2", "5")


def test_an_error_without_names_comes_back_without() -> None:
    back = to_error(fail(to_status(InvalidSignatureError("bad"))))
    assert isinstance(back, InvalidSignatureError)
    assert back.culprits == ()
    assert not isinstance(to_error(fail(to_status(WrongIdentityError("x")))), VerificationError)


def test_a_message_is_cut_where_it_gets_long() -> None:
    assert len(to_status(EncodingError("x" * 10_000)).message) == 512


def test_a_reason_of_a_later_version_is_an_error_of_the_root() -> None:
    newer = VetonetError("something new")
    status = to_status(newer)
    status.details[0].value = status.details[0].value.replace(b"error", b"terror"[:5])
    back = from_status(status)
    assert type(back) is VetonetError
    assert back.reason == "terro"


def test_an_error_without_a_row_is_internal() -> None:
    error = StorageError("x")
    error.reason = "unheard-of"
    assert to_status(error).code == grpc.StatusCode.INTERNAL.value[0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (grpc.StatusCode.UNAVAILABLE, "cannot be reached"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "in time"),
        (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED"),
    ],
)
def test_a_failure_of_the_transport_is_told_in_one_line(code: grpc.StatusCode, said: str) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="a\nb")
    back = to_error(error)
    assert isinstance(back, RpcError)
    assert (back.code, back.is_retryable) == (code, code is not grpc.StatusCode.UNIMPLEMENTED)
    assert said in str(back)
    assert "\n" not in str(back)


def test_details_that_contradict_the_code_are_not_believed() -> None:
    honest = fail(to_status(EncodingError("x")))
    forged = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), honest.trailing_metadata(), details="x"
    )
    assert isinstance(to_error(forged), RpcError)


def test_details_of_somebody_else_are_not_ours() -> None:
    assert from_status(Status(code=5, message="x")) is None
    assert isinstance(to_error(fail(Status(code=5, message="x"))), RpcError)
    foreign = to_status(EncodingError("x"))
    foreign.details[0].value = foreign.details[0].value.replace(b"vetonet", b"another")
    assert from_status(foreign) is None


def test_another_kind_of_failed_call_is_an_rpc_error() -> None:
    assert isinstance(to_error(grpc.RpcError()), RpcError)
