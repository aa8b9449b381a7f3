"""PSA tokens: what each one is worth, and what makes it worth nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.psa_tokens import (
    ASKED,
    CLAIMS,
    ENDORSED,
    LOADER,
    OTHER_KEY,
    SIGNER,
    make_template,
    make_token,
)
from vetonet.attestation.ear import AttestationResult, Tier
from vetonet.attestation.eat import NONCE, PROFILE, UEID
from vetonet.attestation.psa import (
    CLIENT_ID,
    COMPONENTS,
    IMPLEMENTATION_ID,
    LIFECYCLE,
    OLD_LABELS,
    OLD_PROFILE,
    PSA_RULES,
    AnswersNonce,
    RunsKnown,
    appraise_psa,
    is_psa_token,
    read_psa_claims,
)
from vetonet.attestation.psa_endorsements import KEYS, decode_base64, read_psa_endorsements
from vetonet.crypto import cose
from vetonet.encoding import cbor
from vetonet.errors import EncodingError


def judge(changes: dict[Any, Any] | None = None) -> AttestationResult:
    return appraise_psa(make_token(changes), ENDORSED, ASKED)


def reasons_of(result: AttestationResult) -> list[str]:
    return [entry.reason for entry in result.failed]


def test_a_good_token_is_affirmed_in_what_psa_speaks_of() -> None:
    result = judge()
    assert result.status is Tier.AFFIRMING
    affirmed = {claim.value for claim, value in result.trust_vector.items() if value == 2}
    assert affirmed == {"instance-identity", "executables", "hardware", "runtime-opaque", "storage-opaque"}
    assert is_psa_token(make_token())
    assert not is_psa_token(b"\xa3")


def test_who_signed_an_authentic_token_is_told_before_the_rules_speak() -> None:
    told = [entry.reason for entry in judge().judgements]
    assert told[:2] == ["evidence-signed", "implementation-recognised"]
    assert told[2:5] == ["lifecycle-secured", "memory-isolated", "storage-sealed"]


def test_every_rule_can_refuse() -> None:
    worst = read_psa_claims(cbor.to_bytes(CLAIMS | {LIFECYCLE: 0, NONCE: bytes(32)}))
    rules = (*PSA_RULES.rules, AnswersNonce(nonce=ASKED), RunsKnown(references=()))
    assert all(list(rule.find_problems(worst)) for rule in rules)


@pytest.mark.parametrize("profile", ["http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"])
def test_both_names_of_the_profile_are_known(profile: str) -> None:
    assert judge({PROFILE: profile}).status is Tier.AFFIRMING


def test_the_first_profile_is_read_under_its_own_labels() -> None:
    back = {new: old for old, new in OLD_LABELS.items()}
    old = {back[label]: value for label, value in (CLAIMS | {PROFILE: OLD_PROFILE}).items()}
    changes = dict.fromkeys(CLAIMS) | old
    assert judge(changes).status is Tier.AFFIRMING
    assert read_psa_claims(cbor.to_bytes(old)) == read_psa_claims(cbor.to_bytes(CLAIMS))


REFUSED: dict[str, tuple[dict[Any, Any], list[str]]] = {
    "another nonce": ({NONCE: bytes(32)}, ["nonce-stale"]),
    "two nonces": ({NONCE: [ASKED, ASKED]}, ["nonce-count"]),
    "no nonce": ({NONCE: None}, ["claim-missing"]),
    "no lifecycle": ({LIFECYCLE: None}, ["claim-missing"]),
    "nothing but who it is": (
        dict.fromkeys((NONCE, CLIENT_ID, LIFECYCLE, COMPONENTS)),
        ["claim-missing"] * 4,
    ),
    "a nonce of another size": ({NONCE: bytes(31)}, ["claim-malformed"]),
    "an instance of another kind": ({UEID: b"\x02" + bytes(32)}, ["claim-malformed"]),
    "a short implementation": ({IMPLEMENTATION_ID: b"x"}, ["claim-malformed"]),
    "a lifecycle out of range": ({LIFECYCLE: 2**16}, ["claim-malformed"]),
    "no component": ({COMPONENTS: []}, ["claim-malformed"]),
    "a component without measurement": ({COMPONENTS: [{1: "BL", 5: SIGNER}]}, ["claim-malformed"]),
    "a component with a label of nobody's": (
        {COMPONENTS: [{2: LOADER, 5: SIGNER, 7: 1}]},
        ["claim-malformed"],
    ),
    "a component with a version that is none": (
        {COMPONENTS: [{2: LOADER, 4: 1, 5: SIGNER}]},
        ["claim-malformed"],
    ),
    "another profile": ({PROFILE: "http://arm.com/psa/3.0.0"}, ["profile-unknown"]),
    "no profile": ({PROFILE: None}, ["profile-unknown"]),
    "another instance": ({UEID: b"\x01" + bytes(32)}, ["instance-unknown"]),
    "another implementation": ({IMPLEMENTATION_ID: bytes(32)}, ["instance-unknown"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_not_as_it_should_be_makes_no_claim_good(name: str) -> None:
    changes, reasons = REFUSED[name]
    result = judge(changes)
    assert reasons_of(result) == reasons
    assert result.status is Tier.CONTRAINDICATED
    assert set(result.trust_vector.values()) == {99}


@pytest.mark.parametrize("lifecycle", [0, 0x2FFF, 0x3100, 0x4000, 0x6000])
def test_a_device_that_is_not_secured_is_contraindicated(lifecycle: int) -> None:
    # RFC 9783 section 4.3.1: in every other state somebody may look inside.
    result = judge({LIFECYCLE: lifecycle})
    assert reasons_of(result) == ["lifecycle-unsecured", "memory-exposed", "storage-exposed"]
    assert result.status is Tier.CONTRAINDICATED


def test_the_low_byte_of_the_lifecycle_is_the_makers_own() -> None:
    assert judge({LIFECYCLE: 0x30FF}).status is Tier.AFFIRMING


@pytest.mark.parametrize(
    ("components", "status"),
    [
        ([{2: LOADER, 5: SIGNER}], Tier.AFFIRMING),
        ([{2: LOADER, 4: "2.1.0", 5: bytes(32), 6: "boot loader"}], Tier.AFFIRMING),
        ([{2: LOADER, 4: "2.0.9", 5: SIGNER}], Tier.WARNING),
        ([{2: bytes(32), 4: "2.1.0", 5: SIGNER}], Tier.WARNING),
        ([{2: LOADER, 5: SIGNER}, {2: bytes(48), 5: SIGNER}], Tier.WARNING),
    ],
)
def test_every_component_must_be_one_of_the_reference_values(components: Any, status: Tier) -> None:
    result = judge({COMPONENTS: components})
    assert result.status is status
    assert reasons_of(result) == ([] if status is Tier.AFFIRMING else ["component-mismatched"])


def test_a_stale_nonce_is_told_with_the_expected_one_both_in_full() -> None:
    (failed,) = judge({NONCE: bytes(32)}).failed
    assert failed.detail == f"answers another nonce: expected {ASKED.hex()}, got {'00' * 32}"


def test_a_token_by_another_key_is_forged() -> None:
    assert reasons_of(appraise_psa(make_token(key=OTHER_KEY), ENDORSED, ASKED)) == ["report-forged"]


def test_a_token_with_an_unprotected_header_is_no_token() -> None:
    parsed = cose.parse_sign1(make_token())
    parts = [parsed.protected_bytes, {4: b"kid"}, parsed.payload, parsed.signature]
    with pytest.raises(EncodingError, match="unprotected"):
        appraise_psa(cose.TAG_SIGN1 + cbor.to_bytes(parts), ENDORSED, ASKED)


COMID: dict[str, Any] = {
    "triples": {
        "attester-verification-keys": [
            {
                "environment": {
                    "class": {"id": {"type": "bytes", "value": "AA=="}},
                    "instance": {"type": "ueid", "value": "AQ"},
                },
                "verification-keys": [
                    {
                        "type": "pkix-base64-key",
                        "value": "-----BEGIN PUBLIC KEY-----\n"
                        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A\n"
                        "iTo7Tu6KPAqv7D7gS2XpJFbZiItSs3m9+9Ue6GnvHw/GW2ZZaVtszggXIw==\n"
                        "-----END PUBLIC KEY-----",
                    }
                ],
            }
        ]
    }
}


def test_a_comid_endorses_a_key_for_an_instance_of_an_implementation() -> None:
    assert list(read_psa_endorsements(COMID).keys) == [(b"\0", b"\x01")]


def test_a_second_key_for_one_instance_is_refused_in_whatever_file_it_stands() -> None:
    ours, others = json.loads(make_template()), json.loads(make_template(OTHER_KEY))
    known = read_psa_endorsements(ours)
    assert read_psa_endorsements(ours, ours) == known == read_psa_endorsements(ours, known=known)
    assert list(read_psa_endorsements(COMID, known=known).keys) == [*known.keys, (b"\0", b"\x01")]
    triples = ours["triples"][KEYS] + others["triples"][KEYS]
    for documents in ((ours, others), (others, ours), ({"triples": {KEYS: triples}},)):
        with pytest.raises(EncodingError, match="two keys of instance 01"):
            read_psa_endorsements(*documents)
    with pytest.raises(EncodingError, match="two keys of instance 01"):
        read_psa_endorsements(others, known=known)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"triples": {}},
        {"triples": {"reference-values": {}}},
        {"triples": {"reference-values": [1]}},
    ],
)
def test_a_document_that_endorses_nothing_is_refused(document: object) -> None:
    with pytest.raises(EncodingError):
        read_psa_endorsements(document)


@pytest.mark.parametrize(
    ("text", "data"),
    [("3q0=", b"\xde\xad"), ("3q0", b"\xde\xad"), ("-_8", b"\xfb\xff"), ("+/8=", b"\xfb\xff")],
)
def test_base64_of_either_alphabet_is_read(text: str, data: bytes) -> None:
    assert decode_base64(text) == data


@pytest.mark.parametrize("text", ["a", "a b=", "ä", 1, None])
def test_what_is_no_base64_is_refused(text: object) -> None:
    with pytest.raises(EncodingError):
        decode_base64(text)
