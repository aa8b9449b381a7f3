"""Small, complete bundles: a licensed run of a few chips, with every key in hand so that tests can lie.

``Scene`` holds the story as plain lists; ``Scene.bundle()`` tells it. A test changes the story, not the
bytes: drops a report, signs one with other claims, leaves out a leaf. The rest stays consistent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from support.firmware import FIRMWARE, sign_reference
from support.revocations import sign_list
from support.world import NOW_MS, Council, compute_device_set_root, make_council
from vetonet.attestation.challenge import compute_challenge
from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment, PeakRate
from vetonet.attestation.identity import issue_device_certificate
from vetonet.attestation.report import (
    CONFIDENTIAL_ENERGY_STEP_J,
    CONFIDENTIAL_PROFILE,
    CYCLES_PER_MS,
    EAT_PROFILE,
    NO_DIGEST,
    ComputeReport,
    DebugStatus,
    compute_batch,
    compute_report_digest,
    open_report,
)
from vetonet.compliance.bundle import Bundle, DeviceSet, assemble_bundle
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.trust_root import TrustRoot
from vetonet.compliance.verify import verify_bundle
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.proving import prove_usage
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.pedersen import Opening, commit, compute_blinding, sum_openings
from vetonet.crypto.statement import Signed, sign, sign_jointly
from vetonet.errors import ProofError
from vetonet.policy.action import ActionClass
from vetonet.policy.lease import count_leases, derive_lease
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import Proposal
from vetonet.policy.totals import Totals
from vetonet.tlog.log import Log
from vetonet.units import MS_PER_HOUR, UNIT_FLOP, Precision

PEAK_FLOP_PER_S: Final = 10**15
TDP_W: Final = 700
YEAR_MS: Final = 365 * 24 * MS_PER_HOUR

Change = Callable[[ComputeReport], ComputeReport]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A chip and its keys."""

    device_key: EcdsaSigningKey
    alias_key: Ed25519SigningKey
    owner: str

    @property
    def ueid(self) -> bytes:
        """Its identity."""
        return self.device_key.public_key.ueid


