"""What a founding leaves in its party's hands, and what it needs remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from vetonet.crypto import frost
from vetonet.party.keys import PartySecrets, SeatShare
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.founding import FoundingRecord, Position
from vetonet.policy.succession_plan import Succession
from vetonet.policy.treaty import Treaty
from vetonet.voting.ceremony_state import Keep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived:
    """What a party has once every group is made: not a treaty yet, because nobody has signed it.

    Attributes:
        treaty: what it is about to sign.
        key_shares: of its own seats; must be on the disk before it signs.
        record: what was signed in the ceremonies.
    """

    treaty: Treaty
    key_shares: tuple[SeatShare, ...] = field(repr=False)
    record: FoundingRecord = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TakingOver:
    """What a party brings to a treaty that follows another.

    Attributes:
        succession: what all are about to do.
        secrets: what it holds, whichever treaty the shares are of.
        keep: has the new shares of a group of the next treaty on the disk when it returns.
    """

    succession: Succession
    secrets: PartySecrets = field(repr=False)
    keep: Callable[[int, Keep], None]

    def list_dealt(self, index: int, party_id: str) -> tuple[frost.KeyShare, ...]:
        """Return the shares that the party deals from, for a group of the next treaty."""
        plan, source = self.succession.plans[index], self.succession.sources[index]
        if not isinstance(plan, CeremonyPlan):
            return ()
        held = self.secrets.find_shares(self.succession.present.statement)
        seats = plan.list_dealing_seats(party_id)
        return tuple(held[source, int(seat)] for seat in seats if (source, int(seat)) in held)


class FoundingMemory(Protocol):
    """What a party must not forget of a founding, whatever happens next."""

    def begin(self, position: Position) -> None:
        """It is on the disk that this attempt is used up.

        Raises:
            ConfigError: it was before: whoever commits twice in one ceremony is taken for a cheat (VN-15.4).
        """
        ...

    def keep(self, derived: Derived) -> None:
        """The key shares are on the disk.

        Raises:
            ConfigError: they cannot be written.
        """
        ...
