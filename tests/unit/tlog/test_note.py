"""Signed notes: what is accepted, and that nothing has two spellings."""

from __future__ import annotations

from base64 import b64encode

import pytest

from vetonet.crypto.keys import generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.note import (
    MAX_NOTE_BYTES,
    LogKey,
    NoteSignature,
    SignedNote,
    decode_base64,
    sign_note,
    verify_note,
)

NAME = "example.org/log"
KEY = generate_ed25519(SeededRng(b"log"))
LOG_KEY = LogKey(name=NAME, public_key=KEY.public_key)
OTHER = generate_ed25519(SeededRng(b"other"))
NOTE = sign_note("If you think cryptography is the answer,\n", name=NAME, signing_key=KEY)
UNKNOWN = NoteSignature(name="example.org/witness", key_id=b"\x01\x02\x03\x04", signature=b"anything")

# The verifier key and note in the documentation of golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFY"
    "C2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_note_in_the_go_documentation_verifies_strictly() -> None:
    verify_note(SignedNote.from_bytes(GO_NOTE.encode()), LogKey.from_vkey(GO_VKEY))


def test_a_signed_note_is_read_back_and_verifies() -> None:
    assert SignedNote.from_bytes(NOTE.to_bytes()) == NOTE
    verify_note(NOTE, LOG_KEY)


def test_lines_of_unknown_keys_are_passed_over_unless_strict() -> None:
    note = SignedNote(text=NOTE.text, signatures=(UNKNOWN, *NOTE.signatures))
    verify_note(SignedNote.from_bytes(note.to_bytes()), LOG_KEY, allow_other_lines=True)
    with pytest.raises(InvalidSignatureError, match="got 2 lines"):
        verify_note(note, LOG_KEY)


def test_the_same_line_twice_is_refused_when_strict() -> None:
    with pytest.raises(InvalidSignatureError, match="got 2 lines"):
        verify_note(SignedNote(text=NOTE.text, signatures=NOTE.signatures * 2), LOG_KEY)


def test_a_known_key_that_does_not_verify_sinks_the_note() -> None:
    [good] = NOTE.signatures
    bad = NoteSignature(name=NAME, key_id=good.key_id, signature=bytes(64))
    with pytest.raises(InvalidSignatureError, match="does not verify") as caught:
        verify_note(SignedNote(text=NOTE.text, signatures=(good, bad)), LOG_KEY, allow_other_lines=True)
    assert caught.value.culprits == (NAME,)


@pytest.mark.parametrize(
    "key",
    [LogKey(name=NAME, public_key=OTHER.public_key), LogKey(name="another", public_key=KEY.public_key)],
)
def test_a_note_without_a_line_of_the_key_is_refused(key: LogKey) -> None:
    with pytest.raises(InvalidSignatureError, match=r"expected a signature by .*, got none"):
        verify_note(NOTE, key)


def test_another_text_is_refused() -> None:
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify_note(SignedNote(text="Another.\n", signatures=NOTE.signatures), LOG_KEY)


def test_a_text_may_hold_empty_lines_and_what_looks_like_a_signature() -> None:
    note = sign_note("a\n\n— b YWJjZGVm\n\n\n", name=NAME, signing_key=KEY)
    assert SignedNote.from_bytes(note.to_bytes()) == note


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        NOTE.to_bytes()[:-1],
        NOTE.to_bytes() + b"\n",
        NOTE.to_bytes() + b"more\n",
        NOTE.to_bytes().replace(b"\n\n", b"\n"),
        NOTE.to_bytes().replace(b"\n", b"\r\n"),
        NOTE.to_bytes().replace("— ".encode(), b"- "),
        NOTE.to_bytes().replace("— ".encode(), "—  ".encode()),
        NOTE.to_bytes().replace(b"=\n", b"\n"),
        NOTE.to_bytes().replace(b"=\n", b"==\n"),
        NOTE.to_bytes().replace(b"=\n", b"= \n"),
        NOTE.to_bytes().replace(b"cryptography", b"crypto\xffgraphy"),
        NOTE.to_bytes().replace(b"cryptography", b"crypto\tgraphy"),
        b"\xef\xbb\xbf" + NOTE.to_bytes()[:-1],
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name \n".encode(),
        "text\n\n— name\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n—  AAAAAAAA\n".encode(),
    ],
)
def test_what_is_not_a_note_in_its_one_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        SignedNote.from_bytes(data)


def test_an_oversize_note_is_refused_before_it_is_read() -> None:
    with pytest.raises(EncodingError, match=f"at most {MAX_NOTE_BYTES} bytes"):
        SignedNote.from_bytes(b"x" * (MAX_NOTE_BYTES + 1))


def test_sixteen_large_signatures_fit() -> None:
    line = NoteSignature(name="pq", key_id=bytes(4), signature=bytes(4900))
    note = SignedNote(text="text\n", signatures=(line,) * 16)
    assert SignedNote.from_bytes(note.to_bytes()) == note


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\x00b", "x" * 256, "\ud800"]
)
def test_a_key_name_that_would_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(EncodingError):
        NoteSignature(name=name, key_id=bytes(4), signature=b"x")
    with pytest.raises(EncodingError):
        LogKey(name=name, public_key=KEY.public_key)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "nul\x00\n", "\ud800\n"])
def test_a_text_that_cannot_be_signed_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        sign_note(text, name=NAME, signing_key=KEY)


def test_a_note_nobody_signed_is_refused() -> None:
    with pytest.raises(EncodingError, match="at least one signature"):
        SignedNote(text="text\n", signatures=())


def test_a_signature_line_without_key_id_or_signature_is_refused() -> None:
    with pytest.raises(EncodingError):
        NoteSignature(name=NAME, key_id=bytes(3), signature=b"x")
    with pytest.raises(EncodingError):
        NoteSignature(name=NAME, key_id=bytes(4), signature=b"")


def test_a_verifier_key_is_read_back() -> None:
    assert LogKey.from_vkey(LOG_KEY.to_vkey()) == LOG_KEY
    assert LogKey.from_vkey(GO_VKEY).to_vkey() == GO_VKEY


SMALL_ORDER = b64encode(b"\x01" + b"\x01" + bytes(31)).decode()


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "PeterNeumann+c74f20a3",
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("c74f20a3", "C74F20A3"),
        GO_VKEY.replace("Peter", "peter"),
        GO_VKEY.replace("+ARpc", "+BBpc"),
        GO_VKEY.replace("10TW", "10T"),
        GO_VKEY + "\n",
        GO_VKEY + "=",
        f"name+00000000+{SMALL_ORDER}",
        f"name+00000000+{b64encode(bytes([1]) + bytes(16)).decode()}",
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(EncodingError):
        LogKey.from_vkey(vkey)


def test_a_log_key_of_another_algorithm_is_refused() -> None:
    with pytest.raises(EncodingError, match="Ed25519"):
        sign_note("text\n", name=NAME, signing_key=generate_ecdsa(SeededRng(b"p256")))


@pytest.mark.parametrize("text", ["AA", "AA=", "A===", "AB==", "AA==\n", " AA==", "A-__", "é", "AAA=AAA="])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(EncodingError):
        decode_base64(text)
