"""Round one of signing: secret nonces that work once, and the commitments to them (RFC 9591, 4.1, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from vetonet.crypto.frost.group import (
    Element,
    Scalar,
    generate_bytes,
    h3,
    multiply_base,
    scalar_to_bytes,
)
from vetonet.crypto.frost.keys import Identifier, KeyShare
from vetonet.crypto.frost.layout import LayoutReader, count_to_bytes, refuse_malformed
from vetonet.errors import RefusedError
from vetonet.units import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCommitments:
    """One participant's public commitments to its two nonces."""

    identifier: Identifier
    hiding: Element
    binding: Element

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningCommitments:
        """Return the commitments that these 66 bytes spell.

        Raises:
            EncodingError: they are not the one spelling of a participant's commitments.
        """
        reader = LayoutReader(data)
        with refuse_malformed():
            identifier = Identifier(reader.take_count())
        hiding, binding = reader.take_elements(2)
        reader.finish()
        return cls(identifier=identifier, hiding=hiding, binding=binding)

    def to_bytes(self) -> bytes:
        """Return identifier, hiding commitment, binding commitment."""
        return count_to_bytes(self.identifier) + self.hiding.encoded + self.binding.encoded


class SigningNonces:
    """Two secret nonces that can be taken once: the one object here that changes.

    Two shares made from the same nonces give the signing share away, so ``take`` leaves nothing behind,
    and copying or pickling is refused: a restart loses the nonces, which costs this signer its turn and
    never its key. The stored bytes are overwritten when taken; Python may still hold copies that it made
    of them, so this is no promise against somebody who reads the memory.
    """

    __slots__ = ("_commitments", "_unspent")

    def __init__(self, *, identifier: Identifier, hiding: Scalar, binding: Scalar) -> None:
        """Hold the nonces and compute the commitments to them.

        Raises:
            ValueError: a nonce is zero or not below the group order.
        """
        self._commitments = SigningCommitments(
            identifier=identifier,
            hiding=multiply_base(hiding),
            binding=multiply_base(binding),
        )
        self._unspent = [bytearray(scalar_to_bytes(hiding) + scalar_to_bytes(binding))]

    @property
    def commitments(self) -> SigningCommitments:
        """The public commitments, before and after the nonces were taken."""
        return self._commitments

    @property
    def is_spent(self) -> bool:
        """True once the nonces were taken."""
        return not self._unspent

    def take(self) -> tuple[Scalar, Scalar]:
        """Return the hiding and the binding nonce; from then on they are spent.

        Raises:
            RefusedError: they were taken before.
        """
        try:
            # list.pop is atomic, so of two threads exactly one gets the nonces.
            secret = self._unspent.pop()
        except IndexError:
            raise RefusedError("these signing nonces were used before") from None
        hiding, binding = (
            int.from_bytes(secret[:32], "little"),
            int.from_bytes(secret[32:], "little"),
        )
        secret[:] = bytes(len(secret))
        return Scalar(hiding), Scalar(binding)

    def __repr__(self) -> str:
        """Return whose nonces they are and whether they are spent, never their values."""
        state = "spent" if self.is_spent else "<redacted>"
        return f"SigningNonces(identifier={int(self._commitments.identifier)}, {state})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: a copy could be used a second time.

        Raises:
            TypeError: always.
        """
        raise TypeError("signing nonces cannot be copied or stored")


def commit(key_share: KeyShare, rng: Rng) -> tuple[SigningNonces, SigningCommitments]:
    """Return fresh nonces to keep and the commitments to publish (RFC 9591, section 5.1).

    Args:
        key_share: the participant's share; it hedges against a weak source of randomness.
        rng: the source of 64 random bytes.

    Returns:
        The secret nonces and the commitments to them.

    Raises:
        ValueError: the source of randomness gave a wrong number of bytes.
    """
    nonces = SigningNonces(
        identifier=key_share.identifier,
        hiding=compute_nonce(key_share.signing_share, generate_bytes(rng, 32)),
        binding=compute_nonce(key_share.signing_share, generate_bytes(rng, 32)),
    )
    return nonces, nonces.commitments


def compute_nonce(signing_share: Scalar, randomness: bytes) -> Scalar:
    """Return the nonce of a signing share and 32 random bytes (nonce_generate, section 4.1)."""
    return h3(randomness + scalar_to_bytes(signing_share))
