from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.paper_tpm import (
    FIRMWARE,
    NONCE,
    OTHER_FIRMWARE,
    RECORDED_COUNT_2,
    RECORDED_COUNT_3,
    RECORDED_KEY,
    RECORDED_OTHER_QUOTE,
    RECORDED_QUOTE,
    PaperTpm,
    build_count,
    build_quote,
    seal,
)
from vetonet.attestation.tpm import (
    COUNTER_ATTRIBUTES,
    TpmEvidence,
    compute_counter_name,
    read_count,
    verify_quote,
)
from vetonet.crypto.keys import Algorithm, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import AppraisalError, EncodingError, InvalidSignatureError, VetonetError

TPM = PaperTpm(firmware_digest=FIRMWARE)
KEY = TPM.public_key
QUOTE, COUNT = build_quote(KEY, NONCE, FIRMWARE), build_count(KEY, NONCE, 2)


def quote_of(attest: bytes) -> None:
    verify_quote(seal(attest, TPM.device_key), KEY, nonce=NONCE, firmware_digest=FIRMWARE)


def count_of(attest: bytes) -> int:
    return read_count(seal(attest, TPM.device_key), KEY, nonce=NONCE)


def test_what_swtpm_said_is_read() -> None:
    verify_quote(RECORDED_QUOTE, RECORDED_KEY, nonce=NONCE, firmware_digest=FIRMWARE)
    verify_quote(RECORDED_OTHER_QUOTE, RECORDED_KEY, nonce=NONCE, firmware_digest=OTHER_FIRMWARE)
    recorded = (RECORDED_COUNT_2, RECORDED_COUNT_3)
    assert [read_count(data, RECORDED_KEY, nonce=NONCE) for data in recorded] == [2, 3]


def test_the_tpm_on_paper_says_it_in_the_same_bytes() -> None:
    recorded = TpmEvidence.from_bytes(RECORDED_QUOTE).attest
    assert build_quote(RECORDED_KEY, NONCE, FIRMWARE, clock=recorded[76:93]) == recorded
    recorded = TpmEvidence.from_bytes(RECORDED_COUNT_2).attest
    assert build_count(RECORDED_KEY, NONCE, 2, clock=recorded[76:93]) == recorded


@pytest.mark.parametrize("data", [RECORDED_QUOTE, RECORDED_COUNT_2], ids=["quote", "count"])
def test_a_flipped_bit_anywhere_is_refused(data: bytes) -> None:
    for place in range(len(data)):
        altered = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises(VetonetError):
            verify_quote(altered, RECORDED_KEY, nonce=NONCE, firmware_digest=FIRMWARE)
        with pytest.raises(VetonetError):
            read_count(altered, RECORDED_KEY, nonce=NONCE)


@pytest.mark.parametrize("attest", [QUOTE, COUNT], ids=["quote", "count"])
def test_no_byte_but_clock_version_and_count_may_differ_even_under_the_device_key(attest: bytes) -> None:
    free = {*range(76, 101), *(range(141, 149) if attest is COUNT else ())}
    read: Callable[[bytes], object] = quote_of if attest is QUOTE else count_of
    read(attest)
    for place in set(range(len(attest))) - free | {92}:  # 92: yes or no, with one spelling each
        altered = attest[:place] + bytes([attest[place] ^ 2]) + attest[place + 1 :]
        with pytest.raises((AppraisalError, EncodingError)):
            read(altered)


@pytest.mark.parametrize("attest", [QUOTE, COUNT], ids=["quote", "count"])
def test_a_cut_or_longer_attestation_is_refused(attest: bytes) -> None:
    read: Callable[[bytes], object] = quote_of if attest is QUOTE else count_of
    for altered in (attest[:-1], attest + b"\x00", attest[:101], attest[:50]):
        with pytest.raises(EncodingError):
            read(altered)


def test_a_quote_is_no_count_and_a_count_no_quote() -> None:
    with pytest.raises(AppraisalError, match="type 0x8014"):
        count_of(QUOTE)
    with pytest.raises(AppraisalError, match="type 0x8018"):
        quote_of(COUNT)


def test_what_the_tpm_did_not_make_itself_is_refused() -> None:
    with pytest.raises(AppraisalError, match="own attestation"):
        quote_of(b"\x00TCG" + QUOTE[4:])


def test_a_stale_nonce_is_refused() -> None:
    with pytest.raises(AppraisalError, match="another nonce"):
        quote_of(build_quote(KEY, b"o" * 32, FIRMWARE))
    with pytest.raises(AppraisalError, match="another nonce"):
        count_of(build_count(KEY, b"o" * 32, 2))


def test_a_quote_of_other_firmware_is_refused() -> None:
    with pytest.raises(AppraisalError, match="not of firmware"):
        quote_of(build_quote(KEY, NONCE, OTHER_FIRMWARE))


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(COUNTER_ATTRIBUTES & ~0x10, id="an ordinary index, which can be written"),
        pytest.param(COUNTER_ATTRIBUTES | 0x0400_0000, id="an orderly counter, which power loss moves"),
        pytest.param(COUNTER_ATTRIBUTES | 0x0800_0000, id="cleared by each start"),
        pytest.param(COUNTER_ATTRIBUTES | 0x2, id="the owner may write it too"),
    ],
)
def test_a_counter_that_can_be_set_back_is_refused(attributes: int) -> None:  # VN-17.1
    with pytest.raises(AppraisalError, match="nothing sets back"):
        count_of(build_count(KEY, NONCE, 2, name=compute_counter_name(attributes)))


def test_another_key_and_the_twin_of_a_signature_are_refused() -> None:
    other = generate_ecdsa(SeededRng(b"other"))
    with pytest.raises(InvalidSignatureError):
        read_count(seal(COUNT, other), KEY, nonce=NONCE)
    with pytest.raises(AppraisalError, match="another signer"):
        read_count(seal(COUNT, other), other.public_key, nonce=NONCE)
    signed = TpmEvidence.from_bytes(seal(COUNT, TPM.device_key))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = signed.signature[:32] + (order - int.from_bytes(signed.signature[32:], "big")).to_bytes(32, "big")
    with pytest.raises(InvalidSignatureError, match="twin"):
        read_count(TpmEvidence(attest=COUNT, signature=twin).to_bytes(), KEY, nonce=NONCE)


def test_a_tpm_of_our_template_has_a_p256_key() -> None:
    for key in (generate_ecdsa(SeededRng(b"p"), Algorithm.ES384), generate_ed25519(SeededRng(b"e"))):
        evidence = TpmEvidence(attest=COUNT, signature=key.sign(COUNT)[:64]).to_bytes()
        with pytest.raises(VetonetError):
            read_count(evidence, key.public_key, nonce=NONCE)


@given(data=st.binary(max_size=300), seal_it=st.booleans())
def test_any_bytes_are_refused(data: bytes, *, seal_it: bool) -> None:
    evidence = seal(data[:256] or b"\x00", TPM.device_key) if seal_it else data
    with pytest.raises(VetonetError):
        verify_quote(evidence, KEY, nonce=NONCE, firmware_digest=FIRMWARE)
    with pytest.raises(VetonetError):
        read_count(evidence, KEY, nonce=NONCE)
