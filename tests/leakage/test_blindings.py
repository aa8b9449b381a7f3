"""No blinding is used twice: statistics of the commitments of a fleet, and what a reuse would look like."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import pytest

from support.blindings import REACH, count_multiple, find_reused
from support.twins import FLOP_PER_STEP, make_ground, make_twin
from vetonet.attestation.report import ComputeReport
from vetonet.attester import account
from vetonet.attester.account import Account, open_account
from vetonet.compliance.bundle import Bundle
from vetonet.crypto.pedersen import Opening, commit, compute_blinding
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified

SECRET: Final = sha256(b"a chip's secret").digest()
UEID: Final = make_ground().fleet.device_set.ueids[0]


def commit_to(value: int, name: bytes = b"one") -> bytes:
    return commit(Opening(value=value, blinding=compute_blinding(SECRET, name))).point


def read_commitments(bundle: bytes) -> list[bytes]:
    reports = (read_unverified(data, ComputeReport) for data in Bundle.from_bytes(bundle).reports)
    return [report.commitment for report in reports]


def test_no_two_reports_of_a_fleet_share_a_blinding() -> None:
    bundles = [make_twin(SeededRng(b"fleet %d" % number), is_larger=bool(number % 2)) for number in range(4)]
    commitments = [point for twin in bundles for point in read_commitments(twin.bundle)]
    assert len(commitments) == 32
    assert list(find_reused(commitments)) == []


def test_a_blinding_that_a_chip_uses_for_all_its_reports_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(secret: bytes, context: bytes) -> bytes:
        return compute_blinding(secret, context[:4])

    monkeypatch.setattr(account, "compute_blinding", forget)
    twin = make_twin(SeededRng(b"careless"), is_larger=True)
    found = list(find_reused(read_commitments(twin.bundle)))
    assert len(found) == 2 * 6  # each two of the four reports of each chip
    units = FLOP_PER_STEP * 20 // 10**15
    assert {round(difference / units) for _, _, difference in found} == {1, 2, 3}


def test_a_chip_that_was_put_back_commits_to_another_value_under_another_blinding() -> None:
    first, second = Account(licence_id=9, flop=5 * 10**15), Account(licence_id=9, flop=7 * 10**15)
    told = [open_account(each, secret=SECRET, ueid=UEID, counter=3).opening for each in (first, second)]
    assert told[0].blinding != told[1].blinding
    assert list(find_reused([commit(opening).point for opening in told])) == []


@pytest.mark.parametrize(
    ("first", "counter", "licence_id"), [(1, 4, 9), (1, 3, 10), (1, 3, None), (0, 3, 9), (2, 3, 9)]
)
def test_the_blinding_follows_from_all_that_a_commitment_is_for(
    first: int, counter: int, licence_id: int | None
) -> None:
    plain = open_account(Account(licence_id=9, flop=10**15), secret=SECRET, ueid=UEID, counter=3)
    other = Account(licence_id=licence_id, flop=first * 10**15)
    changed = open_account(other, secret=SECRET, ueid=UEID, counter=counter)
    assert changed.opening.blinding != plain.opening.blinding
    moved = open_account(Account(licence_id=9, flop=10**15), secret=SECRET, ueid=UEID[::-1], counter=3)
    assert moved.opening.blinding != plain.opening.blinding


@pytest.mark.parametrize("difference", [0, 1, 2, 4095, 4096, 4097, 8192, 12_345, 100_000, REACH - 4096])
def test_a_shared_blinding_is_found_however_far_the_values_are_apart(difference: int) -> None:
    low, high = commit_to(500), commit_to(500 + difference)
    assert count_multiple(low, high) == count_multiple(high, low) == difference


def test_another_blinding_is_not_taken_for_a_shared_one() -> None:
    assert count_multiple(commit_to(500), commit_to(501, b"other")) is None
    assert count_multiple(commit_to(500), commit_to(500, b"other")) is None


def test_the_one_report_that_repeats_a_blinding_among_many_is_named() -> None:
    commitments = [commit_to(1000 + number, b"%d" % number) for number in range(20)]
    planted = [*commitments, commit_to(1777, b"13")]
    assert list(find_reused(planted)) == [(13, 20, 764)]


def test_a_commitment_that_stands_twice_is_found() -> None:
    assert list(find_reused([commit_to(5), commit_to(6, b"x"), commit_to(5)])) == [(0, 2, 0)]
