"""Makers' roots from a file of the verifier's own, in PEM or DER."""

from __future__ import annotations

import ssl

import pytest

from support.chip_evidence import OTHER_ROOT, ROOT, certify, issue_pinned, judge, pin
from vetonet.attestation.ear import Tier
from vetonet.attestation.maker_root import (
    MAX_ROOTS,
    MAX_ROOTS_BYTES,
    UNNAMED_KIND,
    read_issuer,
    read_maker_roots,
)
from vetonet.errors import EncodingError

DER = issue_pinned()
PEM = ssl.DER_cert_to_PEM_cert(DER).encode()
OTHER_PEM = ssl.DER_cert_to_PEM_cert(issue_pinned(OTHER_ROOT, "another", None)).encode()


@pytest.mark.parametrize("data", [DER, PEM, b"\n" + PEM])
def test_a_root_is_read_from_der_and_from_pem(data: bytes) -> None:
    (root,) = read_maker_roots(data)
    assert (root.key, root.name, root.kind) == (ROOT.public_key, "maker", "SIMULATED")


def test_a_file_may_hold_several_roots() -> None:
    first, second = read_maker_roots(PEM + OTHER_PEM)
    assert (first.name, second.name, second.kind) == ("maker", "another", UNNAMED_KIND)


def test_more_roots_than_are_read_are_refused_and_not_cut_off() -> None:
    assert len(read_maker_roots(PEM * MAX_ROOTS)) == MAX_ROOTS
    with pytest.raises(EncodingError, match="expected at most 64 roots, got 65"):
        read_maker_roots(PEM * MAX_ROOTS + OTHER_PEM)


def test_the_name_of_a_root_is_the_issuer_of_its_devices() -> None:
    assert read_issuer(certify()) == pin().subject


def test_a_root_without_a_kind_is_of_none_that_anybody_names() -> None:
    result = judge(roots=(pin(kind=None),))
    assert result.status is Tier.CONTRAINDICATED
    assert "kind-refused" in [entry.reason for entry in result.failed]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"roots",
        DER[:-1],
        PEM.replace(b"M", b"!"),
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
        certify(),
        bytes(MAX_ROOTS_BYTES + 1),
    ],
)
def test_what_is_no_root_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        read_maker_roots(data)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("part", [b"maker", b"SIMULATED"])
def test_a_root_that_was_altered_is_refused(part: bytes, count: int) -> None:
    assert part in DER
    altered = DER.replace(part, bytes([part[0] ^ 1]) + part[1:], count)
    with pytest.raises(EncodingError, match="a root whose own signature does not hold"):
        read_maker_roots(ssl.DER_cert_to_PEM_cert(altered).encode())


def test_what_is_no_certificate_has_no_issuer() -> None:
    with pytest.raises(EncodingError):
        read_issuer(b"certificate")
