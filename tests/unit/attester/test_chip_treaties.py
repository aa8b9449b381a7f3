"""Another treaty: a chip takes the one that its own quorum put in force, and no other (VN-12.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.fleet import LICENCE_LEAF, make_fleet, tell
from support.world import deal_groups, make_council
from vetonet.attester.holdings import PastTreaty
from vetonet.attester.machine import step
from vetonet.attester.state import (
    MAX_PAST_TREATIES,
    ChipState,
    IntervalEnded,
    LeaseOffered,
    LicenceOffered,
    Phase,
    PowerCycled,
    TreatyAdopted,
    TreatyAmended,
)
from vetonet.attester.treaty_gate import TREATY_RULES
from vetonet.crypto.keys import SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.policy.action import ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.lease import derive_lease
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Party, Treaty, open_treaty
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR

HOUR = MS_PER_HOUR
WORK = 10**18
FLEET = make_fleet(per_device_flop=20 * WORK, lease_flop=4 * WORK, lease_ms=4 * HOUR)
COUNCIL = FLEET.council
PRESENT = COUNCIL.treaty.statement
LEASED = FLEET.lease(FLEET.chips[0])
NOW = LEASED.latest_ms
ALL = ("p1", "p2", "p3")
MALLORY = generate_ed25519(SeededRng(b"mallory"))
STRICTER = (
    Band(name="free", floor_flop=0, rule=BandRule.FREE),
    Band(name="licensed", floor_flop=10**23, rule=BandRule.LICENSED),
)


def amend(**changes: Any) -> Signed[Treaty]:
    """The treaty of the next epoch, with a stricter band, signed by all."""
    fields: dict[str, Any] = {"epoch": 2, "bands": STRICTER}
    return open_treaty(
        sign_jointly(replace(PRESENT, **(fields | changes)), tuple(COUNCIL.party_keys.values()))
    )


AMENDED = amend()


def resolve(**changes: Any) -> Resolution:
    fields: dict[str, Any] = {
        "treaty_digest": COUNCIL.treaty.payload_digest,
        "epoch": 1,
        "action": ActionClass.AMEND_RULES,
        "motion_digest": bytes(32),
        "motion_leaf_index": 1,
        "ballot_leaf_indices": (2, 3),
        "subject_digest": AMENDED.payload_digest,
        "issued_ms": NOW - HOUR,
        "ends_ms": NOW + HOUR,
    }
    return Resolution(**(fields | changes))


RESOLVED = COUNCIL.sign_by(resolve(), ALL, ActionClass.AMEND_RULES)


RESOLVED_LEAF = FLEET.log.tree_size
"""Behind what the fleet's log holds; the treaty that it puts in force stands next."""


def log_with(*leaves: bytes) -> Log:
    return Log(FLEET.log.origin, [*(FLEET.log.leaf(i) for i in range(FLEET.log.tree_size)), *leaves])


def offer(resolution: bytes | None = None, treaty: Signed[Treaty] = AMENDED, **changes: Any) -> TreatyAmended:
    """What an operator hands in, with some parts changed."""
    data = resolution or RESOLVED
    return offer_in(log_with(data, treaty.data), RESOLVED_LEAF, RESOLVED_LEAF + 1, data, treaty, **changes)


def offer_in(
    log: Log, resolved: int, amended: int, data: bytes, treaty: Signed[Treaty], **changes: Any
) -> TreatyAmended:
    """A resolution and a treaty at these leaves of a log, with some parts changed."""
    fields: dict[str, Any] = {
        "treaty": treaty.data,
        "data": data,
        "log_proof": compute_log_proof(log, resolved, COUNCIL.sign_head(log)),
        "inclusion": log.inclusion_proof(amended),
        "consistency": log.consistency_proof(FLEET.log.tree_size),
    }
    return TreatyAmended(**(fields | changes))


def decided(treaty: Signed[Treaty] = AMENDED, **changes: Any) -> TreatyAmended:
    """A treaty that the quorum put in force by a resolution with some fields changed."""
    resolution = resolve(**({"subject_digest": treaty.payload_digest} | changes))
    return offer(COUNCIL.sign_by(resolution, ALL, resolution.action), treaty)


REFRESHED = amend(bands=PRESENT.bands)
"""The next epoch after a change of the roster in which nobody left."""


