"""What a confidential report commits to, who can open it, and what it keeps to itself (VN-17.18)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from support.fleet import PER_DEVICE_FLOP, drive, make_fleet, sign_lease
from vetonet.attestation.appraise import appraise_chain
from vetonet.attestation.report import (
    CONFIDENTIAL_ENERGY_STEP_J,
    CONFIDENTIAL_PROFILE,
    CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    EAT_PROFILE,
    PROFILES,
    ComputeReport,
)
from vetonet.attester.account import Account, OpeningTold, open_account
from vetonet.attester.interlock import TrafficRequested
from vetonet.attester.machine import step
from vetonet.attester.models import CHIP_MODELS
from vetonet.attester.nonvolatile import Kept, read_kept, write_kept
from vetonet.attester.state import (
    ChipState,
    Effect,
    IntervalEnded,
    LeaseOffered,
    LicenceOffered,
    PowerCycled,
    ReportSigned,
)
from vetonet.attester.working import run_work
from vetonet.crypto.pedersen import MAX_VALUE, Commitment, Opening, commit, sum_commitments, verify_opening
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError, ProofError
from vetonet.policy.licence import open_licence
from vetonet.policy.totals import Totals
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MAX_TIME_MS, MS_PER_HOUR, MS_PER_S, UNIT_FLOP, WorkloadClass

FLEET = make_fleet(totals=Totals.CONFIDENTIAL)
OPEN = make_fleet()
CHIP = FLEET.chips[0]
LICENCE = FLEET.licence.statement
WORK = 10**17
SECOND = MS_PER_S


def report(chip: ChipState, later_ms: int = 1) -> tuple[ChipState, Signed[ComputeReport], OpeningTold]:
    """Close the interval; the report and what opens it."""
    following, effects = step(chip, IntervalEnded(), chip.latest_ms + later_ms)
    told, signed = pick(effects)
    return following, signed, told


def pick(effects: Sequence[Effect]) -> tuple[OpeningTold, Signed[ComputeReport]]:
    (told,) = [effect for effect in effects if isinstance(effect, OpeningTold)]
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return told, FLEET.open(data)


def work(chip: ChipState, *, flop: int = WORK, **changes: Any) -> ChipState:
    """The chip after small work without a licence."""
    event = FLEET.free_request(**({"flop": flop, "duration_ms": 200 * SECOND} | changes))
    return step(chip, event, chip.latest_ms)[0]


def work_licensed(chip: ChipState, *, flop: int = WORK, licence_id: int = LICENCE.licence_id) -> ChipState:
    event = FLEET.request(flop=flop, duration_ms=200 * SECOND, licence_id=licence_id)
    return step(chip, event, chip.latest_ms)[0]


def read(signed: Signed[ComputeReport]) -> Commitment:
    return Commitment.from_bytes(signed.statement.commitment)


@cache
def license_again() -> tuple[LicenceOffered, LeaseOffered, int]:
    """A later licence for the same chips, and its first lease, in a log that extends the fleet's."""
    council = FLEET.council
    proposal = council.sign_proposal(
        device_set_root=LICENCE.device_set_root,
        device_count=len(FLEET.members),
        per_device_flop=PER_DEVICE_FLOP,
        lease_flop=PER_DEVICE_FLOP,
        total_flop=PER_DEVICE_FLOP * len(FLEET.members),
    )
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    licence = council.sign_licence(proposal, ballots, proposal_leaf_index=7)
    leaves = [FLEET.log.leaf(index) for index in range(FLEET.log.tree_size)]
    lease, size = sign_lease(council, licence, 1), len(leaves)
    log = Log(
        FLEET.log.origin, [*leaves, *(leaf.data for leaf in ballots.values()), b"x", licence.data, lease]
    )
    head, where = council.sign_head(log), log.tree_size - 2
    offer = FLEET.offer(
        CHIP.ueid,
        data=licence.data,
        log_proof=compute_log_proof(log, where, head),
        consistency=log.consistency_proof(size),
    )
    lease_offer = LeaseOffered(data=lease, log_proof=compute_log_proof(log, where + 1, head))
    licence_id = open_licence(licence.data, council.treaty).statement.licence_id
    return offer, lease_offer, licence_id


