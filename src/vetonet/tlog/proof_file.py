"""Proof files: a leaf's place in a log as text that anybody's tools read (C2SP tlog-proof).

The file carries what ``LogProof`` does, and data of an application's own beside it. Like every format here it
has one spelling: what is read is written again and compared.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from vetonet.crypto.merkle import HASH_BYTES, MAX_TREE_SIZE, verify_inclusion
from vetonet.crypto.merkle.proofs import MAX_INCLUSION_HASHES
from vetonet.errors import EncodingError
from vetonet.tlog.checkpoint import SignedCheckpoint, parse_decimal
from vetonet.tlog.note import MAX_NOTE_BYTES, decode_base64
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned
from vetonet.tlog.proof import LogProof

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES: Final = 64 * 1024
MAX_PROOF_FILE_BYTES: Final = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFile:
    """What a proof file says; nothing in it is verified before ``verify_proof_file``.

    Attributes:
        leaf_index: position of the leaf, from 0.
        hashes: the sibling hashes up to the root, lowest first.
        checkpoint: a signed checkpoint of the log, as it was received.
        extra: data of an application's own, which nothing vouches for; empty where the file has none.
    """

    leaf_index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Refuse an index or path that no log has, and what is no signed checkpoint."""
        if not 0 <= self.leaf_index < MAX_TREE_SIZE:
            msg = f"expected a leaf index of 0 to {MAX_TREE_SIZE - 1}, got {self.leaf_index}"
            raise EncodingError(msg)
        sizes = {len(value) for value in self.hashes}
        if len(self.hashes) > MAX_INCLUSION_HASHES or sizes - {HASH_BYTES}:
            msg = f"expected at most {MAX_INCLUSION_HASHES} hashes of {HASH_BYTES} bytes each"
            raise EncodingError(msg)
        if len(self.extra) > MAX_EXTRA_BYTES:
            msg = f"expected at most {MAX_EXTRA_BYTES} bytes of extra data, got {len(self.extra)}"
            raise EncodingError(msg)
        SignedCheckpoint.from_bytes(self.checkpoint)

    @classmethod
    def from_log_proof(cls, proof: LogProof, *, extra: bytes = b"") -> ProofFile:
        """Return the file that says what a proof does.

        Raises:
            EncodingError: the checkpoint is not spelled in its one way, or there is too much extra data.
        """
        return cls(leaf_index=proof.leaf_index, hashes=proof.hashes, checkpoint=proof.checkpoint, extra=extra)

    def to_log_proof(self) -> LogProof:
        """Return the proof in the form in which it travels with a statement; extra data stays behind."""
        return LogProof(leaf_index=self.leaf_index, hashes=self.hashes, checkpoint=self.checkpoint)

    def to_bytes(self) -> bytes:
        """Return the one spelling of this file."""
        extra = [_EXTRA + b64encode(self.extra).decode()] if self.extra else []
        hashes = [b64encode(value).decode() for value in self.hashes]
        lines = (PROOF_HEADER, *extra, f"{_INDEX}{self.leaf_index}", *hashes, "")
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    @classmethod
    def from_bytes(cls, data: bytes) -> ProofFile:
        """Return the proof file that untrusted bytes spell.

        Raises:
            EncodingError: oversize, no proof file, or not spelled in the one accepted way.
        """
        if len(data) > MAX_PROOF_FILE_BYTES:
            msg = f"expected a proof file of at most {MAX_PROOF_FILE_BYTES} bytes, got {len(data)}"
            raise EncodingError(msg)
        head, _, checkpoint = data.partition(b"\n\n")
        extra, index, hashes = _split_head(head)
        proof = cls(
            leaf_index=index,
            hashes=tuple(decode_base64(line) for line in hashes),
            checkpoint=checkpoint,
            extra=extra,
        )
        if proof.to_bytes() != data:
            msg = "the proof file is not spelled in the one accepted way"
            raise EncodingError(msg)
        return proof


def verify_proof_file(data: bytes, *, leaf_hash: bytes, policy: LogPolicy) -> CosignedCheckpoint:
    """Return the checkpoint under which the leaf of this hash is in a log of the policy.

    Signature lines of keys that the policy does not name are passed over, as C2SP asks of clients: a proof
    file is for readers with policies of their own. It is therefore no evidence with one spelling; that is
    ``LogProof``.

    Args:
        data: a proof file, untrusted.
        leaf_hash: ``compute_leaf_hash`` of the leaf.
        policy: which log and which witnesses count.

    Raises:
        EncodingError: not a proof file in its one spelling.
        InvalidSignatureError: the checkpoint is another log's, or a line of a known key does not verify.
        WitnessQuorumError: too few witnesses cosigned.
        ProofError: the leaf is not at this place of the tree that the checkpoint commits to.
    """
    proof = ProofFile.from_bytes(data)
    cosigned = verify_cosigned(proof.checkpoint, policy, allow_other_lines=True)
    verify_inclusion(
        leaf_hash=leaf_hash,
        leaf_index=proof.leaf_index,
        tree_size=cosigned.checkpoint.tree_size,
        proof=proof.hashes,
        root_hash=cosigned.checkpoint.root_hash,
    )
    return cosigned


def _split_head(head: bytes) -> tuple[bytes, int, list[str]]:
    """Return the extra data, the index and the lines of hashes."""
    if not head.isascii():
        msg = "expected a proof file that is ASCII up to its checkpoint"
        raise EncodingError(msg)
    header, *lines = head.decode("ascii").split("\n")
    if header != PROOF_HEADER:
        msg = f"expected a proof file that begins with {PROOF_HEADER}, got {header[:32]!r}"
        raise EncodingError(msg)
    extra = decode_base64(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else b""
    if not lines or not lines[0].startswith(_INDEX):
        msg = "expected the line `index` and a decimal number after the header and an optional extra line"
        raise EncodingError(msg)
    return extra, parse_decimal(lines[0].removeprefix(_INDEX), what="leaf index"), lines[1:]
