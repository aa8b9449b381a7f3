"""Attester kinds: what vouches for a chip's claims, and what each kind must show for itself (VN-17.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar, Final

from vetonet.attestation.appraisal_policy import Found, SingleRule
from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import Judgement
from vetonet.attestation.enrolment import AliasEndorsement, EnrolledDevice
from vetonet.attestation.report import ComputeReport
from vetonet.attestation.report_rules import Subject
from vetonet.attestation.tpm import read_count, verify_quote
from vetonet.crypto.keys import Algorithm, PublicKey
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem, VetonetError

SIMULATED: Final = "SIMULATED"
"""Chips whose secure element is software; a treaty takes them only by this name."""

TPM2: Final = "TPM2"
"""Chips whose device key is a restricted key in a TPM 2.0, which quotes boots and counts reports."""

ATTESTER_KINDS: Final = (SIMULATED, TPM2)
"""The kinds whose evidence this verifier can judge."""

Aliases = Mapping[bytes, Signed[AliasEndorsement]]
"""Alias endorsements by the key id of their alias."""


def compute_platform_nonce(claims: AliasEndorsement | ComputeReport) -> bytes:
    """Return what the element's evidence inside these claims is over: the digest of all the others."""
    return sha256(replace(claims, platform=None).to_bytes()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchedByPlatform(SingleRule[Subject]):
    """The chip's secure element says itself what its kind must say, of the boot and of the report."""

    GOOD: ClassVar[str] = "platform-vouched"
    PRAISE: ClassVar[str] = "comes with its TPM's quote of the boot and certified count"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``kind-unknown``, ``platform-missing``, ``-mismatched`` or ``-unexpected``."""
        if evidence.kind not in ATTESTER_KINDS:
            yield _tell_unknown(evidence.kind)
            return
        key = evidence.certificate.device_key
        yield from _judge_boot(evidence.alias, key, evidence.kind)
        count = _read_count(evidence.claims, key, evidence.kind)
        if isinstance(count, tuple):
            yield count

    def judge(self, evidence: Subject, /) -> Iterator[Judgement]:
        """Yield a judgement; of software keys none that speaks of hardware, for none vouches for them."""
        problems = tuple(self.find_problems(evidence))
        if evidence.kind == SIMULATED and not problems:
            yield build_judgement(
                "platform-unasked", "is by software keys: nothing vouches, and nothing is asked"
            )
            return
        for reason, detail in problems or ((self.GOOD, self.PRAISE),):
            yield build_judgement(reason, detail)


def appraise_platform(
    reports: Sequence[Signed[ComputeReport]], device: EnrolledDevice, aliases: Aliases
) -> tuple[Problem, ...]:
    """Return everything that is wrong with what a chip's secure element says of its boots and reports.

    A count rises with each report: one that stands still was given out twice, by the state of an element
    that was copied; one that falls, by a state that was put back.

    Args:
        reports: of one chip, in counter order, opened.
        device: the chip.
        aliases: what it endorsed for its boots.
    """
    found = _appraise(reports, device, aliases)
    return tuple(
        Problem(reason=reason, detail=detail, culprit=device.enrolment.owner) for reason, detail in found
    )


def _appraise(
    reports: Sequence[Signed[ComputeReport]], device: EnrolledDevice, aliases: Aliases
) -> Iterator[Found]:
    kind, key, name = device.enrolment.attester_kind, device.device_key, device.ueid.hex()[:16]
    if kind not in ATTESTER_KINDS:
        reason, detail = _tell_unknown(kind)
        yield reason, f"chip {name} {detail}"
        return
    signers = dict.fromkeys(report.signer.key_id for report in reports)
    for alias in (aliases[key_id].statement for key_id in signers if key_id in aliases):
        yield from _prefix(f"boot {alias.boot_count} of {name}", _judge_boot(alias, key, kind))
    latest: tuple[int, Signed[ComputeReport]] | None = None
    for report in reports:
        if latest is not None and report.data == latest[1].data:
            continue  # the same report twice, which the chain itself tells of
        count = _read_count(report.statement, key, kind)
        found = (count,) if isinstance(count, tuple) else _compare_counts(latest, count)
        yield from _prefix(f"report {report.statement.counter} of {name}", found)
        if isinstance(count, int) and (latest is None or count > latest[0]):
            latest = count, report


def _judge_boot(alias: AliasEndorsement, key: PublicKey, kind: str) -> Iterator[Found]:
    evidence = alias.platform
    if alias.alias == key:
        yield "platform-mismatched", "names the device key itself as the key of a boot"
    if kind == SIMULATED:
        if evidence is not None:
            yield _UNEXPECTED
        return
    if evidence is None:
        yield "platform-missing", "comes without the quote of its TPM"
        return
    if alias.alias.algorithm is not Algorithm.ES256:
        yield "platform-mismatched", "names a key of a boot that its TPM cannot hold"
    nonce = compute_platform_nonce(alias)
    try:
        verify_quote(evidence, key, nonce=nonce, firmware_digest=alias.firmware_digest)
    except VetonetError as error:
        yield "platform-mismatched", f"does not have the quote of its TPM: {error}"


def _read_count(report: ComputeReport, key: PublicKey, kind: str) -> int | Found | None:
    """Return what the element counted, or what is wrong with that, or None where the kind counts nothing."""
    evidence = report.platform
    if kind == SIMULATED:
        return None if evidence is None else _UNEXPECTED
    if evidence is None:
        return "platform-missing", "comes without the count of its TPM"
    try:
        return read_count(evidence, key, nonce=compute_platform_nonce(report))
    except VetonetError as error:
        return "platform-mismatched", f"does not have the count of its TPM: {error}"


def _compare_counts(latest: tuple[int, Signed[ComputeReport]] | None, count: int | None) -> Iterator[Found]:
    if latest is None or count is None or count > latest[0]:
        return
    earlier = latest[1].statement.counter
    if count == latest[0]:
        yield "counter-fork", f"has the count {count} of report {earlier}: its TPM was copied"
    else:
        yield (
            "counter-rollback",
            f"counts {count} after {latest[0]} in report {earlier}: its TPM was put back",
        )


def _tell_unknown(kind: str) -> Found:
    return "kind-unknown", f"is of the kind {kind!r}, of whose evidence this verifier knows nothing"


def _prefix(where: str, found: Iterable[Found]) -> Iterator[Found]:
    return ((reason, f"{where} {detail}") for reason, detail in found)


_UNEXPECTED: Final[Found] = (
    "platform-unexpected",
    "comes with evidence of a secure element, which the chip does not have",
)