@pytest.mark.parametrize(
    ("treaty", "action"),
    [(AMENDED, ActionClass.AMEND_RULES), (REFRESHED, ActionClass.ROSTER_CHANGE)],
    ids=["amend-rules", "roster-change"],
)
def test_a_treaty_that_the_present_quorum_put_in_force_is_taken(
    treaty: Signed[Treaty], action: ActionClass
) -> None:
    chip, effects = step(LEASED, decided(treaty, action=action), NOW)
    assert effects[-1] == TreatyAdopted(epoch=2)
    assert (chip.treaty, chip.phase, chip.licence) == (treaty, Phase.LEASED, LEASED.licence)


def test_what_the_log_took_is_in_force_however_late_a_chip_hears_of_it() -> None:
    """VN-12.7, VN-16.7."""
    _, effects = step(LEASED, decided(ends_ms=NOW), NOW + 24 * HOUR)
    assert effects[-1] == TreatyAdopted(epoch=2)


def offer_signed_by(parties: tuple[str, ...], action: ActionClass) -> TreatyAmended:
    """Signed for one class of action, and said to be about another."""
    return offer(COUNCIL.sign_by(resolve(), parties, action))


def offer_signed_by_some() -> TreatyAmended:
    keys = tuple(COUNCIL.party_keys.values())[:2]
    return offer(treaty=replace(AMENDED, data=sign_jointly(AMENDED.statement, keys)))


def offer_under_another_log() -> TreatyAmended:
    log = log_with(RESOLVED, AMENDED.data)
    note = sign_checkpoint(log.checkpoint(), MALLORY).to_bytes()
    return offer(log_proof=compute_log_proof(log, RESOLVED_LEAF, note))


def offer_under_too_few_witnesses() -> TreatyAmended:
    log = log_with(RESOLVED, AMENDED.data)
    note = COUNCIL.sign_head(log, witness_ids=("p1",))
    return offer(log_proof=compute_log_proof(log, RESOLVED_LEAF, note))


def offer_that_the_log_did_not_take() -> TreatyAmended:
    """Two treaties were adopted, and the log holds the other one."""
    log = log_with(RESOLVED, COUNCIL.sign_by(resolve(subject_digest=REFRESHED.payload_digest), ALL))
    log.append(REFRESHED.data)
    return offer_in(log, RESOLVED_LEAF, RESOLVED_LEAF + 2, RESOLVED, AMENDED)


def offer_logged_before_its_resolution() -> TreatyAmended:
    log = log_with(AMENDED.data, RESOLVED)
    return offer_in(log, RESOLVED_LEAF + 1, RESOLVED_LEAF, RESOLVED, AMENDED)


def draw_key(name: str) -> SigningKey:
    return generate_ed25519(SeededRng(name.encode()))


def seat(epoch: int, *names: str) -> Treaty:
    """The treaty of an epoch with others in the seats; three of them hold the keys of the present ones."""
    keys = {party.party_id: party.key for party in PRESENT.parties}
    actions = tuple(
        replace(rule, quorum=Quorum.of_threshold(min(len(names), rule.quorum.leaves[0].min_grants), names))
        for rule in PRESENT.actions
    )
    return replace(
        PRESENT,
        epoch=epoch,
        parties=tuple(
            Party(party_id=name, key=keys.get(name) or draw_key(name).public_key) for name in names
        ),
        actions=actions,
        groups=PRESENT.groups if len(names) == len(ALL) else deal_groups(actions, SeededRng(b"coup"))[0],
        witnesses=tuple(replace(witness, party_id=None) for witness in PRESENT.witnesses),
        operators=tuple(replace(operator, party_id=None) for operator in PRESENT.operators),
    )


def offer_with_another_roster() -> TreatyAmended:
    """By the quorum for rules alone: one member is left, under a key of its own."""
    return decided(open_treaty(sign_jointly(seat(2, "m1"), (draw_key("m1"),))))


def offer_of_another_council() -> TreatyAmended:
    stranger = make_council(rng=SeededRng(b"other"))
    return offer(stranger.sign_by(resolve(), ALL))


