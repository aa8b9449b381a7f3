"""Batches of leaves: as many as one append may have, in order, none lost."""

from __future__ import annotations

import pytest

from vetonet.party.log_client import MAX_BATCH_BYTES, MAX_BATCH_LEAVES, split_batches
from vetonet.service.tile_log import MAX_BATCH
from vetonet.tlog.tiles import MAX_ENTRY_BYTES
from vetonet.wire.channel import MAX_MESSAGE_BYTES


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 2048, 5000])
def test_small_leaves_fill_batches_in_order(count: int) -> None:
    leaves = [b"%d" % number for number in range(count)]
    batches = list(split_batches(leaves))
    assert [leaf for batch in batches for leaf in batch] == leaves
    assert [len(batch) for batch in batches[:-1]] == [MAX_BATCH_LEAVES] * (len(batches) - 1)
    assert all(batches)


def test_large_leaves_are_batched_by_their_bytes() -> None:
    leaves = [bytes(MAX_ENTRY_BYTES)] * 100
    batches = list(split_batches(leaves))
    assert sum(map(len, batches)) == 100
    assert len(batches) > 1
    assert all(sum(map(len, batch)) <= MAX_BATCH_BYTES for batch in batches)


def test_empty_leaves_are_leaves() -> None:
    assert list(split_batches([b"", b""])) == [[b"", b""]]


def test_the_log_takes_every_batch() -> None:
    framing_bytes = 16 * MAX_BATCH_LEAVES
    assert MAX_BATCH_LEAVES <= MAX_BATCH
    assert MAX_BATCH_BYTES + framing_bytes < MAX_MESSAGE_BYTES
