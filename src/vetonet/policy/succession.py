"""Placeholder until the clause arrives: which treaty may succeed which (VN-16)."""

from __future__ import annotations

from collections.abc import Sequence

from vetonet.errors import RefusedError
from vetonet.policy.action import ActionClass
from vetonet.policy.treaty import Treaty


def verify_succession(history: Sequence[Treaty], successor: Treaty, action: ActionClass) -> None:
    """Hold that a treaty follows the last of these."""
    del action
    if successor.epoch != history[-1].epoch + 1:
        raise RefusedError("expected the next epoch", clause="VN-16.1")
