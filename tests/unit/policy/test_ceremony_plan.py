"""Plans of key ceremonies that are refused, and statements that are not what they claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.ceremony import Table, kind_of, make_cast
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, EpochError, UnknownPartyError
from vetonet.policy.ballot import Ballot
from vetonet.policy.ceremony import (
    MAX_CEREMONY_BYTES,
    CeremonyDisclosure,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyRound1,
    open_ceremony_statement,
)
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
        commitments=(),
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
