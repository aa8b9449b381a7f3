"""Enrolment: which chip is whose, endorsed by its maker and its owner, and the keys of its boots (VN-8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from vetonet.attestation.firmware import Firmware
from vetonet.attestation.identity import (
    MAX_CERTIFICATE_BYTES,
    MAX_SERIAL,
    DeviceCertificate,
    verify_device_certificate,
)
from vetonet.attestation.report import MAX_MODEL_BYTES, UEID_BYTES
from vetonet.crypto.keys import PUBLIC_KEY, Algorithm, PublicKey
from vetonet.crypto.statement import Signed, Statement, open_joint_statement, open_statement, read_unverified
from vetonet.encoding.record import Record, bstr, many, member, one_of, record, tstr, uint
from vetonet.errors import RefusedError, UnknownPartyError
from vetonet.units import Precision

MAX_QUOTE_BYTES: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakRate(Record):
    """The dense peak of a chip at one precision."""

    precision: Precision = member(1, one_of(Precision))
    flop_per_s: int = member(2, uint(2**64 - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnrolment(Statement):
    """That a chip is genuine, what it can do and whose it is; signed by its maker's root key and its owner.

    Attributes:
        certificate: the X.509 device certificate (DER) by the maker's root.
        endorser_id: the maker, as the treaty names it.
        model: the maker's name of the model; reports repeat it in ``hw_model``.
        peaks: dense peak FLOP/s per precision, each precision once.
        tdp_w: thermal design power, or None where the maker publishes none.
        owner: id of the operator that runs the chip.
        site: where the chip is.
        attester_kind: what vouches for its claims; ``SIMULATED`` for software keys.
        serial: what the maker calls this chip and no other; the certificate's subject says the same.
    """

    TYPE: ClassVar[str] = "device-enrolment"

    certificate: bytes = member(1, bstr(1, MAX_CERTIFICATE_BYTES))
    endorser_id: str = member(2, tstr(64))
    model: str = member(3, tstr(MAX_MODEL_BYTES))
    peaks: tuple[PeakRate, ...] = member(4, many(record(PeakRate), minimum=1, maximum=len(Precision)))
    memory_bytes: int = member(5, uint(2**63))
    tdp_w: int | None = member(6, uint(2**32), optional=True)
    owner: str = member(7, tstr(64))
    site: str = member(8, tstr(128))
    attester_kind: str = member(9, tstr(32))
    serial: str = member(11, tstr(MAX_SERIAL))

    def __post_init__(self) -> None:
        """Refuse a model that no report can name, and rates that are zero or stated twice (VN-8.1)."""
        if not self.model.isascii():
            msg = "expected a model name in ASCII, as reports carry it in hwmodel"
            raise ValueError(msg)
        rates = {peak.precision: peak.flop_per_s for peak in self.peaks}
        if len(rates) < len(self.peaks) or not all(rates.values()):
            msg = "expected a positive peak rate, once per precision"
            raise ValueError(msg)
        if not self.memory_bytes or self.tdp_w == 0:
            msg = "expected memory and power above zero"
            raise ValueError(msg)

    @property
    def hw_model(self) -> bytes:
        """The model as reports name it."""
        return self.model.encode("ascii")


class RetirementReason(StrEnum):
    """Why a chip is taken out of service for good."""

    DESTROYED = "destroyed"
    KEY_EXPOSED = "key-exposed"
    TAMPERED = "tampered"
    LOST = "lost"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRetirement(Statement):
    """That a chip is out of service for good; signed by its maker's root key and its owner (VN-8.5).

    Attributes:
        ueid: the chip.
        endorser_id, owner: as its enrolment names them.
        reason: why.
    """

    TYPE: ClassVar[str] = "device-retirement"

    ueid: bytes = member(1, bstr(UEID_BYTES))
    endorser_id: str = member(2, tstr(64))
    owner: str = member(3, tstr(64))
    reason: RetirementReason = member(4, one_of(RetirementReason))


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEndorsement(Statement):
    """That one key speaks for a chip during one boot with one firmware; signed by the device key (VN-8.4).

    Attributes:
        ueid: the chip.
        alias: the Ed25519 or P-256 key that signs its reports until the next boot.
        boot_count: which boot; rises by at least one each time.
        firmware: the components that were measured before the key was released (DICE).
        platform: the secure element's own evidence of that, or None (VN-17.1).
    """

    TYPE: ClassVar[str] = "alias-endorsement"

    ueid: bytes = member(1, bstr(UEID_BYTES))
    alias: PublicKey = member(2, PUBLIC_KEY)
    boot_count: int = member(3, uint(2**32))
    firmware: Firmware = member(4, record(Firmware))
    platform: bytes | None = member(5, bstr(1, MAX_QUOTE_BYTES), optional=True)

    def __post_init__(self) -> None:
        """Refuse an alias key of another algorithm than reports use."""
        if self.alias.algorithm not in {Algorithm.EDDSA, Algorithm.ES256}:
            msg = "expected an Ed25519 or P-256 alias key"
            raise ValueError(msg)

    @property
    def firmware_digest(self) -> bytes:
        """The digest over all components, as reports state it."""
        return self.firmware.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledDevice:
    """A chip whose enrolment and certificate were verified; only ``open_enrolment`` makes one.

    Attributes:
        signed: the enrolment as logged.
        certificate: the maker's, verified.
    """

    signed: Signed[DeviceEnrolment]
    certificate: DeviceCertificate

    @property
    def enrolment(self) -> DeviceEnrolment:
        """What was enrolled."""
        return self.signed.statement

    @property
    def device_key(self) -> PublicKey:
        """The key of its certificate, from which the ueid follows."""
        return self.certificate.device_key

    @property
    def ueid(self) -> bytes:
        """The identity of the chip."""
        return self.device_key.ueid

    def find_peak(self, precision: Precision) -> int | None:
        """Return the dense peak FLOP/s at a precision, or None where the chip does not compute in it."""
        return next((peak.flop_per_s for peak in self.enrolment.peaks if peak.precision is precision), None)


def open_enrolment(
    data: bytes,
    *,
    endorser_keys: Mapping[str, PublicKey],
    operator_keys: Mapping[str, PublicKey],
) -> EnrolledDevice:
    """Return a chip that its maker and its owner have both signed for and whose certificate holds (VN-8.2).

    Args:
        data: untrusted bytes of a COSE_Sign.
        endorser_keys: the makers' root keys by endorser id, as the treaty pins them.
        operator_keys: the operators' keys by operator id.

    Raises:
        EncodingError: not an enrolment, or not a certificate of the one accepted form.
        UnknownPartyError: the maker or the owner is not among those given.
        InvalidSignatureError: a signature is missing or bad, also that of the certificate.
        AppraisalError: the certificate is no device certificate.
        RefusedError: the certificate is that of another serial.
    """
    claimed = read_unverified(data, DeviceEnrolment)
    root_key = _find(endorser_keys, claimed.endorser_id, "endorser")
    owner_key = _find(operator_keys, claimed.owner, "operator")
    signed = open_joint_statement(data, DeviceEnrolment, (root_key, owner_key))
    certificate = verify_device_certificate(signed.statement.certificate, root_key)
    if certificate.serial != claimed.serial:
        msg = f"an enrolment of serial {claimed.serial!r} with the certificate of {certificate.serial!r}"
        raise RefusedError(msg, culprit=claimed.endorser_id, clause="VN-17.2")
    return EnrolledDevice(signed=signed, certificate=certificate)


def open_retirement(
    data: bytes,
    device: EnrolledDevice,
    *,
    endorser_keys: Mapping[str, PublicKey],
    operator_keys: Mapping[str, PublicKey],
) -> Signed[DeviceRetirement]:
    """Return the retirement of this chip, signed by the maker and the owner of its enrolment (VN-8.5).

    Raises:
        EncodingError: not a retirement.
        UnknownPartyError: another chip's, or by another maker or owner than the enrolment's.
        InvalidSignatureError: a signature is missing or bad.
    """
    claimed, enrolled = read_unverified(data, DeviceRetirement), device.enrolment
    named = (claimed.ueid, claimed.endorser_id, claimed.owner)
    if named != (device.ueid, enrolled.endorser_id, enrolled.owner):
        expected = f"{device.ueid.hex()[:16]} by {enrolled.endorser_id!r} and {enrolled.owner!r}"
        got = f"{claimed.ueid.hex()[:16]} by {claimed.endorser_id!r} and {claimed.owner!r}"
        msg = f"expected a retirement of {expected}, got one of {got}"
        raise UnknownPartyError(msg, culprit=claimed.owner, clause="VN-8.5")
    root_key = _find(endorser_keys, claimed.endorser_id, "endorser")
    owner_key = _find(operator_keys, claimed.owner, "operator")
    return open_joint_statement(data, DeviceRetirement, (root_key, owner_key))


def open_alias(data: bytes, device: EnrolledDevice) -> Signed[AliasEndorsement]:
    """Return an alias endorsement that this chip's device key signed about itself.

    Raises:
        EncodingError: not an alias endorsement.
        UnknownPartyError: another key's, or about another chip.
        InvalidSignatureError: the signature does not verify.
    """
    signed = open_statement(data, AliasEndorsement, {device.device_key.key_id: device.device_key})
    if signed.statement.ueid != device.ueid:
        msg = f"an alias of {signed.statement.ueid.hex()[:16]} endorsed by {device.ueid.hex()[:16]}"
        raise UnknownPartyError(msg, culprit=device.ueid.hex(), clause="VN-8.4")
    return signed


def _find(keys: Mapping[str, PublicKey], name: str, role: str) -> PublicKey:
    key = keys.get(name)
    if key is None:
        msg = f"an enrolment by the unknown {role} {name!r}"
        raise UnknownPartyError(msg, culprit=name, clause="VN-8.2")
    return key
