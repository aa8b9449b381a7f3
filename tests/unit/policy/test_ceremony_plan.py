"""Plans of key ceremonies that are refused, and statements that are not what they claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.ceremony import Cast, Table, kind_of, make_cast, make_refresh, make_repair, make_resharing
from support.frost_groups import deal_group
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, EpochError, UnknownPartyError
from vetonet.policy.ballot import Ballot
from vetonet.policy.ceremony import (
    MAX_CEREMONY_BYTES,
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyRound1,
    CeremonyShares,
    CeremonySums,
    open_ceremony_statement,
)
from vetonet.policy.handover import CeremonyKind, Handover
from vetonet.policy.quorum import Choice
from vetonet.policy.treaty import Party

CAST = make_cast(3)
PLAN = CAST.plan
DIGEST = PLAN.compute_digest()
STRANGER = generate_ed25519(SeededRng(b"stranger"))


def party(name: str, key: str) -> Party:
    return Party(party_id=name, key=CAST.keys[key].public_key)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"min_signers": 0}, "signers"),
        ({"min_signers": 4}, "signers"),
        ({"seats": (), "parties": ()}, "signers"),
        ({"seats": ("p1", "p2", "p2")}, "a seat for each party"),
        ({"seats": ("p1", "p2", "p3", "p9")}, "a party for each seat"),
        ({"parties": (party("p1", "p1"), party("p2", "p2"), party("p3", "p2"))}, "stands twice"),
        ({"parties": (party("p1", "p1"), party("p2", "p2"), party("p2", "p3"))}, "stands twice"),
        ({"seats": ("p1", "p2", "p3") * 43}, "at most 128"),
    ],
)
def test_a_plan_that_cannot_be_held_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(PLAN, **changes)


def test_a_plan_without_context_cannot_be_written_down() -> None:
    with pytest.raises(EncodingError):
        replace(PLAN, context=b"").compute_digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"context": b"attempt 2"},
        {"min_signers": 3},
        {"seats": ("p2", "p1", "p3")},
        {"seats": ("p1", "p2", "p3", "p3")},
        {"parties": tuple(reversed(PLAN.parties))},
    ],
)
def test_any_other_plan_is_another_ceremony(changes: dict[str, Any]) -> None:
    assert replace(PLAN, **changes).compute_digest() != DIGEST
    assert CeremonyPlan.from_bytes(PLAN.to_bytes()).compute_digest() == DIGEST


def test_seats_are_counted_from_one_and_nobody_elses_are_found() -> None:
    plan = make_cast(2, 2, seats=("p2", "p1", "p2")).plan
    assert plan.list_seats("p2") == (1, 3)
    assert [plan.find_owner(seat) for seat in (1, 2, 3)] == ["p2", "p1", "p2"]
    for seat in (0, 4, -1):
        with pytest.raises(UnknownPartyError):
            plan.find_owner(seat)
    with pytest.raises(UnknownPartyError):
        plan.list_seats("p3")


def test_a_statement_of_another_ceremony_signer_or_kind_is_refused() -> None:
    echo = CeremonyEcho(ceremony=bytes(32), transcript=bytes(32))
    ballot = Ballot(
        treaty_digest=bytes(32),
        epoch=1,
        proposal_digest=bytes(32),
        choice=Choice.ABSTAIN,
        cast_ms=1,
        expires_ms=2,
        reason=None,
    )
    for statement, key, kind in (
        (echo, CAST.keys["p1"], EpochError),
        (replace(echo, ceremony=DIGEST), STRANGER, UnknownPartyError),
        (ballot, CAST.keys["p1"], EncodingError),
    ):
        with pytest.raises(kind):
            open_ceremony_statement(sign(statement, key), keys=PLAN.keys, ceremony=DIGEST)


@pytest.mark.parametrize("data", [b"", b"junk", bytes(MAX_CEREMONY_BYTES + 1)])
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        open_ceremony_statement(data, keys=PLAN.keys, ceremony=DIGEST)


@pytest.mark.parametrize("seats", [(), ("p1",) * 60 + ("p2",) * 4 + ("p3",) * 64])
def test_every_statement_of_a_plan_fits_its_limit(seats: tuple[str, ...]) -> None:
    # Each party's round 1 as one disclosure, as large as such packages get.
    cast = make_cast(3, seats=seats)
    size = 68 + 32 * cast.plan.min_signers
    signed = tuple(
        sign(
            CeremonyRound1(
                ceremony=DIGEST,
                packages=tuple(bytes(size) for _ in cast.plan.list_seats(name)),
                hpke_keys=(bytes(32),) * 2,
            ),
            key,
        )
        for name, key in cast.keys.items()
    )
    disclosure = sign(CeremonyDisclosure(ceremony=DIGEST, statements=signed), cast.keys["p1"])
    assert max(map(len, (*signed, disclosure))) <= cast.plan.max_message_bytes <= MAX_CEREMONY_BYTES


def test_what_an_honest_ceremony_sends_fits_its_limit() -> None:
    table = Table.seat(CAST).run()
    assert max(len(data) for _, _, data in table.sent) <= PLAN.max_message_bytes
    assert len({kind_of(data) for _, _, data in table.sent}) == 4


RESHARING, REFRESH, REPAIR = make_resharing().plan, make_refresh().plan, make_repair().plan


def handover_of(plan: CeremonyPlan) -> Handover:
    assert plan.handover is not None
    return plan.handover


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dealers": (1, 2)}, "at least 3 dealers, got 2"),
        ({"dealers": (1, 2, 6)}, "dealer 6 is not of the old group of 5"),
        ({"dealers": (0, 1, 2)}, "dealer 0 is not of the old group"),
        ({"dealers": (1, 2, 2)}, "none of them twice"),
        ({"dealers": (2, 1, 3)}, "ascending"),
        ({"seats": ("p1", "p2", "p3", "p4")}, "participants 1 to 4"),
        ({"package": deal_group(3, (1, 2, 3, 4, 6)).public}, "participants 1 to 5"),
        ({"kind": CeremonyKind.GENERATION}, "takes nothing over"),
        ({"kind": CeremonyKind.REPAIR}, "lost"),
        ({"lost": 3}, "lost"),
    ],
)
def test_a_handover_that_cannot_be_held_is_refused(changes: dict[str, Any], match: str) -> None:
    # VN-15.8
    with pytest.raises(ValueError, match=match):
        replace(handover_of(RESHARING), **changes)


@pytest.mark.parametrize(("lost", "match"), [(0, "seat 0"), (6, "seat 6"), (2, "cannot help")])
def test_a_repair_of_no_seat_or_of_a_helper_is_refused(lost: int, match: str) -> None:
    # VN-15.9
    with pytest.raises(ValueError, match=match):
        replace(handover_of(REPAIR), lost=lost)


@pytest.mark.parametrize("plan", [REFRESH, REPAIR])
@pytest.mark.parametrize("changes", [{"seats": ("p2", "p1", "p3", "p4", "p5")}, {"min_signers": 2}])
def test_a_refresh_or_repair_that_moves_seats_or_threshold_is_refused(
    plan: CeremonyPlan, changes: dict[str, Any]
) -> None:
    # VN-15.8
    with pytest.raises(ValueError, match="leaves seats and threshold"):
        replace(plan, **changes)


@pytest.mark.parametrize("plan", [RESHARING, REFRESH, REPAIR])
def test_a_plan_for_more_or_fewer_than_take_part_is_refused(plan: CeremonyPlan) -> None:
    for parties in (plan.parties[1:], (*plan.parties, Party(party_id="p9", key=STRANGER.public_key))):
        with pytest.raises(ValueError, match="a party for each seat"):
            replace(plan, parties=parties)


@pytest.mark.parametrize("plan", [RESHARING, REFRESH, REPAIR])
def test_any_other_handover_is_another_ceremony(plan: CeremonyPlan) -> None:
    assert CeremonyPlan.from_bytes(plan.to_bytes()) == plan
    other = replace(handover_of(plan), package=deal_group(3, range(1, 6), b"other").public)
    assert replace(plan, handover=other).compute_digest() != plan.compute_digest()
    assert replace(RESHARING, seats=REFRESH.seats, parties=REFRESH.parties).compute_digest() not in {
        RESHARING.compute_digest(),
        REFRESH.compute_digest(),
    }


@pytest.mark.parametrize("plan", [RESHARING, REFRESH, REPAIR])
def test_nobody_owes_what_is_not_of_the_kind(plan: CeremonyPlan) -> None:
    for sender in plan.party_ids:
        for receiver in plan.party_ids:
            sums = plan.list_pairs(CeremonySums, sender, receiver)
            assert not sums or (plan is REPAIR and receiver == "p3" and sender != "p3")
            if sender not in handover_of(plan).owners:
                assert not plan.list_pairs(CeremonyShares, sender, receiver)


def test_a_complaint_of_more_than_it_has_keys_for_is_refused() -> None:
    with pytest.raises(ValueError, match="a key for each"):
        CeremonyComplaint(ceremony=DIGEST, hpke_seeds=(bytes(32),), sealed=(b"x", b"y"))


@pytest.mark.parametrize(
    "cast", [make_resharing(), make_repair(), make_repair(dealers=(1, 2, 4, 5)), make_refresh()]
)
def test_what_an_honest_handover_sends_fits_its_limit(cast: Cast) -> None:
    table = Table.seat(cast).run()
    assert max(len(data) for _, _, data in table.sent) <= cast.plan.max_message_bytes
