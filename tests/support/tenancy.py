"""One licence's life driven by hand: a ledger, a council for the keys, and the real machine between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from support.world import NOW_MS, Council
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, sign
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import VetoReason
from vetonet.policy.lease import Lease, derive_lease, open_lease
from vetonet.policy.licence import Licence
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing, open_consent
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger, read_leaf
from vetonet.voting.signing import GroupCommitments, GroupShare, list_seats
from vetonet.voting.state import AppendLeaf, Effect
from vetonet.voting.tenure import step
from vetonet.voting.tenure_state import (
    ClockRead,
    ConsentStated,
    LeaseCommitted,
    LeaseShared,
    Tenure,
    TenureEvent,
)


@dataclass(slots=True)
class Tenancy:
    """A licensed run; ``leaves`` is the log from the treaty on, ``ledger`` what it amounts to."""

    council: Council
    ledger: Ledger
    leaves: list[bytes]
    digest: bytes
    nonces: dict[tuple[int, int, bytes], frost.SigningNonces] = field(default_factory=dict)

    @classmethod
    def begin(cls, council: Council, granting: Iterable[str] = ("p1", "p2"), **changes: Any) -> Tenancy:
        """Return the life of a run that these parties granted."""
        proposal = council.sign_proposal(**changes)
        ballots = {party: council.sign_ballot(party, proposal) for party in granting}
        licence = council.sign_licence(proposal, ballots)
        leaves = [council.treaty.data, proposal.data, *(b.data for b in ballots.values()), licence.data]
        tenancy = cls(council, Ledger(treaty=council.treaty), [], proposal.payload_digest)
        for leaf in leaves:
            tenancy.log(leaf)
        return tenancy

    @property
    def tenure(self) -> Tenure:
        """The life of the licence."""
        return self.ledger.find_tenure(self.digest)

    @property
    def licence(self) -> Licence:
        """The licence."""
        return self.tenure.licence.statement

    def log(self, data: bytes) -> None:
        """Read one more leaf, as everybody would."""
        self.ledger = read_leaf(self.ledger, len(self.leaves), data)
        self.leaves.append(data)

    def feed(self, event: TenureEvent, now: Milliseconds) -> tuple[Effect, ...]:
        """Feed an event, as a coordinator would; what it appends is on the log afterwards."""
        following, effects = step(self.tenure, event, now)
        for effect in effects:
            if isinstance(effect, AppendLeaf):
                assert effect.leaf_index == len(self.leaves)
                read_leaf(self.ledger, effect.leaf_index, effect.data)  # everybody would let it in
                self.leaves.append(effect.data)
        self.ledger = self.ledger.with_tenure(following)
        return effects

    def tick(self, now: Milliseconds) -> tuple[Effect, ...]:
        """Look at the clock."""
        return self.feed(ClockRead(), now)

    def sign_consent(
        self,
        party_id: str,
        standing: Standing = Standing.WITHDRAWN,
        *,
        number: int = 1,
        stated_ms: Milliseconds = NOW_MS,
    ) -> Signed[Consent]:
        """Return a party's word on its consent."""
        treaty = self.ledger.treaty
        consent = Consent(
            treaty_digest=treaty.payload_digest,
            epoch=treaty.statement.epoch,
            proposal_digest=self.digest,
            number=number,
            standing=standing,
            stated_ms=stated_ms,
            reason=VetoReason.SAFETY_CASE if standing is Standing.WITHDRAWN else None,
        )
        return open_consent(sign(consent, self.council.party_keys[party_id]), treaty)

    def state(self, consent: Signed[Consent], now: Milliseconds = NOW_MS) -> tuple[Effect, ...]:
        """Feed a party's word."""
        return self.feed(ConsentStated(consent=consent, leaf_index=len(self.leaves)), now)

    def sign_lease(self, number: int, signers: Iterable[str] = ("p1", "p2")) -> Signed[Lease]:
        """Return a lease that these parties signed, whatever the log says of their consent."""
        lease = derive_lease(self.ledger.treaty, self.tenure.licence, number)
        return open_lease(self.council.sign_by(lease, signers, ActionClass.LEASE_RENEWAL), self.ledger.treaty)

    def commit(self, party_id: str, now: Milliseconds, number: int | None = None) -> tuple[Effect, ...]:
        """Feed a signer's honest commitments."""
        seats = list_seats(self.ledger.treaty.statement, ActionClass.LEASE_RENEWAL, party_id)
        held = {entry.seat: entry.share for entry in self.council.key_shares[party_id]}
        pairs = {seat: frost.commit(held[seat], self.council.rng) for seat in seats}
        self.nonces |= {(*seat, c.to_bytes()): nonces for seat, (nonces, c) in pairs.items()}
        commitments = tuple(GroupCommitments(group=g, commitments=c) for (g, _), (_, c) in pairs.items())
        asked = self.tenure.number if number is None else number
        return self.feed(LeaseCommitted(number=asked, party_id=party_id, commitments=commitments), now)

    def share(self, party_id: str, now: Milliseconds) -> tuple[Effect, ...]:
        """Feed a signer's honest shares."""
        assert self.tenure.signing is not None
        under_way = self.tenure.signing.under_way
        held = {entry.seat: entry.share for entry in self.council.key_shares[party_id]}
        made = []
        for session in under_way.sessions:
            for commitments in session.package.commitments:
                seat = (session.group, int(commitments.identifier))
                if seat in held:
                    nonces = self.nonces[(*seat, commitments.to_bytes())]
                    share = frost.sign(session.package, nonces, held[seat])
                    made.append(GroupShare(group=session.group, share=share))
        event = LeaseShared(
            number=self.tenure.number,
            party_id=party_id,
            attempt=under_way.attempt,
            shares=tuple(made),
            leaf_index=len(self.leaves),
        )
        return self.feed(event, now)

    def suspend(self, action: ActionClass, issued_ms: Milliseconds, ends_ms: Milliseconds) -> None:
        """Log a resolution that stops the run from one time to another."""
        council = self.council
        motion = council.move(
            "p1",
            action,
            subject_digest=self.digest,
            opens_ms=issued_ms - 60_000,
            closes_ms=issued_ms,
            ends_ms=ends_ms,
        )
        place = len(self.leaves)
        self.log(motion.data)
        for party in ("p1", "p2"):
            ballot = council.sign_ballot(
                party, motion, Choice.GRANT, cast_ms=issued_ms - 60_000, expires_ms=ends_ms
            )
            self.log(ballot.data)
        vote = self.ledger.find(motion.payload_digest)
        assert vote.leaf_index == place
        self.log(council.sign_by(_derive(self.ledger, motion.payload_digest), ("p1", "p2"), action))


def _derive(ledger: Ledger, digest: bytes):  # type: ignore[no-untyped-def]
    from vetonet.voting.machine import derive  # noqa: PLC0415

    return derive(ledger.find(digest))
