"""Judges our reading of SPDM evidence by the maker's published samples, and our P-384 by what signed them.

``expected-parse.json`` is the maker's own verifier's reading of each report: every field of it must be ours
too, and every field of ours must be in it. A file that it names and that is not there is a failure. Each file
of evidence must be genuine under the pinned roots, and refused once it is altered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha384
from typing import Any, Final, TypeAlias

from vetonet.attestation.ear import AttestationResult, Tier
from vetonet.attestation.spdm.appraise_spdm import SpdmExpectations, appraise_entry
from vetonet.attestation.spdm.certificate import Certificate, read_pem_chain
from vetonet.attestation.spdm.evidence_entry import (
    MAX_EVIDENCE_BYTES,
    Architecture,
    EvidenceEntry,
    read_evidence,
)
from vetonet.attestation.spdm.manifest import find_manifest_problems
from vetonet.attestation.spdm.message import MeasurementReport
from vetonet.attestation.spdm.opaque import Field
from vetonet.attestation.spdm.pinned_roots import NVIDIA_DEVICES, PINNED_ROOTS
from vetonet.attestation.vectors_eat import PublishedFile
from vetonet.crypto.keys import PublicKey, verify_ecdsa_der, verify_ecdsa_raw
from vetonet.crypto.vectors_wycheproof import iter_ecdsa_p384_cases as iter_wycheproof_cases
from vetonet.encoding.json_strict import read_json
from vetonet.errors import INSTALL_RIM, ConfigError, EncodingError, VerificationError, VetonetError

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VetonetError`` where our result is not the expected one."""

EXPECTED: Final = "expected-parse.json"
SAMPLE, SAMPLE_CHAIN = "hopperAttestationReport.txt", "hopperCertChain.txt"
JUDGED_AT_MS: Final = 1_735_689_600_000
"""2025-01-01: all certificates of the samples are valid then; those of manifests only last two years."""

_OPAQUE: Final = "OPAQUE_FIELD_ID_"
_NUMBERS: Final = frozenset({Field.OPAQUE_DATA_VERSION})
_RENAMED: Final = {"FWID": Field.FIRMWARE_ID}


def iter_spdm_cases(document: object) -> Iterator[Case]:
    """Return the cases of one file.

    Raises:
        ConfigError: nothing that this suite judges.
        EncodingError: such a file, but malformed.
    """
    if not isinstance(document, PublishedFile):
        raise ConfigError("not recognised: no file of a suite")
    if document.name == EXPECTED:
        return _iter_expected(document)
    if document.suffix == "swidtag":
        return _iter_manifest(document)
    return _iter_genuine(_read_entries(document))


def iter_ecdsa_p384_cases(document: object) -> Iterator[Case]:
    """Return the cases of a Wycheproof file, or the signatures in a file of evidence.

    Raises:
        ConfigError: neither.
        EncodingError: one of them, but malformed.
    """
    if not isinstance(document, PublishedFile):
        raise ConfigError("not recognised: no file of a suite")
    if document.suffix == "json":
        parsed = _parse_json(document.data)
        if isinstance(parsed, Mapping):
            return iter_wycheproof_cases(parsed)
    return _iter_signatures(_read_entries(document))


def _read_entries(document: PublishedFile) -> tuple[EvidenceEntry, ...]:
    if document.name == SAMPLE:
        chain = document.find(SAMPLE_CHAIN)
        if chain is None:
            raise EncodingError(f"{SAMPLE_CHAIN} is not beside it")
        return (_read_sample(document.data, chain),)
    parsed = _parse_json(document.data) if document.suffix == "json" else None
    first = parsed[0] if isinstance(parsed, list) and parsed else None
    if not isinstance(first, Mapping) or "evidence" not in first:
        raise ConfigError("not recognised: no evidence of chips")
    return read_evidence(document.data)


def _read_sample(text: bytes, chain: bytes) -> EvidenceEntry:
    """Return the entry that a report in hexadecimal and a chain in PEM make."""
    try:
        report = MeasurementReport.from_bytes(bytes.fromhex(text.decode("ascii")))
    except ValueError as error:
        raise EncodingError("expected a report in hexadecimal") from error
    return EvidenceEntry(
        architecture=Architecture.HOPPER, report=report, chain=read_pem_chain(chain), nonce=report.nonce
    )


