"""Signatures of several signers, each made where its key is, and put together (VN-2.1, VN-3.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.world import make_council
from vetonet.crypto.statement import attach_signatures, sign_entry, sign_jointly, verify_entry
from vetonet.errors import InvalidSignatureError
from vetonet.policy.treaty import open_treaty

COUNCIL = make_council(3, 2)
TREATY = COUNCIL.treaty.statement
KEYS = COUNCIL.party_keys
ENTRIES = {key.public_key: sign_entry(TREATY, key) for key in KEYS.values()}


def test_entries_made_apart_give_what_joint_signing_gives() -> None:
    assert attach_signatures(TREATY, ENTRIES) == sign_jointly(TREATY, tuple(KEYS.values()))
    assert open_treaty(attach_signatures(TREATY, ENTRIES)) == COUNCIL.treaty


@pytest.mark.parametrize("name", KEYS)
def test_a_wrong_entry_names_its_signer(name: str) -> None:
    key = KEYS[name].public_key
    wrong = sign_entry(replace(TREATY, name="Another Treaty"), KEYS[name])
    with pytest.raises(InvalidSignatureError) as caught:
        attach_signatures(TREATY, {**ENTRIES, key: wrong})
    assert caught.value.culprits == (key.key_id.hex(),)


def test_an_entry_for_the_charter_is_none_for_the_treaty() -> None:
    # VN-2.1: the type is signed too
    with pytest.raises(InvalidSignatureError):
        verify_entry(TREATY, KEYS["p1"].public_key, sign_entry(TREATY.to_terms(), KEYS["p1"]))


def test_an_entry_of_another_party_is_refused() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_entry(TREATY, KEYS["p1"].public_key, ENTRIES[KEYS["p2"].public_key])


def test_a_treaty_without_one_entry_does_not_open() -> None:
    # VN-3.1
    some = {key: entry for key, entry in ENTRIES.items() if key != KEYS["p2"].public_key}
    with pytest.raises(InvalidSignatureError) as caught:
        open_treaty(attach_signatures(TREATY, some))
    assert caught.value.culprits == (KEYS["p2"].public_key.key_id.hex(),)
