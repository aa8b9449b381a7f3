"""Receipts: a leaf's place in the log as a COSE message, for tools of the COSE world (RFC 9942).

A receipt is an export. Statements of vetonet travel with a ``LogProof`` instead, for two things are missing
here: no witness vouches for a receipt, and its signature is over the root alone. An inclusion path does not
bind the size of the tree, so index and size are what the receipt says, fitting the root and no more.

The log signs roots here with the key that signs its checkpoints. The two never pass for each other: what COSE
signs begins with a byte that no text in UTF-8 begins with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vetonet.crypto.cose import (
    LABEL_ALG,
    LABEL_KID,
    DetachedSign1,
    Header,
    parse_detached_sign1,
    sign1_detached,
)
from vetonet.crypto.keys import Algorithm, PublicKey, SigningKey
from vetonet.crypto.merkle import HASH_BYTES, InclusionProof, compute_inclusion_root, verify_inclusion
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError
from vetonet.tlog.checkpoint import Checkpoint

MAX_RECEIPT_BYTES: Final = 4096

LABEL_VDS: Final = 395  # RFC 9942 section 2: which verifiable data structure, protected
LABEL_VDP: Final = 396  # RFC 9942 section 2: its proofs, unprotected
RFC9162_SHA256: Final = 1  # RFC 9942 section 4.1
INCLUSION_PROOFS: Final = -1  # RFC 9942 section 4.2
_PARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A leaf of a tree whose root the log signed; only ``verify_receipt`` makes one.

    Attributes:
        proof: where the leaf is, as the receipt says.
        root_hash: what the log signed.
    """

    proof: InclusionProof
    root_hash: bytes


def build_receipt(
    leaf_hash: bytes, proof: InclusionProof, checkpoint: Checkpoint, signing_key: SigningKey
) -> bytes:
    """Return the receipt of inclusion of a leaf, signed by the key of the log (RFC 9942 section 5.2).

    The path of a tree with one leaf is empty, though the CDDL of the RFC asks for one hash at least.

    Args:
        leaf_hash: ``compute_leaf_hash`` of the leaf.
        proof: where it is.
        checkpoint: what the log committed to at the size of the proof.
        signing_key: the Ed25519 key of the log.

    Raises:
        ProofError: the leaf is not there; nothing is signed.
        EncodingError: the key is of another algorithm.
    """
    verify_inclusion(
        leaf_hash=leaf_hash,
        leaf_index=proof.leaf_index,
        tree_size=checkpoint.tree_size,
        proof=proof.hashes,
        root_hash=checkpoint.root_hash,
    )
    path = cbor.to_bytes([checkpoint.tree_size, proof.leaf_index, list(proof.hashes)])
    unprotected = {LABEL_VDP: {INCLUSION_PROOFS: [path]}}
    header = _build_header(signing_key.public_key)
    return sign1_detached(checkpoint.root_hash, header, unprotected, signing_key)


def verify_receipt(data: bytes, leaf_hash: bytes, log_key: PublicKey) -> Receipt:
    """Return what a receipt says of a leaf, once it is certain that the log signed the root above it.

    Args:
        data: a receipt, untrusted.
        leaf_hash: ``compute_leaf_hash`` of the leaf.
        log_key: the Ed25519 key of the log.

    Raises:
        EncodingError: no receipt of inclusion, or not in the one spelling that ``build_receipt`` gives.
        ProofError: an index outside the tree, or a path of another length.
        InvalidSignatureError: another key's, or the path from this leaf leads to no root that it signed.
    """
    parsed = parse_detached_sign1(data, max_bytes=MAX_RECEIPT_BYTES)
    if parsed.protected_bytes != cbor.to_bytes(dict(_build_header(log_key))):
        msg = "expected a receipt with the log's algorithm and key id over RFC9162_SHA256, and nothing else"
        raise InvalidSignatureError(msg)
    proof = _parse_proof(parsed)
    root_hash = compute_inclusion_root(leaf_hash, proof)
    parsed.attach(root_hash).verify(log_key)
    return Receipt(proof=proof, root_hash=root_hash)


def _build_header(key: PublicKey) -> Header:
    if key.algorithm is not Algorithm.EDDSA:
        msg = f"a log key is Ed25519, got {key.algorithm.name}"
        raise EncodingError(msg)
    return {LABEL_ALG: int(key.algorithm), LABEL_KID: key.key_id, LABEL_VDS: RFC9162_SHA256}


def _parse_proof(parsed: DetachedSign1) -> InclusionProof:
    proofs = parsed.unprotected.get(LABEL_VDP)
    listed = proofs.get(INCLUSION_PROOFS) if isinstance(proofs, dict) and len(proofs) == 1 else None
    if not isinstance(listed, list) or len(listed) != 1 or len(parsed.unprotected) != 1:
        msg = "expected one inclusion proof in the unprotected header, and nothing else"
        raise EncodingError(msg)
    content = cbor.from_bytes(listed[0], max_bytes=MAX_RECEIPT_BYTES) if type(listed[0]) is bytes else None
    if not isinstance(content, list) or [type(part) for part in content] != [int, int, list]:
        msg = "expected an inclusion proof: the size of the tree, the index of the leaf and a list of hashes"
        raise EncodingError(msg)
    tree_size, leaf_index, hashes = content
    if not all(type(value) is bytes and len(value) == HASH_BYTES for value in hashes):
        msg = f"expected a path of hashes of {HASH_BYTES} bytes"
        raise EncodingError(msg)
    return InclusionProof(leaf_index=leaf_index, tree_size=tree_size, hashes=tuple(hashes))
