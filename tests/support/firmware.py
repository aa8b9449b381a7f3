"""Firmware for chips in tests, and what their maker says of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from vetonet.attestation.corim import Corim
from vetonet.attestation.firmware import Firmware, FirmwareComponent
from vetonet.attestation.reference_values import ReferenceValues, UpdatePurpose
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign

NAMES: Final = ("bootloader", "metering-engine")


def make_firmware(version: str = "1.0", *, svn: int = 1, names: tuple[str, ...] = NAMES) -> Firmware:
    """Return firmware of these components, all of one version."""
    return Firmware(
        components=tuple(
            FirmwareComponent(
                name=name, digest=sha256(f"{name} {version}".encode()).digest(), svn=svn, version=version
            )
            for name in names
        )
    )


FIRMWARE: Final = make_firmware()
PATCHED: Final = make_firmware("1.1", svn=2)
UNKNOWN: Final = make_firmware("of nobody")


def make_reference(
    firmware: Firmware = FIRMWARE,
    *,
    number: int = 1,
    maker: str = "maker",
    model: str = "Test Chip",
    purpose: UpdatePurpose = UpdatePurpose.SECURITY_PATCH,
) -> ReferenceValues:
    """Return a maker's reference values, unsigned."""
    corim = Corim(vendor=maker, model=model, number=number, firmware=firmware)
    return ReferenceValues(endorser_id=maker, number=number, purpose=purpose, corim=corim)


def sign_reference(root: SigningKey, firmware: Firmware = FIRMWARE, **changes: object) -> bytes:
    """Return a maker's reference values as the log holds them."""
    return sign(make_reference(firmware, **changes), root)  # type: ignore[arg-type]
