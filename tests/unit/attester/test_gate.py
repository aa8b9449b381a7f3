"""The gate: every rule that refuses a licence, a checkpoint or work, by its reason code (VN-12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from support.fleet import PER_DEVICE_FLOP, Fleet, drive, make_fleet, tell
from support.world import make_council
from vetonet.attester.gate import LICENCE_RULES, WORK_RULES, find_allowance
from vetonet.attester.lease_gate import LEASE_RULES
from vetonet.attester.machine import step
from vetonet.attester.refusals import REFUSALS
from vetonet.attester.state import (
    CheckpointSeen,
    CheckpointTrusted,
    ChipState,
    IntervalEnded,
    LicenceAccepted,
    LicenceOffered,
    Phase,
    WorkRequested,
)
from vetonet.attester.treaty_gate import TREATY_RULES
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.merkle import ConsistencyProof, compute_inclusion_proof, compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.policy.band import Band, BandRule
from vetonet.policy.proposal import Proposal
from vetonet.tlog.checkpoint import Checkpoint, sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import Precision, WorkloadClass

FLEET = make_fleet()
CHIP, OUTSIDER = FLEET.chips[0], FLEET.chips[-1]
LICENCE = FLEET.licence.statement
NOW = CHIP.latest_ms
MALLORY = generate_ed25519(SeededRng(b"mallory"))


@cache
def licensed() -> ChipState:
    return FLEET.license(CHIP)


@cache
def leased() -> ChipState:
    return FLEET.lease(CHIP)


def spend() -> tuple[ChipState, LicenceOffered]:
    """A chip after the whole of a small share, and the licence it had."""
    fleet = make_fleet(per_device_flop=2 * 10**18)
    chip = fleet.lease(fleet.chips[0])
    return step(chip, fleet.request(flop=2 * 10**18), chip.latest_ms)[0], fleet.offer(chip.ueid)


def relicense(proposal_leaf_index: int, proposal: Signed[Proposal] | None = None) -> tuple[bytes, Log, int]:
    """Another licence for the same chips, with ids after that leaf, in a log that extends the fleet's."""
    council = FLEET.council
    proposal = proposal or council.sign_proposal(
        device_set_root=LICENCE.device_set_root,
        device_count=len(FLEET.members),
        per_device_flop=PER_DEVICE_FLOP,
    )
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    signed = council.sign_licence(proposal, ballots, proposal_leaf_index=proposal_leaf_index)
    leaves = [FLEET.log.leaf(index) for index in range(FLEET.log.tree_size)]
    log = Log(FLEET.log.origin, [*leaves, *(leaf.data for leaf in ballots.values()), b"x", signed.data])
    return signed.data, log, log.tree_size - 1


def offer_second(chip: ChipState, proposal: Signed[Proposal] | None = None, **changes: Any) -> LicenceOffered:
    data, log, leaf_index = relicense(7, proposal)
    checkpoint = FLEET.council.sign_head(log)
    fields: dict[str, Any] = {
        "data": data,
        "log_proof": compute_log_proof(log, leaf_index, checkpoint),
        "consistency": log.consistency_proof(FLEET.log.tree_size),
    }
    return FLEET.offer(chip.ueid, **(fields | changes))


def test_a_chip_of_the_set_accepts_a_logged_licence() -> None:
    chip, effects = step(CHIP, FLEET.offer(CHIP.ueid), NOW)
    assert isinstance(effects[0], CheckpointTrusted)
    assert effects[1] == LicenceAccepted(licence_id=LICENCE.licence_id)
    assert (chip.phase, chip.last_licence_id) == (Phase.LICENSED, LICENCE.licence_id)


def test_every_chip_of_the_set_accepts_it() -> None:
    for chip in FLEET.chips[:-1]:
        assert step(chip, FLEET.offer(chip.ueid), NOW)[0].phase is Phase.LICENSED


def forge_licence() -> LicenceOffered:
    return FLEET.offer(CHIP.ueid, data=sign_jointly(LICENCE, (MALLORY,)))


def offer_of_another_treaty() -> LicenceOffered:
    council = make_council(rng=SeededRng(b"other"))
    proposal = council.sign_proposal()
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    return FLEET.offer(CHIP.ueid, data=council.sign_licence(proposal, ballots).data)


