"""What a party signed and the log does not hold: said again, byte for byte, while that can help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vetonet.crypto.statement import read_unverified
from vetonet.party.memory import PartyMemory, read_ballot
from vetonet.policy.ballot import Ballot
from vetonet.policy.standing import Consent
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlogged:
    """A ballot or a word on consent of the party's own that is durable here and in no log."""

    digest: bytes
    said: Ballot | Consent


def list_unlogged(
    ledger: Ledger, memory: PartyMemory, party_id: str, now: Milliseconds
) -> tuple[Unlogged, ...]:
    """Return the ballots on votes that are open, and the newest words on consent to runs that go on.

    Args:
        ledger: what the log amounts to.
        memory: what the party signed.
        party_id: which party it is.
        now: its own clock.
    """
    return (*_iter_ballots(ledger, memory, party_id, now), *_iter_consents(ledger, memory, party_id, now))


def _iter_ballots(
    ledger: Ledger, memory: PartyMemory, party_id: str, now: Milliseconds
) -> Iterator[Unlogged]:
    for digest, data in memory.own_ballots.items():
        vote = ledger.votes.get(digest)
        if (
            vote is None
            or vote.find_ballot(party_id) is not None
            or not vote.matter.statement.is_open_at(now)
        ):
            continue
        yield Unlogged(digest=digest, said=read_ballot(data))


def _iter_consents(
    ledger: Ledger, memory: PartyMemory, party_id: str, now: Milliseconds
) -> Iterator[Unlogged]:
    for (digest, number), data in memory.own_consents.items():
        tenure = ledger.tenures.get(digest)
        if tenure is None or now >= tenure.licence.statement.expires_ms:
            continue
        known = tenure.standings.get(party_id)
        if number == 1 + (0 if known is None else known.statement.number):
            yield Unlogged(digest=digest, said=read_unverified(data, Consent))
