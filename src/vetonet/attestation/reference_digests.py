"""The maker's word on firmware, as digests of the whole: what a model may run, and what no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vetonet.attestation.appraisal_policy import Found, SingleRule
from vetonet.attestation.report import MAX_MODEL_BYTES
from vetonet.attestation.report_rules import Subject
from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Signed, Statement, open_statement
from vetonet.encoding.record import DIGEST, many, member, tstr

MAX_DIGESTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDigests(Statement):
    """The firmware of one model, signed by its maker's root key.

    Attributes:
        endorser_id: the maker.
        model: its name of the model, as reports name it.
        accepted: digests of firmware that is in order.
        outdated: digests of firmware that was in order and has known weaknesses now.
    """

    TYPE: ClassVar[str] = "reference-digests"

    endorser_id: str = member(1, tstr(64))
    model: str = member(2, tstr(MAX_MODEL_BYTES))
    accepted: tuple[bytes, ...] = member(3, many(DIGEST, minimum=1, maximum=MAX_DIGESTS))
    outdated: tuple[bytes, ...] = member(4, many(DIGEST, maximum=MAX_DIGESTS))


def open_reference_digests(data: bytes, roots: Sequence[PublicKey]) -> Signed[ReferenceDigests]:
    """Return reference digests that one of these makers' root keys signed.

    Raises:
        EncodingError: not reference digests.
        UnknownPartyError: none of the makers signed them.
        InvalidSignatureError: the signature does not verify.
    """
    return open_statement(data, ReferenceDigests, {root.key_id: root for root in roots})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsReferenceFirmware(SingleRule[Subject]):
    """The chip measured firmware that its maker gave a reference value for, and that is not outdated.

    Attributes:
        references: by the maker that signed the chip's certificate, and verified.
    """

    GOOD: ClassVar[str] = "firmware-recognised"
    PRAISE: ClassVar[str] = "measured firmware that its maker gave a reference value for"

    references: tuple[ReferenceDigests, ...]

    def find_problems(self, evidence: Subject, /) -> Iterator[Found]:
        """Yield ``reference-missing``, ``component-outdated`` or ``component-mismatched``.

        A chip that names a model without reference values is held against all there are; that it is of
        another model, another rule says.
        """
        model = evidence.claims.hw_model.decode("ascii", "replace")
        known = [reference for reference in self.references if reference.model == model] or self.references
        measured = evidence.alias.firmware_digest
        if not known:
            yield "reference-missing", "is by a chip for which no reference values are given"
        elif any(measured in reference.outdated for reference in known):
            yield "component-outdated", f"measured firmware {measured.hex()[:16]}, which has known weaknesses"
        elif not any(measured in reference.accepted for reference in known):
            yield "component-mismatched", f"measured firmware {measured.hex()[:16]}, which nobody vouches for"
