"""A party's call to its own running daemon, which takes orders from the party's certificate alone."""

from __future__ import annotations

from typing import Final

from vetonet.party.calls import CallPolicy
from vetonet.party.orders import STANDINGS, Carried
from vetonet.party.peer import PeerClient
from vetonet.policy.ballot import VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Standing
from vetonet.v1 import party_pb2
from vetonet.wire import convert

ORDER_POLICY: Final = CallPolicy(deadline_s=30.0, attempts=1)
"""A ballot is acknowledged once the log holds it, which takes the coordinator and its witnesses."""


class OrderClient(PeerClient):
    """The party's own daemon over gRPC."""

    __slots__ = ()

    async def cast_vote(self, name: str, choice: Choice, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's ballot, as its daemon verified.

        Raises:
            VetonetError: the daemon's refusal, or it cannot be reached.
        """
        request = party_pb2.CastVoteRequest(
            name=name, choice=convert.CHOICES[choice], reason="" if reason is None else reason.value
        )
        answer = await self._caller.call(self._stub.CastVote, request)
        return Carried(leaf_index=answer.leaf_index, undelivered=tuple(answer.undelivered))

    async def state_consent(self, name: str, standing: Standing, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's word on its consent, as its daemon verified.

        Raises:
            VetonetError: the daemon's refusal, or it cannot be reached.
        """
        request = party_pb2.StateConsentRequest(
            name=name, standing=STANDINGS[standing], reason="" if reason is None else reason.value
        )
        answer = await self._caller.call(self._stub.StateConsent, request)
        return Carried(leaf_index=answer.leaf_index, undelivered=tuple(answer.undelivered))
