"""What a witness is asked: one spelling, and nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest

from support.histories import make_history
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProofError, VetonetError
from vetonet.tlog.add_checkpoint import (
    MAX_PROOF_LINES,
    MAX_REQUEST_BYTES,
    MAX_RESPONSE_BYTES,
    AddCheckpoint,
    parse_cosignatures,
)
from vetonet.tlog.cosignature import cosign
from vetonet.tlog.note import sign_note

LOG = make_history()
NOTE = LOG.sign(3).to_bytes()
HASH_LINE = b64encode(bytes(32)) + b"\n"
EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def sign_text(text: str) -> bytes:
    return sign_note(text, name=LOG.log.origin, signing_key=LOG.key).to_bytes()


@pytest.mark.parametrize(("old_size", "size"), [(0, 0), (0, 1), (0, 7), (3, 7), (7, 7), (4, 8), (1, 12)])
def test_a_request_reads_back_byte_for_byte(old_size: int, size: int) -> None:
    request = LOG.ask(old_size, size)
    assert AddCheckpoint.from_bytes(request.to_bytes()) == request
    assert request.to_bytes().startswith(f"old {old_size}\n".encode())


def test_a_request_is_its_lines_and_the_note() -> None:
    assert LOG.body(0, 3) == b"old 0\n\n" + NOTE
    proof = LOG.log.consistency_proof(2, 3).hashes
    assert LOG.body(2, 3) == b"old 2\n" + b"".join(b64encode(h) + b"\n" for h in proof) + b"\n" + NOTE


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n",
        b"old\n",
        b"old \n",
        b"old  0\n",
        b" old 0\n",
        b"old 0 \n",
        b"Old 0\n",
        b"new 0\n",
        b"0\n",
        b"old 00\n",
        b"old 01\n",
        b"old +1\n",
        b"old -1\n",
        b"old 1.0\n",
        b"old 0x1\n",
        b"old 1_0\n",
        b"old \xd9\xa1\n",
        b"old 0\r\n",
        b"old 99999999999999999999\n",
        b"old " + b"9" * 5000 + b"\n",
        b"old 4\n",
        b"old 0\nold 0\n",
        b"old 0\n ",
        b"old 0\nAAAA\n",
        b"old 0\n" + HASH_LINE.rstrip() + b" \n",
        b"old 0\n" + HASH_LINE.replace(b"=", b"") + b"",
        b"old 0\n" + HASH_LINE.replace(b"A=", b"B=") + b"",
        b"old 0\n" + HASH_LINE.replace(b"AA", b"-_", 1) + b"",
        b"old 0\n" + b64encode(bytes(31)) + b"\n",
        b"old 0\n" + b64encode(bytes(33)) + b"\n",
        b"old 0\n" + HASH_LINE * (MAX_PROOF_LINES + 1),
        b"old 0\n\xff\n",
    ],
)
def test_a_malformed_head_is_refused(head: bytes) -> None:
    with pytest.raises(EncodingError):
        AddCheckpoint.from_bytes(head + b"\n" + NOTE)


def test_the_longest_proof_is_read() -> None:
    request = AddCheckpoint.from_bytes(b"old 0\n" + HASH_LINE * MAX_PROOF_LINES + b"\n" + NOTE)
    assert len(request.proof) == MAX_PROOF_LINES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 0\n",
        b"old 0\n\n",
        b"old 0\n" + NOTE,
        b"old 0\n\n\n" + NOTE,
        b"old 0\n\n" + NOTE + b"\n",
        b"old 0\n\n" + NOTE[:-1],
        b"old 0\n\n" + NOTE.split(b"\n\n")[0] + b"\n",
        b"old 0\n\n" + NOTE.replace(b"\n3\n", b"\n03\n"),
        b"old 0\n\n" + NOTE.replace(b"\n", b"\r\n"),
        b"old 0\r\n\r\n" + NOTE,
        NOTE,
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(EncodingError):
        AddCheckpoint.from_bytes(body)


def test_an_oversize_body_is_refused_before_it_is_read() -> None:
    with pytest.raises(EncodingError, match=f"at most {MAX_REQUEST_BYTES}"):
        AddCheckpoint.from_bytes(b"\xff" * (MAX_REQUEST_BYTES + 1))


def test_a_tree_without_leaves_has_one_root_and_another_proves_nothing() -> None:
    good = sign_text(f"log\n0\n{EMPTY_ROOT}\n")
    assert AddCheckpoint.from_bytes(b"old 0\n\n" + good).signed.checkpoint.tree_size == 0
    bad = sign_text(f"log\n0\n{b64encode(bytes(32)).decode()}\n")
    with pytest.raises(ProofError, match="without leaves"):
        AddCheckpoint.from_bytes(b"old 0\n\n" + bad)
    extended = sign_text(f"log\n0\n{b64encode(bytes(32)).decode()}\nextension\n")
    with pytest.raises(ProofError, match="without leaves"):
        AddCheckpoint.from_bytes(b"old 0\n\n" + extended)


@pytest.mark.parametrize(
    "text",
    [
        "log\n0\nAAAA\n",
        "log\n0\nnot base64\n",
        "log\n00\n" + b64encode(bytes(32)).decode() + "\n",
        "log\n0\n",
        "log\n",
        "\n0\n" + b64encode(bytes(32)).decode() + "\n",
        "log\n0\n" + b64encode(bytes(32)).decode() + "\n\nmore\n",
    ],
)
def test_what_is_malformed_beside_the_empty_root_stays_malformed(text: str) -> None:
    with pytest.raises(EncodingError):
        AddCheckpoint.from_bytes(b"old 0\n\n" + sign_text(text))


def test_a_request_of_our_own_is_held_to_the_same_rules() -> None:
    with pytest.raises(EncodingError, match="old size of 0 to 3"):
        AddCheckpoint(old_size=4, signed=LOG.sign(3))
    with pytest.raises(EncodingError, match="old size"):
        AddCheckpoint(old_size=-1, signed=LOG.sign(3))
    with pytest.raises(EncodingError, match="proof lines"):
        AddCheckpoint(old_size=2, proof=(bytes(31),), signed=LOG.sign(3))
    with pytest.raises(EncodingError, match="proof lines"):
        AddCheckpoint(old_size=2, proof=(bytes(32),) * 64, signed=LOG.sign(3))


def test_the_lines_of_an_answer_are_read() -> None:
    key = generate_ed25519(SeededRng(b"witness"))
    checkpoint = LOG.sign(3).checkpoint
    lines = [
        cosign(checkpoint, name=f"witness/{n}", signing_key=key, timestamp_s=1_800_000_000) for n in range(2)
    ]
    answer = "".join(f"{line.to_line()}\n" for line in lines).encode()
    assert parse_cosignatures(answer) == tuple(lines)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\n",
        lambda answer: answer[:-1],
        lambda answer: answer + b"\n",
        lambda answer: b"x\n" + answer,
        lambda answer: b"note\n\n" + answer,
        lambda answer: answer + b"\xff\n",
        lambda answer: answer.replace(b"\n", b"\r\n"),
        lambda answer: answer.replace("\N{EM DASH}".encode(), b"-"),
        lambda answer: answer * (MAX_RESPONSE_BYTES // len(answer) + 1),
    ],
)
def test_an_answer_with_anything_else_in_it_is_refused(change: Callable[[bytes], bytes]) -> None:
    key = generate_ed25519(SeededRng(b"witness"))
    line = cosign(LOG.sign(3).checkpoint, name="w", signing_key=key, timestamp_s=1)
    with pytest.raises(VetonetError):
        parse_cosignatures(change(f"{line.to_line()}\n".encode()))
