"""The operator's side of a bundle: from its openings to the proofs that a verifier will want (VN-18.5).

What is to be proven is what a verifier finds to be proven in the same parts, so both speak about the same
sums (VN-18.3).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vetonet.attestation.report import ComputeReport
from vetonet.compliance.result import ComplianceResult
from vetonet.confidential.bounds import BoundKind
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.proving import SumOpening, combine_openings, is_opened, prove_usage
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.pedersen import Commitment, Opening, sum_openings
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, EncodingError, RefusedError

Account: TypeAlias = tuple[bytes, "int | None"]
"""A chip by ueid, and the licence on which work is booked, or None."""

NOT_VOUCHED: Final = frozenset({"report-forged", "report-malformed", "signer-unknown", "wrong-device"})
"""With one of these an operator signs no export: it would answer for reports that no chip of it made."""

_PROOF_CONTEXT: Final = b"vetonet export proof 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnd:
    """The last report of a chip that commits to one account.

    Attributes:
        counter: of the report.
        commitment: to the whole account.
    """

    counter: int
    commitment: bytes


class AccountEnds:
    """The ends of all accounts, of reports in any order; grows in place."""

    def __init__(self) -> None:
        """Begin without a report."""
        self.by_account: dict[Account, AccountEnd] = {}

    def count(self, claims: ComputeReport) -> None:
        """Count in one report; one whose counts are in clear opens nothing (VN-18.3)."""
        if claims.flop_commitment is None:
            return
        account = (claims.ueid, claims.licence_id)
        known = self.by_account.get(account)
        if known is None or known.counter < claims.counter:
            end = AccountEnd(counter=claims.counter, commitment=claims.flop_commitment)
            self.by_account[account] = end


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What an operator proves with, and shows nobody.

    Attributes:
        operator_id: whose.
        openings: of the last report of each account, by chip and licence.
        handed: the sums of other operators of one owner.
    """

    operator_id: str
    openings: Mapping[Account, Opening] = field(repr=False)
    handed: tuple[SumOpening, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All of which an operator proves the hidden totals of one bundle.

    Attributes:
        expected: what a verifier will want proven.
        secrets: of the operator.
        ends: the last report of each account.
        owners: the operator of each chip, by ueid.
    """

    expected: tuple[ExpectedTotal, ...]
    secrets: Secrets
    ends: Mapping[Account, AccountEnd] = field(repr=False)
    owners: Mapping[bytes, str] = field(repr=False)

    @property
    def operator_id(self) -> str:
        """Whose they are."""
        return self.secrets.operator_id

    def list_mine(self) -> tuple[ExpectedTotal, ...]:
        """Return the totals that are for this operator to prove."""
        return tuple(entry for entry in self.expected if self.operator_id in entry.operator_ids)

    def list_unproven(self, proofs: Iterable[UsageProof]) -> tuple[ExpectedTotal, ...]:
        """Return those of which none of these proofs is."""
        proven = {(proof.licence_id, proof.owner) for proof in proofs}
        return tuple(entry for entry in self.list_mine() if (entry.licence_id, entry.owner) not in proven)

    def find_own_part(self, licence_id: int | None) -> ExpectedTotal | None:
        """Return the total under a licence, or without one, to which its chips contribute, or None."""
        alike = (entry for entry in self.expected if entry.licence_id == licence_id and entry.owner is None)
        return next((entry for entry in alike if self.operator_id in entry.parts), None)


def find_openings(
    ends: Mapping[Account, AccountEnd], find: Mapping[tuple[bytes, int], Opening]
) -> Mapping[Account, Opening]:
    """Return the openings of the ends of accounts, each held against its commitment.

    Args:
        ends: of accounts.
        find: what is kept, by chip and counter of the report.

    Raises:
        ConfigError: one does not open the commitment of its report.
    """
    found: dict[Account, Opening] = {}
    for (ueid, licence_id), end in ends.items():
        opening = find.get((ueid, end.counter))
        if opening is None:
            continue
        if not is_opened(_read_commitment(end.commitment), opening):
            raise ConfigError(
                f"the opening kept for report {end.counter} of chip {ueid.hex()[:16]} does not open its "
                "commitment"
            )
        found[ueid, licence_id] = opening
    return found


def _read_commitment(data: bytes) -> Commitment | None:
    try:
        return Commitment.from_bytes(data)
    except EncodingError:
        return None


def prove_totals(books: Books) -> tuple[UsageProof, ...]:
    """Return the proofs of all totals that are for this operator to prove, as far as it can (VN-18.5).

    A total across operators is left out where the others handed nothing over. What a proof draws follows from
    the opening and the claim, so that two exports of the same parts are the same bytes.

    Raises:
        ConfigError: an opening is missing.
        RefusedError: a total exceeds a bound; says by how much, for its operator to know.
        ProofError: openings that are not those of the reports.
    """
    proofs = []
    for entry in books.list_mine():
        opening = _open_total(entry, books)
        if opening is not None:
            _verify_within(entry, opening)
            rng = SeededRng(_derive_seed(entry, opening, books.operator_id))
            proofs.append(prove_usage(entry, opening, operator_id=books.operator_id, rng=rng))
    return tuple(proofs)


def sum_own(entry: ExpectedTotal, books: Books) -> Opening:
    """Return the opening of an operator's own part of a total.

    Raises:
        ConfigError: the opening of one of its chips is missing.
    """
    found = []
    for (ueid, licence_id), end in sorted(books.ends.items(), key=lambda pair: pair[0][0]):
        if licence_id != entry.licence_id or books.owners.get(ueid) != books.operator_id:
            continue
        opening = books.secrets.openings.get((ueid, licence_id))
        if opening is None:
            raise ConfigError(
                f"{entry.name} cannot be proven: no opening is kept for report {end.counter} of chip"
                f" {ueid.hex()[:16]}"
            )
        found.append(opening)
    if not found:
        raise ConfigError(f"{entry.name} cannot be proven: no chip of {books.operator_id} reported for it")
    return sum_openings(found)


def hand_over(entry: ExpectedTotal, opening: Opening, operator_id: str) -> SumOpening:
    """Return what an operator gives to whoever proves a total across operators; a secret (VN-18.6)."""
    return SumOpening(
        treaty_digest=entry.treaty_digest,
        operator_id=operator_id,
        licence_id=entry.licence_id,
        report_count=entry.parts[operator_id].report_count,
        opening=opening,
    )


def _open_total(entry: ExpectedTotal, books: Books) -> Opening | None:
    """Return the opening of a total, or None for one across operators who handed nothing over."""
    own, name = {books.operator_id}, books.operator_id
    if entry.parts.keys() <= own:
        return sum_own(entry, books)
    parts = [
        part
        for part in books.secrets.handed
        if part.licence_id == entry.licence_id and part.operator_id in entry.parts.keys() - own
    ]
    if not parts:
        return None
    if name in entry.parts:
        parts.insert(0, hand_over(entry, sum_own(entry, books), name))
    return combine_openings(entry, parts, entry.parts)


def _verify_within(entry: ExpectedTotal, opening: Opening) -> None:
    for bound in entry.bounds:
        over = opening.value - bound.units
        if over > 0:
            raise RefusedError(
                f"{entry.name}: its chips computed {over} unit{'' if over == 1 else 's'} of 10^15 FLOP "
                "more than its "
                f"{_NAMES[bound.kind]} allows; there is no proof of what is not so",
                clause="VN-18.5",
            )


_NAMES: Final[Mapping[BoundKind, str]] = {
    BoundKind.BUDGET: "budget",
    BoundKind.RATE: "chips' rate and time",
    BoundKind.ENERGY: "chips' energy",
    BoundKind.POOL: "treaty without a licence",
}


def _derive_seed(entry: ExpectedTotal, opening: Opening, operator_id: str) -> bytes:
    """Return what the masks of a proof follow from: as in RFC 6979, the secret and all that is claimed."""
    said = entry.to_claim(operator_id).to_bytes() + opening.value.to_bytes(8, "big")
    return hmac.digest(opening.blinding, _PROOF_CONTEXT + said, "sha512")


def verify_vouched(result: ComplianceResult) -> None:
    """Hold that nothing among the parts is what an operator must not sign.

    Raises:
        RefusedError: something is; the first such problem says what.
    """
    for problem in result.problems:
        if problem.reason in NOT_VOUCHED:
            raise RefusedError(f"nobody can vouch for these reports: {problem.detail}", clause="VN-10.1")
