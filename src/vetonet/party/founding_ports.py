"""What a founding leaves in its party's hands, and what it needs remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from vetonet.party.keys import SeatShare
from vetonet.policy.founding import FoundingRecord, Position
from vetonet.policy.treaty import Treaty


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
