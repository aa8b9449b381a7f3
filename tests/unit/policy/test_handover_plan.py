"""Plans of handovers that parties derive from their treaty, and what none can be derived from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.ceremony import DEADLINE_MS
from support.world import make_council
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import RefusedError, UnknownPartyError
from vetonet.policy.ceremony import CeremonyPlan
from vetonet.policy.expression import Threshold
from vetonet.policy.handover import CeremonyKind
from vetonet.policy.handover_plan import (
    CeremonyContext,
    choose_dealers,
    plan_refresh,
    plan_repair,
    plan_resharing,
)
from vetonet.policy.treaty import Party
from vetonet.voting.ceremony import begin

COUNCIL = make_council(5, 3)
TREATY = COUNCIL.treaty
GROUP = TREATY.statement.all_groups[0]
NEW = Party(party_id="p6", key=generate_ed25519(SeededRng(b"p6")).public_key)
ROSTER = (*TREATY.statement.parties[:4], NEW)
LEAF = Threshold(
    min_grants=3, electorate=tuple(party.party_id for party in ROSTER), weights=(), minority=False
)


def reshare(**changes: Any) -> CeremonyPlan:
    fields: dict[str, Any] = {"leaf": LEAF, "parties": ROSTER, "dealers": (1, 2, 5), "attempt": 1}
    return plan_resharing(TREATY, 0, **(fields | changes))


def test_a_plan_names_the_group_of_the_treaty_and_the_epoch_in_which_it_counts() -> None:
    # VN-15.8
    plans = {
        CeremonyKind.RESHARING: (reshare(), 2),
        CeremonyKind.REFRESH: (plan_refresh(TREATY, 0, dealers=(1, 2, 3), attempt=1), 2),
        CeremonyKind.REPAIR: (plan_repair(TREATY, 0, lost=2, helpers=(1, 3, 5), attempt=1), 1),
    }
    for kind, (plan, epoch) in plans.items():
        assert plan.kind is kind
        assert plan.handover is not None
        assert plan.handover.package == GROUP.package
        assert CeremonyContext.from_bytes(plan.context) == CeremonyContext(
            treaty_digest=TREATY.payload_digest, group=0, epoch=epoch, attempt=1
        )
    assert plans[CeremonyKind.RESHARING][0].party_ids == ("p1", "p2", "p3", "p4", "p5", "p6")
    assert plans[CeremonyKind.REPAIR][0].party_ids == ("p1", "p2", "p3", "p5")


def test_whose_seats_a_plan_hands_over_begins_with_its_shares() -> None:
    shares = [held.share for held in COUNCIL.key_shares["p5"]]
    key, rng = COUNCIL.party_keys["p5"], SeededRng(b"begin")
    state, _ = begin(reshare(), "p5", key, deadline_ms=DEADLINE_MS, rng=rng, key_shares=shares)
    assert state.party_id == "p5"


def test_a_party_with_another_key_in_the_next_treaty_takes_part_with_that() -> None:
    moved = replace(ROSTER[0], key=generate_ed25519(SeededRng(b"another")).public_key)
    plan = reshare(parties=(moved, *ROSTER[1:]))
    assert plan.parties[0] == moved


def test_every_attempt_is_another_ceremony() -> None:
    # VN-15.1
    assert reshare(attempt=2).compute_digest() != reshare().compute_digest()


def test_who_cheated_does_not_deal_again() -> None:
    # VN-15.5
    assert choose_dealers(GROUP) == (1, 2, 3)
    assert choose_dealers(GROUP, without={"p1", "p3"}) == (2, 4, 5)
    with pytest.raises(RefusedError, match="at least 3 seats that deal, got 2"):
        choose_dealers(GROUP, without={"p1", "p3", "p4"})


def test_what_no_plan_can_be_derived_from_is_refused() -> None:
    with pytest.raises(UnknownPartyError, match="no group 1"):
        plan_refresh(TREATY, 1, dealers=(1, 2, 3), attempt=1)
    with pytest.raises(UnknownPartyError, match="neither roster"):
        reshare(parties=ROSTER[:4])
    with pytest.raises(ValueError, match="seat 6"):
        plan_repair(TREATY, 0, lost=6, helpers=(1, 3, 5), attempt=1)
    with pytest.raises(ValueError, match="at least 3 dealers"):
        reshare(dealers=(1, 2))
