"""What guided fuzzing digs into: groups of parsers that meet strangers' bytes, with seeds made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from support.chip_evidence import judge, make_claims, make_evidence, sign_payload
from support.firmware import PATCHED, make_reference, sign_reference
from support.hiding import hide
from support.paper_tpm import FIRMWARE as TPM_FIRMWARE
from support.paper_tpm import (
    NONCE,
    RECORDED_COUNT_2,
    RECORDED_KEY,
    RECORDED_QUOTE,
    PaperTpm,
    build_count,
    build_quote,
    seal,
)
from support.silicon import (
    driver_manifest,
    good_fields,
    make_key,
    make_opaque,
    make_report,
    make_swid,
    pem_of,
    roots_pem,
    switch_fields,
    to_file,
    vbios_manifest,
)
from support.silicon import judge as judge_spdm
from support.world import make_council
from vetonet.attestation.corim import Corim
from vetonet.attestation.eat import read_claims_set
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.identity import DeviceCertificate
from vetonet.attestation.maker_root import read_maker_roots
from vetonet.attestation.psa import read_psa_claims
from vetonet.attestation.reference_values import ReferenceRegister, ReferenceValues
from vetonet.attestation.report import ComputeReport
from vetonet.attestation.spdm.certificate import Certificate, read_pem_chain
from vetonet.attestation.spdm.evidence_entry import read_evidence
from vetonet.attestation.spdm.manifest_xml import read_manifest
from vetonet.attestation.spdm.message import MeasurementReport
from vetonet.attestation.spdm.opaque import OpaqueData
from vetonet.attestation.tpm import TpmEvidence, read_count, verify_quote
from vetonet.crypto import cose
from vetonet.crypto.statement import open_joint_statement, open_statement, peek, read_unverified
from vetonet.encoding import cbor
from vetonet.errors import VetonetError
from vetonet.policy.ballot import Ballot
from vetonet.policy.proposal import Proposal
from vetonet.policy.treaty import Treaty


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One group of parsers, and bytes that they take, to start from."""

    parsers: tuple[Callable[[bytes], object], ...]
    list_seeds: Callable[[], Iterator[bytes]]


_COUNCIL: Final = make_council(2, 2, ("p1",))
_TREATY: Final = _COUNCIL.treaty
_MAX_BYTES: Final = 64 * 1024


def _seed_cose() -> Iterator[bytes]:
    proposal = _COUNCIL.sign_proposal()
    yield from (_TREATY.data, proposal.data, proposal.data[1:], _COUNCIL.sign_ballot("p1", proposal).data)
    yield cose.sign1_detached(b"payload", {1: -8}, {}, _COUNCIL.log_key)
    yield b"\xa1\x01\x27"


def _seed_eat() -> Iterator[bytes]:
    evidence = make_evidence()
    yield evidence.to_bytes()
    yield from (evidence.report, evidence.alias, make_claims().to_bytes(), evidence.certificate)
    yield hide(make_claims()).to_bytes()
    yield bytes.fromhex("a20a48948f8860d13a463e190106f5")  # nonce and oemboot, as RFC 9711 has them


def _judge_report(data: bytes) -> object:
    """Let a chip's own key sign the bytes, so that they come as far as a bad chip's would."""
    return judge(replace(make_evidence(), report=sign_payload(data)))


def _seed_corim() -> Iterator[bytes]:
    root = _COUNCIL.endorser_root
    yield make_reference().corim.to_bytes()
    yield make_reference(PATCHED, number=2).to_bytes()
    yield sign_reference(root)


def _read_reference(data: bytes) -> object:
    return ReferenceRegister().read(data, _TREATY.statement.endorsers, 1)


_TPM: Final = PaperTpm(firmware_digest=TPM_FIRMWARE)


def _seed_tpm() -> Iterator[bytes]:
    key = _TPM.public_key
    yield from (build_quote(key, NONCE, TPM_FIRMWARE), build_count(key, NONCE, 2))
    yield from (RECORDED_QUOTE, RECORDED_COUNT_2)


def _read_sealed(data: bytes) -> None:
    """Let the TPM's own key sign the bytes, as an attestation that is no attestation."""
    sealed = seal(data[:256] or b"\x00", _TPM.device_key)
    try:
        verify_quote(sealed, _TPM.public_key, nonce=NONCE, firmware_digest=TPM_FIRMWARE)
    except VetonetError:
        read_count(sealed, _TPM.public_key, nonce=NONCE)


def _seed_spdm() -> Iterator[bytes]:
    yield from (make_report(make_key("chip 1")), make_opaque(), pem_of(), roots_pem())
    yield from (to_file(good_fields()), to_file(good_fields(), switch_fields()))
    yield from (driver_manifest(), vbios_manifest(), make_swid("1", {0: [bytes(48)]}).encode())
    yield next(certificate.to_bytes() for certificate in read_pem_chain(pem_of()))


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "cose": Target(
            parsers=(
                lambda data: cbor.from_bytes(data, max_bytes=_MAX_BYTES),
                cose.parse_header,
                cose.parse_sign1,
                lambda data: cose.parse_sign1(data, tagged=False),
                cose.parse_detached_sign1,
                cose.parse_sign,
                peek,
                lambda data: read_unverified(data, Proposal),
                lambda data: open_statement(data, Ballot, _TREATY.statement.party_keys),
                lambda data: open_joint_statement(data, Treaty, _TREATY.signers),
            ),
            list_seeds=_seed_cose,
        ),
        "eat": Target(
            parsers=(
                read_claims_set,
                ComputeReport.from_bytes,
                AliasEndorsement.from_bytes,
                read_psa_claims,
                DeviceCertificate.from_bytes,
                read_maker_roots,
                _judge_report,
                lambda data: judge(Evidence.from_bytes(data)),
            ),
            list_seeds=_seed_eat,
        ),
        "corim": Target(
            parsers=(Corim.from_bytes, ReferenceValues.from_bytes, _read_reference),
            list_seeds=_seed_corim,
        ),
        "tpm": Target(
            parsers=(
                TpmEvidence.from_bytes,
                _read_sealed,
                lambda data: read_count(data, RECORDED_KEY, nonce=NONCE),
                lambda data: verify_quote(data, RECORDED_KEY, nonce=NONCE, firmware_digest=TPM_FIRMWARE),
            ),
            list_seeds=_seed_tpm,
        ),
        "spdm": Target(
            parsers=(
                MeasurementReport.from_bytes,
                OpaqueData.from_bytes,
                Certificate.from_bytes,
                read_pem_chain,
                read_evidence,
                judge_spdm,
                lambda data: read_manifest(data, "fuzz"),
            ),
            list_seeds=_seed_spdm,
        ),
    }
)
