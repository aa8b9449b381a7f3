"""``vetonet appraise nvidia-spdm``: the evidence of real GPUs and switches, from files alone."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.appraise_output import STATUS_EXITS, print_judgements
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.cli.parameters import TIME
from vetonet.errors import INSTALL_RIM, VetonetError
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.attestation.ear import AttestationResult
    from vetonet.attestation.maker_root import MakerRoot
    from vetonet.attestation.spdm.evidence_entry import EvidenceEntry
    from vetonet.attestation.spdm.manifest import SignedManifest

MAX_FILE_BYTES: Final = 8 * 2**20


@click.command(
    name="nvidia-spdm",
    epilog=examples(
        "vetonet appraise nvidia-spdm gpu_evidence.json --nonce 4760e3...",
        "vetonet appraise nvidia-spdm gpu_evidence.json --roots chips.pem --rim-roots manifests.pem "
        "--nonce 4760e3... --rim driver.swidtag --rim vbios.swidtag --json",
    ),
)
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option(
    "--roots",
    type=click.Path(path_type=Path),
    help="Certificates of the roots that certify chips, in PEM; they vouch for no manifest. Without it and "
    "without --rim-roots: the maker's two root keys, pinned in vetonet.",
)
@click.option(
    "--rim-roots",
    type=click.Path(path_type=Path),
    help="Certificates of the roots that vouch for manifests, in PEM; they certify no chip.",
)
@click.option("--nonce", required=True, metavar="HEX", help="The 32 bytes that the chips were asked with.")
@click.option(
    "--rim",
    "rims",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A signed reference manifest (.swidtag) of a driver or of boot firmware; repeatable.",
)
@click.option(
    "--earlier",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Evidence that was appraised before, and counts no second time; repeatable.",
)
@click.option("--now", "now_ms", type=TIME, metavar="TIME", help="Judge as of this time, instead of now.")
@json_option
def nvidia_spdm(
    evidence: Path,
    *,
    roots: Path | None,
    rim_roots: Path | None,
    nonce: str,
    rims: tuple[Path, ...],
    earlier: tuple[Path, ...],
    now_ms: Milliseconds | None,
    as_json: bool,
) -> int:
    """Appraise EVIDENCE, SPDM reports of GH100 GPUs or LS10 switches as the maker's tools save them.

    Every entry is appraised and the worst decides. Exits with 0 for affirming, 1 for contraindicated, 3 for
    warning or none (such as without the manifests of the versions that run), 4 if a file cannot be read.
    """
    from vetonet.attestation.spdm.appraise_spdm import SpdmExpectations, appraise_entries, merge_results

    asked = _parse_nonce(nonce)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library says of hostile certificates; we say it in one line
        entries = _read_evidence(evidence)
        expected = SpdmExpectations(
            nonce=asked,
            roots=_read_roots(roots, rim_roots),
            now=time.time_ns() // 1_000_000 if now_ms is None else now_ms,
            manifests=tuple(_read_rim(path) for path in rims),
            earlier=frozenset(entry.report.digest for path in earlier for entry in _read_evidence(path)),
        )
        results = appraise_entries(entries, expected)
    whole = merge_results(results)
    if as_json:
        print_json(_to_plain(whole, entries, results))
    else:
        _print(whole, entries, results)
    return STATUS_EXITS[whole.status]


def _parse_nonce(text: str) -> bytes:
    from vetonet.attestation.spdm.evidence_entry import parse_nonce

    try:
        return parse_nonce(text)
    except VetonetError as error:
        raise Failure(f"--nonce: {error}") from error


def _read_evidence(path: Path) -> tuple[EvidenceEntry, ...]:
    from vetonet.attestation.spdm.evidence_entry import read_evidence

    data = read_input(path, "evidence", maximum=MAX_FILE_BYTES)
    try:
        return read_evidence(data)
    except VetonetError as error:
        raise _refuse(path, "evidence of GPUs or switches", error) from error


def _read_roots(devices: Path | None, manifests: Path | None) -> tuple[MakerRoot, ...]:
    """Return the roots that were given, each for what it was given for; the pinned ones if none was."""
    from vetonet.attestation.maker_root import RootRole
    from vetonet.attestation.spdm.pinned_roots import PINNED_ROOTS

    given = ((devices, RootRole.DEVICES), (manifests, RootRole.MANIFESTS))
    named = [(path, role) for path, role in given if path is not None]
    if not named:
        return PINNED_ROOTS
    return tuple(replace(root, role=role) for path, role in named for root in _read_root_file(path))


def _read_root_file(path: Path) -> tuple[MakerRoot, ...]:
    from vetonet.attestation.maker_root import read_maker_roots

    data = read_input(path, "roots", maximum=MAX_FILE_BYTES)
    try:
        return read_maker_roots(data)
    except VetonetError as error:
        raise _refuse(path, "root certificates", error) from error


def _read_rim(path: Path) -> SignedManifest:
    try:
        from vetonet.attestation.spdm.manifest_xml import read_manifest
    except ImportError as error:
        raise Failure(
            f"reading --rim needs more than is installed: {INSTALL_RIM}", reason="config"
        ) from error
    data = read_input(path, "a reference manifest", maximum=MAX_FILE_BYTES)
    try:
        return read_manifest(data, _spell(path.name))
    except VetonetError as error:
        raise _refuse(path, "a signed reference manifest", error) from error


def _spell(name: str) -> str:
    """Return a file's name in characters that every output has; names need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _refuse(path: Path, what: str, error: VetonetError) -> Failure:
    return Failure(f"{_spell(str(path))}: expected {what}: {error}", code=Exit.INVALID, reason=error.reason)


def _to_plain(
    whole: AttestationResult, entries: tuple[EvidenceEntry, ...], results: tuple[AttestationResult, ...]
) -> dict[str, object]:
    if len(entries) == 1:
        return {**whole.to_plain(), **_describe(entries[0])}
    pairs = zip(entries, results, strict=True)
    return {
        **whole.to_plain(),
        "entries": [{**result.to_plain(), **_describe(entry)} for entry, result in pairs],
    }


def _describe(entry: EvidenceEntry) -> dict[str, object]:
    """Return what one piece of evidence is about: by its own word, until its status is affirming."""
    chip = entry.chain[0].chip
    return {
        "chip": None if chip is None else ":".join(chip),
        "driver_version": entry.report.opaque.driver_version,
        "vbios_version": entry.report.opaque.vbios_version,
        "feature": entry.report.opaque.feature,
        "evidence_sha384": entry.report.digest.hex(),
    }


def _print(
    whole: AttestationResult, entries: tuple[EvidenceEntry, ...], results: tuple[AttestationResult, ...]
) -> None:
    print_line(whole.status.value)
    for place, (entry, result) in enumerate(zip(entries, results, strict=True)):
        about = ", ".join(f"{name} {value}" for name, value in _describe(entry).items() if value is not None)
        print_line()
        print_line(f"entry {place}: {result.status.value} ({about})")
        print_judgements(result)
