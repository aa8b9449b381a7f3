"""What a chip starts with: its maker's firmware, what the parties approved, and no older one (VN-17.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from support.firmware import FIRMWARE, PATCHED, UNKNOWN, make_firmware, sign_reference
from support.fleet import MODEL
from support.world import NOW_MS, make_council
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.firmware import Firmware
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.reference_values import ReferenceValues, UpdatePurpose
from vetonet.attester.firmware_gate import blow_fuses
from vetonet.attester.machine import TABLE, step
from vetonet.attester.manufacture import Maker, manufacture
from vetonet.attester.refusals import REFUSALS
from vetonet.attester.state import (
    AliasEndorsed,
    ChipState,
    Effect,
    FirmwareApproved,
    FirmwareOffered,
    Outcome,
    Phase,
    PowerCycled,
    Refused,
)
from vetonet.crypto.keys import EcdsaSigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Endorser
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR

ALL = ("p1", "p2", "p3")
SOME = ("p1", "p2")
PATCH, GUARANTEE = ActionClass.SECURITY_PATCH, ActionClass.NEW_GUARANTEE
OTHER_ROOT = generate_ecdsa(SeededRng(b"root of another maker"))
QUORUMS = {
    PATCH: Quorum.of_threshold(2, ALL),
    GUARANTEE: Quorum.of_threshold(3, ALL),
    ActionClass.AMEND_RULES: Quorum.of_threshold(3, ALL),
}


def make_endorsers(root: EcdsaSigningKey) -> tuple[Endorser, ...]:
    """The maker of the chips, and another one whose models may have the same names."""
    roots = {"maker": root, "other": OTHER_ROOT}
    return tuple(
        Endorser(endorser_id=name, root_key=key.public_key, attester_kind=SIMULATED)
        for name, key in roots.items()
    )


ROOT = make_council(quorums=QUORUMS).endorser_root
COUNCIL = make_council(quorums=QUORUMS, endorsers=make_endorsers(ROOT))
MAKER = Maker(
    endorser_id="maker",
    root=COUNCIL.endorser_root,
    not_before_ms=NOW_MS - MS_PER_HOUR,
    not_after_ms=NOW_MS + 10_000 * MS_PER_HOUR,
)
NEW = manufacture(MODEL, MAKER, COUNCIL.treaty, SeededRng(b"chip"), firmware=FIRMWARE)
FIRST = sign_reference(ROOT, model=MODEL.name)
UPDATE = sign_reference(ROOT, PATCHED, number=2, model=MODEL.name)
REFERENCE_LEAF, RESOLUTION_LEAF = 2, 6


def start(chip: ChipState, firmware: Firmware | None = None, *, seed: bytes = b"\x01" * 32) -> Outcome:
    return step(chip, PowerCycled(seed=seed, firmware=firmware), NOW_MS)


CHIP = start(NEW)[0]


def reason_of(effects: tuple[Effect, ...]) -> str:
    (refused,) = effects
    assert isinstance(refused, Refused)
    assert refused.reason in REFUSALS
    return refused.reason


def digest_of(reference: bytes) -> bytes:
    return sha256(read_unverified(reference, ReferenceValues).to_bytes()).digest()


def resolve(
    reference: bytes = UPDATE,
    *,
    by: tuple[str, ...] = SOME,
    signed_as: ActionClass | None = None,
    **changes: Any,
) -> bytes:
    """A resolution that approves reference values, with some fields changed."""
    fields: dict[str, Any] = {
        "treaty_digest": COUNCIL.treaty.payload_digest,
        "epoch": 1,
        "action": PATCH,
        "motion_digest": bytes(32),
        "motion_leaf_index": 3,
        "ballot_leaf_indices": (4, 5),
        "subject_digest": digest_of(reference),
        "issued_ms": NOW_MS,
        "ends_ms": NOW_MS + MS_PER_HOUR,
    }
    resolution = Resolution(**(fields | changes))
    return COUNCIL.sign_by(resolution, by, signed_as or resolution.action)


def offer(
    reference: bytes = UPDATE,
    data: bytes | None = None,
    places: tuple[int, int] = (REFERENCE_LEAF, RESOLUTION_LEAF),
    **changes: Any,
) -> FirmwareOffered:
    """What an operator hands in when the log holds both, with some parts changed."""
    resolution = resolve(reference) if data is None else data
    leaves = [COUNCIL.treaty.data, *(f"leaf {number}".encode() for number in range(1, 9))]
    leaves[places[0]], leaves[places[1]] = reference, resolution
    log = Log(COUNCIL.treaty.statement.log_origin, leaves)
    fields: dict[str, Any] = {
        "reference": reference,
        "data": resolution,
        "log_proof": compute_log_proof(log, places[1], COUNCIL.sign_head(log)),
        "inclusion": log.inclusion_proof(places[0]),
    }
    return FirmwareOffered(**(fields | changes))


def take(event: FirmwareOffered, chip: ChipState = CHIP) -> Outcome:
    return step(chip, event, NOW_MS)


UPDATED = start(take(offer())[0], PATCHED)[0]


def test_a_chip_starts_with_what_its_maker_put_in_and_endorses_each_component() -> None:
    """VN-17.5."""
    chip, effects = start(NEW)
    (endorsed,) = effects
    assert isinstance(endorsed, AliasEndorsed)
    assert read_unverified(endorsed.data, AliasEndorsement).firmware == FIRMWARE
    assert (chip.phase, chip.firmware, chip.boot_count) == (Phase.UNLICENSED, FIRMWARE, 1)


@pytest.mark.parametrize("chip", [NEW, CHIP], ids=["never started", "started"])
def test_a_chip_does_not_start_with_firmware_that_nobody_approved(chip: ChipState) -> None:
    """VN-17.8: not even its maker can change it alone."""
    following, effects = start(chip, PATCHED)
    assert reason_of(effects) == "firmware-unapproved"
    assert following == chip


def test_an_approved_update_may_be_started_and_runs_from_then_on() -> None:
    """VN-17.8."""
    told, effects = take(offer())
    assert effects[-1] == FirmwareApproved(digest=PATCHED.digest)
    assert told.firmware == FIRMWARE
    chip, _ = start(told, PATCHED)
    assert (chip.firmware, chip.boot_count) == (PATCHED, 2)
    assert start(chip)[0].firmware == PATCHED


def test_a_new_guarantee_takes_its_own_larger_quorum() -> None:
    """VN-17.8."""
    reference = sign_reference(ROOT, PATCHED, number=2, model=MODEL.name, purpose=UpdatePurpose.NEW_GUARANTEE)
    _, effects = take(offer(reference, resolve(reference, by=ALL, action=GUARANTEE)))
    assert isinstance(effects[-1], FirmwareApproved)


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def offer_a_guarantee_as_a_patch() -> FirmwareOffered:
    reference = sign_reference(ROOT, PATCHED, number=2, model=MODEL.name, purpose=UpdatePurpose.NEW_GUARANTEE)
    return offer(reference, resolve(reference))


def offer_a_guarantee_signed_by_the_quorum_for_patches() -> FirmwareOffered:
    reference = sign_reference(ROOT, PATCHED, number=2, model=MODEL.name, purpose=UpdatePurpose.NEW_GUARANTEE)
    return offer(reference, resolve(reference, action=GUARANTEE, signed_as=PATCH))


def offer_of_another_log() -> FirmwareOffered:
    log = Log(COUNCIL.treaty.statement.log_origin, [COUNCIL.treaty.data, b"another"])
    return offer(log_proof=compute_log_proof(log, 1, COUNCIL.sign_head(log)))


def offer_with_the_place_of_another_leaf() -> FirmwareOffered:
    good = offer()
    return replace(good, inclusion=replace(good.inclusion, leaf_index=REFERENCE_LEAF + 1))


def offer_under_too_few_witnesses() -> FirmwareOffered:
    leaves = [COUNCIL.treaty.data, UPDATE, b"2", b"3", b"4", b"5", resolve()]
    log = Log(COUNCIL.treaty.statement.log_origin, leaves)
    note = COUNCIL.sign_head(log, witness_ids=("p1",))
    return offer(log_proof=compute_log_proof(log, 6, note), inclusion=log.inclusion_proof(1))


# VN-17.8, attack: old firmware, vendor-signed back door, vendor and prover collude.
BAD: dict[str, tuple[Callable[[], FirmwareOffered], str]] = {
    "no reference": (lambda: offer(b"", resolve()), "reference-malformed"),
    "reference that is a resolution": (lambda: offer(resolve(), resolve()), "reference-malformed"),
    "reference with a forged signature": (lambda: offer(flip(UPDATE), resolve()), "reference-forged"),
    "reference by another maker of the treaty": (
        lambda: offer(sign_reference(OTHER_ROOT, PATCHED, number=2, maker="other", model=MODEL.name)),
        "reference-forged",
    ),
    "reference by another maker in this one's name": (
        lambda: offer(sign_reference(OTHER_ROOT, PATCHED, number=2, model=MODEL.name)),
        "reference-forged",
    ),
    "reference for another model": (
        lambda: offer(sign_reference(ROOT, PATCHED, number=2, model="Other Chip")),
        "other-model",
    ),
    "no resolution": (lambda: offer(UPDATE, b""), "resolution-malformed"),
    "resolution with a forged signature": (lambda: offer(UPDATE, flip(resolve())), "resolution-forged"),
    "resolution on something else": (
        lambda: offer(UPDATE, resolve(subject_digest=bytes(32))),
        "other-resolution",
    ),
    "resolution on earlier reference values": (lambda: offer(UPDATE, resolve(FIRST)), "other-resolution"),
    "resolution to amend the rules": (
        lambda: offer(UPDATE, resolve(by=ALL, action=ActionClass.AMEND_RULES)),
        "resolution-forged",
    ),
    "new guarantee approved as a patch": (offer_a_guarantee_as_a_patch, "resolution-forged"),
    "new guarantee signed by the quorum for patches": (
        offer_a_guarantee_signed_by_the_quorum_for_patches,
        "resolution-forged",
    ),
    "resolution of another epoch": (lambda: offer(UPDATE, resolve(epoch=2)), "wrong-epoch"),
    "resolution before its ballots": (
        lambda: offer(UPDATE, resolve(ballot_leaf_indices=(4, 7))),
        "not-in-log",
    ),
    "reference behind its resolution": (lambda: offer(places=(7, 6)), "not-in-log"),
    "reference that the log does not hold": (offer_with_the_place_of_another_leaf, "not-in-log"),
    "resolution that the log does not hold": (offer_of_another_log, "not-in-log"),
    "checkpoint of too few witnesses": (offer_under_too_few_witnesses, "checkpoint-unwitnessed"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_an_update_that_lacks_anything_is_refused_and_changes_nothing(
    make: Callable[[], FirmwareOffered], reason: str
) -> None:
    following, effects = take(make())
    assert reason_of(effects) == reason
    assert following == CHIP
    assert reason_of(start(following, PATCHED)[1]) == "firmware-unapproved"


def test_a_chip_does_not_go_back_once_a_newer_version_ran() -> None:
    """VN-17.7, attack: old firmware."""
    following, effects = start(UPDATED, FIRMWARE)
    assert reason_of(effects) == "firmware-rolled-back"
    assert following == UPDATED
    assert UPDATED.firmware == PATCHED


def test_a_chip_may_go_back_until_it_started_with_the_newer_version() -> None:
    """VN-17.7: an approval alone burns nothing, so an update that does not start strands no chip."""
    told, _ = take(offer())
    assert start(told, FIRMWARE)[0].firmware == FIRMWARE


def test_a_refused_start_burns_no_fuse() -> None:
    """VN-17.7."""
    assert start(CHIP, UNKNOWN)[0].fuses == CHIP.fuses == dict.fromkeys(("bootloader", "metering-engine"), 1)


def test_fuses_only_rise() -> None:
    """VN-17.7."""
    assert UPDATED.fuses == dict.fromkeys(("bootloader", "metering-engine"), 2)
    assert blow_fuses(UPDATED.fuses, FIRMWARE) == UPDATED.fuses
    alone = make_firmware("3.0", svn=7, names=("bootloader",))
    assert blow_fuses(UPDATED.fuses, alone) == {"bootloader": 7, "metering-engine": 2}


def test_one_old_component_among_new_ones_is_rolled_back() -> None:
    """VN-17.7."""
    mixed = Firmware(components=(PATCHED.components[0], FIRMWARE.components[1]))
    chip = replace(UPDATED, approved=UPDATED.approved | {mixed.digest})
    assert reason_of(start(chip, mixed)[1]) == "firmware-rolled-back"


def test_a_refused_start_leaves_the_alias_key_and_the_boot_count() -> None:
    """VN-17.7: whoever tries old firmware gets no endorsed key for it."""
    following, effects = start(UPDATED, FIRMWARE, seed=b"\x09" * 32)
    assert not any(isinstance(effect, AliasEndorsed) for effect in effects)
    assert (following.alias_key, following.boot_count) == (UPDATED.alias_key, UPDATED.boot_count)


def test_updates_are_taken_in_every_phase_with_power() -> None:
    takers = {row.phase for row in TABLE.values() if row.event is FirmwareOffered}
    assert takers == set(Phase) - {Phase.OFF}
