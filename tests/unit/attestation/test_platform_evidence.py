from __future__ import annotations

from dataclasses import replace

import pytest

from support.firmware import FIRMWARE
from support.fleet import make_fleet
from support.paper_tpm import PaperTpm
from support.tpm_chips import TpmChip, make_chip
from vetonet.attestation.enrolment import open_alias
from vetonet.attestation.platform import SIMULATED, TPM2, appraise_platform
from vetonet.attestation.registry import Registry
from vetonet.attestation.report import ComputeReport
from vetonet.attester.manufacture import manufacture
from vetonet.attester.secure_element import SoftwareElement
from vetonet.crypto.keys import SigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest, open_statement, sign
from vetonet.errors import RefusedError


def make_tpm_chip(reports: int = 3) -> tuple[PaperTpm, TpmChip]:
    tpm = PaperTpm()
    made = make_chip(tpm)
    made.report(reports)
    return tpm, made


def alias_key_of(made: TpmChip) -> SigningKey:
    assert made.chip.alias_key is not None
    return made.chip.alias_key


def resign(made: TpmChip, index: int, **changes: object) -> None:
    """One report says something else, signed by the chip's own alias key: its software is the attacker's."""
    key = alias_key_of(made)
    data = sign(replace(made.reports[index].statement, **changes), key)  # type: ignore[arg-type]
    made.reports[index] = open_statement(data, ComputeReport, {key.public_key.key_id: key.public_key})


def test_an_honest_chip_has_quotes_and_rising_counts_over_boots() -> None:
    _, made = make_tpm_chip()
    made.start()
    made.report(2)
    assert made.appraise() == ()
    assert len(made.aliases) == 2


def test_a_report_without_a_count_is_incomplete() -> None:  # VN-17.1
    _, made = make_tpm_chip()
    resign(made, 1, platform=None)
    assert made.tell() == ["platform-missing"]


def test_a_boot_without_a_quote_is_incomplete() -> None:  # VN-17.1
    tpm, made = make_tpm_chip()
    ((key_id, alias),) = made.aliases.items()
    bare = open_alias(sign(replace(alias.statement, platform=None), tpm), made.device)
    assert [p.reason for p in appraise_platform(made.reports, made.device, {key_id: bare})] == [
        "platform-missing"
    ]


def test_a_count_that_was_certified_for_other_claims_is_refused() -> None:  # VN-17.1
    _, made = make_tpm_chip()
    resign(made, 1, tamper_count=1)
    resign(made, 2, platform=made.reports[0].statement.platform)
    assert made.tell() == ["platform-mismatched", "platform-mismatched"]


def test_an_alias_with_firmware_that_the_tpm_did_not_measure_is_refused() -> None:  # VN-17.1
    tpm, made = make_tpm_chip()
    ((key_id, alias),) = made.aliases.items()
    tpm.firmware_digest = b"x" * 32
    nonce = compute_digest(replace(alias.statement, platform=None))
    lying = open_alias(sign(replace(alias.statement, platform=tpm.quote(nonce)), tpm), made.device)
    (problem,) = appraise_platform(made.reports, made.device, {key_id: lying})
    assert problem.reason == "platform-mismatched"
    assert "not of firmware" in problem.detail


def test_a_tpm_that_was_put_back_counts_less_than_before() -> None:  # VN-17.1
    tpm, made = make_tpm_chip()
    tpm.count -= 2
    made.report()
    (problem,) = made.appraise()
    assert problem.reason == "counter-rollback"
    assert problem.culprit == "op1"


def test_a_tpm_that_was_copied_gives_one_count_to_two_reports() -> None:  # VN-17.1
    tpm, made = make_tpm_chip()
    tpm.count -= 1
    made.report()
    assert made.tell() == ["counter-fork"]


def test_one_report_twice_is_not_a_copied_tpm() -> None:
    _, made = make_tpm_chip()
    made.reports.insert(1, made.reports[0])
    assert made.tell() == []


def test_lost_counts_are_no_offence() -> None:
    """Power may fail between the count and the report."""
    tpm, made = make_tpm_chip()
    tpm.count += 5
    made.report()
    assert made.appraise() == ()


def test_software_keys_with_evidence_of_a_tpm_are_refused() -> None:
    made = make_chip(SoftwareElement(device_key=generate_ecdsa(SeededRng(b"soft"))))
    made.report(2)
    assert made.appraise() == ()
    resign(made, 1, platform=b"quote")
    assert made.tell() == ["platform-unexpected"]


def test_a_chip_of_a_kind_that_nobody_knows_is_not_judged() -> None:
    _, made = make_tpm_chip()
    enrolment = replace(made.device.enrolment, attester_kind="ORACLE")
    made.device = replace(made.device, signed=replace(made.device.signed, statement=enrolment))
    assert made.tell() == ["kind-unknown"]


def test_a_treaty_that_names_tpms_takes_no_software_keys_and_the_other_way_round() -> None:  # VN-8.2, VN-17.1
    fleet = make_fleet()
    council = fleet.council
    treaty = council.treaty.statement
    (endorser,) = treaty.endorsers
    strict = replace(treaty, endorsers=(replace(endorser, attester_kind=TPM2),))
    with pytest.raises(RefusedError, match=SIMULATED):
        Registry().read_enrolment(fleet.enrolments[0], strict)
    Registry().read_enrolment(fleet.enrolments[0], treaty)
    _, made = make_tpm_chip(0)
    with pytest.raises(RefusedError, match=TPM2):
        Registry().read_enrolment(made.device.signed.data, treaty)
    assert Registry().read_enrolment(made.device.signed.data, strict).enrolment.attester_kind == TPM2


def test_a_maker_certifies_only_the_kind_it_vouches_for() -> None:
    fleet = make_fleet()
    with pytest.raises(ValueError, match="vouches for SIMULATED"):
        manufacture(
            fleet.chips[0].model,
            fleet.maker,
            fleet.council.treaty,
            SeededRng(b"m"),
            firmware=FIRMWARE,
            secure_element=PaperTpm(),
        )
