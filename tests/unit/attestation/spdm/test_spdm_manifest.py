"""A reference manifest is the maker's signed word of one version, or no word at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from support.silicon import (
    DRIVER,
    GOLDEN_DRIVER,
    MEASUREMENTS,
    NOW,
    Link,
    build_chain,
    driver_manifest,
    good_manifests,
    make_key,
    make_links,
    make_manifest_links,
    make_swid,
    name_chip,
    name_firmware,
    pin,
    read,
    sign_manifest,
)
from vetonet.attestation.maker_root import RootRole
from vetonet.attestation.spdm.certificate import Certificate
from vetonet.attestation.spdm.chain import find_chain_problems
from vetonet.attestation.spdm.manifest import (
    GoldenMeasurement,
    Manifest,
    Mismatch,
    SignedManifest,
    find_manifest_problems,
)
from vetonet.attestation.spdm.manifest_xml import MAX_MANIFEST_BYTES
from vetonet.attestation.spdm.pinned_roots import PINNED_ROOTS
from vetonet.errors import EncodingError

DEVICE_ROOT = make_links()[-1].key.public_key
SWID = make_swid(DRIVER, {0: [MEASUREMENTS[0]]})
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><SoftwareIdentity>&c;</SoftwareIdentity>'
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><SoftwareIdentity>&a;</SoftwareIdentity>'


def judge(signed: SignedManifest, now: int = NOW) -> list[str]:
    return [problem.reason for problem in find_manifest_problems(signed, pin(), DEVICE_ROOT, now)]


def signed_by(links: list[Link]) -> SignedManifest:
    return read(sign_manifest(SWID, links))


def test_a_signed_manifest_holds_its_active_measurements() -> None:
    driver, vbios = (signed.manifest for signed in good_manifests())
    assert driver is not None
    assert vbios is not None
    assert (driver.product, driver.version) == ("GH100", DRIVER)
    assert [golden.index for golden in driver.measurements] == list(range(20, 40))
    assert vbios.measurements[-1] == GoldenMeasurement(index=12, allowed=(bytes(48), MEASUREMENTS[12]))
    assert [judge(signed) for signed in good_manifests()] == [[], []]


def test_an_altered_manifest_is_forged() -> None:
    data = driver_manifest()
    for old, new in ((b"14" * 48, b"15" * 48), (b'index="20"', b'index="63"'), (b"590.12", b"590.13")):
        signed = read(data.replace(old, new, 1))
        assert signed.manifest is None
        assert judge(signed) == ["rim-forged"]


def test_what_stands_outside_the_signature_is_not_read() -> None:
    """A wrapped manifest: the signed one is moved inside another, which says something else."""
    data = driver_manifest()
    wrapped = data.replace(b"<Payload>", b"<Payload/><Payload>", 1)
    assert judge(read(wrapped)) == ["rim-forged"]


def test_a_manifest_by_another_key_under_the_same_names_is_untrusted() -> None:
    assert judge(signed_by(make_manifest_links("other"))) == ["rim-untrusted"]


def test_a_signer_that_the_pinned_root_never_certified_is_forged() -> None:
    links = make_manifest_links()
    impostor = replace(links[1], key=make_key("impostor"))
    chain = [replace(links[0]), impostor, links[2]]
    signed = signed_by(chain)
    assert judge(replace(signed, chain=(signed.chain[0], *read(driver_manifest()).chain[1:]))) == [
        "rim-forged"
    ]


def test_the_key_of_a_chip_vouches_for_no_firmware() -> None:
    """Whoever got at the key of one chip, or of its boot ROM, could else bless any firmware (VN-17.16)."""
    chip = make_links()
    signer = Link(name="signer", key=make_key("thief"), is_authority=False, can_certify=False)
    assert judge(signed_by([signer, *chip[1:]])) == ["rim-untrusted"]


@pytest.mark.parametrize("maker", ["maker", "other"])
def test_no_chip_of_any_maker_vouches_for_firmware(maker: str) -> None:
    """Not with its own key, and not with its boot ROM's, which may issue certificates (VN-17.16)."""
    roots = (*pin(), *pin("other"))
    chip = make_links("stolen", maker=maker)
    signer = Link(name="signer", key=make_key("thief"), is_authority=False, can_certify=False)
    for links in (chip, [signer, *chip[1:]]):
        problems = find_manifest_problems(signed_by(links), roots, DEVICE_ROOT, NOW)
        assert {problem.reason for problem in problems} == {"rim-untrusted"}


def test_a_certificate_of_a_chip_signs_no_manifest_whatever_its_root() -> None:
    by_name = replace(make_manifest_links()[0], extensions=((name_chip(), False),))
    by_firmware = replace(by_name, extensions=((name_firmware(make_key("rom")), False),))
    for signer in (by_name, by_firmware):
        assert judge(signed_by([signer, *make_manifest_links()[1:]])) == ["rim-untrusted"]


def test_a_root_vouches_only_if_it_is_given_for_manifests_and_for_no_chips() -> None:
    as_devices = tuple(replace(root, role=RootRole.DEVICES) for root in pin())
    as_manifests = tuple(replace(root, role=RootRole.MANIFESTS) for root in pin())
    other = make_links(maker="other")[-1].key.public_key
    for roots, expected in (
        (as_devices, ["rim-untrusted"]),
        (as_devices + as_manifests, ["rim-untrusted"]),
        (as_manifests, []),
    ):
        problems = find_manifest_problems(good_manifests()[0], roots, other, NOW)
        assert [problem.reason for problem in problems] == expected


def test_the_pinned_roots_have_a_role_each() -> None:
    assert [root.role for root in PINNED_ROOTS] == [RootRole.DEVICES, RootRole.MANIFESTS]


