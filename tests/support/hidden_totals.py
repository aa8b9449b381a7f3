"""Hidden totals to prove and to judge: chips with counts that only their operators know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from vetonet.confidential.accounts import AccountTotal, ChipAccount, Interval, sum_chips, sum_intervals
from vetonet.confidential.expectation import ExpectedTotal, expect_licence, expect_pools
from vetonet.confidential.judging import UsageJudgement, judge_usage
from vetonet.confidential.proving import SumOpening, attach_proof, prove_usage
from vetonet.confidential.usage import RANGE_BITS, UsageClaim, UsageProof
from vetonet.crypto.bulletproofs import prove_range
from vetonet.crypto.keys import Ed25519SigningKey, generate_ed25519
from vetonet.crypto.pedersen import Opening, commit, compute_blinding, sum_openings
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.units import UNIT_FLOP

TREATY: Final = sha256(b"treaty").digest()
START_MS: Final = 1_800_000_000_000
HOUR_MS: Final = 3_600_000
PEAK_FLOP_PER_S: Final = 990 * 10**12
TDP_W: Final = 700
LICENCE_ID: Final = 17
RUN_FLOP: Final = 5_000 * UNIT_FLOP
FLOOR_FLOP: Final = 1_000 * UNIT_FLOP
RNG: Final = SeededRng(b"hidden totals")
KEYS: Final[Mapping[str, Ed25519SigningKey]] = {
    name: generate_ed25519(RNG.spawn(name)) for name in ("acme", "brook", "cinder")
}
PUBLIC: Final = {name: key.public_key for name, key in KEYS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenChip:
    """A chip that worked an hour, and what its operator knows of it.

    Attributes:
        account: what its one report says in public.
        opening: of the commitment in it.
    """

    account: ChipAccount
    opening: Opening


def open_count(units: int, name: str = "chip") -> Opening:
    """Return an opening of this count, its blinding made of a name."""
    return Opening(value=units, blinding=compute_blinding(sha256(name.encode()).digest(), b"account"))


def build_interval(opening: Opening, number: int = 0, *, is_idle: bool = False) -> Interval:
    """Return what a report says of one hour at full power."""
    return Interval(
        start_ms=START_MS + number * HOUR_MS,
        end_ms=START_MS + (number + 1) * HOUR_MS,
        commitment=commit(opening).point,
        is_idle=is_idle,
        peak_flop_per_s=PEAK_FLOP_PER_S,
        energy_j=TDP_W * 3_600,
        tdp_w=TDP_W,
    )


def build_chip(units: int, name: str = "chip") -> HiddenChip:
    """Return a chip that reported once, with this count."""
    opening = open_count(units, name)
    account = sum_intervals(b"\x01" + sha256(name.encode()).digest(), [build_interval(opening)])
    return HiddenChip(account=account, opening=opening)


def build_chips(*units: int, prefix: str = "chip") -> list[HiddenChip]:
    """Return chips with these counts, each with a name of its own."""
    return [build_chip(count, f"{prefix}-{number}") for number, count in enumerate(units)]


def total_of(chips: Sequence[HiddenChip]) -> AccountTotal:
    """Return what the reports of these chips say in public of their sum."""
    return sum_chips(chip.account for chip in chips)


def opening_of(chips: Sequence[HiddenChip]) -> Opening:
    """Return the opening of their sum."""
    return sum_openings([chip.opening for chip in chips])


def expect_run(
    chips: Sequence[HiddenChip], *, total_flop: int = RUN_FLOP, licence_id: int = LICENCE_ID
) -> ExpectedTotal:
    """Return what is to be proven of a run of acme on these chips."""
    return expect_licence(
        TREATY,
        operator_id="acme",
        licence_id=licence_id,
        total_flop=total_flop,
        total=total_of(chips),
    )


def expect_idle_work(
    pools: Mapping[str, Sequence[HiddenChip]], owners: Mapping[str, str] | None = None
) -> tuple[ExpectedTotal, ...]:
    """Return what is to be proven of these operators' work without a licence."""
    totals = {name: total_of(chips) for name, chips in pools.items()}
    return expect_pools(TREATY, licensed_floor_flop=FLOOR_FLOP, pools=totals, owners=owners or {})


def hand_over(operator_id: str, chips: Sequence[HiddenChip], *, licence_id: int | None = None) -> SumOpening:
    """Return what an operator gives to whoever proves a total across operators."""
    return SumOpening(
        treaty_digest=TREATY,
        operator_id=operator_id,
        licence_id=licence_id,
        report_count=len(chips),
        opening=opening_of(chips),
    )


def prove(expected: ExpectedTotal, opening: Opening, operator_id: str = "acme") -> UsageProof:
    """Return the proof of an expected total."""
    return prove_usage(expected, opening, operator_id=operator_id, rng=RNG.spawn("proof"))


def sign_proof(proof: UsageProof, by: str | None = None) -> bytes:
    """Return a usage proof as its operator, or another, signs it."""
    return sign(proof, KEYS[by or proof.operator_id])


def forge(claim: UsageClaim, remainders: Sequence[Opening]) -> UsageProof:
    """Return a claim with a range proof about whatever a cheat says is left."""
    proof = prove_range(
        remainders, bits=RANGE_BITS, transcript=claim.start_transcript(), rng=RNG.spawn("cheat")
    )
    return attach_proof(claim, proof)


def judge(proofs: Sequence[bytes], expected: Sequence[ExpectedTotal]) -> UsageJudgement:
    """Return the judgement of these proofs under the one treaty there is here."""
    return judge_usage(proofs, expected, treaty_digest=TREATY, operators=PUBLIC)


def list_reasons(judgement: UsageJudgement) -> list[str]:
    """Return the reasons of a judgement, sorted."""
    return sorted(problem.reason for problem in judgement.problems)
