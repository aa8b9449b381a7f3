"""The verifier's side: which hidden totals the proofs of a bundle show, and which they do not (VN-18.8)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.confidential.bounds import Bound, BoundKind
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.bulletproofs import RangeClaim, find_false, verify_ranges
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Keys, Signed, open_statement
from vetonet.errors import EncodingError, InvalidSignatureError, Problem, ProofError, UnknownPartyError

REASONS: Final = frozenset(
    {
        "budget-unproven",
        "rate-unproven",
        "energy-unproven",
        "pool-unproven",
        "owner-pool-unproven",
        "sum-mismatched",
        "proof-invalid",
        "proof-misplaced",
    }
)
"""Every reason that ``judge_usage`` gives. All but ``proof-invalid`` only say that something is missing."""

MAX_FALSE: Final = 8
"""How many false proofs of one operator are looked for: finding one takes as long as many true ones do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenTotal:
    """A hidden total with those of its bounds that a proof shows.

    Attributes:
        expected: what was to be proven.
        operator_id: who proved it, or None where nobody did.
        bounds: what is proven: each as the operator stated it, no looser than the verifier's own.
    """

    expected: ExpectedTotal
    operator_id: str | None
    bounds: tuple[Bound, ...]

    @property
    def missing(self) -> tuple[BoundKind, ...]:
        """The kinds of bounds that nothing proves."""
        proven = {bound.kind for bound in self.bounds}
        return tuple(bound.kind for bound in self.expected.bounds if bound.kind not in proven)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageJudgement:
    """What the usage proofs of a bundle come to.

    Attributes:
        totals: each expected total, in the order in which they were expected.
        problems: what stands against the proofs, and what no proof shows; empty where all is proven.
    """

    totals: tuple[ProvenTotal, ...]
    problems: tuple[Problem, ...]


def judge_usage(
    proofs: Iterable[bytes],
    expected: Sequence[ExpectedTotal],
    *,
    treaty_digest: bytes,
    operators: Mapping[str, PublicKey],
) -> UsageJudgement:
    """Return which totals are proven, and every problem with the proofs; their order does not matter.

    Args:
        proofs: the usage proofs of a bundle, as signed; untrusted.
        expected: what is to be proven, from the verifier's own sums over the reports.
        treaty_digest: the treaty by which it is judged.
        operators: the operators of the treaty by name, with their keys.
    """
    keys = {key.key_id: key for key in operators.values()}
    opened = [_open_proof(data, treaty_digest, operators, keys) for data in sorted(proofs)]
    signed = [result for result in opened if isinstance(result, UsageProof)]
    sieved = _sieve(signed)
    found = _match(sieved.sound, expected)
    totals = tuple(_find_proven(wanted, found.proofs.get(number)) for number, wanted in enumerate(expected))
    problems = (
        *(result for result in opened if isinstance(result, Problem)),
        *map(_about_false, sieved.false),
        *found.problems,
        *(problem for total in totals for problem in _list_unproven(total)),
    )
    return UsageJudgement(totals=totals, problems=problems)


def _open_proof(
    data: bytes, treaty_digest: bytes, operators: Mapping[str, PublicKey], keys: Keys
) -> UsageProof | Problem:
    """Return a proof that an operator of this treaty signed in its own name, about this treaty (VN-18.8)."""
    try:
        signed = open_statement(data, UsageProof, keys)
    except (EncodingError, UnknownPartyError, InvalidSignatureError) as error:
        # A bundle is unsigned, so whoever put these bytes there is nobody in particular.
        return Problem(reason="proof-misplaced", detail=f"no usage proof of an operator: {error}")
    return _verify_place(signed, treaty_digest, operators)


def _verify_place(
    signed: Signed[UsageProof], treaty_digest: bytes, operators: Mapping[str, PublicKey]
) -> UsageProof | Problem:
    proof = signed.statement
    if proof.treaty_digest != treaty_digest:
        return _misplaced(proof, f"is about treaty {proof.treaty_digest.hex()[:16]}")
    named = operators.get(proof.operator_id)
    if named is None or named.key_id != signed.signer.key_id:
        signer = next(name for name, key in operators.items() if key.key_id == signed.signer.key_id)
        return _misplaced(proof, f"is signed by {signer}")
    return proof


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sieved:
    """Proofs by what they show: ``sound`` and ``false`` ones; what is in neither is not judged (VN-18.8)."""

    sound: tuple[UsageProof, ...]
    false: tuple[UsageProof, ...]


