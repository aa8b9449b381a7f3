"""A verdict that travels: a verifier's result as a signed EAT attestation result (draft-ietf-rats-ear-04).

Anybody with the bundle judges it again and needs no such token. It is for a relying party that trusts a
verifier instead, and so it says who that is and what was judged by which trust root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from vetonet.attestation.ear import AFFIRMED, CONTRAINDICATED, NO_CLAIM
from vetonet.compliance.result import Claim, ComplianceResult, Verdict
from vetonet.crypto.cose import LABEL_ALG, LABEL_KID, LABEL_TYP, Sign1, parse_sign1, sign1
from vetonet.crypto.keys import PublicKey, SigningKey
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, UnknownPartyError

MEDIA_TYPE: Final = "application/eat+cwt"
"""RFC 9782; in the protected header, so that no other statement of a key passes for a result."""

EAR_PROFILE: Final = "tag:ietf.org,2026:rats/ear#04"
APPRAISAL_POLICY: Final = "tag:vetonet.example,2026:vn-10"
"""The policy by which every claim was judged: VN-10 of docs/protocol.md."""

DEVELOPER: Final = "tag:vetonet.example,2026:vetonet"
MAX_TOKEN_BYTES: Final = 1024 * 1024

STATUSES: Final[Mapping[Verdict, int]] = MappingProxyType(
    {
        Verdict.COMPLIANT: AFFIRMED,
        Verdict.INCONCLUSIVE: NO_CLAIM,
        Verdict.VIOLATION: CONTRAINDICATED,
    }
)
"""The trust tier of each verdict: INCONCLUSIVE makes no claim, neither for nor against (AR4SI 2.3.2)."""

_IAT: Final = 6  # RFC 8392 section 3.1
_EAT_PROFILE: Final = 265  # RFC 9711 section 10.2
_SUBMODS: Final = 266
_STATUS: Final = 1000  # draft-ietf-rats-ear-04 section 4
_POLICY_IDS: Final = 1003
_VERIFIER_ID: Final = 1004
_RESULT: Final = -70300
"""Private claims: the whole result as ``verify --json`` prints it, and at each claim its reason codes."""
_REASONS: Final = -70301
_LABELS: Final = frozenset({_IAT, _EAT_PROFILE, _SUBMODS, _STATUS, _VERIFIER_ID, _RESULT})
_MAX_SECONDS: Final = 2**40
_JUDGED: Final = {
    "bundle_sha256": str,
    "treaty_sha256": str,
    "log_root": str,
    "tree_size": int,
    "judged_at_ms": int,
}
_WORSE: Final = (Verdict.COMPLIANT, Verdict.INCONCLUSIVE, Verdict.VIOLATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultToken:
    """What a verifier signed; whether it is to be trusted is for its reader to know.

    Attributes:
        signer: the verifier's key.
        issued_at_s: when it signed, in seconds since the Unix epoch.
        build: the version of the program that judged.
        verdict: the worst of all claims'.
        verdicts: the verdict on each claim.
        reasons: the reason codes that stand against each claim.
        result: the whole, as plain values: what was judged, as of when, with every problem.
    """

    signer: PublicKey
    issued_at_s: int
    build: str
    verdict: Verdict
    verdicts: Mapping[Claim, Verdict]
    reasons: Mapping[Claim, tuple[str, ...]]
    result: Mapping[str, Any] = field(repr=False)


def sign_result(result: ComplianceResult, key: SigningKey, *, issued_at_s: int, build: str) -> bytes:
    """Return the result as a COSE_Sign1 of CWT claims, signed by a verifier.

    Args:
        result: what was found.
        key: the verifier's.
        issued_at_s: the time of signing, in seconds since the Unix epoch.
        build: the version of the program that judged.

    Raises:
        EncodingError: the result is too long for a token.
    """
    claims = {
        _IAT: issued_at_s,
        _EAT_PROFILE: EAR_PROFILE,
        _SUBMODS: {entry.claim.value: _to_appraisal(result, entry.claim) for entry in result.claims},
        _STATUS: STATUSES[result.verdict],
        _VERIFIER_ID: {0: DEVELOPER, 1: build},
        _RESULT: result.to_plain(),
    }
    data = sign1(cbor.to_bytes(claims), _build_header(key.public_key), key)
    if len(data) > MAX_TOKEN_BYTES:
        raise EncodingError(f"expected a result of at most {MAX_TOKEN_BYTES} bytes, got {len(data)}")
    return data


def open_result(data: bytes, key: PublicKey) -> ResultToken:
    """Return what this verifier signed.

    Args:
        data: untrusted bytes.
        key: the verifier's, from somewhere trusted.

    Raises:
        EncodingError: not such a token, or one that contradicts itself.
        UnknownPartyError: another key signed it.
        InvalidSignatureError: nobody did.
    """
    token = parse_sign1(data, max_bytes=MAX_TOKEN_BYTES)
    _verify_signer(token, key)
    claims = cbor.from_bytes(token.payload, max_bytes=MAX_TOKEN_BYTES)
    try:
        return _read_claims(claims, key)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EncodingError("not a compliance result of the profile that we read") from error


def _build_header(key: PublicKey) -> dict[cbor.Item, cbor.Item]:
    return {LABEL_ALG: int(key.algorithm), LABEL_KID: key.key_id, LABEL_TYP: MEDIA_TYPE}


def _to_appraisal(result: ComplianceResult, claim: Claim) -> dict[int, cbor.Item]:
    (entry,) = (entry for entry in result.claims if entry.claim is claim)
    return {
        _STATUS: STATUSES[entry.verdict],
        _POLICY_IDS: [APPRAISAL_POLICY],
        _REASONS: sorted({problem.reason for problem in entry.problems}),
    }


def _verify_signer(token: Sign1, key: PublicKey) -> None:
    if token.unprotected or token.protected.get(LABEL_TYP) != MEDIA_TYPE:
        raise EncodingError(f"expected a signed {MEDIA_TYPE} without unprotected header")
    if token.protected.get(LABEL_KID) != key.key_id:
        raise UnknownPartyError("the result is signed by another key than the given one")
    if dict(token.protected) != _build_header(key):
        raise EncodingError("expected algorithm, key id and type in the protected header, and no more")
    token.verify(key)


def _read_claims(claims: cbor.Item, key: PublicKey) -> ResultToken:
    if (
        claims.keys() != _LABELS
        or claims[_EAT_PROFILE] != EAR_PROFILE
        or claims[_VERIFIER_ID].keys() != {0, 1}
    ):
        raise ValueError("another profile")
    by_status = {status: verdict for verdict, status in STATUSES.items()}
    verdicts = {Claim(name): by_status[entry[_STATUS]] for name, entry in claims[_SUBMODS].items()}
    verdict, result = by_status[claims[_STATUS]], claims[_RESULT]
    told = {Claim(entry["claim"]): Verdict(entry["verdict"]) for entry in result["claims"]}
    if told != verdicts or set(verdicts) != set(Claim):
        raise ValueError("the parts name other verdicts than the whole")
    if verdict is not max(verdicts.values(), key=_WORSE.index) or result["verdict"] != verdict.value:
        raise ValueError("the verdict is not the worst of the claims'")
    issued_at_s, build = claims[_IAT], claims[_VERIFIER_ID][1]
    if type(issued_at_s) is not int or not 0 <= issued_at_s <= _MAX_SECONDS or type(build) is not str:
        raise ValueError("no time of signing, or no program")
    if any(type(result[name]) is not kind for name, kind in _JUDGED.items()):
        raise ValueError("it does not say what was judged")
    reasons = _read_reasons(claims[_SUBMODS])
    if {Claim(entry["claim"]): _list_reasons(entry["problems"]) for entry in result["claims"]} != reasons:
        raise ValueError("the parts give other reasons than the whole")
    _require_plain(result)
    return ResultToken(
        signer=key,
        issued_at_s=issued_at_s,
        build=build,
        verdict=verdict,
        verdicts=MappingProxyType(verdicts),
        reasons=MappingProxyType(reasons),
        result=MappingProxyType(result),
    )


def _list_reasons(problems: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({problem["reason"] for problem in problems}))


def _require_plain(value: object) -> None:
    """Hold that JSON can say it: whoever reads a result may want to print it."""
    match value:
        case dict():
            for name, inner in value.items():
                if type(name) is not str:
                    raise ValueError("a name that is no text")
                _require_plain(inner)
        case list():
            for inner in value:
                _require_plain(inner)
        case None | bool() | int() | str():
            return
        case _:
            raise ValueError("a value that JSON cannot say")


def _read_reasons(submodules: Mapping[str, Mapping[int, cbor.Item]]) -> dict[Claim, tuple[str, ...]]:
    reasons = {Claim(name): tuple(entry[_REASONS]) for name, entry in submodules.items()}
    if any(type(reason) is not str for listed in reasons.values() for reason in listed):
        raise ValueError("a reason that is no code")
    return reasons
