"""Joint randomness under attack: colluders, and a coordinator that reorders, drops and replays (VN-19)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest

from support.inspecting import Scene
from support.world import NOW_MS, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import compute_digest, sign
from vetonet.errors import (
    EpochError,
    EquivocationError,
    InvalidSignatureError,
    ProofError,
    ProtocolError,
    RefusedError,
    UnexpectedEventError,
    UnknownPartyError,
)
from vetonet.policy.joint_randomness import (
    RandomnessCommitment,
    RandomnessReveal,
    RandomnessRound,
    compute_commitment,
    compute_joint_output,
    open_randomness,
    open_randomness_round,
)
from vetonet.voting.randomness import (
    Contribution,
    RandomnessState,
    RoundAbort,
    RoundPhase,
    begin_round,
)

SCENE = Scene.begin(is_licensed=False)
COUNCIL = SCENE.council
ROSTER = COUNCIL.party_ids
OPENED = open_randomness_round(SCENE.by_party("p1", SCENE.open_round()), COUNCIL.treaty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A round in which everybody has drawn."""

    parts: dict[str, Contribution]
    state: RandomnessState

    @classmethod
    def begin(cls, seed: bytes = b"play") -> Play:
        rng = SeededRng(seed)
        parts = {name: Contribution.generate(name, OPENED.payload_digest, rng) for name in ROSTER}
        return cls(parts=parts, state=begin_round(OPENED, ROSTER))

    def commitment(self, name: str) -> RandomnessCommitment:
        return self.parts[name].commit(OPENED)

    def committed(self, *names: str) -> RandomnessState:
        state = self.state
        for name in names or ROSTER:
            state = state.take_commitment(self.commitment(name))
        return state

    def revealed(self, *names: str) -> RandomnessState:
        state = self.committed()
        for name in names or ROSTER:
            state = state.take_reveal(self.parts[name].reveal(state))
        return state


PLAY = Play.begin()


def test_a_round_gives_what_everybody_contributed() -> None:
    done = PLAY.revealed()
    assert done.phase is RoundPhase.DONE
    values = {name: part.value for name, part in PLAY.parts.items()}
    assert done.compute_output() == compute_joint_output(OPENED.payload_digest, ROSTER, values)
    assert len(done.compute_output()) == 64


def test_no_order_of_arrival_changes_what_comes_out() -> None:
    # VN-19.11: a coordinator that reorders steers nothing.
    outputs = set[bytes]()
    for order in permutations(ROSTER):
        state = PLAY.committed(*order)
        for name in reversed(order):
            state = state.take_reveal(PLAY.parts[name].reveal(state))
        outputs.add(state.compute_output())
    assert len(outputs) == 1


@pytest.mark.parametrize("name", ROSTER)
def test_any_one_contribution_alone_decides_what_comes_out(name: str) -> None:
    honest = PLAY.revealed().compute_output()
    other = Play(parts={**PLAY.parts, name: replace(PLAY.parts[name], value=b"\x01" * 32)}, state=PLAY.state)
    assert other.revealed().compute_output() != honest


def test_all_but_one_that_collude_commit_before_they_can_know_anything() -> None:
    """VN-19.11: to aim at one bit they would need the last honest value, which no commitment shows.

    The colluders choose among 64 sets of contributions the one that would give a low first bit, with what
    they know: the honest commitment and not the value. Over many rounds they hit as often as chance does.
    """
    hits = 0
    for number in range(200):
        play = Play.begin(b"honest %d" % number)
        seen = play.commitment("p3").commitment
        guess = min(range(64), key=lambda choice: _imagine(play, choice, seen)[0])
        for name in ("p1", "p2"):
            part = replace(play.parts[name], value=_choose(name, guess))
            play.parts[name] = part
        hits += play.revealed().compute_output()[0] < 128
    assert 75 <= hits <= 125  # 200 coin throws, four standard deviations


def _choose(name: str, choice: int) -> bytes:
    return SeededRng(b"colluder %s %d" % (name.encode(), choice))(32)


def _imagine(play: Play, choice: int, instead: bytes) -> bytes:
    values = {"p1": _choose("p1", choice), "p2": _choose("p2", choice), "p3": instead}
    return compute_joint_output(play.state.digest, ROSTER, values)


