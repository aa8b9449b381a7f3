"""Pedersen commitments on secp256k1: hide a count now, add hidden counts, open the sum later.

A commitment is C = v*H + r*G for a value v and a blinding r. It hides v whatever the computing power of the
reader, and binds whoever cannot compute the discrete logarithm of H to the base G. Sums of commitments
commit to sums of values (Pedersen, "Non-Interactive and Information-Theoretic Secure Verifiable Secret
Sharing", CRYPTO 1991, section 3).

H is nobody's choice: its x-coordinate is SHA-256 of the uncompressed generator, its y-coordinate the even
one. It is the point that BIP 341 names in "Constructing and spending Taproot outputs" and that
libsecp256k1-zkp uses for the values of its commitments (``secp256k1_generator_h``), so theirs and ours are
the same. The test suite derives it again from G.

Domains are kept apart outside the commitment: a commitment means something only inside the signed statement
that holds it, and blindings are derived under a tag with the context of that statement.

Timing: scalar multiplication is in constant time (``vetonet.crypto.secp256k1``), but a value of zero takes a
shorter way, and Python's own integers are not constant-time. Whoever can time the committing device may
learn that it committed to zero.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vetonet.crypto import secp256k1
from vetonet.errors import ProofError
from vetonet.units import Rng

MAX_VALUE: Final = 2**64 - 1
"""What range proofs of 64 bits can speak about; far below n, so no sum of honest values wraps round."""

VALUE_GENERATOR: Final = bytes.fromhex("0250929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")
"""The point H."""

_BLINDING_TAG: Final = b"vetonet/pedersen/blinding/v1"
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """A point that commits to a value.

    Attributes:
        point: 33 bytes, compressed.
    """

    point: bytes

    def __post_init__(self) -> None:
        """Refuse bytes that are not the one spelling of a point; so the point at infinity, too.

        Raises:
            EncodingError: they are not.
        """
        secp256k1.verify_point(self.point)

    def to_bytes(self) -> bytes:
        """Return the 33 bytes of the point."""
        return self.point

    @classmethod
    def from_bytes(cls, data: bytes) -> Commitment:
        """Return the commitment that untrusted bytes spell.

        Raises:
            EncodingError: they are not a compressed point of the curve.
        """
        return cls(point=data)

    def add(self, other: Commitment) -> Commitment:
        """Return the commitment to the sum of both values.

        Raises:
            ProofError: the points cancel out.
        """
        return sum_commitments((self, other))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opening:
    """The secret behind a commitment: whoever holds it can show the value, or compute with it.

    Attributes:
        value: the committed count, 0 to 2**64 - 1.
        blinding: 32 bytes that spell a number in [1, n-1]. Zero is not among them: without blinding the
            value could be found by trying.
    """

    value: int = field(repr=False)
    blinding: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a value or blinding out of range, without repeating it.

        Raises:
            ValueError: out of range.
        """
        if not 0 <= self.value <= MAX_VALUE:
            msg = f"a committed value lies between 0 and {MAX_VALUE}"
            raise ValueError(msg)
        if not secp256k1.is_scalar(self.blinding):
            msg = "a blinding is 32 bytes that spell a number in [1, n-1]"
            raise ValueError(msg)

    def __repr__(self) -> str:
        """Hide both halves."""
        return "Opening(<redacted>)"

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Opening):
            return NotImplemented
        return hmac.compare_digest(_to_secret_bytes(self), _to_secret_bytes(other))

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(_to_secret_bytes(self))


def generate_blinding(rng: Rng) -> bytes:
    """Return a blinding drawn evenly from [1, n-1]."""
    while True:  # a second round is needed once in 2**128
        candidate = rng(secp256k1.SCALAR_BYTES)
        if secp256k1.is_scalar(candidate):
            return candidate


def compute_blinding(secret: bytes, context: bytes) -> bytes:
    """Return the blinding that a device derives for one context, such as a report counter.

    HMAC-SHA-512 over tag, length and context, reduced to [1, n-1]; its bias is below 2**-250.

    Args:
        secret: at least 32 secret bytes of the device.
        context: what the blinding is for; never the same for two values.

    Raises:
        ValueError: the secret is too short.
    """
    if len(secret) < secp256k1.SCALAR_BYTES:
        msg = f"a blinding secret has at least {secp256k1.SCALAR_BYTES} bytes"
        raise ValueError(msg)
    message = _BLINDING_TAG + len(context).to_bytes(_LENGTH_BYTES, "big") + context
    wide = int.from_bytes(hmac.digest(secret, message, "sha512"), "big")
    return (wide % (secp256k1.ORDER - 1) + 1).to_bytes(secp256k1.SCALAR_BYTES, "big")


