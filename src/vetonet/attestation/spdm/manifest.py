"""Reference manifests: the values that the maker's firmware and driver must measure as, and the comparison.

A manifest speaks of one version of one part. Which part that is follows from whose version it is: the
driver's or the boot firmware's. Reading the signed XML is ``vetonet.attestation.spdm.manifest_xml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.attestation.maker_root import MakerRoot, RootRole
from vetonet.attestation.spdm.certificate import Certificate
from vetonet.attestation.spdm.chain import find_chain_problems
from vetonet.crypto.keys import PublicKey
from vetonet.errors import Problem
from vetonet.units import Milliseconds, format_time

_CHIP_SIGNS: Final = "chip-signs"
_TRANSLATED: Final = {"maker-unknown": "rim-untrusted", _CHIP_SIGNS: "rim-untrusted"}
"""What ails the chain of a manifest, where that is neither forgery nor the time."""

_GRAVITY: Final = ("rim-forged", "rim-untrusted", "rim-expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenMeasurement:
    """What one measurement may be.

    Attributes:
        index: the maker's, from 0.
        allowed: digests, any of which is right.
    """

    index: int
    allowed: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One measurement that is not what it may be.

    Attributes:
        index: the maker's, from 0.
        expected: what it may be.
        found: what the chip measured, or None: nothing.
    """

    index: int
    expected: tuple[bytes, ...]
    found: bytes | None

    def __str__(self) -> str:
        """Return one line that names index, expectation and finding."""
        wanted = " or ".join(digest.hex() for digest in self.expected)
        found = "nothing" if self.found is None else self.found.hex()
        return f"measurement {self.index}: expected {wanted}, got {found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The reference values of one version.

    Attributes:
        product: which chips it is about, such as ``GH100``.
        version: of the driver or of the boot firmware.
        measurements: the active ones; the others are anything.
    """

    product: str
    version: str
    measurements: tuple[GoldenMeasurement, ...]

    def fits(self, product: str, version: str) -> bool:
        """Whether it is about this version on this product."""
        same_product = self.product.replace("_", "") == product.replace("_", "")
        return same_product and self.version.casefold() == version.casefold()

    def find_mismatches(self, measurements: Sequence[bytes]) -> tuple[Mismatch, ...]:
        """Return every active measurement that the chip measured as something else."""
        found = dict(enumerate(measurements))
        return tuple(
            Mismatch(index=golden.index, expected=golden.allowed, found=found.get(golden.index))
            for golden in self.measurements
            if found.get(golden.index) not in golden.allowed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest as handed in; whose word it is, ``find_manifest_problems`` says.

    Attributes:
        name: what the verifier calls it: its file.
        manifest: what is signed, or None where the signature does not hold.
        fault: why it does not, or empty.
        chain: certificates, the signer's own first.
    """

    name: str
    manifest: Manifest | None
    fault: str = ""
    chain: tuple[Certificate, ...]


def find_manifest_problems(
    signed: SignedManifest, roots: Sequence[MakerRoot], device_root: PublicKey, now: Milliseconds
) -> tuple[Problem, ...]:
    """Return everything that keeps a manifest from being the maker's word.

    The key of one chip that somebody got at must not vouch for firmware, of this chip or of another maker's.
    So a manifest rests on a root that is given for manifests, and that is given for no chips; and nobody in
    its chain is a chip.

    Args:
        signed: the manifest.
        roots: whose keys are trusted, and for what.
        device_root: the key in which the chip's own chain ends.
        now: when its certificates must be valid.
    """
    if signed.manifest is None:
        return (Problem(reason="rim-forged", detail=f"{signed.name}: {signed.fault}"),)
    certifying = {device_root, *(root.key for root in roots if root.role is RootRole.DEVICES)}
    apart = tuple(root for root in roots if root.role is RootRole.MANIFESTS and root.key not in certifying)
    return (
        *(
            Problem(
                reason=_TRANSLATED.get(problem.reason, "rim-forged"),
                detail=f"{signed.name}: {problem.detail}",
            )
            for problem in (*_find_chips(signed.chain), *find_chain_problems(signed.chain, apart, now))
            if problem.reason != "certificate-expired"
        ),
        *_find_expiry(signed, now),
    )


def _find_expiry(signed: SignedManifest, now: Milliseconds) -> Iterator[Problem]:
    """The chain is valid for as long as all of its certificates are: one problem, however many are not."""
    start = max(certificate.not_before_ms for certificate in signed.chain)
    end = min(certificate.not_after_ms for certificate in signed.chain)
    if all(certificate.is_valid_at(now) for certificate in signed.chain):
        return
    when = f"begins on {format_time(start)[:10]}" if now < start else f"ended on {format_time(end)[:10]}"
    yield Problem(
        reason="rim-expired", detail=f"{signed.name}: its certificate {when}; use --now to judge as of then"
    )


def merge_manifest_problems(problems: Sequence[Problem]) -> Problem:
    """Return the one problem that is said of a manifest: the gravest, with what else there is behind it.

    Raises:
        ValueError: there are none.
    """
    if not problems:
        raise ValueError("expected at least one problem")
    ordered = sorted(problems, key=lambda problem: _GRAVITY.index(problem.reason))
    return Problem(reason=ordered[0].reason, detail="; ".join(problem.detail for problem in ordered))


def _find_chips(chain: Sequence[Certificate]) -> Iterator[Problem]:
    """A certificate that names a chip or the firmware of one is a chip's, whatever root it leads up to."""
    for certificate in chain:
        if certificate.chip is not None or certificate.firmware_id is not None:
            yield Problem(reason=_CHIP_SIGNS, detail=f"{certificate.name} is the certificate of a chip")
