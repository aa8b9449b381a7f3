"""What losing parties does to a quorum: absent ones to granting, colluding ones to what a grant is worth.

A veto holder has a veto by rule: it binds signers that follow the rules. Parties that collude need only keys,
and the keys know neither veto holders nor how many ballots are needed. Where no set of the others has the
keys, the veto is one by key as well, and holds against everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

from vetonet.policy.game import Game, build_key_game, build_presence_game, build_rule_game, count_wins
from vetonet.policy.quorum import Quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """How a veto by rule can be overridden.

    Attributes:
        holder: the veto holder.
        coalition: the fewest others that have the keys to license over its veto, or None where nobody has.
    """

    holder: str
    coalition: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What the loss of any parties can do.

    Attributes:
        absent: how many absent parties the question was about.
        stopping: for 0 to all parties, how many sets of so many stop all grants by being silent.
        granting_by_rule: the fewest parties that can grant by the rules, every veto holder among them.
        granting_by_key: the fewest parties that, breaking every rule, have the keys to license alone.
        blocking_by_rule: the fewest parties that can block by not granting; a veto holder then vetoes.
        blocking_by_silence: the fewest parties that can block by staying away; silence is no veto.
        blocking_by_share: how many vetoes reach the share that ends a vote in which everybody votes, or None.
        overrides: for each veto holder, who could override it.
    """

    absent: int
    stopping: tuple[int, ...]
    granting_by_rule: tuple[str, ...]
    granting_by_key: tuple[str, ...]
    blocking_by_rule: tuple[str, ...]
    blocking_by_silence: tuple[str, ...]
    blocking_by_share: int | None
    overrides: tuple[Override, ...]

    def __post_init__(self) -> None:
        """Refuse more absent parties than there are."""
        if not 0 <= self.absent < len(self.stopping):
            raise ValueError(f"expected 0 to {len(self.stopping) - 1} absent parties, got {self.absent}")

    @property
    def party_count(self) -> int:
        """How many parties there are."""
        return len(self.stopping) - 1

    @property
    def fewest_that_can_stop(self) -> int:
        """The smallest number of absent parties of which some set stops all grants."""
        return next(absent for absent, sets in enumerate(self.stopping) if sets)

    @property
    def fewest_that_always_stop(self) -> int:
        """The smallest number of absent parties of which every set stops all grants."""
        return next(absent for absent in range(len(self.stopping)) if self.always_stop(absent))

    @property
    def fewest_vetoes(self) -> int:
        """The smallest number of parties that can end a vote with a no, by whichever rule."""
        fewest = len(self.blocking_by_rule)
        return fewest if self.blocking_by_share is None else min(fewest, self.blocking_by_share)

    def can_stop(self, absent: int) -> bool:
        """Whether some set of so many absent parties stops all grants."""
        return self.stopping[absent] > 0

    def always_stop(self, absent: int) -> bool:
        """Whether every set of so many absent parties stops all grants."""
        return self.stopping[absent] == comb(self.party_count, absent)


def compute_losses(quorum: Quorum, absent: int = 1) -> Losses:
    """Return what losing parties does to a quorum, for any number of them.

    Raises:
        ValueError: too many different parties to count, or more absent parties than there are.
    """
    by_key, by_presence, by_rule = (
        build_key_game(quorum),
        build_presence_game(quorum),
        build_rule_game(quorum),
    )
    n = by_key.party_count
    wins = count_wins(by_presence)
    minimal = by_key.list_minimal()
    return Losses(
        absent=absent,
        stopping=tuple(comb(n, gone) - wins[n - gone] for gone in range(n + 1)),
        granting_by_rule=_name_smallest(by_rule),
        granting_by_key=_name(by_key, minimal[0]),
        blocking_by_rule=_name_smallest(by_rule.to_dual()),
        blocking_by_silence=_name_smallest(by_presence.to_dual()),
        blocking_by_share=_count_share(quorum),
        overrides=tuple(_find_overrides(quorum, by_key, minimal)),
    )


def _find_overrides(quorum: Quorum, by_key: Game, minimal: Sequence[Sequence[int]]) -> Iterator[Override]:
    for holder in quorum.veto_holders:
        place = next(i for i, kind in enumerate(by_key.kinds) if holder in kind.members)
        others = len(by_key.kinds[place].members) - 1
        counts = next((counts for counts in minimal if counts[place] <= others), None)
        coalition = None if counts is None else _name(by_key, counts, without=holder)
        yield Override(holder=holder, coalition=coalition)


def _name_smallest(game: Game) -> tuple[str, ...]:
    return _name(game, game.list_minimal()[0])


def _name(game: Game, counts: Sequence[int], without: str | None = None) -> tuple[str, ...]:
    """Return the members, sorted, of the first coalition with these counts that does without one party."""
    picked = (
        [member for member in kind.members if member != without][:count]
        for kind, count in zip(game.kinds, counts, strict=True)
    )
    return tuple(sorted(member for members in picked for member in members))


def _count_share(quorum: Quorum) -> int | None:
    """Return how many vetoes reach the share where all parties vote and nobody abstains (VN-4.3)."""
    share = quorum.veto_share
    return None if share is None else -(-len(quorum.parties) * share.numerator // share.denominator)
