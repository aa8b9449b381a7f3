"""CoRIMs of the one subset: what they say, and everything that nobody reads into them (VN-17.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.firmware import FIRMWARE, make_firmware, make_reference
from vetonet.attestation.corim import MAX_CORIM_BYTES, Corim
from vetonet.attestation.reference_values import ReferenceValues
from vetonet.encoding import cbor
from vetonet.encoding.cbor import Tagged
from vetonet.errors import EncodingError

GOOD = make_reference().corim
TAGS = frozenset({501, 506, 552})

Item = Any


def take_apart() -> tuple[Item, Item]:
    """The corim-map and the CoMID of a good CoRIM, to be changed."""
    corim = cbor.from_tagged_bytes(GOOD.to_bytes(), max_bytes=MAX_CORIM_BYTES, tags=TAGS).content
    comid = cbor.from_tagged_bytes(corim[1][0].content, max_bytes=MAX_CORIM_BYTES, tags=TAGS)
    return corim, comid


def put_together(corim: Item, comid: Item) -> bytes:
    corim[1][0] = Tagged(506, cbor.to_tagged_bytes(comid))
    return cbor.to_tagged_bytes(Tagged(501, corim))


def change(comid_change: Callable[[Item], object]) -> bytes:
    corim, comid = take_apart()
    comid_change(comid)
    return put_together(corim, comid)


def first_of(comid: Item) -> Item:
    """The first measurement-map."""
    return comid[4][0][0][1][0]


def test_a_corim_says_what_was_written() -> None:
    assert Corim.from_bytes(GOOD.to_bytes()) == GOOD
    assert put_together(*take_apart()) == GOOD.to_bytes()


def test_the_tags_are_those_of_the_draft() -> None:
    """An unsigned corim-map is 501, a CoMID 506, an exact svn 552 (draft-ietf-rats-corim)."""
    data = GOOD.to_bytes()
    assert data.startswith(bytes.fromhex("d901f5a2"))
    assert data.count(bytes.fromhex("d901fa")) == 1
    assert data.count(bytes.fromhex("d90228")) == len(FIRMWARE.components)


# VN-17.6: one spelling, and nothing but this subset.
@pytest.mark.parametrize(
    "comid_change",
    [
        pytest.param(lambda comid: comid.update({0: "en"}), id="a language"),
        pytest.param(lambda comid: comid.update({2: []}), id="entities"),
        pytest.param(lambda comid: comid[1].update({0: "other"}), id="a tag of another name"),
        pytest.param(lambda comid: comid[1].pop(1), id="a tag without a version"),
        pytest.param(lambda comid: comid[4].update({1: comid[4][0]}), id="endorsed triples"),
        pytest.param(lambda comid: comid[4][0].append(comid[4][0][0]), id="two reference triples"),
        pytest.param(lambda comid: comid[4].update({0: []}), id="no triple"),
        pytest.param(lambda comid: comid[4][0][0][0].update({1: b"x"}), id="an instance"),
        pytest.param(lambda comid: comid[4][0][0][0][0].update({0: b"x"}), id="a class id"),
        pytest.param(lambda comid: comid[4][0][0][0][0].pop(2), id="no model"),
        pytest.param(lambda comid: comid[4][0][0].append(1), id="a triple of three"),
        pytest.param(lambda comid: comid[4][0][0][1].clear(), id="no measurement"),
        pytest.param(lambda comid: comid[4][0][0][1].reverse(), id="components out of order"),
        pytest.param(lambda comid: comid[4][0][0][1].append(first_of(comid)), id="one component twice"),
        pytest.param(lambda comid: first_of(comid).pop(0), id="no name"),
        pytest.param(lambda comid: first_of(comid).update({2: 1}), id="an authorising key"),
        pytest.param(lambda comid: first_of(comid)[1].update({3: {}}), id="flags"),
        pytest.param(lambda comid: first_of(comid)[1].pop(1), id="no svn"),
        pytest.param(lambda comid: first_of(comid)[1].update({1: 1}), id="an svn without a tag"),
        pytest.param(lambda comid: first_of(comid)[1].update({1: Tagged(501, 1)}), id="another tag"),
        pytest.param(lambda comid: first_of(comid)[1].update({1: Tagged(553, 1)}), id="a least svn"),
        pytest.param(lambda comid: first_of(comid)[1].update({1: Tagged(552, -1)}), id="a negative svn"),
        pytest.param(
            lambda comid: first_of(comid)[1].update({1: Tagged(number=552, content=True)}), id="svn true"
        ),
        pytest.param(lambda comid: first_of(comid)[1].update({1: Tagged(552, 2**32 + 1)}), id="a huge svn"),
        pytest.param(lambda comid: first_of(comid)[1].update({2: []}), id="no digest"),
        pytest.param(lambda comid: first_of(comid)[1][2].append([1, bytes(32)]), id="two digests"),
        pytest.param(lambda comid: first_of(comid)[1].update({2: [[7, bytes(48)]]}), id="SHA-384"),
        pytest.param(lambda comid: first_of(comid)[1].update({2: [[True, bytes(32)]]}), id="algorithm true"),
        pytest.param(lambda comid: first_of(comid)[1].update({2: [[1, bytes(31)]]}), id="a short digest"),
        pytest.param(lambda comid: first_of(comid)[1][0].update({1: 16384}), id="a version scheme"),
    ],
)
def test_everything_else_that_a_corim_can_hold_is_refused(comid_change: Callable[[Item], object]) -> None:
    with pytest.raises(EncodingError):
        Corim.from_bytes(change(comid_change))


def wrap(corim: Item, tag: int = 501) -> bytes:
    return cbor.to_tagged_bytes(Tagged(tag, corim))


# VN-17.6
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(cbor.to_tagged_bytes(take_apart()[0]), id="no tag"),
        pytest.param(wrap(take_apart()[0], 502), id="a signed CoRIM"),
        pytest.param(wrap(Tagged(501, take_apart()[0])), id="the tag twice"),
        pytest.param(wrap(take_apart()[0] | {3: "profile"}), id="a profile"),
        pytest.param(wrap({1: take_apart()[0][1]}), id="no id"),
        pytest.param(wrap(take_apart()[0] | {1: take_apart()[0][1] * 2}), id="two CoMIDs"),
        pytest.param(wrap(take_apart()[0] | {1: []}), id="no CoMID"),
        pytest.param(wrap(take_apart()[0] | {1: [Tagged(506, 1)]}), id="a CoMID that is a number"),
        pytest.param(wrap(take_apart()[0] | {0: "other"}), id="another id"),
        pytest.param(GOOD.to_bytes() + b"\x00", id="more bytes"),
        pytest.param(GOOD.to_bytes()[:-1], id="fewer bytes"),
        pytest.param(b"\xd9\x01\xf5" * 40, id="tags nested deep"),
        pytest.param(bytes(MAX_CORIM_BYTES + 1), id="too much"),
    ],
)
def test_what_is_no_corim_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        Corim.from_bytes(data)


def test_reference_values_and_their_corim_name_one_maker_and_number() -> None:
    """VN-17.6."""
    values = make_reference()
    for corim in (replace(GOOD, vendor="another"), replace(GOOD, number=2)):
        with pytest.raises(ValueError, match="same number and maker"):
            replace(values, corim=corim)
    with pytest.raises(ValueError, match="number from 1"):
        make_reference(number=0)


def test_reference_values_with_a_spoilt_corim_are_refused() -> None:
    item = make_reference().to_item()
    item[4] = change(lambda comid: comid.update({0: "en"}))
    with pytest.raises(EncodingError, match=r"ReferenceValues\.corim"):
        ReferenceValues.from_bytes(cbor.to_bytes(item))


def test_what_is_too_large_to_be_read_is_not_written() -> None:
    names = tuple(f"{number:02}" + "\U0001d11e" * 30 for number in range(16))
    firmware = make_firmware("\U0001d11e" * 32, names=names)
    with pytest.raises(EncodingError, match="more than"):
        Corim(vendor="m", model="x", number=1, firmware=firmware).to_bytes()
