"""Ballots: one party's word on one proposal, in its window, with what a choice must carry (VN-6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.world import NOW_MS, make_council
from vetonet.crypto.statement import sign
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, EpochError, ExpiredError, RefusedError, UnknownPartyError
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, VetoReason, open_ballot, verify_ballot_for
from vetonet.policy.quorum import Choice, Quorum

COUNCIL = make_council(3, 2)
TREATY = COUNCIL.treaty
PROPOSAL = COUNCIL.sign_proposal()
OPENS, CLOSES = PROPOSAL.statement.opens_ms, PROPOSAL.statement.closes_ms
GRANT = COUNCIL.sign_ballot("p1", PROPOSAL).statement
VETO = COUNCIL.cast(PROPOSAL, Choice.VETO)
ABSTAIN = COUNCIL.cast(PROPOSAL, Choice.ABSTAIN)


@pytest.mark.parametrize("choice", Choice)
def test_a_partys_ballot_opens_and_counts(choice: Choice) -> None:
    signed = COUNCIL.sign_ballot("p2", PROPOSAL, choice)
    assert signed.signer == COUNCIL.party_keys["p2"].public_key
    assert Ballot.from_bytes(signed.statement.to_bytes()) == signed.statement
    verify_ballot_for(signed, PROPOSAL, "p2")


@pytest.mark.parametrize("signer", [COUNCIL.operator_keys["op1"], COUNCIL.log_key, COUNCIL.device_keys[0]])
def test_a_ballot_by_no_party_is_refused(signer: Any) -> None:
    # VN-2.2
    with pytest.raises(UnknownPartyError):
        open_ballot(sign(VETO, signer), TREATY)


@pytest.mark.parametrize("changes", [{"treaty_digest": bytes(32)}, {"epoch": 0}, {"epoch": 2}])
def test_a_ballot_under_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.4
    with pytest.raises(EpochError):
        open_ballot(sign(replace(VETO, **changes), COUNCIL.party_keys["p1"]), TREATY)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "Another Treaty"}, id="treaty"),
        pytest.param({"epoch": 2}, id="epoch"),
        pytest.param({"n": 4}, id="roster with a party more"),
        pytest.param({"n": 2}, id="roster with a party less"),
        pytest.param({"min_grants": 3}, id="quorum"),
    ],
)
@pytest.mark.parametrize("choice", Choice)
def test_a_ballot_replayed_under_another_treaty_is_refused(changes: dict[str, Any], choice: Choice) -> None:
    # VN-2.4: the voter is on both rosters with the same key, and every other term is the same.
    other = make_council(**({"n": 3, "min_grants": 2} | changes)).treaty
    assert COUNCIL.party_keys["p1"].public_key.key_id in other.statement.party_keys
    with pytest.raises(EpochError) as caught:
        open_ballot(COUNCIL.sign_ballot("p1", PROPOSAL, choice).data, other)
    assert caught.value.clause == "VN-2.4"


def test_a_ballot_on_a_run_does_not_count_for_a_motion() -> None:
    # VN-6.2: nor does one on a motion count for a run.
    patched = {ActionClass.SECURITY_PATCH: Quorum.of_threshold(2, ("p1", "p2", "p3"))}
    council = make_council(3, 2, quorums=patched)
    run, motion = council.sign_proposal(), council.move("p1", ActionClass.SECURITY_PATCH)
    for cast_on, counted_on in ((run, motion), (motion, run)):
        verify_ballot_for(council.sign_ballot("p2", cast_on), cast_on, "p2")
        with pytest.raises(RefusedError) as caught:
            verify_ballot_for(council.sign_ballot("p2", cast_on), counted_on, "p2")
        assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-6.2")


def test_a_ballot_replayed_on_another_proposal_is_refused() -> None:
    # VN-6.2
    other = COUNCIL.sign_proposal()
    assert other.payload_digest != PROPOSAL.payload_digest
    with pytest.raises(RefusedError) as caught:
        verify_ballot_for(COUNCIL.sign_ballot("p1", PROPOSAL), other, "p1")
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-6.2")


@pytest.mark.parametrize("cast_ms", [OPENS, OPENS + 1, CLOSES - 1])
def test_a_ballot_cast_in_the_window_counts(cast_ms: int) -> None:
    verify_ballot_for(COUNCIL.sign_ballot("p1", PROPOSAL, cast_ms=cast_ms), PROPOSAL, "p1")


@pytest.mark.parametrize("cast_ms", [0, OPENS - 1, CLOSES, CLOSES + 1])
def test_a_ballot_cast_outside_the_window_is_refused(cast_ms: int) -> None:
    # VN-6.3
    with pytest.raises(ExpiredError) as caught:
        verify_ballot_for(COUNCIL.sign_ballot("p1", PROPOSAL, cast_ms=cast_ms), PROPOSAL, "p1")
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-6.3")


def test_a_ballot_must_last_until_the_close() -> None:
    # VN-6.3
    verify_ballot_for(COUNCIL.sign_ballot("p1", PROPOSAL, expires_ms=CLOSES), PROPOSAL, "p1")
    with pytest.raises(ExpiredError):
        verify_ballot_for(COUNCIL.sign_ballot("p1", PROPOSAL, expires_ms=CLOSES - 1), PROPOSAL, "p1")


def test_ballots_are_taken_from_the_opening_until_before_the_close() -> None:
    # VN-6.3
    moments = (OPENS - 1, OPENS, CLOSES - 1, CLOSES)
    assert [PROPOSAL.statement.is_open_at(now) for now in moments] == [False, True, True, False]


@pytest.mark.parametrize(
    ("ballot", "changes", "reason"),
    [
        pytest.param(VETO, {"reason": None}, "reason", id="veto without a reason"),
        pytest.param(GRANT, {"reason": VetoReason.SCALE}, "reason", id="grant with a reason"),
        pytest.param(ABSTAIN, {"reason": VetoReason.OTHER}, "reason", id="abstention with a reason"),
        pytest.param(VETO, {"expires_ms": VETO.cast_ms}, "before it expires", id="expires when cast"),
        pytest.param(VETO, {"expires_ms": VETO.cast_ms - 1}, "before it expires", id="expired when cast"),
        pytest.param(GRANT, {"choice": Choice.VETO}, "reason", id="grant turned into a veto"),
        pytest.param(VETO, {"choice": Choice.GRANT}, "reason", id="veto turned into a grant"),
        pytest.param(VETO, {"choice": Choice.ABSTAIN}, "reason", id="veto turned into an abstention"),
    ],
)
def test_a_choice_with_what_does_not_belong_to_it_is_refused(
    ballot: Ballot, changes: dict[str, Any], reason: str
) -> None:
    # VN-6.1
    with pytest.raises(ValueError, match=reason):
        replace(ballot, **changes)


@pytest.mark.parametrize("reason", VetoReason)
def test_every_reason_can_be_given(reason: VetoReason) -> None:
    assert replace(VETO, reason=reason).reason is reason


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (1, bytes(31)),
        (2, -1),
        (3, bytes(33)),
        (4, "GRANT"),
        (4, "yes"),
        (4, 1),
        (5, 2**48 + 1),
        (6, NOW_MS - 1),
        (7, "scale"),
        (7, None),
        (8, None),
        (8, [bytes(66)] * 3),
        (9, 0),
        ("choice", "grant"),
    ],
)
def test_a_malformed_ballot_is_refused(label: int | str, value: object) -> None:
    with pytest.raises(EncodingError):
        Ballot.from_bytes(cbor.to_bytes(GRANT.to_item() | {label: value}))


@pytest.mark.parametrize("label", [1, 2, 3, 4, 5, 6])
def test_a_ballot_without_a_field_is_refused(label: int) -> None:
    item = GRANT.to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Ballot.from_bytes(cbor.to_bytes(item))
