"""Laws of Pedersen commitments: they add like the values they hide, and bind to one opening."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vetonet.crypto.pedersen import Commitment, Opening, commit, sum_commitments, sum_openings, verify_opening
from vetonet.crypto.secp256k1 import ORDER
from vetonet.errors import ProofError, VetonetError

openings = st.builds(
    lambda value, blinding: Opening(value=value, blinding=blinding.to_bytes(32, "big")),
    st.integers(0, 2**60 - 1),
    st.integers(1, ORDER - 1),
)


@given(terms=st.lists(openings, min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_sum_of_commitments_commits_to_the_sum(terms: list[Opening]) -> None:
    assert sum_commitments([commit(term) for term in terms]) == commit(sum_openings(terms))


@given(left=openings, right=openings, third=openings)
@settings(max_examples=30, deadline=None)
def test_addition_is_commutative_and_associative(left: Opening, right: Opening, third: Opening) -> None:
    a, b, c = commit(left), commit(right), commit(third)
    assert a.add(b) == b.add(a)
    assert a.add(b).add(c) == a.add(b.add(c))


@given(committed=openings, claimed=openings)
@settings(max_examples=50, deadline=None)
def test_a_commitment_opens_in_one_way_only(committed: Opening, claimed: Opening) -> None:
    assume(committed != claimed)
    with pytest.raises(ProofError):
        verify_opening(commit(committed), claimed)


@given(terms=st.lists(openings, min_size=2, max_size=5), lie=st.integers(1, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_sum_with_another_total_is_refused(terms: list[Opening], lie: int) -> None:
    total = sum_openings(terms)
    with pytest.raises(ProofError):
        verify_opening(
            sum_commitments([commit(term) for term in terms]),
            Opening(value=total.value + lie, blinding=total.blinding),
        )


@given(data=st.binary(max_size=66))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_a_commitment_of_one_spelling_or_an_error(data: bytes) -> None:
    try:
        commitment = Commitment.from_bytes(data)
    except VetonetError:
        return
    assert commitment.to_bytes() == data
