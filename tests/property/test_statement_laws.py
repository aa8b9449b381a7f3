"""Laws of statements: one spelling, any byte counts, and only those open it who are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vetonet.crypto import cose
from vetonet.crypto.keys import Algorithm, SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Statement, open_joint_statement, open_statement, sign, sign_jointly
from vetonet.encoding import cbor
from vetonet.encoding.record import bstr, many, member, tstr, uint
from vetonet.errors import InvalidSignatureError, VetonetError

RNG = SeededRng(b"laws")
KEYS: tuple[SigningKey, ...] = (
    generate_ed25519(RNG),
    generate_ecdsa(RNG),
    generate_ecdsa(RNG, Algorithm.ES384),
    generate_ed25519(RNG),
)
KNOWN = {key.public_key.key_id: key.public_key for key in KEYS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Statement):
    TYPE: ClassVar[str] = "sample"
    number: int = member(1, uint())
    name: str = member(24, tstr(20))
    digest: bytes | None = member(-1, bstr(4), optional=True)
    counts: tuple[int, ...] = member(-24, many(uint(2**128 - 1), maximum=4))


SAMPLES = st.builds(
    Sample,
    number=st.integers(0, 2**64 - 1),
    name=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20),
    digest=st.none() | st.binary(min_size=4, max_size=4),
    counts=st.lists(st.integers(0, 2**128 - 1), max_size=4).map(tuple),
)


@settings(max_examples=60)
@given(SAMPLES, st.sampled_from(KEYS))
def test_what_is_signed_opens_and_has_one_spelling(sample: Sample, key: SigningKey) -> None:
    data = sign(sample, key)
    signed = open_statement(data, Sample, KNOWN)
    assert (signed.statement, signed.signer) == (sample, key.public_key)
    assert sign(signed.statement, key) == data


@settings(max_examples=200)
@given(SAMPLES, st.sampled_from(KEYS), st.data())
def test_any_change_of_one_byte_is_refused(sample: Sample, key: SigningKey, data: st.DataObject) -> None:
    signed = bytearray(sign(sample, key))
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VetonetError):
        open_statement(bytes(signed), Sample, KNOWN)


@settings(max_examples=150)
@given(SAMPLES, st.sampled_from(KEYS), st.data())
def test_any_splice_of_bytes_is_refused(sample: Sample, key: SigningKey, data: st.DataObject) -> None:
    signed = sign(sample, key)
    start = data.draw(st.integers(0, len(signed)))
    stop = data.draw(st.integers(start, min(len(signed), start + 8)))
    spliced = signed[:start] + data.draw(st.binary(max_size=8)) + signed[stop:]
    if spliced != signed:
        with pytest.raises(VetonetError):
            open_statement(spliced, Sample, KNOWN)


@settings(max_examples=80)
@given(SAMPLES, SAMPLES, st.sampled_from(KEYS), st.data())
def test_parts_of_two_statements_do_not_combine(
    left: Sample, right: Sample, key: SigningKey, data: st.DataObject
) -> None:
    one, two = (cbor.from_bytes(sign(sample, key)[1:], max_bytes=10_000) for sample in (left, right))
    picked = [data.draw(st.sampled_from(pair)) for pair in zip(one, two, strict=True)]
    if picked not in (one, two):
        with pytest.raises(InvalidSignatureError):
            open_statement(cose.TAG_SIGN1 + cbor.to_bytes(picked), Sample, KNOWN)


@settings(max_examples=60)
@given(SAMPLES, st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_a_joint_statement_opens_for_exactly_its_signers(
    sample: Sample, signers: set[SigningKey], wanted: set[SigningKey]
) -> None:
    data = sign_jointly(sample, tuple(signers))
    keys = [key.public_key for key in wanted]
    if signers and signers == wanted:
        assert open_joint_statement(data, Sample, keys).statement == sample
    else:
        with pytest.raises(VetonetError):
            open_joint_statement(data, Sample, keys)
