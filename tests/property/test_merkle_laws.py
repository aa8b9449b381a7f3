"""Laws of Merkle trees: the tree is the recursive one of RFC 9162, and no mutation verifies."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.crypto import merkle
from vetonet.errors import ProofError

LARGEST = 64
LEAVES = tuple(b"leaf %d" % index for index in range(LARGEST))
TREE = merkle.Tree(merkle.compute_leaf_hash(leaf) for leaf in LEAVES)


def split(size: int) -> int:
    return max(1 << power for power in range(8) if 1 << power < size)


def naive_root(leaves: tuple[bytes, ...]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """PATH of RFC 9162 section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return ()
    k = split(len(leaves))
    if index < k:
        return (*naive_path(index, leaves[:k]), naive_root(leaves[k:]))
    return (*naive_path(index - k, leaves[k:]), naive_root(leaves[:k]))


def naive_subproof(old: int, leaves: tuple[bytes, ...], *, whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF of RFC 9162 section 2.1.4.1, word for word."""
    if old == len(leaves):
        return () if whole else (naive_root(leaves),)
    k = split(len(leaves))
    if old <= k:
        return (*naive_subproof(old, leaves[:k], whole=whole), naive_root(leaves[k:]))
    return (*naive_subproof(old - k, leaves[k:], whole=False), naive_root(leaves[:k]))


def flipped(hashes: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Every list of hashes that differs by the lowest bit of one byte, one hash surplus or one missing."""
    for place, value in enumerate(hashes):
        for byte in (0, 15, 31):
            changed = bytearray(value)
            changed[byte] ^= 1
            yield (*hashes[:place], bytes(changed), *hashes[place + 1 :])
        yield (*hashes[:place], *hashes[place + 1 :])
        yield (*hashes[:place], value, *hashes[place:])
    yield (*hashes, bytes(32))


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_the_root_of_every_size_is_the_recursive_one(size: int) -> None:
    assert TREE.root_hash(size) == naive_root(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof_is_the_recursive_one_and_verifies(size: int) -> None:
    root = naive_root(LEAVES[:size])
    for index in range(size):
        proof = TREE.inclusion_proof(index, size)
        assert proof.hashes == naive_path(index, LEAVES[:size])
        merkle.verify_inclusion(
            leaf_hash=TREE.leaf_hash(index),
            leaf_index=index,
            tree_size=size,
            proof=proof.hashes,
            root_hash=root,
        )


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_every_consistency_proof_is_the_recursive_one_and_verifies(new: int) -> None:
    for old in range(1, new + 1):
        proof = TREE.consistency_proof(old, new)
        assert proof.hashes == naive_subproof(old, LEAVES[:new], whole=True)
        merkle.verify_consistency(
            old_size=old,
            old_root=TREE.root_hash(old),
            new_size=new,
            new_root=TREE.root_hash(new),
            proof=proof.hashes,
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 32, 33])
def test_no_proof_shows_a_leaf_at_another_index(size: int) -> None:
    for index in range(size):
        proof = TREE.inclusion_proof(index, size)
        for other in set(range(size)) - {index}:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(
                    leaf_hash=TREE.leaf_hash(index),
                    leaf_index=other,
                    tree_size=size,
                    proof=proof.hashes,
                    root_hash=TREE.root_hash(size),
                )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 32, 33])
def test_no_proof_shows_a_leaf_in_the_tree_of_another_size(size: int) -> None:
    for index in range(size):
        proof = TREE.inclusion_proof(index, size)
        for other in set(range(index + 1, LARGEST + 1)) - {size}:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(
                    leaf_hash=TREE.leaf_hash(index),
                    leaf_index=index,
                    tree_size=other,
                    proof=proof.hashes,
                    root_hash=TREE.root_hash(other),
                )


