"""The registry: every enrolled chip and every alias key, read leaf by leaf from the log (VN-8.3, VN-8.4)."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from vetonet.attestation.conflict import (
    Conflict,
    Conviction,
    DeviceConflictError,
    build_boot_conflict,
    find_enrolment_conflict,
    verify_conflict,
)
from vetonet.attestation.enrolment import (
    AliasEndorsement,
    DeviceRetirement,
    EnrolledDevice,
    open_alias,
    open_enrolment,
    open_retirement,
)
from vetonet.attestation.reference_values import ReferenceRegister
from vetonet.attestation.report import ReportBatch
from vetonet.attestation.revocation import RevocationRegister
from vetonet.attestation.trust_anchors import TrustAnchors, index_makers, index_owners
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Keys, Signed, open_statement, read_unverified
from vetonet.errors import EquivocationError, RefusedError, UnknownPartyError
from vetonet.units import Milliseconds

Window: TypeAlias = tuple[Milliseconds, Milliseconds]
"""From when up to when, the end excluded."""

_Subject: TypeAlias = tuple[bool, str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAlias:
    """An alias key and the chip it speaks for."""

    device: EnrolledDevice
    alias: Signed[AliasEndorsement]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedConviction:
    """What a conflict in the log proves, and where it stands."""

    leaf_index: int
    conviction: Conviction


class Registry:
    """Chips by ueid and alias keys by key id; grows as the log is read, refuses contradictions."""

    __slots__ = (
        "_alias_keys", "_aliases", "_convictions", "_devices", "_newest", "_references", "_retired",
        "_revocations", "_serials", "_windows",
    )  # fmt: skip

    def __init__(self) -> None:
        """Start without any chip."""
        self._devices: dict[bytes, EnrolledDevice] = {}
        self._aliases: dict[bytes, KnownAlias] = {}
        self._alias_keys: dict[bytes, PublicKey] = {}
        self._newest: dict[bytes, KnownAlias] = {}
        self._retired: dict[bytes, Signed[DeviceRetirement]] = {}
        self._windows: dict[tuple[str, int | None], tuple[Window, ...]] = {}

        self._references = ReferenceRegister()
        self._revocations = RevocationRegister()
        self._serials: dict[tuple[str, str], EnrolledDevice] = {}
        self._convictions: dict[_Subject, LoggedConviction] = {}

    def copy(self) -> Registry:
        """Return a registry that knows the same and grows on its own: for what is not durable yet."""
        twin = Registry()
        for slot in self.__slots__:
            setattr(twin, slot, copy.copy(getattr(self, slot)))
        return twin

    @property
    def devices(self) -> Mapping[bytes, EnrolledDevice]:
        """Every enrolled chip by ueid."""
        return MappingProxyType(self._devices)

    @property
    def aliases(self) -> Keys:
        """Every alias key by key id: the keys that may sign reports."""
        return MappingProxyType(self._alias_keys)

    def read_enrolment(self, data: bytes, anchors: TrustAnchors) -> EnrolledDevice:
        """Open an enrolment under these trust anchors, and enrol its chip; return it.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, AppraisalError: as ``open_enrolment``.
            RefusedError: its maker does not vouch for this kind of attester, or the chip is enrolled.
            EquivocationError: the same key is enrolled for another owner or with other facts.
        """
        device = open_enrolment(
            data,
            endorser_keys=index_makers(anchors.endorsers),
            operator_keys=index_owners(anchors.operators),
        )
        kinds = {maker.endorser_id: maker.attester_kind for maker in anchors.endorsers}
        enrolment = device.enrolment
        if kinds[enrolment.endorser_id] != enrolment.attester_kind:
            msg = f"the treaty takes no {enrolment.attester_kind!r} attesters from {enrolment.endorser_id!r}"
            raise RefusedError(msg, culprit=enrolment.endorser_id, clause="VN-8.2")
        self.enrol(device)
        return device

    def enrol(self, device: EnrolledDevice) -> None:
        """Add a chip: one key, one owner, one serial of its maker, once (VN-8.3, VN-17.2).

        Raises:
            RefusedError: it is enrolled already, by the very same statement, was retired or revoked, or its
                key is an alias key.
            EquivocationError: its maker and an owner signed another enrolment of the same key, or of its
                serial; where that convicts the maker, a ``DeviceConflictError`` with the proof.
        """
        enrolment = device.enrolment
        serial = (enrolment.endorser_id, enrolment.serial)
        for earlier in (self._devices.get(device.ueid), self._serials.get(serial)):
            if earlier is not None and earlier.enrolment != enrolment:
                self._refuse_second(earlier, device)
        self._require_in_service(device)
        if device.ueid in self._devices or device.device_key.key_id in self._aliases:
            msg = f"the key of device {device.ueid.hex()[:16]} is registered already"
            raise RefusedError(msg, culprit=enrolment.owner, clause="VN-8.3")
        self._devices[device.ueid] = self._serials[serial] = device

    def _refuse_second(self, earlier: EnrolledDevice, later: EnrolledDevice) -> NoReturn:
        """Two different enrolments of one key, or of one serial of one maker."""
        culprit, name = later.enrolment.endorser_id, later.ueid.hex()[:16]
        if earlier.ueid == later.ueid:
            self._require_in_service(earlier)
            owners = f"of {earlier.enrolment.owner!r} is enrolled again for {later.enrolment.owner!r}"
            msg, clause = f"device {name} {owners}", "VN-8.3"
        else:
            msg, clause = (
                f"serial {later.enrolment.serial!r} is enrolled again under the key {name}",
                "VN-17.2",
            )
        conflict = find_enrolment_conflict(earlier, later)
        if conflict is None:
            raise EquivocationError(msg, culprit=culprit, clause=clause)
        raise DeviceConflictError(msg, culprit=culprit, clause=clause, conflict=conflict)

    def read_retirement(self, data: bytes, anchors: TrustAnchors) -> Signed[DeviceRetirement]:
        """Open the retirement of an enrolled chip, which is out of service from now on; return it (VN-8.5).

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_retirement``, or no such chip.
            RefusedError: it was retired before.
        """
        device = self.find_device(read_unverified(data, DeviceRetirement).ueid)
        signed = open_retirement(
            data,
            device,
            endorser_keys=index_makers(anchors.endorsers),
            operator_keys=index_owners(anchors.operators),
        )
        self._require_in_service(device)
        self._retired[device.ueid] = signed
        return signed

    def read_alias(self, data: bytes) -> Signed[AliasEndorsement]:
        """Open an alias endorsement of an enrolled chip, and add its key; return it.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_alias``, or no such chip.
            RefusedError, EquivocationError: as ``add_alias``.
        """
        device = self.find_device(read_unverified(data, AliasEndorsement).ueid)
        alias = open_alias(data, device)
        self.add_alias(device, alias)
        return alias

    def add_alias(self, device: EnrolledDevice, alias: Signed[AliasEndorsement]) -> None:
        """Add the alias key of a chip's next boot (VN-8.4).

        Raises:
            RefusedError: the key is registered already, boot counts do not rise, or the chip was retired,
                revoked or convicted.
            DeviceConflictError: the chip endorsed two keys for one boot.
        """
        self._require_in_service(device)
        claims, culprit = alias.statement, device.ueid.hex()
        if claims.alias.key_id in self._aliases:
            msg = f"the alias key {claims.alias.key_id.hex()[:16]} is registered already"
            raise RefusedError(msg, culprit=culprit, clause="VN-8.4")
        newest = self._newest.get(device.ueid)
        boot_count = 0 if newest is None else newest.alias.statement.boot_count
        if newest is not None and claims.boot_count == boot_count:
            msg = f"device {culprit[:16]} endorsed two alias keys for boot {boot_count}"
            conflict = build_boot_conflict(device, newest.alias, alias)
            raise DeviceConflictError(msg, culprit=culprit, clause="VN-8.4", conflict=conflict)
        if claims.boot_count <= boot_count:
            msg = f"an alias of boot {claims.boot_count}, expected a boot after {boot_count}"
            raise RefusedError(msg, culprit=culprit, clause="VN-8.4")
        known = KnownAlias(device=device, alias=alias)
        self._newest[device.ueid] = self._aliases[claims.alias.key_id] = known
        self._alias_keys[claims.alias.key_id] = claims.alias

    def read_batch(self, data: bytes, anchors: TrustAnchors) -> Signed[ReportBatch]:
        """Open a report batch, and remember its window; return it (VN-9.4).

        One operator has one batch for a window and licence: else nobody could tell which reports belong to
        which of two.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_batch``.
            RefusedError: as ``open_batch``, or another batch covers some of its window.
        """
        signed = open_batch(data, anchors)
        batch = signed.statement
        key = (batch.operator_id, batch.licence_id)
        window = (batch.window_start_ms, batch.window_end_ms)
        self._windows[key] = _insert_window(self._windows.get(key, ()), window, batch)
        return signed

    @property
    def references(self) -> ReferenceRegister:
        """The makers' reference values, and which of them count."""
        return self._references

    def read_reference(self, data: bytes, anchors: TrustAnchors, leaf_index: int) -> None:
        """Open reference values of a maker, and remember them (VN-17.6).

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, RefusedError, EquivocationError: as
                ``ReferenceRegister.read``.
        """
        self._references = self._references.read(data, anchors.endorsers, leaf_index)

    def approve_reference(self, digest: bytes, action: str, leaf_index: int) -> None:
        """The parties decided on the reference values of this digest, by a class of action (VN-17.8)."""
        self._references = self._references.approve(digest, action, leaf_index)

    def _require_in_service(self, device: EnrolledDevice) -> None:
        retired = self._retired.get(device.ueid)
        if retired is not None:
            why = retired.statement.reason
            msg = f"device {device.ueid.hex()[:16]} was retired ({why}), and never comes back"
            raise RefusedError(msg, culprit=device.enrolment.owner, clause="VN-8.5")
        if self.find_revocation(device) is not None:
            msg = f"device {device.ueid.hex()[:16]} was revoked by its maker"
            raise RefusedError(msg, culprit=device.enrolment.owner, clause="VN-17.3")
        if self.find_cloning(device) is not None:
            msg = f"device {device.ueid.hex()[:16]} was convicted of being cloned"
            raise RefusedError(msg, culprit=device.enrolment.owner, clause="VN-17.4")

    @property
    def revocations(self) -> RevocationRegister:
        """The makers' revocation lists."""
        return self._revocations

    def read_revocation_list(self, data: bytes, anchors: TrustAnchors, leaf_index: int) -> None:
        """Open the next revocation list of a maker, whose chips in it count no more (VN-17.3).

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, RefusedError, EquivocationError: as
                ``RevocationRegister.read``.
        """
        self._revocations = self._revocations.read(data, anchors.endorsers, leaf_index)

    def find_revocation(self, device: EnrolledDevice) -> int | None:
        """Return since which leaf a chip is revoked by its maker, or None."""
        return self._revocations.find_leaf(device.enrolment.endorser_id, device.ueid)

    @property
    def convictions(self) -> Sequence[LoggedConviction]:
        """What the conflicts in the log prove, in their order."""
        return tuple(self._convictions.values())

    def read_conflict(self, data: bytes, anchors: TrustAnchors, leaf_index: int) -> Conviction:
        """Judge a conflict, and remember whom it convicts; return that (VN-17.4).

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, AppraisalError, ProofError: as
                ``verify_conflict``.
            RefusedError: as ``verify_conflict``, or another conflict in the log convicts of the same.
        """
        conviction = verify_conflict(
            Conflict.from_bytes(data),
            endorser_keys=index_makers(anchors.endorsers),
            operator_keys=index_owners(anchors.operators),
        )
        if conviction.subject in self._convictions:
            msg = f"a conflict in the log convicts of this already: {conviction.detail}"
            raise RefusedError(msg, culprit=conviction.culprit, clause="VN-17.4")
        logged = LoggedConviction(leaf_index=leaf_index, conviction=conviction)
        self._convictions[conviction.subject] = logged
        return conviction

    def find_cloning(self, device: EnrolledDevice) -> LoggedConviction | None:
        """Return what proves that a chip's key was cloned or its state rolled back, or None."""
        return self._convictions.get((False, device.enrolment.endorser_id, device.ueid))

    def find_device(self, ueid: bytes) -> EnrolledDevice:
        """Return the chip with this ueid.

        Raises:
            UnknownPartyError: none is enrolled.
        """
        device = self._devices.get(ueid)
        if device is None:
            msg = f"no device {ueid.hex()[:16]} is enrolled"
            raise UnknownPartyError(msg, culprit=ueid.hex(), clause="VN-8.3")
        return device

    def find_alias(self, key_id: bytes) -> KnownAlias:
        """Return the alias with this key id and its chip.

        Raises:
            UnknownPartyError: no chip endorsed such a key.
        """
        known = self._aliases.get(key_id)
        if known is None:
            msg = f"no device endorsed the alias key {key_id.hex()[:16]}"
            raise UnknownPartyError(msg, culprit=key_id.hex(), clause="VN-8.4")
        return known


