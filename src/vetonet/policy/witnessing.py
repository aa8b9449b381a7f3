"""Who witnesses the treaty's log, and how many must: the arithmetic against split views (VN-3.4).

Of n witnesses any two quorums of k share at least 2k - n. Whoever stands in both of two histories has signed
two, so is no honest witness. With 2k - n > f that takes more than the f witnesses that may collude, and
with f + 1 that do it can be done where 2k - n = f + 1: the bound is tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vetonet.crypto.keys import PUBLIC_KEY, Algorithm, PublicKey
from vetonet.encoding.record import Record, member, tstr

MAX_NAME_BYTES = 255
"""What a cosigned message can hold of a name (C2SP tlog-cosignature)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness(Record):
    """Somebody who cosigns checkpoints that extend every one it saw before.

    Attributes:
        name: of its signature lines (C2SP tlog-cosignature).
        key: an Ed25519 key that signs nothing else.
        party_id: the party that runs it, or None.
    """

    name: str = member(1, tstr(128))
    key: PublicKey = member(2, PUBLIC_KEY)
    party_id: str | None = member(3, tstr(64), optional=True)

    def __post_init__(self) -> None:
        """Refuse a name that cannot stand in a note, and a key of another algorithm."""
        verify_note_name(self.name, "witness")
        if self.key.algorithm is not Algorithm.EDDSA:
            raise ValueError(f"expected an Ed25519 key of witness {self.name!r}")


def compute_overlap(count: int, quorum: int) -> int:
    """Return how many witnesses any two quorums share at least: 2k - n, and never less than none."""
    return max(0, 2 * quorum - count)


def compute_smallest_quorum(count: int, max_colluding: int) -> int:
    """Return the smallest k with 2k - n > f; where it is above n, there is none."""
    return (count + max_colluding) // 2 + 1


def verify_witnessing(witnesses: Sequence[Witness], quorum: int, max_colluding: int) -> None:
    """Hold that no split view passes unnoticed while at most ``max_colluding`` witnesses collude (VN-3.4).

    Raises:
        ValueError: too small a quorum, more than there are, a party with two, or no witness at all.
    """
    count, smallest = len(witnesses), compute_smallest_quorum(len(witnesses), max_colluding)
    if not quorum <= count:
        raise ValueError(f"expected a witness quorum of at most the {count} witnesses, got {quorum}")
    if not 2 * quorum - count > max_colluding:
        hint = f"k = {smallest}" if smallest <= count else "more witnesses, or a smaller f"
        raise ValueError(
            f"expected 2k - n > f of the witnesses, got 2 x {quorum} - {count} = {2 * quorum - count}, which "
            f"is not above f = {max_colluding}: they could vouch for two histories; it takes {hint}"
        )
    owners = [witness.party_id for witness in witnesses if witness.party_id is not None]
    if len(set(owners)) < len(owners):
        raise ValueError("a party runs two witnesses: it would count twice")


def verify_note_name(name: str, what: str) -> None:
    """Hold that a name can stand in a signed note.

    Raises:
        ValueError: empty, too long, or with a space, a plus sign or a control character.
    """
    is_spaced = any(character.isspace() or character < " " for character in name)
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES or "+" in name or is_spaced:
        raise ValueError(f"expected a {what} name without spaces and plus signs, got {name!r}")
