"""Cosignatures: the two messages that C2SP defines, and a line that is the witness's own or refused."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from support.witnessed_log import NAMES, NOW_S, WITNESS_SIGNING_KEYS, WITNESSES, make_log
from vetonet.crypto.keys import Algorithm, PublicKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.cosignature import (
    MAX_TIMESTAMP_S,
    CosignatureType,
    WitnessKey,
    cosign,
    verify_cosignature,
)
from vetonet.tlog.note import LogKey, NoteSignature, VerifierKey

NAME, KEY, WITNESS = NAMES[0], WITNESS_SIGNING_KEYS[NAMES[0]], WITNESSES[0]
CHECKPOINT = make_log(7).checkpoint()
LINE = cosign(CHECKPOINT, name=NAME, signing_key=KEY, timestamp_s=NOW_S)

PQ_SIGNER = mldsa.MLDSA44PrivateKey.from_seed_bytes(SeededRng(b"pq witness")(32))
PQ_NAME = "pq.example"
PQ_WITNESS = WitnessKey(
    name=PQ_NAME,
    cosignature_type=CosignatureType.ML_DSA_44,
    material=PQ_SIGNER.public_key().public_bytes_raw(),
)


def spell_pq_message(
    checkpoint: Checkpoint, *, name: str = PQ_NAME, timestamp_s: int = NOW_S, start: int = 0
) -> bytes:
    """``cosigned_message`` of C2SP tlog-cosignature, field by field."""
    origin = checkpoint.origin.encode()
    return (
        b"subtree/v1\n\x00"
        + bytes([len(name)])
        + name.encode()
        + timestamp_s.to_bytes(8, "big")
        + bytes([len(origin)])
        + origin
        + start.to_bytes(8, "big")
        + checkpoint.tree_size.to_bytes(8, "big")
        + checkpoint.root_hash
    )


def make_pq_line(message: bytes, timestamp_s: int = NOW_S) -> NoteSignature:
    signature = timestamp_s.to_bytes(8, "big") + PQ_SIGNER.sign(message)
    return NoteSignature(name=PQ_NAME, key_id=PQ_WITNESS.key_id, signature=signature)


def test_an_ed25519_cosignature_is_over_the_message_of_the_specification() -> None:
    message = f"cosignature/v1\ntime {NOW_S}\n{CHECKPOINT.to_text()}".encode()
    assert LINE.signature == NOW_S.to_bytes(8, "big") + KEY.sign(message)
    assert LINE.key_id == WITNESS.key_id


def test_a_verified_cosignature_tells_whose_it_is_and_when_it_was_made() -> None:
    for timestamp_s in (0, 1, NOW_S, MAX_TIMESTAMP_S):
        line = cosign(CHECKPOINT, name=NAME, signing_key=KEY, timestamp_s=timestamp_s)
        cosignature = verify_cosignature(CHECKPOINT, line, WITNESS)
        assert (cosignature.witness, cosignature.timestamp_s) == (WITNESS, timestamp_s)


def test_extension_lines_are_part_of_what_an_ed25519_witness_signs() -> None:
    extended = replace(CHECKPOINT, extensions=("note",))
    line = cosign(extended, name=NAME, signing_key=KEY, timestamp_s=NOW_S)
    verify_cosignature(extended, line, WITNESS)
    with pytest.raises(InvalidSignatureError):
        verify_cosignature(CHECKPOINT, line, WITNESS)


def test_a_post_quantum_cosignature_is_over_the_message_of_the_specification() -> None:
    line = make_pq_line(spell_pq_message(CHECKPOINT))
    assert verify_cosignature(CHECKPOINT, line, PQ_WITNESS).timestamp_s == NOW_S


@pytest.mark.parametrize(
    "message",
    [
        spell_pq_message(CHECKPOINT, name="other.example"),
        spell_pq_message(CHECKPOINT, timestamp_s=NOW_S + 1),
        spell_pq_message(CHECKPOINT, start=1),
        spell_pq_message(make_log(6).checkpoint()),
        spell_pq_message(replace(CHECKPOINT, origin="other.example/log")),
        spell_pq_message(CHECKPOINT)[1:],
        f"cosignature/v1\ntime {NOW_S}\n{CHECKPOINT.to_text()}".encode(),
    ],
)
def test_a_post_quantum_cosignature_of_another_message_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidSignatureError, match=r"pq\.example"):
        verify_cosignature(CHECKPOINT, make_pq_line(message), PQ_WITNESS)


def test_another_checkpoint_is_refused() -> None:
    for other in (
        make_log(6).checkpoint(),
        make_log(7, parts_at=6).checkpoint(),
        replace(CHECKPOINT, origin="other.example/log"),
    ):
        with pytest.raises(InvalidSignatureError, match="does not verify") as caught:
            verify_cosignature(other, LINE, WITNESS)
        assert caught.value.culprits == (NAME,)


def test_no_flipped_bit_of_a_cosignature_verifies() -> None:
    """The time is signed as well: nobody can move it."""
    for offset in range(len(LINE.signature)):
        for bit in range(8):
            changed = bytearray(LINE.signature)
            changed[offset] ^= 1 << bit
            with pytest.raises(InvalidSignatureError):
                verify_cosignature(CHECKPOINT, replace(LINE, signature=bytes(changed)), WITNESS)


@pytest.mark.parametrize(
    "line",
    [
        replace(LINE, name=NAMES[1]),
        replace(LINE, key_id=bytes(4)),
        replace(LINE, signature=LINE.signature[:-1]),
        replace(LINE, signature=LINE.signature + b"\0"),
        replace(LINE, signature=LINE.signature[8:]),
        replace(LINE, signature=LINE.signature[:8]),
        replace(LINE, signature=b"\x80" + LINE.signature[1:]),
        replace(LINE, signature=b"\xff" * 8 + LINE.signature[8:]),
    ],
)
def test_a_line_that_is_not_the_witnesss_or_has_another_form_is_refused(line: NoteSignature) -> None:
    with pytest.raises(InvalidSignatureError, match=r"cosignature of w1\.example: "):
        verify_cosignature(CHECKPOINT, line, WITNESS)


def test_a_signature_of_the_log_type_is_no_cosignature() -> None:
    plain = replace(LINE, signature=KEY.sign(CHECKPOINT.to_text().encode()))
    with pytest.raises(InvalidSignatureError, match="72 bytes, got 64"):
        verify_cosignature(CHECKPOINT, plain, WITNESS)


def test_a_line_of_one_witness_does_not_pass_for_another_of_the_same_name() -> None:
    namesake = WitnessKey.of_ed25519(NAME, generate_ed25519(SeededRng(b"namesake")).public_key)
    assert not namesake.owns(LINE)
    with pytest.raises(InvalidSignatureError):
        verify_cosignature(CHECKPOINT, LINE, namesake)
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify_cosignature(CHECKPOINT, replace(LINE, key_id=namesake.key_id), namesake)


@pytest.mark.parametrize("timestamp_s", [-1, MAX_TIMESTAMP_S + 1])
def test_a_time_that_cannot_be_spelled_is_not_cosigned(timestamp_s: int) -> None:
    with pytest.raises(EncodingError, match="expected a time"):
        cosign(CHECKPOINT, name=NAME, signing_key=KEY, timestamp_s=timestamp_s)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 256])
def test_a_name_that_cannot_stand_in_a_note_does_not_cosign(name: str) -> None:
    with pytest.raises(EncodingError):
        cosign(CHECKPOINT, name=name, signing_key=KEY, timestamp_s=NOW_S)


def test_only_ed25519_keys_cosign() -> None:
    ecdsa = generate_ecdsa(SeededRng(b"ecdsa"))
    with pytest.raises(EncodingError, match="expected an Ed25519 key, got ES256"):
        cosign(CHECKPOINT, name=NAME, signing_key=ecdsa, timestamp_s=NOW_S)
    with pytest.raises(EncodingError):
        WitnessKey.of_ed25519(NAME, ecdsa.public_key)


@pytest.mark.parametrize("witness", [WITNESS, PQ_WITNESS], ids=["ed25519", "ml-dsa-44"])
def test_a_witness_key_is_read_back_from_its_vkey(witness: WitnessKey) -> None:
    assert WitnessKey.from_vkey(witness.to_vkey()) == witness


def test_the_key_id_depends_on_the_type() -> None:
    """A key id of type 4, 6 or 1 never passes for one of another type (C2SP tlog-cosignature)."""
    log_key = LogKey(name=NAME, public_key=KEY.public_key)
    assert log_key.key_id != WITNESS.key_id
    assert b64decode(WITNESS.to_vkey().split("+", 2)[2])[0] == 4
    assert b64decode(PQ_WITNESS.to_vkey().split("+", 2)[2])[0] == 6


@pytest.mark.parametrize(
    "vkey",
    [
        LogKey(name=NAME, public_key=KEY.public_key).to_vkey(),
        VerifierKey(name=NAME, key_type=5, material=bytes(32)).to_text(),
        VerifierKey(name=NAME, key_type=4, material=bytes(31)).to_text(),
        VerifierKey(name=NAME, key_type=4, material=bytes(32)).to_text(),
        VerifierKey(name=NAME, key_type=4, material=b"\xff" * 32).to_text(),
        VerifierKey(name=NAME, key_type=6, material=bytes(1311)).to_text(),
        VerifierKey(name=NAME, key_type=6, material=KEY.public_key.point).to_text(),
        "",
        WITNESS.to_vkey()[:-1],
        WITNESS.to_vkey().replace(NAME, NAMES[1]),
        WITNESS.to_vkey() + "\n",
    ],
)
def test_a_vkey_that_is_no_usable_witness_key_is_refused(vkey: str) -> None:
    with pytest.raises(EncodingError):
        WitnessKey.from_vkey(vkey)


def test_a_small_order_key_cannot_be_enrolled() -> None:
    neutral = b"\x01" + bytes(31)
    with pytest.raises(EncodingError, match="small order"):
        WitnessKey(name=NAME, cosignature_type=CosignatureType.ED25519, material=neutral)
    with pytest.raises(EncodingError):
        PublicKey(algorithm=Algorithm.EDDSA, point=neutral)
