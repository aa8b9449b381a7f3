"""What a vote is about: a run that an operator proposes, or a motion of a party."""

from __future__ import annotations

from typing import TypeAlias

from vetonet.crypto.statement import Signed, peek, read_unverified
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Motion, open_motion
from vetonet.policy.proposal import Proposal, open_proposal
from vetonet.policy.treaty import Treaty

Matter: TypeAlias = Proposal | Motion


def open_matter(data: bytes, treaty: Signed[Treaty]) -> Signed[Proposal] | Signed[Motion]:
    """Return the proposal or motion that can be voted on under this treaty.

    Raises:
        EncodingError: neither.
        VetonetError: as ``open_proposal`` and ``open_motion``.
    """
    return open_motion(data, treaty) if peek(data).kind == Motion.TYPE else open_proposal(data, treaty)


def read_treaty_reference(data: bytes) -> bytes:
    """Return the digest of the treaty that a proposal or motion names, believing nothing else of it.

    Raises:
        EncodingError: it is neither.
    """
    kind: type[Proposal | Motion] = Motion if peek(data).kind == Motion.TYPE else Proposal
    return read_unverified(data, kind).treaty_digest


def find_action(matter: Matter) -> ActionClass:
    """Return the class of action that a matter is of: whose consent it takes."""
    return matter.action if isinstance(matter, Motion) else ActionClass.RUN_GRANT


def find_recused(matter: Matter, treaty: Treaty) -> frozenset[str]:
    """Return the operator's own party: of a run nobody grants to itself (VN-4.5)."""
    if isinstance(matter, Motion):
        return frozenset()
    party_id = treaty.find_operator(matter.operator_id).party_id
    return frozenset() if party_id is None else frozenset({party_id})


def describe_sponsor(matter: Matter) -> str:
    """Return who asks for it."""
    return matter.mover if isinstance(matter, Motion) else matter.operator_id
