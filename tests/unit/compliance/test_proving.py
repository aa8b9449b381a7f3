"""Of which openings an operator proves its totals, and what it does not vouch for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import pytest

from support.bundles import Scene, make_confidential_scene
from vetonet.attestation.report import ComputeReport
from vetonet.compliance.proving import AccountEnds, Books, Secrets, find_openings, prove_totals, sum_own
from vetonet.crypto.pedersen import sum_openings
from vetonet.crypto.statement import read_unverified
from vetonet.errors import ConfigError


@cache
def ran() -> Scene:
    scene = make_confidential_scene(chips=2, windows=3)
    scene.run()
    return scene


def count(reports: Iterable[bytes]) -> AccountEnds:
    ends = AccountEnds()
    for data in reports:
        ends.count(read_unverified(data, ComputeReport))
    return ends


def open_books(operator_id: str = "op1") -> Books:
    scene, ends = ran(), count(ran().reports).by_account
    kept = {place: opening for place, (_, opening) in scene.openings.items()}
    return Books(
        expected=tuple(total.expected for total in scene.judge().totals),
        secrets=Secrets(operator_id=operator_id, openings=find_openings(ends, kept)),
        ends=ends,
        owners={chip.ueid: chip.owner for chip in scene.chips},
    )


def test_the_last_report_of_each_account_counts_whatever_order_they_came_in() -> None:
    """VN-18.2."""
    scene = ran()
    forth, back = count(scene.reports).by_account, count(reversed(scene.reports)).by_account
    assert forth == back
    assert {end.counter for end in forth.values()} == {len(scene.windows)}
    (entry,) = open_books().expected
    last = [held for (_, counter), (_, held) in scene.openings.items() if counter == len(scene.windows)]
    assert sum_own(entry, open_books()) == sum_openings(last)
    assert count([]).by_account == {}


def test_two_proofs_of_the_same_books_are_the_same_bytes() -> None:
    first, second = (prove_totals(open_books()) for _ in range(2))
    assert [proof.to_bytes() for proof in first] == [proof.to_bytes() for proof in second]
    assert open_books().list_unproven(first) == ()
    assert open_books().list_unproven(()) == open_books().expected


def test_nobody_proves_or_sums_what_is_another_operators() -> None:
    books = open_books("op2")
    assert prove_totals(books) == ()
    assert books.list_mine() == books.list_unproven(()) == ()
    assert books.find_own_part(ran().licence.statement.licence_id) is None
    with pytest.raises(ConfigError, match="no chip of op2 reported for it"):
        sum_own(books.expected[0], books)


def test_a_missing_opening_is_named_by_chip_and_report() -> None:
    books = open_books()
    books = replace(books, secrets=replace(books.secrets, openings={}))
    with pytest.raises(ConfigError, match="no opening is kept for report 3 of chip"):
        prove_totals(books)


def test_books_show_no_opening() -> None:
    books = open_books()
    for opening in books.secrets.openings.values():
        assert opening.blinding.hex() not in repr(books)
        assert repr(opening.blinding)[2:-1] not in repr(books)
