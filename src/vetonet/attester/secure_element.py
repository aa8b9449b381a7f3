"""The port of a chip's secure element, and the one that is made of software (VN-17)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from vetonet.crypto.keys import EcdsaSigningKey, PublicKey, SigningKey, generate_ed25519
from vetonet.units import Rng

SIMULATED: Final = "SIMULATED"
"""The attester kind of chips whose secure element is software; a treaty takes them only by this name."""


class SecureElement(Protocol):
    """Whatever keeps a chip's device key and its monotonic counter where no software can reach them.

    It is a ``SigningKey`` too: the device key signs alias endorsements, and nothing else.
    """

    @property
    def kind(self) -> str:
        """The attester kind, as treaty and enrolment name it."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The device key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the device key's signature, in the form that ``PublicKey.verify`` takes."""
        ...

    def start(self, firmware_digest: bytes, rng: Rng) -> SigningKey:
        """Return the alias key of the boot that begins, made only after this firmware was measured."""
        ...

    def quote(self, nonce: bytes) -> bytes | None:
        """Return the element's own evidence of what was measured, over a 32-byte nonce, or None."""
        ...

    def advance(self, nonce: bytes) -> bytes | None:
        """Count one further and return the element's own evidence of the count, over a nonce, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftwareElement:
    """A device key in this process's memory: good for trying things, worth nothing as evidence."""

    device_key: EcdsaSigningKey = field(repr=False)
    kind: str = SIMULATED

    @property
    def public_key(self) -> PublicKey:
        """The device key."""
        return self.device_key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return ``r || s``, with the low ``s``."""
        return self.device_key.sign(message)

    def start(self, firmware_digest: bytes, rng: Rng) -> SigningKey:
        """Return a fresh Ed25519 key."""
        del firmware_digest
        return generate_ed25519(rng)

    def quote(self, nonce: bytes) -> bytes | None:
        """Return None: software vouches for nothing."""
        del nonce
        return None

    def advance(self, nonce: bytes) -> bytes | None:
        """Return None: the chip's own state is all the counter there is."""
        del nonce
        return None
