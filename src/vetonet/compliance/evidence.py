"""Steps 5 and 6: open every report, and work out what each one adds to its chip's meter (VN-10.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.report import ComputeReport, Mapper, map_chunks, open_report
from vetonet.compliance.public_record import PublicRecord
from vetonet.crypto.statement import Keys, Signed
from vetonet.errors import EncodingError, InvalidSignatureError, Problem, UnknownPartyError
from vetonet.units import Flop

Opened: TypeAlias = "Signed[ComputeReport] | Problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One genuine report and the work it accounts for.

    Attributes:
        report: as signed.
        device: the chip.
        flop: what its interval added to the meter, or None where the report before it is missing.
    """

    report: Signed[ComputeReport]
    device: EnrolledDevice
    flop: int | None

    @property
    def claims(self) -> ComputeReport:
        """What the report says."""
        return self.report.statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All reports of a bundle, opened.

    Attributes:
        chains: the genuine reports of each chip by ueid, in counter order.
        forgeries: what is wrong with the others.
    """

    chains: Mapping[bytes, tuple[Usage, ...]] = field(repr=False)
    forgeries: tuple[Problem, ...]

    def iter_usages(self) -> Iterator[Usage]:
        """Yield every genuine report, chip by chip."""
        for chain in self.chains.values():
            yield from chain


def about(usage: Usage, reason: str, what: str) -> Problem:
    """Return a problem with one report, whose chip's owner has to answer for it."""
    claims = usage.claims
    detail = f"report {claims.counter} of chip {claims.ueid.hex()[:16]} {what}"
    return Problem(reason=reason, detail=detail, culprit=usage.device.enrolment.owner)


def open_evidence(reports: Sequence[bytes], record: PublicRecord, *, mapper: Mapper = map) -> Evidence:
    """Return the reports of a bundle, the genuine ones chip by chip, the others as problems.

    Args:
        reports: untrusted bytes of one report each.
        record: whose registry says which keys speak for which chips.
        mapper: how chunks of the work are spread.
    """
    aliases = record.registry.aliases

    opened = map_chunks(lambda data: _open_or_note(data, aliases), reports, mapper)
    genuine = [result for result in opened if isinstance(result, Signed)]
    forgeries = tuple(result for result in opened if isinstance(result, Problem))
    return Evidence(chains=_build_chains(genuine, record), forgeries=forgeries)


def _open_or_note(data: bytes, aliases: Keys) -> Opened:
    try:
        return open_report(data, aliases)
    except UnknownPartyError as error:
        return Problem(reason="signer-unknown", detail=str(error))
    except InvalidSignatureError as error:
        # A bundle is unsigned: who put these bytes into it, and so who forged them, it does not say.
        return Problem(reason="report-forged", detail=str(error))
    except EncodingError as error:
        return Problem(reason="report-malformed", detail=str(error))


def _build_chains(
    genuine: Iterable[Signed[ComputeReport]], record: PublicRecord
) -> Mapping[bytes, tuple[Usage, ...]]:
    by_device: dict[bytes, list[Signed[ComputeReport]]] = defaultdict(list)
    for report in genuine:
        device = record.registry.find_alias(report.signer.key_id).device
        by_device[device.ueid].append(report)
    return {
        ueid: _measure(sorted(reports, key=_counter_order), record.registry.find_device(ueid))
        for ueid, reports in sorted(by_device.items())
    }


def _counter_order(report: Signed[ComputeReport]) -> tuple[int, bytes]:
    return report.statement.counter, report.data


def _measure(reports: Sequence[Signed[ComputeReport]], device: EnrolledDevice) -> tuple[Usage, ...]:
    usages, last_counter = [], 0
    last_flop: Flop | None = 0
    for report in reports:
        claims = report.statement
        counted = claims.cumulative_flop
        flop = _subtract(counted, last_flop) if claims.counter == last_counter + 1 else None
        usages.append(Usage(report=report, device=device, flop=flop))
        last_counter, last_flop = claims.counter, counted
    return tuple(usages)


def _subtract(counted: Flop | None, before: Flop | None) -> Flop | None:
    """Return what came to a counter, or None where it fell, or a confidential report does not say."""
    if counted is None or before is None or counted < before:
        return None
    return counted - before
