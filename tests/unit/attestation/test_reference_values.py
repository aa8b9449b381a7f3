"""Which reference values count, and what measured firmware is held against (VN-17.6 to VN-17.8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest

from support.firmware import FIRMWARE, NAMES, PATCHED, UNKNOWN, make_firmware, make_reference, sign_reference
from vetonet.attestation.firmware import Firmware, FirmwareComponent
from vetonet.attestation.reference_values import (
    ReferenceRegister,
    ReferenceValues,
    UpdatePurpose,
    find_firmware_problems,
)
from vetonet.crypto.keys import PublicKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, open_statement, sign
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
)

ROOT = generate_ecdsa(SeededRng(b"root of the maker"))
OTHER_ROOT = generate_ecdsa(SeededRng(b"root of another"))
MODEL = ("maker", "Test Chip")
PATCH, GUARANTEE = UpdatePurpose.SECURITY_PATCH, UpdatePurpose.NEW_GUARANTEE


@dataclass(frozen=True, slots=True)
class Maker:
    endorser_id: str
    root_key: PublicKey
    attester_kind: str = "simulated"


MAKERS = (Maker("maker", ROOT.public_key), Maker("another", OTHER_ROOT.public_key))


def digest_of(data: bytes) -> bytes:
    return open_reference(data).payload_digest


def open_reference(data: bytes) -> Signed[ReferenceValues]:
    keys = {maker.root_key.key_id: maker.root_key for maker in MAKERS}
    return open_statement(data, ReferenceValues, keys)


FIRST = sign_reference(ROOT)
SECOND = sign_reference(ROOT, PATCHED, number=2)
THIRD = sign_reference(ROOT, make_firmware("2.0", svn=3), number=3, purpose=GUARANTEE)


def read(*leaves: bytes) -> ReferenceRegister:
    """A register after a log with these reference values from leaf 1 on."""
    register = ReferenceRegister()
    for leaf_index, data in enumerate(leaves, start=1):
        register = register.read(data, MAKERS, leaf_index)
    return register


def numbers(register: ReferenceRegister, leaf_index: int = 100) -> list[int]:
    return [values.number for values in register.list_accepted(*MODEL, leaf_index)]


def test_the_first_counts_by_the_makers_word_and_later_ones_do_not() -> None:
    """VN-17.6."""
    assert numbers(read(FIRST)) == [1]
    assert numbers(read(FIRST, SECOND, THIRD)) == [1]
    assert numbers(ReferenceRegister()) == []


def test_the_first_does_not_count_for_a_boot_before_it() -> None:
    """VN-17.6: firmware is published before chips start with it."""
    assert numbers(read(FIRST), 1) == []
    assert numbers(read(FIRST), 2) == [1]


def test_a_later_one_counts_from_the_leaf_of_its_resolution_on() -> None:
    """VN-17.8."""
    register = read(FIRST, SECOND).approve(digest_of(SECOND), "security-patch", 7)
    assert numbers(register, 7) == [1]
    assert numbers(register, 8) == [1, 2]


# VN-17.8: by the class of action that it says it is of, and by no other.
@pytest.mark.parametrize("action", ["new-guarantee", "amend-rules", "run-grant", "emergency-suspension", ""])
def test_a_patch_that_another_class_of_action_approved_does_not_count(action: str) -> None:
    assert numbers(read(FIRST, SECOND).approve(digest_of(SECOND), action, 7)) == [1]


def test_a_new_guarantee_that_was_approved_as_a_security_patch_does_not_count() -> None:
    """VN-17.8: two of five must not do what takes four of seven."""
    register = read(FIRST, SECOND, THIRD)
    assert numbers(register.approve(digest_of(THIRD), "security-patch", 7)) == [1]
    assert numbers(register.approve(digest_of(THIRD), "new-guarantee", 7)) == [1, 3]


def test_what_was_approved_before_the_log_held_it_does_not_count() -> None:
    """VN-17.8: nobody could have looked at it there."""
    register = read(FIRST).approve(digest_of(SECOND), "security-patch", 2).read(SECOND, MAKERS, 3)
    assert numbers(register) == [1]


def test_a_resolution_on_something_else_approves_nothing() -> None:
    """VN-17.8."""
    assert numbers(read(FIRST, SECOND).approve(bytes(32), "security-patch", 7)) == [1]


def test_a_second_approval_does_not_move_the_first() -> None:
    register = read(FIRST, SECOND).approve(digest_of(SECOND), "security-patch", 7)
    assert numbers(register.approve(digest_of(SECOND), "security-patch", 50), 8) == [1, 2]


def test_numbers_have_no_gap() -> None:
    """VN-17.6."""
    for leaves in ([SECOND], [THIRD], [FIRST, THIRD]):
        with pytest.raises(RefusedError, match="expected"):
            read(*leaves)


def test_the_same_again_is_refused_and_another_of_one_number_is_equivocation() -> None:
    """VN-17.6."""
    with pytest.raises(RefusedError, match="logged already"):
        read(FIRST, SECOND, FIRST)
    with pytest.raises(EquivocationError) as caught:
        read(FIRST, SECOND, sign_reference(ROOT, UNKNOWN, number=2))
    assert caught.value.culprit == "maker"


def test_models_and_makers_count_on_their_own() -> None:
    other_model = sign_reference(ROOT, model="Other Chip")
    other_maker = sign_reference(OTHER_ROOT, UNKNOWN, maker="another")
    register = read(FIRST, other_model, other_maker, SECOND)
    assert numbers(register) == [1]
    assert [values.firmware for values in register.list_accepted("another", "Test Chip", 9)] == [UNKNOWN]
    assert register.list_accepted("another", "Other Chip", 9) == ()


# VN-17.6: a maker speaks for its own chips alone.
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (sign_reference(OTHER_ROOT), UnknownPartyError),
        (sign_reference(ROOT, maker="another"), UnknownPartyError),
        (sign_reference(ROOT, maker="nobody"), UnknownPartyError),
        (FIRST[:-1] + bytes([FIRST[-1] ^ 1]), InvalidSignatureError),
        (FIRST[:-1], EncodingError),
        (b"", EncodingError),
    ],
    ids=["another maker", "in another's name", "unknown maker", "forged", "cut", "nothing"],
)
def test_what_its_maker_did_not_sign_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(data)


def test_a_register_that_refused_is_as_it_was() -> None:
    register = read(FIRST)
    with pytest.raises(RefusedError):
        register.read(THIRD, MAKERS, 2)
    assert numbers(register.read(SECOND, MAKERS, 2).approve(digest_of(SECOND), PATCH, 3)) == [1, 2]


# What is held against them.


def part(which: str, **changes: Any) -> FirmwareComponent:
    component = FIRMWARE.find_component(which)
    assert component is not None
    return replace(component, **changes)


def judge(firmware: Firmware, *references: ReferenceValues) -> list[str]:
    return [reason for reason, _ in find_firmware_problems(firmware, references)]


def made_of(*components: FirmwareComponent) -> Firmware:
    return Firmware(components=components)


GOOD, UPDATE = make_reference(), make_reference(PATCHED, number=2)
LOADER, ENGINE = NAMES


def test_firmware_with_its_own_reference_values_is_in_order() -> None:
    assert judge(FIRMWARE, GOOD) == []
    assert judge(PATCHED, GOOD, UPDATE) == []


def test_without_reference_values_no_firmware_is_in_order() -> None:
    """VN-17.6: unknown means no."""
    assert judge(FIRMWARE) == ["reference-missing"]


# VN-17.6: a vendor-signed back door is no reference value of the log.
@pytest.mark.parametrize(
    ("firmware", "expected"),
    [
        (made_of(part(LOADER), part(ENGINE, digest=bytes(32))), ["component-mismatched"]),
        (made_of(part(LOADER), part(ENGINE, svn=9)), ["component-mismatched"]),
        (made_of(part(LOADER), part(ENGINE, svn=0)), ["component-mismatched"]),
        (made_of(part(LOADER), part(ENGINE, version="1.0 ")), ["component-mismatched"]),
        (UNKNOWN, ["component-mismatched"] * 2),
        (made_of(part(LOADER)), ["component-missing"]),
        (made_of(part(LOADER), part(ENGINE), part(ENGINE, name="zz-implant")), ["component-unknown"]),
        (made_of(part(LOADER, name="implant")), ["component-unknown"] + ["component-missing"] * 2),
    ],
    ids=["digest", "svn above", "svn below", "version", "all", "one lacks", "one more", "others"],
)
def test_each_component_in_doubt_is_named(firmware: Firmware, expected: list[str]) -> None:
    assert judge(firmware, GOOD) == expected


def test_old_firmware_is_outdated_once_a_higher_svn_counts() -> None:
    """VN-17.7."""
    assert judge(FIRMWARE, GOOD, UPDATE) == ["component-outdated"] * 2


def test_an_update_of_the_same_svn_outdates_nothing() -> None:
    """VN-17.7: a maker that does not raise the svn says that the older version may still run."""
    assert judge(FIRMWARE, GOOD, make_reference(make_firmware("1.1", svn=1), number=2)) == []


def test_components_of_two_firmwares_do_not_mix() -> None:
    """VN-17.6: each is known, but nobody vouched for them together."""
    sibling = make_firmware("1.1", svn=1)
    mixed = made_of(part(LOADER), sibling.components[1])
    assert judge(mixed, GOOD, make_reference(sibling, number=2)) == ["component-mismatched"]


def test_the_order_in_which_reference_values_are_given_does_not_matter() -> None:
    given = (GOOD, UPDATE, make_reference(make_firmware("2.0", svn=3), number=3))
    for firmware in (FIRMWARE, PATCHED, UNKNOWN):
        assert len({tuple(judge(firmware, *order)) for order in permutations(given)}) == 1


def test_signing_the_same_twice_is_the_same_statement() -> None:
    """An approval names the digest of the statement, not of a signature."""
    assert digest_of(sign(make_reference(), ROOT)) == digest_of(FIRST)
