"""Offline licences: one file for one chip, and every way in which a chip refuses one (requirement 24)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from tracemalloc import get_traced_memory
from tracemalloc import start as start_tracing
from tracemalloc import stop as stop_tracing

import pytest

from support.fleet import LICENCE_LEAF, make_fleet, tell
from support.world import NOW_MS
from vetonet.attester.machine import step
from vetonet.attester.offline import OfflineLicence, TreeExtension, pack_offline, take_offline
from vetonet.attester.state import CheckpointSeen, ChipState, IntervalEnded, Phase
from vetonet.crypto.merkle import ConsistencyProof
from vetonet.errors import EncodingError
from vetonet.policy.proposal import OFFLINE_UNIT_FLOP
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof

UNITS = 3
FLEET = make_fleet(per_device_flop=UNITS * OFFLINE_UNIT_FLOP)
CHIP, OTHER, OUTSIDER = FLEET.chips[0], FLEET.chips[1], FLEET.chips[-1]
LICENCE = FLEET.licence.statement
PACKED = pack_offline(FLEET.offer(CHIP.ueid), FLEET.lease_offer())
START = LICENCE.not_before_ms
DUE = START - 1_000


def take(chip: ChipState, packed: OfflineLicence = PACKED, now: int = DUE) -> tuple[ChipState, list[str]]:
    chip, effects = take_offline(chip, packed.to_bytes(), now)
    return chip, tell(effects)


def licensed() -> ChipState:
    chip, reasons = take(CHIP)
    assert not reasons
    return step(chip, IntervalEnded(), START)[0]


def test_one_file_lets_an_air_gapped_chip_run_its_units_and_no_more() -> None:
    # RFD 032: an allowance in units of 1e18 FLOP
    chip = licensed()
    assert chip.licence is not None
    assert chip.licence.left_flop == UNITS * OFFLINE_UNIT_FLOP
    request = FLEET.request(flop=2 * OFFLINE_UNIT_FLOP, total_flop=LICENCE.total_flop)
    chip, effects = step(chip, request, START)
    chip, effects = step(chip, request, chip.latest_ms)
    assert tell(effects) == ["budget-spent"]
    assert chip.cumulative_flop == UNITS * OFFLINE_UNIT_FLOP
    assert chip.phase is Phase.SPENT


def test_a_file_has_one_spelling() -> None:
    data = PACKED.to_bytes()
    assert OfflineLicence.from_bytes(data) == PACKED
    assert len(data) < 8 * 1024


def forge_signature(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def name_another_log() -> OfflineLicence:
    log = Log(FLEET.log.origin, [b"other", *[FLEET.log.leaf(index) for index in range(1, 7)]])
    checkpoint = FLEET.council.sign_head(log)
    return replace(PACKED, checkpoint=checkpoint)


def pack_for_another_chip() -> OfflineLicence:
    return pack_offline(FLEET.offer(OTHER.ueid), FLEET.lease_offer())


REFUSED: dict[str, tuple[Callable[[], tuple[ChipState, OfflineLicence, int]], str]] = {
    "replayed": (
        lambda: (replace(licensed(), licence=None), PACKED, START),
        "licence-replayed",
    ),
    "for another device": (lambda: (CHIP, pack_for_another_chip(), DUE), "not-in-device-set"),
    "for a device of no set": (lambda: (OUTSIDER, PACKED, DUE), "not-in-device-set"),
    "with an id below one used": (
        lambda: (replace(CHIP, last_licence_id=LICENCE.licence_id + 1), PACKED, DUE),
        "licence-superseded",
    ),
    "with a bad signature": (
        lambda: (CHIP, replace(PACKED, licence=forge_signature(PACKED.licence)), DUE),
        "licence-forged",
    ),
    "expired": (lambda: (CHIP, PACKED, LICENCE.expires_ms), "licence-expired"),
    "of another epoch": (
        lambda: (
            replace(
                CHIP,
                treaty=replace(
                    CHIP.treaty, statement=replace(CHIP.treaty.statement, epoch=LICENCE.epoch + 1)
                ),
            ),
            PACKED,
            DUE,
        ),
        "wrong-epoch",
    ),
    "without its inclusion in the log": (lambda: (CHIP, name_another_log(), DUE), "not-in-log"),
    "whose lease is of a bad signature": (
        lambda: (CHIP, replace(PACKED, lease=forge_signature(PACKED.lease)), DUE),
        "lease-forged",
    ),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_offline_licence_is_refused(
    make: Callable[[], tuple[ChipState, OfflineLicence, int]], reason: str
) -> None:
    # VN-12.2, requirement 24
    chip, packed, now = make()
    following, reasons = take(chip, packed, now)
    assert reasons == [reason]
    assert following.cumulative_flop == chip.cumulative_flop


def test_a_licence_that_is_held_already_takes_only_the_lease_of_the_file() -> None:
    chip, _ = step(CHIP, FLEET.offer(CHIP.ueid), DUE)
    chip, reasons = take(chip)
    assert not reasons
    assert chip.licence is not None
    assert chip.licence.newest_number == 1


def test_a_file_given_twice_buys_nothing_twice() -> None:
    # Licence replay (Petrie)
    chip, reasons = take(licensed(), now=START)
    assert reasons == ["lease-replayed"]
    assert chip.licence is not None
    assert chip.licence.left_flop == UNITS * OFFLINE_UNIT_FLOP


def test_a_file_for_a_chip_that_knows_the_log_extends_what_it_knows() -> None:
    size = LICENCE_LEAF
    knowing, _ = step(CHIP, CheckpointSeen(data=FLEET.sign_head(size)), CHIP.latest_ms)
    assert take(knowing)[1] == ["log-fork"]
    extension = FLEET.log.consistency_proof(size, FLEET.log.tree_size)
    offer = FLEET.offer(CHIP.ueid, consistency=extension)
    packed = pack_offline(offer, FLEET.lease_offer(consistency=extension))
    assert OfflineLicence.from_bytes(packed.to_bytes()) == packed
    assert take(knowing, packed)[1] == []


def test_stockpiled_licences_do_not_outlast_the_newest_nor_their_end() -> None:
    # Stockpiling (Petrie, RFD 034): what was not used before a newer one was taken is gone.
    newer = replace(licensed(), last_licence_id=LICENCE.licence_id + 5, licence=None, accepted={})
    assert take(newer, now=START)[1] == ["licence-superseded"]
    assert take(CHIP, now=LICENCE.expires_ms)[1] == ["licence-expired"]


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\x00" * 300_000, PACKED.to_bytes()[:-1]])
def test_what_is_no_file_is_refused_by_its_reason(data: bytes) -> None:
    chip, effects = take_offline(CHIP, data, DUE)
    assert chip is CHIP
    assert tell(effects) == ["licence-malformed"]


def test_a_place_outside_the_set_and_a_shrinking_log_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="place among"):
        replace(PACKED, device_count=1, member_place=replace(PACKED.member_place, leaf_index=1))
    with pytest.raises(ValueError, match="extends"):
        TreeExtension(old_size=3, new_size=2, hashes=())
    with pytest.raises(EncodingError):
        OfflineLicence.from_item(PACKED.to_item() | {9: 1})


def test_two_checkpoints_make_no_file() -> None:
    older = FLEET.lease_offer(log_proof=compute_log_proof(FLEET.log, 5, FLEET.sign_head(6)))
    with pytest.raises(ValueError, match="one checkpoint"):
        pack_offline(FLEET.offer(CHIP.ueid), older)


def test_a_proof_in_a_file_is_what_the_chip_is_offered() -> None:
    extension = ConsistencyProof(old_size=1, new_size=2, hashes=(bytes(32),))
    offer = FLEET.offer(CHIP.ueid, consistency=extension)
    licence, lease = pack_offline(offer, FLEET.lease_offer(consistency=extension)).to_offers()
    assert licence == offer
    assert lease == FLEET.lease_offer(consistency=extension)


def test_a_thousand_licences_cost_a_chip_32_bytes_each_and_their_bookkeeping() -> None:
    # RFD 032: 1,000 licences in 32 KB of memory; Python's own objects come on top, at most ten times that.
    start_tracing()
    before, _ = get_traced_memory()
    accepted = {number.to_bytes(32, "big"): NOW_MS + number for number in range(1_000)}
    chip = replace(CHIP, accepted=accepted)
    after, _ = get_traced_memory()
    stop_tracing()
    assert sum(map(len, chip.accepted)) == 32_000
    assert after - before < 320_000
