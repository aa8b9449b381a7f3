"""How old key shares are, as far as a log shows it: when a council is to deal itself new ones (VN-16.9)."""

from __future__ import annotations

from vetonet.crypto import frost
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger


def compute_refresh_due_ms(ledger: Ledger) -> Milliseconds | None:
    """Return when the oldest key shares in force reach the age that the treaty allows, or None.

    A treaty has no date. A later one came of a vote that has; the first is at least as old as its first vote,
    so what comes back is never earlier than the truth. None where the treaty sets no bound, or no vote says
    anything about its age.
    """
    bound_ms = ledger.treaty.statement.refresh_ms
    since_ms = _find_time(ledger, _find_oldest(ledger))
    return None if not bound_ms or since_ms is None else since_ms + bound_ms


def _find_oldest(ledger: Ledger) -> int:
    """Return the place in the history of treaties of the one for which the oldest shares in force were dealt.

    The share of a group of one is its key: it cannot be dealt anew, and does not count.
    """
    history = [treaty.statement for treaty in (*ledger.predecessors, ledger.treaty)]
    shared = [package for package in history[-1].groups if package.min_signers > 1]
    return min((_find_dealt(history, package) for package in shared), default=len(history) - 1)


def _find_dealt(history: list[Treaty], package: frost.PublicKeyPackage) -> int:
    """Return the place of the treaty since which a group has had just these shares."""
    place = len(history) - 1
    while place and package in history[place - 1].groups:
        place -= 1
    return place


def _find_time(ledger: Ledger, place: int) -> Milliseconds | None:
    if place == 0:
        return min((vote.matter.statement.opens_ms for vote in ledger.votes.values()), default=None)
    digest = (*ledger.predecessors, ledger.treaty)[place].payload_digest
    resolutions = (vote.resolution for vote in ledger.votes.values() if vote.resolution is not None)
    dates = [entry.statement.issued_ms for entry in resolutions if entry.statement.subject_digest == digest]
    return max(dates, default=None)
