"""Certificates name participants; whatever names nobody, or somebody else, is refused."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from vetonet.errors import ConfigError
from vetonet.units import MS_PER_HOUR
from vetonet.wire.channel import open_channel, require_loopback
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Identity, Role, read_peer, require_caller
from vetonet.wire.pki import CLOCK_SKEW_MS, Authority, Credential, generate_authority

NOW_MS = 1_800_000_000_000
DOMAIN = "treaty.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return generate_authority(DOMAIN, now=NOW_MS)


@pytest.fixture(scope="module")
def credential(authority: Authority) -> Credential:
    return authority.issue(Role.PARTY, "p1", now=NOW_MS, lifetime_ms=MS_PER_HOUR)


def test_a_certificate_names_its_participant(credential: Credential) -> None:
    assert credential.identity == Identity(trust_domain=DOMAIN, role=Role.PARTY, name="p1")


def test_a_certificate_holds_from_a_little_earlier_to_its_end(credential: Credential) -> None:
    certificate = x509.load_pem_x509_certificate(credential.certificate_pem)
    assert certificate.not_valid_before_utc.timestamp() * 1000 == NOW_MS - CLOCK_SKEW_MS
    assert certificate.not_valid_after_utc.timestamp() * 1000 == NOW_MS + MS_PER_HOUR


def test_a_certificate_is_its_authoritys_and_no_authority_itself(
    authority: Authority, credential: Credential
) -> None:
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    certificate = x509.load_pem_x509_certificate(credential.certificate_pem)
    certificate.verify_directly_issued_by(issuer)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def test_no_private_key_is_shown(authority: Authority, credential: Credential) -> None:
    assert "PRIVATE" not in repr(authority) + repr(credential)


def test_a_key_of_another_certificate_is_refused(authority: Authority, credential: Credential) -> None:
    other = authority.issue(Role.PARTY, "p2", now=NOW_MS)
    with pytest.raises(ConfigError, match="not that of the certificate"):
        Credential(
            certificate_pem=credential.certificate_pem,
            key_pem=other.key_pem,
            authority_pem=credential.authority_pem,
        )
    with pytest.raises(ConfigError, match="not that of the authority"):
        Authority(trust_domain=DOMAIN, certificate_pem=authority.certificate_pem, key_pem=other.key_pem)


@pytest.mark.parametrize("field", ["certificate_pem", "key_pem", "authority_pem"])
def test_what_is_no_pem_is_refused(credential: Credential, field: str) -> None:
    parts = {
        "certificate_pem": credential.certificate_pem,
        "key_pem": credential.key_pem,
        "authority_pem": credential.authority_pem,
    }
    with pytest.raises(ConfigError, match="PEM"):
        Credential(**(parts | {field: b"not PEM"}))


def test_a_key_that_is_not_ecdsa_is_refused(credential: Credential) -> None:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="P-256"):
        Credential(
            certificate_pem=credential.certificate_pem,
            key_pem=pem,
            authority_pem=credential.authority_pem,
        )


def test_an_authoritys_own_certificate_names_nobody(authority: Authority) -> None:
    with pytest.raises(ConfigError, match="SPIFFE"):
        Credential(
            certificate_pem=authority.certificate_pem,
            key_pem=authority.key_pem,
            authority_pem=authority.certificate_pem,
        )


def test_a_certificate_with_two_names_is_refused(authority: Authority, credential: Credential) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    one = x509.load_pem_x509_certificate(credential.certificate_pem)
    uris = [f"spiffe://{DOMAIN}/party/{name}" for name in ("p1", "p2")]
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
    certificate = (
        x509.CertificateBuilder(subject_name=one.subject, issuer_name=one.issuer, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(one.not_valid_before_utc)
        .not_valid_after(one.not_valid_after_utc)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(ConfigError, match="got 2"):
        Credential(
            certificate_pem=certificate.public_bytes(serialization.Encoding.PEM),
            key_pem=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            authority_pem=authority.certificate_pem,
        )


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "é", "x" * 65, "p1\n"])
def test_a_name_that_is_no_path_segment_is_refused(authority: Authority, name: str) -> None:
    with pytest.raises(ConfigError, match="expected a name"):
        authority.issue(Role.PARTY, name, now=NOW_MS)


@pytest.mark.parametrize("domain", ["", "Treaty.example", "a/b", "x" * 256])
def test_a_trust_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(ConfigError, match="trust domain"):
        generate_authority(domain, now=NOW_MS)


@given(
    role=st.sampled_from(Role),
    name=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True),
    domain=st.from_regex(r"[a-z0-9._-]{1,40}", fullmatch=True),
)
def test_an_identity_has_one_spelling(role: Role, name: str, domain: str) -> None:
    identity = Identity(trust_domain=domain, role=role, name=name)
    assert Identity.from_uri(identity.to_uri()) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://treaty.example/party/p1",
        "spiffe://treaty.example/party",
        "spiffe://treaty.example/party/p1/x",
        "spiffe://treaty.example/witness/p1",
        "spiffe:///party/p1",
        "SPIFFE://treaty.example/party/p1",
    ],
)
def test_a_uri_that_is_no_identity_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError):
        Identity.from_uri(uri)


def test_every_participant_has_a_server_name_of_its_own() -> None:
    identities = [Identity(trust_domain=DOMAIN, role=role, name=name) for role in Role for name in ("a", "A")]
    assert len({identity.server_name.lower() for identity in identities}) == len(identities)


@pytest.mark.parametrize(
    "uris",
    [
        [],
        [b"spiffe://treaty.example/party/p1"] * 2,
        [b"\xff"],
        [b"spiffe://treaty.example/nobody/p1"],
        [b"spiffe://other.example/party/p1"],
    ],
)
def test_a_peer_that_nobody_can_name_is_refused(uris: list[bytes]) -> None:
    with pytest.raises(WrongIdentityError):
        read_peer({"peer_spiffe_id": uris}, trust_domain=DOMAIN)


def test_a_peer_is_who_its_certificate_names() -> None:
    peer = read_peer({"peer_spiffe_id": [b"spiffe://treaty.example/party/p1"]}, trust_domain=DOMAIN)
    require_caller(peer, Role.PARTY, "p1")
    require_caller(None, Role.PARTY, "p2")
    for role, name in ((Role.PARTY, "p2"), (Role.OPERATOR, "p1")):
        with pytest.raises(WrongIdentityError) as caught:
            require_caller(peer, role, name)
        assert caught.value.culprit == "p1"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.9.9.9:1"])
def test_plaintext_is_for_this_machine(address: str) -> None:
    require_loopback(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:1", "10.0.0.1:1", "example.org:1", "", "localhost.example:1", "[::]:1"]
)
def test_plaintext_to_others_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="plaintext"):
        open_channel(address, credential=None, server=None)


def test_a_client_has_to_say_whom_it_expects(credential: Credential) -> None:
    with pytest.raises(ConfigError, match="identity of the server"):
        open_channel("127.0.0.1:1", credential=credential, server=None)