@dataclass(slots=True)
class Scene:
    """A licensed run that went well, until a test says otherwise.

    Attributes:
        log: the leaves so far.
        chips: all enrolled chips; the licence is for all of them.
        proposal, licence: what was granted.
        reports: by chip and interval, as signed.
        proofs: usage proofs, as signed.
        openings: of confidential reports, by chip and counter, with the licence of the account.
    """

    council: Council
    log: Log
    chips: tuple[Chip, ...]
    proposal: Signed[Proposal]
    licence: Signed[Licence]
    windows: tuple[tuple[int, int], ...]
    reports: list[bytes] = field(default_factory=list)
    proofs: list[bytes] = field(default_factory=list)
    openings: dict[tuple[bytes, int], tuple[int | None, Opening]] = field(default_factory=dict)

    @property
    def trust_root(self) -> TrustRoot:
        """The root that pins the scene's treaty."""
        treaty = self.council.treaty
        return TrustRoot(treaty_digest=treaty.payload_digest, treaty_name=treaty.statement.name)

    @property
    def judged_ms(self) -> int:
        """A day after the licence ended: nothing is pending any more."""
        return self.licence.statement.expires_ms + 24 * MS_PER_HOUR

    def sign_head(self, tree_size: int | None = None, **changes: Any) -> bytes:
        """Return a checkpoint that all witnesses cosigned a day after the run."""
        return self.council.sign_head(
            self.log, tree_size, **({"timestamp_s": self.judged_ms // 1000} | changes)
        )

    def run(self, change: Change = lambda report: report, *, publish: bool = True) -> None:
        """Let every chip report every interval; ``change`` may alter each report before it is signed."""
        previous = dict.fromkeys((chip.ueid for chip in self.chips), NO_DIGEST)
        for number, window in enumerate(self.windows, start=1):
            batch = []
            for chip in self.chips:
                claims = _balance(change(self.make_report(chip, number, window, previous[chip.ueid])))
                if self.council.treaty.statement.is_confidential:
                    claims = self.hide(claims)
                data = sign(claims, chip.alias_key)
                previous[chip.ueid] = compute_report_digest(data)
                batch.append(data)
            self.reports += batch
            if publish:
                self.publish(batch)

    def make_report(
        self, chip: Chip, number: int, window: tuple[int, int], previous: bytes, **changes: Any
    ) -> ComputeReport:
        """Return an honest report of one interval, with some claims changed."""
        checkpoint = self.log.checkpoint().digest
        treaty_digest = self.council.treaty.payload_digest
        licence = self.licence.statement
        claims: dict[str, Any] = {
            "nonces": (compute_challenge(treaty_digest, checkpoint, window[0]), checkpoint),
            "ueid": chip.ueid,
            "hw_model": b"Test Chip",
            "debug_status": int(DebugStatus.DISABLED_SINCE_BOOT),
            "profile": EAT_PROFILE,
            "boot_count": 1,
            "counter": number,
            "previous_digest": previous,
            "window_start_ms": window[0],
            "window_end_ms": window[1],
            "licence_id": licence.licence_id,
            "proposal_digest": licence.proposal_digest,
            "workload": licence.workload,
            "precision": licence.precision,
            "cumulative_flop": number * self.flop_per_window,
            "energy_j": 2_520_000,
            "out_of_set_bytes": 0,
            "firmware_digest": FIRMWARE.digest,
            "snapshots": (),
            "cumulative_tokens": 0,
            "cumulative_cycles": number * (window[1] - window[0]) * CYCLES_PER_MS,
            "precision_flop": number * self.flop_per_window,
            "tamper_count": 0,
        }
        return ComputeReport(**(claims | changes))

    def hide(self, claims: ComputeReport) -> ComputeReport:
        """Return what a chip says where totals are confidential; its whole count is on one account."""
        flop = claims.counters.flop
        place = claims.ueid, claims.counter
        _, before = self.openings.get((claims.ueid, claims.counter - 1), (None, None))
        blinding = compute_blinding(sha256(claims.ueid).digest(), repr(place).encode())
        opening = Opening(value=flop // UNIT_FLOP, blinding=blinding)
        self.openings[place] = claims.licence_id, opening
        return replace(
            claims,
            profile=CONFIDENTIAL_PROFILE,
            cumulative_flop=None,
            cumulative_tokens=None,
            cumulative_cycles=None,
            precision_flop=None,
            energy_j=-(-claims.energy_j // CONFIDENTIAL_ENERGY_STEP_J) * CONFIDENTIAL_ENERGY_STEP_J,
            flop_commitment=commit(opening).point,
            activity=int(opening.value > (0 if before is None else before.value)),
        )

    def prove(self) -> None:
        """Let the operators prove all that they can of what their reports hide."""
        for total in self.judge().totals:
            expected, opening = total.expected, self.open_total(total.expected)
            operator_id = expected.operator_ids[0]
            with contextlib.suppress(ProofError):  # there is no proof of what is not so
                proof = prove_usage(expected, opening, operator_id=operator_id, rng=self.council.rng)
                self.proofs.append(sign(proof, self.council.operator_keys[operator_id]))

    def open_total(self, expected: ExpectedTotal) -> Opening:
        """Return the opening of a total: the sum of the last one of each chip on its account."""
        owners = {chip.ueid: chip.owner for chip in self.chips}
        last: dict[bytes, Opening] = {}
        for (ueid, _), (licence_id, opening) in sorted(self.openings.items()):
            is_counted = expected.licence_id is not None or owners[ueid] in expected.operator_ids
            if licence_id == expected.licence_id and is_counted:
                last[ueid] = opening
        return sum_openings(list(last.values()))

    @property
    def flop_per_window(self) -> int:
        """What each chip computes in an interval: just its share over the whole run."""
        return self.licence.statement.per_device_flop // len(self.windows)

    def publish(self, reports: Sequence[bytes]) -> None:
        """Log each operator's batch of these reports."""
        aliases = {chip.alias_key.public_key.key_id: chip.alias_key.public_key for chip in self.chips}
        owners = {chip.alias_key.public_key: chip.owner for chip in self.chips}
        opened = [open_report(data, aliases) for data in reports]
        for name in sorted({owners[report.signer] for report in opened}):
            own = [report for report in opened if owners[report.signer] == name]
            batch = compute_batch(own, operator_id=name, licence_id=own[0].statement.licence_id)
            self.log.append(sign(batch, self.council.operator_keys[name]))

    def bundle(self, **changes: Any) -> Bundle:
        """Return the bundle of the story, with some parts replaced."""
        parts: dict[str, Any] = {
            "leaves": [self.log.leaf(index) for index in range(self.log.tree_size)],
            "checkpoint": self.sign_head(),
            "device_sets": [DeviceSet(ueids=tuple(sorted(chip.ueid for chip in self.chips)))],
            "reports": self.reports,
            "proofs": self.proofs,
        }
        return assemble_bundle(**(parts | changes))

    def judge(self, now: int | None = None, **changes: Any) -> ComplianceResult:
        """Return the verdict on the story."""
        data = self.bundle(**changes).to_bytes()
        return verify_bundle(data, self.trust_root, self.judged_ms if now is None else now)


def enrol(council: Council, chip: Chip, log: Log, **changes: Any) -> None:
    """Log a chip's enrolment and the alias key of its first boot."""
    serial = changes.get("serial", f"Test Chip-{chip.ueid.hex()[2:14]}")
    certificate = issue_device_certificate(
        chip.device_key.public_key,
        council.endorser_root,
        endorser_id="maker",
        serial=serial,
        not_before_ms=NOW_MS - YEAR_MS,
        not_after_ms=NOW_MS + 20 * YEAR_MS,
    )
    fields: dict[str, Any] = {
        "certificate": certificate,
        "endorser_id": "maker",
        "model": "Test Chip",
        "peaks": (PeakRate(precision=Precision.BF16, flop_per_s=PEAK_FLOP_PER_S),),
        "memory_bytes": 80 * 2**30,
        "tdp_w": TDP_W,
        "owner": chip.owner,
        "site": "Hall 1",
        "serial": serial,
        "attester_kind": council.treaty.statement.endorsers[0].attester_kind,
    }
    enrolment = DeviceEnrolment(**(fields | changes))
    log.append(sign_jointly(enrolment, [council.endorser_root, council.operator_keys[chip.owner]]))
    alias = AliasEndorsement(ueid=chip.ueid, alias=chip.alias_key.public_key, boot_count=1, firmware=FIRMWARE)
    log.append(sign(alias, chip.device_key))


def make_scene(
    *,
    chips: int = 2,
    windows: int = 3,
    council: Council | None = None,
    owners: Sequence[str] = ("op1",),
    leases: Iterable[int] | None = None,
    **proposal: Any,
) -> Scene:
    """Return a scene up to the moment when the licence is logged and the chips may start.

    Args:
        chips: how many are enrolled and licensed.
        windows: how many hourly intervals the run has.
        council: by default three parties, two of which must grant.
        owners: of the chips, taking turns.
        leases: the numbers of those that are logged, by default of all.
        **proposal: fields of the proposal to replace.
    """
    found = council or make_council(3, 2)
    words = (sign_reference(found.endorser_root), sign_list(found.endorser_root))
    log = Log(found.treaty.statement.log_origin, [found.treaty.data, *words])
    fleet = tuple(
        Chip(
            device_key=generate_ecdsa(found.rng),
            alias_key=generate_ed25519(found.rng),
            owner=owners[number % len(owners)],
        )
        for number in range(chips)
    )
    for chip in fleet:
        enrol(found, chip, log)
    start = NOW_MS + 2 * MS_PER_HOUR
    share = 10**18 * windows
    fields: dict[str, Any] = {
        "device_set_root": compute_device_set_root(chip.ueid for chip in fleet),
        "device_count": chips,
        "per_device_flop": share,
        "lease_flop": proposal.get("per_device_flop", share),
        "total_flop": share * chips,
        "starts_ms": start,
        "ends_ms": start + windows * MS_PER_HOUR,
    }
    signed = found.sign_proposal(**(fields | proposal))
    licence = license_run(found, signed, log, leases)
    intervals = tuple(
        (start + number * MS_PER_HOUR, start + (number + 1) * MS_PER_HOUR) for number in range(windows)
    )
    return Scene(council=found, log=log, chips=fleet, proposal=signed, licence=licence, windows=intervals)


def make_confidential_scene(council: Council | None = None, **arguments: Any) -> Scene:
    """Return a scene under a treaty whose totals stay with the operators, up to when the chips may start."""
    found = council or make_council(3, 2, totals=Totals.CONFIDENTIAL)
    return make_scene(council=found, **arguments)


def make_compliant_scene(**arguments: Any) -> Scene:
    """Return a scene in which everything went well and was published."""
    scene = make_scene(**arguments)
    scene.run()
    return scene


def license_run(
    council: Council, proposal: Signed[Proposal], log: Log, leases: Iterable[int] | None = None
) -> Signed[Licence]:
    """Log a proposal, its grants, its licence, and the leases of these numbers, by default all."""
    place = log.append(proposal.data)
    granting = council.party_ids[: council.group.leaf.min_grants]
    ballots = {party: council.sign_ballot(party, proposal) for party in granting}
    indices = [log.append(ballot.data) for ballot in ballots.values()]
    licence = council.sign_licence(proposal, ballots, proposal_leaf_index=place, ballot_leaf_indices=indices)
    log.append(licence.data)
    every = range(1, count_leases(licence.statement) + 1)
    for number in every if leases is None else leases:
        lease = derive_lease(council.treaty, licence, number)
        log.append(council.sign_by(lease, granting, ActionClass.LEASE_RENEWAL))
    return licence


def _balance(claims: ComputeReport) -> ComputeReport:
    """Let the counter of the one precision follow the total, whatever a test made of that."""
    return replace(claims, precision_flop=claims.cumulative_flop)


def altered(**changes: Any) -> Change:
    """Return a change that replaces claims in every report."""
    return lambda report: replace(report, **changes)