REFUSED: dict[str, tuple[Callable[[], TreatyAmended], str]] = {
    "without a resolution": (lambda: offer(b"\xd2\x80"), "resolution-malformed"),
    "with the treaty as its own resolution": (lambda: offer(AMENDED.data), "resolution-malformed"),
    "signed by one person": (lambda: offer(sign_jointly(resolve(), (MALLORY,))), "resolution-forged"),
    "signed by another council": (offer_of_another_council, "resolution-forged"),
    "signed by the quorum for runs": (
        lambda: offer_signed_by(("p1", "p2"), ActionClass.RUN_GRANT),
        "resolution-forged",
    ),
    "of another epoch": (lambda: decided(epoch=2), "wrong-epoch"),
    "of another treaty": (lambda: decided(treaty_digest=bytes(32)), "wrong-epoch"),
    "about a patch": (
        lambda: offer(
            COUNCIL.sign_by(resolve(action=ActionClass.SECURITY_PATCH), ALL, ActionClass.AMEND_RULES)
        ),
        "other-resolution",
    ),
    "about another treaty": (lambda: decided(subject_digest=bytes(32)), "other-resolution"),
    "that is none": (lambda: offer(treaty=replace(AMENDED, data=b"\xd2\x80")), "treaty-malformed"),
    "that a party did not sign": (offer_signed_by_some, "treaty-unsigned"),
    "of the same epoch": (lambda: decided(amend(epoch=1)), "epoch-skipped"),
    "two epochs on": (lambda: decided(amend(epoch=3)), "epoch-skipped"),
    "with another log": (lambda: decided(amend(log_origin="log.example/other")), "log-replaced"),
    "with another log key": (lambda: decided(amend(log_key=MALLORY.public_key)), "log-replaced"),
    "with fewer witnesses": (
        lambda: decided(amend(witnesses=PRESENT.witnesses[:2], witness_quorum=2)),
        "log-replaced",
    ),
    "with another quorum of them": (lambda: decided(amend(witness_quorum=3)), "log-replaced"),
    "with another roster, by the quorum for rules": (offer_with_another_roster, "no-successor"),
    "with other rules, by the quorum for the roster": (
        lambda: decided(action=ActionClass.ROSTER_CHANGE),
        "no-successor",
    ),
    "that the log did not take": (offer_that_the_log_did_not_take, "not-in-log"),
    "that stands before its resolution": (offer_logged_before_its_resolution, "not-in-log"),
    "at another leaf": (
        lambda: offer(log_proof=replace(offer().log_proof, leaf_index=3)),
        "not-in-log",
    ),
    "before its ballots": (lambda: decided(ballot_leaf_indices=(2, FLEET.log.tree_size)), "not-in-log"),
    "in a log that another key signs": (offer_under_another_log, "checkpoint-forged"),
    "in a log that one witness cosigned": (offer_under_too_few_witnesses, "checkpoint-unwitnessed"),
    "in a log not shown to extend the known one": (lambda: offer(consistency=None), "log-fork"),
}


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*entry, id=name) for name, entry in REFUSED.items()]
)
def test_another_treaty_is_refused_with_its_reason(make: Callable[[], TreatyAmended], reason: str) -> None:
    """VN-12.7."""
    chip, effects = step(LEASED, make(), NOW)
    assert tell(effects) == [reason]
    assert chip is LEASED


def test_seats_that_left_before_the_present_epoch_count_too() -> None:
    """VN-12.7, VN-16.6: a quorum of seats of an epoch that the chip remembers left, one after another."""
    for names, reason in ((("p1", "p2", "x3"), []), (("p1", "x2", "x3"), ["no-successor"])):
        past = PastTreaty(signed=replace(COUNCIL.treaty, statement=seat(0, *names)), end_leaf_index=0)
        assert tell(step(replace(LEASED, past=(past,)), offer(), NOW)[1]) == reason


def test_every_rule_of_the_table_refuses_something_here() -> None:
    assert {reason for reason, _ in TREATY_RULES} <= {reason for _, reason in REFUSED.values()}


def test_a_treaty_that_lets_nobody_amend_it_stays() -> None:
    """VN-12.7, VN-4.6."""
    council = make_council()
    chip = replace(LEASED, treaty=council.treaty)
    resolution = resolve(treaty_digest=council.treaty.payload_digest)
    _, effects = step(chip, offer(council.sign_by(resolution, ALL)), NOW)
    assert tell(effects) == ["other-resolution"]


def amended() -> ChipState:
    return step(LEASED, offer(), NOW)[0]


def offer_lease(treaty: Signed[Treaty], number: int) -> LeaseOffered:
    data = COUNCIL.sign_by(derive_lease(treaty, FLEET.licence, number), ALL, ActionClass.LEASE_RENEWAL)
    before, log = log_with(RESOLVED, AMENDED.data), log_with(RESOLVED, AMENDED.data, data)
    return LeaseOffered(
        data=data,
        log_proof=compute_log_proof(log, log.tree_size - 1, COUNCIL.sign_head(log)),
        consistency=log.consistency_proof(before.tree_size),
    )


