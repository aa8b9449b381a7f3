"""A chain of certificates up to a pinned root: names, signatures, authority, validity (RFC 5280 section 6).

The chain brings its own root along, and that is never believed: its *key* must be one of those given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from vetonet.attestation.maker_root import MakerRoot
from vetonet.attestation.spdm.certificate import Certificate
from vetonet.errors import InvalidSignatureError, Problem
from vetonet.units import Milliseconds, format_time

DEVICE_CHAIN: Final = 5
"""A chip's own certificate, the one of its boot ROM, two authorities of the maker, and the root."""


def find_chain_problems(
    chain: Sequence[Certificate], roots: Sequence[MakerRoot], now: Milliseconds
) -> tuple[Problem, ...]:
    """Return everything that keeps a chain, the signer's certificate first, from ending in a given root.

    Args:
        chain: at least one certificate.
        roots: whose keys are trusted; nothing else of theirs counts.
        now: when all of the chain must be valid.
    """
    return (
        *_find_root_problems(chain[-1], roots),
        *_find_link_problems(chain),
        *_find_role_problems(chain),
        *_find_validity_problems(chain, now),
    )


def _find_root_problems(top: Certificate, roots: Sequence[MakerRoot]) -> Iterator[Problem]:
    if any(root.key == top.key for root in roots):
        return
    namesakes = [root for root in roots if root.subject == top.subject]
    why = "another key under the name of a given root" if namesakes else "none of the roots given for this"
    yield Problem(reason="maker-unknown", detail=f"the chain ends in {top.name}, {why}")


def _find_link_problems(chain: Sequence[Certificate]) -> Iterator[Problem]:
    """Each certificate names the next as its issuer and is signed by its key; the last by its own."""
    for certificate, issuer in pairwise((*chain, chain[-1])):
        if certificate.issuer != issuer.subject:
            yield Problem(
                reason="chain-broken", detail=f"{certificate.name} names another issuer than {issuer.name}"
            )
        try:
            certificate.verify_issued_by(issuer.key)
        except InvalidSignatureError:
            yield Problem(
                reason="certificate-forged",
                detail=f"{certificate.name} is not signed by the key of {issuer.name}",
            )


def _find_role_problems(chain: Sequence[Certificate]) -> Iterator[Problem]:
    """The signer may sign data and issue nothing; everybody above may issue, as far down as it says."""
    for depth, certificate in enumerate(chain):
        for demand in certificate.demands:
            yield _refuse(certificate, f"demands extension {demand}, which is not known here")
        if depth == 0:
            if certificate.is_authority or certificate.can_certify or not certificate.can_sign:
                yield _refuse(certificate, "is not for signing data alone")
        elif not certificate.is_authority or not certificate.can_certify:
            yield _refuse(certificate, "may not issue certificates")
        elif certificate.path_length is not None and certificate.path_length < depth - 1:
            yield _refuse(
                certificate, f"allows {certificate.path_length} authorities below it, got {depth - 1}"
            )


def _find_validity_problems(chain: Sequence[Certificate], now: Milliseconds) -> Iterator[Problem]:
    for certificate in chain:
        if not certificate.is_valid_at(now):
            start, end = format_time(certificate.not_before_ms), format_time(certificate.not_after_ms)
            yield Problem(
                reason="certificate-expired",
                detail=f"{certificate.name} is valid from {start} to {end}, not at {format_time(now)}",
            )


def _refuse(certificate: Certificate, why: str) -> Problem:
    return Problem(reason="certificate-unusable", detail=f"{certificate.name} {why}")
