"""Everything random in a proof: drawn from the source of randomness and from the secrets together.

A source that repeats itself would give the values away if masks were drawn from it alone: two proofs under
the same masks are two equations for one unknown. So the masks are hashed from fresh randomness, the secrets
and the whole transcript so far, as RFC 6979 and RFC 9591 (section 4.1) do for signatures: with a dead source
they are still unknown to others, and different in every proof that differs in anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Final

from vetonet.crypto.bulletproofs.group import ProofTranscript
from vetonet.units import Rng

RANDOM_BYTES: Final = 32
_TAG: Final = b"vetonet/bulletproofs/masks/v1"
_NUMBER_BYTES: Final = 8
_CHALLENGE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Masks:
    """What hides the values in one proof; whoever learns it learns them.

    Attributes:
        bit_blinding: alpha, of the commitment to the bits.
        mask_blinding: rho, of the commitment to the masks.
        first_blinding: tau1, of the coefficient of X.
        second_blinding: tau2, of the coefficient of X squared.
        left: the vector sL.
        right: the vector sR.
    """

    bit_blinding: int
    mask_blinding: int
    first_blinding: int
    second_blinding: int
    left: tuple[int, ...]
    right: tuple[int, ...]


def draw_masks(order: int, rng: Rng, *, secret: bytes, transcript: ProofTranscript, length: int) -> Masks:
    """Return masks for two vectors of one length.

    Args:
        order: of the group; no mask is zero.
        rng: the source of 32 random bytes.
        secret: the spelling of all values and blindings, always of one length for one shape of proof.
        transcript: it has heard the commitments; it does not change.
        length: of each vector.

    Raises:
        ValueError: the source of randomness gave another number of bytes.
    """
    fresh = rng(RANDOM_BYTES)
    if len(fresh) != RANDOM_BYTES:
        msg = "the source of randomness gave a wrong number of bytes"
        raise ValueError(msg)
    said = transcript.copy().compute_challenge(b"masks").to_bytes(_CHALLENGE_BYTES, "big")
    numbers = _iter_numbers(hashlib.sha512(_TAG + fresh + said + secret).digest(), order)
    bit_blinding, mask_blinding, first_blinding, second_blinding = islice(numbers, 4)
    return Masks(
        bit_blinding=bit_blinding,
        mask_blinding=mask_blinding,
        first_blinding=first_blinding,
        second_blinding=second_blinding,
        left=tuple(islice(numbers, length)),
        right=tuple(islice(numbers, length)),
    )


def _iter_numbers(key: bytes, order: int) -> Iterator[int]:
    """Yield numbers in [1, order - 1]; of 512 bits each is reduced, so the bias is below 2**-250."""
    for index in count():
        wide = hashlib.sha512(key + index.to_bytes(_NUMBER_BYTES, "big")).digest()
        yield int.from_bytes(wide, "big") % (order - 1) + 1
