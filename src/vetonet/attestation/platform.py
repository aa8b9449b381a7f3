"""Attester kinds: what vouches for a chip's claims, and what each kind must show for itself (VN-17.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from hashlib import sha256
from typing import Final

from vetonet.attestation.enrolment import AliasEndorsement, EnrolledDevice
from vetonet.attestation.report import ComputeReport
from vetonet.attestation.tpm import read_count, read_quote
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem, VetonetError

SIMULATED: Final = "SIMULATED"
"""Chips whose secure element is software; a treaty takes them only by this name."""

TPM2: Final = "TPM2"
"""Chips whose device key is a restricted key in a TPM 2.0, which quotes boots and counts reports."""

ATTESTER_KINDS: Final = (SIMULATED, TPM2)
"""The kinds whose evidence this verifier can judge."""


def compute_platform_nonce(claims: AliasEndorsement | ComputeReport) -> bytes:
    """Return what the element's evidence inside these claims is over: the digest of all the others."""
    return sha256(replace(claims, platform=None).to_bytes()).digest()


def appraise_kind(kind: str, accepted: AbstractSet[str]) -> tuple[Problem, ...]:
    """Return what is wrong with evidence of this kind under a policy that takes only these."""
    if kind in accepted:
        return ()
    detail = f"evidence of kind {kind!r}; accepted: {', '.join(sorted(accepted)) or 'none'}"
    return (Problem(reason="attester-kind-refused", detail=detail),)


def appraise_platform(
    report: Signed[ComputeReport], device: EnrolledDevice, alias: Signed[AliasEndorsement]
) -> tuple[Problem, ...]:
    """Return everything that is wrong with what a chip's secure element says of one report and its boot.

    Args:
        report: opened, so its signature holds.
        device: the chip that must have made it.
        alias: what that chip endorsed for the boot in question.
    """
    return appraise_platforms((report,), device, {alias.statement.alias.key_id: alias})


def appraise_platforms(
    reports: Sequence[Signed[ComputeReport]],
    device: EnrolledDevice,
    aliases: Mapping[bytes, Signed[AliasEndorsement]],
) -> tuple[Problem, ...]:
    """Return everything that is wrong with what a chip's secure element says of its reports.

    A count rises with each report: one that stands still was given out twice, by the state of an element
    that was copied; one that falls, by a state that was put back.

    Args:
        reports: of one chip, in counter order.
        device: the chip.
        aliases: what it endorsed for its boots, by the key id of the alias.
    """
    return tuple(_appraise(reports, device, aliases))


def _appraise(
    reports: Sequence[Signed[ComputeReport]],
    device: EnrolledDevice,
    aliases: Mapping[bytes, Signed[AliasEndorsement]],
) -> Iterator[Problem]:
    kind, owner = device.enrolment.attester_kind, device.enrolment.owner
    if kind not in ATTESTER_KINDS:
        detail = f"nothing is known of evidence of kind {kind!r}, as of {device.ueid.hex()[:16]}"
        yield Problem(reason="attester-kind-unknown", detail=detail, culprit=owner)
        return
    judge = _judge_tpm2 if kind == TPM2 else _judge_simulated
    for reason, where, detail in judge(reports, device, aliases):
        yield Problem(reason=reason, detail=f"{where} of {device.ueid.hex()[:16]} {detail}", culprit=owner)


_Found = Iterator[tuple[str, str, str]]
_UNEXPECTED: Final = "comes with evidence of an element that the chip does not have"


def _judge_simulated(
    reports: Sequence[Signed[ComputeReport]],
    device: EnrolledDevice,
    aliases: Mapping[bytes, Signed[AliasEndorsement]],
) -> _Found:
    """Software vouches for nothing, so whatever claims otherwise was put there."""
    del device
    for alias in _list_boots(reports, aliases):
        if alias.platform is not None:
            yield (
                "platform-unexpected",
                f"boot {alias.boot_count}",
                _UNEXPECTED,
            )
    for report in reports:
        if report.statement.platform is not None:
            where = f"report {report.statement.counter}"
            yield "platform-unexpected", where, _UNEXPECTED


def _judge_tpm2(
    reports: Sequence[Signed[ComputeReport]],
    device: EnrolledDevice,
    aliases: Mapping[bytes, Signed[AliasEndorsement]],
) -> _Found:
    for alias in _list_boots(reports, aliases):
        yield from _judge_boot(alias, device)
    latest: tuple[Signed[ComputeReport], int] | None = None
    for report in reports:
        if latest is not None and report.data == latest[0].data:
            continue  # the same report twice, which the chain itself tells of
        try:
            count = _read_count(report.statement, device)
        except _Unfounded as error:
            yield error.reason, f"report {report.statement.counter}", error.detail
            continue
        if latest is not None:
            yield from _compare_counts(latest, (report, count))
        if latest is None or count > latest[1]:
            latest = report, count


def _judge_boot(alias: AliasEndorsement, device: EnrolledDevice) -> _Found:
    where = f"boot {alias.boot_count}"
    if alias.platform is None:
        yield "platform-missing", where, "comes without the quote of its TPM"
        return
    try:
        read_quote(
            alias.platform,
            device.device_key,
            nonce=compute_platform_nonce(alias),
            firmware_digest=alias.firmware_digest,
        )
    except VetonetError as error:
        yield "platform-mismatched", where, f"is not what its TPM quotes: {error}"


class _Unfounded(Exception):  # noqa: N818  (it never leaves this module)
    """A report whose count nobody vouches for."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason: Final = reason
        self.detail: Final = detail


def _read_count(report: ComputeReport, device: EnrolledDevice) -> int:
    if report.platform is None:
        raise _Unfounded("platform-missing", "comes without the count of its TPM")
    try:
        nonce = compute_platform_nonce(report)
        return read_count(report.platform, device.device_key, nonce=nonce).count
    except VetonetError as error:
        raise _Unfounded("platform-mismatched", f"is not what its TPM counted: {error}") from error


def _compare_counts(
    latest: tuple[Signed[ComputeReport], int], report: tuple[Signed[ComputeReport], int]
) -> _Found:
    (before, low), (after, high) = latest, report
    where, earlier = f"report {after.statement.counter}", before.statement.counter
    if high == low:
        yield "counter-fork", where, f"has the count {high} of report {earlier}: its TPM was copied"
    elif high < low:
        yield (
            "counter-rollback",
            where,
            f"counts {high} after {low} in report {earlier}: its TPM was put back",
        )


def _list_boots(
    reports: Sequence[Signed[ComputeReport]], aliases: Mapping[bytes, Signed[AliasEndorsement]]
) -> list[AliasEndorsement]:
    """Return the boots in which these reports were signed, each once, in order; strangers have none."""
    signers = dict.fromkeys(report.signer.key_id for report in reports)
    return [aliases[key_id].statement for key_id in signers if key_id in aliases]
