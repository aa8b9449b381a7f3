"""Charters: a treaty without its groups' keys, and the two ways between them (VN-3)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from support.charters import make_charter
from support.world import make_council
from vetonet.crypto.statement import compute_digest, sign_jointly
from vetonet.errors import EncodingError
from vetonet.policy.treaty import Operator, Party, Terms, Treaty, open_treaty

TREATY = make_council(4, 3).treaty.statement
TERMS = TREATY.to_terms()


def test_a_charter_and_its_groups_are_the_treaty() -> None:
    assert TERMS.to_treaty(TREATY.groups) == TREATY
    assert TERMS.to_treaty(TREATY.groups).to_bytes() == TREATY.to_bytes()


def test_a_charter_has_every_label_of_the_treaty_but_that_of_the_groups() -> None:
    assert {**TERMS.to_item(), 5: TREATY.to_item()[5]} == TREATY.to_item()
    assert {field.name for field in fields(Treaty)} - {field.name for field in fields(Terms)} == {"groups"}


def test_a_charter_reads_back_from_its_one_spelling() -> None:
    assert Terms.from_bytes(TERMS.to_bytes()) == TERMS


def test_a_charter_and_its_treaty_are_not_equal_and_have_other_digests() -> None:
    assert TERMS != TREATY
    assert compute_digest(TERMS) != compute_digest(TREATY)


def test_a_treaty_is_no_charter_and_a_charter_no_treaty() -> None:
    with pytest.raises(EncodingError):
        Terms.from_bytes(TREATY.to_bytes())
    with pytest.raises(EncodingError):
        Treaty.from_bytes(TERMS.to_bytes())


def test_a_charter_that_all_parties_signed_does_not_open_as_a_treaty() -> None:
    # VN-2.1
    with pytest.raises(EncodingError):
        open_treaty(sign_jointly(TERMS, tuple(make_council(4, 3).party_keys.values())))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"parties": (*TERMS.parties, Party(party_id="p1", key=TERMS.log_key))}, id="name twice"),
        pytest.param(
            {"operators": (Operator(operator_id="o", key=TERMS.parties[0].key),)}, id="key under two names"
        ),
        pytest.param(
            {"operators": (replace(TERMS.operators[0], party_id="nobody"),)}, id="operator of a stranger"
        ),
        pytest.param({"actions": TERMS.actions[:1]}, id="nobody renews leases"),
        pytest.param({"bands": TERMS.bands[1:]}, id="bands from above"),
        pytest.param({"witness_quorum": 1}, id="quorum of witnesses too small"),
        pytest.param({"window_ms": 0}, id="no window"),
    ],
)
def test_a_charter_that_no_treaty_may_follow_is_refused(changes: dict[str, Any]) -> None:
    # VN-3.2, VN-3.3, VN-3.4
    with pytest.raises(ValueError, match=r"."):
        replace(TERMS, **changes)


def test_groups_of_another_charter_are_refused() -> None:
    # VN-3.2
    with pytest.raises(ValueError, match="a group for each"):
        make_charter().terms.to_treaty(TREATY.groups)


def test_a_group_whose_key_is_a_partys_is_refused() -> None:
    # VN-3.2
    key = make_charter().terms.parties[0].key
    group = TREATY.all_groups[0]
    assert group.key != key
    with pytest.raises(ValueError, match="two names"):
        replace(TREATY, log_key=group.key)
