"""Whatever is altered in one chip's evidence or in a PSA token, nothing is affirmed any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import utils
from hypothesis import given
from hypothesis import strategies as st

from support.chip_evidence import (
    ALIAS,
    OTHER_ALIAS,
    OTHER_DEVICE,
    OTHER_ROOT,
    certify,
    endorse,
    expect,
    judge,
    make_evidence,
    pin,
    report,
)
from support.psa_tokens import ASKED, ENDORSED, OTHER_KEY, make_token
from vetonet.attestation.ear import Tier
from vetonet.attestation.eat import read_claims_set
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.psa import PsaEndorsements, appraise_psa
from vetonet.attestation.psa_endorsements import read_psa_endorsements
from vetonet.encoding import cbor
from vetonet.errors import VetonetError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
EVIDENCE = make_evidence()
DATA, TOKEN = EVIDENCE.to_bytes(), make_token()
ROOTS, EXPECTED = (pin(),), expect()
COMID = "integration-tests/data/endorsements/comid-psa-{}.json"


def is_affirmed(data: bytes) -> bool:
    try:
        return judge(Evidence.from_bytes(data), ROOTS, EXPECTED).status is Tier.AFFIRMING
    except VetonetError:
        return False


def is_token_affirmed(data: bytes, endorsed: PsaEndorsements = ENDORSED, nonce: bytes = ASKED) -> bool:
    try:
        return appraise_psa(data, endorsed, nonce).status is Tier.AFFIRMING
    except VetonetError:
        return False


def flip(data: bytes, bit: int) -> bytes:
    place = bit // 8
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


def twin_raw(data: bytes) -> bytes:
    """The COSE structure with n - s for the s at its end."""
    twin = P256_ORDER - int.from_bytes(data[-32:], "big")
    return data[:-32] + twin.to_bytes(32, "big")


def twin_of_ed25519(data: bytes) -> bytes:
    twin = int.from_bytes(data[-32:], "little") + ED25519_ORDER
    return data[:-32] + twin.to_bytes(32, "little")


def twin_of_certificate(data: bytes) -> bytes:
    """The certificate with n - s for s; the lengths around it grow by as much as that does."""
    start = next(
        n for n in range(len(data) - 80, len(data)) if data[n] == 0x30 and len(data) - n == 2 + data[n + 1]
    )
    r, s = utils.decode_dss_signature(data[start:])
    signature = utils.encode_dss_signature(r, P256_ORDER - s)
    grown = len(signature) - (len(data) - start)
    outer = int.from_bytes(data[2:4], "big") + grown
    return (
        data[:2]
        + outer.to_bytes(2, "big")
        + data[4 : start - 2]
        + bytes([data[start - 2] + grown, 0])
        + signature
    )


def test_what_is_altered_below_is_affirmed_as_it_is() -> None:
    assert is_affirmed(DATA)
    assert is_token_affirmed(TOKEN)


def test_no_byte_can_be_another() -> None:
    assert not [place for place in range(len(DATA)) if is_affirmed(flip(DATA, 8 * place + place % 8))]
    assert not [place for place in range(len(TOKEN)) if is_token_affirmed(flip(TOKEN, 8 * place + place % 8))]


@given(st.integers(0, 8 * len(DATA) - 1))
def test_no_bit_of_evidence_can_be_another(bit: int) -> None:
    assert not is_affirmed(flip(DATA, bit))


@given(st.integers(0, 8 * len(TOKEN) - 1))
def test_no_bit_of_a_token_can_be_another(bit: int) -> None:
    assert not is_token_affirmed(flip(TOKEN, bit))


def test_nothing_that_is_cut_or_grown_is_affirmed() -> None:
    assert not [size for size in range(len(DATA)) if is_affirmed(DATA[:size])]
    assert not [size for size in range(len(TOKEN)) if is_token_affirmed(TOKEN[:size])]
    assert not is_affirmed(DATA + b"\0")
    assert not is_token_affirmed(TOKEN + b"\0")


ALTERED: dict[str, Callable[[], Evidence]] = {
    "another chip's certificate": lambda: replace(EVIDENCE, certificate=certify(OTHER_DEVICE)),
    "another chip's endorsement": lambda: replace(EVIDENCE, alias=endorse(OTHER_DEVICE)),
    "another root of the same name": lambda: replace(EVIDENCE, certificate=certify(root=OTHER_ROOT)),
    "another boot's key": lambda: replace(EVIDENCE, alias=endorse(alias=OTHER_ALIAS.public_key)),
    "a report by another key": lambda: replace(EVIDENCE, report=report(OTHER_ALIAS)),
    "an older report": lambda: replace(EVIDENCE, report=report(ALIAS, nonces=(bytes(32), bytes(32)))),
    "the twin of the report's signature": lambda: replace(EVIDENCE, report=twin_of_ed25519(EVIDENCE.report)),
    "the twin of the endorsement's signature": lambda: replace(EVIDENCE, alias=twin_raw(EVIDENCE.alias)),
    "the twin of the certificate's signature": lambda: replace(
        EVIDENCE, certificate=twin_of_certificate(EVIDENCE.certificate)
    ),
    "the parts in each other's place": lambda: replace(
        EVIDENCE, report=EVIDENCE.alias, alias=EVIDENCE.report
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_evidence_put_together_otherwise_is_not_affirmed(name: str) -> None:
    assert not is_affirmed(ALTERED[name]().to_bytes())


def test_the_twin_of_a_certificate_in_these_tests_is_one() -> None:
    # Its own form is right, so that it is the rule of the low s that refuses it, not its length.
    altered = twin_of_certificate(EVIDENCE.certificate)
    assert judge(replace(EVIDENCE, certificate=altered)).judgements[0].reason == "certificate-forged"


def test_a_token_put_together_otherwise_is_not_affirmed() -> None:
    assert not is_token_affirmed(make_token(key=OTHER_KEY))
    assert not is_token_affirmed(twin_raw(TOKEN))
    assert not is_token_affirmed(TOKEN, nonce=bytes(32))
    assert not is_token_affirmed(TOKEN, PsaEndorsements(references=ENDORSED.references))
    assert not is_token_affirmed(TOKEN, PsaEndorsements(keys=ENDORSED.keys))


def test_no_altered_copy_of_a_published_token_is_affirmed(shared: Path) -> None:
    suite = shared / "vectors" / "veraison"
    documents = [json.loads((suite / COMID.format(name)).read_bytes()) for name in ("ta", "refval")]
    endorsed = read_psa_endorsements(*documents)
    token = (suite / "scheme/psa-iot/test/token/psa.good.cose").read_bytes()
    nonce = read_claims_set(cbor.from_bytes(token[1:], max_bytes=2000)[2]).nonces[0]
    assert is_token_affirmed(token, endorsed, nonce)
    assert not [bit for bit in range(8 * len(token)) if is_token_affirmed(flip(token, bit), endorsed, nonce)]
    assert not [size for size in range(len(token)) if is_token_affirmed(token[:size], endorsed, nonce)]
    assert not is_token_affirmed(twin_raw(token), endorsed, nonce)
    assert not is_token_affirmed(token, endorsed, bytes(32))


def test_an_altered_claims_set_never_reads_as_the_same(shared: Path) -> None:
    for path in (shared / "vectors" / "eat-rfc9711").rglob("*.cbor"):
        data = path.read_bytes()
        known = read_claims_set(data).to_item()
        for bit in range(8 * len(data)):
            try:
                assert read_claims_set(flip(data, bit)).to_item() != known
            except VetonetError:
                continue
