"""Receipts of inclusion: the structure of RFC 9942, signed over the root that the path leads to."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest

from support.witnessed_log import SIGNING_KEY, make_log
from vetonet.crypto import cose
from vetonet.crypto.keys import generate_ecdsa, generate_ed25519
from vetonet.crypto.merkle import InclusionProof, compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, VetonetError
from vetonet.tlog.receipt import MAX_RECEIPT_BYTES, build_receipt, verify_receipt

LOG = make_log(20)
KEY = SIGNING_KEY.public_key
HEADER = {1: -8, 4: KEY.key_id, 395: 1}


def issue(leaf_index: int = 17, tree_size: int = 20) -> bytes:
    return build_receipt(
        compute_leaf_hash(LOG.leaf(leaf_index)),
        LOG.inclusion_proof(leaf_index, tree_size),
        LOG.checkpoint(tree_size),
        SIGNING_KEY,
    )


def hash_of(leaf_index: int) -> bytes:
    return compute_leaf_hash(LOG.leaf(leaf_index))


PATH = LOG.inclusion_proof(17).hashes
PROOF = cbor.to_bytes([20, 17, list(PATH)])
RECEIPT = issue()


def forge(
    *,
    header: cose.Header = HEADER,
    unprotected: object = None,
    proof: object = PROOF,
) -> bytes:
    """A receipt that the log's own key signed over the true root, with other parts."""
    aside = {396: {-1: [proof]}} if unprotected is None else unprotected
    return cose.sign1_detached(LOG.root_hash(), header, aside, SIGNING_KEY)  # type: ignore[arg-type]


def test_a_receipt_has_the_structure_of_the_rfc() -> None:
    """Read by a decoder that knows nothing of ours (RFC 9942 section 5.2)."""
    message = cbor2.loads(RECEIPT)
    protected, unprotected, payload, signature = message.value
    assert message.tag == 18
    assert cbor2.loads(protected) == {1: -8, 4: KEY.key_id, 395: 1}
    assert payload is None
    (proof,) = unprotected[396][-1]
    assert cbor2.loads(proof) == [20, 17, list(PATH)]
    KEY.verify(cbor2.dumps(["Signature1", protected, b"", LOG.root_hash()]), signature)


@pytest.mark.parametrize("size", range(1, 21))
def test_every_leaf_has_a_receipt_under_every_size(size: int) -> None:
    for index in range(size):
        receipt = verify_receipt(issue(index, size), hash_of(index), KEY)
        assert receipt.proof == LOG.inclusion_proof(index, size)
        assert receipt.root_hash == LOG.root_hash(size)


def test_a_receipt_has_one_spelling() -> None:
    assert forge() == RECEIPT


def test_another_leaf_is_refused() -> None:
    for index in range(20):
        if index != 17:
            with pytest.raises(InvalidSignatureError):
                verify_receipt(RECEIPT, hash_of(index), KEY)


def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignatureError, match="key id"):
        verify_receipt(RECEIPT, hash_of(17), generate_ed25519(SeededRng(b"other")).public_key)


def test_a_receipt_of_a_forged_root_is_refused() -> None:
    forger = generate_ed25519(SeededRng(b"forger"))
    data = cose.sign1_detached(LOG.root_hash(), HEADER, {396: {-1: [PROOF]}}, forger)
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify_receipt(data, hash_of(17), KEY)


def test_only_an_ed25519_key_signs_receipts() -> None:
    key = generate_ecdsa(SeededRng(b"ecdsa"))
    with pytest.raises(EncodingError, match="Ed25519"):
        build_receipt(hash_of(0), LOG.inclusion_proof(0), LOG.checkpoint(), key)
    with pytest.raises(EncodingError, match="Ed25519"):
        verify_receipt(RECEIPT, hash_of(17), key.public_key)


@pytest.mark.parametrize(
    ("leaf_index", "proof", "size"),
    [(3, 4, 20), (17, 17, 19), (17, 17, 18)],
)
def test_the_log_signs_no_receipt_of_a_leaf_that_is_elsewhere(leaf_index: int, proof: int, size: int) -> None:
    with pytest.raises(ProofError):
        build_receipt(hash_of(leaf_index), LOG.inclusion_proof(proof), LOG.checkpoint(size), SIGNING_KEY)


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    for value in (b"", bytes(31), bytes(33)):
        with pytest.raises(ProofError):
            verify_receipt(RECEIPT, value, KEY)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {1: -8, 395: 1},
        {1: -8, 4: KEY.key_id},
        {1: -7, 4: KEY.key_id, 395: 1},
        {1: -8, 4: KEY.key_id[:31], 395: 1},
        {1: -8, 4: KEY.key_id, 395: 2},
        {1: -8, 4: KEY.key_id, 395: True},
        {1: -8, 2: [395], 4: KEY.key_id, 395: 1},
        HEADER | {16: "receipt"},
    ],
)
def test_another_protected_header_is_refused(header: cose.Header) -> None:
    with pytest.raises(VetonetError):
        verify_receipt(forge(header=header), hash_of(17), KEY)


