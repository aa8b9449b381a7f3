"""One vote driven by hand: a list for the log, a council for the keys, and the real machine between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from support.world import NOW_MS, Council
from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.policy.ballot import Ballot
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.machine import begin, step
from vetonet.voting.state import AppendLeaf, BallotReceived, Effect, ShareReceived, TimePassed, Voting


@dataclass(slots=True)
class Floor:
    """A vote in progress; ``leaves`` is the log, from the treaty on."""

    council: Council
    vote: Voting
    leaves: list[bytes] = field(default_factory=list)
    nonces: dict[tuple[str, int], frost.SigningNonces] = field(default_factory=dict)

    @classmethod
    def open(
        cls, council: Council, proposal: Signed[Proposal] | None = None, now: Milliseconds = NOW_MS
    ) -> Floor:
        """Return the floor with a proposal just logged."""
        signed = proposal or council.sign_proposal()
        vote, effects = begin(signed.data, 1, council.treaty, {}, now)
        floor = cls(council=council, vote=vote, leaves=[council.treaty.data])
        floor.carry_out(effects)
        return floor

    @property
    def proposal(self) -> Signed[Proposal]:
        """What is voted on."""
        return self.vote.proposal

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
        self.vote, effects = step(self.vote, TimePassed(licensed=licensed or {}), now)
        return self.carry_out(effects)

    def make_share(self, party_id: str) -> frost.SignatureShare:
        """Return a signer's honest share for the present round."""
        signing = self.vote.signing
        assert signing is not None
        return self.council.sign_share(party_id, signing.licence, signing.package, signing.attempt)

    def send_share(
        self,
        party_id: str,
        share: frost.SignatureShare | None = None,
        licensed: Mapping[bytes, Proposal] | None = None,
    ) -> tuple[Effect, ...]:
        """Feed a share, by default the honest one, and no other run is licensed."""
        signing = self.vote.signing
        assert signing is not None
        event = ShareReceived(
            party_id=party_id,
            attempt=signing.attempt,
            share=share or self.make_share(party_id),
            leaf_index=len(self.leaves),
            licensed=licensed or {},
        )
        self.vote, effects = step(self.vote, event, self.close_ms)
        return self.carry_out(effects)

    def read_ledger(self) -> Ledger:
        """Return what the leaves amount to, read from nothing."""
        return read_leaves(Ledger(treaty=self.council.treaty), list(enumerate(self.leaves))[1:])


def spoil(share: frost.SignatureShare) -> frost.SignatureShare:
    """Return a well-formed share that is not the signer's."""
    return frost.SignatureShare(identifier=share.identifier, share=frost.Scalar(share.share ^ 1))
