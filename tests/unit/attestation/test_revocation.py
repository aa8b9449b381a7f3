"""Revocation lists: gap-free, never shrinking, and nothing without a current one (VN-17.3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fleet import make_fleet
from support.revocations import ISSUED_MS, make_list, sign_list
from support.world import NOW_MS
from vetonet.attestation.registry import Registry
from vetonet.attestation.revocation import (
    MAX_LIST_AGE_MS,
    RevocationList,
    RevocationReason,
    open_revocation_list,
)
from vetonet.attester.manufacture import revoke
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import (
    EncodingError,
    EquivocationError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
)

FLEET = make_fleet()
COUNCIL, CHIP, OTHER = FLEET.council, FLEET.chips[0], FLEET.chips[1]
TREATY, ROOT = COUNCIL.treaty.statement, COUNCIL.endorser_root
KEYS = {ROOT.public_key.key_id: ROOT.public_key}
UEIDS = [chip.ueid for chip in FLEET.chips]


def read(*lists: bytes) -> Registry:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], TREATY)
    for leaf_index, data in enumerate(lists, start=2):
        registry.read_revocation_list(data, TREATY, leaf_index)
    return registry


def test_a_chip_is_revoked_from_the_leaf_that_first_names_it() -> None:
    lists = (sign_list(ROOT), sign_list(ROOT, [CHIP.ueid], number=2), sign_list(ROOT, UEIDS, number=3))
    registry = read(*lists)
    assert registry.find_revocation(registry.find_device(CHIP.ueid)) == 3
    assert registry.revocations.find_leaf("maker", OTHER.ueid) == 4


def test_a_revoked_chip_endorses_no_key_and_is_not_enrolled() -> None:
    """VN-17.3: in whatever order the leaves come."""
    with pytest.raises(RefusedError) as caught:
        read(sign_list(ROOT, UEIDS)).read_alias(FLEET.aliases[0])
    assert (caught.value.culprit, caught.value.clause) == ("op1", "VN-17.3")
    with pytest.raises(RefusedError) as caught:
        read(sign_list(ROOT, UEIDS)).read_enrolment(FLEET.enrolments[1], TREATY)
    assert caught.value.clause == "VN-17.3"


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_list_with_a_gap_is_refused(number: int) -> None:
    """VN-17.3"""
    with pytest.raises(RefusedError, match="expected number 2") as caught:
        read(sign_list(ROOT), sign_list(ROOT, number=number))
    assert (caught.value.culprit, caught.value.clause) == ("maker", "VN-17.3")


def test_a_first_list_that_is_not_number_one_is_refused() -> None:
    """VN-17.3"""
    with pytest.raises(RefusedError, match="expected number 1"):
        read(sign_list(ROOT, number=2))


def test_a_list_that_shrinks_is_refused() -> None:
    """VN-17.3: no maker takes a revocation back."""
    with pytest.raises(RefusedError, match="lacks the revoked chip"):
        read(sign_list(ROOT, UEIDS), sign_list(ROOT, UEIDS[1:], number=2))


def test_a_list_issued_before_the_one_before_it_is_refused() -> None:
    """VN-17.3"""
    with pytest.raises(RefusedError, match="issued before"):
        read(sign_list(ROOT), sign_list(ROOT, number=2, issued_ms=ISSUED_MS - 1, expires_ms=NOW_MS))


def test_two_lists_of_one_number_are_equivocation() -> None:
    """VN-17.3"""
    with pytest.raises(EquivocationError):
        read(sign_list(ROOT), sign_list(ROOT, UEIDS))


def test_a_list_by_another_maker_of_the_same_name_is_refused() -> None:
    """VN-17.3"""
    with pytest.raises(UnknownPartyError):
        read(sign_list(generate_ecdsa(SeededRng(b"another maker"))))
    with pytest.raises(UnknownPartyError):
        read(sign_list(ROOT, endorser_id="nobody"))


def test_a_maker_revokes_no_chip_of_another() -> None:
    """VN-17.3"""
    assert read(sign_list(ROOT, UEIDS)).revocations.find_leaf("other", CHIP.ueid) is None


def test_an_altered_list_is_refused() -> None:
    """VN-17.3"""
    data = sign_list(ROOT, UEIDS)
    with pytest.raises(InvalidSignatureError):
        open_revocation_list(data[:-1] + bytes([data[-1] ^ 1]), KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"number": 0}, id="number zero"),
        pytest.param({"expires_ms": ISSUED_MS}, id="no life"),
        pytest.param({"expires_ms": ISSUED_MS + MAX_LIST_AGE_MS + 1}, id="too long a life"),
        pytest.param({"entries": make_list(UEIDS[:1]).entries * 2}, id="a chip twice"),
        pytest.param({"entries": make_list(UEIDS).entries[::-1]}, id="out of order"),
    ],
)
def test_a_list_that_says_no_sense_is_none(changes: dict[str, Any]) -> None:
    """VN-17.3"""
    with pytest.raises(ValueError, match="expected"):
        make_list(**changes)


def test_a_stale_or_postdated_list_is_not_current() -> None:
    """VN-17.3"""
    listed = make_list()
    ends = (listed.issued_ms - 1, listed.issued_ms, listed.expires_ms - 1, listed.expires_ms)
    assert [listed.is_current(now) for now in ends] == [False, True, True, False]


@pytest.mark.parametrize("data", [b"", b"\xa0", bytes(40), FLEET.enrolments[0]])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        read(data)


@given(st.lists(st.sets(st.sampled_from(UEIDS)), min_size=1, max_size=5))
def test_what_a_maker_issues_never_shrinks_and_always_follows(rounds: list[set[bytes]]) -> None:
    registry, earlier, revoked = Registry(), None, set[bytes]()
    for number, ueids in enumerate(rounds, start=1):
        reasons = dict.fromkeys(ueids, RevocationReason.LOST)
        data = revoke(FLEET.maker, reasons, NOW_MS + number, earlier=earlier)
        registry.read_revocation_list(data, TREATY, number)
        revoked |= ueids
        earlier = registry.revocations.find_newest("maker")
        assert earlier is not None
        assert ({entry.ueid for entry in earlier.entries}, earlier.number) == (revoked, number)
        assert set(registry.revocations.since) == {("maker", ueid) for ueid in revoked}


@given(st.sets(st.sampled_from(UEIDS)), st.sets(st.sampled_from(UEIDS)))
def test_exactly_a_list_with_all_of_the_earlier_follows(first: set[bytes], second: set[bytes]) -> None:
    registry = Registry()
    registry.read_revocation_list(sign_list(ROOT, first), TREATY, 1)
    later = sign(make_list(second, number=2), ROOT)
    if first <= second:
        registry.read_revocation_list(later, TREATY, 2)
        return
    with pytest.raises(RefusedError):
        registry.read_revocation_list(later, TREATY, 2)


def test_bytes_and_list_are_one() -> None:
    listed = make_list(UEIDS)
    assert RevocationList.from_bytes(listed.to_bytes()) == listed