@pytest.mark.parametrize(
    "unprotected",
    [
        {},
        {396: {}},
        {396: [PROOF]},
        {396: {-1: []}},
        {396: {-1: PROOF}},
        {396: {-1: [PROOF, PROOF]}},
        {396: {-2: [PROOF]}},
        {396: {-1: [PROOF], -2: [PROOF]}},
        {395: 1, 396: {-1: [PROOF]}},
        {4: b"k", 396: {-1: [PROOF]}},
        {397: {-1: [PROOF]}},
    ],
)
def test_another_unprotected_header_is_refused(unprotected: object) -> None:
    with pytest.raises(EncodingError, match="one inclusion proof"):
        verify_receipt(forge(unprotected=unprotected), hash_of(17), KEY)


@pytest.mark.parametrize(
    "proof",
    [
        [20, 17, list(PATH)],
        b"",
        PROOF + b"\0",
        PROOF[:-1],
        b"\x83\x18\x14\x11\x9f" + PROOF[5:] + b"\xff",
        cbor.to_bytes([20, 17]),
        cbor.to_bytes([20, 17, list(PATH), 1]),
        cbor.to_bytes([20, 17, None]),
        cbor.to_bytes(["20", 17, list(PATH)]),
        cbor.to_bytes([True, 17, list(PATH)]),
        cbor.to_bytes([20, 17, [*PATH[:-1], PATH[-1][:31]]]),
        cbor.to_bytes([20, 17, [*PATH[:-1], PATH[-1].hex()]]),
        cbor.to_bytes({0: 20, 1: 17}),
    ],
)
def test_what_is_no_inclusion_proof_is_refused(proof: object) -> None:
    with pytest.raises(EncodingError):
        verify_receipt(forge(proof=proof), hash_of(17), KEY)


@pytest.mark.parametrize(
    ("tree_size", "leaf_index", "path"),
    [
        (0, 0, ()),
        (17, 17, PATH),
        (20, -1, PATH),
        (2**63, 17, PATH),
        (2**100, 17, PATH),
        (20, 17, PATH[:-1]),
        (20, 17, (*PATH, bytes(32))),
        (20, 17, (bytes(32),) * 64),
        (1, 0, PATH),
    ],
)
def test_an_index_size_or_path_that_no_tree_has_is_refused(
    tree_size: int, leaf_index: int, path: tuple[bytes, ...]
) -> None:
    proof = cbor.to_bytes([tree_size, leaf_index, list(path)])
    with pytest.raises(ProofError):
        verify_receipt(forge(proof=proof), hash_of(17), KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[1:],
        lambda data: data + b"\0",
        lambda data: data[:-1],
        lambda data: b"\xd2\x84" + data[2:].replace(b"\xf6", b"\x58\x20" + LOG.root_hash(), 1),
        lambda data: data + bytes(MAX_RECEIPT_BYTES),
    ],
)
def test_what_is_no_detached_cose_message_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EncodingError):
        verify_receipt(change(RECEIPT), hash_of(17), KEY)


def test_no_flipped_bit_of_a_receipt_verifies_as_the_same() -> None:
    """Index and size are covered only as far as the root depends on them; everything else is refused."""
    root = LOG.root_hash()
    for offset in range(len(RECEIPT)):
        for bit in range(8):
            changed = bytearray(RECEIPT)
            changed[offset] ^= 1 << bit
            try:
                receipt = verify_receipt(bytes(changed), hash_of(17), KEY)
            except VetonetError:
                continue
            assert receipt.root_hash == root
            assert receipt.proof.hashes == PATH


def test_the_size_in_a_receipt_is_not_what_the_log_signed() -> None:
    """Whoever needs the size needs a checkpoint: the path of leaf 0 looks the same among 3 and among 4."""
    path = list(LOG.inclusion_proof(0, 4).hashes)
    aside = {396: {-1: [cbor.to_bytes([3, 0, path])]}}
    moved = cose.sign1_detached(LOG.root_hash(4), HEADER, aside, SIGNING_KEY)
    receipt = verify_receipt(moved, hash_of(0), KEY)
    assert (receipt.proof.tree_size, receipt.root_hash) == (3, LOG.root_hash(4))


def test_a_receipt_is_no_checkpoint_and_a_checkpoint_no_receipt() -> None:
    """What COSE signs is not UTF-8, so no note has it as its text."""
    message = cose.compute_sign1_input(cbor.to_bytes(dict(HEADER)), LOG.root_hash())
    with pytest.raises(UnicodeDecodeError):
        message.decode()


def test_a_proof_for_another_size_than_the_checkpoints_is_measured_by_the_checkpoint() -> None:
    proof = LOG.inclusion_proof(17)
    relabelled = InclusionProof(leaf_index=17, tree_size=18, hashes=proof.hashes)
    assert build_receipt(hash_of(17), relabelled, LOG.checkpoint(), SIGNING_KEY) == RECEIPT
