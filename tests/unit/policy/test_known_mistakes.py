"""Mistakes that other people's votes and thresholds had in the field: each must be impossible here."""

from __future__ import annotations

from functools import cache
from itertools import chain, combinations
from typing import Any

import pytest

from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.errors import VetonetError
from vetonet.party.founding import Membership, found_group
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.quorum import Choice, Decision, Denominator, Quorum, Recusal, VetoShare

FIVE = ("a", "b", "c", "d", "e")


def make_quorum(expression: Expression, **fields: Any) -> Quorum:
    plain = {"veto_holders": (), "veto_share": None, "min_ballots": 0, "recusal": Recusal.GRANTS}
    return Quorum(expression=expression, **(plain | fields))


def test_a_requester_cannot_approve_its_own_request() -> None:
    """A requester in the approving group approves its own request (hashicorp/vault #19214)."""
    for recusal in Recusal:
        for quorum in (
            Quorum.of_threshold(1, ("a",)),
            Quorum.of_threshold(3, FIVE),
            Quorum.of_threshold(5, FIVE),
        ):
            tied = make_quorum(quorum.expression, recusal=recusal)
            (leaf,) = tied.leaves
            least = dict.fromkeys(leaf.electorate[: leaf.min_grants], Choice.GRANT)
            assert tied.decide(least, is_closed=True) is Decision.GRANTED
            assert tied.decide(least, recused=frozenset({"a"}), is_closed=True) is Decision.EXPIRED


def test_a_requester_cannot_approve_by_a_key_of_its_own() -> None:
    """The same where the requester's party is a threshold of one (hashicorp/vault #19214)."""
    own = Threshold(min_grants=1, electorate=("a",), weights=(), minority=False)
    others = Threshold(min_grants=2, electorate=("b", "c", "d"), weights=(), minority=False)
    for expression in (AllOf(parts=(others, own)), AnyOf(parts=(others, own))):
        quorum = make_quorum(expression)
        choices = {"a": Choice.GRANT, "b": Choice.GRANT}
        assert quorum.decide(choices, recused=frozenset({"a"}), is_closed=True) is Decision.EXPIRED


def test_a_lone_yes_does_not_pass() -> None:
    """One votes yes, nobody else votes, and the proposal passes (cosmos/cosmos-sdk #2482)."""
    for size in range(2, 12):
        parties = tuple(f"p{number}" for number in range(size))
        for min_grants in range(size // 2 + 1, size + 1):
            quorum = Quorum.of_threshold(min_grants, parties)
            lone: dict[str, Choice] = {"p0": Choice.GRANT}
            assert quorum.decide(lone, is_closed=True) is Decision.EXPIRED
            abstaining = dict.fromkeys(parties[1:], Choice.ABSTAIN)
            assert quorum.decide(lone | abstaining, is_closed=True) is Decision.EXPIRED


def test_a_minority_that_may_decide_can_be_asked_for_a_turnout() -> None:
    """A treaty in which one grant is enough can still demand ballots (cosmos/cosmos-sdk #2482, #3059)."""
    leaf = Threshold(min_grants=1, electorate=FIVE, weights=(), minority=True)
    quorum = make_quorum(leaf, min_ballots=3)
    assert quorum.decide({"a": Choice.GRANT}, is_closed=True) is Decision.EXPIRED
    voted = {"a": Choice.GRANT, "b": Choice.ABSTAIN, "c": Choice.VETO}
    assert quorum.decide(voted, is_closed=True) is Decision.GRANTED


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (Denominator.ELECTORATE, Decision.GRANTED),
        (Denominator.CAST, Decision.GRANTED),
        (Denominator.DECIDED, Decision.VETOED),
    ],
)
def test_a_treaty_says_whether_abstentions_dilute_a_veto(of: Denominator, expected: Decision) -> None:
    """The documents left abstentions out of a veto's denominator, the code did not (cosmos/gaia #1900)."""
    parties = tuple(f"p{number}" for number in range(9))
    leaf = Threshold(min_grants=2, electorate=parties, weights=(), minority=True)
    quorum = make_quorum(leaf, veto_share=VetoShare(numerator=1, denominator=3, of=of))
    choices = {
        "p0": Choice.GRANT,
        "p1": Choice.GRANT,
        "p2": Choice.VETO,
        **dict.fromkeys(parties[3:8], Choice.ABSTAIN),
    }
    assert quorum.decide(choices, is_closed=True) is expected


def make_leaf(min_grants: int, *electorate: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=min_grants, electorate=electorate, weights=weights, minority=False)


EXPRESSIONS: tuple[Expression, ...] = (
    make_leaf(2, "a", "b", "c"),
    make_leaf(3, "a", "b", "c", weights=(2, 1, 1)),
    AllOf(parts=(make_leaf(2, "a", "b", "c"), make_leaf(1, "d"))),
    AnyOf(parts=(make_leaf(3, "a", "b", "c", "d"), make_leaf(2, "d", "e"))),
)


@cache
def found_leaf(leaf: Threshold) -> tuple[Membership, ...]:
    """Return the group of a leaf, a participant for each seat."""
    return found_group(leaf, b"known mistakes", lambda who: SeededRng(who.encode()))


def sign_with(leaf: Threshold, present: frozenset[str], message: bytes) -> bytes:
    """Return the signature that the seats of those that are present make; all of them take part."""
    groups = found_leaf(leaf)
    seats = [groups[number] for number, party in enumerate(leaf.seats) if party in present]
    drawn = [frost.commit(share, SeededRng(message + share.to_bytes())) for share, _ in seats]
    package = frost.SigningPackage(
        message=message, commitments=tuple(commitments for _, commitments in drawn)
    )
    shares = [
        frost.sign(package, nonces, share) for (nonces, _), (share, _) in zip(drawn, seats, strict=True)
    ]
    _, public = groups[0]
    signature = frost.aggregate(package, shares, public)
    public.group_public_key.verify_signature(message, signature)
    return signature


def list_presences() -> list[frozenset[str]]:
    subsets = chain.from_iterable(combinations(FIVE, size) for size in range(len(FIVE) + 1))
    return [frozenset(present) for present in subsets]


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_whoever_is_absent_a_quorum_of_the_others_signs_one_message_after_another(number: int) -> None:
    """Missing guardians broke the decryption of a first or second ballot, though enough others were there.

    Election-Tech-Initiative/electionguard-python #340 and #152: so every subset, and two messages.
    """
    expression = EXPRESSIONS[number]
    for present in list_presences():
        leaves = expression.select(present)
        decision = make_quorum(expression).decide(dict.fromkeys(present, Choice.GRANT), is_closed=True)
        assert decision is (Decision.EXPIRED if leaves is None else Decision.GRANTED)
        for message in (b"first", b"second"):
            signed = [sign_with(leaf, present, message) for leaf in leaves or ()]
            assert len(signed) == len(leaves or ())


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_a_subset_that_is_no_quorum_cannot_sign_either(number: int) -> None:
    """The other half of electionguard-python #152: too few must fail, and say so."""
    expression = EXPRESSIONS[number]
    for present in list_presences():
        able = {leaf for leaf in expression.leaves if can_sign(leaf, present)}
        assert able == {leaf for leaf in expression.leaves if leaf.select(present)}
        assert expression.is_signed_by(able) == (expression.select(present) is not None)


def can_sign(leaf: Threshold, present: frozenset[str]) -> bool:
    try:
        sign_with(leaf, present, b"message")
    except (VetonetError, ValueError):
        return False
    return True