def test_the_certificates_of_a_manifest_expire() -> None:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(2025, 1, 1, tzinfo=UTC))
    assert judge(signed_by(links)) == ["rim-expired"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(1950, 1, 1, tzinfo=UTC)),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_validity_at_the_ends_of_time_is_expired_as_any_other(
    place: int, start: datetime, end: datetime
) -> None:
    links = make_manifest_links()
    links[place] = replace(links[place], start=start, end=end)
    assert judge(signed_by(links)) == ["rim-expired"]


def test_a_certificate_that_is_valid_to_the_end_of_time_is_valid() -> None:
    links = make_manifest_links()
    links[0] = replace(links[0], end=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert judge(signed_by(links)) == []


def test_a_validity_that_no_calendar_has_is_refused_or_judged() -> None:
    """Generalized times of the years 0 and 1, put into a certificate that then nobody signed."""
    links = make_manifest_links()
    links[0] = replace(links[0], start=datetime(2050, 1, 1, tzinfo=UTC), end=datetime(2060, 1, 1, tzinfo=UTC))
    whole = build_chain(links)[0].public_bytes(Encoding.DER)
    for year in (b"0001", b"0000", b"9999"):
        for old in (b"20500101", b"20600101"):
            assert old in whole
            altered = whole.replace(old, year + old[4:])
            try:
                found = [Certificate.from_bytes(altered)]
            except EncodingError:
                continue
            assert "certificate-forged" in {
                problem.reason for problem in find_chain_problems(found, pin(), NOW)
            }


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<?xml-stylesheet href='x'?>" + SWID, "<!--" + SWID])
def test_nothing_expands_and_nothing_outside_is_read(text: str) -> None:
    with pytest.raises(EncodingError, match="no document type, no entities"):
        read(text.encode())


def test_comments_that_never_end_are_refused_in_one_pass() -> None:
    """A quarter of a million of them: looking for the end of each took the square of their number."""
    with pytest.raises(EncodingError, match="no document type, no entities"):
        read(b"<!--" * (MAX_MANIFEST_BYTES // 4))


def test_a_comment_ends_at_its_first_end() -> None:
    for hidden in (
        b"<!-- a --><!DOCTYPE a>",
        b"<!-->--><!DOCTYPE a>",
        b"<!-- a --><!-- b",
        b"<<!-- -->!DOCTYPE a>",
    ):
        with pytest.raises(EncodingError, match="no document type, no entities"):
            read(hidden + driver_manifest())
    assert judge(read(b"<!-- a --><!-- <!DOCTYPE> --><!---->" + driver_manifest())) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "utf-32"])
def test_another_encoding_hides_nothing(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>' + BOMB
    with pytest.raises(EncodingError):
        read(declared.encode(encoding))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not XML"),
        (b"<a", "not XML"),
        (b"<a/>", "expected a SWID tag"),
        (SWID.encode(), "expected one signature in the manifest, got 0"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(EncodingError, match=expected):
        read(data)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('active="True"', 'active="true"', "expected active True or False"),
        ('size="48"', 'size="32"', "expected 1 to 256 digests of 48 bytes"),
        ('alternatives="1"', 'alternatives="0"', "expected 1 to 256 digests"),
        ('alternatives="1"', 'alternatives="2"', "Hash1"),
        ('index="0"', 'index="00"', "expected index as a number"),
        ('type="Measurement"', 'type="Payload"', "expected resources of type Measurement"),
        ("00" * 48, "00" * 47, "expected a digest of 48 bytes"),
        ("00" * 48, "zz" * 48, "expected a digest of 48 bytes"),
        ('active="True"', 'active="False"', "expected at least one active measurement"),
        ('colloquialVersion="590.12" ', "", "expected colloquialVersion"),
        ("<Payload>", "<Payload/><Payload>", "expected one Meta and one Payload, got 1 and 2"),
    ],
)
def test_even_a_signed_manifest_must_be_well_formed(old: str, new: str, expected: str) -> None:
    assert old in SWID
    with pytest.raises(EncodingError, match=expected):
        read(sign_manifest(SWID.replace(old, new, 1)))


def test_a_measurement_that_stands_twice_is_refused() -> None:
    twice = SWID.replace("<Payload>", "<Payload>" + SWID.partition("<Payload>")[2].partition("</Payload>")[0])
    with pytest.raises(EncodingError, match="expected each measurement once"):
        read(sign_manifest(twice))


def test_a_declaration_and_a_comment_are_allowed() -> None:
    data = b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- ours -->\n' + driver_manifest()
    assert judge(read(data)) == []


def test_a_comparison_names_index_expectation_and_finding() -> None:
    golden = tuple(GoldenMeasurement(index=index, allowed=(b"a" * 48, b"b" * 48)) for index in (0, 1, 5))
    manifest = Manifest(product="GH100", version="1", measurements=golden)
    found = manifest.find_mismatches((b"b" * 48, b"c" * 48))
    assert found == (
        Mismatch(index=1, expected=(b"a" * 48, b"b" * 48), found=b"c" * 48),
        Mismatch(index=5, expected=(b"a" * 48, b"b" * 48), found=None),
    )
    assert str(found[0]) == f"measurement 1: expected {'61' * 48} or {'62' * 48}, got {'63' * 48}"
    assert str(found[1]).endswith("got nothing")


def test_a_manifest_fits_its_product_and_version_only() -> None:
    manifest = Manifest(product="LS10", version="96.10.5e.00.01", measurements=())
    assert manifest.fits("LS_10", "96.10.5E.00.01")
    assert not manifest.fits("GH100", "96.10.5E.00.01")
    assert not manifest.fits("LS_10", "96.10.5E.00.02")
    assert len(GOLDEN_DRIVER) == 20
