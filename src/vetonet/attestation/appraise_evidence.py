"""Appraise one chip's evidence against pinned roots, reference values and a challenge (VN-17.9).

The order: who made it and who signed it, what was signed, and then every rule of the policy, whatever the
others find. What is not authentic, or is no claims set of the profile, is contraindicated as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vetonet.attestation.appraisal_policy import AppraisalPolicy, AppraisalRule
from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import AttestationResult, Judgement
from vetonet.attestation.eat import NONCE, PROFILE, ClaimsSet, read_claims_set
from vetonet.attestation.evidence_file import Evidence, OpenedEvidence, open_evidence
from vetonet.attestation.maker_root import MakerRoot
from vetonet.attestation.platform import VouchedByPlatform
from vetonet.attestation.reference_values import ReferenceValues, find_firmware_problems
from vetonet.attestation.report import PROFILES, ComputeReport
from vetonet.attestation.report_rules import (
    AnswersChallenge,
    CertifiedNow,
    CountersAgree,
    DebuggingOff,
    NotRevoked,
    OfAcceptedKind,
    OfKnownFirmware,
    OfKnownModel,
    OfThisBoot,
    OfThisChip,
    Subject,
    Untampered,
    WithinCertificate,
)
from vetonet.attestation.revocation import RevocationList
from vetonet.crypto.statement import Signed
from vetonet.encoding.record import compute_layout
from vetonet.errors import AppraisalError, EncodingError
from vetonet.units import Milliseconds

NONCES: Final = 2
"""A report answers a challenge and names a checkpoint: exactly two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What a verifier brings of its own; nothing of it is ever taken from the evidence.

    Attributes:
        challenge: what it asked with.
        now: when it judges.
        kinds: the kinds of attesters that it accepts; None where a pinned root is accepted with its kind.
        references: what makers say of firmware, as far as it counts; each speaks for its signer's chips.
        revocations: revocation lists, each verified, of which the newest of its signer counts; None where the
            verifier does not ask.
        rules: what else it asks.
    """

    challenge: bytes
    now: Milliseconds
    kinds: frozenset[str] | None
    references: tuple[Signed[ReferenceValues], ...]
    revocations: tuple[Signed[RevocationList], ...] | None = None
    rules: tuple[AppraisalRule[Subject], ...] = ()

    @property
    def policy(self) -> AppraisalPolicy[Subject]:
        """All that a report has to satisfy."""
        return AppraisalPolicy(
            rules=(
                AnswersChallenge(challenge=self.challenge),
                OfThisChip(),
                OfThisBoot(),
                WithinCertificate(),
                CertifiedNow(now=self.now),
                OfAcceptedKind(kinds=self.kinds),
                VouchedByPlatform(),
                OfKnownModel(),
                DebuggingOff(),
                Untampered(),
                CountersAgree(),
                OfKnownFirmware(),
                *(() if self.revocations is None else (NotRevoked(now=self.now),)),
                *self.rules,
            )
        )


def appraise_evidence(
    evidence: Evidence, roots: Sequence[MakerRoot], expected: Expectations
) -> AttestationResult:
    """Return what the evidence is worth.

    Raises:
        EncodingError: a part of it is not a report, an endorsement or a certificate at all.
    """
    try:
        opened = open_evidence(evidence, roots)
    except AppraisalError as error:
        found = tuple(build_judgement(problem.reason, problem.detail) for problem in error.problems)
        return AttestationResult(judgements=found)
    signed = build_judgement("evidence-signed", f"is signed by {opened.name}, from the pinned root down")
    try:
        claims = ComputeReport.from_bytes(opened.report.payload)
    except EncodingError as error:
        wrong = tuple(_find_malformed(opened.report.payload, str(error)))
        return AttestationResult(judgements=(signed, *wrong))
    judged = expected.policy.judge(_build_subject(opened, claims, expected))
    return AttestationResult(judgements=(signed, *judged))


def _build_subject(opened: OpenedEvidence, claims: ComputeReport, expected: Expectations) -> Subject:
    given = tuple(signed.statement for signed in expected.references if signed.signer == opened.root.key)
    return Subject(
        claims=claims,
        signer=opened.report.signer,
        alias=opened.alias.statement,
        certificate=opened.certificate,
        models=tuple(values.model.encode() for values in given),
        firmware=tuple(find_firmware_problems(opened.alias.statement.firmware, _select(claims, given))),
        kind=opened.root.kind,
        revocations=_choose_lists(opened, expected),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AllRevocations:
    """Several lists of one maker: a chip that any of them revokes is revoked; the newest tells the age.

    No later list takes a chip back (VN-17.3), so what order they are given in must not matter.

    Attributes:
        lists: at least one.
    """

    lists: tuple[RevocationList, ...]

    def is_current(self, now: Milliseconds) -> bool:
        """Whether the newest counts at this time."""
        return max(self.lists, key=lambda listed: listed.number).is_current(now)

    def find_reason(self, ueid: bytes, /) -> str | None:
        """Return why a chip is revoked, or None where no list holds it."""
        return next((reason for listed in self.lists if (reason := listed.find_reason(ueid))), None)


def _choose_lists(opened: OpenedEvidence, expected: Expectations) -> AllRevocations | None:
    """Return the lists by the chip's own maker; no maker revokes another's chips."""
    given = [signed.statement for signed in expected.revocations or () if signed.signer == opened.root.key]
    return AllRevocations(lists=tuple(given)) if given else None


def _select(claims: ComputeReport, given: tuple[ReferenceValues, ...]) -> tuple[ReferenceValues, ...]:
    """Return those for the model that a chip names, or all: that it is of another, a rule says."""
    return tuple(values for values in given if values.model.encode() == claims.hw_model) or given


def _find_malformed(payload: bytes, detail: str) -> Iterator[Judgement]:
    """Yield what keeps signed bytes from being a report of the profile; at least one judgement."""
    try:
        claims = read_claims_set(payload)
    except EncodingError as error:
        yield build_judgement("claim-malformed", f"signed something that is no claims set: {error}")
        return
    found = tuple(_compare_to_profile(claims))
    yield from found or (build_judgement("claim-malformed", f"signed claims that are no report: {detail}"),)


def _compare_to_profile(claims: ClaimsSet) -> Iterator[Judgement]:
    profile = claims.claims.get(PROFILE)
    own = PROFILES.get(profile) if type(profile) is str else None
    if profile is not None and own is None:
        yield build_judgement("profile-unknown", f"names the profile {str(profile)[:80]!r}")
        return
    for member in compute_layout(ComputeReport):
        is_required = not member.optional or member.name in (own or ())
        if member.label not in claims.claims and is_required:
            yield build_judgement("claim-missing", f"lacks the claim {member.name} ({member.label})")
    if NONCE in claims.claims and len(claims.nonces) != NONCES:
        yield build_judgement(
            "nonce-count", f"carries {len(claims.nonces)} nonces, expected a challenge and a checkpoint"
        )
