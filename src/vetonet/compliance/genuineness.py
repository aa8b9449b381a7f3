"""Step 10: every report is signed by an enrolled chip in a known state, whose maker still vouches for it."""

from __future__ import annotations

from collections.abc import Iterator

from vetonet.attestation.appraisal_policy import Found as FirmwareFound
from vetonet.attestation.appraise import appraise
from vetonet.attestation.platform import appraise_platform
from vetonet.attestation.reference_values import find_firmware_problems
from vetonet.attestation.registry import KnownAlias
from vetonet.compliance.case import Case, Found, Tally
from vetonet.compliance.evidence import Chain, about
from vetonet.compliance.identity import find_chip_problems, find_list_problems
from vetonet.compliance.public_record import PublicRecord
from vetonet.errors import Problem


def judge_genuineness(case: Case, chain: Chain) -> Iterator[Found]:
    """Step 10: every report is signed by an enrolled chip in a known state."""
    profiles = {treaty.statement.is_confidential for treaty in case.record.treaties}
    boots: dict[bytes, tuple[KnownAlias, tuple[FirmwareFound, ...]]] = {}
    for usage in chain.usages:
        key_id = usage.report.signer.key_id
        if key_id not in boots:  # once for all reports of a boot
            known = case.record.registry.find_alias(key_id)
            boots[key_id] = known, tuple(_judge_boot(case.record, known))
        known, firmware = boots[key_id]
        if usage.claims.is_confidential not in profiles:
            what = "shows or hides its counts, which no treaty of this log asks for"
            yield about(usage, "other-profile", what)
        yield from appraise(usage.report, known.device, known.alias, firmware=firmware)
    aliases = {key_id: known.alias for key_id, (known, _) in boots.items()}
    # The secure element says what its kind must say, and counts on with each report (VN-17.1).
    yield from appraise_platform([usage.report for usage in chain.usages], chain.device, aliases)
    yield from find_chip_problems(case.record, chain)


def conclude_genuineness(case: Case, tally: Tally) -> Iterator[Problem]:
    """Yield whose makers show no list of revoked chips that counts."""
    yield from find_list_problems(case.record, tally.ends, case.now)


def _judge_boot(record: PublicRecord, known: KnownAlias) -> Iterator[FirmwareFound]:
    """Yield what is wrong with the firmware of a boot, by what counted when the log took its alias key."""
    enrolment, boot = known.device.enrolment, known.alias.statement
    leaf_index = record.alias_leaves[boot.alias.key_id]
    references = record.registry.references
    accepted = references.list_accepted(enrolment.endorser_id, enrolment.model, leaf_index)
    return find_firmware_problems(boot.firmware, accepted)
