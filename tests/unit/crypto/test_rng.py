"""Seeded randomness: the same on every platform, however it is drawn."""

from __future__ import annotations

import hashlib

import pytest

from vetonet.crypto.rng import SeededRng


def test_the_stream_is_sha512_over_seed_and_counter() -> None:
    seed = hashlib.sha512(b"vetonet-seeded-rng-v1" + b"s").digest()
    blocks = [hashlib.sha512(seed + counter.to_bytes(8, "big")).digest() for counter in range(3)]
    assert SeededRng(b"s")(192) == b"".join(blocks)


@pytest.mark.parametrize("sizes", [[1] * 200, [63, 65, 72], [0, 200, 0], [64, 64, 64, 8], [128, 72]])
def test_the_stream_does_not_depend_on_how_it_is_drawn(sizes: list[int]) -> None:
    rng = SeededRng(b"s")
    assert b"".join(rng(size) for size in sizes) == SeededRng(b"s")(200)


def test_drawing_nothing_moves_nothing() -> None:
    rng = SeededRng(b"s")
    assert rng(0) == b""
    assert rng(5) == SeededRng(b"s")(5)


def test_other_seeds_give_other_streams() -> None:
    streams = {SeededRng(seed)(32) for seed in (b"", b"s", b"s\x00", b"S", b"vetonet-seeded-rng-v1s")}
    assert len(streams) == 5


def test_spawned_streams_are_named_and_independent_of_order() -> None:
    parent = SeededRng(b"s")
    first = parent.spawn("a")(32)
    parent(1000)
    assert parent.spawn("a")(32) == first
    assert parent.spawn("b")(32) != first
    assert parent.spawn("a").spawn("b")(32) != parent.spawn("a/b")(32)
    assert parent.spawn("")(32) != SeededRng(b"s")(32)


def test_the_seed_stays_out_of_repr() -> None:
    assert repr(SeededRng(b"secret seed")) == "SeededRng(<redacted>)"


def test_a_large_draw_takes_no_quadratic_time() -> None:
    assert len(SeededRng(b"s")(4_000_000)) == 4_000_000
