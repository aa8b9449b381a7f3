"""A coordinator that is honest until it is told to drop somebody's ballots."""

from __future__ import annotations

from typing import Any

from vetonet.crypto.statement import peek
from vetonet.policy.ballot import Ballot, open_ballot
from vetonet.service.coordinator import Coordinator
from vetonet.tlog.proof import LogProof
from vetonet.wire.identity import Identity


class TurncoatCoordinator(Coordinator):
    """Logs everything, but the ballots of parties it was paid to silence; those it only pretends to log."""

    __slots__ = ("silenced",)

    def __init__(self, **arguments: Any) -> None:
        """Begin honestly."""
        super().__init__(**arguments)
        self.silenced: set[str] = set()

    async def cast_ballot(
        self, name: bytes, data: bytes, *, request_id: str, caller: Identity | None
    ) -> LogProof:
        """A silenced party gets the proof of another leaf, and the log never sees its ballot."""
        is_ballot = peek(data).kind == Ballot.TYPE
        signer = open_ballot(data, self.treaty).signer if is_ballot else None
        if signer and self.treaty.statement.find_party(signer).party_id in self.silenced:
            return await self.prove(self.view.tree_size - 1)
        return await super().cast_ballot(name, data, request_id=request_id, caller=caller)
