"""Weight snapshots at times that nobody outside the chip can foresee (VN-17.11; Shavit 2023, section 4).

A chip that is looked at rarely is caught only if its operator cannot know when. The times are a Poisson
process: the gaps between them are exponential, drawn from a secret that never leaves the chip. Such a process
has no memory, so whoever has seen all snapshots up to now knows nothing of the next.

What leaves the chip is a salted digest of the weights that it held at the time. The salt goes to the
operator, who keeps it with a copy of the weights to show to an inspector later; without it the digest does
not even say whether two snapshots are of the same weights.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

from vetonet.attestation.report import MAX_SNAPSHOTS, NO_DIGEST
from vetonet.units import MS_PER_HOUR, Milliseconds

MEAN_GAP_MS: Final = 10 * 24 * MS_PER_HOUR
"""A tenth of a snapshot a day (Shavit 2023, section 3.2)."""

MOST_AT_ONCE: Final = 64
"""So many, and no more, are made up for at once: an idle chip held the same weights all the while."""

_TIME: Final = b"vetonet snapshot time 1\n"
_SALT: Final = b"vetonet snapshot salt 1\n"
_MANY: Final = b"vetonet snapshots 1\n"
_EXACT: Final = Context(prec=50)  # Decimal.ln is correctly rounded, so that every platform draws the same
_STEPS: Final = 2**128


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """The operator must keep the weights that it held at this time, and the salt, for an inspector.

    Attributes:
        at_ms: when; it is over already.
        digest: what the report of the interval says.
        salt: with which the digest follows from that of the weights.
    """

    at_ms: Milliseconds
    digest: bytes
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Where a chip stands with its snapshots.

    Attributes:
        mean_gap_ms: how far apart they are on average.
        drawn: how many times were drawn, of which the last is yet to come.
        due_ms: that one, or None before the chip first started. It stays inside the chip.
        weights_digest: of the weights that the chip holds, as its memory engine hashed them.
        taken: the digests of the open interval.
    """

    mean_gap_ms: Milliseconds = MEAN_GAP_MS
    drawn: int = 0
    due_ms: Milliseconds | None = field(default=None, repr=False)
    weights_digest: bytes = field(default=NO_DIGEST, repr=False)
    taken: tuple[bytes, ...] = ()

    def begin(self, now: Milliseconds, secret: bytes) -> Snapshots:
        """Return them with a first time drawn, at the first start; later starts change nothing."""
        return self if self.due_ms is not None else self._draw(now, secret)

    def hold(self, weights_digest: bytes | None) -> Snapshots:
        """Return them with other weights in memory, or the same for None."""
        return self if weights_digest is None else replace(self, weights_digest=weights_digest)

    def take_until(self, end_ms: Milliseconds, secret: bytes) -> tuple[Snapshots, tuple[SnapshotTaken, ...]]:
        """Return them with those taken that were due before ``end_ms``, all of what is in memory now."""
        snapshots, found = self, list[SnapshotTaken]()
        while snapshots.due_ms is not None and snapshots.due_ms < end_ms:
            if len(found) == MOST_AT_ONCE:
                return snapshots._draw(end_ms, secret), tuple(found)
            taken = snapshots._take(snapshots.due_ms, secret)
            snapshots = replace(
                snapshots._draw(taken.at_ms, secret), taken=_add(snapshots.taken, taken.digest)
            )
            found.append(taken)
        return snapshots, tuple(found)

    def hand_out(self) -> Snapshots:
        """Return them after the interval was reported."""
        return replace(self, taken=()) if self.taken else self

    def _draw(self, after_ms: Milliseconds, secret: bytes) -> Snapshots:
        gap_ms = compute_gap_ms(secret, self.drawn, self.mean_gap_ms)
        return replace(self, drawn=self.drawn + 1, due_ms=after_ms + gap_ms)

    def _take(self, at_ms: Milliseconds, secret: bytes) -> SnapshotTaken:
        salt = _derive(secret, _SALT, self.drawn)
        digest = compute_snapshot(self.weights_digest, salt)
        return SnapshotTaken(at_ms=at_ms, digest=digest, salt=salt)


def compute_gap_ms(secret: bytes, number: int, mean_gap_ms: Milliseconds) -> Milliseconds:
    """Return the gap before one snapshot: ``-ln(u)`` times the mean, rounded up, for a secret u in (0, 1].

    Args:
        secret: the chip's, 32 bytes.
        number: which gap, from 0; each is independent of all others.
        mean_gap_ms: how long it is on average.
    """
    drawn = int.from_bytes(_derive(secret, _TIME, number)[:16], "big") + 1
    mean_gaps = -_EXACT.ln(_EXACT.divide(Decimal(drawn), Decimal(_STEPS)))
    return max(1, int(_EXACT.multiply(mean_gaps, mean_gap_ms).to_integral_value(ROUND_CEILING)))


def compute_snapshot(weights_digest: bytes, salt: bytes) -> bytes:
    """Return the salted digest of some weights, which an inspector computes too who is given both."""
    return hmac.digest(salt, weights_digest, "sha256")


def fold_snapshots(last: bytes, further: bytes) -> bytes:
    """Return the digest that stands for the last of a report's snapshots and a further one."""
    return hashlib.sha256(_MANY + last + further).digest()


def _add(taken: tuple[bytes, ...], digest: bytes) -> tuple[bytes, ...]:
    """Return them with one more; what a report has no room for is folded into its last."""
    if len(taken) < MAX_SNAPSHOTS:
        return (*taken, digest)
    return (*taken[:-1], fold_snapshots(taken[-1], digest))


def _derive(secret: bytes, purpose: bytes, number: int) -> bytes:
    return hmac.digest(secret, purpose + number.to_bytes(8, "big"), "sha256")