def offer_of_another_epoch() -> LicenceOffered:
    # The group signs under an amended treaty; the chip still enforces the first.
    amended = replace(LICENCE, epoch=LICENCE.epoch + 1)
    return FLEET.offer(CHIP.ueid, data=FLEET.council.sign_by(amended, ("p1", "p2")))


def offer_unlogged() -> LicenceOffered:
    proof = FLEET.offer(CHIP.ueid).log_proof
    return FLEET.offer(CHIP.ueid, log_proof=replace(proof, leaf_index=6))


def offer_from_a_stranger_log() -> LicenceOffered:
    checkpoint = sign_checkpoint(FLEET.log.checkpoint(), MALLORY).to_bytes()
    return FLEET.offer(CHIP.ueid, log_proof=compute_log_proof(FLEET.log, 4, checkpoint))


def offer_from_a_log_that_holds_it_too_early() -> LicenceOffered:
    log = Log(FLEET.log.origin, [FLEET.licence.data, b"x"])
    checkpoint = FLEET.council.sign_head(log)
    return FLEET.offer(CHIP.ueid, log_proof=compute_log_proof(log, 0, checkpoint))


def offer_with_membership_of_another_chip() -> LicenceOffered:
    return FLEET.offer(CHIP.ueid, membership=FLEET.offer(FLEET.chips[1].ueid).membership)


def offer_with_membership_in_another_set() -> LicenceOffered:
    hashes = [compute_leaf_hash(CHIP.ueid), compute_leaf_hash(OUTSIDER.ueid)]
    return FLEET.offer(CHIP.ueid, membership=compute_inclusion_proof(hashes, 0))


REFUSED_LICENCES: dict[str, tuple[Callable[[], LicenceOffered], str]] = {
    "not a licence": (lambda: FLEET.offer(CHIP.ueid, data=b"\xd2\x80"), "licence-malformed"),
    "a proposal": (lambda: FLEET.offer(CHIP.ueid, data=FLEET.proposal.data), "licence-malformed"),
    "signed by one person": (forge_licence, "licence-forged"),
    "signed by another council": (offer_of_another_treaty, "licence-forged"),
    "of another epoch": (offer_of_another_epoch, "wrong-epoch"),
    "at another leaf": (offer_unlogged, "not-in-log"),
    "before its own ballots": (offer_from_a_log_that_holds_it_too_early, "not-in-log"),
    "in a log that another key signs": (offer_from_a_stranger_log, "checkpoint-forged"),
    "with another chip's membership": (offer_with_membership_of_another_chip, "not-in-device-set"),
    "with another set's membership": (offer_with_membership_in_another_set, "not-in-device-set"),
}


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*entry, id=name) for name, entry in REFUSED_LICENCES.items()]
)
def test_a_bad_licence_is_refused_with_its_reason(make: Callable[[], LicenceOffered], reason: str) -> None:
    """VN-12.2."""
    chip, effects = step(CHIP, make(), NOW)
    assert tell(effects) == [reason]
    assert chip is CHIP


def test_every_changed_byte_of_a_licence_is_refused() -> None:
    data = FLEET.licence.data
    for offset in range(0, len(data), 3):
        changed = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
        _, effects = step(CHIP, FLEET.offer(CHIP.ueid, data=changed), NOW)
        assert tell(effects)[0] in {"licence-malformed", "licence-forged", "wrong-epoch"}


def test_a_licence_transferred_to_a_chip_outside_the_set_is_refused() -> None:
    chip, effects = step(OUTSIDER, FLEET.offer(OUTSIDER.ueid), NOW)
    assert tell(effects) == ["not-in-device-set"]
    assert chip.phase is Phase.UNLICENSED


def test_an_expired_licence_is_refused() -> None:
    offer = FLEET.offer(CHIP.ueid)
    assert tell(step(CHIP, offer, LICENCE.expires_ms)[1]) == ["licence-expired"]
    assert tell(step(CHIP, offer, LICENCE.expires_ms - 1)[1]) == []


def test_a_licence_is_accepted_once() -> None:
    assert tell(step(licensed(), FLEET.offer(CHIP.ueid), licensed().latest_ms)[1]) == ["licence-replayed"]


