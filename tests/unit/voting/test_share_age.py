"""When key shares are to be dealt anew, as far as a log can tell (VN-16.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from support.tenancy import Tenancy
from support.world import Council, deal_groups, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, compute_digest, sign_jointly
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.units import MS_PER_HOUR
from vetonet.voting.ledger import Ledger
from vetonet.voting.machine import derive
from vetonet.voting.share_age import compute_refresh_due_ms

ROSTER: Final = ("p1", "p2", "p3")
CHANGING: Final = {ActionClass.ROSTER_CHANGE: Quorum.of_threshold(2, ROSTER)}
BOUND_MS: Final = 24 * MS_PER_HOUR


def begin(refresh_ms: int = BOUND_MS) -> Tenancy:
    return Tenancy.begin(make_council(refresh_ms=refresh_ms, quorums=CHANGING))


def sign_by_all(council: Council, treaty: Treaty) -> Signed[Treaty]:
    return open_treaty(sign_jointly(treaty, tuple(council.party_keys.values())))


def decide(run: Tenancy, treaty: Treaty) -> Resolution:
    motion = run.council.move("p1", ActionClass.ROSTER_CHANGE, subject_digest=compute_digest(treaty))
    run.log(motion.data)
    for party in ("p1", "p2"):
        run.log(run.council.sign_ballot(party, motion).data)
    resolution = derive(run.ledger.find(motion.payload_digest))
    run.log(run.council.sign_by(resolution, ("p1", "p2"), ActionClass.ROSTER_CHANGE))
    assert isinstance(resolution, Resolution)
    return resolution


def follow(run: Tenancy, successor: Treaty) -> Ledger:
    """The log under another treaty, whatever the rules on that are."""
    signed = sign_by_all(run.council, successor)
    return replace(run.ledger, treaty=signed, predecessors=(run.ledger.treaty,))


def test_a_treaty_without_a_bound_is_never_due() -> None:
    # VN-16.9
    assert compute_refresh_due_ms(begin(refresh_ms=0).ledger) is None


def test_a_log_without_a_vote_says_nothing_of_an_age() -> None:
    council = make_council(refresh_ms=BOUND_MS)
    assert compute_refresh_due_ms(Ledger(treaty=council.treaty)) is None


def test_the_first_shares_are_at_least_as_old_as_the_first_vote() -> None:
    run = begin()
    opened = min(vote.matter.statement.opens_ms for vote in run.ledger.votes.values())
    assert compute_refresh_due_ms(run.ledger) == opened + BOUND_MS


def test_another_treaty_with_the_same_shares_makes_them_no_younger() -> None:
    run = begin()
    before = compute_refresh_due_ms(run.ledger)
    successor = replace(run.council.treaty.statement, epoch=2)
    decide(run, successor)
    assert compute_refresh_due_ms(follow(run, successor)) == before


def test_shares_that_were_dealt_anew_are_as_old_as_the_decision_on_their_treaty() -> None:
    run = begin()
    present = run.council.treaty.statement
    groups, _ = deal_groups(present.actions, SeededRng(b"dealt anew"))
    successor = replace(present, epoch=2, groups=groups)
    resolution = decide(run, successor)
    assert compute_refresh_due_ms(follow(run, successor)) == resolution.issued_ms + BOUND_MS