def _sieve(proofs: Sequence[UsageProof]) -> _Sieved:
    """Return which proofs show what they themselves state, whatever any report says (VN-18.8)."""
    claims = dict[int, RangeClaim]()
    for number, proof in enumerate(proofs):
        with contextlib.suppress(ProofError):
            claims[number] = proof.to_range_claim()
    try:
        verify_ranges(tuple(claims.values()))
        false, ignored = frozenset[int](), frozenset[int]()
    except ProofError:
        false, ignored = _find_false(proofs, claims)
    unstated = frozenset(range(len(proofs))) - claims.keys()
    return _Sieved(
        sound=tuple(proofs[number] for number in sorted(claims.keys() - false - ignored)),
        false=tuple(proofs[number] for number in sorted(unstated | false)),
    )


def _find_false(
    proofs: Sequence[UsageProof], claims: Mapping[int, RangeClaim]
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the first false proofs of each operator, and what comes after as many as are looked for."""
    false, ignored = set[int](), set[int]()
    for operator_id in {proof.operator_id: None for proof in proofs}:
        numbers = [number for number in claims if proofs[number].operator_id == operator_id]
        found = find_false([claims[number] for number in numbers], MAX_FALSE)
        false |= {numbers[place] for place in found}
        if len(found) == MAX_FALSE:
            ignored |= set(numbers[found[-1] + 1 :])
    return frozenset(false), frozenset(ignored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matches:
    """The proof of each expected total, by its number, and the problems of those that are of none."""

    proofs: Mapping[int, UsageProof]
    problems: tuple[Problem, ...]


def _match(proofs: Sequence[UsageProof], expected: Sequence[ExpectedTotal]) -> _Matches:
    placed, problems = dict[int, UsageProof](), list[Problem]()
    for proof in proofs:
        number = _find_expected(proof, expected)
        problem = _compare(proof, None if number is None else expected[number])
        if problem is None and number in placed:
            problem = _misplaced(proof, "is a second proof of the same total")
        if problem is not None:
            problems.append(problem)
        elif number is not None:
            placed[number] = proof
    return _Matches(proofs=placed, problems=tuple(problems))


def _find_expected(proof: UsageProof, expected: Sequence[ExpectedTotal]) -> int | None:
    for number, wanted in enumerate(expected):
        is_subject = (proof.licence_id, proof.owner) == (wanted.licence_id, wanted.owner)
        if is_subject and proof.operator_id in wanted.operator_ids:
            return number
    return None


def _compare(proof: UsageProof, wanted: ExpectedTotal | None) -> Problem | None:
    """Return why a sound proof is not about what is expected here, or None: it may be about other reports.

    Which reports are missing or too many nobody can tell from a sum, so that accuses nobody (VN-18.8).
    """
    if wanted is None:
        return _misplaced(proof, "is about nothing that these reports say of this operator")
    total = wanted.total
    if (proof.period_start_ms, proof.period_end_ms) != (total.start_ms, total.end_ms):
        return _misplaced(proof, "is about another period than these reports")
    if (proof.report_count, proof.sum_commitment) != (total.report_count, total.commitment):
        detail = f"the proof about {wanted.name} is over other reports than those here"
        return Problem(reason="sum-mismatched", detail=detail, culprit=proof.operator_id)
    return None


def _find_proven(expected: ExpectedTotal, proof: UsageProof | None) -> ProvenTotal:
    """Return the bounds that a proof shows: those no looser than what the verifier worked out (VN-18.3)."""
    if proof is None:
        return ProvenTotal(expected=expected, operator_id=None, bounds=())
    limits = {bound.kind: bound.units for bound in expected.bounds}
    proven = (bound for bound in proof.bounds if bound.units <= limits.get(bound.kind, -1))
    return ProvenTotal(expected=expected, operator_id=proof.operator_id, bounds=tuple(proven))


def _list_unproven(total: ProvenTotal) -> Iterator[Problem]:
    expected = total.expected
    who = expected.owner or expected.operator_ids[0]
    for kind in total.missing:
        reason = f"{'owner-' if expected.owner else ''}{kind}-unproven"
        detail = f"nothing proves that {expected.name} stays within its {kind} bound"
        yield Problem(reason=reason, detail=detail, culprit=who)


def _about_false(proof: UsageProof) -> Problem:
    subject = proof.owner or (None if proof.licence_id is None else f"licence {proof.licence_id}")
    detail = f"{proof.operator_id} signed a proof about {subject or 'its own pool'} that does not hold"
    return Problem(reason="proof-invalid", detail=detail, culprit=proof.operator_id)


def _misplaced(proof: UsageProof, what: str) -> Problem:
    detail = f"a usage proof in the name of {proof.operator_id} {what}"
    return Problem(reason="proof-misplaced", detail=detail)