def test_who_has_seen_a_part_cannot_commit_any_more() -> None:
    # VN-19.11: nothing is shown while somebody may still choose.
    state = PLAY.committed("p1", "p3")
    with pytest.raises(UnexpectedEventError, match="before p2 committed") as caught:
        PLAY.parts["p3"].reveal(state)
    assert caught.value.clause == "VN-19.11"
    early = PLAY.parts["p3"].reveal(PLAY.committed())
    with pytest.raises(UnexpectedEventError) as refused:
        state.take_reveal(early)
    assert refused.value.culprit == "p3"


def test_a_coordinator_that_swaps_a_commitment_gets_no_use_of_a_part_shown_for_others() -> None:
    """VN-19.11: it holds a reveal back, lets a colluder commit to something fitting, and logs both."""
    shown = PLAY.parts["p3"].reveal(PLAY.committed())
    swapped = replace(PLAY.parts["p1"], value=b"\x07" * 32).commit(OPENED)
    state = PLAY.committed("p2", "p3").take_commitment(swapped)
    with pytest.raises(RefusedError, match="other commitments") as caught:
        state.take_reveal(shown)
    assert caught.value.clause == "VN-19.11"


def test_a_party_shows_nothing_where_the_round_holds_another_commitment_of_its_own() -> None:
    # VN-19.11
    forged = replace(PLAY.commitment("p3"), commitment=bytes(32))
    state = PLAY.committed("p1", "p2").take_commitment(forged)
    with pytest.raises(RefusedError):
        PLAY.parts["p3"].reveal(state)


def test_another_value_than_the_committed_one_is_refused() -> None:
    # VN-19.11
    state = PLAY.committed()
    reveal = replace(PLAY.parts["p1"].reveal(state), contribution=bytes(32))
    with pytest.raises(ProofError, match="p1"):
        state.take_reveal(reveal)


def test_nobody_takes_over_the_commitment_of_another() -> None:
    # VN-19.10: else the copier would show the copied value, too, and cancel or double it.
    copied = replace(PLAY.commitment("p3"), party_id="p1")
    state = PLAY.committed("p2", "p3").take_commitment(copied)
    shown = PLAY.parts["p3"].reveal(state)
    with pytest.raises(ProofError):
        state.take_reveal(replace(shown, party_id="p1"))


def test_a_second_commitment_is_refused_and_a_different_one_is_equivocation() -> None:
    # VN-19.10
    state = PLAY.committed("p1")
    with pytest.raises(RefusedError) as again:
        state.take_commitment(PLAY.commitment("p1"))
    assert again.value.clause == "VN-19.10"
    with pytest.raises(EquivocationError) as caught:
        state.take_commitment(replace(PLAY.commitment("p1"), commitment=bytes(32)))
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-19.10")


def test_a_part_counts_once() -> None:
    # VN-19.11
    state = PLAY.committed()
    shown = PLAY.parts["p1"].reveal(state)
    with pytest.raises(RefusedError, match="already"):
        state.take_reveal(shown).take_reveal(shown)


def test_nothing_of_one_round_counts_in_another() -> None:
    # VN-19.10: a coordinator cannot replay across rounds.
    other = begin_round(
        open_randomness_round(SCENE.by_party("p1", SCENE.open_round()), COUNCIL.treaty), ROSTER
    )
    with pytest.raises(RefusedError) as caught:
        other.take_commitment(PLAY.commitment("p1"))
    assert caught.value.clause == "VN-19.10"
    moved = replace(PLAY.commitment("p1"), round_digest=other.digest)
    state = other.take_commitment(moved)
    for name in ("p2", "p3"):
        state = state.take_commitment(
            Contribution.generate(name, other.digest, SCENE.rng).commit(other.opened)
        )
    reveal = RandomnessReveal(
        treaty_digest=moved.treaty_digest,
        epoch=moved.epoch,
        party_id="p1",
        round_digest=other.digest,
        commitments_digest=state.commitments_digest,
        contribution=PLAY.parts["p1"].value,
    )
    with pytest.raises(ProofError):  # the commitment itself names the round that it was made for
        state.take_reveal(reveal)
    for refused in (lambda: PLAY.parts["p1"].commit(other.opened), lambda: PLAY.parts["p1"].reveal(state)):
        with pytest.raises(RefusedError):
            refused()


