"""Runs that are equal in public claims give bundles that nobody can tell apart, by size, shape or content.

Sixty pairs in every test run; ``make leakage`` judges a thousand (docs/leakage.md has the figures).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import pytest

from support.distinguisher import Score, compute_features, compute_shape, distinguish
from support.twins import FLOP_PER_STEP, SPECIFICATIONS, Leaks, Twin, make_pair
from vetonet.attestation import report
from vetonet.attestation.report import ENERGY_STEP_J, ComputeReport
from vetonet.attester import reporting
from vetonet.compliance.bundle import Bundle
from vetonet.crypto.statement import read_unverified

PAIRS: Final = int(os.environ.get("VETONET_LEAKAGE_PAIRS", "32"))
CONTROL_PAIRS: Final = 32
FEW_PAIRS: Final = 3


def judge(pairs: list[tuple[Twin, Twin]]) -> tuple[Score, ...]:
    return distinguish([(compute_features(a.bundle), compute_features(b.bundle)) for a, b in pairs])


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Twin, Twin]]:
    return [make_pair(number) for number in range(FEW_PAIRS)]


def list_public_claims(twin: Twin) -> Iterator[tuple[Any, ...]]:
    """What a reader learns of each interval, but for what is random in every run."""
    for data in Bundle.from_bytes(twin.bundle).reports:
        claims = read_unverified(data, ComputeReport)
        window = (claims.window_start_ms, claims.window_end_ms)
        work = (claims.workload, claims.precision, claims.licence_id, claims.activity)
        yield (claims.ueid, claims.counter, *window, *work, claims.energy_j, claims.out_of_set_bytes)


def test_a_pair_is_equal_in_public_claims_and_differs_in_everything_else(
    pairs: list[tuple[Twin, Twin]],
) -> None:
    smaller, larger = pairs[0]
    assert list(list_public_claims(smaller)) == list(list_public_claims(larger))
    assert smaller.flop < larger.flop
    reports = [set(Bundle.from_bytes(twin.bundle).reports) for twin in pairs[0]]
    assert reports[0].isdisjoint(reports[1])


def test_all_bundles_have_one_size_and_shape_and_a_distinguisher_does_no_better_than_chance() -> None:
    """One test, because the pairs take the time: two processes would make them twice."""
    pairs = [make_pair(number) for number in range(PAIRS)]
    assert len({compute_shape(twin.bundle) for pair in pairs for twin in pair}) == 1
    scores = judge(pairs)
    print(*scores, sep="\n")  # noqa: T201  (`make leakage` shows it)
    assert all(score.is_chance for score in scores), list(map(str, scores))


def test_energy_tells_the_total_of_simulated_chips_to_a_few_percent(pairs: list[tuple[Twin, Twin]]) -> None:
    """What docs/leakage.md warns of: the energy of these chips is their FLOP times a constant."""
    for twin in pairs[0]:
        steps = [claims[-2] // report.CONFIDENTIAL_ENERGY_STEP_J for claims in list_public_claims(twin)]
        most, least = sum(steps) * FLOP_PER_STEP, sum(step - 1 for step in steps if step) * FLOP_PER_STEP
        assert least < twin.flop <= most + len(steps) * FLOP_PER_STEP // 100
        assert least > 0.94 * most
        assert abs(twin.flop / ((least + most) / 2) - 1) < 0.02


def test_the_specification_is_in_no_bundle(pairs: list[tuple[Twin, Twin]]) -> None:
    words = [
        word for fields in SPECIFICATIONS.values() for value in fields.values() for word in value.split()
    ]
    for twin in pairs[0]:
        assert not [word for word in words if len(word) > 7 and word in twin.bundle]


def test_no_part_that_says_something_secret_is_in_two_bundles(pairs: list[tuple[Twin, Twin]]) -> None:
    """What two runs commit to differs though they say the same, or equal counts would show."""
    kinds = [
        {read(data).commitment for data in Bundle.from_bytes(twin.bundle).reports}
        for pair in pairs
        for twin in pair
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(kinds, 2))


def read(data: bytes) -> ComputeReport:
    return read_unverified(data, ComputeReport)


# ---------------------------------------------------------------- controls: the check can fail


def test_energy_that_is_told_to_the_kilojoule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (report, reporting):
        monkeypatch.setattr(module, "CONFIDENTIAL_ENERGY_STEP_J", ENERGY_STEP_J)
    scores = judge([make_pair(number, Leaks(is_proven=False)) for number in range(CONTROL_PAIRS)])
    assert not all(score.is_chance for score in scores), list(map(str, scores))


def test_a_specification_without_salt_is_found() -> None:
    leaks = Leaks(has_bare_specification=True, is_proven=False)
    scores = judge([make_pair(number, leaks) for number in range(CONTROL_PAIRS)])
    assert not all(score.is_chance for score in scores), list(map(str, scores))


def test_a_proof_whose_length_depends_on_the_total_gives_another_shape() -> None:
    leaks = Leaks(has_short_proof=True)
    smaller, larger = make_pair(0, leaks)
    assert compute_shape(smaller.bundle) != compute_shape(larger.bundle)
