"""A chip whose secure element is a TPM, on paper or in swtpm, and the reports of its life."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from support.firmware import FIRMWARE
from support.fleet import MODEL, make_fleet
from support.world import NOW_MS
from vetonet.attestation.enrolment import AliasEndorsement, EnrolledDevice, open_alias, open_enrolment
from vetonet.attestation.platform import appraise_platform
from vetonet.attestation.report import ComputeReport, open_report
from vetonet.attester.machine import step
from vetonet.attester.manufacture import enrol, manufacture
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.state import AliasEndorsed, ChipState, IntervalEnded, PowerCycled, ReportSigned
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.errors import Problem
from vetonet.units import MS_PER_HOUR


@dataclass(slots=True, kw_only=True)
class TpmChip:
    """A chip, what its maker and itself endorse, and all its reports so far."""

    chip: ChipState
    device: EnrolledDevice
    aliases: dict[bytes, Signed[AliasEndorsement]] = field(default_factory=dict)
    reports: list[Signed[ComputeReport]] = field(default_factory=list)

    def start(self) -> None:
        """It starts."""
        event = PowerCycled(seed=bytes([self.chip.boot_count]) * 32)
        self.chip, effects = step(self.chip, event, self.chip.latest_ms)
        (data,) = [effect.data for effect in effects if isinstance(effect, AliasEndorsed)]
        alias = open_alias(data, self.device)
        self.aliases[alias.statement.alias.key_id] = alias

    def report(self, count: int = 1) -> None:
        """It reports so many idle hours."""
        for _ in range(count):
            self.chip, effects = step(self.chip, IntervalEnded(), self.chip.latest_ms + MS_PER_HOUR)
            (data,) = [effect.data for effect in effects if isinstance(effect, ReportSigned)]
            keys = {key_id: alias.statement.alias for key_id, alias in self.aliases.items()}
            self.reports.append(open_report(data, keys))

    def appraise(self) -> tuple[Problem, ...]:
        """What is wrong with what its secure element said in its life."""
        return appraise_platform(self.reports, self.device, self.aliases)

    def tell(self) -> list[str]:
        """The reasons for that."""
        return [problem.reason for problem in self.appraise()]


def make_chip(element: SecureElement) -> TpmChip:
    """Return a chip with this element, made, enrolled and started."""
    fleet = make_fleet()
    council, maker = fleet.council, replace(fleet.maker, attester_kind=element.kind)
    chip = manufacture(
        MODEL, maker, council.treaty, SeededRng(b"tpm"), firmware=FIRMWARE, secure_element=element
    )
    enrolment = enrol(chip, maker, owner="op1", owner_key=council.operator_keys["op1"], site="Here")
    device = open_enrolment(
        enrolment,
        endorser_keys={"maker": maker.root.public_key},
        operator_keys={name: key.public_key for name, key in council.operator_keys.items()},
    )
    made = TpmChip(chip=replace(chip, latest_ms=NOW_MS), device=device)
    made.start()
    return made
