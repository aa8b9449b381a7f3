"""Proof files: one spelling, and a leaf that is in a log of the policy or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.witnessed_log import NAMES as ALL_NAMES
from support.witnessed_log import ORIGIN, STRANGER, make_cosigned, make_policy
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.merkle import MAX_TREE_SIZE, compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, InvalidSignatureError, ProofError, VetonetError, WitnessQuorumError
from vetonet.tlog.log import Log
from vetonet.tlog.note import LogKey, NoteSignature
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.proof import compute_log_proof, verify_log_proof
from vetonet.tlog.proof_file import MAX_EXTRA_BYTES, MAX_PROOF_FILE_BYTES, ProofFile, verify_proof_file

NAMES = ALL_NAMES[:3]
POLICY = make_policy(2, 3)
LEAVES = tuple(b"statement %d" % index for index in range(7))
LOG = Log(ORIGIN, LEAVES)


def cosigned(names: tuple[str, ...] = NAMES[:2], *others: NoteSignature, size: int = 7) -> bytes:
    return make_cosigned(LOG.checkpoint(size), names, others=others)


def prove(leaf_index: int = 4, checkpoint: bytes | None = None, *, extra: bytes = b"") -> ProofFile:
    proof = compute_log_proof(LOG, leaf_index, cosigned() if checkpoint is None else checkpoint)
    return ProofFile.from_log_proof(proof, extra=extra)


FILE = prove()
DATA = FILE.to_bytes()
TEXT = DATA.decode()
LEAF_HASH = compute_leaf_hash(LEAVES[4])


def verify(data: bytes, leaf: bytes = LEAVES[4], policy: LogPolicy = POLICY) -> int:
    return verify_proof_file(data, leaf_hash=compute_leaf_hash(leaf), policy=policy).checkpoint.tree_size


def test_a_file_reads_as_the_specification_shows_it() -> None:
    lines = TEXT.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 4"]
    assert lines[5:8] == ["", ORIGIN, "7"]
    assert prove(extra=b"hi").to_bytes().decode().split("\n")[1:3] == ["extra aGk=", "index 4"]


@pytest.mark.parametrize("size", range(1, 8))
def test_every_leaf_is_proven_under_every_size(size: int) -> None:
    for index in range(size):
        data = prove(index, cosigned(size=size), extra=b"note").to_bytes()
        assert verify(data, LEAVES[index]) == size


def test_a_file_is_read_back_and_says_what_the_log_proof_does() -> None:
    for file in (FILE, prove(extra=bytes(MAX_EXTRA_BYTES)), prove(0, cosigned(size=1))):
        assert ProofFile.from_bytes(file.to_bytes()) == file
    proof = FILE.to_log_proof()
    assert ProofFile.from_log_proof(proof) == FILE
    assert verify_log_proof(LEAVES[4], proof, POLICY).checkpoint == LOG.checkpoint()


def test_the_largest_index_can_be_spelled() -> None:
    file = replace(FILE, leaf_index=MAX_TREE_SIZE - 1)
    assert ProofFile.from_bytes(file.to_bytes()) == file


def test_the_answer_names_who_cosigned() -> None:
    cosignatures = verify_proof_file(DATA, leaf_hash=LEAF_HASH, policy=POLICY).cosignatures
    assert [cosignature.witness.name for cosignature in cosignatures] == list(NAMES[:2])


def test_lines_of_strangers_are_passed_over() -> None:
    assert verify(prove(4, cosigned(NAMES[1:], STRANGER)).to_bytes()) == 7


def test_extra_data_is_vouched_for_by_nobody() -> None:
    assert verify(prove(extra=b"anything").to_bytes()) == 7
    assert prove(extra=b"anything").to_log_proof() == FILE.to_log_proof()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT.replace("@v1", "@v2"),
        TEXT.replace("@v1", "@v1 "),
        TEXT.removeprefix("c2sp.org/tlog-proof@v1\n"),
        TEXT.replace("\n", "\r\n", 1),
        TEXT.replace("index 4", "index"),
        TEXT.replace("index 4\n", ""),
        TEXT.replace("index 4", "index 04"),
        TEXT.replace("index 4", "index +4"),
        TEXT.replace("index 4", "index -4"),
        TEXT.replace("index 4", "index 4 "),
        TEXT.replace("index 4", "index  4"),
        TEXT.replace("index 4", "index \u0664"),
        TEXT.replace("index 4", "index 4_0"),
        TEXT.replace("index 4", f"index {MAX_TREE_SIZE}"),
        TEXT.replace("index 4", "index " + "9" * 5000),
        TEXT.replace("index 4", "extra \nindex 4"),
        TEXT.replace("index 4", "extra aGk\nindex 4"),
        TEXT.replace("index 4", "extra aGl=\nindex 4"),
        TEXT.replace("index 4", "extra aGk=\nextra aGk=\nindex 4"),
        TEXT.replace("index 4", "index 4\nextra aGk="),
        TEXT.replace("index 4", "index 4\naGk="),
        TEXT.replace("index 4", "index 4\nindex 4"),
        TEXT.replace("\n\n", "\n", 1),
        TEXT.replace("\n\n", "\n\n\n", 1),
        TEXT + "\n",
        TEXT.removesuffix("\n"),
        TEXT.split("\n\n")[0] + "\n\n",
        TEXT.replace("index 4", "index 4\n" + "\n".join(["A" * 43 + "="] * 64)),
    ],
)
def test_what_is_not_a_proof_file_in_its_one_spelling_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        ProofFile.from_bytes(text.encode())


def test_oversize_files_are_refused_unread() -> None:
    with pytest.raises(EncodingError, match="at most"):
        ProofFile.from_bytes(bytes(MAX_PROOF_FILE_BYTES + 1))
    with pytest.raises(EncodingError, match="extra data"):
        prove(extra=bytes(MAX_EXTRA_BYTES + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"leaf_index": -1},
        {"leaf_index": MAX_TREE_SIZE},
        {"hashes": (bytes(31),)},
        {"hashes": (bytes(32),) * 64},
        {"checkpoint": b""},
        {"checkpoint": b"no note"},
    ],
)
def test_a_file_that_cannot_be_spelled_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EncodingError):
        replace(FILE, **changes)  # type: ignore[arg-type]


def test_another_leaf_index_path_or_size_is_refused() -> None:
    for changed in (
        replace(FILE, leaf_index=5),
        replace(FILE, leaf_index=7),
        replace(FILE, hashes=FILE.hashes[:-1]),
        replace(FILE, hashes=(*FILE.hashes, bytes(32))),
        replace(FILE, hashes=FILE.hashes[::-1]),
        replace(FILE, checkpoint=cosigned(size=6)),
    ):
        with pytest.raises(ProofError):
            verify(changed.to_bytes())
    with pytest.raises(ProofError):
        verify(DATA, LEAVES[3])


def test_too_few_witnesses_are_refused() -> None:
    with pytest.raises(WitnessQuorumError, match="2 of 3"):
        verify(prove(4, cosigned(NAMES[:1], STRANGER)).to_bytes())


def test_a_file_of_another_log_is_refused() -> None:
    other = LogKey(name="other.example/log", public_key=generate_ed25519(SeededRng(b"other")).public_key)
    with pytest.raises(InvalidSignatureError, match="got one of 'vetonet"):
        verify(DATA, policy=LogPolicy.unwitnessed(other))
    same_name = LogKey(name=ORIGIN, public_key=other.public_key)
    with pytest.raises(InvalidSignatureError, match="got none"):
        verify(DATA, policy=LogPolicy.unwitnessed(same_name))


def test_no_flipped_bit_verifies() -> None:
    """Every byte but those of extra data is covered by a signature, or fixed by the format."""
    for offset in range(len(DATA)):
        changed = bytearray(DATA)
        changed[offset] ^= 1 << offset % 8
        with pytest.raises(VetonetError):
            verify(bytes(changed))
