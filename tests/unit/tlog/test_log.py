"""The log and its proofs: what it serves, what it refuses, and what a verifier takes from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vetonet.crypto import merkle
from vetonet.crypto.keys import SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, RefusedError, VetonetError
from vetonet.tlog.checkpoint import sign_checkpoint, verify_checkpoint
from vetonet.tlog.log import MAX_LEAF_BYTES, Log
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.proof import LogProof, compute_log_proof, verify_log_proof

ORIGIN = "vetonet.example/log"
KEY = generate_ed25519(SeededRng(b"log"))
LOG_KEY = LogKey(name=ORIGIN, public_key=KEY.public_key)
POLICY = LogPolicy.unwitnessed(LOG_KEY)


def policy_of(name: str, key: SigningKey) -> LogPolicy:
    return LogPolicy.unwitnessed(LogKey(name=name, public_key=key.public_key))


LEAVES = tuple(b"statement %d" % index for index in range(7))


def build(count: int = 7) -> Log:
    return Log(ORIGIN, LEAVES[:count])


def prove(log: Log, leaf_index: int, tree_size: int | None = None) -> LogProof:
    checkpoint = sign_checkpoint(log.checkpoint(tree_size), KEY)
    return compute_log_proof(log, leaf_index, checkpoint.to_bytes())


def test_leaves_are_appended_in_order_and_read_back() -> None:
    log = Log(ORIGIN)
    assert [log.append(leaf) for leaf in LEAVES] == list(range(7))
    assert [log.leaf(index) for index in range(7)] == list(LEAVES)
    assert log.tree_size == 7


def test_a_log_rebuilt_from_its_leaves_is_the_same_log() -> None:
    log = Log(ORIGIN)
    for leaf in LEAVES:
        log.append(leaf)
    assert build().checkpoint() == log.checkpoint()
    assert build().root_hash() == merkle.compute_root(map(merkle.compute_leaf_hash, LEAVES))


def test_the_empty_log_has_a_checkpoint() -> None:
    assert Log(ORIGIN).checkpoint().tree_size == 0
    assert Log(ORIGIN).root_hash() == merkle.EMPTY_ROOT_HASH


def test_past_sizes_stay_provable() -> None:
    log = build()
    for size in range(1, 8):
        past = build(size)
        assert log.checkpoint(size) == past.checkpoint()
        assert log.inclusion_proof(0, size) == past.inclusion_proof(0)
        proof = log.consistency_proof(size)
        merkle.verify_consistency(
            old_size=size,
            old_root=past.root_hash(),
            new_size=7,
            new_root=log.root_hash(),
            proof=proof.hashes,
        )


def test_two_equal_leaves_have_two_places() -> None:
    log = Log(ORIGIN, [b"same", b"same"])
    assert log.inclusion_proof(0) != log.inclusion_proof(1)


@pytest.mark.parametrize("origin", ["", "a\nb", "x" * 256])
def test_an_origin_that_cannot_be_spelled_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(EncodingError):
        Log(origin)


def test_an_oversize_leaf_is_refused_and_leaves_the_log_unchanged() -> None:
    log = build()
    before = log.checkpoint()
    log_at_the_cap = Log(ORIGIN, [bytes(MAX_LEAF_BYTES)])
    with pytest.raises(RefusedError, match="at most 65535 bytes, got 65536"):
        log.append(bytes(MAX_LEAF_BYTES + 1))
    assert log.checkpoint() == before
    assert log_at_the_cap.tree_size == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda log: log.leaf(7),
        lambda log: log.leaf(-1),
        lambda log: log.root_hash(8),
        lambda log: log.root_hash(-1),
        lambda log: log.checkpoint(8),
        lambda log: log.inclusion_proof(7),
        lambda log: log.inclusion_proof(3, 3),
        lambda log: log.inclusion_proof(0, 8),
        lambda log: log.consistency_proof(0),
        lambda log: log.consistency_proof(5, 4),
        lambda log: log.consistency_proof(1, 8),
    ],
)
def test_a_leaf_or_size_that_the_log_does_not_have_is_refused(ask: Callable[[Log], object]) -> None:
    with pytest.raises(RefusedError, match=r"^no (leaf|tree|consistency proof)"):
        ask(build())


@pytest.mark.parametrize("size", range(1, 8))
def test_every_leaf_is_proven_under_every_checkpoint_that_covers_it(size: int) -> None:
    log = build()
    for index in range(size):
        proof = LogProof.from_bytes(prove(log, index, size).to_bytes())
        assert verify_log_proof(LEAVES[index], proof, POLICY).checkpoint == log.checkpoint(size)


def test_the_only_leaf_of_a_log_is_measured_against_the_signed_root() -> None:
    proof = prove(build(1), 0)
    assert proof.hashes == ()
    verify_log_proof(LEAVES[0], proof, POLICY)
    with pytest.raises(ProofError, match="root differs"):
        verify_log_proof(b"another statement", proof, POLICY)


def test_another_leaf_is_refused() -> None:
    with pytest.raises(ProofError, match="root differs"):
        verify_log_proof(LEAVES[3], prove(build(), 4), POLICY)


def test_an_inner_node_is_not_a_leaf() -> None:
    log = build(4)
    children = merkle.compute_leaf_hash(LEAVES[0]) + merkle.compute_leaf_hash(LEAVES[1])
    whole = prove(log, 0)
    forged = LogProof(leaf_index=0, hashes=whole.hashes[1:], checkpoint=whole.checkpoint)
    with pytest.raises(ProofError):
        verify_log_proof(children, forged, POLICY)


def test_a_leaf_of_the_empty_log_is_refused() -> None:
    checkpoint = sign_checkpoint(Log(ORIGIN).checkpoint(), KEY).to_bytes()
    with pytest.raises(ProofError, match="tree size out of range"):
        verify_log_proof(b"", LogProof(leaf_index=0, hashes=(), checkpoint=checkpoint), POLICY)


def test_a_proof_under_the_checkpoint_of_another_size_is_refused() -> None:
    log = build()
    other = LogProof(leaf_index=4, hashes=prove(log, 4).hashes, checkpoint=prove(log, 4, 6).checkpoint)
    with pytest.raises(ProofError):
        verify_log_proof(LEAVES[4], other, POLICY)


def test_a_proof_of_another_log_is_refused() -> None:
    proof = prove(build(), 4)
    with pytest.raises(InvalidSignatureError, match="expected a checkpoint of 'other'"):
        verify_log_proof(LEAVES[4], proof, policy_of("other", KEY))
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_log_proof(LEAVES[4], proof, policy_of(ORIGIN, generate_ed25519(SeededRng(b"2"))))


def test_a_line_that_nothing_covers_is_refused_in_a_proof() -> None:
    whole = prove(build(), 4)
    note = SignedNote.from_bytes(whole.checkpoint)
    padded = SignedNote(
        text=note.text,
        signatures=(*note.signatures, NoteSignature(name="x", key_id=bytes(4), signature=b"x")),
    )
    proof = LogProof(leaf_index=4, hashes=whole.hashes, checkpoint=padded.to_bytes())
    verify_checkpoint(proof.checkpoint, LOG_KEY, allow_other_lines=True)
    with pytest.raises(InvalidSignatureError, match="lines of its witnesses alone"):
        verify_log_proof(LEAVES[4], proof, POLICY)


def test_no_flipped_bit_of_a_proof_verifies() -> None:
    data = prove(build(), 4).to_bytes()
    for offset in range(len(data)):
        for bit in (0, 3, 7):
            changed = bytearray(data)
            changed[offset] ^= 1 << bit
            with pytest.raises(VetonetError):
                verify_log_proof(LEAVES[4], LogProof.from_bytes(bytes(changed)), POLICY)


def test_no_proof_is_made_under_a_foreign_or_forked_checkpoint() -> None:
    fork = Log(ORIGIN, [*LEAVES[:6], b"rewritten"])
    with pytest.raises(RefusedError, match="not one of log"):
        compute_log_proof(build(), 0, sign_checkpoint(fork.checkpoint(), KEY).to_bytes())
    other = Log("another.example/log", LEAVES)
    with pytest.raises(RefusedError, match="not one of log"):
        compute_log_proof(build(), 0, sign_checkpoint(other.checkpoint(), KEY).to_bytes())
    with pytest.raises(RefusedError, match="no tree of 7 leaves"):
        compute_log_proof(build(3), 0, sign_checkpoint(build(7).checkpoint(), KEY).to_bytes())
    with pytest.raises(RefusedError, match="no leaf 3 among 3"):
        compute_log_proof(build(7), 3, sign_checkpoint(build(3).checkpoint(), KEY).to_bytes())
    with pytest.raises(EncodingError):
        compute_log_proof(build(), 0, b"not a checkpoint")
