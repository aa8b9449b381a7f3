"""One vote driven by hand: a list for the log, a council for the keys, and the real machine between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from support.world import NOW_MS, Council
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.policy.ballot import Ballot
from vetonet.policy.motion import Motion
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.machine import begin, step
from vetonet.voting.signing import GroupCommitments, GroupShare, Signing, SigningRound, list_seats
from vetonet.voting.state import (
    AppendLeaf,
    BallotReceived,
    CommitmentsReceived,
    Effect,
    SharesReceived,
    TimePassed,
    Voting,
)


@dataclass(slots=True)
class Floor:
    """A vote in progress; ``leaves`` is the log, from the treaty on."""

    council: Council
    vote: Voting
    leaves: list[bytes] = field(default_factory=list)
    nonces: dict[tuple[int, int, bytes], frost.SigningNonces] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        council: Council,
        proposal: Signed[Proposal] | Signed[Motion] | None = None,
        now: Milliseconds = NOW_MS,
        licensed: Mapping[bytes, Proposal] | None = None,
    ) -> Floor:
        """Return the floor with a proposal or motion just logged."""
        signed = proposal or council.sign_proposal()
        vote, effects = begin(signed.data, 1, council.treaty, licensed or {}, now)
        floor = cls(council=council, vote=vote, leaves=[council.treaty.data])
        floor.carry_out(effects)
        return floor

    @property
    def proposal(self) -> Signed[Proposal] | Signed[Motion]:
        """What is voted on."""
        return self.vote.matter

    @property
    def close_ms(self) -> Milliseconds:
        """When the window is over."""
        return self.proposal.statement.closes_ms

    def carry_out(self, effects: Iterable[Effect]) -> tuple[Effect, ...]:
        """Append what is to be appended; return all effects."""
        kept = tuple(effects)
        for effect in kept:
            if isinstance(effect, AppendLeaf):
                assert effect.leaf_index == len(self.leaves)
                self.leaves.append(effect.data)
        return kept

    def receive(self, ballot: Signed[Ballot], now: Milliseconds = NOW_MS) -> tuple[Effect, ...]:
        """Feed a ballot."""
        event = BallotReceived(ballot=ballot, leaf_index=len(self.leaves))
        self.vote, effects = step(self.vote, event, now)
        return self.carry_out(effects)

    def cast(self, party_id: str, choice: Choice = Choice.GRANT) -> Signed[Ballot]:
        """Vote for a party and feed it."""
        ballot = self.council.sign_ballot(party_id, self.proposal, choice)
        self.receive(ballot)
        return ballot

    def pass_time(
        self, now: Milliseconds, licensed: Mapping[bytes, Proposal] | None = None
    ) -> tuple[Effect, ...]:
        """Look at the clock; by default no other run is licensed."""
        self.vote, effects = step(
            self.vote, TimePassed(licensed=licensed or {}, epoch=self.council.treaty.statement.epoch), now
        )
        return self.carry_out(effects)

    @property
    def signing(self) -> Signing:
        """How the signature is coming along."""
        assert self.vote.signing is not None
        return self.vote.signing

    @property
    def round(self) -> SigningRound:
        """The attempt under way."""
        return self.signing.under_way

    def make_commitments(self, party_id: str) -> tuple[GroupCommitments, ...]:
        """Return a signer's fresh commitments, its nonces kept here."""
        seats = list_seats(self.council.treaty.statement, self.vote.action, party_id)
        held = {entry.seat: entry.share for entry in self.council.key_shares[party_id]}
        pairs = {seat: frost.commit(held[seat], self.council.rng) for seat in seats}
        self.nonces |= {(*seat, c.to_bytes()): nonces for seat, (nonces, c) in pairs.items()}
        return tuple(GroupCommitments(group=g, commitments=c) for (g, _), (_, c) in pairs.items())

    def commit(
        self,
        *party_ids: str,
        commitments: tuple[GroupCommitments, ...] | None = None,
        now: Milliseconds | None = None,
    ) -> tuple[Effect, ...]:
        """Feed these signers' commitments, by default honest ones; return all effects."""
        effects: tuple[Effect, ...] = ()
        for party_id in party_ids:
            offered = self.make_commitments(party_id) if commitments is None else commitments
            event = CommitmentsReceived(party_id=party_id, commitments=offered)
            self.vote, caused = step(self.vote, event, self.close_ms if now is None else now)
            effects += self.carry_out(caused)
        return effects

    def make_shares(self, party_id: str) -> tuple[GroupShare, ...]:
        """Return a signer's honest shares for the present attempt."""
        held = {entry.seat: entry.share for entry in self.council.key_shares[party_id]}
        made = []
        for session in self.round.sessions:
            for commitments in session.package.commitments:
                seat = (session.group, int(commitments.identifier))
                if seat in held:
                    nonces = self.nonces[(*seat, commitments.to_bytes())]
                    share = frost.sign(session.package, nonces, held[seat])
                    made.append(GroupShare(group=session.group, share=share))
        return tuple(made)

    def send_shares(
        self,
        party_id: str,
        shares: tuple[GroupShare, ...] | None = None,
        licensed: Mapping[bytes, Proposal] | None = None,
    ) -> tuple[Effect, ...]:
        """Feed a signer's shares, by default honest ones, and no other run is licensed."""
        event = SharesReceived(
            party_id=party_id,
            attempt=self.round.attempt,
            shares=self.make_shares(party_id) if shares is None else shares,
            leaf_index=len(self.leaves),
            licensed=licensed or {},
        )
        self.vote, effects = step(self.vote, event, self.close_ms)
        return self.carry_out(effects)

    def read_ledger(self) -> Ledger:
        """Return what the leaves amount to, read from nothing."""
        return read_leaves(Ledger(treaty=self.council.treaty), list(enumerate(self.leaves))[1:])


def spoil(shares: tuple[GroupShare, ...]) -> tuple[GroupShare, ...]:
    """Return well-formed shares that are not the signer's."""
    return tuple(
        GroupShare(
            group=entry.group,
            share=frost.SignatureShare(
                identifier=entry.share.identifier, share=frost.Scalar(entry.share.share ^ 1)
            ),
        )
        for entry in shares
    )
