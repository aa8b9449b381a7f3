"""What a dishonest operator does to its bundle before it hands it in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vetonet.attestation.report import ComputeReport
from vetonet.compliance.bundle import Bundle, compute_place
from vetonet.crypto.statement import read_unverified


def withhold(bundle: Bundle, ueids: Iterable[bytes], after_ms: int) -> Bundle:
    """Return the bundle without what these chips reported for intervals that began after a time."""
    hidden = frozenset(ueids)

    def is_kept(report: bytes) -> bool:
        claims = read_unverified(report, ComputeReport)
        return claims.ueid not in hidden or claims.window_start_ms < after_ms

    return replace(bundle, reports=tuple(report for report in bundle.reports if is_kept(report)))


def forge(bundle: Bundle, ueid: bytes) -> Bundle:
    """Return the bundle with one chip's last count halved, under the signature that the chip gave before."""
    honest = max(_reports_of(bundle.reports, ueid), key=lambda report: _claims(report).counter)
    claims = _claims(honest)
    lower = replace(claims, cumulative_flop=claims.counters.flop // 2)
    forged = honest.replace(claims.to_bytes(), _fit(lower, len(claims.to_bytes())))
    reports = sorted({*bundle.reports} - {honest} | {forged}, key=compute_place)
    return replace(bundle, reports=tuple(reports))


def _fit(claims: ComputeReport, size: int) -> bytes:
    """Return the claims in as many bytes as the honest ones took: the envelope states their length."""
    data = claims.to_bytes()
    if len(data) != size:
        msg = f"the forged claims take {len(data)} bytes, the honest ones {size}"
        raise ValueError(msg)
    return data


def _reports_of(reports: Sequence[bytes], ueid: bytes) -> list[bytes]:
    return [report for report in reports if _claims(report).ueid == ueid]


def _claims(report: bytes) -> ComputeReport:
    return read_unverified(report, ComputeReport)
