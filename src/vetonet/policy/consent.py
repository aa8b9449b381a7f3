"""What a quorum signed: a statement that the groups of one class of action agreed to (VN-7.8)."""

from __future__ import annotations

from typing import TypeVar

from vetonet.crypto.statement import Signed, Statement, open_group_statement
from vetonet.errors import InvalidSignatureError
from vetonet.policy.action import ActionClass
from vetonet.policy.treaty import Treaty

S = TypeVar("S", bound=Statement)


def open_decided(data: bytes, kind: type[S], treaty: Treaty, action: ActionClass) -> Signed[S]:
    """Return a statement that enough groups of this treaty signed for this class of action.

    One signature (RFC 9591) stands for each threshold; those that are there must make the expression hold.

    Raises:
        EncodingError: another structure, type or spelling.
        UnknownPartyError: a signer is no group of this class of action.
        InvalidSignatureError: a signature does not verify, or the groups that signed are not enough.
        RefusedError: nobody can decide this class of action.
    """
    groups = treaty.list_groups(action)
    signed = open_group_statement(data, kind, {group.key.key_id: group.key for group in groups})
    leaves = frozenset(group.leaf for group in groups if group.key in signed.signers)
    if not treaty.find_quorum(action).expression.is_signed_by(leaves):
        absent = tuple(group.key.key_id.hex() for group in groups if group.key not in signed.signers)
        msg = (
            f"a {kind.TYPE} signed by {len(leaves)} of {len(groups)} groups, which is not consent to {action}"
        )
        raise InvalidSignatureError(msg, culprits=absent)
    return signed
