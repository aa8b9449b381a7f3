"""The log and commitments: append, inclusion proof, sums of commitments; bare SHA-256 as the yardstick."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import count

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from vetonet.crypto import merkle
from vetonet.crypto.pedersen import Commitment, Opening, commit, sum_commitments
from vetonet.tlog.log import Log

SIZES = (10_000, 1_000_000)
COMMITMENTS = 10_000
LEAF = bytes(300)  # about the size of a signed statement


@cache
def build_tree(size: int) -> merkle.Tree:
    """A tree of this size, built once for all rounds; the leaves themselves do not matter to it."""
    return merkle.Tree(sha256(index.to_bytes(8, "big")).digest() for index in range(size))


@cache
def build_commitments() -> tuple[bytes, ...]:
    openings = (
        Opening(value=index, blinding=index.to_bytes(32, "big")) for index in range(1, COMMITMENTS + 1)
    )
    return tuple(commit(opening).to_bytes() for opening in openings)


@pytest.mark.benchmark(group="append")
def test_append_to_an_empty_log(benchmark: BenchmarkFixture) -> None:
    log = Log("bench.example/log")
    benchmark(log.append, LEAF)


@pytest.mark.benchmark(group="append")
@pytest.mark.parametrize("size", SIZES)
def test_append_to_a_large_tree(benchmark: BenchmarkFixture, size: int) -> None:
    tree = merkle.Tree(build_tree(size).leaf_hash(index) for index in range(size))
    leaf_hash = merkle.compute_leaf_hash(LEAF)
    benchmark(tree.append, leaf_hash)


@pytest.mark.benchmark(group="append")
def test_bare_sha256_of_a_leaf_and_a_node(benchmark: BenchmarkFixture) -> None:
    """The two hashes that an append costs on average, without anything around them."""
    node = bytes(65)
    benchmark(lambda: (sha256(LEAF).digest(), sha256(node).digest()))


@pytest.mark.benchmark(group="inclusion-proof")
@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proof(benchmark: BenchmarkFixture, size: int) -> None:
    tree, places = build_tree(size), count(0, 7919)
    benchmark(lambda: tree.inclusion_proof(next(places) % (size - 1), size - 1))


@pytest.mark.benchmark(group="inclusion-proof")
@pytest.mark.parametrize("size", SIZES)
def test_verify_inclusion(benchmark: BenchmarkFixture, size: int) -> None:
    tree = build_tree(size)
    proof, root_hash, leaf_hash = (
        tree.inclusion_proof(size // 3).hashes,
        tree.root_hash(),
        tree.leaf_hash(size // 3),
    )
    benchmark(
        lambda: merkle.verify_inclusion(
            leaf_hash=leaf_hash, leaf_index=size // 3, tree_size=size, proof=proof, root_hash=root_hash
        )
    )


@pytest.mark.benchmark(group="inclusion-proof")
@pytest.mark.parametrize("size", SIZES)
def test_bare_sha256_along_one_path(benchmark: BenchmarkFixture, size: int) -> None:
    """As many node hashes as the tree is deep: the least that verification can cost."""
    node, depth = bytes(65), (size - 1).bit_length()
    benchmark(lambda: [sha256(node).digest() for _ in range(depth)])


@pytest.mark.benchmark(group="consistency-proof")
@pytest.mark.parametrize("size", SIZES)
def test_consistency_proof(benchmark: BenchmarkFixture, size: int) -> None:
    tree = build_tree(size)
    benchmark(tree.consistency_proof, size // 3, size - 1)


@pytest.mark.benchmark(group="pedersen-commit")
def test_commit(benchmark: BenchmarkFixture) -> None:
    benchmark(commit, Opening(value=2**40 + 1, blinding=sha256(b"blinding").digest()))


@pytest.mark.benchmark(group="pedersen-sum")
def test_decode_commitments(benchmark: BenchmarkFixture) -> None:
    encoded = build_commitments()
    benchmark(lambda: [Commitment.from_bytes(data) for data in encoded])


@pytest.mark.benchmark(group="pedersen-sum")
def test_sum_commitments(benchmark: BenchmarkFixture) -> None:
    commitments = [Commitment.from_bytes(data) for data in build_commitments()]
    benchmark(sum_commitments, commitments)


@pytest.mark.benchmark(group="pedersen-sum")
def test_bare_sha256_of_as_many_points(benchmark: BenchmarkFixture) -> None:
    encoded = build_commitments()
    benchmark(lambda: [sha256(data).digest() for data in encoded])
