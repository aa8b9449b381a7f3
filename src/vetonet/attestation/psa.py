"""PSA tokens (RFC 9783, and Arm's profile 2.0.0 before it): the evidence of other chips, appraised like ours.

A token is a COSE_Sign1 by a key that the maker endorses for one instance of one implementation; there are no
certificates. Two profiles are read: 2.0.0 with registered claims, and the first with its private ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final

from vetonet.attestation.appraisal_policy import AppraisalPolicy, Found, SingleRule
from vetonet.attestation.appraisal_reasons import build_judgement
from vetonet.attestation.ear import AttestationResult, Judgement
from vetonet.attestation.eat import NONCE, PROFILE, UEID, ClaimsSet, read_claims_set, rename_claims
from vetonet.crypto import cose
from vetonet.crypto.keys import UEID_RAND, PublicKey
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError

PSA_PROFILE: Final = "http://arm.com/psa/2.0.0"
PSA_PROFILES: Final = frozenset({PSA_PROFILE, "tag:psacertified.org,2023:psa#tfm"})
OLD_PROFILE: Final = "PSA_IOT_PROFILE_1"
MAX_TOKEN_BYTES: Final = 16 * 1024
HASH_SIZES: Final = frozenset({32, 48, 64})

CLIENT_ID: Final = 2394
LIFECYCLE: Final = 2395
IMPLEMENTATION_ID: Final = 2396
BOOT_SEED: Final = 2397
CERTIFICATION: Final = 2398
COMPONENTS: Final = 2399
VERIFIER_URI: Final = 2400
OLD_PROFILE_LABEL: Final = -75000
OLD_LABELS: Final[Mapping[int, int]] = MappingProxyType(
    {
        OLD_PROFILE_LABEL: PROFILE,
        -75001: CLIENT_ID,
        -75002: LIFECYCLE,
        -75003: IMPLEMENTATION_ID,
        -75004: BOOT_SEED,
        -75005: CERTIFICATION,
        -75006: COMPONENTS,
        -75008: NONCE,
        -75009: UEID,
        -75010: VERIFIER_URI,
    }
)
"""The private claims of the first profile, and the registered one that each became."""

_VALIDITY: Final = frozenset({4, 5})  # exp and nbf: whoever passes them over takes what has expired
_SECURED: Final = range(0x3000, 0x3100)  # RFC 9783 section 4.3.1; the low byte is the maker's own
_INSTANCE_BYTES: Final = 33
_IMPLEMENTATION_BYTES: Final = 32
_MAX_LIFECYCLE: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class PsaComponent:
    """One measured piece of software.

    Attributes:
        kind: what it is, such as ``BL``; or None.
        measurement: the hash of it.
        version: as its signer calls it, or None.
        signer_id: hash of the key that signed it.
    """

    kind: str | None
    measurement: bytes
    version: str | None
    signer_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PsaClaims:
    """What a token says; nothing in it is trusted yet.

    Attributes:
        nonce: what it answers.
        instance_id: which device.
        implementation_id: which hardware.
        lifecycle: whether the device is secured, being debugged or decommissioned.
        client_id: who asked for it, on the device.
        components: its software.
    """

    nonce: bytes
    instance_id: bytes
    implementation_id: bytes
    lifecycle: int
    client_id: int
    components: tuple[PsaComponent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PsaEndorsements:
    """What makers say of PSA devices, by the word of whoever gives it to the verifier.

    Attributes:
        keys: the key of each device, by implementation and instance.
        references: the software that each implementation may run.
    """

    keys: Mapping[tuple[bytes, bytes], PublicKey] = field(default_factory=dict)
    references: Mapping[bytes, Sequence[PsaComponent]] = field(default_factory=dict)


def is_psa_token(data: bytes) -> bool:
    """Whether bytes may be a PSA token and are no evidence of ours: a COSE_Sign1 stands for itself."""
    return data.startswith(cose.TAG_SIGN1)


def appraise_psa(data: bytes, endorsements: PsaEndorsements, nonce: bytes) -> AttestationResult:
    """Return what a PSA token is worth to a verifier that asked with ``nonce``.

    A signature with the high ``s`` is refused, as everywhere in vetonet: each token has one spelling. Whoever
    carries a token of a signer that does not see to that may put n - s in its place.

    Raises:
        EncodingError: not a COSE_Sign1 over a claims set at all.
    """
    token = cose.parse_sign1(data, max_bytes=MAX_TOKEN_BYTES)
    if token.unprotected:
        raise EncodingError("expected a token without unprotected header, for which nobody vouches")
    claims = _rename(read_claims_set(token.payload))
    wrong = tuple(_find_malformed(claims))
    if wrong:
        return AttestationResult(judgements=wrong)
    parsed = _parse(claims.claims)
    refusal = _verify(token, parsed, endorsements)
    if refusal is not None:
        return AttestationResult(judgements=(refusal,))
    name = f"instance {parsed.instance_id.hex()[:16]}"
    authentic = (
        build_judgement("evidence-signed", f"is signed by the endorsed key of {name}"),
        build_judgement("implementation-recognised", "is of hardware for which its maker endorses that key"),
    )
    references = endorsements.references.get(parsed.implementation_id, ())
    policy = AppraisalPolicy(
        rules=(*PSA_RULES.rules, AnswersNonce(nonce=nonce), RunsKnown(references=tuple(references)))
    )
    return AttestationResult(judgements=(*authentic, *policy.judge(parsed)))


def read_psa_claims(payload: bytes) -> PsaClaims:
    """Return the claims of a token's payload, of either profile.

    Raises:
        EncodingError: not a claims set of a PSA profile.
    """
    claims = _rename(read_claims_set(payload))
    wrong = next(_find_malformed(claims), None)
    if wrong is not None:
        raise EncodingError(f"{wrong.reason}: the token {wrong.detail}")
    return _parse(claims.claims)


def _rename(claims: ClaimsSet) -> ClaimsSet:
    """Return the claims under their registered labels, if they are of the first profile and only of that."""
    is_old = claims.claims.get(OLD_PROFILE_LABEL) == OLD_PROFILE
    if is_old and PROFILE in claims.claims:
        raise EncodingError("names two profiles")
    if not is_old and not OLD_LABELS.keys().isdisjoint(claims.claims):
        raise EncodingError("holds claims of the first profile under another")
    return rename_claims(claims, OLD_LABELS) if is_old else claims


def _verify(token: cose.Sign1, claims: PsaClaims, endorsements: PsaEndorsements) -> Judgement | None:
    """Return why the token is not authentic, or None where it is."""
    key = endorsements.keys.get((claims.implementation_id, claims.instance_id))
    if key is None:
        name = f"instance {claims.instance_id.hex()[:16]}"
        return build_judgement("instance-unknown", f"names {name}, for which nobody endorsed a key")
    try:
        token.verify(key)
    except InvalidSignatureError as error:
        return build_judgement("report-forged", f"does not hold: {error}")
    return None


def _find_malformed(claims: ClaimsSet) -> Iterator[Judgement]:
    held = claims.claims
    profile = held.get(PROFILE)
    if profile not in {*PSA_PROFILES, OLD_PROFILE}:
        yield build_judgement("profile-unknown", f"names the profile {str(profile)[:80]!r}")
        return
    if not _VALIDITY.isdisjoint(held):
        yield build_judgement("claim-malformed", "has a validity of its own, which its profile does not know")
    for label, (name, is_fitting) in _DEMANDED.items():
        if label not in held:
            yield build_judgement("claim-missing", f"lacks the claim {name}")
        elif label == NONCE and type(held[NONCE]) is not bytes:
            yield build_judgement("nonce-count", f"carries {len(claims.nonces)} nonces, expected one")
        elif not is_fitting(held[label]):
            yield build_judgement("claim-malformed", f"has another value than a {name}")


def _is_hash(value: cbor.Item) -> bool:
    return type(value) is bytes and len(value) in HASH_SIZES


def _is_instance(value: cbor.Item) -> bool:
    return type(value) is bytes and len(value) == _INSTANCE_BYTES and value.startswith(UEID_RAND)


def _is_implementation(value: cbor.Item) -> bool:
    return type(value) is bytes and len(value) == _IMPLEMENTATION_BYTES


def _is_lifecycle(value: cbor.Item) -> bool:
    return type(value) is int and 0 <= value <= _MAX_LIFECYCLE


def _is_whole(value: cbor.Item) -> bool:
    return type(value) is int


def _is_component(item: cbor.Item) -> bool:
    if type(item) is not dict or not {2, 5} <= item.keys() <= {1, 2, 4, 5, 6}:
        return False
    has_hashes = _is_hash(item[2]) and _is_hash(item[5])
    return has_hashes and all(type(item[label]) is str for label in (1, 4, 6) if label in item)


def _are_components(value: cbor.Item) -> bool:
    return type(value) is list and bool(value) and all(map(_is_component, value))


_DEMANDED: Final[Mapping[int, tuple[str, Callable[[cbor.Item], bool]]]] = MappingProxyType(
    {
        NONCE: ("psa-nonce", _is_hash),
        UEID: ("psa-instance-id", _is_instance),
        CLIENT_ID: ("psa-client-id", _is_whole),
        LIFECYCLE: ("psa-security-lifecycle", _is_lifecycle),
        IMPLEMENTATION_ID: ("psa-implementation-id", _is_implementation),
        COMPONENTS: ("psa-software-components", _are_components),
    }
)
"""The claims that a token must hold beside its profile (RFC 9783 section 4), and whether a value is one."""


def _parse(held: Mapping[int | str, cbor.Item]) -> PsaClaims:
    return PsaClaims(
        nonce=held[NONCE],
        instance_id=held[UEID],
        implementation_id=held[IMPLEMENTATION_ID],
        lifecycle=held[LIFECYCLE],
        client_id=held[CLIENT_ID],
        components=tuple(
            PsaComponent(kind=item.get(1), measurement=item[2], version=item.get(4), signer_id=item[5])
            for item in held[COMPONENTS]
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersNonce(SingleRule[PsaClaims]):
    """The token answers the nonce that this verifier gave."""

    GOOD: ClassVar[str] = "nonce-fresh"
    PRAISE: ClassVar[str] = "answers the nonce that was given"

    nonce: bytes

    def find_problems(self, evidence: PsaClaims, /) -> Iterator[Found]:
        """Yield ``nonce-stale`` where it answers another."""
        if evidence.nonce != self.nonce:
            answered = evidence.nonce.hex()
            yield "nonce-stale", f"answers another nonce: expected {self.nonce.hex()}, got {answered}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """The device is in the one state in which its keys, memory and storage are closed to everybody."""

    PAIRS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("lifecycle-unsecured", "lifecycle-secured"),
        ("memory-exposed", "memory-isolated"),
        ("storage-exposed", "storage-sealed"),
    )

    def find_problems(self, evidence: PsaClaims, /) -> Iterator[Found]:
        """Yield that keys, memory and storage are exposed where it is in another state."""
        if evidence.lifecycle not in _SECURED:
            for bad, _ in self.PAIRS:
                yield bad, f"says that the lifecycle of its device is {evidence.lifecycle:#06x}, not secured"

    def judge(self, evidence: PsaClaims, /) -> Iterator[Judgement]:
        """Yield three judgements, of keys, memory and storage."""
        found = tuple(self.find_problems(evidence))
        for reason, detail in found or tuple(
            (good, "says that its device is secured") for _, good in self.PAIRS
        ):
            yield build_judgement(reason, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsKnown(SingleRule[PsaClaims]):
    """Every component is one that the maker gave reference values for.

    A component is recognised by its measurement, and by its version where both state one. Who signed it is
    not compared: the measurement fixes that already.
    """

    GOOD: ClassVar[str] = "firmware-recognised"
    PRAISE: ClassVar[str] = "measured software that its maker gave reference values for"

    references: tuple[PsaComponent, ...]

    def find_problems(self, evidence: PsaClaims, /) -> Iterator[Found]:
        """Yield ``reference-missing``, or ``component-mismatched`` for each component that is not known."""
        if not self.references:
            yield "reference-missing", "is of an implementation for which no reference values are given"
            return
        for component in evidence.components:
            if not any(_is_same(component, reference) for reference in self.references):
                name = f"{component.kind or 'a component'} {component.version or ''}".rstrip()
                yield (
                    "component-mismatched",
                    f"measured {name} as {component.measurement.hex()[:16]}, unknown",
                )


def _is_same(component: PsaComponent, reference: PsaComponent) -> bool:
    versions = {component.version, reference.version} - {None}
    return component.measurement == reference.measurement and len(versions) <= 1


PSA_RULES: Final[AppraisalPolicy[PsaClaims]] = AppraisalPolicy(rules=(Secured(),))
"""What every PSA token must satisfy, whoever asks."""
