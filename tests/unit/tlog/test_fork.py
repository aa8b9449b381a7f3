"""Evidence of a fork: convicts the log and whoever cosigned both, and nobody else, offline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from support.witnessed_log import (
    LOG_KEY,
    NAMES,
    ORIGIN,
    SIGNING_KEY,
    STRANGER,
    WITNESSES,
    cosign_by,
    make_cosigned,
    make_log,
    make_policy,
)
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.merkle import EMPTY_ROOT_HASH, Tree, compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, RefusedError, VetonetError
from vetonet.tlog.checkpoint import Checkpoint, sign_checkpoint
from vetonet.tlog.fork import (
    EvidenceKind,
    ForkEvidence,
    build_fork_evidence,
    compute_prefix_path,
    verify_fork,
)
from vetonet.tlog.note import LogKey, SignedNote, sign_note
from vetonet.tlog.policy import LogPolicy

Change = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]

POLICY = make_policy(3)
LARGEST = 40
HONEST = make_log(LARGEST)


def accuse(
    old_size: int,
    new_size: int,
    parts_at: int,
    names: tuple[Sequence[str], Sequence[str]] = (NAMES[:3], NAMES[2:]),
) -> ForkEvidence:
    """Evidence against a log that showed one history at the old size and another at the new one."""
    forged = make_log(new_size, parts_at=parts_at)
    return build_fork_evidence(
        make_cosigned(HONEST.checkpoint(old_size), names[0]),
        make_cosigned(forged.checkpoint(), names[1]),
        compute_prefix_path(forged, old_size, new_size),
        POLICY,
    )


def present(one: bytes, other: bytes, hashes: tuple[bytes, ...] = ()) -> ForkEvidence:
    return ForkEvidence(kind=EvidenceKind.FORK, first=one, second=other, hashes=hashes)


EVIDENCE = accuse(6, 13, 5)


def test_a_fork_convicts_the_log_and_the_witnesses_of_both_histories() -> None:
    fork = verify_fork(EVIDENCE, POLICY)
    assert (fork.origin, fork.first.tree_size, fork.second.tree_size) == (ORIGIN, 6, 13)
    assert fork.witnesses == (WITNESSES[2],)
    assert fork.culprits == (ORIGIN, NAMES[2])
    assert fork.prefix_root == make_log(6, parts_at=5).root_hash()
    assert fork.first.root_hash == HONEST.root_hash(6)


def test_witnesses_of_one_history_alone_are_not_convicted() -> None:
    fork = verify_fork(accuse(6, 13, 5, (NAMES[:2], NAMES[2:])), POLICY)
    assert fork.culprits == (ORIGIN,)


def test_the_signature_of_the_log_alone_is_enough_to_convict_it() -> None:
    assert verify_fork(accuse(6, 13, 5, ((), ())), POLICY).culprits == (ORIGIN,)


def test_one_size_with_two_roots_needs_no_path() -> None:
    evidence = accuse(7, 7, 6)
    assert evidence.hashes == ()
    fork = verify_fork(evidence, POLICY)
    assert fork.first.root_hash < fork.second.root_hash == fork.prefix_root


def test_a_complete_old_tree_has_its_first_node_in_the_path() -> None:
    forged = make_log(13, parts_at=7)
    path = compute_prefix_path(forged, 8, 13)
    assert path == (forged.root_hash(8), *forged.consistency_proof(8, 13).hashes)
    assert verify_fork(accuse(8, 13, 7), POLICY).prefix_root == forged.root_hash(8)


def test_evidence_is_read_back() -> None:
    for evidence in (EVIDENCE, accuse(7, 7, 6), accuse(8, 13, 7)):
        data = evidence.to_bytes()
        assert ForkEvidence.from_bytes(data) == evidence
        assert ForkEvidence.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("old_size", range(1, LARGEST + 1))
def test_every_pair_of_sizes_is_convicted_from_the_leaf_on_at_which_histories_part(old_size: int) -> None:
    for new_size in range(old_size, LARGEST + 1):
        for parts_at in {0, old_size // 2, old_size - 1}:
            fork = verify_fork(accuse(old_size, new_size, parts_at, ((), ())), POLICY)
            assert fork.prefix_root != fork.first.root_hash


@pytest.mark.parametrize("old_size", range(1, LARGEST + 1))
def test_no_pair_of_sizes_of_an_honest_log_is_a_fork(old_size: int) -> None:
    one = make_cosigned(HONEST.checkpoint(old_size))
    for new_size in range(old_size, LARGEST + 1):
        other = make_cosigned(HONEST.checkpoint(new_size))
        path = compute_prefix_path(HONEST, old_size, new_size)
        with pytest.raises(ProofError, match=r"^no fork: the tree of \d+ leaves extends"):
            verify_fork(present(one, other, path), POLICY)


def test_histories_that_part_after_the_old_size_are_no_fork() -> None:
    with pytest.raises(ProofError, match="extends the one of 6"):
        accuse(6, 13, 6)


def test_the_order_in_which_checkpoints_came_does_not_matter() -> None:
    forged = make_log(13, parts_at=5)
    path = compute_prefix_path(forged, 6, 13)
    one, other = make_cosigned(HONEST.checkpoint(6)), make_cosigned(forged.checkpoint())
    forwards = build_fork_evidence(one, other, path, POLICY)
    assert build_fork_evidence(other, one, path, POLICY) == forwards


def test_evidence_has_one_order() -> None:
    swapped = replace(EVIDENCE, first=EVIDENCE.second, second=EVIDENCE.first)
    with pytest.raises(ProofError, match="smaller checkpoint of the evidence first"):
        verify_fork(swapped, POLICY)
    equal = accuse(7, 7, 6)
    with pytest.raises(ProofError, match="lower root between equals"):
        verify_fork(replace(equal, first=equal.second, second=equal.first), POLICY)


def test_the_same_checkpoint_twice_is_no_fork() -> None:
    with pytest.raises(ProofError, match="no fork"):
        verify_fork(present(EVIDENCE.first, EVIDENCE.first), POLICY)


def test_other_extension_lines_under_one_root_are_no_fork() -> None:
    plain = HONEST.checkpoint(7)
    extended = replace(plain, extensions=("note",))
    with pytest.raises(ProofError, match="no fork"):
        verify_fork(present(make_cosigned(plain), make_cosigned(extended)), POLICY)


def test_the_empty_log_forks_from_nothing() -> None:
    empty = Checkpoint(origin=ORIGIN, tree_size=0, root_hash=EMPTY_ROOT_HASH)
    for path in ((), (bytes(32),), (bytes(32),) * 3):
        with pytest.raises(ProofError, match="every tree extends the empty one"):
            verify_fork(present(make_cosigned(empty), make_cosigned(HONEST.checkpoint(7)), path), POLICY)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path[:-1],
        lambda path: path[1:],
        lambda path: (*path, bytes(32)),
        lambda path: (bytes(32), *path),
        lambda path: path[::-1],
        lambda path: path[:0],
        lambda path: (bytes(32), *path[1:]),
    ],
)
@pytest.mark.parametrize("evidence", [EVIDENCE, accuse(8, 13, 7)], ids=["between", "complete"])
def test_a_path_that_does_not_lead_to_the_second_root_is_refused(
    evidence: ForkEvidence, change: Change
) -> None:
    with pytest.raises(ProofError, match="path"):
        verify_fork(replace(evidence, hashes=change(evidence.hashes)), POLICY)


def test_a_path_between_equal_sizes_is_refused() -> None:
    with pytest.raises(ProofError, match="expected no path"):
        verify_fork(replace(accuse(7, 7, 6), hashes=(bytes(32),)), POLICY)


def test_a_path_of_the_honest_tree_does_not_convict_it_of_a_forged_root() -> None:
    """Whoever holds only what an honest log signed cannot find a path that folds to its root."""
    forged = make_log(13, parts_at=5)
    path = compute_prefix_path(forged, 6, 13)
    one, other = make_cosigned(HONEST.checkpoint(6)), make_cosigned(HONEST.checkpoint(13))
    with pytest.raises(ProofError, match="expected the signed"):
        verify_fork(present(one, other, path), POLICY)
    with pytest.raises(ProofError, match="expected the signed"):
        build_fork_evidence(one, other, path, POLICY)


def test_two_logs_of_one_policy_do_not_make_a_fork() -> None:
    other_key = generate_ed25519(SeededRng(b"other log"))
    other = LogKey(name="other.example/log", public_key=other_key.public_key)
    policy = LogPolicy(log_keys=(LOG_KEY, other), quorum=None)
    foreign = Checkpoint(origin=other.name, tree_size=7, root_hash=bytes(32))
    signed = sign_checkpoint(foreign, other_key).to_bytes()
    with pytest.raises(ProofError, match="no fork: one checkpoint is of"):
        verify_fork(present(make_cosigned(HONEST.checkpoint(6)), signed), policy)


def test_evidence_against_a_log_that_the_policy_does_not_know_is_refused() -> None:
    stranger = LogKey(name=ORIGIN, public_key=generate_ed25519(SeededRng(b"stranger")).public_key)
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_fork(EVIDENCE, LogPolicy.unwitnessed(stranger))
    unknown = LogKey(name="other.example/log", public_key=stranger.public_key)
    with pytest.raises(InvalidSignatureError, match="got one of"):
        verify_fork(EVIDENCE, LogPolicy.unwitnessed(unknown))


def test_a_checkpoint_that_only_witnesses_signed_convicts_nobody() -> None:
    forged = make_log(13, parts_at=5).checkpoint()
    note = SignedNote(text=forged.to_text(), signatures=(cosign_by(forged, NAMES[0]),)).to_bytes()
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_fork(replace(EVIDENCE, second=note), POLICY)
    with pytest.raises(InvalidSignatureError, match="got none"):
        build_fork_evidence(EVIDENCE.first, note, EVIDENCE.hashes, POLICY)


def test_a_cosignature_of_another_checkpoint_convicts_no_witness() -> None:
    forged = make_log(13, parts_at=5).checkpoint()
    borrowed = cosign_by(HONEST.checkpoint(6), NAMES[0])
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify_fork(replace(EVIDENCE, second=make_cosigned(forged, others=(borrowed,))), POLICY)


def test_lines_of_strangers_are_refused_in_evidence_and_left_out_when_it_is_built() -> None:
    forged = make_log(13, parts_at=5)
    noisy = make_cosigned(forged.checkpoint(), NAMES[2:][::-1], others=(STRANGER,))
    with pytest.raises(InvalidSignatureError, match="its witnesses alone"):
        verify_fork(replace(EVIDENCE, second=noisy), POLICY)
    assert build_fork_evidence(EVIDENCE.first, noisy, EVIDENCE.hashes, POLICY) == EVIDENCE


def test_whoever_knows_the_log_alone_can_pass_over_the_witnesses() -> None:
    log_only = LogPolicy.unwitnessed(LOG_KEY)
    assert verify_fork(EVIDENCE, log_only, allow_other_lines=True).culprits == (ORIGIN,)
    one_witness = LogPolicy(log_keys=(LOG_KEY,), quorum=None, witnesses=WITNESSES[2:3])
    assert verify_fork(EVIDENCE, one_witness, allow_other_lines=True).culprits == (ORIGIN, NAMES[2])
    borrowed = cosign_by(HONEST.checkpoint(6), NAMES[2])
    forged = make_cosigned(make_log(13, parts_at=5).checkpoint(), others=(borrowed,))
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify_fork(replace(EVIDENCE, second=forged), one_witness, allow_other_lines=True)


def test_evidence_can_be_rebuilt_for_whoever_knows_fewer_keys() -> None:
    log_only = LogPolicy.unwitnessed(LOG_KEY)
    with pytest.raises(InvalidSignatureError, match="its witnesses alone"):
        verify_fork(EVIDENCE, log_only)
    bare = build_fork_evidence(EVIDENCE.first, EVIDENCE.second, EVIDENCE.hashes, log_only)
    assert verify_fork(bare, log_only).culprits == (ORIGIN,)


@pytest.mark.parametrize("data", [b"x", b"\n\n", EVIDENCE.first[:-1], EVIDENCE.first + b"\n"])
def test_what_is_no_signed_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        verify_fork(replace(EVIDENCE, first=data), POLICY)
    with pytest.raises(EncodingError):
        build_fork_evidence(EVIDENCE.second, data, EVIDENCE.hashes, POLICY)


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    note = sign_note("hello\n", name=ORIGIN, signing_key=SIGNING_KEY).to_bytes()
    with pytest.raises(EncodingError):
        verify_fork(replace(EVIDENCE, first=note), POLICY)


@pytest.mark.parametrize("evidence", [EVIDENCE, accuse(7, 7, 6)], ids=["path", "equal"])
def test_no_flipped_byte_of_evidence_is_accepted(evidence: ForkEvidence) -> None:
    data = evidence.to_bytes()
    for offset in range(len(data)):
        changed = bytearray(data)
        changed[offset] ^= 1 << offset % 8
        with pytest.raises(VetonetError):
            verify_fork(ForkEvidence.from_bytes(bytes(changed)), POLICY)


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 5), (5, 4), (-1, 4), (5, 41)])
def test_a_path_that_no_tree_has_is_refused(old_size: int, new_size: int) -> None:
    with pytest.raises(RefusedError):
        compute_prefix_path(HONEST, old_size, new_size)


def test_a_tree_of_hashes_gives_the_same_path_as_the_log() -> None:
    tree = Tree(compute_leaf_hash(HONEST.leaf(index)) for index in range(LARGEST))
    for old_size, new_size in ((1, 2), (4, 5), (8, 40), (32, 33), (33, 40), (40, 40)):
        assert compute_prefix_path(tree, old_size, new_size) == compute_prefix_path(
            HONEST, old_size, new_size
        )
