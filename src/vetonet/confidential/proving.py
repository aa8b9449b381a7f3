"""The operator's side: from the openings that only it holds to a proof that shows none of them (VN-18.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Final

from vetonet.confidential.accounts import AccountTotal
from vetonet.confidential.bounds import Bound
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.usage import MAX_LICENCE_ID, MAX_REPORTS, RANGE_BITS, UsageClaim, UsageProof
from vetonet.crypto.bulletproofs import prove_range, verify_range
from vetonet.crypto.pedersen import (
    Commitment,
    Opening,
    commit,
    compute_remainder_opening,
    sum_openings,
)
from vetonet.crypto.secp256k1 import SCALAR_BYTES
from vetonet.encoding import cbor
from vetonet.encoding.record import DIGEST, Codec, Record, bstr, member, tstr, uint
from vetonet.errors import EncodingError, Problem, ProofError
from vetonet.units import Rng

_VALUE_BYTES: Final = 8


def _opening() -> Codec[Opening]:
    """An opening as 40 bytes: the value, big-endian, and the blinding."""
    outer = bstr(_VALUE_BYTES + SCALAR_BYTES)

    def parse(item: cbor.Item) -> Opening:
        data = outer.from_item(item)
        try:
            return Opening(value=int.from_bytes(data[:_VALUE_BYTES], "big"), blinding=data[_VALUE_BYTES:])
        except ValueError as error:
            raise EncodingError(str(error)) from error

    return Codec(lambda value: value.value.to_bytes(_VALUE_BYTES, "big") + value.blinding, parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumOpening(Record):
    """The opening of one operator's sum, for whoever proves a total across operators; a secret (VN-18.6).

    It tells its reader that operator's total to the unit, and nothing about any single chip or interval.

    Attributes:
        treaty_digest: the treaty for which it was made.
        operator_id: whose chips it sums.
        licence_id: the licence on which that work is booked, or None for work without one.
        report_count: how many reports it rests on.
        opening: of the sum of the last commitment of each chip.
    """

    MAX_BYTES: ClassVar[int] = 512

    treaty_digest: bytes = member(1, DIGEST)
    operator_id: str = member(2, tstr(64))
    licence_id: int | None = member(3, uint(MAX_LICENCE_ID), optional=True)
    report_count: int = member(4, uint(MAX_REPORTS))
    opening: Opening = member(5, _opening())

    def __repr__(self) -> str:
        """Name whose it is; the opening stays hidden."""
        return f"SumOpening(operator_id={self.operator_id!r}, licence_id={self.licence_id}, <redacted>)"

    def verify(self, expected: ExpectedTotal, total: AccountTotal) -> None:
        """It opens this part of an expected total: same treaty, same licence, same reports (VN-18.6).

        Args:
            expected: the whole.
            total: of this operator's chips alone, from its reports.

        Raises:
            ProofError: it does not; the problem names the operator that handed it over.
        """
        mine = (self.treaty_digest, self.licence_id, self.report_count)
        is_fitting = mine == (expected.treaty_digest, expected.licence_id, total.report_count)
        if not is_fitting or not is_opened(total.commitment, self.opening):
            msg = f"what {self.operator_id} handed over does not open its part of {expected.name}"
            problem = Problem(reason=ProofError.reason, detail=msg, culprit=self.operator_id)
            raise ProofError(msg, problems=(problem,))


def is_opened(commitment: Commitment | None, opening: Opening) -> bool:
    """Whether there is a commitment and this opens it."""
    return commitment is not None and commit(opening) == commitment


def sum_accounts(
    told: Mapping[tuple[bytes, int], tuple[int | None, Opening]],
) -> Mapping[int | None, Opening]:
    """Return the opening of the sum of each account over all chips: what ``prove_usage`` takes (VN-18.2).

    Args:
        told: what chips told their operator, by ueid and number of the report: the licence, or None, and the
            opening. Of exactly the reports over which the proof is to be.

    Raises:
        ProofError: a sum exceeds 64 bits.
    """
    last = dict[tuple[int | None, bytes], Opening]()
    for (ueid, _), (licence_id, opening) in sorted(told.items(), key=lambda item: item[0]):
        last[licence_id, ueid] = opening
    licences = dict.fromkeys(licence_id for licence_id, _ in last)
    return {wanted: sum_openings([o for (lid, _), o in last.items() if lid == wanted]) for wanted in licences}


def combine_openings(
    expected: ExpectedTotal, parts: Sequence[SumOpening], totals: Mapping[str, AccountTotal]
) -> Opening:
    """Return the opening of a total across operators, from one part of each (VN-18.6).

    Args:
        expected: the owner's pool, or the licence on chips of several operators.
        parts: what the operators handed over, one each.
        totals: what the reports of each operator's chips say in public, by its name.

    Raises:
        ProofError: a part is missing, stands twice, is of nobody whose chips count, or does not fit its
            reports; the problem names the operator where there is one. Or the sum exceeds 64 bits.
    """
    names = [part.operator_id for part in parts]
    if sorted(names) != sorted(totals):
        odd = sorted(set(names) ^ set(totals)) or sorted(names)
        msg = f"expected one part of {expected.name} from each operator, not so of {odd[0]}"
        raise ProofError(msg)
    for part in parts:
        part.verify(expected, totals[part.operator_id])
    return sum_openings([part.opening for part in parts])


def prove_usage(expected: ExpectedTotal, opening: Opening, *, operator_id: str, rng: Rng) -> UsageProof:
    """Return the proof, unsigned, that a hidden total exceeds none of its bounds (VN-18.5).

    It is verified before it is returned: a faulty one, once signed, would accuse its operator. No message
    holds a count, for messages travel.

    Args:
        expected: what is to be proven; bounds tighter than these would tell more than they must.
        opening: of the sum: ``sum_openings`` over the last opening of each chip, or ``combine_openings``.
        operator_id: who proves, and will sign.
        rng: fresh randomness for the proof.

    Raises:
        ProofError: the opening is not of this sum, or the total exceeds a bound, which is named.
        ValueError: it is not for this operator to prove.
    """
    claim = expected.to_claim(operator_id)
    if not is_opened(claim.sum_commitment, opening):
        msg = f"the openings are not those of the reports that count for {expected.name}"
        raise ProofError(msg)
    remainders = [_open_remainder(expected, bound, opening) for bound in claim.list_padded()]
    proof = prove_range(remainders, bits=RANGE_BITS, transcript=claim.start_transcript(), rng=rng)
    proven = attach_proof(claim, proof)
    verify_range(proven.to_range_claim())
    return proven


def attach_proof(claim: UsageClaim, proof: bytes) -> UsageProof:
    """Return the claim with these bytes as its proof, whatever they show."""
    return UsageProof(**{field.name: getattr(claim, field.name) for field in fields(UsageClaim)}, proof=proof)


def _open_remainder(expected: ExpectedTotal, bound: Bound, opening: Opening) -> Opening:
    try:
        return compute_remainder_opening(bound.units, opening)
    except ProofError as error:
        msg = f"{expected.name} exceeds its {bound.kind} bound: there is no proof of what is not so"
        raise ProofError(msg) from error