def test_the_lease_in_force_goes_on_and_the_next_must_be_of_the_new_epoch() -> None:
    """VN-12.7."""
    chip, effects = step(amended(), FLEET.request(flop=WORK), NOW)
    assert tell(effects) == []
    chip, _ = step(chip, IntervalEnded(), NOW + 3 * HOUR)
    assert chip.phase is Phase.PAUSED
    assert tell(step(chip, offer_lease(COUNCIL.treaty, 2), chip.latest_ms)[1]) == ["wrong-epoch"]
    chip, effects = step(chip, offer_lease(AMENDED, 2), chip.latest_ms)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)
    assert tell(step(chip, FLEET.request(flop=WORK), chip.latest_ms)[1]) == []


def offer_licence(chip: ChipState, log: Log, place: int, data: bytes = FLEET.licence.data) -> LicenceOffered:
    return FLEET.offer(
        chip.ueid,
        data=data,
        log_proof=compute_log_proof(log, place, COUNCIL.sign_head(log)),
        consistency=log.consistency_proof(FRESH_SIZE),
    )


FRESH_SIZE = RESOLVED_LEAF + 2
"""So much of the log knows a chip that took the next treaty."""


def amend_without_licence() -> ChipState:
    """A chip that took the next treaty before anybody gave it its licence, and lost power since."""
    chip, _ = step(FLEET.chips[1], offer(), NOW)
    started = PowerCycled(seed=b"b" * 32)
    return step(chip, started, NOW)[0]


def test_a_licence_of_the_epoch_before_lives_on_and_needs_leases_of_the_new_one() -> None:
    """VN-12.2, VN-16.8."""
    chip, log = amend_without_licence(), log_with(RESOLVED, AMENDED.data)
    chip, effects = step(chip, offer_licence(chip, log, LICENCE_LEAF), NOW)
    assert (tell(effects), chip.phase, chip.treaty) == ([], Phase.LICENSED, AMENDED)
    chip, _ = step(chip, IntervalEnded(), NOW + 3 * HOUR)
    assert tell(step(chip, offer_lease(COUNCIL.treaty, 2), chip.latest_ms)[1]) == ["wrong-epoch"]
    chip, effects = step(chip, offer_lease(AMENDED, 2), chip.latest_ms)
    assert (tell(effects), chip.phase) == ([], Phase.LEASED)


def test_a_licence_of_an_epoch_that_was_over_when_it_was_logged_is_refused() -> None:
    """VN-12.2, VN-16.8: whoever kept old shares signs nothing new with them."""
    chip = amend_without_licence()
    log = log_with(RESOLVED, AMENDED.data, FLEET.licence.data)
    assert tell(step(chip, offer_licence(chip, log, FRESH_SIZE), NOW)[1]) == ["wrong-epoch"]


def test_a_licence_of_an_epoch_that_the_chip_never_knew_is_refused() -> None:
    chip, log = replace(amend_without_licence(), past=()), log_with(RESOLVED, AMENDED.data)
    assert tell(step(chip, offer_licence(chip, log, LICENCE_LEAF), NOW)[1]) == ["wrong-epoch"]


def test_a_chip_remembers_so_many_treaties_and_no_more() -> None:
    chip = FLEET.chips[1]
    for place in range(MAX_PAST_TREATIES + 3):
        chip = chip.with_treaty(AMENDED, place)
    assert [past.end_leaf_index for past in chip.past] == list(range(3, MAX_PAST_TREATIES + 3))


def test_the_bands_of_the_new_treaty_hold_from_now_on() -> None:
    large = FLEET.free_request(flop=WORK, total_flop=5 * 10**23)
    assert tell(step(LEASED, large, NOW)[1]) == []
    assert tell(step(amended(), large, NOW)[1]) == ["licence-required"]


def test_a_treaty_is_taken_once_and_the_old_one_does_not_return() -> None:
    chip = amended()
    assert tell(step(chip, offer(), NOW)[1]) == ["wrong-epoch"]
    back = resolve(
        subject_digest=COUNCIL.treaty.payload_digest, treaty_digest=AMENDED.payload_digest, epoch=2
    )
    data = COUNCIL.sign_by(back, ALL, ActionClass.AMEND_RULES)
    assert tell(step(chip, offer(data, COUNCIL.treaty), NOW)[1]) == ["epoch-skipped"]
