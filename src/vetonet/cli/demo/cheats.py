"""What a dishonest operator does to its bundle before it hands it in, under its own signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vetonet.attestation.report import ComputeReport
from vetonet.compliance.bundle import Bundle, compute_place
from vetonet.compliance.export import sign_export
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.pedersen import Opening, commit
from vetonet.crypto.statement import read_unverified, sign


def withhold(bundle: Bundle, ueids: Iterable[bytes], after_ms: int, key: SigningKey) -> Bundle:
    """Return the bundle without what these chips reported for intervals that began after a time."""
    hidden = frozenset(ueids)

    def is_kept(report: bytes) -> bool:
        claims = read_unverified(report, ComputeReport)
        return claims.ueid not in hidden or claims.window_start_ms < after_ms

    kept = tuple(report for report in bundle.reports if is_kept(report))
    return sign_export(replace(bundle, reports=kept), key)


def forge(
    bundle: Bundle, ueid: bytes, openings: Mapping[tuple[bytes, int], Opening], key: SigningKey
) -> Bundle:
    """Return the bundle with one chip's last count halved, under the signature that the chip gave before.

    Args:
        bundle: an honest one.
        ueid: whose count.
        openings: of the reports, where they commit to counts.
        key: the operator's, which signs the forgery.
    """
    honest = max(_reports_of(bundle.reports, ueid), key=lambda report: _claims(report).counter)
    claims = _claims(honest)
    forged = honest.replace(claims.to_bytes(), _fit(_halve(claims, openings), len(claims.to_bytes())))
    reports = sorted({*bundle.reports} - {honest} | {forged}, key=compute_place)
    return sign_export(replace(bundle, reports=tuple(reports)), key)


def _halve(claims: ComputeReport, openings: Mapping[tuple[bytes, int], Opening]) -> ComputeReport:
    if not claims.is_confidential:
        return replace(claims, cumulative_flop=claims.counters.flop // 2)
    opening = openings[claims.ueid, claims.counter]
    half = Opening(value=opening.value // 2, blinding=opening.blinding)
    return replace(claims, flop_commitment=commit(half).point)


def tamper(bundle: Bundle, licence_id: int, key: SigningKey) -> Bundle:
    """Return the bundle with the proof about a licence altered by its own operator, and signed anew."""
    proofs = {read_unverified(data, UsageProof).licence_id: data for data in bundle.proofs}
    honest = read_unverified(proofs[licence_id], UsageProof)
    middle = len(honest.proof) // 2
    altered = honest.proof[:middle] + bytes([honest.proof[middle] ^ 1]) + honest.proof[middle + 1 :]
    false = sign(replace(honest, proof=altered), key)
    kept = {*bundle.proofs} - {proofs[licence_id]} | {false}
    return sign_export(replace(bundle, proofs=tuple(sorted(kept))), key)


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