def _insert_window(windows: tuple[Window, ...], window: Window, batch: ReportBatch) -> tuple[Window, ...]:
    """Return the windows, which rise and do not overlap, with one more."""
    place = bisect_left(windows, window)
    before, after = windows[:place], windows[place:]
    if (before and before[-1][1] > window[0]) or (after and after[0][0] < window[1]):
        msg = f"a batch of {batch.operator_id!r} for {window[0]} to {window[1]}, which another one covers"
        raise RefusedError(msg, culprit=batch.operator_id, clause="VN-9.4")
    return (*before, window, *after)


def open_batch(data: bytes, anchors: TrustAnchors) -> Signed[ReportBatch]:
    """Return a report batch that the operator it names signed (VN-9.4).

    Raises:
        EncodingError: not a report batch.
        UnknownPartyError: no operator of these signed it.
        InvalidSignatureError: the signature does not verify.
        RefusedError: one operator signed it in another's name.
    """
    names = {owner.key.key_id: owner.operator_id for owner in anchors.operators}
    signed = open_statement(data, ReportBatch, {owner.key.key_id: owner.key for owner in anchors.operators})
    signer_id = names[signed.signer.key_id]
    if signed.statement.operator_id != signer_id:
        msg = f"a report batch of {signed.statement.operator_id!r} signed by {signer_id!r}"
        raise RefusedError(msg, culprit=signer_id, clause="VN-9.4")
    return signed
