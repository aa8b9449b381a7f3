"""Ballots that reached a party directly: what makes a veto bind when the coordinator drops it (S2).

Storage is bounded. On a proposal that is known, each party's first ballot of each choice is kept, so that no
flood of grants crowds out a veto. Ballots may come before their proposal does; of those each party has a
small allowance of its own, so that nobody uses up another's. What was taken counts towards it for as long as
a window may be open, even if it expired, because a veto that was taken is on the disk for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vetonet.crypto.statement import Signed
from vetonet.errors import ExpiredError, ProtocolError, RefusedError
from vetonet.policy.ballot import Ballot, open_ballot, verify_ballot_for
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger
from vetonet.voting.state import Voting

MAX_EARLY_BALLOTS: Final = 64
"""How many of a party's ballots on proposals that are not in the log yet are kept."""

Slot = tuple[str, Choice]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectBallot:
    """A verified ballot, who cast it and when it came."""

    party_id: str
    ballot: Signed[Ballot]
    received_ms: Milliseconds


class BallotBox:
    """Direct ballots by proposal, one of each party and choice."""

    __slots__ = ("_slots", "_treaty")

    def __init__(self, treaty: Signed[Treaty]) -> None:
        """Begin empty."""
        self._treaty = treaty
        self._slots: dict[bytes, dict[Slot, DirectBallot]] = {}

    def adopt(self, treaty: Signed[Treaty]) -> None:
        """Only ballots under this treaty count from now on; those under an earlier one are let go."""
        self._treaty = treaty
        self._slots = {}

    def add(self, data: bytes, ledger: Ledger, now: Milliseconds) -> DirectBallot:
        """Return the ballot that was handed over, now kept unless its like already was.

        Args:
            data: a signed ballot, from whomever.
            ledger: what the log says so far.
            now: when it came.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not a ballot of this treaty.
            ExpiredError: it is outside the window of its proposal, or that has closed.
            RefusedError: its party has handed over too many on proposals that nobody knows.
        """
        ballot = open_ballot(data, self._treaty)
        party_id = self._treaty.statement.find_party(ballot.signer).party_id
        direct = DirectBallot(party_id=party_id, ballot=ballot, received_ms=now)
        vote = ledger.votes.get(ballot.statement.proposal_digest)
        if vote is None:
            self._require_allowance(party_id, ledger)
        else:
            _verify_in_time(direct, vote)
        slots = self._slots.setdefault(ballot.statement.proposal_digest, {})
        return slots.setdefault((party_id, ballot.statement.choice), direct)

    def restore(self, data: bytes, received_ms: Milliseconds) -> None:
        """A ballot that this party was handed before it restarted is kept as it was.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not a ballot of this treaty.
        """
        ballot = open_ballot(data, self._treaty)
        party_id = self._treaty.statement.find_party(ballot.signer).party_id
        direct = DirectBallot(party_id=party_id, ballot=ballot, received_ms=received_ms)
        slots = self._slots.setdefault(ballot.statement.proposal_digest, {})
        slots.setdefault((party_id, ballot.statement.choice), direct)

    def list_on(self, proposal_digest: bytes) -> tuple[Signed[Ballot], ...]:
        """Return the ballots on one proposal in the order in which they came."""
        return tuple(direct.ballot for direct in self._slots.get(proposal_digest, {}).values())

    def count_unlogged(self, vote: Voting) -> int:
        """Return how many ballots on this proposal are not those in the log."""
        logged = {entry.ballot.payload_digest for entry in vote.ballots}
        ballots = self.list_on(vote.digest)
        return sum(ballot.payload_digest not in logged for ballot in ballots)

    def settle(self, ledger: Ledger, now: Milliseconds) -> None:
        """Early ballots are held to the window of a proposal now known; what cannot matter is let go.

        An unfavourable tally lets nothing go: a coordinator could log withheld grants later.
        """
        settled = {
            digest: self._settle_early(slots, now) if vote is None else _settle(slots, vote, now)
            for digest, slots in self._slots.items()
            for vote in (ledger.votes.get(digest),)
        }
        self._slots = {digest: slots for digest, slots in settled.items() if slots}

    def _settle_early(
        self, slots: Mapping[Slot, DirectBallot], now: Milliseconds
    ) -> dict[Slot, DirectBallot]:
        """An early ballot's room is free again once it expired and a longest window has gone by."""
        window_ms = self._treaty.statement.window_ms
        return {
            slot: direct
            for slot, direct in slots.items()
            if now < max(direct.ballot.statement.expires_ms, direct.received_ms + window_ms)
        }

    def _require_allowance(self, party_id: str, ledger: Ledger) -> None:
        early = (slots for digest, slots in self._slots.items() if digest not in ledger.votes)
        if sum(name == party_id for slots in early for name, _ in slots) >= MAX_EARLY_BALLOTS:
            msg = f"{party_id} already has {MAX_EARLY_BALLOTS} ballots here on unknown proposals"
            raise RefusedError(msg, culprit=party_id)


def _settle(slots: Mapping[Slot, DirectBallot], vote: Voting, now: Milliseconds) -> dict[Slot, DirectBallot]:
    if is_over(vote, now):
        return {}
    return {slot: direct for slot, direct in slots.items() if _is_in_time(direct, vote)}


def is_over(vote: Voting, now: Milliseconds) -> bool:
    """Whether no signature on this proposal can be of use any more."""
    return vote.outcome is not None or now >= vote.matter.statement.ends_ms


def _is_in_time(direct: DirectBallot, vote: Voting) -> bool:
    try:
        _verify_in_time(direct, vote)
    except ProtocolError:
        return False
    return True


def _verify_in_time(direct: DirectBallot, vote: Voting) -> None:
    """The ballot is cast within the window, and came before that closed (VN-6.2, VN-6.3)."""
    verify_ballot_for(direct.ballot, vote.matter, direct.party_id)
    closes_ms = vote.matter.statement.closes_ms
    if direct.received_ms >= closes_ms:
        msg = (
            f"a ballot of {direct.party_id} that came at {direct.received_ms}, after the close at {closes_ms}"
        )
        raise ExpiredError(msg, culprit=direct.party_id, clause="VN-6.3")
