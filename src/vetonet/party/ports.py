"""What a daemon needs of others, whoever they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from vetonet.crypto.statement import Signed
from vetonet.party.views import ProposalView, WatchEvent
from vetonet.policy.treaty import Treaty
from vetonet.tlog.proof import LogProof
from vetonet.voting.signing import GroupCommitments, GroupShare


class CoordinatorPort(Protocol):
    """What a daemon needs of a coordinator: ``CoordinatorClient`` is one."""

    def adopt(self, treaty: Signed[Treaty]) -> None:
        """Another treaty is in force; what was made under earlier ones is still read."""
        ...

    async def get_checkpoint(self) -> bytes:
        """Return the newest signed checkpoint."""
        ...

    async def fetch_leaves(self, start: int, end: int) -> tuple[bytes, ...]:
        """Return the leaves from ``start`` up to ``end``."""
        ...

    async def cast_ballot(self, proposal_digest: bytes, statement: bytes) -> LogProof:
        """Return the verified proof that this ballot is in the log."""
        ...

    async def submit_commitments(
        self, name: str, lease: int, commitments: Sequence[GroupCommitments]
    ) -> ProposalView:
        """Return the proposal after the coordinator took these commitments."""
        ...

    async def submit_shares(
        self, name: str, lease: int, attempt: int, shares: Sequence[GroupShare]
    ) -> ProposalView:
        """Return the proposal after the coordinator took these shares."""
        ...

    def watch(self, name: str = ..., *, resume_sequence: int = ...) -> AsyncGenerator[WatchEvent, None]:
        """Yield what changes, for ever."""
        ...