# --- what a report commits to -------------------------------------------------------------------------------


def test_the_opening_told_opens_what_the_report_commits_to() -> None:
    """VN-17.18."""
    chip, signed, told = report(work(CHIP, flop=7 * UNIT_FLOP))
    assert (told.counter, told.licence_id, told.opening.value) == (1, None, 7)
    verify_opening(read(signed), told.opening)
    assert signed.statement.counter == chip.counter == 1


def test_no_other_value_opens_it() -> None:
    """VN-17.18."""
    _, signed, told = report(work(CHIP, flop=7 * UNIT_FLOP))
    for value in (0, 6, 8):
        with pytest.raises(ProofError):
            verify_opening(read(signed), replace(told.opening, value=value))


def test_what_is_begun_of_a_unit_does_not_count_yet_and_is_not_lost() -> None:
    """VN-17.18: rounded down, and of the whole account, so that roundings never add up."""
    chip, values = CHIP, []
    for _ in range(5):
        chip, _, told = report(work(chip, flop=UNIT_FLOP // 2))
        values.append(told.opening.value)
    assert values == [0, 1, 1, 2, 2]


def test_an_account_is_of_one_licence_or_of_none_however_their_work_takes_turns() -> None:
    """VN-17.18."""
    chip, booked = FLEET.lease(CHIP), []
    for flop in (3, 5, 7):
        chip, _, told = report(work_licensed(chip, flop=flop * UNIT_FLOP))
        booked.append((told.licence_id, told.opening.value))
        chip, _, told = report(work(chip, flop=10 * flop * UNIT_FLOP))
        booked.append((told.licence_id, told.opening.value))
    held = LICENCE.licence_id
    assert booked == [(held, 3), (None, 30), (held, 8), (None, 80), (held, 15), (None, 150)]


def test_each_licence_has_an_account_of_its_own() -> None:
    """VN-17.18."""
    offer, lease_offer, newer_id = license_again()
    chip, _, before = report(work_licensed(FLEET.lease(CHIP), flop=3 * UNIT_FLOP))
    chip, _ = step(chip, offer, chip.latest_ms)
    chip, _ = step(chip, lease_offer, chip.latest_ms)
    chip, _, after = report(work_licensed(chip, flop=5 * UNIT_FLOP, licence_id=newer_id))
    assert (before.licence_id, before.opening.value) == (LICENCE.licence_id, 3)
    assert (after.licence_id, after.opening.value) == (newer_id, 5)


def test_work_is_booked_on_the_licence_that_it_was_done_under_though_a_newer_one_came_meanwhile() -> None:
    """VN-17.18."""
    chip = work_licensed(FLEET.lease(CHIP), flop=3 * UNIT_FLOP)
    chip, _ = step(chip, license_again()[0], chip.latest_ms)
    assert chip.last_licence_id == license_again()[2]
    _, signed, told = report(chip)
    assert (signed.statement.licence_id, told.licence_id) == (LICENCE.licence_id, LICENCE.licence_id)
    assert told.opening.value == 3
    verify_opening(read(signed), told.opening)


def test_the_sum_of_the_last_commitments_commits_to_the_sum_of_the_accounts() -> None:
    """VN-17.18: nothing has to be subtracted, and the sum is short by less than a unit a chip."""
    last, total = [], 0
    for number, fresh in enumerate(FLEET.chips, start=1):
        chip = fresh
        for _ in range(2):
            chip, signed, told = report(work(chip, flop=number * UNIT_FLOP + UNIT_FLOP // 3))
        last.append((read(signed), told.opening))
        total += chip.meter.unlicensed_flop
    value = sum(opening.value for _, opening in last)
    assert 0 <= total - value * UNIT_FLOP < UNIT_FLOP * len(last)
    blinding = sum(int.from_bytes(opening.blinding, "big") for _, opening in last)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    whole = Opening(value=value, blinding=(blinding % order).to_bytes(32, "big"))
    verify_opening(sum_commitments([commitment for commitment, _ in last]), whole)


def test_no_chip_counts_so_much_that_a_commitment_cannot_say_it() -> None:
    """VN-17.18: at the highest rate there is, until the latest time that a statement can name."""
    most = max(model.highest_peak_flop_per_s for model in CHIP_MODELS) * MAX_TIME_MS // MS_PER_S
    assert Account(licence_id=None, flop=most).units < MAX_VALUE // 1_000_000
    assert Account(licence_id=None, flop=(MAX_VALUE + 1) * UNIT_FLOP - 1).units == MAX_VALUE
    with pytest.raises(ValueError, match="64 bits"):
        Account(licence_id=None, flop=(MAX_VALUE + 1) * UNIT_FLOP)


# --- blindings ----------------------------------------------------------------------------------------------


def test_a_chip_that_was_put_back_commits_to_another_value_under_another_blinding() -> None:
    """VN-17.18: under the same one the difference of the two commitments would tell that of the values."""
    signed, told = report(work(CHIP, flop=3 * UNIT_FLOP))[1:]
    signed_again, told_again = report(work(CHIP, flop=4 * UNIT_FLOP))[1:]
    assert signed.statement.counter == signed_again.statement.counter
    assert told.opening.blinding != told_again.opening.blinding
    step_up = commit(Opening(value=1, blinding=told.opening.blinding))
    assert sum_commitments([read(signed), step_up]) != sum_commitments([read(signed_again), step_up])


def test_the_same_request_again_gives_the_same_bytes() -> None:
    chip = work(CHIP)
    first, second = (step(chip, IntervalEnded(), chip.latest_ms + 1)[1] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("licence_id", [None, 0, 3, 2**53])
def test_the_blinding_is_what_the_protocol_says(licence_id: int | None) -> None:
    """VN-17.18, computed here from its words alone."""
    order = int("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
    account = bytes(9) if licence_id is None else b"\x01" + licence_id.to_bytes(8, "big")
    context = b"vetonet account 1\n" + CHIP.ueid + (5).to_bytes(8, "big") + account + (7).to_bytes(8, "big")
    message = b"vetonet/pedersen/blinding/v1" + (76).to_bytes(8, "big") + context
    drawn = int.from_bytes(hmac.digest(CHIP.secret, message, "sha512"), "big")
    told = open_account(
        Account(licence_id=licence_id, flop=8 * UNIT_FLOP - 1), secret=CHIP.secret, ueid=CHIP.ueid, counter=5
    )
    assert int.from_bytes(told.opening.blinding, "big") == 1 + drawn % (order - 1)


@pytest.mark.parametrize(
    "change",
    [
        {"secret": bytes(31) + b"\x01"},
        {"ueid": bytes(33)},
        {"counter": 2},
        {"account": Account(licence_id=None, flop=UNIT_FLOP)},
        {"account": Account(licence_id=1, flop=UNIT_FLOP)},
        {"account": Account(licence_id=0, flop=2 * UNIT_FLOP)},
    ],
)
def test_a_blinding_follows_from_all_that_it_is_for(change: dict[str, Any]) -> None:
    """VN-17.18."""
    plain: dict[str, Any] = {
        "account": Account(licence_id=0, flop=UNIT_FLOP),
        "secret": bytes(32),
        "ueid": CHIP.ueid,
        "counter": 1,
    }
    other = open_account(**(plain | change)).opening.blinding
    assert other != open_account(**plain).opening.blinding


def test_an_idle_chip_commits_anew_each_time_so_that_nobody_sees_that_nothing_came_to_it() -> None:
    chip, found = CHIP, list[bytes]()
    for _ in range(3):
        chip, signed, told = report(chip)
        assert told.opening.value == 0
        found.append(signed.statement.commitment)
    assert len(set(found)) == 3


def test_no_two_reports_of_a_life_share_a_blinding() -> None:
    chip, told = FLEET.lease(CHIP), list[OpeningTold]()
    for number in range(20):
        chip = work(chip) if number % 2 else work_licensed(chip)
        chip, _, opening = report(chip)
        told.append(opening)
    assert len({opening.opening.blinding for opening in told}) == 20


# --- what it keeps to itself --------------------------------------------------------------------------------


def test_reports_of_unlike_work_differ_in_their_commitment_alone_and_are_as_long() -> None:
    """VN-9.1."""
    signed = [report(work(CHIP, flop=flop))[1] for flop in (1, UNIT_FLOP, WORK - 1)]
    assert len({len(one.data) for one in signed}) == 1
    for one, other in pairwise(signed):
        differing = {
            field.name
            for field in fields(ComputeReport)
            if getattr(one.statement, field.name) != getattr(other.statement, field.name)
        }
        assert differing == {"flop_commitment"}


@pytest.mark.parametrize("tokens", [0, 1, 10**9])
def test_tokens_are_hidden_too(tokens: int) -> None:
    """VN-17.10: times the size of the model they are FLOP."""
    serving: dict[str, Any] = {"workload": WorkloadClass.INFERENCE}
    sizes = [len(report(work(CHIP, tokens=count, **serving))[1].data) for count in (0, tokens)]
    assert sizes[0] == sizes[1]


def test_energy_and_traffic_are_coarse() -> None:
    """VN-9.1."""
    _, signed, _ = report(work(CHIP, flop=1))
    assert signed.statement.energy_j == CONFIDENTIAL_ENERGY_STEP_J
    chip, _ = step(CHIP, TrafficRequested(size_bytes=1, duration_ms=SECOND), CHIP.latest_ms)
    _, signed, _ = report(chip, later_ms=SECOND)
    assert (signed.statement.energy_j, signed.statement.out_of_set_bytes) == (
        0,
        CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    )


def test_an_interval_without_work_is_marked_idle_and_one_with_the_least_work_is_not() -> None:
    """VN-9.1: verifiers have to tell an idle chip from one whose reports are missing."""
    assert report(CHIP)[1].statement.is_idle
    assert not report(work(CHIP, flop=1))[1].statement.is_idle


def test_an_idle_interval_is_booked_on_no_licence() -> None:
    """VN-17.18."""
    chip, _, _ = report(work(FLEET.lease(CHIP), flop=9 * UNIT_FLOP))
    _, signed, told = report(chip)
    assert (signed.statement.licence_id, told.licence_id, told.opening.value) == (None, None, 9)


def test_no_word_of_an_opening_shows_where_a_chip_or_an_effect_is_printed() -> None:
    chip, _, told = report(work(CHIP, flop=987_654 * UNIT_FLOP, duration_ms=1_000 * MS_PER_HOUR))
    account = Account(licence_id=None, flop=987_654)
    assert told.opening.value == 987_654
    shown = f"{told!r} {told.opening!r} {account!r} {Kept(state=chip, outbox=(told,))!r}"
    assert "987654" not in shown
    assert repr(told.opening.blinding)[2:-1] not in shown
    assert told.opening.blinding.hex() not in shown


def test_a_report_holds_neither_value_nor_blinding() -> None:
    """VN-17.18: the opening goes to the operator alone."""
    _, signed, told = report(work(CHIP, flop=WORK - 1))
    assert told.opening.blinding not in signed.data
    assert WORK.to_bytes(8, "big") not in signed.data
    assert (WORK - 1).to_bytes(8, "big") not in signed.data


# --- the treaty decides -------------------------------------------------------------------------------------


def test_the_treaty_decides_whether_counters_are_hidden() -> None:
    """VN-9.1."""
    _, effects = step(OPEN.chips[0], IntervalEnded(), OPEN.chips[0].latest_ms + 1)
    (shown,) = effects
    assert isinstance(shown, ReportSigned)
    assert OPEN.open(shown.data).statement.profile == EAT_PROFILE
    assert report(CHIP)[1].statement.profile == CONFIDENTIAL_PROFILE


def test_a_chip_hides_its_counters_from_the_treaty_on_that_says_so() -> None:
    """VN-9.1: also those of an interval that began under the treaty before."""
    chip = work(OPEN.chips[0], flop=3 * UNIT_FLOP)
    hiding = chip.with_treaty(FLEET.council.treaty, leaf_index=9)
    told, signed = pick_open(step(hiding, IntervalEnded(), chip.latest_ms + 1)[1])
    assert signed.statement.is_confidential
    assert told.opening.value == 3


def pick_open(effects: Sequence[Effect]) -> tuple[OpeningTold, Signed[ComputeReport]]:
    (told,) = [effect for effect in effects if isinstance(effect, OpeningTold)]
    (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
    return told, OPEN.open(data)


def test_a_chain_of_confidential_reports_is_in_order() -> None:
    _, reports = FLEET.run(CHIP)
    assert [signed.statement.activity for signed in reports] == [0, 1, 1, 1]
    assert appraise_chain(reports) == ()


# --- over a loss of power -----------------------------------------------------------------------------------


def test_the_account_of_an_open_interval_survives_a_loss_of_power() -> None:
    """VN-17.15: though the licence in use is another one by then."""
    chip = step(work_licensed(FLEET.lease(CHIP), flop=3 * UNIT_FLOP), license_again()[0], NEWEST)[0]
    again = read_kept(write_kept(Kept(state=chip))).state
    again, _ = step(again, PowerCycled(seed=bytes(32)), chip.latest_ms)
    before, after = (step(one, IntervalEnded(), chip.latest_ms + 1)[1] for one in (chip, again))
    (first,) = [effect for effect in before if isinstance(effect, OpeningTold)]
    assert first in after
    assert first.opening.value == 3


NEWEST = work_licensed(FLEET.lease(CHIP), flop=3 * UNIT_FLOP).latest_ms


def test_an_opening_that_may_not_have_left_is_kept_in_one_spelling() -> None:
    """VN-17.15."""
    chip, _, told = report(work(CHIP))
    data = write_kept(Kept(state=chip, outbox=(told,)))
    assert read_kept(data).outbox == (told,)
    assert write_kept(read_kept(data)) == data


def test_a_kept_opening_that_opens_nothing_is_refused() -> None:
    chip, _, told = report(work(CHIP))
    data = write_kept(Kept(state=chip, outbox=(told,)))
    with pytest.raises(EncodingError):
        read_kept(data.replace(told.opening.blinding, bytes(32)))


def test_nothing_of_an_account_is_booked_where_nothing_was_computed() -> None:
    assert run_work(CHIP, FLEET.request(flop=WORK), CHIP.latest_ms)[0] is CHIP


def test_a_confidential_report_takes_no_more_room_than_an_open_one_by_half() -> None:
    hidden = median(len(signed.data) for signed in FLEET.run(CHIP)[1])
    shown = median(len(signed.data) for signed in OPEN.run(OPEN.chips[0])[1])
    assert hidden < 1.5 * shown
    assert hidden < 700


def test_each_profile_names_what_the_other_has_not() -> None:
    mine, theirs = PROFILES.values()
    assert not mine & theirs
    assert mine | theirs <= {field.name for field in fields(ComputeReport)}


def test_no_count_shows_in_the_repr_of_a_chip_or_of_what_it_did() -> None:
    """VN-18.5: a state and its effects end up in error messages and logs."""
    fleet = make_fleet(2, totals=Totals.CONFIDENTIAL)
    chip, start = fleet.chips[0], fleet.licence.statement.not_before_ms
    odd = 7_654_321_987
    chip, free = drive(chip, (fleet.free_request(flop=odd), chip.latest_ms))
    chip, _ = drive(chip, (IntervalEnded(), chip.latest_ms), (fleet.offer(chip.ueid), chip.latest_ms))
    chip, _ = drive(chip, (IntervalEnded(), start), (fleet.lease_offer(), start))
    chip, licensed = drive(chip, (fleet.request(flop=odd), start))
    assert chip.meter.total_flop == 2 * odd
    shown = repr((chip, free, licensed))
    assert not any(str(count) in shown for count in (odd, 2 * odd))
