"""Cosignatures: a witness's word that a checkpoint extends every one it saw before (C2SP tlog-cosignature).

A cosignature carries the time at which it was made, which makes witnesses the clock of the log as well
(``vetonet.tlog.clock``). Two types are read: Ed25519 (``cosignature/v1``), which our own witnesses make, and
ML-DSA-44, whose message binds the witness's name too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NoReturn

from vetonet.crypto.keys import Algorithm, PublicKey, SigningKey, verify_ed25519
from vetonet.crypto.mldsa import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify_mldsa44
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.checkpoint import Checkpoint
from vetonet.tlog.note import NoteSignature, VerifierKey

TIMESTAMP_BYTES: Final = 8
MAX_TIMESTAMP_S: Final = 2**63 - 1

_ED25519_BYTES: Final = 64
_SUBTREE_LABEL: Final = b"subtree/v1\n\0"


class CosignatureType(IntEnum):
    """Signature type identifiers of witness keys."""

    ED25519 = 4
    ML_DSA_44 = 6


_SIGNATURE_BYTES: Final = {
    CosignatureType.ED25519: _ED25519_BYTES,
    CosignatureType.ML_DSA_44: SIGNATURE_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey:
    """The key of a witness, under the name by which its signature lines go.

    Attributes:
        name: name of the key; by custom a URL of the witness without its scheme.
        cosignature_type: which message its signatures are over.
        material: the public key: 32 bytes of Ed25519, or 1,312 of ML-DSA-44.
        key_id: the four bytes that mark its lines.
    """

    name: str
    cosignature_type: CosignatureType
    material: bytes
    key_id: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a name that would break a line, and a key that is unusable for its type."""
        object.__setattr__(self, "key_id", self.verifier_key.key_id)
        if self.cosignature_type is CosignatureType.ED25519:
            PublicKey(algorithm=Algorithm.EDDSA, point=self.material)
        elif len(self.material) != PUBLIC_KEY_BYTES:
            msg = f"witness {self.name!r}: expected {PUBLIC_KEY_BYTES} bytes, got {len(self.material)}"
            raise EncodingError(msg)

    @classmethod
    def of_ed25519(cls, name: str, public_key: PublicKey) -> WitnessKey:
        """Return the key of a witness that signs with Ed25519.

        Raises:
            EncodingError: a key of another algorithm, or a name that cannot stand in a note.
        """
        if public_key.algorithm is not Algorithm.EDDSA:
            msg = f"witness {name!r}: expected an Ed25519 key, got {public_key.algorithm.name}"
            raise EncodingError(msg)
        return cls(name=name, cosignature_type=CosignatureType.ED25519, material=public_key.point)

    @property
    def verifier_key(self) -> VerifierKey:
        """The key as notes name it."""
        return VerifierKey(name=self.name, key_type=self.cosignature_type, material=self.material)

    def to_vkey(self) -> str:
        """Return the verifier key: name, key id and key, joined by plus signs."""
        return self.verifier_key.to_text()

    @classmethod
    def from_vkey(cls, vkey: str) -> WitnessKey:
        """Return the witness key that a verifier key spells.

        Raises:
            EncodingError: malformed, not a witness's, a key id that does not match, or an unusable key.
        """
        key = VerifierKey.from_text(vkey)
        if key.key_type not in set(CosignatureType):
            msg = f"expected the verifier key of a witness (type 4 or 6), got type {key.key_type}"
            raise EncodingError(msg)
        return cls(name=key.name, cosignature_type=CosignatureType(key.key_type), material=key.material)

    def owns(self, line: NoteSignature) -> bool:
        """Whether a signature line says that it is this key's."""
        return (line.name, line.key_id) == (self.name, self.key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified cosignature; only ``verify_cosignature`` makes one.

    Attributes:
        witness: whose it is.
        timestamp_s: when the witness says that it made it, seconds since the Unix epoch.
    """

    witness: WitnessKey
    timestamp_s: int


def cosign(checkpoint: Checkpoint, *, name: str, signing_key: SigningKey, timestamp_s: int) -> NoteSignature:
    """Return the signature line of a witness with an Ed25519 key.

    Whether the checkpoint may be cosigned is for ``vetonet.tlog.witness`` to say.

    Args:
        checkpoint: what is cosigned.
        name: the witness's name.
        signing_key: its Ed25519 key, which nothing but this witness uses.
        timestamp_s: the time, whole seconds since the Unix epoch.

    Raises:
        EncodingError: a key of another algorithm, a name that cannot stand in a note, or a time out of range.
    """
    witness = WitnessKey.of_ed25519(name, signing_key.public_key)
    signature = signing_key.sign(_ed25519_message(checkpoint, timestamp_s))
    return NoteSignature(
        name=name, key_id=witness.key_id, signature=_encode_timestamp(timestamp_s) + signature
    )


def verify_cosignature(checkpoint: Checkpoint, line: NoteSignature, witness: WitnessKey) -> Cosignature:
    """Return what a signature line says, once it is certain that this witness made it over this checkpoint.

    Raises:
        InvalidSignatureError: another key's line, one of another length, or one that does not verify.
    """
    expected = TIMESTAMP_BYTES + _SIGNATURE_BYTES[witness.cosignature_type]
    if not witness.owns(line) or len(line.signature) != expected:
        _refuse(witness, f"expected its line with {expected} bytes, got {len(line.signature)} of {line.name}")
    timestamp_s = int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
    if timestamp_s > MAX_TIMESTAMP_S:
        _refuse(witness, f"a time of {timestamp_s} s, expected at most {MAX_TIMESTAMP_S}")
    try:
        _verify_signature(checkpoint, line.signature[TIMESTAMP_BYTES:], witness, timestamp_s)
    except InvalidSignatureError as error:
        msg = f"the cosignature by {witness.name}+{witness.key_id.hex()} does not verify"
        raise InvalidSignatureError(msg, culprits=(witness.name,)) from error
    return Cosignature(witness=witness, timestamp_s=timestamp_s)


def _verify_signature(
    checkpoint: Checkpoint, signature: bytes, witness: WitnessKey, timestamp_s: int
) -> None:
    if witness.cosignature_type is CosignatureType.ED25519:
        verify_ed25519(witness.material, _ed25519_message(checkpoint, timestamp_s), signature)
    else:
        message = _ml_dsa_message(checkpoint, witness.name, timestamp_s)
        verify_mldsa44(witness.material, message, signature)


def _ed25519_message(checkpoint: Checkpoint, timestamp_s: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp_s}\n{checkpoint.to_text()}".encode()


def _ml_dsa_message(checkpoint: Checkpoint, name: str, timestamp_s: int) -> bytes:
    """Return the ``cosigned_message`` of a whole tree: a subtree that starts at leaf 0."""
    start, end = 0, checkpoint.tree_size
    return b"".join(
        (
            _SUBTREE_LABEL,
            _with_length(name),
            _encode_timestamp(timestamp_s),
            _with_length(checkpoint.origin),
            start.to_bytes(8, "big"),
            end.to_bytes(8, "big"),
            checkpoint.root_hash,
        )
    )


def _with_length(text: str) -> bytes:
    data = text.encode()
    return bytes((len(data),)) + data  # names and origins have at most 255 bytes


def _encode_timestamp(timestamp_s: int) -> bytes:
    if not 0 <= timestamp_s <= MAX_TIMESTAMP_S:
        msg = f"expected a time of 0 to {MAX_TIMESTAMP_S} s, got {timestamp_s}"
        raise EncodingError(msg)
    return timestamp_s.to_bytes(TIMESTAMP_BYTES, "big")


def _refuse(witness: WitnessKey, why: str) -> NoReturn:
    msg = f"cosignature of {witness.name}: {why}"
    raise InvalidSignatureError(msg, culprits=(witness.name,))
