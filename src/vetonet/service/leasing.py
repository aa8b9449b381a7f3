"""Leases and standing consent: what a coordinator does for runs that hold a licence (VN-14).

As with votes, the pure step comes first, then the durable append, then the new state counts, then watchers
learn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from vetonet.crypto.statement import Signed
from vetonet.policy.lease import Lease, compute_signable_ms
from vetonet.policy.standing import Consent
from vetonet.service.bulletin import Bulletin
from vetonet.service.history import History
from vetonet.service.journalling import list_lease_records, list_unbound
from vetonet.service.request import Request
from vetonet.storage.journal import Record
from vetonet.units import Milliseconds
from vetonet.voting.signing import GroupCommitments, GroupShare
from vetonet.voting.tenure import find_due_number, step
from vetonet.voting.tenure_state import (
    ClockRead,
    ConsentStated,
    LeaseCommitted,
    LeaseShared,
    Tenure,
    TenureEvent,
    TenurePhase,
)


class Leasing:
    """Steps the tenures of one history; whoever calls holds the turn."""

    __slots__ = ("_announce_growth", "_bulletin", "_history", "_store")

    def __init__(
        self,
        history: History,
        bulletin: Bulletin,
        *,
        store: Callable[[Sequence[Record]], Awaitable[None]],
        announce_growth: Callable[[], None],
    ) -> None:
        """Step this history's tenures.

        Args:
            history: what is known so far.
            bulletin: what watchers follow.
            store: makes records durable.
            announce_growth: tells whoever publishes that the log has grown.
        """
        self._history: Final = history
        self._bulletin: Final = bulletin
        self._store = store
        self._announce_growth = announce_growth

    def find_lease(self, digest: bytes) -> Signed[Lease] | None:
        """Return the newest lease of a run, or None where there is none yet.

        Raises:
            ProtocolError: the run holds no licence.
        """
        return self._history.ledger.find_tenure(digest).lease

    async def state_consent(self, consent: Signed[Consent], request: Request, now: Milliseconds) -> int:
        """Return the leaf of this statement, logged now or before.

        Raises:
            ProtocolError: the run holds no licence, or the statement does not follow its party's last one.
            RequestConflictError: the request id was used for something else.
            StorageError: it could not be made durable.
        """
        known = self._history.find_leaf(consent.data)
        unbound = list_unbound(self._history, request, now)
        tenure = self._history.ledger.find_tenure(consent.statement.proposal_digest)
        place = self._history.log.tree_size
        if known is not None:
            await self._store(unbound)
            self._history.adopt(unbound)
            return known
        await self._take(tenure, ConsentStated(consent=consent, leaf_index=place), now, unbound)
        return place

    async def commit(
        self,
        digest: bytes,
        number: int,
        party_id: str,
        commitments: tuple[GroupCommitments, ...],
        now: Milliseconds,
    ) -> None:
        """A signer's commitments to a lease are taken in.

        Raises:
            ProtocolError: no such lease is being signed, or the rules of VN-7 say no.
        """
        event = LeaseCommitted(number=number, party_id=party_id, commitments=commitments)
        await self._take(self._history.ledger.find_tenure(digest), event, now)

    async def share(
        self,
        digest: bytes,
        number: int,
        party_id: str,
        *,
        attempt: int,
        shares: tuple[GroupShare, ...],
        now: Milliseconds,
    ) -> None:
        """A signer's shares of a lease are taken in; the last ones make it, logged before anyone sees it.

        Raises:
            ProtocolError: no such lease is being signed, or the rules of VN-7 say no.
            StorageError: the lease could not be made durable; the shares may be sent again.
        """
        tenure = self._history.ledger.find_tenure(digest)
        if tenure.lease is not None and tenure.lease.statement.number >= number:
            return  # a retry of the shares that completed it
        event = LeaseShared(
            number=number,
            party_id=party_id,
            attempt=attempt,
            shares=shares,
            leaf_index=self._history.log.tree_size,
        )
        await self._take(tenure, event, now)

    def find_needed_ms(self, now: Milliseconds) -> Milliseconds:
        """Return from when on the newest lease that is due may be signed: signers wait for it (VN-7.9)."""
        return max((self._find_signable_ms(tenure, now) for tenure in self._list_open()), default=0)

    def list_ready(self, now: Milliseconds, witnessed_ms: Milliseconds) -> list[bytes]:
        """Return the runs that are not over, but those whose next lease no signer would sign yet.

        A signer signs for a licence that the log shows it: while that is not published, nobody is asked.

        Args:
            now: the time.
            witnessed_ms: the time at or after which a quorum cosigned the newest published checkpoint.
        """
        open_runs = self._list_open()
        return [
            tenure.digest
            for tenure in open_runs
            if self._find_signable_ms(tenure, now) <= witnessed_ms and self._is_published(tenure)
        ]

    def _is_published(self, tenure: Tenure) -> bool:
        place, published = self._history.find_leaf(tenure.licence.data), self._history.published
        return place is not None and published is not None and place < published.checkpoint.tree_size

    def _list_open(self) -> list[Tenure]:
        tenures = self._history.ledger.tenures.values()
        return [tenure for tenure in tenures if tenure.phase is not TenurePhase.ENDED]

    @staticmethod
    def _find_signable_ms(tenure: Tenure, now: Milliseconds) -> Milliseconds:
        """Return from when on the lease may be signed that is due and not begun, or 0."""
        number = None if tenure.signing is not None else find_due_number(tenure, now)
        return 0 if number is None else compute_signable_ms(tenure.licence.statement, number)

    async def tick(self, digest: bytes, now: Milliseconds) -> None:
        """A lease that is due is being signed, and the silent are passed over.

        Raises:
            StorageError: nothing could be made durable.
        """
        await self._take(self._history.ledger.find_tenure(digest), ClockRead(), now)

    async def _take(
        self, tenure: Tenure, event: TenureEvent, now: Milliseconds, unbound: Sequence[Record] = ()
    ) -> None:
        following, effects = step(tenure, event, now)
        if following is tenure and not unbound:
            return
        records = [*list_lease_records(self._history, following, effects, now), *unbound]
        await self._store(records)
        self._history.adopt(records, ledger=self._history.ledger.with_tenure(following))
        if records:
            self._announce_growth()
        lease = following.number or tenure.number
        is_over = following.signing is None
        self._bulletin.announce_signing(
            tenure.digest, lease, effects, is_over=is_over and bool(tenure.signing)
        )