def test_a_spent_licence_does_not_come_back() -> None:
    chip, offer = spend()
    assert tell(step(chip, offer, chip.latest_ms)[1]) == ["licence-replayed"]


def test_a_newer_licence_replaces_the_older_which_never_returns() -> None:
    chip, effects = step(licensed(), offer_second(CHIP), licensed().latest_ms)
    assert tell(effects) == []
    assert chip.last_licence_id is not None
    assert chip.last_licence_id > LICENCE.licence_id
    assert tell(step(chip, FLEET.offer(CHIP.ueid), chip.latest_ms)[1]) == ["licence-replayed"]


def test_an_older_licence_that_the_chip_never_had_is_superseded() -> None:
    chip, _ = step(CHIP, offer_second(CHIP), NOW)
    assert chip.phase is Phase.LICENSED
    assert tell(step(chip, FLEET.offer(CHIP.ueid), chip.latest_ms)[1]) == ["licence-superseded"]


def test_a_second_licence_of_one_proposal_is_refused() -> None:
    """VN-12.2: a quorum that signs one grant twice does not double the share, whatever came in between."""
    again = offer_second(CHIP, FLEET.proposal)
    chip, effects = step(licensed(), again, licensed().latest_ms)
    assert tell(effects) == ["licence-replayed"]
    assert chip is licensed()
    between = replace(licensed(), licence=None, last_licence_id=LICENCE.licence_id + 1)
    assert tell(step(between, again, between.latest_ms)[1]) == ["licence-replayed"]


def test_proposals_whose_licence_has_ended_are_let_go() -> None:
    aged = replace(licensed(), accepted={**licensed().accepted, bytes(32): LICENCE.not_before_ms})
    chip, _ = step(aged, offer_second(CHIP), LICENCE.not_before_ms)
    assert chip.licence is not None
    assert set(chip.accepted) == {LICENCE.proposal_digest, chip.licence.licence.proposal_digest}


def test_a_newer_licence_needs_a_log_that_extends_the_known_one() -> None:
    # A split view: the checkpoint is signed by the log, but it does not extend what the chip has seen.
    now = licensed().latest_ms
    assert tell(step(licensed(), offer_second(CHIP, consistency=None), now)[1]) == ["log-fork"]
    wrong = ConsistencyProof(old_size=7, new_size=11, hashes=(bytes(32),) * 3)
    assert tell(step(licensed(), offer_second(CHIP, consistency=wrong), now)[1]) == ["log-fork"]


def checkpoint_of(log: Log, size: int | None = None) -> bytes:
    return FLEET.council.sign_head(log, size)


def test_a_checkpoint_is_believed_when_it_extends_the_last() -> None:
    log = relicense(7)[1]
    chip, effects = drive(CHIP, (CheckpointSeen(data=checkpoint_of(log, 3)), NOW))
    assert effects == [CheckpointTrusted(checkpoint=log.checkpoint(3))]
    event = CheckpointSeen(data=checkpoint_of(log), consistency=log.consistency_proof(3))
    chip, _ = step(chip, event, NOW)
    assert chip.checkpoint == log.checkpoint()
    assert tell(step(chip, CheckpointSeen(data=checkpoint_of(log)), NOW)[1]) == []


def test_a_bad_checkpoint_is_refused_with_its_reason() -> None:
    log = relicense(7)[1]
    chip, _ = step(CHIP, CheckpointSeen(data=checkpoint_of(log, 6)), NOW)
    other = Checkpoint(origin=log.origin, tree_size=6, root_hash=bytes(32))
    same_size = FLEET.council.cosign(sign_checkpoint(other, FLEET.council.log_key), ("p1", "p2", "p3"))
    unwitnessed = FLEET.council.sign_head(log, witness_ids=("p2",))
    for data, reason in (
        (b"nonsense", "checkpoint-malformed"),
        (unwitnessed, "checkpoint-unwitnessed"),
        (sign_checkpoint(log.checkpoint(), MALLORY).to_bytes(), "checkpoint-forged"),
        (checkpoint_of(Log("log.example/other", [b"x"])), "checkpoint-forged"),
        (checkpoint_of(log, 5), "checkpoint-stale"),
        (checkpoint_of(log, 7), "log-fork"),
        (same_size, "log-fork"),
    ):
        assert tell(step(chip, CheckpointSeen(data=data), NOW)[1]) == [reason]


