"""What is asked of one authentic report: of its chip, its boot, its firmware, its time (VN-9.3, VN-17.9)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from vetonet.attestation.appraisal_policy import AppraisalPolicy, Found, SingleRule
from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.counters import find_overcount
from vetonet.attestation.ear import Judgement
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.attestation.identity import DeviceCertificate
from vetonet.attestation.report import ComputeReport, DebugStatus
from vetonet.crypto.keys import PublicKey
from vetonet.units import Milliseconds, format_time


class Revocations(Protocol):
    """What a maker says of the chips that it no longer vouches for, verified."""

    def is_current(self, now: Milliseconds) -> bool:
        """Whether that is new enough at this time."""
        ...

    def find_reason(self, ueid: bytes, /) -> str | None:
        """Return why a chip is revoked, or None where it is not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One authentic report with what its chip's maker and the chip itself endorse.

    Attributes:
        claims: what the report says.
        signer: the key whose signature of it was verified.
        alias: what the chip says of the boot in question, verified.
        certificate: what the maker says of the chip, verified.
        models: the models that the chip may be, as reports name them.
        firmware: what is wrong with the firmware of that boot, by ``find_firmware_problems``.
        kind: what the maker vouches for, such as ``SIMULATED``.
        revocations: the maker's newest list that is known, verified, or None.
    """

    claims: ComputeReport
    signer: PublicKey
    alias: AliasEndorsement
    certificate: DeviceCertificate
    models: Collection[bytes]
    firmware: tuple[Found, ...]
    kind: str
    revocations: Revocations | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfThisChip(SingleRule[Subject]):
    """The report names the chip whose alias key signed it."""

    GOOD: ClassVar[str] = "chip-recognised"
    PRAISE: ClassVar[str] = "names the chip whose key signed it"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``wrong-device`` where report, alias and certificate are not of one chip."""
        claims, alias, ueid = evidence.claims, evidence.alias, evidence.certificate.device_key.ueid
        if (claims.ueid, alias.ueid, evidence.signer) != (ueid, ueid, alias.alias):
            yield (
                "wrong-device",
                f"names device {claims.ueid.hex()[:16]} or is signed by another's alias key",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfThisBoot(SingleRule[Subject]):
    """The report is of the boot for which its key was endorsed."""

    GOOD: ClassVar[str] = "boot-recognised"
    PRAISE: ClassVar[str] = "is of the boot for which its key was endorsed"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``wrong-boot`` where it is of another."""
        named, endorsed = evidence.claims.boot_count, evidence.alias.boot_count
        if named != endorsed:
            yield "wrong-boot", f"names boot {named}, its alias key is of boot {endorsed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfKnownModel(SingleRule[Subject]):
    """The report names a model that the chip may be."""

    GOOD: ClassVar[str] = "model-recognised"
    PRAISE: ClassVar[str] = "names the model that is expected"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``wrong-model`` where it names another."""
        if evidence.claims.hw_model not in evidence.models:
            known = ", ".join(repr(model.decode("ascii", "replace")) for model in evidence.models)
            yield "wrong-model", f"is of another model than the expected {known or 'one, which is none'}"

    def judge(self, evidence: Subject, /) -> Iterator[Judgement]:
        """Yield nothing where no model is known: ``OfKnownFirmware`` tells of that."""
        if evidence.models:
            yield from SingleRule.judge(self, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfKnownFirmware(SingleRule[Subject]):
    """The chip measured the firmware that it endorsed its key for, and that is one of those accepted."""

    GOOD: ClassVar[str] = "firmware-recognised"
    PRAISE: ClassVar[str] = "measured firmware that is accepted"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``unknown-firmware`` where it states another, and whatever is wrong with the endorsed one."""
        stated = evidence.claims.firmware_digest
        if stated != evidence.alias.firmware_digest:
            yield (
                "unknown-firmware",
                f"states the firmware {stated.hex()[:16]}, its key is endorsed for another",
            )
        yield from evidence.firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinCertificate(SingleRule[Subject]):
    """The chip's maker vouches for all the time that the report is about."""

    GOOD: ClassVar[str] = "certificate-valid"
    PRAISE: ClassVar[str] = "is about a time for which its maker vouches"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``certificate-lapsed`` where it does not."""
        claims = evidence.claims
        if not evidence.certificate.is_valid_during(claims.window_start_ms, claims.window_end_ms):
            yield "certificate-lapsed", "is about a time for which its maker does not vouch"


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggingOff(SingleRule[Subject]):
    """Debugging was off before the chip's keys were released (RFC 9711 section 4.2.9)."""

    GOOD: ClassVar[str] = "debug-disabled"
    PRAISE: ClassVar[str] = "says that debugging has been off since the chip started"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``debug-enabled``; DISABLED (1) does not say since when, from 2 on it is said."""
        status = evidence.claims.debug_status
        if status < DebugStatus.DISABLED_SINCE_BOOT:
            yield "debug-enabled", f"has debug status {status}, expected disabled since boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersChallenge(SingleRule[Subject]):
    """The report answers the challenge that this verifier gave."""

    GOOD: ClassVar[str] = "nonce-fresh"
    PRAISE: ClassVar[str] = "answers the challenge that was given"

    challenge: bytes

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``nonce-stale`` where it answers another."""
        if evidence.claims.challenge != self.challenge:
            answered = evidence.claims.challenge.hex()
            yield "nonce-stale", f"answers another challenge: expected {self.challenge.hex()}, got {answered}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedNow(SingleRule[Subject]):
    """The chip's certificate is valid at the time of the appraisal."""

    GOOD: ClassVar[str] = "certificate-current"
    PRAISE: ClassVar[str] = "comes with a certificate that is valid now"

    now: Milliseconds

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``certificate-expired`` where it is not."""
        certificate = evidence.certificate
        if certificate.is_valid_during(self.now, self.now):
            return
        fault = "is not valid yet" if self.now < certificate.not_before_ms else "has expired"
        validity = f"{format_time(certificate.not_before_ms)} to {format_time(certificate.not_after_ms)}"
        judged = format_time(self.now)
        yield (
            "certificate-expired",
            f"comes with a certificate that {fault}: valid from {validity}, judged at {judged}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAcceptedKind(SingleRule[Subject]):
    """What vouches for the claims is of a kind that the verifier named, or pinned with a root."""

    GOOD: ClassVar[str] = "kind-accepted"
    PRAISE: ClassVar[str] = "is by a chip of a kind that is accepted"

    kinds: AbstractSet[str] | None

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``kind-refused`` where the verifier did neither."""
        if self.kinds is not None and evidence.kind not in self.kinds:
            yield "kind-refused", f"is by a chip of the kind {evidence.kind!r}, which nobody named"

    def praise(self, evidence: Subject, /) -> str:
        """Return which kind it is: SIMULATED means that its keys lie in software."""
        why = (
            "accepted because its root is pinned; --kind was not given"
            if self.kinds is None
            else "which is accepted by name"
        )
        return f"is by a chip of the kind {evidence.kind!r}, {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRevoked(SingleRule[Subject]):
    """The maker has not revoked the chip, by a list that counts now: doubt means no (VN-17.3)."""

    GOOD: ClassVar[str] = "not-revoked"
    PRAISE: ClassVar[str] = "is by a chip that its maker has not revoked"

    now: Milliseconds

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``revocation-missing``, ``revocation-stale``, or by a list of any age ``device-revoked``."""
        if evidence.revocations is None:
            yield "revocation-missing", "is by a chip of whose maker there is no revocation list"
            return
        if not evidence.revocations.is_current(self.now):
            yield "revocation-stale", "can only be held against a revocation list that does not count now"
        reason = evidence.revocations.find_reason(evidence.certificate.device_key.ueid)
        if reason is not None:
            yield "device-revoked", f"is by a chip that its maker revoked ({reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Untampered(SingleRule[Subject]):
    """The chip noticed no tampering in all its life (VN-17.13)."""

    GOOD: ClassVar[str] = "untampered"
    PRAISE: ClassVar[str] = "says that its chip noticed no tampering"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``tampered`` where it did."""
        count = evidence.claims.tamper_count
        if count:
            yield "tampered", f"says that its chip noticed tampering {count} times"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountersAgree(SingleRule[Subject]):
    """The counters that one report states do not contradict each other (VN-17.10)."""

    GOOD: ClassVar[str] = "counters-agree"
    PRAISE: ClassVar[str] = "counts no more at one precision than in all"
    HIDDEN: ClassVar[str] = "counters-hidden"

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``meter-mismatched`` where they do."""
        yield from find_overcount(evidence.claims)

    def judge(self, evidence: Subject, /) -> Iterator[Judgement]:
        """Yield of a confidential report that there is nothing to see, which is neither good nor bad."""
        if not evidence.claims.is_confidential:
            yield from SingleRule.judge(self, evidence)
            return
        yield build_judgement(self.HIDDEN, "commits to what it counted and does not say it")


REPORT_RULES: Final[AppraisalPolicy[Subject]] = AppraisalPolicy(
    rules=(
        OfThisChip(),
        OfThisBoot(),
        OfKnownModel(),
        OfKnownFirmware(),
        WithinCertificate(),
        DebuggingOff(),
        Untampered(),
        CountersAgree(),
    )
)
"""What every report must satisfy, whoever asks and whenever: a hundred thousand of a bundle, or one."""
