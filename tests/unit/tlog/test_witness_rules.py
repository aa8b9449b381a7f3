"""The rules of a witness (VN-11.7): growth with proof is granted, all else refused for its own reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from support.histories import ORIGIN, History, make_history
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, EquivocationError, InvalidSignatureError, ProofError, RefusedError
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.fork import build_fork_evidence, verify_fork
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote, sign_note
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.witness import (
    Conflict,
    SplitViewError,
    StaleCheckpointError,
    UnknownLogError,
    UnprovenCheckpointError,
    WitnessState,
    judge_checkpoint,
    trust_by_name,
)

Proof = tuple[bytes, ...]

LOG = make_history()
FORK = LOG.fork(2)
OTHER_KEY = generate_ed25519(SeededRng(b"other"))
START = WitnessState(logs=trust_by_name([LOG.log_key]))


def follow(*sizes: int, history: History = LOG) -> WitnessState:
    """Return the state after the honest log has shown these sizes."""
    state, old_size = START, 0
    for size in sizes:
        state, _ = judge_checkpoint(state, history.ask(old_size, size))
        old_size = size
    return state


def with_lines(request: AddCheckpoint, *lines: NoteSignature) -> AddCheckpoint:
    note = SignedNote(text=request.signed.note.text, signatures=lines)
    return replace(request, signed=SignedCheckpoint(note=note))


def sign_as(name: str, text: str) -> NoteSignature:
    return sign_note(text, name=name, signing_key=OTHER_KEY).signatures[0]


@pytest.mark.parametrize("sizes", [(0,), (1,), (12,), (0, 0, 5), (1, 2, 3, 4, 8, 12), (7, 12)])
def test_a_log_that_grows_is_followed(sizes: tuple[int, ...]) -> None:
    assert follow(*sizes).newest[ORIGIN] == LOG.sign(sizes[-1])


def test_what_is_granted_is_returned_to_be_kept() -> None:
    request = LOG.ask(3, 7)
    state, granted = judge_checkpoint(follow(3), request)
    assert granted == (request,)
    assert state.newest[ORIGIN] == request.signed


def test_the_newest_checkpoint_again_is_granted_and_leaves_nothing_to_keep() -> None:
    state = follow(3, 7)
    assert judge_checkpoint(state, LOG.ask(7, 7)) == (state, ())


def test_the_state_of_before_is_not_changed() -> None:
    state = follow(3)
    judge_checkpoint(state, LOG.ask(3, 7))
    assert state.newest[ORIGIN].checkpoint.tree_size == 3
    with pytest.raises(TypeError):
        state.newest["x"] = LOG.sign(7)  # type: ignore[index]


def test_an_unknown_log_is_refused() -> None:
    stranger = make_history(origin="vetonet.example/stranger")
    with pytest.raises(UnknownLogError, match="unknown log") as caught:
        judge_checkpoint(START, stranger.ask(0, 3))
    assert isinstance(caught.value, RefusedError)


def test_a_log_without_a_key_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        WitnessState(logs={ORIGIN: ()})


def test_a_checkpoint_signed_by_another_key_of_the_same_name_is_refused() -> None:
    request = LOG.ask(0, 3)
    forged = with_lines(request, sign_as(ORIGIN, request.signed.note.text))
    with pytest.raises(InvalidSignatureError, match="trusted key"):
        judge_checkpoint(START, forged)


def test_a_line_of_a_known_key_that_does_not_verify_is_refused_even_beside_a_good_one() -> None:
    request = LOG.ask(0, 3)
    good = request.signed.note.signatures[0]
    bad = replace(good, signature=bytes(64))
    for lines in [(bad,), (good, bad), (bad, good)]:
        with pytest.raises(InvalidSignatureError, match="does not verify"):
            judge_checkpoint(START, with_lines(request, *lines))


def test_lines_of_unknown_keys_are_passed_over_and_not_kept() -> None:
    request = LOG.ask(0, 3)
    text, good = request.signed.note.text, request.signed.note.signatures[0]
    strangers = [sign_as(f"stranger/{number}", text) for number in range(20)]
    broken = NoteSignature(name=ORIGIN, key_id=b"abcd", signature=b"x")
    state, granted = judge_checkpoint(START, with_lines(request, broken, *strangers, good, good))
    assert granted == (request,)
    assert state.newest[ORIGIN] == request.signed


def test_one_of_several_keys_of_a_log_suffices_and_all_that_signed_are_kept() -> None:
    second = LogKey(name=ORIGIN, public_key=OTHER_KEY.public_key)
    state = WitnessState(logs=trust_by_name([LOG.log_key, second]))
    request = LOG.ask(0, 3)
    other = sign_as(ORIGIN, request.signed.note.text)
    for lines in [(request.signed.note.signatures[0],), (other,), (request.signed.note.signatures[0], other)]:
        asked = with_lines(request, *lines)
        _, granted = judge_checkpoint(state, asked)
        assert granted == (asked,)
    spoilt = with_lines(request, request.signed.note.signatures[0], replace(other, signature=bytes(64)))
    with pytest.raises(InvalidSignatureError):
        judge_checkpoint(state, spoilt)


def test_the_name_of_a_key_need_not_be_the_origin() -> None:
    key = LogKey(name="sum.example", public_key=OTHER_KEY.public_key)
    request = LOG.ask(0, 3)
    signed = with_lines(request, sign_as("sum.example", request.signed.note.text))
    state, _ = judge_checkpoint(WitnessState(logs={ORIGIN: (key,)}), signed)
    assert ORIGIN in state.newest
    with pytest.raises(UnknownLogError):
        judge_checkpoint(WitnessState(logs={"sum.example": (key,)}), signed)


@pytest.mark.parametrize(("known", "old_size", "size"), [(7, 0, 12), (7, 3, 12), (7, 8, 12), (0, 1, 3)])
def test_a_stale_old_size_is_told_the_known_one(known: int, old_size: int, size: int) -> None:
    state = follow(known) if known else START
    with pytest.raises(StaleCheckpointError, match=f"old size {known} ") as caught:
        judge_checkpoint(state, LOG.ask(old_size, size))
    assert caught.value.known_size == known
    assert caught.value.conflict is None


@pytest.mark.parametrize(("old_size", "size"), [(0, 3), (3, 3), (2, 6)])
def test_a_rollback_to_a_smaller_size_is_refused(old_size: int, size: int) -> None:
    with pytest.raises(StaleCheckpointError) as caught:
        judge_checkpoint(follow(7), LOG.ask(old_size, size))
    assert caught.value.known_size == 7


def test_the_same_size_with_another_root_is_a_proof_against_the_log() -> None:
    with pytest.raises(SplitViewError, match="two roots for size 7") as caught:
        judge_checkpoint(follow(7), FORK.ask(7, 7))
    conflict = caught.value.conflict
    assert isinstance(caught.value, EquivocationError)
    assert caught.value.culprit == ORIGIN
    assert conflict == Conflict(known=LOG.sign(7), request=FORK.ask(7, 7))
    assert conflict.is_split_view


def test_a_second_root_behind_a_stale_old_size_is_proof_too() -> None:
    with pytest.raises(StaleCheckpointError) as caught:
        judge_checkpoint(follow(3, 7), FORK.ask(3, 7))
    assert caught.value.known_size == 7
    assert caught.value.conflict == Conflict(known=LOG.sign(7), request=FORK.ask(3, 7))


def test_a_fork_that_is_consistent_in_itself_is_refused() -> None:
    with pytest.raises(UnprovenCheckpointError, match="consistency proof from size 7 to 12") as caught:
        judge_checkpoint(follow(7), FORK.ask(7, 12))
    assert isinstance(caught.value, ProofError)
    assert caught.value.conflict == Conflict(known=LOG.sign(7), request=FORK.ask(7, 12))
    assert not caught.value.conflict.is_split_view


def test_a_fork_from_a_size_before_the_known_one_is_refused_whatever_it_claims() -> None:
    state = follow(3, 7)
    for old_size in range(8):
        for size in range(max(old_size, 3), 13):
            with pytest.raises((StaleCheckpointError, SplitViewError, UnprovenCheckpointError)):
                judge_checkpoint(state, FORK.ask(old_size, size))


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof[:-1],
        lambda proof: (*proof, bytes(32)),
        lambda proof: proof[::-1],
        lambda _: (),
        lambda proof: (bytes(32), *proof[1:]),
    ],
)
def test_a_proof_that_does_not_verify_is_refused(change: Callable[[Proof], Proof]) -> None:
    request = LOG.ask(3, 7)
    with pytest.raises(UnprovenCheckpointError, match="consistency proof"):
        judge_checkpoint(follow(3), replace(request, proof=change(request.proof)))


@pytest.mark.parametrize("sizes", [(), (0,)])
def test_from_nothing_no_proof_is_taken(sizes: tuple[int, ...]) -> None:
    request = replace(LOG.ask(0, 3), proof=(bytes(32),))
    with pytest.raises(UnprovenCheckpointError, match="no hashes from size 0") as caught:
        judge_checkpoint(follow(*sizes), request)
    assert caught.value.conflict is None


def test_the_same_checkpoint_with_a_proof_is_refused() -> None:
    with pytest.raises(UnprovenCheckpointError):
        judge_checkpoint(follow(3), replace(LOG.ask(3, 3), proof=(bytes(32),)))


def test_logs_are_followed_each_on_its_own() -> None:
    second = make_history(origin="vetonet.example/log2")
    state = WitnessState(logs=trust_by_name([LOG.log_key, second.log_key]))
    state, _ = judge_checkpoint(state, LOG.ask(0, 7))
    state, _ = judge_checkpoint(state, second.ask(0, 3))
    state, _ = judge_checkpoint(state, second.ask(3, 5))
    assert {origin: signed.checkpoint.tree_size for origin, signed in state.newest.items()} == {
        ORIGIN: 7,
        "vetonet.example/log2": 5,
    }


def test_a_log_cannot_be_moved_on_by_the_key_of_another() -> None:
    second = make_history(origin="vetonet.example/log2")
    state = WitnessState(logs=trust_by_name([LOG.log_key, second.log_key]))
    text = LOG.sign(3).note.text
    signed = sign_note(text, name=second.log.origin, signing_key=second.key)
    with pytest.raises(InvalidSignatureError):
        judge_checkpoint(state, AddCheckpoint(old_size=0, signed=SignedCheckpoint(note=signed)))


@pytest.mark.parametrize("request_", [FORK.ask(7, 7), FORK.ask(0, 7), FORK.ask(7, 12)])
def test_a_conflict_reads_back_byte_for_byte(request_: AddCheckpoint) -> None:
    conflict = Conflict(known=LOG.sign(7), request=request_)
    assert Conflict.from_bytes(conflict.to_bytes()) == conflict


@pytest.mark.parametrize(("old_size", "size"), [(7, 7), (7, 12), (3, 12)])
def test_a_conflict_is_evidence_that_verifies_by_itself(old_size: int, size: int) -> None:
    with pytest.raises((SplitViewError, UnprovenCheckpointError)) as caught:
        judge_checkpoint(follow(old_size), FORK.ask(old_size, size))
    refusal = caught.value
    assert isinstance(refusal, SplitViewError | UnprovenCheckpointError)
    assert refusal.conflict is not None
    conflict = Conflict.from_bytes(refusal.conflict.to_bytes())
    policy = LogPolicy.unwitnessed(LOG.log_key)
    evidence = build_fork_evidence(
        conflict.known.to_bytes(), conflict.offered.to_bytes(), conflict.request.proof, policy
    )
    assert verify_fork(evidence, policy).culprits == (ORIGIN,)


def test_a_wrong_proof_of_an_honest_log_is_no_evidence() -> None:
    spoilt = replace(LOG.ask(7, 12), proof=FORK.ask(7, 12).proof)
    with pytest.raises(UnprovenCheckpointError) as caught:
        judge_checkpoint(follow(7), spoilt)
    conflict = caught.value.conflict
    assert conflict is not None
    with pytest.raises(ProofError):
        build_fork_evidence(
            conflict.known.to_bytes(),
            conflict.offered.to_bytes(),
            conflict.request.proof,
            LogPolicy.unwitnessed(LOG.log_key),
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: data + b"\n" + LOG.sign(3).to_bytes(),
        lambda data: data.replace(b"old 7\n", b"old 07\n"),
        lambda data: data.replace(b"old 7\n", b""),
        lambda _: LOG.sign(3).to_bytes(),
    ],
)
def test_a_malformed_conflict_is_refused(change: Callable[[bytes], bytes]) -> None:
    data = Conflict(known=LOG.sign(7), request=FORK.ask(7, 7)).to_bytes()
    with pytest.raises(EncodingError):
        Conflict.from_bytes(change(data))


def test_two_logs_or_two_sizes_are_no_split_view() -> None:
    second = make_history(origin="vetonet.example/log2")
    assert not Conflict(known=LOG.sign(7), request=second.ask(0, 7)).is_split_view
    assert not Conflict(known=LOG.sign(7), request=LOG.ask(7, 7)).is_split_view
    assert not Conflict(known=LOG.sign(7), request=FORK.ask(7, 8)).is_split_view
