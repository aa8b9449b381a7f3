"""Policies: which checkpoints count, how quorums nest, and that evidence has one spelling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from support.witnessed_log import (
    LOG_KEY,
    NAMES,
    NOW_S,
    ORIGIN,
    SIGNING_KEY,
    STRANGER,
    WITNESS_SIGNING_KEYS,
    WITNESSES,
    cosign_by,
    make_cosigned,
    make_log,
    make_policy,
)
from vetonet.crypto.keys import PublicKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import (
    ConfigError,
    EncodingError,
    InvalidSignatureError,
    VetonetError,
    WitnessQuorumError,
)
from vetonet.tlog.checkpoint import SignedCheckpoint, sign_checkpoint
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote, sign_note
from vetonet.tlog.policy import (
    MAX_WITNESSES,
    LogPolicy,
    WitnessGroup,
    assemble_cosigned,
    describe_quorum,
    is_quorum,
    verify_cosigned,
)

CHECKPOINT = make_log(7).checkpoint()
POLICY = make_policy(3)
DATA = make_cosigned(CHECKPOINT, NAMES[:3])
SIGNED = sign_checkpoint(CHECKPOINT, SIGNING_KEY)


@dataclass(frozen=True, kw_only=True)
class Named:
    name: str
    key: PublicKey


@dataclass(frozen=True, kw_only=True)
class Terms:
    log_origin: str = ORIGIN
    log_key: PublicKey = SIGNING_KEY.public_key
    witnesses: tuple[Named, ...] = tuple(
        Named(name=name, key=key.public_key) for name, key in WITNESS_SIGNING_KEYS.items()
    )
    witness_quorum: int = 3


def group(threshold: int, *members: WitnessKey | WitnessGroup) -> WitnessGroup:
    return WitnessGroup(threshold=threshold, members=members)


def make_witness(number: int) -> WitnessKey:
    key = generate_ed25519(SeededRng(b"many %d" % number)).public_key
    return WitnessKey.of_ed25519(f"many{number}.example", key)


def test_a_checkpoint_with_a_quorum_counts() -> None:
    for names in combinations(NAMES, 3):
        cosigned = verify_cosigned(make_cosigned(CHECKPOINT, names), POLICY)
        assert cosigned.checkpoint == CHECKPOINT
        assert tuple(entry.witness.name for entry in cosigned.cosignatures) == names
        assert {entry.timestamp_s for entry in cosigned.cosignatures} == {NOW_S}


def test_what_was_verified_keeps_the_bytes_that_were_received() -> None:
    assert verify_cosigned(DATA, POLICY).data == DATA


def test_one_cosignature_too_few_is_refused() -> None:
    """VN-11.5."""
    for names in combinations(NAMES, 2):
        with pytest.raises(WitnessQuorumError, match=f"3 of 5 witnesses, got cosignatures of {names[0]}"):
            verify_cosigned(make_cosigned(CHECKPOINT, names), POLICY)
    with pytest.raises(WitnessQuorumError, match="got cosignatures of none"):
        verify_cosigned(SIGNED.to_bytes(), POLICY)


def test_the_same_witness_twice_counts_once() -> None:
    again = [cosign_by(CHECKPOINT, NAMES[0], NOW_S + later) for later in range(3)]
    data = make_cosigned(CHECKPOINT, (), others=again)
    with pytest.raises(WitnessQuorumError):
        verify_cosigned(data, POLICY, allow_other_lines=True)
    with pytest.raises(InvalidSignatureError, match="at most once"):
        verify_cosigned(make_cosigned(CHECKPOINT, NAMES[:3], others=again[:1]), POLICY)


def test_witnesses_alone_are_not_enough() -> None:
    lines = tuple(cosign_by(CHECKPOINT, name) for name in NAMES)
    note = SignedNote(text=CHECKPOINT.to_text(), signatures=lines).to_bytes()
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_cosigned(note, POLICY, allow_other_lines=True)


def test_a_bad_line_of_a_known_key_is_refused_even_above_the_quorum() -> None:
    borrowed = cosign_by(make_log(6).checkpoint(), NAMES[4])
    for is_lenient in (False, True):
        with pytest.raises(InvalidSignatureError, match="does not verify"):
            verify_cosigned(
                make_cosigned(CHECKPOINT, NAMES[:4], others=(borrowed,)),
                POLICY,
                allow_other_lines=is_lenient,
            )


@pytest.mark.parametrize(
    "arrange",
    [
        lambda log, w1, w2, w3: (w1, log, w2, w3),
        lambda log, w1, w2, w3: (log, w2, w1, w3),
        lambda log, w1, w2, w3: (log, w1, w2, w3, STRANGER),
        lambda log, w1, w2, w3: (STRANGER, log, w1, w2, w3),
        lambda log, w1, w2, w3: (log, log, w1, w2, w3),
        lambda log, w1, w2, w3: (log, w1, w2, w3, log),
    ],
)
def test_evidence_has_its_lines_in_one_order_and_a_client_of_anybodys_log_does_not_mind(
    arrange: Callable[..., tuple[NoteSignature, ...]],
) -> None:
    lines = SignedNote.from_bytes(DATA).signatures
    data = SignedNote(text=CHECKPOINT.to_text(), signatures=arrange(*lines)).to_bytes()
    with pytest.raises(InvalidSignatureError, match="in the order of the policy"):
        verify_cosigned(data, POLICY)
    assert verify_cosigned(data, POLICY, allow_other_lines=True).checkpoint == CHECKPOINT


def test_no_flipped_bit_and_no_cut_of_a_cosigned_checkpoint_counts() -> None:
    for offset in range(len(DATA)):
        changed = bytearray(DATA)
        changed[offset] ^= 1 << offset % 8
        with pytest.raises(VetonetError):
            verify_cosigned(bytes(changed), POLICY)
        with pytest.raises(VetonetError):
            verify_cosigned(DATA[:offset], POLICY)


def test_a_policy_without_a_quorum_asks_for_the_logs_signature_alone() -> None:
    assert verify_cosigned(SIGNED.to_bytes(), LogPolicy.unwitnessed(LOG_KEY)).cosignatures == ()
    listed = LogPolicy(log_keys=(LOG_KEY,), quorum=None, witnesses=WITNESSES)
    assert len(verify_cosigned(DATA, listed).cosignatures) == 3


def test_witnesses_outside_the_quorum_may_sign_but_do_not_count() -> None:
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=group(1, WITNESSES[4]), witnesses=WITNESSES)
    with pytest.raises(WitnessQuorumError):
        verify_cosigned(DATA, policy)
    both = verify_cosigned(make_cosigned(CHECKPOINT, (NAMES[0], NAMES[4])), policy)
    assert [entry.witness.name for entry in both.cosignatures] == [NAMES[0], NAMES[4]]


def test_another_log_is_refused() -> None:
    key = generate_ed25519(SeededRng(b"other"))
    with pytest.raises(InvalidSignatureError, match="expected a checkpoint of 'x', got one of"):
        verify_cosigned(DATA, LogPolicy.unwitnessed(LogKey(name="x", public_key=key.public_key)))
    foreign = sign_note(CHECKPOINT.to_text(), name="x", signing_key=key).to_bytes()
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify_cosigned(foreign, LogPolicy.unwitnessed(LOG_KEY))


def test_a_log_that_changed_its_key_counts_under_both() -> None:
    renewed = generate_ed25519(SeededRng(b"renewed"))
    new_key = LogKey(name=ORIGIN, public_key=renewed.public_key)
    policy = LogPolicy(log_keys=(LOG_KEY, new_key), quorum=None)
    for key in (SIGNING_KEY, renewed):
        data = sign_checkpoint(CHECKPOINT, key).to_bytes()
        assert verify_cosigned(data, policy).checkpoint == CHECKPOINT
    stranger = sign_checkpoint(CHECKPOINT, generate_ed25519(SeededRng(b"third"))).to_bytes()
    with pytest.raises(InvalidSignatureError):
        verify_cosigned(stranger, policy)


def test_each_log_of_a_policy_counts() -> None:
    key = generate_ed25519(SeededRng(b"second log"))
    second = LogKey(name="second.example/log", public_key=key.public_key)
    policy = LogPolicy(log_keys=(LOG_KEY, second), quorum=None)
    other = replace(CHECKPOINT, origin=second.name)
    assert verify_cosigned(sign_checkpoint(other, key).to_bytes(), policy).checkpoint == other
    assert verify_cosigned(SIGNED.to_bytes(), policy).checkpoint == CHECKPOINT
    with pytest.raises(InvalidSignatureError):
        verify_cosigned(sign_checkpoint(other, SIGNING_KEY).to_bytes(), policy)


def test_the_policy_of_a_treaty_is_its_flat_quorum() -> None:
    policy = LogPolicy.under(Terms())
    assert policy == make_policy(3)
    assert (policy.log_key, policy.witnesses) == (LOG_KEY, WITNESSES)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(witness_quorum=0),
        Terms(witness_quorum=6),
        Terms(witnesses=()),
        Terms(log_origin="two words"),
        Terms(log_key=generate_ecdsa(SeededRng(b"e")).public_key),
        Terms(witnesses=(Named(name="w", key=generate_ecdsa(SeededRng(b"e")).public_key),), witness_quorum=1),
        Terms(witnesses=Terms().witnesses + Terms().witnesses[:1]),
        Terms(witnesses=(*Terms().witnesses, Named(name="alias", key=Terms().witnesses[0].key))),
        Terms(witnesses=(Named(name="w", key=SIGNING_KEY.public_key),), witness_quorum=1),
    ],
)
def test_terms_that_make_no_policy_are_refused(terms: Terms) -> None:
    with pytest.raises(EncodingError):
        LogPolicy.under(terms)


def test_only_a_policy_of_one_log_has_the_log_key() -> None:
    assert POLICY.log_key == LOG_KEY
    second = LogKey(name="x", public_key=generate_ed25519(SeededRng(b"x")).public_key)
    for keys in ((), (LOG_KEY, second)):
        with pytest.raises(ConfigError, match="one log"):
            _ = LogPolicy(log_keys=keys, quorum=None).log_key


def test_a_quorum_may_ask_for_groups_of_groups() -> None:
    """Two of three here and one of two there, as in the example of C2SP tlog-policy."""
    here, there = group(2, *WITNESSES[:3]), group(1, *WITNESSES[3:])
    quorum = group(2, here, there)
    assert quorum.witnesses == WITNESSES
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=quorum)
    for count in range(6):
        for names in combinations(NAMES, count):
            present = {witness for witness in WITNESSES if witness.name in names}
            is_enough = len(present & set(WITNESSES[:3])) > 1 and bool(present & set(WITNESSES[3:]))
            assert is_quorum(quorum, present) == is_enough
            data = make_cosigned(CHECKPOINT, names)
            if is_enough:
                verify_cosigned(data, policy)
            else:
                with pytest.raises(WitnessQuorumError, match="2 of 2 groups of witnesses"):
                    verify_cosigned(data, policy)


def test_a_quorum_may_be_a_single_witness() -> None:
    policy = LogPolicy(log_keys=(LOG_KEY,), quorum=WITNESSES[1])
    verify_cosigned(make_cosigned(CHECKPOINT, NAMES[1:2]), policy)
    with pytest.raises(WitnessQuorumError, match=r"a cosignature of w2\.example"):
        verify_cosigned(SIGNED.to_bytes(), policy)


def test_no_quorum_is_met_by_anybody_and_a_quorum_never_by_nobody() -> None:
    assert is_quorum(None, set())
    assert not is_quorum(WITNESSES[0], set())
    assert not is_quorum(group(1, *WITNESSES), set())
    assert not is_quorum(group(1, WITNESSES[0]), {WITNESSES[1]})


def test_quorums_are_described_in_words() -> None:
    assert describe_quorum(WITNESSES[0]) == "a cosignature of w1.example"
    assert describe_quorum(group(2, *WITNESSES)) == "cosignatures of 2 of 5 witnesses"
    assert describe_quorum(group(1, group(1, WITNESSES[0]), WITNESSES[1])) == "1 of 2 groups of witnesses"


@pytest.mark.parametrize(
    ("threshold", "members"),
    [
        (0, WITNESSES),
        (-1, WITNESSES),
        (6, WITNESSES),
        (1, ()),
        (1, (WITNESSES[0], WITNESSES[0])),
        (1, (WITNESSES[0], group(1, WITNESSES[0]))),
        (1, (group(1, WITNESSES[0]), group(1, *WITNESSES))),
        (1, (WITNESSES[0], WitnessKey.of_ed25519("alias", WITNESS_SIGNING_KEYS[NAMES[0]].public_key))),
    ],
)
def test_a_group_that_nobody_meets_or_in_which_somebody_counts_twice_is_refused(
    threshold: int, members: tuple[WitnessKey | WitnessGroup, ...]
) -> None:
    with pytest.raises(EncodingError):
        WitnessGroup(threshold=threshold, members=members)


def test_a_policy_that_does_not_fit_together_is_refused() -> None:
    twice = LogKey(name="alias", public_key=LOG_KEY.public_key)
    with pytest.raises(EncodingError, match="every key once"):
        LogPolicy(log_keys=(LOG_KEY, twice), quorum=None)
    with pytest.raises(EncodingError, match="every key once"):
        LogPolicy(log_keys=(LOG_KEY,), quorum=None, witnesses=WITNESSES[:1] * 2)
    with pytest.raises(EncodingError, match="that the policy lists"):
        LogPolicy(log_keys=(LOG_KEY,), quorum=WITNESSES[0], witnesses=WITNESSES[1:])


def test_a_policy_has_a_most_number_of_witnesses() -> None:
    many = tuple(make_witness(number) for number in range(MAX_WITNESSES + 1))
    LogPolicy(log_keys=(), quorum=None, witnesses=many[:-1])
    with pytest.raises(EncodingError, match="at most 128"):
        LogPolicy(log_keys=(), quorum=None, witnesses=many)


def test_a_checkpoint_is_assembled_from_the_lines_that_hold() -> None:
    answers = [
        cosign_by(make_log(6).checkpoint(), NAMES[0]),
        STRANGER,
        *(cosign_by(CHECKPOINT, name) for name in NAMES[::-1]),
        cosign_by(CHECKPOINT, NAMES[2], NOW_S + 1),
    ]
    assembled = assemble_cosigned(SIGNED, answers, POLICY)
    assert assembled.data == make_cosigned(CHECKPOINT, NAMES)
    with pytest.raises(WitnessQuorumError):
        assemble_cosigned(SIGNED, answers[:4], POLICY)
    forged = sign_checkpoint(CHECKPOINT, generate_ed25519(SeededRng(b"forger")))
    with pytest.raises(InvalidSignatureError):
        assemble_cosigned(SignedCheckpoint(note=forged.note), answers, POLICY)
