"""What the evidence of real chips is worth (VN-17.16): numbered steps, each of which leaves a judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import AttestationResult, Judgement
from vetonet.attestation.maker_root import MakerRoot, RootRole
from vetonet.attestation.reasons import Finding
from vetonet.attestation.spdm.chain import DEVICE_CHAIN, find_chain_problems
from vetonet.attestation.spdm.evidence_entry import EvidenceEntry
from vetonet.attestation.spdm.manifest import SignedManifest, find_manifest_problems, merge_manifest_problems
from vetonet.crypto.keys import verify_ecdsa_raw
from vetonet.errors import InvalidSignatureError, Problem
from vetonet.units import Milliseconds

_MAKER: Final = "NVIDIA"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpdmExpectations:
    """What a verifier brings; none of it comes with the evidence.

    Attributes:
        nonce: what the chips were asked with.
        roots: whose keys are trusted, each for chips or for manifests.
        now: when certificates must be valid.
        manifests: reference values, whether the maker's word or not.
        earlier: digests of evidence that was appraised before, and counts no second time.
    """

    nonce: bytes
    roots: tuple[MakerRoot, ...]
    now: Milliseconds
    manifests: tuple[SignedManifest, ...] = ()
    earlier: frozenset[bytes] = frozenset()


def appraise_entries(
    entries: Sequence[EvidenceEntry], expected: SpdmExpectations
) -> tuple[AttestationResult, ...]:
    """Return what each entry is worth, in their order; a chip that stands there twice counts once.

    Raises:
        ValueError: there are none.
    """
    if not entries:
        raise ValueError("expected at least one entry")
    results, chips = list[AttestationResult](), dict[tuple[str, ...], int]()
    for place, entry in enumerate(entries):
        known = min(chips.setdefault(mark, place) for mark in _list_marks(entry))
        result = appraise_entry(entry, expected)
        if known != place:
            repeated = build_judgement("evidence-repeated", f"the chip of entry {known} again")
            result = AttestationResult(judgements=(*result.judgements, repeated))
        results.append(result)
    return tuple(results)


def _list_marks(entry: EvidenceEntry) -> Iterator[tuple[str, ...]]:
    """What no two chips share: the key that reports, the boot ROM's key, and the maker's serial number.

    A chip whose firmware changes reports with another key, and is no other chip.
    """
    leaf = entry.chain[0]
    yield "key", leaf.key.key_id.hex()
    if len(entry.chain) == DEVICE_CHAIN:
        yield "boot ROM", entry.chain[1].key.key_id.hex()
    if leaf.chip is not None:
        maker, _, serial = leaf.chip
        yield "serial number", maker, serial


def appraise_entry(entry: EvidenceEntry, expected: SpdmExpectations) -> AttestationResult:
    """Return what the evidence of one chip is worth.

    All steps after the first rest on it: where the chain does not hold, only what is wrong is said.
    """
    chain = tuple(_judge_chain(entry, expected))
    rest = (
        *_judge_model(entry),
        *_judge_signature(entry),
        *_judge_nonce(entry, expected),
        *_judge_firmware_id(entry),
        *_judge_manifests(entry, expected),
    )
    if any(judgement.finding is not Finding.VERIFIED for judgement in chain):
        rest = tuple(judgement for judgement in rest if judgement.finding is not Finding.VERIFIED)
    return AttestationResult(judgements=(*chain, *rest))


def merge_results(results: Sequence[AttestationResult]) -> AttestationResult:
    """Return one result for all entries: the worst decides, and each judgement says whose it is.

    Raises:
        ValueError: there are none.
    """
    if len(results) == 1:
        return results[0]
    return AttestationResult(
        judgements=tuple(
            replace(judgement, detail=f"entry {place}: {judgement.detail}")
            for place, result in enumerate(results)
            for judgement in result.judgements
        )
    )


def _judge_chain(entry: EvidenceEntry, expected: SpdmExpectations) -> Iterator[Judgement]:
    """Step 1: five certificates, unbroken, up to a given root."""
    chain = entry.chain
    if len(chain) != DEVICE_CHAIN:
        yield build_judgement("chain-broken", f"expected {DEVICE_CHAIN} certificates, got {len(chain)}")
    roots = tuple(root for root in expected.roots if root.role is RootRole.DEVICES)
    problems = find_chain_problems(chain, roots, expected.now)
    yield from (build_judgement(problem.reason, problem.detail) for problem in problems)
    if not problems and len(chain) == DEVICE_CHAIN:
        yield build_judgement("certificate-valid", f"{chain[0].name} up to {chain[-1].name}")


def _judge_model(entry: EvidenceEntry) -> Iterator[Judgement]:
    """Step 2: the certificate is of a chip of the kind that the entry names."""
    product, chip = entry.architecture.product, entry.chain[0].chip
    if chip is None or chip[:2] != (_MAKER, product):
        found = "no chip" if chip is None else ":".join(chip)
        yield build_judgement("wrong-model", f"expected a certificate of {_MAKER}:{product}, got {found}")
    else:
        yield build_judgement("model-recognised", f"{product} with serial number {chip[2]}")


def _judge_signature(entry: EvidenceEntry) -> Iterator[Judgement]:
    """Step 3: the chip's key signed request and response.

    Silicon emits both forms of s, so the twin of a signature verifies as well. It is the same evidence, which
    is why evidence is known by what is signed.
    """
    report = entry.report
    try:
        verify_ecdsa_raw(entry.chain[0].key, report.signed_bytes, report.signature)
        count = len(report.measurements)
        yield build_judgement("evidence-signed", f"{count} measurements, signed by the chip's key")
    except InvalidSignatureError as error:
        yield build_judgement("report-forged", f"not signed by the key of {entry.chain[0].name}: {error}")


def _judge_nonce(entry: EvidenceEntry, expected: SpdmExpectations) -> Iterator[Judgement]:
    """Step 4: it answers this verifier's question, for the first time; what stands beside it agrees."""
    report = entry.report
    if report.nonce != expected.nonce:
        yield build_judgement("nonce-stale", f"expected {expected.nonce.hex()}, got {report.nonce.hex()}")
    else:
        yield build_judgement("nonce-fresh", f"answers {report.nonce.hex()}")
    if report.digest in expected.earlier:
        yield build_judgement("evidence-repeated", f"appraised before: {report.digest.hex()}")
    stated = (
        ("nonce", entry.nonce.hex(), report.nonce.hex()),
        ("driver_version", entry.driver_version, report.opaque.driver_version),
        ("vbios_version", entry.vbios_version, report.opaque.vbios_version),
    )
    for name, said, signed in stated:
        if said is not None and said != signed:
            yield build_judgement(
                "entry-mismatched", f"{name} is given as {said[:80]!r}, signed is {signed!r}"
            )


