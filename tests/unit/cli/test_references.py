"""What a voter on firmware is shown: reference values as the log holds them, and none that nobody signed."""

from __future__ import annotations

from typing import Any

import pytest

from support.firmware import FIRMWARE, PATCHED, sign_reference
from support.world import make_council
from vetonet.attestation.reference_values import UpdatePurpose, open_reference_values
from vetonet.cli.move import APPROVING as MOVED
from vetonet.cli.proposals import describe_matter, list_rows
from vetonet.cli.references import APPROVING, describe_reference, find_reference
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.party.logview import LogView
from vetonet.policy.action import ActionClass
from vetonet.policy.quorum import Quorum
from vetonet.tlog.log import Log

PATCH, AMEND = ActionClass.SECURITY_PATCH, ActionClass.AMEND_RULES
ALL = Quorum.of_threshold(2, ("p1", "p2", "p3"))
COUNCIL = make_council(3, 2, quorums={PATCH: ALL, AMEND: ALL})
ROOT, MALLORY = COUNCIL.endorser_root, generate_ecdsa(SeededRng(b"mallory"))
UPDATE = sign_reference(ROOT, PATCHED, number=2)
GUARANTEE = sign_reference(ROOT, PATCHED, number=2, purpose=UpdatePurpose.NEW_GUARANTEE)


def read(*leaves: bytes) -> LogView:
    held = (COUNCIL.treaty.data, *leaves)
    view = LogView(COUNCIL.treaty)
    view.advance(held, COUNCIL.sign_head(Log(COUNCIL.treaty.statement.log_origin, held)))
    return view


def digest_of(data: bytes) -> bytes:
    keys = {key.key_id: key for key in (ROOT.public_key, MALLORY.public_key)}
    return open_reference_values(data, keys).payload_digest


def show(view: LogView, data: bytes, action: ActionClass = PATCH) -> list[tuple[str, str]]:
    motion = COUNCIL.move("p1", action, subject_digest=digest_of(data))
    described: dict[str, Any] = describe_matter(motion, COUNCIL.treaty.statement, {})
    described |= describe_reference(view, motion.statement)
    return list_rows(described, motion.statement.opens_ms)


def test_a_voter_on_firmware_sees_maker_model_number_purpose_and_every_component() -> None:
    rows = show(read(sign_reference(ROOT, FIRMWARE), UPDATE), UPDATE)
    assert ("firmware", "maker, Test Chip, number 2") in rows
    assert ("purpose", "security-patch") in rows
    components = [text for name, text in rows if name == "component"]
    assert components == [f"{c.name} 1.1, svn 2, {c.digest.hex()}" for c in PATCHED.components]


def test_a_motion_of_the_other_class_is_shown_to_approve_nothing() -> None:
    purpose = dict(show(read(GUARANTEE), GUARANTEE))["purpose"]
    assert purpose == "new-guarantee; a motion on security-patch approves nothing of it"


@pytest.mark.parametrize(
    ("leaf", "data"),
    [
        (sign_reference(ROOT, FIRMWARE), UPDATE),
        (sign_reference(MALLORY, PATCHED, number=2), sign_reference(MALLORY, PATCHED, number=2)),
    ],
    ids=["another", "nobody's"],
)
def test_what_the_log_does_not_hold_is_said_not_to_be_there(leaf: bytes, data: bytes) -> None:
    view = read(leaf)
    if leaf == data:  # who signed it does not change what it says, and so not its digest
        assert digest_of(data) == digest_of(UPDATE)
    assert find_reference(view, digest_of(data)) is None
    firmware = dict(show(view, data))["firmware"]
    assert firmware.startswith("the log holds no reference values of this digest")


def test_a_motion_on_anything_else_shows_no_firmware() -> None:
    assert not {"firmware", "component"} & dict(show(read(UPDATE), UPDATE, AMEND)).keys()


def test_every_class_that_approves_firmware_has_its_word() -> None:
    assert set(MOVED) == set(APPROVING)
