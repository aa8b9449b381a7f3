"""A chain ends in a pinned root, or each thing that is wrong with it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.silicon import (
    FIRMWARE_ID,
    NOW,
    TOO_EARLY,
    TOO_LATE,
    Link,
    build_chain,
    certify,
    make_key,
    make_links,
    name_chip,
    name_of,
    pin,
    to_pem,
)
from vetonet.attestation.spdm.certificate import MAX_CERTIFICATES, Certificate, read_pem_chain
from vetonet.attestation.spdm.chain import find_chain_problems
from vetonet.errors import EncodingError

Links = list[Link]
CHAIN = build_chain(make_links())


def judge(links: Links, now: int = NOW) -> list[str]:
    return list_reasons(build_chain(links), now)


def list_reasons(chain: tuple[x509.Certificate, ...], now: int = NOW) -> list[str]:
    problems = find_chain_problems(read_pem_chain(to_pem(chain)), pin(), now)
    return sorted({problem.reason for problem in problems})


def change(place: int, **changes: object) -> Callable[[Links], Links]:
    def apply(links: Links) -> Links:
        links[place] = replace(links[place], **changes)  # type: ignore[arg-type]
        return links

    return apply


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def test_a_chain_up_to_the_pinned_root_has_no_problem() -> None:
    assert judge(make_links()) == []
    assert judge(change(2, path_length=1)(make_links())) == []
    assert judge(change(0, is_authority=False)(make_links())) == []


@pytest.mark.parametrize(
    ("name", "alter", "reasons"),
    [
        ("a signer that is an authority", change(0, is_authority=True), ["certificate-unusable"]),
        ("a signer that may certify", change(0, can_certify=True), ["certificate-unusable"]),
        ("an issuer that is none", change(1, is_authority=False), ["certificate-unusable"]),
        ("an issuer without constraints", change(2, is_authority=None), ["certificate-unusable"]),
        ("an issuer that may not certify", change(3, can_certify=False), ["certificate-unusable"]),
        ("too many authorities below one", change(3, path_length=1), ["certificate-unusable"]),
        ("a demand nobody knows", change(1, extensions=((UNKNOWN, True),)), ["certificate-unusable"]),
        ("another issuer's name", change(1, issuer="somebody"), ["chain-broken"]),
        ("a root of the same name", change(4, key=make_key("impostor")), ["maker-unknown"]),
        ("expired", change(2, end=datetime(2025, 1, 1, tzinfo=UTC)), ["certificate-expired"]),
        ("not yet valid", change(0, start=datetime(2033, 1, 1, tzinfo=UTC)), ["certificate-expired"]),
    ],
)
def test_what_is_wrong_is_named(name: str, alter: Callable[[Links], Links], reasons: list[str]) -> None:
    assert judge(alter(make_links())) == reasons, name  # VN-17.16


def test_a_harmless_unknown_extension_is_passed_over() -> None:
    assert judge(change(1, extensions=((UNKNOWN, False),))(make_links())) == []


def test_a_root_of_the_same_name_is_said_to_be_one() -> None:
    links = change(4, key=make_key("impostor"))(make_links())
    problems = find_chain_problems(read_pem_chain(to_pem(build_chain(links))), pin(), NOW)
    assert [problem.detail for problem in problems] == [
        "the chain ends in CN=root of devices, another key under the name of a given root"
    ]


def test_another_makers_chain_ends_nowhere() -> None:
    assert list_reasons(build_chain(make_links(maker="other"))) == ["maker-unknown"]


def test_without_any_root_nothing_is_known() -> None:
    problems = find_chain_problems(read_pem_chain(to_pem(CHAIN)), (), NOW)
    assert [problem.reason for problem in problems] == ["maker-unknown"]


@pytest.mark.parametrize("now", [TOO_EARLY, TOO_LATE])
def test_validity_is_asked_of_every_certificate(now: int) -> None:
    problems = find_chain_problems(read_pem_chain(to_pem(CHAIN)), pin(), now)
    assert [problem.reason for problem in problems] == ["certificate-expired"] * 5


def test_a_link_of_another_chain_is_forged_or_broken() -> None:
    other = build_chain(make_links("chip 2"))
    assert list_reasons((other[0], *CHAIN[1:])) == ["certificate-forged", "chain-broken"]
    assert list_reasons((CHAIN[0], CHAIN[2], CHAIN[1], *CHAIN[3:])) == ["certificate-forged", "chain-broken"]
    assert "maker-unknown" in list_reasons(CHAIN[:-1])


def test_a_namesake_of_the_issuer_did_not_sign() -> None:
    links = make_links()
    impostor = replace(links[1], key=make_key("impostor"))
    assert list_reasons((certify(links[0], impostor), *CHAIN[1:])) == ["certificate-forged"]


def test_a_certificate_says_whose_firmware_and_which_chip() -> None:
    leaf, rom = (Certificate.from_bytes(c.public_bytes(serialization.Encoding.DER)) for c in CHAIN[:2])
    assert leaf.firmware_id == (rom.key, FIRMWARE_ID)
    assert leaf.chip == ("NVIDIA", "GH100", "chip 1")
    assert (rom.firmware_id, rom.chip) == (None, None)


def test_a_malformed_firmware_id_or_chip_is_refused() -> None:
    composite = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.23.133.5.4.1"), bytes(189))
    with pytest.raises(EncodingError, match="composite device id"):
        judge(change(0, extensions=((composite, False),))(make_links()))
    with pytest.raises(EncodingError, match="maker:product:serial"):
        judge(change(0, extensions=((name_chip("GH100", "1:2"), False),))(make_links()))


def test_other_keys_and_hashes_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = make_links()[4]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of("small"))
        .issuer_name(name_of(root.name))
        .serial_number(7)
        .not_valid_before(root.start)
        .not_valid_after(root.end)
    )
    small = builder.public_key(key.public_key()).sign(root.key.private_key, hashes.SHA384())
    weak = builder.public_key(root.key.private_key.public_key()).sign(root.key.private_key, hashes.SHA256())
    for certificate, expected in ((small, "P-384"), (weak, "SHA-384")):
        with pytest.raises(EncodingError, match=expected):
            Certificate.from_bytes(certificate.public_bytes(serialization.Encoding.DER))


def test_a_chain_has_one_spelling() -> None:
    pem = to_pem(CHAIN)
    assert len(read_pem_chain(pem)) == len(read_pem_chain(pem.removesuffix(b"\n"))) == 5
    for other in (b"", b"\n" + pem, pem.replace(b"\n", b"\r\n"), pem + b"a note", pem * 2, b"x" * 10):
        with pytest.raises(EncodingError):
            read_pem_chain(other)
    with pytest.raises(EncodingError, match=f"at most {MAX_CERTIFICATES} certificates"):
        read_pem_chain(pem * 20)
