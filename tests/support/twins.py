"""Two runs that are equal in everything the public is told, and differ in everything that it is not.

Both are runs of the same two chips under the same treaty, in the same hours, with the same ceiling, in the
same steps of energy. One computes less than the other, and they have other specifications, other secrets in
the chips, other salts, other randomness in signatures and proofs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from support.world import NOW_MS, Council, compute_device_set_root, make_council
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.report import CONFIDENTIAL_ENERGY_STEP_J, ComputeReport
from vetonet.attester.manufacture import Maker
from vetonet.attester.models import find_chip_model
from vetonet.compliance.bundle import DeviceSet, assemble_bundle
from vetonet.confidential.accounts import AccountTotal, Interval, sum_chips, sum_intervals
from vetonet.confidential.expectation import expect_licence
from vetonet.confidential.proving import prove_usage
from vetonet.crypto.pedersen import Opening, sum_openings
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, read_unverified, sign
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import count_leases, derive_lease
from vetonet.policy.licence import Licence
from vetonet.policy.specification import FieldName, Specification
from vetonet.policy.totals import Totals
from vetonet.sim.fleet import Fleet, Operator
from vetonet.tlog.log import Log
from vetonet.tlog.proof import compute_log_proof
from vetonet.units import MS_PER_HOUR, Flop, Milliseconds, Precision, Rng, WorkloadClass

MODEL: Final = find_chip_model("H100")
PRECISION: Final = Precision.BF16
CHIPS: Final = 2
HOURS: Final = 3
STEPS: Final = 20
"""Every report says this many steps of energy: 2 MJ, or about four fifths of an hour at full power."""

PER_DEVICE_FLOP: Final = 10**20
STARTS_MS: Final = NOW_MS + 2 * MS_PER_HOUR
FLOP_PER_STEP: Final = MODEL.peak_at(PRECISION) * CONFIDENTIAL_ENERGY_STEP_J // (MODEL.tdp_w or 1)

MIDDLE_FLOP: Final = CHIPS * HOURS * ((STEPS - 1) * FLOP_PER_STEP + FLOP_PER_STEP // 2)
"""Every smaller run is below this, and every larger one above."""

SPECIFICATIONS: Final[Mapping[bool, Mapping[str, bytes]]] = {
    False: {
        FieldName.DATA: b"web crawl 7, 2.1e12 tokens, deduplicated",
        FieldName.HYPER_PARAMETERS: b"layers 32, width 4096, rate 3e-4",
        "codename": b"small-sparrow",
    },
    True: {
        FieldName.DATA: b"web crawl 9 and code, 9.8e12 tokens, twice filtered; see also the scanned corpora",
        FieldName.HYPER_PARAMETERS: b"layers 126, width 16384, rate 8e-5",
        FieldName.EVALUATIONS: b"cyber range 4, bio uplift 2",
    },
}
"""What the smaller run is said to be, and the larger: other fields, other lengths, another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What a control gives away, so that the distinguisher can be seen to find it.

    Attributes:
        has_bare_specification: no secret salts the specification.
        has_short_proof: what is proven depends on how much was computed, and so does the proof's length.
        is_proven: whether there is a proof at all; most of a twin's time goes into that.
    """

    has_bare_specification: bool = False
    has_short_proof: bool = False
    is_proven: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all runs share.

    Attributes:
        fleet: as it was when the chips had just started.
        leaves: of the log up to there.
    """

    council: Council
    fleet: Fleet
    leaves: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A run of a pair.

    Attributes:
        bundle: all that the public gets of it.
        openings: what the operator knows besides, by chip and number of the report.
        flop: what all chips computed.
    """

    bundle: bytes
    openings: Mapping[tuple[bytes, int], tuple[int | None, Opening]]
    flop: Flop


@cache
def make_ground() -> Ground:
    """Return the treaty with confidential totals and its two chips, enrolled and started."""
    council = make_council(3, 2, totals=Totals.CONFIDENTIAL)
    maker = Maker(
        endorser_id="maker",
        root=council.endorser_root,
        attester_kind=SIMULATED,
        not_before_ms=NOW_MS - MS_PER_HOUR,
        not_after_ms=NOW_MS + 10_000 * MS_PER_HOUR,
    )
    rng = SeededRng(b"twins")
    fleet = Fleet.build(
        MODEL,
        CHIPS,
        maker=maker,
        operator=Operator(operator_id="op1", key=council.operator_keys["op1"]),
        treaty=council.treaty,
        rng=rng,
    )
    aliases = fleet.power_on(rng, NOW_MS)
    leaves = (council.treaty.data, *fleet.endorsements, *fleet.enrolments, *aliases)
    return Ground(council=council, fleet=fleet, leaves=leaves)


def make_twin(rng: SeededRng, *, is_larger: bool, leaks: Leaks | None = None) -> Twin:
    """Return one run; all that is secret follows from ``rng`` and from whether it is the larger one."""
    ground, planted = make_ground(), leaks or Leaks()
    council = replace(ground.council, rng=rng.spawn("council"))
    log = Log(council.treaty.statement.log_origin, list(ground.leaves))
    fleet = _copy_fleet(ground.fleet, rng.spawn("chips"))
    licence = _license(council, log, fleet, _draw_specification(rng, planted, is_larger=is_larger))
    reports = list(_run(log, fleet, licence, rng.spawn("work"), is_larger=is_larger))
    proofs = list(
        _prove(council, fleet=fleet, licence=licence, reports=reports, rng=rng.spawn("proof"), leaks=planted)
    )
    sets = [DeviceSet(ueids=fleet.device_set.ueids)]
    leaves = [log.leaf(index) for index in range(log.tree_size)]
    bundle = assemble_bundle(leaves, council.sign_head(log), sets, reports, proofs=proofs)
    return Twin(bundle=bundle.to_bytes(), openings=fleet.openings, flop=fleet.cumulative_flop)


def make_pair(number: int, leaks: Leaks | None = None) -> tuple[Twin, Twin]:
    """Return the pair of this number: the smaller run and the larger one, with nothing secret in common."""
    rng = SeededRng(f"pair {number}".encode())
    smaller = make_twin(rng.spawn("smaller"), is_larger=False, leaks=leaks)
    return smaller, make_twin(rng.spawn("larger"), is_larger=True, leaks=leaks)


def _copy_fleet(fleet: Fleet, rng: Rng) -> Fleet:
    """Return the fleet with other secrets in its chips."""
    chips = [replace(chip, secret=rng(32)) for chip in fleet._chips]
    return Fleet(chips, fleet._operator, fleet.enrolments, fleet.endorsements)


def _draw_specification(rng: SeededRng, leaks: Leaks, *, is_larger: bool) -> bytes:
    draw: Rng = bytes if leaks.has_bare_specification else rng.spawn("specification")
    return Specification.generate(SPECIFICATIONS[is_larger], draw).root


def _license(council: Council, log: Log, fleet: Fleet, specification_digest: bytes) -> Signed[Licence]:
    proposal = council.sign_proposal(
        specification_digest=specification_digest,
        device_set_root=compute_device_set_root(fleet.device_set.ueids),
        device_count=CHIPS,
        total_flop=PER_DEVICE_FLOP * CHIPS,
        per_device_flop=PER_DEVICE_FLOP,
        lease_flop=PER_DEVICE_FLOP,
        starts_ms=STARTS_MS,
        ends_ms=STARTS_MS + HOURS * MS_PER_HOUR,
    )
    place = log.append(proposal.data)
    ballots = {name: council.sign_ballot(name, proposal) for name in ("p1", "p2")}
    indices = [log.append(ballot.data) for ballot in ballots.values()]
    licence = council.sign_licence(proposal, ballots, proposal_leaf_index=place, ballot_leaf_indices=indices)
    place = log.append(licence.data)
    fleet.offer_licence(licence.data, compute_log_proof(log, place, council.sign_head(log)), None, NOW_MS)
    for number in range(1, count_leases(licence.statement) + 1):
        known, lease = log.tree_size, derive_lease(council.treaty, licence, number)
        signed = council.sign_by(lease, ("p1", "p2"), ActionClass.LEASE_RENEWAL)
        proof = compute_log_proof(log, log.append(signed), council.sign_head(log))
        fleet.offer_lease(signed, proof, log.consistency_proof(known, log.tree_size), NOW_MS)
    return licence


def _run(log: Log, fleet: Fleet, licence: Signed[Licence], rng: Rng, *, is_larger: bool) -> Iterator[bytes]:
    """Every chip works every hour, and the operator logs its batches."""
    yield from _report(log, fleet, STARTS_MS)
    for hour in range(HOURS):
        now = STARTS_MS + hour * MS_PER_HOUR
        fleet.work(
            lambda _: _draw_flop(rng, is_larger=is_larger),
            duration_ms=MS_PER_HOUR,
            workload=WorkloadClass.TRAINING,
            precision=PRECISION,
            total_flop=licence.statement.total_flop,
            licence_id=licence.statement.licence_id,
            now=now,
        )
        yield from _report(log, fleet, now + MS_PER_HOUR)


def _report(log: Log, fleet: Fleet, now: Milliseconds) -> tuple[bytes, ...]:
    reports = fleet.report(now).reports
    log.append(fleet.sign_batch(reports))
    return reports


def _draw_flop(rng: Rng, *, is_larger: bool) -> Flop:
    """Return what a chip does in an hour: in the upper or the lower half of the last step of its energy."""
    half = FLOP_PER_STEP // 2 - 10
    drawn = int.from_bytes(rng(8), "big") % half + 1
    return (STEPS - 1) * FLOP_PER_STEP + drawn + (half if is_larger else 0)


def _prove(
    council: Council, *, fleet: Fleet, licence: Signed[Licence], reports: list[bytes], rng: Rng, leaks: Leaks
) -> Iterator[bytes]:
    """Yield the operator's proof of all that a licence's total is held against, where there is one."""
    if not leaks.is_proven:
        return
    terms = licence.statement
    expected = expect_licence(
        council.treaty.payload_digest,
        operator_id="op1",
        licence_id=terms.licence_id,
        total_flop=terms.total_flop,
        total=_sum_reports(reports, terms.licence_id),
    )
    if leaks.has_short_proof and fleet.cumulative_flop < MIDDLE_FLOP:
        expected = replace(expected, bounds=expected.bounds[:1])
    proof = prove_usage(expected, _open_sum(fleet, terms.licence_id), operator_id="op1", rng=rng)
    yield sign(proof, council.operator_keys["op1"])


def _sum_reports(reports: list[bytes], licence_id: int) -> AccountTotal:
    by_chip: dict[bytes, list[Interval]] = {}
    for claims in (read_unverified(data, ComputeReport) for data in reports):
        if claims.licence_id == licence_id:
            by_chip.setdefault(claims.ueid, []).append(_read_interval(claims))
    return sum_chips(sum_intervals(ueid, intervals) for ueid, intervals in by_chip.items())


def _read_interval(claims: ComputeReport) -> Interval:
    return Interval(
        start_ms=claims.window_start_ms,
        end_ms=claims.window_end_ms,
        commitment=claims.commitment,
        is_idle=claims.is_idle,
        peak_flop_per_s=MODEL.peak_at(claims.precision),
        energy_j=claims.energy_j,
        tdp_w=MODEL.tdp_w,
    )


def _open_sum(fleet: Fleet, licence_id: int) -> Opening:
    """Return the opening of the sum of each chip's last commitment on the licence."""
    last: dict[bytes, tuple[int, Opening]] = {}
    for (ueid, counter), (told_id, opening) in fleet.openings.items():
        if told_id == licence_id:
            last[ueid] = max(last.get(ueid, (0, opening)), (counter, opening), key=lambda entry: entry[0])
    return sum_openings([opening for _, opening in last.values()])
