"""Refresh: the same members, threshold and key, and new shares, so that a stolen old one is worth nothing.

Proactive secret sharing (Herzberg, Jarecki, Krawczyk and Yung, "Proactive secret sharing or: how to cope
with perpetual leakage", 1995) adds polynomials without a constant term to every member's share. Resharing a
group to itself has the same outcome and is one protocol instead of two. It also needs min_signers dealers
only, and gives a member that missed an earlier refresh its share back. A thief has to steal min_signers
shares between two refreshes; shares of before that were not erased stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.crypto.frost.keys import Identifier, PublicKeyPackage
from vetonet.crypto.frost.resharing import Resharing


def plan_refresh(group: PublicKeyPackage, *, dealers: Iterable[Identifier], context: bytes) -> Resharing:
    """Return the resharing of a group to itself; its rounds are those of ``resharing``.

    Args:
        group: the group's public values in the present epoch.
        dealers: the members that deal, at least min_signers of them.
        context: names the group, its new epoch and the attempt.

    Raises:
        UnknownPartyError: a dealer is not in the group.
        ProtocolError: fewer dealers than a quorum, or one is there twice.
        ValueError: the context is empty.
    """
    return Resharing(
        old=group,
        dealers=tuple(dealers),
        identifiers=group.identifiers,
        min_signers=group.min_signers,
        context=context,
    )
