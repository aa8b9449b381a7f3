"""Checkpoints: three lines with one spelling, and a log key that signed them."""

from __future__ import annotations

import pytest

from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.merkle import EMPTY_ROOT_HASH, MAX_TREE_SIZE
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint, verify_checkpoint
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote, sign_note

ORIGIN = "example.com/behind-the-sofa"
# The example of C2SP tlog-checkpoint.
TEXT = f"{ORIGIN}\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
CHECKPOINT = Checkpoint.from_text(TEXT)
KEY = generate_ed25519(SeededRng(b"log"))
LOG_KEY = LogKey(name=ORIGIN, public_key=KEY.public_key)
SIGNED = sign_checkpoint(CHECKPOINT, KEY).to_bytes()


def test_the_example_of_the_specification_is_read_back() -> None:
    assert CHECKPOINT.to_text() == TEXT
    assert (CHECKPOINT.origin, CHECKPOINT.tree_size) == (ORIGIN, 20_852_163)
    assert CHECKPOINT.root_hash.hex().startswith("0ac5186a")


def test_extension_lines_are_kept() -> None:
    text = TEXT + "one\ntwo\n"
    assert Checkpoint.from_text(text).extensions == ("one", "two")
    assert Checkpoint.from_text(text).to_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        TEXT.removesuffix("\n"),
        TEXT + "\n",
        TEXT + "one\n\ntwo\n",
        "\n".join(TEXT.split("\n")[:2]) + "\n",
        TEXT.replace(ORIGIN, ""),
        TEXT.replace(ORIGIN, "x" * 256),
        TEXT.replace(ORIGIN, "a\tb"),
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "+20852163"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", "20_852_163"),
        TEXT.replace("20852163", " 20852163"),
        TEXT.replace("20852163", "2e7"),
        TEXT.replace("20852163", ""),
        TEXT.replace("20852163", "\u0662"),
        TEXT.replace("20852163", str(MAX_TREE_SIZE + 1)),
        TEXT.replace("20852163", "9" * 5000),
        TEXT.replace("20852163", "0"),
        TEXT.replace("q2I=", "q2I"),
        TEXT.replace("q2I=", "q2J="),
        TEXT.replace("CsUY", ""),
        TEXT.replace("CsUY", "CsUYCsUY"),
    ],
)
def test_what_is_not_a_checkpoint_in_its_one_spelling_is_refused(text: str) -> None:
    """VN-11.1."""
    with pytest.raises(EncodingError):
        Checkpoint.from_text(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": ""},
        {"origin": "a\nb"},
        {"origin": "\ud800"},
        {"tree_size": -1},
        {"tree_size": MAX_TREE_SIZE + 1},
        {"tree_size": 0},
        {"root_hash": bytes(31)},
        {"extensions": ("",)},
        {"extensions": ("a\nb",)},
    ],
)
def test_a_checkpoint_that_cannot_be_spelled_is_refused(changes: dict[str, object]) -> None:
    fields: dict[str, object] = {"origin": ORIGIN, "tree_size": 5, "root_hash": bytes(32)}
    with pytest.raises(EncodingError):
        Checkpoint(**(fields | changes))  # type: ignore[arg-type]


def test_an_empty_log_has_the_root_of_the_empty_tree() -> None:
    empty = Checkpoint(origin=ORIGIN, tree_size=0, root_hash=EMPTY_ROOT_HASH)
    assert verify_checkpoint(sign_checkpoint(empty, KEY).to_bytes(), LOG_KEY) == empty


def test_a_signed_checkpoint_verifies_and_is_read_back() -> None:
    assert verify_checkpoint(SIGNED, LOG_KEY) == CHECKPOINT
    assert SignedCheckpoint.from_bytes(SIGNED).to_bytes() == SIGNED


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    note = sign_note("hello\n", name=ORIGIN, signing_key=KEY)
    with pytest.raises(EncodingError, match="at least 3 lines"):
        verify_checkpoint(note.to_bytes(), LOG_KEY)


def test_a_checkpoint_of_another_log_by_the_same_key_is_refused() -> None:
    other = Checkpoint(origin="example.com/other", tree_size=1, root_hash=bytes(32))
    note = sign_note(other.to_text(), name=ORIGIN, signing_key=KEY)
    with pytest.raises(InvalidSignatureError, match="expected a checkpoint of 'example"):
        verify_checkpoint(note.to_bytes(), LOG_KEY)
    assert verify_checkpoint(note.to_bytes(), LOG_KEY, origin="example.com/other") == other


def test_a_checkpoint_that_the_log_did_not_sign_is_refused() -> None:
    forged = sign_checkpoint(CHECKPOINT, generate_ed25519(SeededRng(b"forger"))).to_bytes()
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_checkpoint(forged, LOG_KEY)


def test_a_witness_line_is_passed_over_only_where_that_is_allowed() -> None:
    witness = NoteSignature(name="example.com/witness", key_id=bytes(4), signature=bytes(72))
    note = SignedNote.from_bytes(SIGNED)
    cosigned = SignedNote(text=note.text, signatures=(*note.signatures, witness)).to_bytes()
    assert verify_checkpoint(cosigned, LOG_KEY, allow_other_lines=True) == CHECKPOINT
    with pytest.raises(InvalidSignatureError, match="got 2 lines"):
        verify_checkpoint(cosigned, LOG_KEY)


def test_no_flipped_bit_of_a_signed_checkpoint_verifies() -> None:
    for offset in range(len(SIGNED)):
        for bit in range(8):
            changed = bytearray(SIGNED)
            changed[offset] ^= 1 << bit
            with pytest.raises((EncodingError, InvalidSignatureError)):
                verify_checkpoint(bytes(changed), LOG_KEY)


def test_no_byte_can_be_inserted_or_left_out() -> None:
    for offset in range(len(SIGNED)):
        shorter = SIGNED[:offset] + SIGNED[offset + 1 :]
        longer = SIGNED[:offset] + SIGNED[offset : offset + 1] + SIGNED[offset:]
        for changed in (shorter, longer):
            with pytest.raises((EncodingError, InvalidSignatureError)):
                verify_checkpoint(changed, LOG_KEY)


def test_a_log_whose_origin_cannot_be_a_key_name_cannot_sign_under_it() -> None:
    with pytest.raises(EncodingError, match="without spaces"):
        sign_checkpoint(Checkpoint(origin="two words", tree_size=1, root_hash=bytes(32)), KEY)
