"""The port of a chip's secure element, and the one that is made of software (VN-17.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from vetonet.attestation.platform import SIMULATED
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey, PublicKey, SigningKey

SEED_BYTES: Final = 32
"""How much randomness an element gets at each start."""


class Platform(Protocol):
    """What an element that is more than a key says on its own, over a nonce of 32 bytes."""

    def quote(self, nonce: bytes) -> bytes:
        """Return its evidence of what was measured since it got power."""
        ...

    def advance(self, nonce: bytes) -> bytes:
        """Count one further, for good; return its evidence of the count."""
        ...


class SecureElement(Protocol):
    """Whatever keeps a chip's device key, and its monotonic counter, where no software can reach them.

    It is a ``SigningKey`` too: the device key signs alias endorsements, and nothing else. It is handed to the
    chip as a value, as ``rng`` is elsewhere; it may do I/O, and raises ``StorageError`` where that fails.
    """

    @property
    def kind(self) -> str:
        """The attester kind, as treaty and enrolment name it."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The device key."""
        ...

    @property
    def platform(self) -> Platform | None:
        """What vouches for measurements and counts, or None for an element that only signs."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the device key's signature, in the form that ``PublicKey.verify`` takes."""
        ...

    def start(self, firmware_digest: bytes, seed: bytes) -> SigningKey:
        """Return the alias key of the boot that begins, made only after this firmware was measured.

        Args:
            firmware_digest: what was measured.
            seed: ``SEED_BYTES`` of randomness, for an element that draws none of its own.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftwareElement:
    """A device key in this process's memory: good for trying things, worth nothing as evidence."""

    device_key: EcdsaSigningKey = field(repr=False)

    @property
    def kind(self) -> str:
        """Always ``SIMULATED``: nothing else may be claimed for a key in memory."""
        return SIMULATED

    @property
    def platform(self) -> None:
        """Nothing vouches for it."""
        return None

    @property
    def public_key(self) -> PublicKey:
        """The device key."""
        return self.device_key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return ``r || s``, with the low ``s``."""
        return self.device_key.sign(message)

    def start(self, firmware_digest: bytes, seed: bytes) -> SigningKey:
        """Return the Ed25519 key of this seed."""
        del firmware_digest
        return Ed25519SigningKey(seed=seed)
