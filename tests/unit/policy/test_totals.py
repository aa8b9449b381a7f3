"""Whether totals are confidential, and who stands behind an operator: rules of the treaty (VN-3.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.world import make_council
from vetonet.errors import EncodingError
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import Operator, Treaty

PLAIN = make_council().treaty
DIGEST_BEFORE_THERE_WAS_A_CHOICE = "96b317cbe3e055e09188ba9d18cb4a22dc1846edfd191d8d811d007875b568dd"


def test_a_treaty_from_before_there_was_a_choice_keeps_its_digest_and_has_open_totals() -> None:
    """VN-3.6."""
    assert PLAIN.payload_digest.hex() == DIGEST_BEFORE_THERE_WAS_A_CHOICE
    assert 21 not in PLAIN.statement.to_item()
    assert PLAIN.statement.totals is None
    assert not PLAIN.statement.is_confidential


def test_totals_are_confidential_only_where_the_treaty_says_so() -> None:
    """VN-3.6."""
    hiding = replace(PLAIN.statement, totals=Totals.CONFIDENTIAL)
    shown = replace(PLAIN.statement, totals=Totals.OPEN)
    assert (hiding.is_confidential, shown.is_confidential) == (True, False)
    assert hiding.to_terms().is_confidential
    assert len({each.to_bytes() for each in (hiding, shown, PLAIN.statement)}) == 3
    assert Treaty.from_bytes(hiding.to_bytes()) == hiding


@pytest.mark.parametrize("word", ["", "OPEN", "hidden", 1, True, b"open"])
def test_another_word_for_totals_is_refused(word: object) -> None:
    with pytest.raises(EncodingError):
        Treaty.from_item(PLAIN.statement.to_item() | {21: word})


def test_behind_an_operator_stands_whom_the_treaty_names_or_nobody_else() -> None:
    """VN-3.6."""
    operator = PLAIN.statement.operators[0]
    assert (operator.beneficial_owner, operator.owner) == (None, "op1")
    owned = replace(operator, beneficial_owner="Owner One")
    assert owned.owner == "Owner One"
    assert Operator.from_item(owned.to_item()) == owned
    assert 4 not in operator.to_item()


@pytest.mark.parametrize("owner", ["", "x" * 129, "a\nb", "\u202eab"])
def test_an_owner_that_cannot_be_read_aloud_is_refused(owner: str) -> None:
    with pytest.raises(EncodingError):
        replace(PLAIN.statement.operators[0], beneficial_owner=owner).to_item()
