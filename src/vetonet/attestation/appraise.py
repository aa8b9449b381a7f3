"""Appraise reports: one against what is known of its chip, and a chip's reports against each other (VN-9.3).

Both return every problem they find, with the reason codes of ``vetonet.attestation.reasons``; a twin raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vetonet.attestation.appraisal_policy import Found
from vetonet.attestation.counters import Fault, PrecisionLedger, compare_counters
from vetonet.attestation.enrolment import AliasEndorsement, EnrolledDevice
from vetonet.attestation.report import ComputeReport, compute_report_digest
from vetonet.attestation.report_rules import REPORT_RULES, Subject
from vetonet.crypto.statement import Signed
from vetonet.errors import AppraisalError, Problem


def appraise(
    report: Signed[ComputeReport],
    device: EnrolledDevice,
    alias: Signed[AliasEndorsement],
    *,
    firmware: tuple[Found, ...],
) -> tuple[Problem, ...]:
    """Return everything that is wrong with a report, given what its chip's endorsements say.

    Args:
        report: opened, so its signature holds.
        device: the chip that must have made it.
        alias: what that chip endorsed for the boot in question.
        firmware: what is wrong with the firmware of that boot, as ``find_firmware_problems`` says: once for
            all its reports.
    """
    enrolment = device.enrolment
    subject = Subject(
        claims=report.statement,
        signer=report.signer,
        alias=alias.statement,
        certificate=device.certificate,
        models=(enrolment.hw_model,),
        firmware=firmware,
        kind=enrolment.attester_kind,
        revocations=None,  # of a bundle, its log says when which chip was revoked
    )
    return tuple(
        Problem(reason=reason, detail=f"{_name(report)} {detail}", culprit=enrolment.owner)
        for reason, detail in REPORT_RULES.find_problems(subject)
    )


def verify_report(
    report: Signed[ComputeReport],
    device: EnrolledDevice,
    alias: Signed[AliasEndorsement],
    *,
    firmware: tuple[Found, ...],
) -> None:
    """Hold that ``appraise`` finds nothing wrong.

    Raises:
        AppraisalError: it does; ``problems`` says what.
    """
    _raise_problems(appraise(report, device, alias, firmware=firmware))


def appraise_chain(reports: Sequence[Signed[ComputeReport]]) -> tuple[Problem, ...]:
    """Return everything that is wrong with the reports of one chip, given in counter order.

    They must begin at counter 1. A gap says that evidence is missing; every other reason is a
    contradiction: two reports with one counter prove that a key was cloned or a state was rolled back,
    whoever tells of it.
    """
    problems: list[Problem] = []
    latest: Signed[ComputeReport] | None = None
    ledger = PrecisionLedger()
    for report in reports:
        found = list(_find_first_gap(report) if latest is None else _follow(latest, report))
        problems += found
        if latest is None or report.statement.counter > latest.statement.counter:
            ledger, faults = ledger.follow(report.statement)
            problems += _tell_faults(report, faults)
            latest = report
    return tuple(problems)


def verify_chain(reports: Sequence[Signed[ComputeReport]]) -> None:
    """Hold that ``appraise_chain`` finds nothing wrong.

    Raises:
        AppraisalError: it does; ``problems`` says what.
    """
    _raise_problems(appraise_chain(reports))


def _find_first_gap(report: Signed[ComputeReport]) -> Iterator[Problem]:
    if report.statement.counter != 1:
        yield _about(report, "report-gap", f"is the first there is; 1 to {report.statement.counter - 1} lack")


def _follow(latest: Signed[ComputeReport], report: Signed[ComputeReport]) -> Iterator[Problem]:
    """Yield what keeps ``report`` from following ``latest``."""
    before, after = latest.statement, report.statement
    if after.ueid != before.ueid:
        yield _about(report, "wrong-device", f"stands among those of {before.ueid.hex()[:16]}")
        return
    if after.counter <= before.counter:
        yield _tell_repetition(latest, report)
        return
    if after.counter > before.counter + 1:
        yield _about(report, "report-gap", f"follows report {before.counter}; what was between is missing")
    elif after.previous_digest != compute_report_digest(latest.data):
        yield _about(report, "report-fork", f"follows another report {before.counter} than the one there is")
    yield from _compare_windows(before, report)
    yield from _tell_faults(report, compare_counters(before, after))
    if after.boot_count < before.boot_count:
        yield _about(report, "boot-rollback", f"is of an earlier boot than report {before.counter}")


def _tell_repetition(latest: Signed[ComputeReport], report: Signed[ComputeReport]) -> Problem:
    if report.data == latest.data:
        return _about(report, "report-replayed", "stands there twice")
    if report.statement.counter == latest.statement.counter:
        return _about(report, "report-fork", "differs from another one with the same counter")
    return _about(report, "report-reordered", f"stands after report {latest.statement.counter}")


def _compare_windows(before: ComputeReport, report: Signed[ComputeReport]) -> Iterator[Problem]:
    after = report.statement
    if after.window_start_ms < before.window_end_ms:
        yield _about(report, "window-overlap", f"starts before report {before.counter} ends")
    elif after.window_start_ms > before.window_end_ms and after.counter == before.counter + 1:
        yield _about(report, "window-gap", f"leaves out time after report {before.counter}")


def _tell_faults(report: Signed[ComputeReport], faults: Iterable[Fault]) -> Iterator[Problem]:
    return (_about(report, fault.reason, fault.detail) for fault in faults)


def _about(report: Signed[ComputeReport], reason: str, detail: str) -> Problem:
    return Problem(reason=reason, detail=f"{_name(report)} {detail}", culprit=report.statement.ueid.hex())


def _name(report: Signed[ComputeReport]) -> str:
    return f"report {report.statement.counter} of {report.statement.ueid.hex()[:16]}"


def _raise_problems(problems: tuple[Problem, ...]) -> None:
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise AppraisalError(f"{problems[0]}{more}", problems=problems)
