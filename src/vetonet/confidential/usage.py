"""Usage proofs: an operator's signed proof that a hidden total stays within its bounds (VN-18.4)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Final

from vetonet.confidential.bounds import LICENCE_KINDS, Bound, verify_kinds
from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs import RangeClaim, Transcript
from vetonet.crypto.pedersen import Commitment, compute_remainder
from vetonet.crypto.statement import Statement
from vetonet.encoding.record import DIGEST, bstr, many, member, parsed, record, tstr, uint
from vetonet.units import MAX_TIME_MS

COMMITMENT: Final = parsed(Commitment.to_bytes, Commitment.from_bytes, maximum=secp256k1.POINT_BYTES)
MAX_LICENCE_ID: Final = 2**53
MAX_REPORTS: Final = 2**48
MAX_PROOF_BYTES: Final = 1024
RANGE_BITS: Final = 64

_TRANSCRIPT_LABEL: Final = b"vetonet usage-proof 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageClaim(Statement):
    """All that a usage proof says but the proof: of whose total, over which reports, below which bounds.

    Nobody signs it alone. Operator and verifier derive the same claim from the same reports.

    Attributes:
        treaty_digest: the treaty whose licence or band sets the bounds.
        operator_id: who proves it; the signature must be this operator's.
        licence_id: the licence whose total it is, or None for work without a licence.
        owner: the beneficial owner of several operators whose pools it is, or None for the operator's own.
        period_start_ms, period_end_ms: from the start of the first counted interval to the end of the last.
        report_count: how many reports were booked on these accounts.
        sum_commitment: the sum, over all chips, of the last commitment of each.
        bounds: the most that the total is, by each kind.
    """

    TYPE: ClassVar[str] = "usage-claim"
    MAX_BYTES: ClassVar[int] = 2048

    treaty_digest: bytes = member(1, DIGEST)
    operator_id: str = member(2, tstr(64))
    licence_id: int | None = member(3, uint(MAX_LICENCE_ID), optional=True)
    owner: str | None = member(4, tstr(128), optional=True)
    period_start_ms: int = member(5, uint(MAX_TIME_MS))
    period_end_ms: int = member(6, uint(MAX_TIME_MS))
    report_count: int = member(7, uint(MAX_REPORTS))
    sum_commitment: Commitment = member(8, COMMITMENT)
    bounds: tuple[Bound, ...] = member(9, many(record(Bound), minimum=1, maximum=len(LICENCE_KINDS)))

    def __post_init__(self) -> None:
        """Refuse a claim of no report or time, of two totals at once, or with other bounds (VN-18.4)."""
        if self.report_count < 1 or self.period_start_ms >= self.period_end_ms:
            msg = "expected at least one report and a period that ends after it starts"
            raise ValueError(msg)
        if self.licence_id is not None and self.owner is not None:
            msg = "expected the total of a licence or of an owner, not both"
            raise ValueError(msg)
        verify_kinds(self.bounds, is_licence=self.licence_id is not None)

    def to_claim(self) -> UsageClaim:
        """Return the claim alone."""
        return UsageClaim(**{field.name: getattr(self, field.name) for field in fields(UsageClaim)})

    def start_transcript(self) -> Transcript:
        """Return the transcript that ties a proof to every field of this claim and no other (VN-18.5)."""
        transcript = Transcript(_TRANSCRIPT_LABEL)
        transcript.append(b"claim", self.to_claim().to_bytes())
        return transcript

    def list_remainders(self) -> tuple[Commitment, ...]:
        """Return the commitments to what each bound leaves of the total, the last repeated (VN-18.5).

        An aggregated proof is over 1, 2 or 4 commitments.

        Raises:
            ProofError: one is the point at infinity; nobody who hides the total ever claims such a sum.
        """
        return tuple(compute_remainder(bound.units, self.sum_commitment) for bound in self.list_padded())

    def list_padded(self) -> tuple[Bound, ...]:
        """Return the bounds, the last repeated up to a power of two."""
        count = len(self.bounds)
        return self.bounds + self.bounds[-1:] * ((1 << (count - 1).bit_length()) - count)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageProof(UsageClaim):
    """A claim about a hidden total, and one aggregated range proof that shows it (VN-18.4).

    It goes from operator to verifier, in the bundle: the log needs no copy, since it says nothing that the
    operator could want to take back.

    Attributes:
        proof: a Bulletproof that each bound minus the total lies in [0, 2**64).
    """

    TYPE: ClassVar[str] = "usage-proof"

    proof: bytes = member(10, bstr(1, MAX_PROOF_BYTES))

    def to_range_claim(self) -> RangeClaim:
        """Return what the proof has to show, for verifying many at once (VN-18.5).

        Raises:
            ProofError: as ``list_remainders``.
        """
        return RangeClaim(
            proof=self.proof,
            commitments=self.list_remainders(),
            bits=RANGE_BITS,
            transcript=self.start_transcript(),
        )
