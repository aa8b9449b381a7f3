"""Motions: what a party may ask the others to decide, and what their groups sign of it (VN-5.6, VN-7.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.world import NOW_MS, make_council
from vetonet.crypto.statement import sign, sign_jointly
from vetonet.encoding import cbor
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.matter import describe_sponsor, find_action, find_recused, open_matter
from vetonet.policy.motion import (
    AMENDING,
    MOVABLE,
    SUSPENDING,
    Motion,
    Resolution,
    derive_resolution,
    open_motion,
    open_resolution,
)
from vetonet.policy.quorum import Quorum
from vetonet.units import MS_PER_HOUR

PATCH, SUSPENSION, AMEND = (
    ActionClass.SECURITY_PATCH,
    ActionClass.EMERGENCY_SUSPENSION,
    ActionClass.AMEND_RULES,
)
ROSTER = ("p1", "p2", "p3", "p4")
COUNCIL = make_council(
    4,
    3,
    quorums={
        SUSPENSION: Quorum.of_threshold(1, ("p1", "p2"), minority=True),
        PATCH: Quorum.of_threshold(2, ("p1", "p2", "p3")),
        AMEND: Quorum.of_threshold(4, ROSTER),
    },
    suspension_ms=12 * MS_PER_HOUR,
)
TREATY = COUNCIL.treaty
SIGNED = COUNCIL.move("p1", PATCH)
MOTION = SIGNED.statement
ENDS_MS = NOW_MS + 2 * MS_PER_HOUR
RESOLUTION = derive_resolution(TREATY, SIGNED, 4, (9, 6, 7))


def sign_resolution(action: ActionClass, *signers: str, **changes: Any) -> bytes:
    resolution = derive_resolution(TREATY, COUNCIL.move("p1", action, ends_ms=ENDS_MS), 4, (6, 7))
    return COUNCIL.sign_by(replace(resolution, **changes), signers, action)


def test_a_partys_motion_opens() -> None:
    assert Motion.from_bytes(MOTION.to_bytes()) == MOTION
    assert open_motion(SIGNED.data, TREATY) == SIGNED == open_matter(SIGNED.data, TREATY)
    assert (find_action(MOTION), describe_sponsor(MOTION)) == (PATCH, "p1")


def test_runs_leases_and_what_is_impossible_cannot_be_moved() -> None:
    # VN-5.6: a run has an operator, a ceiling and a band; a motion has none of them.
    # VN-4.6: what no treaty can have decided, nobody moves either.
    unmovable = {ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL, ActionClass.REMOVE_BASELINE}
    assert set(ActionClass) - set(MOVABLE) == unmovable
    for action in unmovable:
        with pytest.raises(ValueError, match="that a party can move"):
            replace(MOTION, action=action)
    assert set(MOVABLE) >= SUSPENDING | AMENDING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"opens_ms": MOTION.closes_ms}, "opens < closes", id="a window that is never open"),
        pytest.param({"closes_ms": MOTION.opens_ms - 1}, "opens < closes", id="a window backwards"),
        pytest.param(
            {"ends_ms": MOTION.closes_ms},
            f"closes < ends in ms, got {MOTION.opens_ms}, {MOTION.closes_ms}, {MOTION.closes_ms}$",
            id="lapsed when decided",
        ),
    ],
)
def test_a_motion_with_times_out_of_order_is_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-5.6
    with pytest.raises(ValueError, match=reason):
        replace(MOTION, **changes)


def test_a_motion_is_open_from_its_opening_until_before_its_close() -> None:
    moments = (MOTION.opens_ms - 1, MOTION.opens_ms, MOTION.closes_ms - 1, MOTION.closes_ms)
    assert [MOTION.is_open_at(now) for now in moments] == [False, True, True, False]


@pytest.mark.parametrize("key", [*COUNCIL.operator_keys.values(), COUNCIL.log_key, COUNCIL.endorser_root])
def test_a_motion_by_no_party_is_refused(key: Any) -> None:
    # VN-2.2, VN-5.6: operators propose runs and move nothing.
    with pytest.raises(UnknownPartyError):
        open_motion(sign(MOTION, key), TREATY)


def test_a_motion_in_another_partys_name_is_refused() -> None:
    # VN-5.6
    with pytest.raises(RefusedError, match="of 'p1' signed by 'p2'") as caught:
        open_motion(sign(MOTION, COUNCIL.party_keys["p2"]), TREATY)
    assert (caught.value.culprit, caught.value.clause) == ("p2", "VN-5.6")


@pytest.mark.parametrize("changes", [{"treaty_digest": bytes(32)}, {"epoch": 0}, {"epoch": 2}])
def test_a_motion_under_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.4
    with pytest.raises(EpochError):
        COUNCIL.move("p1", PATCH, **changes)


@pytest.mark.parametrize("action", [action for action in MOVABLE if action not in (PATCH, SUSPENSION, AMEND)])
def test_a_motion_that_nobody_can_decide_is_not_even_voted_on(action: ActionClass) -> None:
    # VN-4.6: also what no treaty can say, the removal of the baseline.
    with pytest.raises(RefusedError, match=f"nobody decide {action}") as caught:
        COUNCIL.move("p1", action)
    assert caught.value.clause == "VN-4.6"


def test_a_motion_open_for_longer_than_the_treaty_allows_is_refused() -> None:
    # VN-5.3
    window = TREATY.statement.window_ms
    longest = NOW_MS + window
    COUNCIL.move("p1", PATCH, closes_ms=longest, ends_ms=longest + 1)
    with pytest.raises(RefusedError, match=f"at most {window} ms, got {window + 1_000} ms") as caught:
        COUNCIL.move("p1", PATCH, closes_ms=longest + 1_000, ends_ms=longest + 2_000)
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-5.3")


def test_an_emergency_suspension_cannot_outlast_its_term() -> None:
    # VN-14.4: few decide it, so it lapses by itself; other motions may last longer.
    until = NOW_MS + MS_PER_HOUR + TREATY.statement.suspension_ms
    COUNCIL.move("p1", SUSPENSION, ends_ms=until)
    COUNCIL.move("p1", PATCH, ends_ms=until + 1)
    with pytest.raises(RefusedError) as caught:
        COUNCIL.move("p1", SUSPENSION, ends_ms=until + 1)
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-14.4")


def test_who_moves_is_not_recused_and_an_operators_party_is() -> None:
    # VN-4.5
    terms = TREATY.statement
    assert find_recused(MOTION, terms) == frozenset()
    assert find_recused(COUNCIL.propose(), terms) == frozenset()
    assert find_recused(COUNCIL.propose(operator_id="op2"), terms) == {"p1"}
    with pytest.raises(UnknownPartyError):
        find_recused(COUNCIL.propose(operator_id="stranger"), terms)


def test_what_is_neither_a_proposal_nor_a_motion_is_no_matter() -> None:
    for data in (TREATY.data, COUNCIL.sign_ballot("p1", SIGNED).data, b""):
        with pytest.raises(EncodingError):
            open_matter(data, TREATY)
    assert open_matter(COUNCIL.sign_proposal().data, TREATY).statement.TYPE == "proposal"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (1, bytes(31)),
        (2, -1),
        (3, ""),
        (4, "run-grant"),
        (4, "everything"),
        (5, bytes(33)),
        (6, -1),
        (8, 2**48 + 1),
        (9, "x" * 513),
        (9, "a\nb"),
        (10, bytes(15)),
        (11, 0),
    ],
)
def test_a_malformed_motion_is_refused(label: int, value: object) -> None:
    with pytest.raises(EncodingError):
        Motion.from_bytes(cbor.to_bytes(MOTION.to_item() | {label: value}))


@pytest.mark.parametrize("label", list(MOTION.to_item()))
def test_a_motion_without_a_field_is_refused(label: int) -> None:
    item = MOTION.to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Motion.from_bytes(cbor.to_bytes(item))


def test_every_field_of_a_resolution_follows_from_the_log() -> None:
    # VN-7.1
    expected = Resolution(
        treaty_digest=TREATY.payload_digest,
        epoch=1,
        action=PATCH,
        motion_digest=SIGNED.payload_digest,
        motion_leaf_index=4,
        ballot_leaf_indices=(6, 7, 9),
        subject_digest=MOTION.subject_digest,
        issued_ms=MOTION.closes_ms,
        ends_ms=MOTION.ends_ms,
    )
    assert expected == RESOLUTION
    assert Resolution.from_bytes(RESOLUTION.to_bytes()) == RESOLUTION
    assert derive_resolution(TREATY, SIGNED, 4, [7, 9, 6]) == RESOLUTION


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"action": ActionClass.RUN_GRANT}, "that a party can move", id="a run"),
        pytest.param({"action": ActionClass.LEASE_RENEWAL}, "that a party can move", id="a lease"),
        pytest.param({"ends_ms": RESOLUTION.issued_ms}, "end after the issue", id="lapsed when issued"),
        pytest.param({"motion_leaf_index": 6}, "motion before its ballots", id="motion at a ballot"),
        pytest.param({"motion_leaf_index": 8}, "motion before its ballots", id="motion after a ballot"),
        pytest.param({"ballot_leaf_indices": (9, 6)}, "indices to rise", id="ballots out of order"),
        pytest.param({"ballot_leaf_indices": (6, 6)}, "indices to rise", id="ballot twice"),
    ],
)
def test_a_resolution_that_could_not_be_derived_is_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-7.1
    with pytest.raises(ValueError, match=reason):
        replace(RESOLUTION, **changes)


def test_a_resolution_without_ballots_is_refused() -> None:
    # VN-7.1
    with pytest.raises(ValueError, match="before its ballots"):
        derive_resolution(TREATY, SIGNED, 4, ())
    item = RESOLUTION.to_item() | {6: []}
    with pytest.raises(EncodingError):
        Resolution.from_bytes(cbor.to_bytes(item))


def test_a_resolution_opens_with_the_signature_of_the_group_of_its_class() -> None:
    opened = open_resolution(sign_resolution(PATCH, "p2", "p3"), TREATY, PATCH)
    (group,) = TREATY.statement.list_groups(PATCH)
    assert (opened.statement.action, opened.signer) == (PATCH, group.key)


@pytest.mark.parametrize("wanted", [AMEND, SUSPENSION])
def test_a_resolution_of_one_class_does_not_pass_for_another(wanted: ActionClass) -> None:
    # VN-4.6, VN-7.8: those who decide patches amend nothing.
    with pytest.raises(UnknownPartyError):
        open_resolution(sign_resolution(PATCH, "p1", "p2"), TREATY, wanted)


def test_a_resolution_that_states_another_class_than_its_signers_is_refused() -> None:
    # VN-7.8: signed by the group of patches, and called an amendment.
    resolution = replace(RESOLUTION, action=AMEND)
    data = COUNCIL.sign_by(resolution, ("p1", "p2"), PATCH)
    with pytest.raises(RefusedError, match="a resolution on amend-rules, expected security-patch") as caught:
        open_resolution(data, TREATY, PATCH)
    assert caught.value.clause == "VN-7.8"
    with pytest.raises(UnknownPartyError):
        open_resolution(data, TREATY, AMEND)


def test_a_resolution_on_what_nobody_can_decide_is_refused() -> None:
    # VN-4.6
    data = sign_resolution(AMEND, *ROSTER)
    with pytest.raises(RefusedError) as caught:
        open_resolution(data, TREATY, ActionClass.REMOVE_BASELINE)
    assert caught.value.clause == "VN-4.6"


def test_too_few_parties_make_no_resolution() -> None:
    # S1
    for action, names in (
        (PATCH, ("p1",)),
        (PATCH, ("p4",)),
        (AMEND, ("p1", "p2", "p3")),
        (SUSPENSION, ("p3",)),
    ):
        with pytest.raises(InvalidSignatureError, match="nobody signed"):
            sign_resolution(action, *names)


def test_party_keys_do_not_sign_a_resolution() -> None:
    # VN-7.8: all parties one by one are not the group.
    with pytest.raises(UnknownPartyError):
        open_resolution(sign_jointly(RESOLUTION, tuple(COUNCIL.party_keys.values())), TREATY, PATCH)


@pytest.mark.parametrize("changes", [{"treaty_digest": bytes(32)}, {"epoch": 2}])
def test_a_resolution_under_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.4
    with pytest.raises(EpochError):
        open_resolution(sign_resolution(PATCH, "p1", "p2", **changes), TREATY, PATCH)


def test_a_resolution_is_no_licence_and_a_licence_no_resolution() -> None:
    # VN-2.1: the type is in the protected header.
    proposal = COUNCIL.sign_proposal()
    grants = {name: COUNCIL.sign_ballot(name, proposal) for name in ("p1", "p2", "p3")}
    licence = COUNCIL.sign_licence(proposal, grants)
    with pytest.raises(EncodingError, match="resolution"):
        open_resolution(licence.data, TREATY, PATCH)