def test_time_never_runs_backwards() -> None:
    for event in (FLEET.offer(CHIP.ueid), FLEET.free_request(), IntervalEnded()):
        chip, effects = step(licensed(), event, licensed().latest_ms - 1)
        assert tell(effects) == ["clock-behind"]
        assert chip is licensed()


REFUSED_WORK: dict[str, tuple[Callable[[Fleet], WorkRequested], str]] = {
    "a precision that the chip lacks": (
        lambda f: f.free_request(precision=Precision.FP4),
        "unknown-precision",
    ),
    "a large run without a licence": (lambda f: f.free_request(total_flop=10**24), "licence-required"),
    "a forbidden run": (lambda f: f.free_request(total_flop=38 * 10**26), "licence-required"),
    "another licence": (lambda f: f.request(licence_id=LICENCE.licence_id + 1), "no-licence"),
    "another workload": (lambda f: f.request(workload=WorkloadClass.INFERENCE), "other-workload"),
    "another precision": (lambda f: f.request(precision=Precision.FP8), "other-precision"),
    "a larger run": (lambda f: f.request(total_flop=LICENCE.total_flop + 1), "total-above-licence"),
}


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*entry, id=name) for name, entry in REFUSED_WORK.items()]
)
def test_work_outside_the_rules_is_refused(make: Callable[[Fleet], WorkRequested], reason: str) -> None:
    chip, effects = step(leased(), make(FLEET), leased().latest_ms)
    assert tell(effects) == [reason]
    assert chip is leased()


def test_a_chip_without_a_licence_refuses_licensed_work() -> None:
    assert tell(step(CHIP, FLEET.request(), NOW)[1]) == ["no-licence"]


def test_a_run_just_below_the_band_needs_no_licence() -> None:
    assert tell(step(CHIP, FLEET.free_request(total_flop=10**24 - 1), NOW)[1]) == []


def test_licensed_work_does_not_start_before_its_time() -> None:
    chip, _ = step(CHIP, FLEET.offer(CHIP.ueid), NOW)
    assert tell(step(chip, FLEET.request(), LICENCE.not_before_ms - 1)[1]) == ["licence-not-started"]


def test_a_licensed_interval_lies_wholly_in_the_licences_window() -> None:
    chip, _ = step(CHIP, FLEET.offer(CHIP.ueid), NOW)
    chip, _ = step(chip, FLEET.lease_offer(), NOW)
    assert tell(step(chip, FLEET.request(), LICENCE.not_before_ms)[1]) == ["interval-open"]


def test_one_interval_holds_one_job() -> None:
    # VN-9.1
    chip, _ = step(leased(), FLEET.request(), leased().latest_ms)
    assert tell(step(chip, FLEET.free_request(), chip.latest_ms)[1]) == ["interval-open"]
    assert tell(step(chip, FLEET.request(), chip.latest_ms)[1]) == []


def test_a_spent_licence_allows_no_more_licensed_work() -> None:
    chip, _ = spend()
    request = FLEET.request(licence_id=chip.last_licence_id)
    assert tell(step(chip, request, chip.latest_ms)[1]) == ["licence-spent"]


def test_the_allowance_is_the_floor_of_the_first_band_that_is_not_free() -> None:
    assert find_allowance(FLEET.council.treaty.statement) == 10**24
    free = (Band(name="free", floor_flop=0, rule=BandRule.FREE),)
    assert find_allowance(make_council(bands=free).treaty.statement) is None
    strict = (Band(name="no", floor_flop=0, rule=BandRule.FORBIDDEN),)
    assert find_allowance(make_council(bands=strict).treaty.statement) == 0


def test_every_rule_has_a_reason_in_the_table() -> None:
    assert {reason for reason, _ in (*LICENCE_RULES, *LEASE_RULES, *TREATY_RULES, *WORK_RULES)} <= REFUSALS


@pytest.mark.parametrize("change", [{"flop": 0}, {"duration_ms": 0}, {"total_flop": 1}])
def test_a_request_for_nothing_is_our_own_mistake(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        FLEET.request(**change)
