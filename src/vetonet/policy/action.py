"""What parties decide together: one class of action, one quorum (VN-4.6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ActionClass(StrEnum):
    """A kind of decision; a treaty that names no quorum for one lets nobody take it.

    ``REMOVE_BASELINE`` (that large runs need consent at all) is a word for what no treaty can say: it has no
    quorum, and parsing refuses a treaty that gives it one (RFD 025).
    """

    RUN_GRANT = "run-grant"
    LEASE_RENEWAL = "lease-renewal"
    EMERGENCY_SUSPENSION = "emergency-suspension"
    SUSPENSION_CONFIRMATION = "suspension-confirmation"
    SECURITY_PATCH = "security-patch"
    NEW_GUARANTEE = "new-guarantee"
    AMEND_RULES = "amend-rules"
    ROSTER_CHANGE = "roster-change"
    REMOVE_BASELINE = "remove-baseline"


IMPOSSIBLE: Final = frozenset({ActionClass.REMOVE_BASELINE})
"""What no quorum can do, however large."""

REQUIRED: Final = (ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL)
"""Without these a treaty regulates nothing."""