def _iter_expected(document: PublishedFile) -> Iterator[Case]:
    """Each field of the maker's reading of each report, and of ours."""
    for source in _read_readings(document.data):
        name = str(source.get("source"))[:80]
        try:
            ours = _describe(_find_entry(document, name))
        except ConfigError as error:
            yield f"{name} is there", partial(_report_missing, str(error))
            continue
        for field in dict.fromkeys((*source, *ours)):
            if field != "source":
                yield f"{name} {field}", partial(_compare, field, source, ours)


def _read_readings(data: bytes) -> list[Mapping[str, Any]]:
    try:
        sources = _parse_json(data)
    except ConfigError as error:
        raise EncodingError(str(error)) from error
    if not isinstance(sources, list) or not sources or not all(isinstance(s, Mapping) for s in sources):
        raise EncodingError("expected a list of readings")
    return sources


def _report_missing(why: str) -> None:
    raise VerificationError(f"what is read there cannot be compared: {why}")


def _find_entry(document: PublishedFile, source: str) -> EvidenceEntry:
    """Return the entry that a source such as ``gpu_evidence.json#0`` names."""
    name, _, place = source.partition("#")
    beside = replace(document, name=name or "none", data=document.read(name))
    entries = dict(enumerate(_read_entries(beside)))
    if not (place or "0").isdecimal() or int(place or 0) not in entries:
        raise EncodingError(f"expected an entry of a file, got {source[:80]!r}")
    return entries[int(place or 0)]


def _compare(field: str, theirs: Mapping[str, object], ours: Mapping[str, object]) -> None:
    if field not in ours:
        raise VerificationError(f"{field} is not read here")
    if field not in theirs:
        raise VerificationError(f"{field} is missing from the maker's reading")
    if ours[field] != theirs[field]:
        raise VerificationError(f"expected {str(theirs[field])[:200]}, got {str(ours[field])[:200]}")


def _describe(entry: EvidenceEntry) -> dict[str, object]:
    """Return what we read, under the names of the maker's verifier."""
    report = entry.report
    return {
        "nonce": entry.nonce.hex(),
        "nonce_in_request": report.nonce.hex(),
        "signature_valid": _is_signed(entry.chain[0].key, report.signed_bytes, report.signature),
        "blocks": len(report.measurements),
        "measurements": {str(index): value.hex() for index, value in enumerate(report.measurements)},
        "opaque": dict(_iter_opaque(entry)),
        "msrscnt": list(report.opaque.measurement_counts),
        "report_sha384": sha384(report.to_bytes()).hexdigest(),
        "leaf_subject": entry.chain[0].name,
        "chain": [certificate.name for certificate in entry.chain],
    }


def _iter_opaque(entry: EvidenceEntry) -> Iterator[tuple[str, object]]:
    names = {field: name for name, field in _RENAMED.items()}
    opaque = entry.report.opaque
    for field in Field:
        value = opaque.fields.get(field)
        name = _OPAQUE + names.get(field, field.name)
        if field is Field.FEATURE_FLAG:
            yield name, opaque.feature
        elif field in _NUMBERS or value is None:
            yield name, None if value is None else int.from_bytes(value, "little")
        elif field is not Field.MEASUREMENT_COUNTS:
            yield name, value.hex()


def _iter_genuine(entries: tuple[EvidenceEntry, ...]) -> Iterator[Case]:
    for place, entry in enumerate(entries):
        yield f"{place} is genuine", partial(_verify_genuine, entry)
        for name, altered in _iter_altered(entry):
            yield f"{place} is refused with {name}", partial(_verify_refused, altered, entry.nonce)


def _verify_genuine(entry: EvidenceEntry) -> None:
    """Hold that only the reference values, which nobody gave, keep this evidence from being affirmed."""
    failed = {judgement.reason for judgement in _appraise(entry, entry.nonce).failed}
    if failed != {"rim-missing"}:
        raise VerificationError(
            f"expected nothing but rim-missing, got {', '.join(sorted(failed)) or 'nothing'}"
        )


