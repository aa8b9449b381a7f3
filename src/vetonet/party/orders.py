"""What a party tells its own running daemon: to vote, to withdraw consent, to give it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from vetonet.errors import EncodingError
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Standing
from vetonet.v1 import party_pb2, resources_pb2
from vetonet.wire import convert

STANDINGS: Final[Mapping[Standing, party_pb2.Standing.ValueType]] = {
    Standing.GIVEN: party_pb2.STANDING_GIVEN,
    Standing.WITHDRAWN: party_pb2.STANDING_WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """An order that was carried out.

    Attributes:
        leaf_index: where the log holds what the party said.
        undelivered: parties that could not be told directly yet.
    """

    leaf_index: int
    undelivered: tuple[str, ...]


class Orders(Protocol):
    """What takes the party's orders."""

    async def cast_vote(self, name: str, choice: Choice, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's ballot.

        Raises:
            VetonetError: it does not hold it.
        """
        ...

    async def state_consent(self, name: str, standing: Standing, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's word on its consent.

        Raises:
            VetonetError: it does not hold it.
        """
        ...


async def carry_vote(orders: Orders, request: party_pb2.CastVoteRequest) -> party_pb2.CastVoteResponse:
    """Return the answer to a request to vote.

    Raises:
        EncodingError: a malformed field.
        VetonetError: it was not carried out.
    """
    convert.parse_proposal_name(request.name)
    choice = convert.read_choice(resources_pb2.BallotSummary(choice=request.choice))
    done = await orders.cast_vote(request.name, choice, _read_reason(request.reason))
    return party_pb2.CastVoteResponse(leaf_index=done.leaf_index, undelivered=done.undelivered)


async def carry_consent(
    orders: Orders, request: party_pb2.StateConsentRequest
) -> party_pb2.StateConsentResponse:
    """Return the answer to a request to withdraw consent, or to give it.

    Raises:
        EncodingError: a malformed field.
        VetonetError: it was not carried out.
    """
    convert.parse_proposal_name(request.name)
    found = [standing for standing, value in STANDINGS.items() if value == request.standing]
    if not found:
        raise EncodingError("a standing that this version does not know")
    done = await orders.state_consent(request.name, found[0], _read_reason(request.reason))
    return party_pb2.StateConsentResponse(leaf_index=done.leaf_index, undelivered=done.undelivered)


def _read_reason(text: str) -> VetoReason | None:
    if not text:
        return None
    try:
        return VetoReason(text)
    except ValueError as error:
        raise EncodingError(f"expected a reason of a ballot, got {text[:64]!r}") from error
