"""Inspections as a log tells them: who may ask what, what is an answer, and what stays open (VN-19)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.inspecting import DAY_MS, DIGITS, VALUES, Scene, list_reasons
from support.world import NOW_MS, make_council
from vetonet.crypto.statement import compute_digest
from vetonet.errors import (
    EpochError,
    ExpiredError,
    ProofError,
    ProtocolError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.disclosure import MAX_ANSWER_MS, MIN_ANSWER_MS
from vetonet.policy.joint_randomness import MAX_PHASE_MS, RandomnessRound
from vetonet.policy.segments import build_transcript
from vetonet.policy.specification import Specification, compute_place
from vetonet.policy.transcript import SegmentChallenge, SegmentOutcome, choose_segments
from vetonet.units import MS_PER_HOUR
from vetonet.voting.inspection_arrival import find_submitter, verify_arrival
from vetonet.voting.inspection_problems import find_inspection_problems
from vetonet.voting.inspections import INSPECTION_KINDS, MAX_CHALLENGES, MAX_ROUNDS, YEAR_MS
from vetonet.voting.ledger import KINDS
from vetonet.voting.randomness import Contribution

DEADLINE_MS = NOW_MS + DAY_MS


@pytest.fixture
def scene() -> Scene:
    return Scene.begin()


def refuse(scene: Scene, data: bytes, clause: str | None, kind: type[VetonetError] = RefusedError) -> str:
    """The log does not take this leaf, by this rule; return what is said of it."""
    before = scene.ledger
    with pytest.raises(kind) as caught:
        scene.log(data)
    assert scene.ledger is before
    if clause is not None:
        assert isinstance(caught.value, ProtocolError)
        assert caught.value.clause == clause
    return str(caught.value)


def problems_at(scene: Scene, now: int) -> list[str]:
    return list_reasons(find_inspection_problems(scene.inspections, now))


# ---------------------------------------------------------------- disclosure


def test_a_challenge_is_pending_then_overdue_then_answered(scene: Scene) -> None:
    challenge = scene.ask()
    scene.log(scene.by_party("p1", challenge))
    assert problems_at(scene, DEADLINE_MS - 1) == ["disclosure-pending"]
    (overdue,) = find_inspection_problems(scene.inspections, DEADLINE_MS)
    assert (overdue.reason, overdue.culprit) == ("disclosure-overdue", "op1")
    assert "2027-01-16T08:00:00Z" in overdue.detail
    scene.log(scene.by_operator(scene.answer(challenge)))
    assert problems_at(scene, DEADLINE_MS) == []


def test_a_challenge_may_come_before_the_vote_ends() -> None:
    scene = Scene.begin(is_licensed=False)
    scene.log(scene.by_party("p2", scene.ask(challenger="p2")))
    assert problems_at(scene, NOW_MS) == ["disclosure-pending"]


def test_the_answer_that_there_is_no_such_field_is_one(scene: Scene) -> None:
    challenge = scene.ask("safety-case")
    scene.log(scene.by_party("p1", challenge), scene.by_operator(scene.answer(challenge)))
    assert problems_at(scene, DEADLINE_MS) == []


def test_a_name_ground_to_fall_on_a_field_is_answered_by_that_field(scene: Scene) -> None:
    # VN-19.4: else a party that knows one field's name could ask what nobody can answer, and for ever.
    name = next(f"x{n}" for n in range(100_000) if compute_place(f"x{n}") == compute_place("tokenizer"))
    challenge = scene.ask(name)
    other = scene.specification.open_place(name)
    scene.log(scene.by_party("p1", challenge))
    unproven = replace(other, value=None)
    refuse(scene, scene.by_operator(scene.answer(challenge, opening=unproven)), "VN-19.4")
    elsewhere = scene.specification.open_field("data")
    refuse(scene, scene.by_operator(scene.answer(challenge, opening=elsewhere)), "VN-19.4")
    scene.log(scene.by_operator(scene.answer(challenge, opening=other)))
    assert problems_at(scene, DEADLINE_MS) == []


def test_a_challenge_in_anothers_name_is_refused(scene: Scene) -> None:
    # VN-19.3
    refuse(scene, scene.by_party("p2", scene.ask(challenger="p1")), "VN-19.3")


def test_a_challenge_of_an_operator_is_refused(scene: Scene) -> None:
    # VN-19.3
    refuse(scene, scene.by_operator(scene.ask(challenger="op1")), None, UnknownPartyError)


def test_a_challenge_under_another_epoch_is_refused(scene: Scene) -> None:
    refuse(scene, scene.by_party("p1", scene.ask(epoch=2)), "VN-2.4", EpochError)


def test_a_challenge_about_a_run_that_the_log_does_not_hold_is_refused(scene: Scene) -> None:
    # VN-19.3
    refuse(scene, scene.by_party("p1", scene.ask(proposal_digest=bytes(32))), "VN-19.3")


@pytest.mark.parametrize("given_ms", [MIN_ANSWER_MS - 1, 0, MAX_ANSWER_MS + 1])
def test_a_deadline_that_nobody_can_meet_or_that_never_comes_is_refused(scene: Scene, given_ms: int) -> None:
    # VN-19.3
    with pytest.raises(ValueError, match="to answer"):
        scene.ask(deadline_ms=NOW_MS + given_ms)


def test_the_same_challenge_twice_is_refused(scene: Scene) -> None:
    data = scene.by_party("p1", scene.ask())
    scene.log(data)
    refuse(scene, data, "VN-19.3")


def test_a_party_asks_no_more_often_than_it_may_in_a_year(scene: Scene) -> None:
    # VN-19.3
    for _ in range(MAX_CHALLENGES):
        scene.log(scene.by_party("p1", scene.ask()))
    refuse(scene, scene.by_party("p1", scene.ask()), "VN-19.3")
    scene.log(scene.by_party("p2", scene.ask(challenger="p2")))
    later = NOW_MS + YEAR_MS
    scene.log(scene.by_party("p1", scene.ask(stated_ms=later, deadline_ms=later + DAY_MS)))


def test_a_challenge_dated_back_does_not_escape_the_count(scene: Scene) -> None:
    # VN-19.3
    scene.log(scene.by_party("p1", scene.ask()))
    early = NOW_MS - YEAR_MS
    refuse(scene, scene.by_party("p1", scene.ask(stated_ms=early, deadline_ms=early + DAY_MS)), "VN-19.3")


def test_a_wrong_answer_is_refused(scene: Scene) -> None:
    # VN-19.4
    challenge = scene.ask()
    scene.log(scene.by_party("p1", challenge))
    other = Specification.generate(VALUES, scene.rng).open_field("data")
    refuse(scene, scene.by_operator(scene.answer(challenge, opening=other)), None, ProofError)
    about_another = scene.specification.open_field("tokenizer")
    refuse(scene, scene.by_operator(scene.answer(challenge, opening=about_another)), "VN-19.4")
    assert problems_at(scene, DEADLINE_MS) == ["disclosure-overdue"]


def test_nobody_answers_for_another_operator(scene: Scene) -> None:
    # VN-19.4
    challenge = scene.ask()
    scene.log(scene.by_party("p1", challenge))
    refuse(scene, scene.by_operator(scene.answer(challenge), "op2"), "VN-19.4")
    refuse(scene, scene.by_operator(scene.answer(challenge, operator_id="op2"), "op2"), "VN-19.4")
    refuse(scene, scene.by_party("p1", scene.answer(challenge)), None, UnknownPartyError)


def test_an_answer_to_no_challenge_or_to_one_that_is_answered_is_refused(scene: Scene) -> None:
    # VN-19.4
    challenge = scene.ask()
    refuse(scene, scene.by_operator(scene.answer(challenge)), "VN-19.4", ProtocolError)
    scene.log(scene.by_party("p1", challenge), scene.by_operator(scene.answer(challenge)))
    refuse(scene, scene.by_operator(scene.answer(challenge)), "VN-19.4")


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_a_lineage_that_was_not_declared_convicts_the_operator(spell: Callable[[str], str]) -> None:
    # VN-19.5
    parent = Scene.begin()
    values = {"lineage": b"from " + spell(parent.proposal.payload_digest.hex()).encode()}
    scene = _continue(parent, values)
    (problem,) = find_inspection_problems(scene.inspections, NOW_MS)
    assert (problem.reason, problem.culprit) == ("lineage-undeclared", "op1")
    assert parent.proposal.payload_digest.hex()[:16] in problem.detail


def test_a_lineage_that_was_declared_and_one_of_which_nobody_knows_accuse_nobody() -> None:
    # VN-19.5
    parent = Scene.begin()
    digest = parent.proposal.payload_digest
    values = {"lineage": digest.hex().encode() + b"\n" + b"ab" * 32}
    assert problems_at(_continue(parent, values, lineage=(digest,)), NOW_MS) == []


def test_a_parent_that_was_licensed_only_afterwards_accuses_nobody() -> None:
    # VN-19.5: the proposal could not have named it (VN-5.4).
    scene = Scene.begin(is_licensed=False)
    parent = scene.proposal
    values = {"lineage": parent.payload_digest.hex().encode()}
    scene = _continue(scene, values, then=lambda grown: grown.license(parent))
    assert parent.payload_digest in scene.ledger.tenures
    assert problems_at(scene, NOW_MS) == []


def test_a_proposal_that_was_kept_out_until_its_parent_had_a_licence_accuses_nobody() -> None:
    # VN-19.5: its operator signed it when there was nothing to declare; a coordinator chose where it stands.
    parent = Scene.begin()
    values = {"lineage": parent.proposal.payload_digest.hex().encode()}
    held_back = _continue(parent, values, opens_ms=NOW_MS + MS_PER_HOUR - 1)
    assert problems_at(held_back, NOW_MS) == []


def _continue(
    scene: Scene,
    values: dict[str, bytes],
    *,
    then: Callable[[Scene], Any] | None = None,
    **changes: Any,
) -> Scene:
    """A second run of the same log, whose lineage field was asked for and shown.

    Its vote opens when that of the first has closed.
    """
    scene.specification = Specification.generate(values, scene.rng)
    times = {"opens_ms": NOW_MS + MS_PER_HOUR, "closes_ms": NOW_MS + 2 * MS_PER_HOUR}
    scene.proposal = scene.council.sign_proposal(
        specification_digest=scene.specification.root, beneficial_owner="Owner Two", **(times | changes)
    )
    scene.log(scene.proposal.data)
    if then is not None:
        then(scene)
    challenge = scene.ask("lineage")
    scene.log(scene.by_party("p1", challenge), scene.by_operator(scene.answer(challenge)))
    return scene


# ---------------------------------------------------------------- spot checks


def test_a_spot_check_runs_from_commitment_over_chance_to_a_finding(scene: Scene) -> None:
    transcript = scene.commit_transcript()
    challenge = scene.call_sampling(transcript)
    digest = compute_digest(challenge)
    scene.log(scene.by_operator(transcript), scene.by_party("p1", challenge))
    assert scene.inspections.list_segments(digest) is None
    output = scene.draw(digest)
    segments = scene.inspections.list_segments(digest)
    assert segments == choose_segments(output, 12, 3)
    assert problems_at(scene, DEADLINE_MS - 1) == []
    assert problems_at(scene, DEADLINE_MS) == ["spot-check-overdue"]
    scene.log(scene.by_party("p1", scene.find(challenge)))
    assert problems_at(scene, DEADLINE_MS) == []


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(SegmentOutcome.FAILED, "spot-check-failed"), (SegmentOutcome.WITHHELD, "spot-check-overdue")],
)
def test_a_doubt_of_one_party_stays_whatever_others_find(
    scene: Scene, outcome: SegmentOutcome, reason: str
) -> None:
    challenge, segments = _sample(scene)
    scene.log(scene.by_party("p2", scene.find(challenge, outcome, party_id="p2", segment=segments[0])))
    scene.log(scene.by_party("p1", scene.find(challenge)))
    (problem,) = find_inspection_problems(scene.inspections, DEADLINE_MS)
    assert (problem.reason, problem.culprit) == (reason, "op1")
    assert "p2 says" in problem.detail


def _call(scene: Scene) -> SegmentChallenge:
    """A transcript, and a challenge to it, of which nothing is drawn yet."""
    transcript = scene.commit_transcript()
    challenge = scene.call_sampling(transcript)
    scene.log(scene.by_operator(transcript), scene.by_party("p1", challenge))
    return challenge


def test_nobody_draws_first_and_asks_afterwards(scene: Scene) -> None:
    # VN-19.7: of many draws a challenger would ask only for that which shows it the segment it wants to see.
    transcript = scene.commit_transcript()
    challenge = scene.call_sampling(transcript)
    scene.log(scene.by_operator(transcript))
    scene.draw(compute_digest(challenge))
    refuse(scene, scene.by_party("p1", challenge), "VN-19.7")
    scene.log(scene.by_party("p1", scene.call_sampling(transcript)))


def test_the_silence_of_a_challenger_is_its_own(scene: Scene) -> None:
    # VN-19.8: the operator cannot speak in its place.
    _sample(scene)
    (problem,) = find_inspection_problems(scene.inspections, DEADLINE_MS)
    assert (problem.reason, problem.culprit) == ("spot-check-overdue", "p1")


def test_a_spot_check_of_which_nobody_drew_is_overdue_all_the_same(scene: Scene) -> None:
    # VN-19.8: a coordinator that lets no round in must not make a check go away.
    challenge = _call(scene)
    assert problems_at(scene, DEADLINE_MS - 1) == []
    (undrawn,) = find_inspection_problems(scene.inspections, DEADLINE_MS)
    assert (undrawn.reason, undrawn.culprit) == ("spot-check-overdue", "p1")
    assert "chance had chosen nothing" in undrawn.detail
    scene.log(scene.by_party("p1", scene.open_round(compute_digest(challenge))))
    assert problems_at(scene, DEADLINE_MS) == ["randomness-aborted"]


def _sample(scene: Scene) -> tuple[Any, tuple[int, ...]]:
    challenge = _call(scene)
    scene.draw(compute_digest(challenge))
    segments = scene.inspections.list_segments(compute_digest(challenge))
    assert segments is not None
    return challenge, segments


def test_a_transcript_of_anothers_licence_or_of_none_is_refused(scene: Scene) -> None:
    # VN-19.6
    refuse(scene, scene.by_operator(scene.commit_transcript(licence_id=99)), "VN-19.6")
    refuse(scene, scene.by_operator(scene.commit_transcript(operator_id="op2"), "op2"), "VN-19.6")
    refuse(scene, scene.by_operator(scene.commit_transcript(), "op2"), "VN-19.6")


@pytest.mark.parametrize("number", [1, 3])
def test_parts_of_a_transcript_are_numbered_without_a_gap(scene: Scene, number: int) -> None:
    # VN-19.6: a second part 1 would be another history of what was committed to.
    first = scene.commit_transcript()
    scene.log(scene.by_operator(first))
    refuse(scene, scene.by_operator(scene.commit_transcript(number=number, start=first.end)), "VN-19.6")
    scene.log(scene.by_operator(scene.commit_transcript(number=2, start=first.end)))


def test_a_part_begins_where_the_one_before_it_ended(scene: Scene) -> None:
    # VN-19.6: else a run jumps to bought weights between two parts, and no segment of either is false.
    transcript = build_transcript(DIGITS, DIGITS[1:], scene.rng)
    scene.log(scene.by_operator(scene.commit_transcript(transcript)))
    refuse(scene, scene.by_operator(scene.commit_transcript(number=2)), "VN-19.6")
    with pytest.raises(ValueError, match="the part before"):
        build_transcript(DIGITS, DIGITS[1:], scene.rng, continues=transcript)
    states = (DIGITS[-1], *DIGITS[1:])
    following = build_transcript(states, DIGITS[1:], scene.rng, continues=transcript)
    scene.log(scene.by_operator(scene.commit_transcript(following, number=2)))


def test_a_transcript_of_nothing_is_refused(scene: Scene) -> None:
    # VN-19.6
    with pytest.raises(ValueError, match="from 1"):
        scene.commit_transcript(segment_count=0)
    with pytest.raises(ValueError, match="from 1"):
        scene.commit_transcript(number=0)


def test_a_spot_check_of_what_nobody_committed_to_is_refused(scene: Scene) -> None:
    # VN-19.7
    refuse(scene, scene.by_party("p1", scene.call_sampling(scene.commit_transcript())), "VN-19.7")


def test_a_spot_check_in_anothers_name_or_of_no_segment_is_refused(scene: Scene) -> None:
    # VN-19.7
    transcript = scene.commit_transcript()
    scene.log(scene.by_operator(transcript))
    refuse(scene, scene.by_party("p2", scene.call_sampling(transcript)), "VN-19.7")
    with pytest.raises(ValueError, match="at least one"):
        scene.call_sampling(transcript, sample_count=0)


def test_spot_checks_count_among_a_partys_challenges(scene: Scene) -> None:
    # VN-19.3
    transcript = scene.commit_transcript()
    scene.log(scene.by_operator(transcript))
    for _ in range(MAX_CHALLENGES):
        scene.log(scene.by_party("p1", scene.ask()))
    refuse(scene, scene.by_party("p1", scene.call_sampling(transcript)), "VN-19.3")


def test_a_finding_before_chance_has_chosen_is_refused(scene: Scene) -> None:
    # VN-19.8
    transcript = scene.commit_transcript()
    challenge = scene.call_sampling(transcript)
    scene.log(scene.by_operator(transcript), scene.by_party("p1", challenge))
    refuse(scene, scene.by_party("p1", scene.find(challenge)), "VN-19.8")


def test_a_finding_about_another_segment_in_anothers_name_or_twice_is_refused(scene: Scene) -> None:
    # VN-19.8
    challenge, segments = _sample(scene)
    other = next(index for index in range(12) if index not in segments)
    failed = scene.find(challenge, SegmentOutcome.FAILED, segment=other)
    refuse(scene, scene.by_party("p1", failed), "VN-19.8")
    refuse(scene, scene.by_party("p2", scene.find(challenge)), "VN-19.8")
    scene.log(scene.by_party("p1", scene.find(challenge)))
    refuse(scene, scene.by_party("p1", scene.find(challenge)), "VN-19.8")
    unknown = scene.find(challenge, challenge_digest=bytes(32))
    refuse(scene, scene.by_party("p1", unknown), "VN-19.8", ProtocolError)


@pytest.mark.parametrize(("outcome", "segment"), [(SegmentOutcome.PASSED, 1), (SegmentOutcome.FAILED, None)])
def test_a_finding_names_a_segment_where_it_doubts_one(
    scene: Scene, outcome: SegmentOutcome, segment: int | None
) -> None:
    # VN-19.8
    challenge, _ = _sample(scene)
    with pytest.raises(ValueError, match="expected the segment"):
        scene.find(challenge, outcome, segment=segment)


# ---------------------------------------------------------------- rounds, as leaves


def test_a_round_in_anothers_name_is_refused(scene: Scene) -> None:
    # VN-19.9
    refuse(scene, scene.by_party("p2", scene.open_round()), "VN-19.9")


@pytest.mark.parametrize(
    ("commits_end_ms", "reveals_end_ms"),
    [
        (NOW_MS, NOW_MS + 1),
        (NOW_MS + 1, NOW_MS + 1),
        (NOW_MS + MAX_PHASE_MS + 1, NOW_MS + MAX_PHASE_MS + 2),
        (NOW_MS + 1, NOW_MS + MAX_PHASE_MS + 2),
    ],
)
def test_a_round_without_time_or_with_too_much_is_refused(
    scene: Scene, commits_end_ms: int, reveals_end_ms: int
) -> None:
    # VN-19.9: one that never ends would keep its subject from ever being drawn about.
    with pytest.raises(ValueError, match="to commit and to show"):
        scene.open_round(commits_end_ms=commits_end_ms, reveals_end_ms=reveals_end_ms)


def test_nobody_keeps_two_rounds_about_one_subject_open(scene: Scene) -> None:
    # VN-19.9: else colluders could end the one whose outcome they like.
    scene.log(scene.by_party("p1", scene.open_round()))
    refuse(scene, scene.by_party("p2", scene.open_round(opener="p2")), "VN-19.9")


def test_a_round_that_is_done_is_not_drawn_again(scene: Scene) -> None:
    # VN-19.9
    scene.draw(bytes(32))
    again = scene.open_round(commits_end_ms=NOW_MS + DAY_MS, reveals_end_ms=NOW_MS + 2 * DAY_MS)
    refuse(scene, scene.by_party("p1", again), "VN-19.9")


def test_a_round_that_another_followed_takes_nothing_more(scene: Scene) -> None:
    # VN-19.10
    first = scene.open_round()
    scene.log(scene.by_party("p1", first), scene.by_party("p1", follow(scene, first)))
    opened = scene.inspections.rounds[compute_digest(first)].opened
    late = scene.contribute(first)["p1"].commit(opened)
    refuse(scene, scene.by_party("p1", late), "VN-19.10")


def follow(scene: Scene, first: RandomnessRound, *, opener: str = "p1", later_ms: int = 0) -> RandomnessRound:
    """Return another round about the same subject, dated when the time to commit to the first is over."""
    stated_ms = first.commits_end_ms + later_ms
    return scene.open_round(
        first.subject_digest,
        opener=opener,
        stated_ms=stated_ms,
        commits_end_ms=stated_ms + DAY_MS,
        reveals_end_ms=stated_ms + 2 * DAY_MS,
    )


def test_nobody_takes_the_place_of_a_round_in_which_parties_may_still_commit(scene: Scene) -> None:
    # VN-19.9
    first = scene.open_round()
    scene.log(scene.by_party("p1", first))
    refuse(scene, scene.by_party("p2", follow(scene, first, opener="p2", later_ms=-1)), "VN-19.9")
    scene.log(scene.by_party("p2", follow(scene, first, opener="p2")))


@pytest.mark.parametrize("later_ms", [0, DAY_MS, 300 * DAY_MS])
def test_whoever_is_last_to_show_its_part_gets_no_other_draw(scene: Scene, later_ms: int) -> None:
    # VN-19.9: the last one computes what would come out, and would open another round instead of showing.
    challenge, opened, parts = _commit_all(scene)
    digest = compute_digest(opened)
    for name in ("p1", "p2"):
        scene.log(scene.by_party(name, parts[name].reveal(scene.inspections.rounds[digest])))
    again = follow(scene, opened, opener="p3", later_ms=later_ms)
    refuse(scene, scene.by_party("p3", again), "VN-19.9")
    (withheld,) = find_inspection_problems(scene.inspections, opened.reveals_end_ms + later_ms)
    assert (withheld.reason, "p3 committed and did not show" in withheld.detail) == (
        "randomness-aborted",
        True,
    )
    scene.log(scene.by_party("p3", parts["p3"].reveal(scene.inspections.rounds[digest])))
    assert scene.inspections.list_segments(compute_digest(challenge)) is not None


def test_a_new_treaty_ends_a_round_that_is_not_done(scene: Scene) -> None:
    # VN-19.9: its roster may be another, so those who are to draw are.
    _, opened, parts = _commit_all(scene)
    late = parts["p1"].reveal(scene.inspections.rounds[compute_digest(opened)])
    scene.ledger = replace(scene.ledger, treaty=make_council(epoch=2).treaty)
    refuse(scene, scene.by_party("p1", late), None, EpochError)
    again = scene.open_round(opened.subject_digest)
    scene.log(scene.by_party("p1", again))
    refuse(scene, scene.by_party("p1", replace(late, **scene.reference)), "VN-19.10")


def _commit_all(scene: Scene) -> tuple[SegmentChallenge, RandomnessRound, dict[str, Contribution]]:
    """A spot check, and a round about it to which everybody committed."""
    challenge = _call(scene)
    opened = scene.open_round(compute_digest(challenge))
    scene.log(scene.by_party("p1", opened))
    parts, state = scene.contribute(opened), scene.inspections.rounds[compute_digest(opened)]
    for name, part in parts.items():
        scene.log(scene.by_party(name, part.commit(state.opened)))
    return challenge, opened, parts


def test_a_draw_that_nobody_asked_for_leaves_no_verdict_open(scene: Scene) -> None:
    # VN-19.12: else one party that opens a round and does not commit would keep every run in doubt.
    opened = scene.open_round(b"\x07" * 32)
    scene.log(scene.by_party("p1", opened))
    assert problems_at(scene, opened.reveals_end_ms) == []


def test_a_party_opens_no_more_rounds_than_it_may(scene: Scene) -> None:
    # VN-19.9
    for number in range(MAX_ROUNDS):
        scene.log(scene.by_party("p1", scene.open_round(number.to_bytes(32, "big"))))
    refuse(scene, scene.by_party("p1", scene.open_round(b"\xff" * 32)), "VN-19.9")


def test_an_aborted_round_is_told_with_those_who_kept_it_from_ending(scene: Scene) -> None:
    # VN-19.12
    opened = scene.open_round(compute_digest(_call(scene)))
    scene.log(scene.by_party("p1", opened))
    parts, digest = scene.contribute(opened), compute_digest(opened)
    state = scene.inspections.rounds[digest]
    for name in ("p1", "p2"):
        scene.log(scene.by_party(name, parts[name].commit(state.opened)))
    assert problems_at(scene, opened.commits_end_ms - 1) == []
    (silent,) = find_inspection_problems(scene.inspections, opened.commits_end_ms)
    assert (silent.reason, silent.culprit) == ("randomness-aborted", None)
    assert "p3 did not commit" in silent.detail
    scene.log(scene.by_party("p3", parts["p3"].commit(state.opened)))
    for name in ("p1", "p3"):
        scene.log(scene.by_party(name, parts[name].reveal(scene.inspections.rounds[digest])))
    (withheld,) = find_inspection_problems(scene.inspections, opened.reveals_end_ms)
    assert "p2 committed and did not show" in withheld.detail


def test_a_statement_of_an_unknown_round_is_refused(scene: Scene) -> None:
    # VN-19.10
    opened = scene.open_round()
    scene.log(scene.by_party("p1", opened))
    part = scene.contribute(opened)["p1"]
    stray = part.commit(scene.inspections.rounds[compute_digest(opened)].opened)
    fresh = Scene.begin()
    refuse(fresh, fresh.by_party("p1", stray), "VN-19.10", ProtocolError)


# ---------------------------------------------------------------- arrival


def test_a_challenge_is_dated_as_of_its_arrival(scene: Scene) -> None:
    # VN-19.3
    data = scene.by_party("p1", scene.ask())
    verify_arrival(data, NOW_MS + 60_000)
    for now in (NOW_MS - 60_001, NOW_MS + 60_001):
        with pytest.raises(ExpiredError) as caught:
            verify_arrival(data, now)
        assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-19.3")


def test_a_round_is_dated_as_of_its_arrival(scene: Scene) -> None:
    # VN-19.9
    data = scene.by_party("p1", scene.open_round())
    verify_arrival(data, NOW_MS + 60_000)
    with pytest.raises(ExpiredError) as caught:
        verify_arrival(data, NOW_MS + 60_001)
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-19.9")


def test_whose_a_statement_is_follows_from_its_kind(scene: Scene) -> None:
    challenge = scene.ask()
    assert find_submitter(scene.by_party("p1", challenge)) == (True, "p1")
    assert find_submitter(scene.by_operator(scene.answer(challenge))) == (False, "op1")
    with pytest.raises(VetonetError):
        find_submitter(scene.proposal.data)


def test_every_reader_of_the_log_reads_inspections() -> None:
    assert INSPECTION_KINDS <= KINDS
    assert len(INSPECTION_KINDS) == 8
