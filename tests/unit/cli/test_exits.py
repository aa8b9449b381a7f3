from __future__ import annotations

import pytest

from vetonet.cli.exits import MEANINGS, Exit, compute_exit, to_failure, to_one_line
from vetonet.errors import (
    ConfigError,
    EncodingError,
    ExpiredError,
    InvalidSignatureError,
    ProofError,
    RefusedError,
    StorageError,
    VetonetError,
)
from vetonet.party.toml_lines import TomlMistakes
from vetonet.storage import CorruptJournalError, LockedJournalError
from vetonet.wire.errors import NotFoundError, WrongIdentityError
from vetonet.wire.status import RpcError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError("x"), Exit.USAGE),
        (StorageError("x"), Exit.USAGE),
        (LockedJournalError("x"), Exit.USAGE),
        (NotFoundError("x"), Exit.USAGE),
        (WrongIdentityError("x"), Exit.USAGE),
        (CorruptJournalError("x"), Exit.INVALID),
        (EncodingError("x"), Exit.INVALID),
        (ProofError("x"), Exit.INVALID),
        (InvalidSignatureError("x"), Exit.INVALID),
        (RefusedError("x"), Exit.NEGATIVE),
        (ExpiredError("x"), Exit.NEGATIVE),
        (RpcError("x"), Exit.INCONCLUSIVE),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: VetonetError, expected: Exit) -> None:
    assert compute_exit(error) is expected


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_an_unknown_error_does_not_end_well() -> None:
    assert compute_exit(VetonetError("x")) is Exit.USAGE


def test_a_failure_keeps_reason_culprit_and_says_what_to_do_next() -> None:
    failure = to_failure(LockedJournalError("in use"))
    assert failure.message.startswith("in use; ")
    assert "--data" in failure.message
    named = to_failure(RefusedError("no", culprit="P1"))
    assert named.to_plain() == {"error": {"reason": "refused", "message": "no", "culprit": "P1"}}


def test_culprits_of_a_signature_are_all_named() -> None:
    assert to_failure(InvalidSignatureError("bad", culprits=("2", "3"))).culprit == "2, 3"


def test_a_message_becomes_one_printable_line() -> None:
    assert to_one_line("a\n b\tc\x07") == "a b c?"


HANDSHAKE = "the server cannot be reached: last error: Tls handshake failed: CERTIFICATE_VERIFY_FAILED"


def test_a_certificate_that_is_not_accepted_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VETONET_DEBUG", raising=False)
    said = to_failure(RpcError(HANDSHAKE)).message
    assert said == ("this certificate is not accepted here: is --dir the directory of this server's treaty?")
    monkeypatch.setenv("VETONET_DEBUG", "1")
    assert to_failure(RpcError(HANDSHAKE)).message.endswith("CERTIFICATE_VERIFY_FAILED)")


def test_a_server_that_is_away_is_told_without_the_words_of_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VETONET_DEBUG", raising=False)
    said = to_failure(RpcError("the server cannot be reached: ipv4:127.0.0.1:1: refused")).message
    assert said.startswith("the server cannot be reached; see that")
    assert "ipv4" not in said


def test_several_mistakes_of_a_file_stay_apart_on_one_line() -> None:
    mistakes = TomlMistakes("a = 1\nb = 2\n", "rules.toml")
    mistakes.add(("b",), "expected 3, got 2")
    mistakes.add(("a",), "expected 2, got 1")
    with pytest.raises(ConfigError) as caught:
        mistakes.refuse()
    assert (
        to_failure(caught.value).message == "rules.toml:1: expected 2, got 1; rules.toml:2: expected 3, got 2"
    )
