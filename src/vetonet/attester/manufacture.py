"""How a simulated chip comes into the world: keys, certificate, enrolment, first start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.attestation.corim import Corim
from vetonet.attestation.enrolment import DeviceEnrolment, PeakRate
from vetonet.attestation.firmware import Firmware
from vetonet.attestation.identity import DeviceCertificate, issue_device_certificate
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.reference_values import ReferenceValues, UpdatePurpose
from vetonet.attestation.revocation import (
    MAX_LIST_AGE_MS,
    RevocationList,
    RevocationReason,
    RevokedDevice,
)
from vetonet.attester.interlock import FixedSet, Interlock, plan_sets
from vetonet.attester.machine import step
from vetonet.attester.models import ChipModel
from vetonet.attester.secure_element import SEED_BYTES, SecureElement, SoftwareElement
from vetonet.attester.state import ChipState, Outcome, Phase, PowerCycled
from vetonet.crypto.keys import EcdsaSigningKey, SigningKey, generate_ecdsa
from vetonet.crypto.statement import Signed, sign, sign_jointly
from vetonet.policy.treaty import Treaty
from vetonet.tlog.policy import LogPolicy
from vetonet.units import Milliseconds, Rng

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A chip maker with its root key in hand.

    Attributes:
        endorser_id: its name in the treaty.
        root: the key that the treaty pins.
        attester_kind: what it vouches for.
        not_before_ms, not_after_ms: the validity of the certificates it issues.
    """

    endorser_id: str
    root: EcdsaSigningKey = field(repr=False)
    attester_kind: str = SIMULATED
    not_before_ms: Milliseconds
    not_after_ms: Milliseconds


def manufacture(
    model: ChipModel,
    maker: Maker,
    treaty: Signed[Treaty],
    rng: Rng,
    *,
    firmware: Firmware,
    secure_element: SecureElement | None = None,
    serial: str | None = None,
) -> ChipState:
    """Return a chip of this model that never started, with a certified device key and the treaty burnt in.

    Args:
        model: what it is.
        maker: who certifies its key.
        treaty: what it enforces.
        rng: for a key in software.
        firmware: what the maker puts in; the chip starts with it and with what the parties approve later.
        secure_element: what keeps its key, or None for one of software.
        serial: what the maker calls it and calls no other; None makes one from its model and key.

    Raises:
        ValueError: no serial that a certificate carries, or the maker vouches for another kind of element.
    """
    element = secure_element or SoftwareElement(device_key=generate_ecdsa(rng))
    if element.kind != maker.attester_kind:
        msg = f"{maker.endorser_id!r} vouches for {maker.attester_kind}, not for {element.kind}"
        raise ValueError(msg)
    certificate = issue_device_certificate(
        element.public_key,
        maker.root,
        endorser_id=maker.endorser_id,
        serial=serial or f"{model.name}-{element.public_key.key_id.hex()[:12]}",
        not_before_ms=maker.not_before_ms,
        not_after_ms=maker.not_after_ms,
    )
    return ChipState(
        treaty=treaty,
        log_policy=LogPolicy.under(treaty.statement),
        model=model,
        certificate=certificate,
        secure_element=element,
        secret=rng(SECRET_BYTES),
        firmware=firmware,
        approved=frozenset({firmware.digest}),
    )


def publish_reference(
    maker: Maker,
    model: ChipModel,
    firmware: Firmware,
    *,
    number: int = 1,
    purpose: UpdatePurpose = UpdatePurpose.SECURITY_PATCH,
) -> bytes:
    """Return the maker's signed word that a model may run this firmware: a leaf for the log (VN-17.6)."""
    corim = Corim(vendor=maker.endorser_id, model=model.name, number=number, firmware=firmware)
    values = ReferenceValues(endorser_id=maker.endorser_id, number=number, purpose=purpose, corim=corim)
    return sign(values, maker.root)


def revoke(
    maker: Maker,
    entries: Mapping[bytes, RevocationReason],
    now: Milliseconds,
    *,
    earlier: RevocationList | None = None,
) -> bytes:
    """Return the maker's next revocation list, signed: a leaf for the log, also without entries (VN-17.3).

    Args:
        maker: whose chips they are.
        entries: the chips to revoke, by ueid; none renews the list before it expires.
        now: from when on it counts, for as long as a list may.
        earlier: its newest list so far, whose chips stay revoked; None for its first.
    """
    known = {} if earlier is None else {entry.ueid: entry.reason for entry in earlier.entries}
    revoked = sorted({**entries, **known}.items())
    listed = RevocationList(
        endorser_id=maker.endorser_id,
        number=1 if earlier is None else earlier.number + 1,
        issued_ms=now,
        expires_ms=now + MAX_LIST_AGE_MS,
        entries=tuple(RevokedDevice(ueid=ueid, reason=reason) for ueid, reason in revoked),
    )
    return sign(listed, maker.root)


def bind_sets(chips: Sequence[ChipState]) -> tuple[ChipState, ...]:
    """Return these chips with fixed sets burnt in: as few sets as hold them all, none for fewer than eight.

    Raises:
        ValueError: one of them was started already, or is in a set.
    """
    if any(chip.phase is not Phase.OFF or chip.interlock.fixed_set is not None for chip in chips):
        raise ValueError("expected chips that never started and are in no set")
    ordered, bound = sorted(chips, key=lambda chip: chip.ueid), list[ChipState]()
    for size in plan_sets(len(ordered)):
        members = ordered[len(bound) : len(bound) + size]
        interlock = Interlock(fixed_set=FixedSet(ueids=tuple(chip.ueid for chip in members)))
        bound += [replace(chip, interlock=interlock) for chip in members]
    return tuple(bound or ordered)


def describe(chip: ChipState, maker: Maker, *, owner: str, site: str) -> DeviceEnrolment:
    """Return what maker and owner sign to enrol a chip."""
    peaks = chip.model.peak_flop_per_s
    return DeviceEnrolment(
        certificate=chip.certificate,
        endorser_id=maker.endorser_id,
        model=chip.model.name,
        peaks=tuple(PeakRate(precision=precision, flop_per_s=rate) for precision, rate in peaks),
        memory_bytes=chip.model.memory_bytes,
        tdp_w=chip.model.tdp_w,
        owner=owner,
        site=site,
        attester_kind=maker.attester_kind,
        serial=DeviceCertificate.from_bytes(chip.certificate).serial,
    )


def enrol(chip: ChipState, maker: Maker, *, owner: str, owner_key: SigningKey, site: str) -> bytes:
    """Return the enrolment of a chip, signed by its maker and its owner: a leaf for the log (VN-8.2)."""
    return sign_jointly(describe(chip, maker, owner=owner, site=site), (maker.root, owner_key))


def power_on(chip: ChipState, rng: Rng, now: Milliseconds) -> Outcome:
    """Return the chip started with a fresh alias key, and its alias endorsement: another leaf for the log."""
    return step(chip, PowerCycled(seed=rng(SEED_BYTES)), now)
