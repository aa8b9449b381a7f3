"""What a ceremony takes over from a group that exists already: whose key it is, and who deals it anew.

Key generation starts from nothing. The others start from a group and leave its public key as it is
(VN-15.8): a *resharing* deals it to other seats, a *refresh* deals new shares to the same seats, a *repair*
gives one seat its share back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from vetonet.crypto import frost
from vetonet.encoding.record import Record, many, member, one_of, tstr, uint
from vetonet.policy.expression import MAX_PARTIES, MAX_SEATS
from vetonet.policy.treaty import GROUP


class CeremonyKind(StrEnum):
    """What a ceremony is for."""

    GENERATION = "generation"
    RESHARING = "resharing"
    REFRESH = "refresh"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover(Record):
    """The group that a ceremony starts from.

    Attributes:
        kind: what becomes of it.
        package: its public values.
        seats: whose each of its seats is; seat ``i`` is FROST participant ``i + 1`` of it.
        dealers: its participants that deal, or that help in a repair; at least its threshold.
        lost: the participant that a repair is for, None in every other kind.
    """

    kind: CeremonyKind = member(1, one_of(CeremonyKind))
    package: frost.PublicKeyPackage = member(2, GROUP)
    seats: tuple[str, ...] = member(3, many(tstr(64), maximum=MAX_PARTIES))
    dealers: tuple[int, ...] = member(4, many(uint(MAX_SEATS), minimum=1, maximum=MAX_SEATS))
    lost: int | None = member(5, uint(MAX_SEATS), optional=True)

    def __post_init__(self) -> None:
        """Refuse dealers that cannot hand the key over, and what does not belong together (VN-15.8)."""
        if self.kind is CeremonyKind.GENERATION:
            raise ValueError("key generation takes nothing over")
        if self.package.identifiers != tuple(range(1, len(self.seats) + 1)):
            raise ValueError(f"expected a group of participants 1 to {len(self.seats)}, one for each seat")
        if any(left >= right for left, right in pairwise(self.dealers)):
            raise ValueError("expected dealers in ascending order, none of them twice")
        strangers = [dealer for dealer in self.dealers if dealer not in self.package.identifiers]
        if strangers:
            raise ValueError(f"dealer {strangers[0]} is not of the old group of {len(self.seats)} seats")
        if len(self.dealers) < self.package.min_signers:
            raise ValueError(
                f"expected at least {self.package.min_signers} dealers, got {len(self.dealers)}: fewer than "
                "it takes to sign cannot hand the key over"
            )
        self._verify_lost()

    def _verify_lost(self) -> None:
        if (self.lost is not None) != (self.kind is CeremonyKind.REPAIR):
            raise ValueError("expected the seat whose share was lost in a repair, and only there")
        if self.lost is None:
            return
        if self.lost not in self.package.identifiers:
            raise ValueError(f"seat {self.lost}, whose share was lost, is not of the group")
        if self.lost in self.dealers:
            raise ValueError(f"seat {self.lost}, whose share was lost, cannot help to repair it")

    @property
    def owners(self) -> tuple[str, ...]:
        """Who deals, each once, in order of its first seat that does."""
        return tuple(dict.fromkeys(self.seats[dealer - 1] for dealer in self.dealers))

    def list_dealers(self, party_id: str) -> tuple[frost.Identifier, ...]:
        """Return the dealing participants that a party is."""
        return tuple(frost.Identifier(i) for i in self.dealers if self.seats[i - 1] == party_id)
