"""Every error vetonet raises: one tree, typed fields, culprits by name, digests never contents.

A veto is a result, not an error. Misuse by our own code is ``ValueError``. Foreign exceptions are
translated at the boundary with ``raise ... from``; one that leaks out is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INSTALL_RIM: Final = ".venv/bin/pip install -e '.[rim]'"
INSTALL_SIM: Final = ".venv/bin/pip install -e '.[sim]'"
INSTALL_TPM: Final = ".ci/install-tpm, after swtpm, libtss2-dev, gcc and pkg-config of the system"
"""How the extras get installed, in a checkout: this project is on no package index."""


class VetonetError(Exception):
    """The root of the tree; ``reason`` is the stable machine-readable code of the class."""

    reason: str = "error"


class EncodingError(VetonetError):
    """The bytes are not the one accepted spelling of anything."""

    reason = "encoding"


class ConfigError(VetonetError):
    """A file, flag or setting of the user's is not usable."""

    reason = "config"


class StorageError(VetonetError):
    """The journal cannot be read or written; nothing was acknowledged."""

    reason = "storage"


class ProtocolError(VetonetError):
    """A participant broke a rule of the protocol.

    Attributes:
        culprit: the party, operator or device at fault, or None where nobody can be named.
        clause: the number of the broken rule in docs/protocol.md, such as ``VN-4.2``.
    """

    reason = "protocol"

    def __init__(self, message: str, *, culprit: str | None = None, clause: str | None = None) -> None:
        super().__init__(message)
        self.culprit: Final = culprit
        self.clause: Final = clause


class UnknownPartyError(ProtocolError):
    """The signer is on no roster."""

    reason = "unknown-party"


class UnexpectedEventError(ProtocolError):
    """The event has no transition from the present phase."""

    reason = "unexpected-event"


class EquivocationError(ProtocolError):
    """One signer signed two conflicting statements; both are proof."""

    reason = "equivocation"


class ExpiredError(ProtocolError):
    """The statement came outside its window."""

    reason = "expired"


class EpochError(ProtocolError):
    """The statement names another treaty or another epoch."""

    reason = "wrong-epoch"


class RefusedError(ProtocolError):
    """The rules say no to a well-formed request."""

    reason = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that verification found wrong.

    Attributes:
        reason: the stable reason code, such as ``report-forged``.
        detail: one line for people.
        culprit: who is at fault, or None where nobody can be named.
    """

    reason: str
    detail: str
    culprit: str | None = None

    def __str__(self) -> str:
        """Return one line: reason, culprit where there is one, detail."""
        who = f" [{self.culprit}]" if self.culprit else ""
        return f"{self.reason}{who}: {self.detail}"


class VerificationError(VetonetError):
    """Something signed, proven or attested does not hold.

    Attributes:
        problems: every problem found, in the order of the steps.
    """

    reason = "verification"

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems: Final = problems


class InvalidSignatureError(VerificationError):
    """A signature, key or signature share does not verify.

    Attributes:
        culprits: the identifiers of the participants whose contribution was bad, sorted.
    """

    reason = "invalid-signature"

    def __init__(self, message: str, *, culprits: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.culprits: Final = culprits


class WitnessQuorumError(VerificationError):
    """Too few witnesses vouch for a checkpoint, so nothing that rests on it counts."""

    reason = "witness-quorum"


class ProofError(VerificationError):
    """An inclusion, consistency or possession proof does not hold."""

    reason = "proof"


class AppraisalError(VerificationError):
    """Evidence of an attester was not accepted."""

    reason = "appraisal"


class ComplianceError(VerificationError):
    """A bundle does not show compliance; ``problems`` says why."""

    reason = "compliance"
