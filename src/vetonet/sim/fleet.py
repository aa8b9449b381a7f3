"""A fleet: many chips of one operator, driven together through licences, work and reports.

The chips are the real machines of ``vetonet.attester``; this only keeps them side by side and hands out to
each its share of the work. It steps bare states in memory, not a ``Chip`` over a ``ChipStore``: nothing of a
fleet is durable before it leaves (VN-17.15), and no loss of power is played here. To write a state out takes
several times as long as a small step, and three syncs of a disk several hundred times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat
from types import MappingProxyType
from typing import Final, TypeAlias

from vetonet.attestation.firmware import Firmware, FirmwareComponent
from vetonet.attestation.report import compute_batch, open_reports
from vetonet.attester.account import OpeningTold
from vetonet.attester.machine import step
from vetonet.attester.manufacture import (
    Maker,
    bind_sets,
    enrol,
    manufacture,
    power_on,
    publish_reference,
    revoke,
)
from vetonet.attester.models import ChipModel
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.state import (
    AliasEndorsed,
    CheckpointSeen,
    ChipState,
    Effect,
    Event,
    IntervalEnded,
    LeaseOffered,
    LicenceOffered,
    Refused,
    ReportSigned,
    Throttled,
    WorkRequested,
)
from vetonet.compliance.bundle import DeviceSet
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof, Tree, compute_leaf_hash
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.statement import Signed, sign
from vetonet.policy.treaty import Treaty
from vetonet.tlog.proof import LogProof
from vetonet.units import Flop, Milliseconds, Precision, Rng, WorkloadClass

FIRMWARE: Final = Firmware(
    components=tuple(
        FirmwareComponent(
            name=name, digest=sha256(f"vetonet simulated {name} 1.0".encode()).digest(), svn=1, version="1.0"
        )
        for name in ("boot-rom-patch", "bootloader", "metering-engine")
    )
)
"""What the simulated chips are made with and measure when they start."""

SITE: Final = "simulated hall"

Openings: TypeAlias = Mapping[tuple[bytes, int], tuple[int | None, Opening]]
"""By ueid and counter of a report: whose account it commits to, and what opens the commitment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator with its key in hand."""

    operator_id: str
    key: SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the chips of a fleet did with one event.

    Attributes:
        refused: how many refused, by reason code.
        throttled: how many did less than asked, by reason code.
        reports: the reports they signed, in the order of the chips.
    """

    refused: dict[str, int]
    throttled: dict[str, int]
    reports: tuple[bytes, ...]


