"""Transcripts: two conversations that differ anywhere have different challenges."""

from __future__ import annotations

import hashlib

import pytest

from support.merlin import MerlinTranscript, permute
from vetonet.crypto.bulletproofs import Transcript
from vetonet.crypto.secp256k1 import ORDER

PINNED = "b34ce6ddb0c99379afddf23aa7bbda4b56fb0ec81433a966ba37b4dcdd175f22"


def converse(*messages: tuple[bytes, bytes], purpose: bytes = b"purpose") -> int:
    transcript = Transcript(purpose)
    for label, data in messages:
        transcript.append(label, data)
    return transcript.compute_challenge(b"challenge")


def test_a_challenge_is_a_scalar_other_than_zero() -> None:
    transcript = Transcript(b"purpose")
    challenges = [transcript.compute_challenge(b"c") for _ in range(100)]
    assert all(0 < challenge < ORDER for challenge in challenges)
    assert len(set(challenges)) == 100
    assert sum(challenge.bit_length() == 256 for challenge in challenges) in range(20, 81)


def test_no_two_conversations_have_the_same_challenge() -> None:
    challenges = [
        converse(),
        converse(purpose=b"purposE"),
        converse(purpose=b""),
        converse((b"", b"")),
        converse((b"a", b"bc")),
        converse((b"ab", b"c")),
        converse((b"abc", b"")),
        converse((b"", b"abc")),
        converse((b"a", b"b"), (b"", b"c")),
        converse((b"a", b"b"), (b"c", b"")),
        converse((b"c", b""), (b"a", b"b")),
        converse((b"a", b"bc"), (b"a", b"bc")),
        converse((b"a", b"bc"), purpose=b"other"),
    ]
    assert len(set(challenges)) == len(challenges)


def test_a_challenge_depends_on_its_label_and_on_challenges_before_it() -> None:
    first, second = Transcript(b"purpose"), Transcript(b"purpose")
    assert first.compute_challenge(b"x") != second.compute_challenge(b"y")
    assert first.compute_challenge(b"z") != second.compute_challenge(b"z")


def test_a_challenge_is_no_message() -> None:
    asked, told = Transcript(b"purpose"), Transcript(b"purpose")
    asked.compute_challenge(b"x")
    told.append(b"x", b"")
    assert asked.compute_challenge(b"y") != told.compute_challenge(b"y")


def test_a_copy_has_heard_the_same_and_goes_its_own_way() -> None:
    original = Transcript(b"purpose")
    original.append(b"a", b"b")
    twin = original.copy()
    assert twin.copy().compute_challenge(b"x") == original.copy().compute_challenge(b"x")
    twin.append(b"c", b"d")
    assert twin.compute_challenge(b"x") != original.compute_challenge(b"x")


def test_the_challenge_of_a_conversation_stays_what_it_was() -> None:
    """Pinned: another value here makes every proof of an older version false."""
    assert converse((b"label", b"message")) == int(PINNED, 16)


@pytest.mark.parametrize("message", [b"", bytes(200)], ids=["empty", "zeros"])
def test_keccak_is_the_permutation_of_sha_3(message: bytes) -> None:
    """SHA3-256 built on it (FIPS 202, section 6.1) equals the one of hashlib."""
    padded = bytearray(message + b"\x06")
    padded += bytes(-len(padded) % 136)
    padded[-1] |= 0x80
    state = bytes(200)
    for start in range(0, len(padded), 136):
        block = bytes(padded[start : start + 136]).ljust(200, b"\0")
        state = permute(bytes(left ^ right for left, right in zip(state, block, strict=True)))
    assert state[:32] == hashlib.sha3_256(message).digest()


def test_merlin_answers_its_published_vector() -> None:
    """From github.com/dalek-cryptography/merlin, src/transcript.rs, test equivalence_simple."""
    transcript = MerlinTranscript(b"test protocol", ORDER)
    transcript.append(b"some label", b"some data")
    assert transcript.compute_bytes(b"challenge", 32).hex() == (
        "d5a21972d0d5fe320c0d263fac7fffb8145aa640af6e9bca177c03c7efcf0615"
    )


def test_merlin_takes_messages_longer_than_a_block() -> None:
    """A message in one go and one that differs in its last byte: the block boundary loses nothing."""
    answers = set()
    for size in (0, 165, 166, 167, 332, 1000):
        for last in (b"", b"x", b"y"):
            transcript = MerlinTranscript(b"test protocol", ORDER)
            transcript.append(b"step", bytes(size) + last)
            answers.add(transcript.compute_challenge(b"challenge"))
    assert len(answers) == 18
