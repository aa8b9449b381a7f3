"""``vetonet move`` for firmware: what it is about, and what is refused before anything is signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.firmware import PATCHED, sign_reference
from support.world import make_council
from vetonet.attestation.reference_values import UpdatePurpose, open_reference_values
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.move import CLASSES, _find_subject, _Wish
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.policy.motion import MOVABLE
from vetonet.voting.ledger import Ledger

COUNCIL = make_council()
LEDGER = Ledger(treaty=COUNCIL.treaty)
ROOT = COUNCIL.endorser_root
UPDATE = sign_reference(ROOT, PATCHED, number=2)
GUARANTEE = sign_reference(ROOT, PATCHED, number=2, purpose=UpdatePurpose.NEW_GUARANTEE)
MALLORY = generate_ecdsa(SeededRng(b"mallory"))


def find(action: str, subject: object) -> bytes:
    wish: dict[str, Any] = {"window_ms": None, "lasting_ms": None, "text": None}
    return _find_subject(LEDGER, _Wish(action=action, subject=str(subject), **wish))


def digest_of(data: bytes) -> bytes:
    return open_reference_values(data, {ROOT.public_key.key_id: ROOT.public_key}).payload_digest


@pytest.mark.parametrize(("action", "data"), [("security-patch", UPDATE), ("new-guarantee", GUARANTEE)])
def test_the_subject_is_the_digest_of_the_statement_in_the_file(
    tmp_path: Path, action: str, data: bytes
) -> None:
    """VN-17.8."""
    path = tmp_path / "reference.cose"
    path.write_bytes(data)
    assert find(action, path) == digest_of(data)
    assert find(action, digest_of(data).hex()) == digest_of(data)


# VN-17.8
@pytest.mark.parametrize(
    ("action", "data", "expected"),
    [
        ("security-patch", GUARANTEE, "signed them as new-guarantee"),
        ("new-guarantee", UPDATE, "signed them as security-patch"),
        ("security-patch", sign_reference(MALLORY, PATCHED, number=2), "by a maker of the treaty"),
        ("security-patch", UPDATE[:-1] + bytes([UPDATE[-1] ^ 1]), "by a maker of the treaty"),
        ("security-patch", b"firmware.bin", "by a maker of the treaty"),
        ("security-patch", COUNCIL.treaty.data, "by a maker of the treaty"),
    ],
    ids=["guarantee as patch", "patch as guarantee", "nobody's", "forged", "no statement", "a treaty"],
)
def test_what_would_never_count_is_not_moved(tmp_path: Path, action: str, data: bytes, expected: str) -> None:
    path = tmp_path / "reference.cose"
    path.write_bytes(data)
    with pytest.raises(Failure, match=expected) as caught:
        find(action, path)
    assert caught.value.code is not Exit.OK


def test_what_is_neither_a_file_nor_a_digest_is_refused() -> None:
    with pytest.raises(Failure, match="reference values' file"):
        find("security-patch", "ab" * 31)


def test_every_action_that_a_party_can_move_has_its_word() -> None:
    assert set(CLASSES) == {action.value for action in MOVABLE}
