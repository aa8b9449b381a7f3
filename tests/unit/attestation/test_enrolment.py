"""Enrolment and aliases: signed by maker and owner, one key, one owner, once (VN-8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.firmware import FIRMWARE
from support.fleet import make_fleet
from vetonet.attestation.enrolment import (
    AliasEndorsement,
    DeviceEnrolment,
    EnrolledDevice,
    PeakRate,
    open_alias,
    open_enrolment,
)
from vetonet.attestation.registry import Registry
from vetonet.attester.manufacture import describe
from vetonet.crypto.keys import Algorithm, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign, sign_jointly
from vetonet.errors import (
    AppraisalError,
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
)
from vetonet.units import Precision

FLEET = make_fleet()
COUNCIL, CHIP = FLEET.council, FLEET.chips[0]
TREATY = COUNCIL.treaty.statement
ENROLMENT = describe(CHIP, FLEET.maker, owner="op1", site="Here")
OP1, OP2 = COUNCIL.operator_keys["op1"], COUNCIL.operator_keys["op2"]
ENDORSER_KEYS = {"maker": COUNCIL.endorser_root.public_key}
OPERATOR_KEYS = {"op1": OP1.public_key, "op2": OP2.public_key}
RNG = SeededRng(b"enrolment")


def open_it(data: bytes) -> EnrolledDevice:
    return open_enrolment(data, endorser_keys=ENDORSER_KEYS, operator_keys=OPERATOR_KEYS)


def endorse(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "ueid": CHIP.ueid,
        "alias": generate_ed25519(RNG).public_key,
        "boot_count": 1,
        "firmware": FIRMWARE,
    }
    return sign(AliasEndorsement(**(fields | changes)), CHIP.secure_element)


def make_registry() -> Registry:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], TREATY)
    return registry


def test_an_enrolment_names_the_chip_by_its_key() -> None:
    device = open_it(FLEET.enrolments[0])
    assert device.ueid == CHIP.ueid
    assert device.enrolment == ENROLMENT
    assert device.find_peak(Precision.BF16) == 989_400 * 10**9
    assert device.find_peak(Precision.FP4) is None


@pytest.mark.parametrize("keys", [(OP1,), (COUNCIL.endorser_root,), (COUNCIL.endorser_root, OP2)])
def test_an_enrolment_without_its_maker_or_its_owner_is_refused(keys: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidSignatureError):
        open_it(sign_jointly(ENROLMENT, keys))


def test_an_enrolment_by_a_stranger_under_the_makers_name_is_refused() -> None:
    with pytest.raises(InvalidSignatureError):
        open_it(sign_jointly(ENROLMENT, (generate_ecdsa(RNG), OP1)))


@pytest.mark.parametrize("change", [{"endorser_id": "stranger"}, {"owner": "nobody"}])
def test_an_unknown_maker_or_owner_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownPartyError):
        open_it(sign_jointly(replace(ENROLMENT, **change), (COUNCIL.endorser_root, OP1)))


def test_an_enrolment_with_a_certificate_of_another_root_is_refused() -> None:
    other = replace(FLEET.maker, root=generate_ecdsa(RNG))
    chip_enrolment = replace(ENROLMENT, certificate=_certify(other))
    with pytest.raises(InvalidSignatureError):
        open_it(sign_jointly(chip_enrolment, (COUNCIL.endorser_root, OP1)))


def _certify(maker: Any) -> bytes:
    from vetonet.attestation.identity import issue_device_certificate  # noqa: PLC0415

    return issue_device_certificate(
        CHIP.secure_element.public_key,
        maker.root,
        endorser_id=maker.endorser_id,
        serial=ENROLMENT.serial,
        not_before_ms=maker.not_before_ms,
        not_after_ms=maker.not_after_ms,
    )


def test_an_enrolment_says_for_how_long_its_maker_vouches() -> None:
    certificate = open_it(FLEET.enrolments[0]).certificate
    certificate.verify_validity(FLEET.maker.not_after_ms)
    with pytest.raises(AppraisalError, match="not valid"):
        certificate.verify_validity(FLEET.maker.not_after_ms + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "Ĥ100"},
        {"peaks": (PeakRate(precision=Precision.BF16, flop_per_s=0),)},
        {"peaks": (PeakRate(precision=Precision.BF16, flop_per_s=1),) * 2},
        {"memory_bytes": 0},
        {"tdp_w": 0},
    ],
)
def test_impossible_facts_are_refused(change: dict[str, Any]) -> None:
    """VN-8.1."""
    with pytest.raises(ValueError, match="expected"):
        replace(ENROLMENT, **change)


@pytest.mark.parametrize("change", [{"peaks": ()}, {"model": "x" * 33}, {"certificate": b""}, {"site": ""}])
def test_facts_that_nobody_could_read_are_not_signed(change: dict[str, Any]) -> None:
    with pytest.raises(EncodingError):
        sign_jointly(replace(ENROLMENT, **change), (COUNCIL.endorser_root, OP1))


def test_the_same_enrolment_twice_is_refused() -> None:
    # VN-8.3
    with pytest.raises(RefusedError) as caught:
        make_registry().read_enrolment(FLEET.enrolments[0], TREATY)
    assert caught.value.culprit == "op1"


def test_one_key_under_two_owners_is_equivocation_of_its_maker() -> None:
    # VN-8.3, trustee #1551
    other = sign_jointly(replace(ENROLMENT, owner="op2"), (COUNCIL.endorser_root, OP2))
    with pytest.raises(EquivocationError) as caught:
        make_registry().read_enrolment(other, TREATY)
    assert caught.value.culprit == "maker"


def test_one_key_with_two_sets_of_facts_is_equivocation() -> None:
    other = sign_jointly(replace(ENROLMENT, memory_bytes=1), (COUNCIL.endorser_root, OP1))
    with pytest.raises(EquivocationError):
        make_registry().read_enrolment(other, TREATY)


def test_an_attester_kind_that_the_treaty_does_not_name_is_refused() -> None:
    # VN-8.2: simulated chips never pass for real ones
    other = sign_jointly(replace(ENROLMENT, attester_kind="tpm2"), (COUNCIL.endorser_root, OP1))
    with pytest.raises(RefusedError) as caught:
        Registry().read_enrolment(other, TREATY)
    assert caught.value.culprit == "maker"


def test_a_registry_finds_what_it_read_and_nothing_else() -> None:
    registry = FLEET.registry
    known = registry.find_alias(next(iter(registry.aliases)))
    assert known.device.ueid == CHIP.ueid
    assert registry.find_device(CHIP.ueid) is registry.devices[CHIP.ueid]
    with pytest.raises(UnknownPartyError):
        registry.find_device(bytes(33))
    with pytest.raises(UnknownPartyError):
        registry.find_alias(bytes(32))


def test_a_failed_enrolment_leaves_no_trace() -> None:
    registry = Registry()
    with pytest.raises(InvalidSignatureError):
        registry.read_enrolment(sign_jointly(ENROLMENT, (OP1,)), TREATY)
    assert not registry.devices


def test_an_alias_of_a_chip_that_is_not_enrolled_is_refused() -> None:
    with pytest.raises(UnknownPartyError):
        Registry().read_alias(FLEET.aliases[0])


def test_an_alias_signed_by_another_chip_is_refused() -> None:
    stolen = AliasEndorsement(
        ueid=CHIP.ueid, alias=generate_ed25519(RNG).public_key, boot_count=2, firmware=FIRMWARE
    )
    with pytest.raises(UnknownPartyError):
        make_registry().read_alias(sign(stolen, FLEET.chips[1].secure_element))


def test_an_alias_about_another_chip_is_refused() -> None:
    # VN-8.4
    data = endorse(ueid=FLEET.chips[1].ueid)
    with pytest.raises(UnknownPartyError, match="endorsed by"):
        open_alias(data, open_it(FLEET.enrolments[0]))


def test_boot_counts_rise() -> None:
    # VN-8.4
    registry = make_registry()
    registry.read_alias(endorse(boot_count=3))
    registry.read_alias(endorse(boot_count=5))
    with pytest.raises(RefusedError, match="expected a boot after 5") as caught:
        registry.read_alias(endorse(boot_count=4))
    assert caught.value.culprit == CHIP.ueid.hex()


def test_two_alias_keys_for_one_boot_are_equivocation() -> None:
    """One identity under two keys (keylime #1820)."""
    registry = make_registry()
    registry.read_alias(endorse())
    with pytest.raises(EquivocationError) as caught:
        registry.read_alias(endorse())
    assert caught.value.culprit == CHIP.ueid.hex()


def test_one_alias_key_twice_is_refused() -> None:
    registry, key = make_registry(), generate_ed25519(RNG).public_key
    registry.read_alias(endorse(alias=key))
    with pytest.raises(RefusedError, match="already"):
        registry.read_alias(endorse(alias=key, boot_count=2))


def test_boot_zero_is_refused() -> None:
    with pytest.raises(RefusedError):
        make_registry().read_alias(endorse(boot_count=0))


def test_an_alias_key_of_another_algorithm_is_refused() -> None:
    alias = generate_ecdsa(RNG, Algorithm.ES384).public_key
    with pytest.raises(ValueError, match="Ed25519"):
        AliasEndorsement(ueid=CHIP.ueid, alias=alias, boot_count=1, firmware=FIRMWARE)


def test_an_enrolment_is_no_alias() -> None:
    with pytest.raises(EncodingError):
        make_registry().read_alias(FLEET.enrolments[0])


def test_an_enrolment_that_was_altered_is_refused() -> None:
    data = FLEET.enrolments[0]
    assert DeviceEnrolment.TYPE.encode() in data
    changed = data.replace(b"Here", b"Hera")
    with pytest.raises(InvalidSignatureError):
        open_it(changed)