def _verify_refused(entry: EvidenceEntry, nonce: bytes) -> None:
    result = _appraise(entry, nonce)
    if result.status is not Tier.CONTRAINDICATED:
        raise VerificationError(f"expected a refusal, got {result.status}")


def _appraise(entry: EvidenceEntry, nonce: bytes) -> AttestationResult:
    return appraise_entry(entry, SpdmExpectations(nonce=nonce, roots=PINNED_ROOTS, now=JUDGED_AT_MS))


def _iter_altered(entry: EvidenceEntry) -> Iterator[tuple[str, EvidenceEntry]]:
    report = entry.report
    nonce = _flip(report.nonce)
    yield "another nonce", replace(entry, report=replace(report, nonce=nonce), nonce=nonce)
    yield "an altered report", replace(entry, report=replace(report, signed_bytes=_flip(report.signed_bytes)))
    yield "an altered signature", replace(entry, report=replace(report, signature=_flip(report.signature)))
    yield "a chain without its root", replace(entry, chain=entry.chain[:-1])
    yield "the chain of its issuer", replace(entry, chain=entry.chain[1:])


def _iter_manifest(document: PublishedFile) -> Iterator[Case]:
    try:
        from vetonet.attestation.spdm.manifest_xml import read_manifest  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ConfigError(f"not judged: reading manifests needs {INSTALL_RIM}") from error
    signed = read_manifest(document.data, document.name)

    def judge() -> None:
        problems = find_manifest_problems(signed, PINNED_ROOTS, NVIDIA_DEVICES.key, JUDGED_AT_MS)
        if problems:
            raise VerificationError(str(problems[0]), problems=problems)

    def judge_altered() -> None:
        altered = read_manifest(document.data.replace(b' active="False"', b' active="True"', 1), "altered")
        if altered.manifest is not None:
            raise VerificationError("an altered manifest was accepted")

    yield "is signed up to the pinned root", judge
    yield "is refused with one measurement switched on", judge_altered


def _iter_signatures(entries: tuple[EvidenceEntry, ...]) -> Iterator[Case]:
    """Every signature in the evidence verifies, and none over anything else or by another key."""
    for place, entry in enumerate(entries):
        report, key = entry.report, entry.chain[0].key
        signed = partial(verify_ecdsa_raw, key)
        yield f"{place} report", partial(signed, report.signed_bytes, report.signature)
        yield f"{place} altered report", _refused(signed, _flip(report.signed_bytes), report.signature)
        yield f"{place} altered signature", _refused(signed, report.signed_bytes, _flip(report.signature))
        yield from _iter_chain_signatures(f"{place} certificate", entry.chain)


def _iter_chain_signatures(name: str, chain: tuple[Certificate, ...]) -> Iterator[Case]:
    for depth, certificate in enumerate(chain):
        issuer = chain[min(depth + 1, len(chain) - 1)].key
        verify = partial(verify_ecdsa_der, issuer)
        other = partial(verify_ecdsa_der, chain[depth - 1].key)
        yield f"{name} {depth}", partial(verify, certificate.signed_bytes, certificate.signature)
        yield (
            f"{name} {depth} altered",
            _refused(verify, _flip(certificate.signed_bytes), certificate.signature),
        )
        yield f"{name} {depth} by another", _refused(other, certificate.signed_bytes, certificate.signature)


def _refused(verify: Callable[[bytes, bytes], None], message: bytes, signature: bytes) -> Callable[[], None]:
    def judge() -> None:
        try:
            verify(message, signature)
        except VetonetError:
            return
        raise VerificationError("an invalid signature was accepted")

    return judge


def _is_signed(key: PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        verify_ecdsa_raw(key, message, signature)
    except VetonetError:
        return False
    return True


def _flip(data: bytes) -> bytes:
    """Return the data with its middle bit the other way."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _parse_json(data: bytes) -> Any:
    try:
        return read_json(data, MAX_EVIDENCE_BYTES)
    except EncodingError as error:
        raise ConfigError(f"not recognised: {error}") from error
