"""Bulletproofs: that a hidden count lies in a range, in a few hundred bytes and without a trusted set-up.

Buenz, Bootle, Boneh, Poelstra, Wuille and Maxwell, "Bulletproofs: Short Proofs for Confidential Transactions
and More", IEEE S&P 2018 (IACR ePrint 2017/1066), sections 3, 4.1 to 4.4 and 6. What a proof is about besides
its commitments is told to the transcript by whoever calls, before proving and before verifying.
"""

from __future__ import annotations

from vetonet.crypto.bulletproofs.range_proof import (
    RangeClaim,
    compute_proof_bytes,
    find_false,
    prove_range,
    verify_range,
    verify_ranges,
)
from vetonet.crypto.bulletproofs.transcript import Transcript

__all__ = [
    "RangeClaim",
    "Transcript",
    "compute_proof_bytes",
    "find_false",
    "prove_range",
    "verify_range",
    "verify_ranges",
]
