"""The interlock of a fixed set: chips of one set talk fast, to all else slowly (VN-17.12; RFD 033).

A set of 8 to 64 chips is told at manufacture which chips belong to it. Within it links are as fast as the
wires; to everything outside, other chips as well as the network, a chip sends and receives at most 1 GB/s,
and counts every byte of it. Sets that are joined into a larger machine over such a thread train slowly, and
their reports show the traffic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from vetonet.attestation.report import UEID_BYTES
from vetonet.units import MS_PER_S, Milliseconds

MIN_SET: Final = 8
MAX_SET: Final = 64
OUTSIDE_BYTES_PER_S: Final = 10**9
INSIDE_BYTES_PER_S: Final = 900 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSet:
    """The chips that are one machine, by ueid, sorted; burnt in at manufacture."""

    ueids: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Refuse too few, too many, one twice and what is no ueid."""
        if not MIN_SET <= len(self.ueids) <= MAX_SET or list(self.ueids) != sorted(set(self.ueids)):
            raise ValueError(f"expected {MIN_SET} to {MAX_SET} chips, sorted, each once")
        if any(len(ueid) != UEID_BYTES for ueid in self.ueids):
            raise ValueError(f"expected ueids of {UEID_BYTES} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """How fast a chip's links are, in bytes a second, both directions together."""

    outside_bytes_per_s: int = OUTSIDE_BYTES_PER_S
    inside_bytes_per_s: int = INSIDE_BYTES_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRequested:
    """The operator wants bytes exchanged from ``now`` on.

    Attributes:
        size_bytes: how many, in whatever direction.
        duration_ms: how long it may take; it goes on beside whatever is computed.
        peer: the chip at the other end, which the link has identified, or None for anything that is no chip.
    """

    size_bytes: int
    duration_ms: Milliseconds
    peer: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse a request for nothing."""
        if self.size_bytes < 1 or self.duration_ms < 1:
            raise ValueError("expected some bytes and some time")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSent:
    """So much was exchanged of what was asked for, until ``end_ms``."""

    asked_bytes: int
    sent_bytes: int
    is_inside: bool
    end_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """A chip's links and what went over them.

    Attributes:
        fixed_set: the chips inside, or None for a chip that has no set, to which everything is outside.
        limits: how fast the links are.
        outside_bytes: exchanged with the outside and not reported yet.
        outside_free_ms, inside_free_ms: until when what was asked for before keeps each link busy.
    """

    fixed_set: FixedSet | None = None
    limits: LinkLimits = LinkLimits()
    outside_bytes: int = 0
    outside_free_ms: Milliseconds = 0
    inside_free_ms: Milliseconds = 0

    def is_inside(self, peer: bytes | None) -> bool:
        """Whether a peer is a chip of the same set."""
        return peer is not None and self.fixed_set is not None and peer in self.fixed_set.ueids

    def send(self, request: TrafficRequested, now: Milliseconds) -> tuple[Interlock, DataSent]:
        """Return the links after a request, and how much of it they carried: no rate is ever exceeded."""
        is_inside = self.is_inside(request.peer)
        limits = self.limits
        rate = limits.inside_bytes_per_s if is_inside else limits.outside_bytes_per_s
        starts_ms = max(now, self.inside_free_ms if is_inside else self.outside_free_ms)
        left_ms = max(0, now + request.duration_ms - starts_ms)
        sent = min(request.size_bytes, rate * left_ms // MS_PER_S)
        end_ms = starts_ms + -(-sent * MS_PER_S // rate)
        carried = DataSent(
            asked_bytes=request.size_bytes, sent_bytes=sent, is_inside=is_inside, end_ms=end_ms
        )
        if is_inside:
            return replace(self, inside_free_ms=end_ms), carried
        counted = self.outside_bytes + sent
        return replace(self, outside_bytes=counted, outside_free_ms=end_ms), carried

    def report(self, duration_ms: Milliseconds) -> tuple[Interlock, int]:
        """Return the links after an interval, and the bytes that it tells of.

        A request may reach over the end of an interval; what the link cannot have carried by then is told of
        in the next one.
        """
        if not self.outside_bytes:
            return self, 0
        told = min(self.outside_bytes, self.limits.outside_bytes_per_s * duration_ms // MS_PER_S)
        return replace(self, outside_bytes=self.outside_bytes - told), told


def plan_sets(count: int) -> tuple[int, ...]:
    """Return the sizes of as few sets as hold so many chips, none where there are too few for one."""
    sets = -(-count // MAX_SET) if count >= MIN_SET else 0
    return tuple(count // sets + (index < count % sets) for index in range(sets))
