"""A party's view of the log: nothing is believed that was not signed, and nothing signed is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.world import Council, make_council
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, RefusedError, UnknownPartyError
from vetonet.party.logview import LogView
from vetonet.policy.quorum import Choice
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.fork import ForkEvidence, LogForkedError, verify_fork
from vetonet.tlog.log import Log


@pytest.fixture(scope="module")
def council() -> Council:
    return make_council()


@pytest.fixture(scope="module")
def leaves(council: Council) -> tuple[bytes, ...]:
    proposal = council.sign_proposal()
    ballots = (council.sign_ballot(party, proposal, Choice.ABSTAIN).data for party in council.party_ids)
    return (council.treaty.data, proposal.data, *ballots)


@pytest.fixture
def view(council: Council) -> LogView:
    return LogView(council.treaty)


def checkpoint_of(council: Council, leaves: Sequence[bytes], origin: str | None = None) -> bytes:
    log = Log(origin or council.treaty.statement.log_origin, leaves)
    return council.sign_head(log)


@pytest.mark.parametrize("parts", [(5,), (0, 5), (1, 2, 5), (1, 2, 3, 4, 5), (3, 3, 5)])
def test_a_view_reaches_the_same_ledger_however_it_gets_there(
    council: Council, leaves: tuple[bytes, ...], view: LogView, parts: tuple[int, ...]
) -> None:
    start = 0
    for end in parts:
        view.advance(leaves[start:end], checkpoint_of(council, leaves[:end]))
        start = end
    (digest,) = view.ledger.order
    assert view.tree_size == 5
    assert len(view.ledger.find(digest).ballots) == 3
    assert view.signed_checkpoint == checkpoint_of(council, leaves)
    assert view.leaf(2) == leaves[2]


def test_a_new_view_knows_nothing(view: LogView) -> None:
    assert (view.tree_size, view.signed_checkpoint, view.ledger.order) == (0, b"", ())


def test_a_gap_is_refused(council: Council, leaves: tuple[bytes, ...], view: LogView) -> None:
    with pytest.raises(ProofError, match="5 leaves"):
        view.advance(leaves[1:], checkpoint_of(council, leaves))


def test_a_leaf_too_many_is_refused(council: Council, leaves: tuple[bytes, ...], view: LogView) -> None:
    with pytest.raises(ProofError):
        view.advance(leaves, checkpoint_of(council, leaves[:4]))


def test_an_altered_leaf_is_refused_and_the_true_one_still_taken(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    view.advance(leaves[:2], checkpoint_of(council, leaves[:2]))
    with pytest.raises(ProofError, match="root"):
        view.advance((leaves[3], leaves[2], leaves[4]), checkpoint_of(council, leaves))
    assert view.tree_size == 2
    view.advance(leaves[2:], checkpoint_of(council, leaves))
    assert view.tree_size == 5


def test_an_oversize_leaf_is_refused_and_leaves_no_trace(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    with pytest.raises(RefusedError):
        view.advance((leaves[0], bytes(2**16)), checkpoint_of(council, leaves[:2]))
    view.advance(leaves, checkpoint_of(council, leaves))


def test_a_tree_that_shrinks_is_refused(council: Council, leaves: tuple[bytes, ...], view: LogView) -> None:
    view.advance(leaves, checkpoint_of(council, leaves))
    with pytest.raises(RefusedError, match="shrank"):
        view.advance((), checkpoint_of(council, leaves[:3]))
    assert view.tree_size == 5


def test_another_root_at_the_same_size_is_proof_of_a_fork(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    """VN-11.4."""
    view.advance(leaves, checkpoint_of(council, leaves))
    other = checkpoint_of(council, (*leaves[:4], b"other"))
    with pytest.raises(LogForkedError) as caught:
        view.advance((), other)
    fork = verify_fork(ForkEvidence.from_bytes(caught.value.evidence.to_bytes()), view.policy)
    other_root = Log(council.treaty.statement.log_origin, (*leaves[:4], b"other")).root_hash()
    assert {fork.first.root_hash, fork.second.root_hash} == {view.checkpoint.root_hash, other_root}
    assert caught.value.culprit == "log.example/treaty"


def test_after_a_fork_nothing_is_believed_any_more(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    view.advance(leaves[:4], checkpoint_of(council, leaves[:4]))
    with pytest.raises(LogForkedError):
        view.confront(checkpoint_of(council, (*leaves[:2], b"other")))
    with pytest.raises(LogForkedError):
        view.advance(leaves[4:], checkpoint_of(council, leaves))


def test_a_larger_tree_with_another_past_is_proof_of_a_fork(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    view.advance(leaves[:3], checkpoint_of(council, leaves[:3]))
    other = (*leaves[:2], leaves[3], leaves[4])
    with pytest.raises(LogForkedError) as caught:
        view.confront(checkpoint_of(council, other), other)
    fork = verify_fork(caught.value.evidence, view.policy)
    assert (fork.first.tree_size, fork.second.tree_size) == (3, 4)


def test_a_history_that_is_not_the_trees_proves_nothing(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    view.advance(leaves[:3], checkpoint_of(council, leaves[:3]))
    for history in ((), leaves[:4], (b"", *leaves[1:])):
        assert view.confront(checkpoint_of(council, leaves), history).tree_size == 5


def test_an_older_checkpoint_of_the_same_log_is_no_fork(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    view.advance(leaves, checkpoint_of(council, leaves))
    for size in range(6):
        assert view.confront(checkpoint_of(council, leaves[:size])).tree_size == size


def test_a_checkpoint_by_another_key_is_refused(
    leaves: tuple[bytes, ...], view: LogView, rng: SeededRng
) -> None:
    forged = sign_checkpoint(Log("log.example/treaty", leaves).checkpoint(), generate_ed25519(rng))
    with pytest.raises(InvalidSignatureError):
        view.advance(leaves, forged.to_bytes())


def test_a_checkpoint_of_another_log_is_refused(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    with pytest.raises(InvalidSignatureError):
        view.advance(leaves, checkpoint_of(council, leaves, origin="elsewhere.example"))


def test_bytes_that_are_no_checkpoint_are_refused(view: LogView) -> None:
    with pytest.raises(EncodingError):
        view.advance((), b"not a note")


def test_a_logged_leaf_that_the_rules_forbid_ends_the_view(
    council: Council, leaves: tuple[bytes, ...], view: LogView
) -> None:
    other = make_council(rng=SeededRng(b"other")).sign_proposal()
    bad = (leaves[0], other.data, *leaves[1:])
    with pytest.raises(UnknownPartyError):
        view.advance(bad, checkpoint_of(council, bad))
    with pytest.raises(UnknownPartyError):
        view.advance((), checkpoint_of(council, bad))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=12), st.data())
def test_no_two_different_histories_are_both_believed(names: list[bytes], data: st.DataObject) -> None:
    council = make_council()
    enrolments = [council.treaty.data + name for name in names]  # any bytes will do: the roots decide first
    known = data.draw(st.integers(0, len(names)))
    view = LogView(council.treaty)
    view._log = Log(council.treaty.statement.log_origin, enrolments[:known])
    view._checkpoint = view._log.checkpoint()
    view._signed = checkpoint_of(council, enrolments[:known])
    place = data.draw(st.integers(0, len(names) - 1))
    other = [*enrolments[:place], enrolments[place] + b"!", *enrolments[place + 1 :]]
    if place < known:
        with pytest.raises(LogForkedError):
            view.confront(checkpoint_of(council, other), other)
    else:
        assert view.confront(checkpoint_of(council, other), other).tree_size == len(other)