def test_a_commitment_names_round_party_and_value() -> None:
    base = compute_commitment(bytes(32), "p1", bytes(32))
    others = {
        compute_commitment(b"\x01" * 32, "p1", bytes(32)),
        compute_commitment(bytes(32), "p2", bytes(32)),
        compute_commitment(bytes(32), "p1", b"\x01" * 32),
    }
    assert base not in others
    assert len(others) == 3


@pytest.mark.parametrize("changes", [{"epoch": 2}, {"treaty_digest": bytes(32)}])
def test_nothing_of_another_treaty_or_epoch_counts(changes: dict[str, Any]) -> None:
    # VN-2.4
    for kind, statement in (
        (RandomnessCommitment, PLAY.commitment("p1")),
        (RandomnessReveal, PLAY.parts["p1"].reveal(PLAY.committed())),
    ):
        data = SCENE.by_party("p1", replace(statement, **changes))
        with pytest.raises(EpochError):
            open_randomness(data, kind, COUNCIL.treaty)  # type: ignore[type-var]
    with pytest.raises(EpochError):
        open_randomness_round(SCENE.by_party("p1", SCENE.open_round(**changes)), COUNCIL.treaty)


def test_nobody_speaks_for_another() -> None:
    # VN-19.10, VN-19.11
    for name in ("p2", "p3"):
        with pytest.raises(RefusedError) as caught:
            open_randomness(SCENE.by_party(name, PLAY.commitment("p1")), RandomnessCommitment, COUNCIL.treaty)
        assert (caught.value.culprit, caught.value.clause) == (name, "VN-19.10")
        shown = SCENE.by_party(name, PLAY.parts["p1"].reveal(PLAY.committed()))
        with pytest.raises(RefusedError) as caught:
            open_randomness(shown, RandomnessReveal, COUNCIL.treaty)
        assert (caught.value.culprit, caught.value.clause) == (name, "VN-19.11")
    with pytest.raises(UnknownPartyError):
        open_randomness(SCENE.by_operator(PLAY.commitment("p1")), RandomnessCommitment, COUNCIL.treaty)
    stranger = make_council(rng=SeededRng(b"other council")).party_keys["p1"]
    with pytest.raises((UnknownPartyError, InvalidSignatureError)):
        open_randomness(sign(PLAY.commitment("p1"), stranger), RandomnessCommitment, COUNCIL.treaty)


def test_a_round_that_somebody_is_missing_from_gives_nothing() -> None:
    # VN-19.11: a coordinator that drops a commitment or a part gets no other number, it gets none.
    for state in (PLAY.committed("p1", "p2"), PLAY.committed(), PLAY.revealed("p1", "p2")):
        with pytest.raises(UnexpectedEventError):
            state.compute_output()
    with pytest.raises(ValueError, match="exactly one"):
        compute_joint_output(bytes(32), ROSTER, {"p1": bytes(32)})


def test_whoever_keeps_a_round_from_ending_is_named() -> None:
    # VN-19.12
    times = OPENED.statement
    partly, shown = PLAY.committed("p1"), PLAY.revealed("p1", "p3")
    assert partly.find_abort(times.commits_end_ms - 1) is None
    assert partly.find_abort(times.commits_end_ms) == RoundAbort(silent=("p2", "p3"), withheld=())
    assert shown.find_abort(times.reveals_end_ms - 1) is None
    assert shown.find_abort(times.reveals_end_ms) == RoundAbort(silent=(), withheld=("p2",))
    assert PLAY.revealed().find_abort(NOW_MS * 2) is None


def test_a_round_of_nobody_is_refused() -> None:
    for roster in ((), ("p1", "p1")):
        with pytest.raises(ValueError, match="roster"):
            begin_round(OPENED, roster)


def test_a_contribution_is_not_shown() -> None:
    assert PLAY.parts["p1"].value.hex() not in repr(PLAY.parts["p1"])
    assert repr(PLAY.parts["p1"].value)[2:-1] not in repr(PLAY.parts["p1"])


def test_a_statement_of_a_round_is_of_its_own_kind() -> None:
    data = SCENE.by_party("p1", PLAY.commitment("p1"))
    with pytest.raises(Exception, match="expected"):
        open_randomness(data, RandomnessReveal, COUNCIL.treaty)
    assert compute_digest(OPENED.statement) == OPENED.payload_digest
    assert isinstance(OPENED.statement, RandomnessRound)
    assert issubclass(UnexpectedEventError, ProtocolError)