def _judge_firmware_id(entry: EvidenceEntry) -> Iterator[Judgement]:
    """Step 5: the firmware that the certificate is for, measured by the chip's boot ROM, is what reports.

    A switch reports none: there is nothing to compare, so nothing good is said.
    """
    certified, reported = entry.chain[0].firmware_id, entry.report.opaque.firmware_id
    if certified is None:
        yield build_judgement("firmware-id-missing", "the chip's certificate names no firmware")
        return
    measured_by, digest = certified
    if len(entry.chain) > 1 and measured_by != entry.chain[1].key:
        yield build_judgement(
            "firmware-id-mismatched", "the firmware was measured by another key than the issuer's"
        )
    if reported is None:
        if entry.architecture.has_driver:
            yield build_judgement("firmware-id-missing", "the report names no firmware")
    elif reported != digest:
        yield build_judgement("firmware-id-mismatched", f"expected {digest.hex()}, got {reported.hex()}")
    else:
        yield build_judgement("firmware-id-recognised", digest.hex())


def _judge_manifests(entry: EvidenceEntry, expected: SpdmExpectations) -> Iterator[Judgement]:
    """Step 6: every active measurement of the manifest of each part that runs is what the maker signed.

    A manifest that is no use is named where one is missing, where it is of what runs, or where it is forged.
    """
    opaque, trusted = entry.report.opaque, list[SignedManifest]()
    unusable = list[tuple[SignedManifest, Problem]]()
    versions = {"vbios": opaque.vbios_version}
    if entry.architecture.has_driver:
        versions["driver"] = opaque.driver_version
    for signed in expected.manifests:
        problems = find_manifest_problems(signed, expected.roots, entry.chain[-1].key, expected.now)
        if not problems:
            trusted.append(signed)
        else:
            unusable.append((signed, merge_manifest_problems(problems)))
    parts = [
        judgement
        for part, version in versions.items()
        for judgement in _judge_part(entry, part, version, trusted)
    ]
    is_missing = any(judgement.reason == "rim-missing" for judgement in parts)
    for signed, problem in unusable:
        fits = any(_fits(signed, entry, version) for version in versions.values())
        if is_missing or fits or problem.reason == "rim-forged":
            yield build_judgement(problem.reason, problem.detail)
    yield from parts


def _fits(signed: SignedManifest, entry: EvidenceEntry, version: str | None) -> bool:
    """Whether a manifest is about this version on this chip."""
    if signed.manifest is None or version is None:
        return False
    return signed.manifest.fits(entry.architecture.product, version)


def _judge_part(
    entry: EvidenceEntry, part: str, version: str | None, trusted: Sequence[SignedManifest]
) -> Iterator[Judgement]:
    """Compare with the manifest of this version; of several, with each: one contradiction is enough."""
    compared = [
        (signed.manifest.find_mismatches(entry.report.measurements), signed.name, signed.manifest)
        for signed in trusted
        if signed.manifest is not None and _fits(signed, entry, version)
    ]
    if not compared:
        others = sorted({signed.manifest.version for signed in trusted if signed.manifest})
        where = f"{part} {version} on {entry.architecture.product}"
        yield build_judgement(
            "rim-missing", f"no manifest of {where}; trusted ones are of: {', '.join(others) or 'none'}"
        )
        return
    for mismatch in dict.fromkeys(mismatch for mismatches, _, _ in compared for mismatch in mismatches):
        yield build_judgement("measurement-mismatched", f"{part} {version}, {mismatch}")
    for mismatches, name, manifest in compared:
        if not mismatches:
            said = f"{part} {version}: all {len(manifest.measurements)} measurements of {name}"
            yield build_judgement("measurement-endorsed", said)