def test_the_root_alone_does_not_bind_the_size_so_both_must_be_signed_together() -> None:
    """Leaf 0 has the same path shape in trees of 5 to 8 leaves: RFC 9162 leaves the size to the tree head."""
    proof = TREE.inclusion_proof(0, 7)
    for size in (5, 6, 7, 8):
        merkle.verify_inclusion(
            leaf_hash=TREE.leaf_hash(0),
            leaf_index=0,
            tree_size=size,
            proof=proof.hashes,
            root_hash=TREE.root_hash(7),
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 32, 33])
def test_no_changed_inclusion_proof_verifies(size: int) -> None:
    for index in range(size):
        for forged in flipped(TREE.inclusion_proof(index, size).hashes):
            with pytest.raises(ProofError):
                merkle.verify_inclusion(
                    leaf_hash=TREE.leaf_hash(index),
                    leaf_index=index,
                    tree_size=size,
                    proof=forged,
                    root_hash=TREE.root_hash(size),
                )


@pytest.mark.parametrize("new", [1, 2, 3, 5, 8, 13, 32, 33])
def test_no_changed_consistency_proof_verifies(new: int) -> None:
    for old in range(1, new + 1):
        for forged in flipped(TREE.consistency_proof(old, new).hashes):
            with pytest.raises(ProofError):
                merkle.verify_consistency(
                    old_size=old,
                    old_root=TREE.root_hash(old),
                    new_size=new,
                    new_root=TREE.root_hash(new),
                    proof=forged,
                )


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_of_an_inclusion_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    proof = TREE.inclusion_proof(index, size).hashes
    parts = [TREE.leaf_hash(index), TREE.root_hash(size), *proof]
    place, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[place] = (int.from_bytes(parts[place], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(ProofError):
        merkle.verify_inclusion(
            leaf_hash=parts[0], root_hash=parts[1], leaf_index=index, tree_size=size, proof=parts[2:]
        )


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_of_a_consistency_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, LARGEST))
    old = data.draw(st.integers(1, new))
    parts = [TREE.root_hash(old), TREE.root_hash(new), *TREE.consistency_proof(old, new).hashes]
    place, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[place] = (int.from_bytes(parts[place], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(ProofError):
        merkle.verify_consistency(
            old_size=old, old_root=parts[0], new_size=new, new_root=parts[1], proof=parts[2:]
        )


@given(
    leaf_index=st.integers(-1, 2**65),
    tree_size=st.integers(-1, 2**65),
    proof=st.lists(st.binary(min_size=31, max_size=33), max_size=70),
    root_hash=st.binary(min_size=31, max_size=33),
)
@settings(max_examples=100, deadline=None)
def test_garbage_is_refused_and_never_crashes(
    leaf_index: int, tree_size: int, proof: list[bytes], root_hash: bytes
) -> None:
    with pytest.raises(ProofError):
        merkle.verify_inclusion(
            leaf_hash=bytes(32), leaf_index=leaf_index, tree_size=tree_size, proof=proof, root_hash=root_hash
        )


@given(
    sizes=st.tuples(st.integers(-1, 2**65), st.integers(-1, 2**65)),
    proof=st.lists(st.just(bytes(32)), max_size=70),
)
@settings(max_examples=100, deadline=None)
def test_garbage_consistency_is_refused_and_never_crashes(sizes: tuple[int, int], proof: list[bytes]) -> None:
    with pytest.raises(ProofError):
        merkle.verify_consistency(
            old_size=sizes[0], old_root=bytes(32), new_size=sizes[1], new_root=b"\x01" * 32, proof=proof
        )


@given(leaves=st.lists(st.binary(max_size=8), max_size=40), cut=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_appending_changes_no_past_root(leaves: list[bytes], cut: int) -> None:
    hashes = [merkle.compute_leaf_hash(leaf) for leaf in leaves]
    cut = min(cut, len(hashes))
    tree = merkle.Tree(hashes[:cut])
    before = tree.root_hash()
    for leaf_hash in hashes[cut:]:
        tree.append(leaf_hash)
    assert tree.root_hash(cut) == before
    assert tree.root_hash() == merkle.compute_root(hashes)
