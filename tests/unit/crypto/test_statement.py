"""Statements: what is opened was signed by exactly those who should have, in the one accepted form (VN-2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.crypto import cose
from vetonet.crypto.keys import Algorithm, PublicKey, SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import (
    Envelope,
    Statement,
    attach_signatures,
    compute_digest,
    compute_signing_input,
    open_group_statement,
    open_joint_statement,
    open_statement,
    open_statements,
    peek,
    read_unverified,
    sign,
    sign_jointly,
)
from vetonet.encoding import cbor
from vetonet.encoding.record import bstr, member, uint
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError

RNG = SeededRng(b"statement")
KEYS: tuple[SigningKey, ...] = (
    generate_ed25519(RNG),
    generate_ecdsa(RNG),
    generate_ecdsa(RNG, Algorithm.ES384),
)
STRANGER = generate_ed25519(RNG)
KNOWN = {key.public_key.key_id: key.public_key for key in KEYS}
PUBLIC = tuple(KNOWN.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Statement):
    TYPE: ClassVar[str] = "note"
    number: int = member(1, uint(1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo(Statement):
    """The same fields as a note: only the type in the header tells them apart."""

    TYPE: ClassVar[str] = "memo"
    number: int = member(1, uint(1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Large(Statement):
    TYPE: ClassVar[str] = "large"
    data: bytes = member(1, bstr(0, 2**20))


NOTE = Note(number=7)
each_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.public_key.algorithm.name)


def header_of(key: PublicKey, **changes: Any) -> dict[Any, Any]:
    """The proper protected header of a note, some labels (l1, l4, l16 ...) replaced or, by None, removed."""
    header: dict[Any, Any] = {1: int(key.algorithm), 4: key.key_id, 16: "application/vetonet.note+cbor"}
    header |= {int(label[1:]): value for label, value in changes.items()}
    return {label: value for label, value in header.items() if value is not None}


def sign_raw(header: dict[Any, Any], payload: bytes = NOTE.to_bytes(), unprotected: Any = None) -> bytes:
    """A COSE_Sign1 by the first key over whatever header it is given."""
    protected = cbor.to_bytes(header)
    signature = KEYS[0].sign(cose.compute_sign1_input(protected, payload))
    return cose.TAG_SIGN1 + cbor.to_bytes([protected, unprotected or {}, payload, signature])


def test_many_statements_open_in_their_order() -> None:
    items = [sign(Note(number=n), KEYS[n % 3]) for n in range(7)]
    assert open_statements(items, Note, KNOWN) == [open_statement(data, Note, KNOWN) for data in items]
    assert open_statements([], Note, KNOWN) == []


def test_of_many_statements_the_first_bad_one_is_told() -> None:
    good, strange = sign(NOTE, KEYS[0]), sign(NOTE, STRANGER)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    wrong = b"\xd2"
    for first, error in (
        (forged, InvalidSignatureError),
        (strange, UnknownPartyError),
        (wrong, EncodingError),
    ):
        with pytest.raises(error):
            open_statements([good, first, forged, strange, wrong, good], Note, KNOWN)


def test_an_opened_statement_keeps_its_own_bytes_and_tells_their_digest() -> None:
    data, again = sign(NOTE, KEYS[0]), sign_jointly(NOTE, KEYS)
    signed, joint = open_statement(data, Note, KNOWN), open_joint_statement(again, Note, PUBLIC)
    assert signed.payload == joint.payload == NOTE.to_bytes()
    assert signed.payload_digest == joint.payload_digest == compute_digest(NOTE)
    assert signed.digest == hashlib.sha256(data).digest() != joint.digest
    assert signed == open_statement(data, Note, KNOWN) != joint
    assert "payload" not in repr(signed)


@each_key
def test_what_was_signed_opens(key: SigningKey) -> None:
    data = sign(NOTE, key)
    signed = open_statement(data, Note, KNOWN)
    assert (signed.statement, signed.signer, signed.data) == (NOTE, key.public_key, data)
    assert signed.payload_digest == compute_digest(NOTE) == hashlib.sha256(NOTE.to_bytes()).digest()
    assert signed.digest == hashlib.sha256(data).digest()
    assert peek(data) == Envelope(kind="note", key_id=key.public_key.key_id)
    assert read_unverified(data, Note) == NOTE


@each_key
def test_every_changed_byte_is_refused(key: SigningKey) -> None:
    data = sign(NOTE, key)
    for offset in range(len(data)):
        for change in (0x01, 0x20, 0x80, 0xFF):
            changed = bytearray(data)
            changed[offset] ^= change
            with pytest.raises(VetonetError):
                open_statement(bytes(changed), Note, KNOWN)


@each_key
def test_every_missing_inserted_or_repeated_byte_is_refused(key: SigningKey) -> None:
    data = sign(NOTE, key)
    for offset in range(len(data)):
        shorter, cut = data[:offset] + data[offset + 1 :], data[:offset]
        longer, doubled = data[:offset] + b"\x00" + data[offset:], data[: offset + 1] + data[offset:]
        for changed in (shorter, cut, longer, doubled):
            with pytest.raises(VetonetError):
                open_statement(changed, Note, KNOWN)
    with pytest.raises(EncodingError):
        open_statement(data + b"\x00", Note, KNOWN)


def test_every_changed_byte_of_a_joint_statement_is_refused() -> None:
    data = sign_jointly(NOTE, KEYS)
    for offset in range(len(data)):
        for change in (0x01, 0x80):
            changed = bytearray(data)
            changed[offset] ^= change
            with pytest.raises(VetonetError):
                open_joint_statement(bytes(changed), Note, PUBLIC)


def test_a_statement_of_another_type_is_refused_though_its_fields_are_the_same() -> None:
    data = sign(NOTE, KEYS[0])
    assert Memo.from_bytes(NOTE.to_bytes()).number == NOTE.number
    with pytest.raises(EncodingError, match="expected a memo statement"):
        open_statement(data, Memo, KNOWN)
    with pytest.raises(EncodingError):
        open_joint_statement(sign_jointly(NOTE, KEYS), Memo, PUBLIC)


def test_a_refused_type_has_its_article() -> None:
    with pytest.raises(EncodingError, match="expected an alias-endorsement statement, got 'application"):
        open_statement(sign(NOTE, KEYS[0]), AliasEndorsement, KNOWN)


def test_an_unknown_signer_is_refused() -> None:
    # VN-2.2
    for keys in (KNOWN, {}):
        with pytest.raises(UnknownPartyError) as caught:
            open_statement(sign(NOTE, STRANGER), Note, keys)
        assert caught.value.clause == "VN-2.2"


def test_a_stranger_cannot_borrow_a_known_key_id() -> None:
    protected = cbor.to_bytes(header_of(PUBLIC[0]))
    signature = STRANGER.sign(cose.compute_sign1_input(protected, NOTE.to_bytes()))
    data = cose.TAG_SIGN1 + cbor.to_bytes([protected, {}, NOTE.to_bytes(), signature])
    with pytest.raises(InvalidSignatureError):
        open_statement(data, Note, KNOWN)


def test_an_algorithm_that_is_not_the_keys_is_refused() -> None:
    for algorithm in (-7, -35):
        with pytest.raises(UnknownPartyError):
            open_statement(sign_raw(header_of(PUBLIC[0], l1=algorithm)), Note, KNOWN)


HOSTILE_HEADERS = {
    "no algorithm": {"l1": None},
    "no key id": {"l4": None},
    "no type": {"l16": None},
    "an extra label": {"l5": b"iv"},
    "a critical label": {"l2": [4]},
    "a content type instead of a type": {"l16": None, "l3": "application/vetonet.note+cbor"},
    "an algorithm we do not have": {"l1": -36},
    "an algorithm of zero": {"l1": 0},
    "an algorithm by name": {"l1": "EdDSA"},
    "an algorithm in an array": {"l1": [-8]},
    "an algorithm in a map": {"l1": {-8: -8}},
    "an algorithm of bytes": {"l1": b"\x27"},
    "an algorithm of true": {"l1": True},
    "a key id of text": {"l4": "k" * 32},
    "a key id of another size": {"l4": bytes(31)},
    "a key id of kilobytes": {"l4": bytes(9000)},
    "an empty key id": {"l4": b""},
    "a key id in an array": {"l4": [bytes(32)]},
    "a type of bytes": {"l16": b"application/vetonet.note+cbor"},
    "a type in an array": {"l16": ["application/vetonet.note+cbor"]},
    "a type in other letters": {"l16": "application/vetonet.Note+cbor"},
    "a type with a parameter": {"l16": "application/vetonet.note+cbor; v=2"},
    "a type of somebody else": {"l16": "application/other.note+cbor"},
    "a type by number": {"l16": 61},
}


@pytest.mark.parametrize("changes", [pytest.param(v, id=k) for k, v in HOSTILE_HEADERS.items()])
def test_every_other_protected_header_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.1
    data = sign_raw(header_of(PUBLIC[0], **changes))
    with pytest.raises(EncodingError):
        open_statement(data, Note, KNOWN)


def test_an_empty_protected_header_is_refused_in_both_spellings() -> None:
    for protected in (b"", b"\xa0"):
        signature = KEYS[0].sign(cose.compute_sign1_input(protected, NOTE.to_bytes()))
        data = cose.TAG_SIGN1 + cbor.to_bytes([protected, {}, NOTE.to_bytes(), signature])
        with pytest.raises(EncodingError):
            open_statement(data, Note, KNOWN)


@pytest.mark.parametrize("unprotected", [{4: b"k"}, {1: -8}, {"x": 1}, {99: None}, {33: b"cert"}], ids=repr)
def test_an_unprotected_header_is_refused(unprotected: dict[Any, Any]) -> None:
    # VN-2.1: nobody vouches for it, so it would be a second spelling.
    with pytest.raises(EncodingError, match="unprotected"):
        open_statement(sign_raw(header_of(PUBLIC[0]), unprotected=unprotected), Note, KNOWN)


def test_an_untagged_statement_is_refused() -> None:
    # VN-2.1
    data = sign(NOTE, KEYS[0])
    assert data.startswith(cose.TAG_SIGN1)
    for untagged in (data[1:], b"\xd8\x12" + data[1:], b"\xd9\xd9\xf7" + data):
        with pytest.raises(EncodingError, match="tag"):
            open_statement(untagged, Note, KNOWN)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xa0",
        b"\xa1\x01\x19\x03\xe9",
        b"\xa1\x01\x18\x07",
        b"\xa1\x01\x07\x00",
        b"\xa2\x01\x07\x02\x07",
    ],
    ids=["nothing", "no field", "out of range", "long head", "trailing byte", "unknown field"],
)
def test_a_well_signed_payload_that_is_no_note_is_refused(payload: bytes) -> None:
    with pytest.raises(EncodingError):
        open_statement(sign_raw(header_of(PUBLIC[0]), payload), Note, KNOWN)


def test_an_oversize_statement_is_neither_made_nor_opened() -> None:
    makers: tuple[Callable[[Statement], bytes], ...] = (
        lambda statement: sign(statement, KEYS[0]),
        lambda statement: sign_jointly(statement, KEYS),
    )
    for make in makers:
        overhead = len(make(Large(data=bytes(1000)))) - 1000
        largest = Large(data=bytes(Large.MAX_BYTES - overhead))
        assert len(make(largest)) == Large.MAX_BYTES
        with pytest.raises(EncodingError, match="accept"):
            make(Large(data=bytes(Large.MAX_BYTES - overhead + 1)))
    assert open_statement(sign(largest, KEYS[0]), Large, KNOWN).statement == largest
    with pytest.raises(EncodingError, match="at most"):
        open_statement(sign(largest, KEYS[0]) + bytes(300), Large, KNOWN)


def test_a_field_out_of_range_is_not_signed() -> None:
    makers: tuple[Callable[[Statement], object], ...] = (
        lambda statement: sign(statement, KEYS[0]),
        lambda statement: sign_jointly(statement, KEYS),
        lambda statement: compute_signing_input(statement, PUBLIC[0]),
        compute_digest,
    )
    for make in makers:
        for number in (-1, 1001):
            with pytest.raises(EncodingError, match=r"Note\.number"):
                make(Note(number=number))


def test_a_signature_made_elsewhere_is_attached_only_if_it_verifies() -> None:
    message = compute_signing_input(NOTE, PUBLIC[0])
    first = {PUBLIC[0]: KEYS[0].sign(message)}
    assert attach_signatures(NOTE, first) == sign_jointly(NOTE, KEYS[:1])
    second = {PUBLIC[1]: KEYS[1].sign(compute_signing_input(NOTE, PUBLIC[1]))}
    opened = open_group_statement(attach_signatures(NOTE, second | first), Note, KNOWN)
    assert (opened.statement, set(opened.signers)) == (NOTE, set(PUBLIC[:2]))
    for wrong in (STRANGER.sign(message), KEYS[0].sign(message + b"x"), b"", *second.values()):
        with pytest.raises(InvalidSignatureError):
            attach_signatures(NOTE, {PUBLIC[0]: wrong})
        with pytest.raises(InvalidSignatureError):
            attach_signatures(NOTE, second | {PUBLIC[0]: wrong})
    with pytest.raises(InvalidSignatureError, match="nobody signed"):
        attach_signatures(NOTE, {})


def arrange(keys: Sequence[SigningKey], statement: Statement = NOTE) -> bytes:
    """Return a COSE_Sign with a signature of each key, in exactly this order."""
    body, _, payload, _ = take_apart(sign_jointly(statement, KEYS[:1]))
    entries = []
    for key in keys:
        _, _, _, signatures = take_apart(sign_jointly(statement, (key,)))
        entries += signatures
    return cose.TAG_SIGN + cbor.to_bytes([body, {}, payload, entries])


def test_the_arranged_statement_is_the_ordinary_one_where_nothing_is_wrong_with_it() -> None:
    in_order = sorted(KEYS, key=lambda key: key.public_key.key_id)
    assert arrange(in_order) == sign_jointly(NOTE, KEYS)
    assert open_group_statement(arrange(in_order), Note, KNOWN).statement == NOTE


def test_a_group_statement_signed_twice_or_out_of_order_has_another_spelling_and_is_refused() -> None:
    # VN-7.8: else one consent would be many different leaves.
    in_order = sorted(KEYS, key=lambda key: key.public_key.key_id)
    for keys in (in_order[::-1], (in_order[0], in_order[0]), (*in_order, in_order[-1])):
        with pytest.raises(EncodingError, match=r"once each, in the order|order of"):
            open_group_statement(arrange(keys), Note, KNOWN)


def test_a_group_statement_that_nobody_signed_is_refused() -> None:
    # VN-7.8
    with pytest.raises(VetonetError):
        open_group_statement(arrange(()), Note, KNOWN)


def test_a_group_statement_with_one_signer_too_many_is_refused() -> None:
    # VN-7.8: a superfluous signature is not ignored, whoever made it.
    with pytest.raises(UnknownPartyError) as caught:
        open_group_statement(sign_jointly(NOTE, (*KEYS, STRANGER)), Note, KNOWN)
    assert caught.value.clause == "VN-2.2"
    known = dict(list(KNOWN.items())[:2])
    with pytest.raises(UnknownPartyError):
        open_group_statement(sign_jointly(NOTE, KEYS), Note, known)


def test_a_bad_signature_of_a_group_names_it() -> None:
    # VN-7.8
    data = bytearray(sign_jointly(NOTE, KEYS))
    last = max(KEYS, key=lambda key: key.public_key.key_id).public_key
    data[-1] ^= 1
    with pytest.raises(InvalidSignatureError) as caught:
        open_group_statement(bytes(data), Note, KNOWN)
    assert caught.value.culprits == (last.key_id.hex(),)


def test_a_group_statement_of_another_type_or_of_one_signer_is_refused() -> None:
    # VN-2.1
    for data in (sign(NOTE, KEYS[0]), sign_jointly(Memo(number=7), KEYS)):
        with pytest.raises(EncodingError):
            open_group_statement(data, Note, KNOWN)


def test_a_joint_statement_opens_whatever_the_order_of_signing() -> None:
    data = sign_jointly(NOTE, KEYS)
    assert sign_jointly(NOTE, KEYS[::-1]) == data
    signed = open_joint_statement(data, Note, reversed(PUBLIC))
    assert signed.statement == NOTE
    assert signed.signers == tuple(sorted(PUBLIC, key=lambda key: key.key_id))
    assert peek(data) == Envelope(kind="note", key_id=None)
    assert read_unverified(data, Note) == NOTE


def test_a_missing_signer_is_named() -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        open_joint_statement(sign_jointly(NOTE, KEYS[:2]), Note, PUBLIC)
    assert caught.value.culprits == (PUBLIC[2].key_id.hex(),)


def test_an_extra_signer_is_refused() -> None:
    with pytest.raises(InvalidSignatureError, match="exactly the 3 signers"):
        open_joint_statement(sign_jointly(NOTE, (*KEYS, STRANGER)), Note, PUBLIC)


def test_a_signer_twice_is_refused() -> None:
    for keys in ((*KEYS, KEYS[0]), sorted((*KEYS, KEYS[0]), key=lambda key: key.public_key.key_id)):
        with pytest.raises(InvalidSignatureError):
            open_joint_statement(arrange(keys), Note, PUBLIC)
    assert sign_jointly(NOTE, (*KEYS, KEYS[0])) == sign_jointly(NOTE, KEYS)


def test_nobody_is_not_enough() -> None:
    with pytest.raises(InvalidSignatureError):
        open_joint_statement(sign_jointly(NOTE, KEYS), Note, ())
    with pytest.raises(EncodingError):
        open_joint_statement(sign_jointly(NOTE, ()), Note, ())


def take_apart(data: bytes) -> list[Any]:
    parts: list[Any] = cbor.from_bytes(data[len(cose.TAG_SIGN) :], max_bytes=10_000)
    return parts


def put_together(parts: list[Any]) -> bytes:
    return cose.TAG_SIGN + cbor.to_bytes(parts)


def test_signers_out_of_order_are_refused() -> None:
    parts = take_apart(sign_jointly(NOTE, KEYS))
    for entries in (parts[3][::-1], parts[3][1:] + parts[3][:1]):
        with pytest.raises(InvalidSignatureError, match="in the order"):
            open_joint_statement(put_together([*parts[:3], entries]), Note, PUBLIC)


def test_signatures_swapped_between_signers_name_who_did_not_sign() -> None:
    parts = take_apart(sign_jointly(NOTE, KEYS))
    first, second = parts[3][0], parts[3][1]
    first[2], second[2] = second[2], first[2]
    with pytest.raises(InvalidSignatureError) as caught:
        open_joint_statement(put_together(parts), Note, PUBLIC)
    assert caught.value.culprits == (min(KNOWN).hex(),)


@pytest.mark.parametrize(
    "header", [{4: b"k"}, {1: -8}, {1: -8, 4: bytes(32), 16: "t"}, {}, {1: [-8], 4: bytes(32)}], ids=repr
)
def test_another_header_of_a_joint_signer_is_refused(header: dict[int, Any]) -> None:
    parts = take_apart(sign_jointly(NOTE, KEYS))
    parts[3][0][0] = cbor.to_bytes(header)
    with pytest.raises(InvalidSignatureError):
        open_joint_statement(put_together(parts), Note, PUBLIC)


@pytest.mark.parametrize("place", [1, 3])
def test_an_unprotected_header_of_a_joint_statement_is_refused(place: int) -> None:
    parts = take_apart(sign_jointly(NOTE, KEYS))
    if place == 1:
        parts[1] = {4: b"k"}
    else:
        parts[3][0][1] = {4: b"k"}
    with pytest.raises(EncodingError, match="unprotected"):
        open_joint_statement(put_together(parts), Note, PUBLIC)


def test_one_signature_is_not_taken_for_a_joint_one_nor_the_reverse() -> None:
    with pytest.raises(EncodingError):
        open_joint_statement(sign(NOTE, KEYS[0]), Note, PUBLIC[:1])
    with pytest.raises(EncodingError):
        open_statement(sign_jointly(NOTE, KEYS[:1]), Note, KNOWN)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2",
        b"\xd8\x62",
        b"\xd2\x80",
        b"\xff" * 40,
        sign_raw({}),
        sign_raw({16: 5}),
        sign_raw({16: "note"}),
    ],
    ids=lambda data: data.hex()[:12] or "nothing",
)
def test_peeking_at_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        peek(data)


def test_the_signed_bytes_are_the_rfcs_structure() -> None:
    # RFC 9052 section 4.4: the body's header, then the signer's.
    full = header_of(PUBLIC[0])
    body, own = {16: full.pop(16)}, full
    expected = ["Signature", cbor.to_bytes(body), cbor.to_bytes(own), b"", NOTE.to_bytes()]
    assert compute_signing_input(NOTE, PUBLIC[0]) == cbor.to_bytes(expected)
