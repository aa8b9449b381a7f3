"""What an adversary tried on evidence of one chip: each is refused, without a foreign exception."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.chip_evidence import (
    DEVICE,
    LATER_MS,
    ROOT,
    endorse,
    expect,
    judge,
    make_evidence,
    report,
    report_raw,
)
from support.coordination import enrol_chip
from support.firmware import FIRMWARE
from support.world import make_council
from vetonet.attestation.ear import Tier
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.psa import read_psa_claims
from vetonet.attestation.registry import Registry
from vetonet.attestation.revocation import (
    RevocationList,
    RevocationReason,
    RevokedDevice,
    open_revocation_list,
)
from vetonet.crypto.statement import Signed, sign
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, RefusedError
from vetonet.units import MS_PER_HOUR


def make_list(number: int, *, revokes: bool) -> Signed[RevocationList]:
    entry = RevokedDevice(ueid=DEVICE.public_key.ueid, reason=RevocationReason.TAMPERED)
    listed = RevocationList(
        endorser_id="maker",
        number=number,
        issued_ms=LATER_MS - MS_PER_HOUR,
        expires_ms=LATER_MS + MS_PER_HOUR,
        entries=(entry,) if revokes else (),
    )
    return open_revocation_list(sign(listed, ROOT), {ROOT.public_key.key_id: ROOT.public_key})


@pytest.mark.parametrize("numbers", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_no_order_of_lists_hides_a_revoked_chip(numbers: tuple[int, int], *, turned: bool) -> None:
    # VN-17.3: no later list takes a chip back
    first, second = numbers
    lists = [make_list(first, revokes=True), make_list(second, revokes=False)]
    result = judge(expected=replace(expect(), revocations=tuple(reversed(lists) if turned else lists)))
    assert [entry.reason for entry in result.failed] == ["device-revoked"]


@pytest.mark.parametrize("text", ["[[],1]", "[{},1]", "[null,1]", "[1,1]"])
def test_a_submodule_of_json_that_is_no_token_is_malformed(text: str) -> None:
    result = judge(make_evidence(report=report_raw(lambda claims: claims.update({266: {"a": text}}))))
    assert result.status is Tier.CONTRAINDICATED
    assert {entry.reason for entry in result.failed} == {"claim-malformed"}


@pytest.mark.parametrize("value", [0, None, True, -1, "text"])
def test_a_nonce_of_the_first_psa_profile_is_held_to_its_type(value: object) -> None:
    payload = cbor.to_bytes({-75000: "PSA_IOT_PROFILE_1", -75008: value})
    with pytest.raises(EncodingError):
        read_psa_claims(payload)


def test_a_psa_token_names_one_profile_and_each_claim_once() -> None:
    old = {-75000: "PSA_IOT_PROFILE_1", -75008: bytes(32)}
    for added in ({265: "http://arm.com/psa/2.0.0"}, {10: bytes(32)}):
        with pytest.raises(EncodingError, match=r"two profiles|stands twice"):
            read_psa_claims(cbor.to_bytes(old | added))
    with pytest.raises(EncodingError, match="under another"):
        read_psa_claims(cbor.to_bytes({265: "http://arm.com/psa/2.0.0", -75008: bytes(32)}))


def test_a_device_key_is_no_key_of_a_boot() -> None:
    # VN-17.1: what signs reports must be bound to what was measured
    evidence = make_evidence(alias=endorse(alias=DEVICE.public_key), report=report(DEVICE))
    assert [entry.reason for entry in judge(evidence).failed] == ["platform-mismatched"]


def test_nobody_keeps_a_chip_out_by_endorsing_its_key() -> None:
    # VN-8.3, VN-8.4: naming a key proves nothing about it
    council, registry = make_council(), Registry()
    anchors = council.treaty.statement
    first, second = enrol_chip(council), enrol_chip(council)
    registry.read_enrolment(first.enrolment, anchors)
    foreign = AliasEndorsement(
        ueid=first.key.public_key.ueid, alias=second.key.public_key, boot_count=1, firmware=FIRMWARE
    )
    registry.read_alias(sign(foreign, first.key))
    assert registry.read_enrolment(second.enrolment, anchors).ueid in registry.devices
    assert second.key.public_key.key_id not in registry.aliases
    with pytest.raises(RefusedError, match="the device key of a chip"):
        registry.read_alias(sign(replace(foreign, boot_count=2), first.key))
