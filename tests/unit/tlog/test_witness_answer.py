"""The statuses of a witness: one table, with a row or a class above it for every error it can meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import vetonet.storage
from vetonet.errors import (
    EncodingError,
    InvalidSignatureError,
    ProofError,
    StorageError,
    VerificationError,
    VetonetError,
)
from vetonet.tlog.witness import (
    SplitViewError,
    StaleCheckpointError,
    UnknownLogError,
    UnprovenCheckpointError,
)
from vetonet.tlog.witness_answer import STATUSES, answer_granted, answer_refused, find_status, name_log

OF_A_WITNESS = {
    EncodingError: 400,
    InvalidSignatureError: 403,
    UnknownLogError: 404,
    StaleCheckpointError: 409,
    SplitViewError: 409,
    ProofError: 422,
    UnprovenCheckpointError: 422,
    StorageError: 503,
    vetonet.storage.FullJournalError: 503,
    vetonet.storage.PoisonedJournalError: 503,
    vetonet.storage.LockedJournalError: 503,
    vetonet.storage.CorruptJournalError: 503,
}
"""Everything that ``Witness.add_checkpoint`` says it raises, and what is below that."""


def walk(kind: type[VetonetError]) -> Iterator[type[VetonetError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from walk(below)


@pytest.mark.parametrize(("kind", "status"), OF_A_WITNESS.items())
def test_every_refusal_of_a_witness_has_the_status_of_the_protocol(
    kind: type[VetonetError], status: int
) -> None:
    assert find_status(kind) == status


def test_every_error_of_the_tree_has_a_status_and_no_row_is_for_nobody() -> None:
    kinds = set(walk(VetonetError))
    assert all(find_status(kind) in range(400, 600) for kind in kinds)
    assert set(STATUSES) <= kinds


def test_what_a_witness_never_meets_is_its_own_failure() -> None:
    assert find_status(VerificationError) == 500


def test_a_stale_size_is_told_as_the_protocol_wants_it() -> None:
    answer = answer_refused(StaleCheckpointError("x", known_size=7))
    assert (answer.status, answer.body, answer.media_type) == (409, b"7\n", "text/x.tlog.size")


def test_a_second_root_is_told_in_words() -> None:
    answer = answer_refused(SplitViewError("two roots", culprit="log"))
    assert (answer.status, answer.body, answer.media_type) == (
        409,
        b"two roots\n",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize("message", ["a\nb", "a\r\n\r\nb", "  a \t b  ", "a\x0bb"])
def test_a_refusal_is_one_line(message: str) -> None:
    assert answer_refused(EncodingError(message)).body == b"a b\n"


def test_a_long_refusal_is_cut_and_half_a_character_does_no_harm() -> None:
    assert len(answer_refused(EncodingError("x" * 10_000)).body) == 513
    assert answer_refused(EncodingError("\ud800")).body == b"?\n"


def test_a_grant_is_its_lines() -> None:
    assert answer_granted(b"lines\n").status == 200
    assert answer_granted(b"lines\n").body == b"lines\n"


def test_a_log_is_named_by_the_hash_of_its_origin() -> None:
    assert name_log("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