def commit(opening: Opening) -> Commitment:
    """Return value*H + blinding*G.

    Raises:
        ProofError: the two terms cancel out, which needs the discrete logarithm of H.
    """
    blinded = secp256k1.multiply_generator(opening.blinding)
    if opening.value == 0:  # 0*H is the point at infinity, which has no spelling
        return Commitment(point=blinded)
    scalar = opening.value.to_bytes(secp256k1.SCALAR_BYTES, "big")
    valued = secp256k1.multiply_point(VALUE_GENERATOR, scalar)
    return _commitment(secp256k1.add_points((valued, blinded)))


def verify_opening(commitment: Commitment, opening: Opening) -> None:
    """The commitment is to the value of this opening.

    Raises:
        ProofError: it is not, or the blinding is another.
    """
    if not hmac.compare_digest(commit(opening).point, commitment.point):
        msg = f"the opening does not open commitment {commitment.point.hex()}"
        raise ProofError(msg)


def sum_commitments(commitments: Sequence[Commitment]) -> Commitment:
    """Return the commitment to the sum of all values.

    Raises:
        ProofError: there are none, or the points cancel out; either sum has no spelling.
    """
    if not commitments:
        msg = "a sum of no commitments commits to nothing"
        raise ProofError(msg)
    return _commitment(secp256k1.add_points([commitment.point for commitment in commitments]))


def sum_openings(openings: Sequence[Opening]) -> Opening:
    """Return the opening of ``sum_commitments`` over the same commitments.

    Raises:
        ProofError: there are none, the values exceed 64 bits together, or the blindings cancel out.
    """
    if not openings:
        msg = "a sum of no openings opens nothing"
        raise ProofError(msg)
    value = sum(opening.value for opening in openings)
    if value > MAX_VALUE:
        msg = "the values add up to more than 64 bits hold"
        raise ProofError(msg)
    return Opening(value=value, blinding=_sum_blindings([opening.blinding for opening in openings]))


def compute_remainder(limit: int, total: Commitment) -> Commitment:
    """Return the commitment to what a limit leaves over a committed total: limit*H - C.

    Whoever proves that it commits to a count proves that the total is within the limit.

    Raises:
        ValueError: the limit lies outside 0 to 2**64 - 1.
        ProofError: the points cancel out, so the total was committed to without a blinding.
    """
    if not 0 <= limit <= MAX_VALUE:
        msg = f"a limit lies between 0 and {MAX_VALUE}"
        raise ValueError(msg)
    negated = secp256k1.negate_point(total.point)
    if limit == 0:  # 0*H is the point at infinity, which has no spelling
        return Commitment(point=negated)
    limited = secp256k1.multiply_point(VALUE_GENERATOR, limit.to_bytes(secp256k1.SCALAR_BYTES, "big"))
    return _commitment(secp256k1.add_points((limited, negated)))


def compute_remainder_opening(limit: int, opening: Opening) -> Opening:
    """Return the opening of ``compute_remainder`` over the commitment to this opening.

    Raises:
        ValueError: the limit is above 2**64 - 1.
        ProofError: the value is above the limit.
    """
    if opening.value > limit:
        msg = "the committed value is above the limit"
        raise ProofError(msg)
    blinding = secp256k1.ORDER - int.from_bytes(opening.blinding, "big")
    return Opening(value=limit - opening.value, blinding=blinding.to_bytes(secp256k1.SCALAR_BYTES, "big"))


def _sum_blindings(blindings: Sequence[bytes]) -> bytes:
    total = sum(int.from_bytes(blinding, "big") for blinding in blindings) % secp256k1.ORDER
    if total == 0:
        msg = "the blindings cancel out"
        raise ProofError(msg)
    return total.to_bytes(secp256k1.SCALAR_BYTES, "big")


def _commitment(point: bytes | None) -> Commitment:
    if point is None:
        msg = "the commitments cancel out: their sum is the point at infinity"
        raise ProofError(msg)
    return Commitment(point=point)


def _to_secret_bytes(opening: Opening) -> bytes:
    return opening.value.to_bytes(_LENGTH_BYTES, "big") + opening.blinding