class Fleet:
    """Chips of one model and one operator; their states change, nothing else does."""

    __slots__ = ("_chips", "_openings", "_operator", "_tree", "device_set", "endorsements", "enrolments")

    def __init__(
        self,
        chips: Sequence[ChipState],
        operator: Operator,
        enrolments: Sequence[bytes],
        endorsements: Sequence[bytes],
    ) -> None:
        """Keep these chips, by rising ueid, the statements that enrolled them, and their maker's."""
        self._chips = sorted(chips, key=lambda chip: chip.ueid)
        self._openings: dict[tuple[bytes, int], tuple[int | None, Opening]] = {}
        self._operator = operator
        self._tree = Tree(compute_leaf_hash(chip.ueid) for chip in self._chips)
        self.device_set: Final = DeviceSet(ueids=tuple(chip.ueid for chip in self._chips))
        self.enrolments: Final = tuple(enrolments)
        self.endorsements: Final = tuple(endorsements)

    @classmethod
    def build(
        cls,
        model: ChipModel,
        count: int,
        *,
        maker: Maker,
        operator: Operator,
        treaty: Signed[Treaty],
        rng: Rng,
        elements: Sequence[SecureElement] = (),
        listed_ms: Milliseconds | None = None,
    ) -> Fleet:
        """Return a fleet that was just made and enrolled, and is still off.

        Args:
            model: what every chip is.
            count: how many.
            maker: who made the chips and signs for them.
            operator: who owns the chips and signs for them.
            treaty: what the chips enforce.
            rng: for keys in software.
            elements: as many secure elements as chips, or none at all for keys in software.
            listed_ms: when the maker issues its revocation list, which names no chip yet; by default from
                when on its certificates hold.

        Raises:
            ValueError: another number of elements than of chips.
        """
        if elements and len(elements) != count:
            raise ValueError(f"expected a secure element for each of {count} chips, got {len(elements)}")
        chips, enrolments = [], []
        for number, element in enumerate(elements or repeat(None, count), start=1):
            serial = f"{model.name}-{number:06}"
            chip = manufacture(
                model, maker, treaty, rng, firmware=FIRMWARE, secure_element=element, serial=serial
            )
            owner = operator.operator_id
            enrolments.append(enrol(chip, maker, owner=owner, owner_key=operator.key, site=SITE))
            chips.append(chip)
        endorsements = (
            publish_reference(maker, model, FIRMWARE),
            revoke(maker, {}, maker.not_before_ms if listed_ms is None else listed_ms),
        )
        return cls(bind_sets(chips), operator, enrolments, endorsements)

    def power_on(self, rng: Rng, now: Milliseconds) -> tuple[bytes, ...]:
        """Start every chip; return the alias endorsements, which belong into the log."""
        endorsements: list[bytes] = []
        for index, chip in enumerate(self._chips):
            self._chips[index], effects = power_on(chip, rng, now)
            endorsements += [effect.data for effect in effects if isinstance(effect, AliasEndorsed)]
        return tuple(endorsements)

    @property
    def size(self) -> int:
        """How many chips."""
        return len(self._chips)

    @property
    def cumulative_flop(self) -> Flop:
        """What all chips computed in their lives."""
        return sum(chip.cumulative_flop for chip in self._chips)

    @property
    def cumulative_tokens(self) -> int:
        """What all chips put out as inference in their lives."""
        return sum(chip.meter.tokens for chip in self._chips)

    @property
    def openings(self) -> Openings:
        """What opens the commitments of all reports so far: the operator's alone, as is the fleet."""
        return MappingProxyType(self._openings)

    def offer_licence(
        self, data: bytes, log_proof: LogProof, consistency: ConsistencyProof | None, now: Milliseconds
    ) -> Tally:
        """Hand a licence to every chip, each with the proof that it is in the licence's device set."""

        def offer(index: int) -> Event:
            membership = self._tree.inclusion_proof(index)
            return LicenceOffered(
                data=data, log_proof=log_proof, membership=membership, consistency=consistency
            )

        return self._drive(offer, now)

    def offer_lease(
        self, data: bytes, log_proof: LogProof, consistency: ConsistencyProof | None, now: Milliseconds
    ) -> Tally:
        """Hand a lease of the licence in use to every chip."""
        return self._drive(
            lambda _: LeaseOffered(data=data, log_proof=log_proof, consistency=consistency), now
        )

    def show_checkpoint(self, data: bytes, consistency: ConsistencyProof | None, now: Milliseconds) -> Tally:
        """Show every chip a newer checkpoint of the log."""
        return self._drive(lambda _: CheckpointSeen(data=data, consistency=consistency), now)

    def work(
        self,
        flop_of: Callable[[int], Flop],
        *,
        duration_ms: Milliseconds,
        workload: WorkloadClass,
        precision: Precision,
        total_flop: Flop,
        licence_id: int | None,
        now: Milliseconds,
        tokens_of: Callable[[int], int] = lambda _: 0,
    ) -> Tally:
        """Ask every chip for its share of the work; ``flop_of`` says how much, by the number of the chip.

        ``tokens_of`` says how many tokens that puts out, where the work is inference.
        """
        shares = [flop_of(index) for index in range(self.size)]
        busy = [index for index, flop in enumerate(shares) if flop]

        def request(index: int) -> Event:
            return WorkRequested(
                flop=shares[index],
                duration_ms=duration_ms,
                workload=workload,
                precision=precision,
                total_flop=total_flop,
                licence_id=licence_id,
                tokens=tokens_of(index),
            )

        return self._drive(request, now, busy)

    def report(self, now: Milliseconds) -> Tally:
        """Close every chip's interval and collect the reports."""
        return self._drive(lambda _: IntervalEnded(), now)

    def sign_batch(self, reports: Sequence[bytes]) -> bytes:
        """Return the operator's batch over these reports of one window and licence: a leaf for the log."""
        aliases = {
            chip.alias_key.public_key.key_id: chip.alias_key.public_key
            for chip in self._chips
            if chip.alias_key
        }
        opened = open_reports(reports, aliases)
        batch = compute_batch(
            opened, operator_id=self._operator.operator_id, licence_id=opened[0].statement.licence_id
        )
        return sign(batch, self._operator.key)

    def _drive(
        self, event_for: Callable[[int], Event], now: Milliseconds, indices: Sequence[int] | None = None
    ) -> Tally:
        refused: dict[str, int] = {}
        throttled: dict[str, int] = {}
        reports: list[bytes] = []
        for index in range(self.size) if indices is None else indices:
            self._chips[index], effects = step(self._chips[index], event_for(index), now)
            _count(effects, refused, throttled, reports)
            self._keep_openings(self._chips[index].ueid, effects)
        return Tally(refused=refused, throttled=throttled, reports=tuple(reports))

    def _keep_openings(self, ueid: bytes, effects: Sequence[Effect]) -> None:
        for told in effects:
            if isinstance(told, OpeningTold):
                self._openings[ueid, told.counter] = told.licence_id, told.opening


def _count(
    effects: Sequence[Effect], refused: dict[str, int], throttled: dict[str, int], reports: list[bytes]
) -> None:
    for effect in effects:
        match effect:
            case Refused(reason=reason):
                refused[reason] = refused.get(reason, 0) + 1
            case Throttled(reason=reason):
                throttled[reason] = throttled.get(reason, 0) + 1
            case ReportSigned(data=data):
                reports.append(data)
            case _:
                pass  # what else happens stays between the chip and its state
