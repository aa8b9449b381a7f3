"""What can go wrong with a chip, or be done to one, as data: who finds it, by which reason, and what stays.

A row says what is true, also where that is that nobody finds it. A test enacts every row on chips of the real
machine and holds it to this table; ``docs/attacks-on-chips.md`` shows the same rows. No command uses the
table yet: a simulator of evasion is to take its attacks from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from vetonet.attestation.report import ComputeReport
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.units import Rng

PPM: Final = 10**6


class Catcher(StrEnum):
    """Who finds a fault, the first in this order that does."""

    CHIP = "the chip"
    REGISTRY = "the registry"
    APPRAISAL = "the appraisal of a report"
    CHAIN = "the appraisal of a chip's reports"
    VERIFIER = "the verifier of a bundle"
    INSPECTION = "an inspection"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong with a chip or is done to one.

    Attributes:
        name: unique.
        source: where the literature has it.
        act: what is done.
        caught_by: who finds it.
        reason: the stable code of the finding, or None where there is none.
        residual: what is left that is not found.
        test: the name of the test that tries it.
    """

    name: str
    source: str
    act: str
    caught_by: Catcher
    reason: str | None
    residual: str
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A look at a chip by people, which finds traces of tampering, if there are any, so often in a million.

    Nothing is found on a chip that nobody opened. How often traces are found is an assumption of whoever
    simulates: tamper evidence is a property of packages and inspectors, not of this code.
    """

    found_ppm: int

    def __post_init__(self) -> None:
        """Refuse what is no share of a million."""
        if not 0 <= self.found_ppm <= PPM:
            raise ValueError(f"expected 0 to {PPM} parts in a million")

    def finds_tampering(self, rng: Rng, *, was_opened: bool) -> bool:
        """Whether this look at one chip finds anything."""
        return was_opened and int.from_bytes(rng(8), "big") * PPM < self.found_ppm * 2**64


def forge(report: ComputeReport, stolen: SigningKey, **claims: Any) -> bytes:
    """Return a report with other claims, signed by an alias key that somebody read out of its chip."""
    return sign(replace(report, **claims), stolen)


_BY_TABLE: Final = "test_a_fault_is_found_by_whom_and_by_what_the_table_says"


def _fault(
    name: str,
    source: str,
    act: str,
    found: tuple[Catcher, str | None],
    residual: str,
    *,
    test: str = _BY_TABLE,
) -> Fault:
    caught_by, reason = found
    return Fault(
        name=name, source=source, act=act, caught_by=caught_by, reason=reason, residual=residual, test=test
    )


# fmt: off
FAULTS: Final[tuple[Fault, ...]] = (
    _fault(
        "power-loss", "VN-17.15", "the power fails at any write, sync, computation or hand-over",
        (Catcher.NOBODY, None),
        "nothing to find: the meter may count up to one request more than was computed, never less",
        test="test_a_loss_of_power_at_any_moment_loses_nothing_and_counts_nothing_twice"),
    _fault(
        "damaged-flash", "VN-17.15", "a bit of the kept state flips",
        (Catcher.CHIP, "storage"),
        "a flip in the newer header looks like a save cut short and goes back one state: as state-rollback",
        test="test_a_flipped_bit_behind_a_whole_header_is_damage_and_no_reason_to_take_older_bytes"),
    _fault(
        "wiped-flash", "VN-17.15", "the kept state is erased",
        (Catcher.CHIP, "storage"),
        "a chip is destroyed so; its owner owes its reports from then on",
        test="test_a_chip_that_lost_its_state_does_not_begin_anew"),
    _fault(
        "state-rollback", "RFD 034; TPM state copied back", "an older copy of the flash is put back",
        (Catcher.REGISTRY, "equivocation"),
        "what was thrown away must have been seen: the endorsement of the very boot that is used again, or a "
        "report (`report-fork`); one more start behind a suppressed one hides the boot",
        test="test_a_state_that_was_put_back_convicts_its_chip_to_anybody"),
    _fault(
        "state-rollback-unseen", "RFD 034; TPM state copied back",
        "the same, and no report since the copy was ever published",
        (Catcher.NOBODY, None),
        "a batch in the log, or energy and throughput, show it; a TPM that was not put back with the flash "
        "shows a jump in its count, from which nothing follows yet",
        test="test_a_rolled_back_chip_whose_later_reports_nobody_saw_is_affirmed"),
    _fault(
        "cloned-key", "Shavit 3.1; trustee #1551", "key and state run in two chips",
        (Catcher.CHAIN, "report-fork"),
        "both must report; two reports of one counter are a proof that anybody can judge",
        test="test_two_reports_of_one_counter_prove_a_clone_to_anybody"),
    _fault(
        "same-device-twice", "Shavit 3.1; trustee #1551", "one chip is enrolled a second time",
        (Catcher.REGISTRY, "equivocation"),
        "two chips with keys of their own and one printed serial are told apart by looking at them"),
    _fault(
        "unregistered-chip", "Shavit 1.2; Wasil; Rahman 10.15", "a chip that nobody enrolled reports",
        (Catcher.VERIFIER, "signer-unknown"),
        "one that does not report at all is invisible: smuggled, made at home, or older than the treaty",
        test="test_a_report_by_an_unknown_key_is_inconclusive"),
    _fault(
        "old-firmware", "Shavit fn. 11", "firmware below the fuses is started, though it was approved once",
        (Catcher.CHIP, "firmware-rolled-back"),
        "who can reset fuses has opened the chip"),
    _fault(
        "vendor-back-door", "Shavit fn. 12", "the maker's firmware is started without the parties' approval",
        (Catcher.CHIP, "firmware-unapproved"),
        "what the maker builds in before the first start, or in silicon, it vouches for itself"),
    _fault(
        "debugging", "RFC 9711 4.2.9", "a chip is run with its debug port open",
        (Catcher.APPRAISAL, "debug-enabled"),
        "a chip that lies about its port is key-extraction"),
    _fault(
        "key-extraction", "TEE.fail", "an alias key is read out; forged reports replace the chip's own",
        (Catcher.NOBODY, None),
        "it is affirmed; the chip's own reports, energy and throughput, or an inspection contradict",
        test="test_forged_evidence_of_an_extracted_key_is_affirmed"),
    _fault(
        "key-extraction-beside", "TEE.fail", "the same, while the chip's own reports are seen too",
        (Catcher.CHAIN, "report-fork"),
        "that they collide does not say which of them is true"),
    _fault(
        "opened-unnoticed", "Ansari; TEE.fail", "a chip is opened and its sensors see nothing",
        (Catcher.INSPECTION, None),
        "as often as inspections miss the traces: a parameter, not a measurement",
        test="test_an_inspection_finds_traces_as_often_as_it_is_said_to_and_none_where_none_are"),
    _fault(
        "tampering", "Ansari", "a sensor of the chip notices that it is opened",
        (Catcher.APPRAISAL, "tampered"),
        "tamper-evident, not tamper-proof"),
    _fault(
        "report-replay", "RFD 034", "a report is handed in twice",
        (Catcher.CHAIN, "report-replayed"), "none"),
    _fault(
        "report-reorder", "RFD 034", "an older report is handed in after a newer one",
        (Catcher.CHAIN, "report-reordered"), "none"),
    _fault(
        "report-suppression", "Rahman-Tajdari 6.5", "a report is left out",
        (Catcher.CHAIN, "report-gap"),
        "missing, not forged: it may still come; of the newest ones only a deadline tells"),
    _fault(
        "clock-back", "Rahman-Tajdari 6.5", "the chip's clock is set back",
        (Catcher.CHIP, "clock-behind"), "none"),
    _fault(
        "clock-forward", "Rahman-Tajdari 6.5", "the chip's clock is set forward, past its lease",
        (Catcher.CHIP, "lease-ended"),
        "it ends its leases early; but a chip set forward can report idle time in advance, and until bundles "
        "bound a report's time from above, nobody sees that"),
    _fault(
        "clock-held", "Rahman-Tajdari 6.5", "the chip's clock stands still",
        (Catcher.CHIP, "lease-spent"),
        "a lease lasts as long as the clock is held, for no more FLOP than it allows",
        test="test_a_chip_whose_clock_is_held_stops_by_count"),
    _fault(
        "licence-replay", "Petrie; RFD 034", "a licence is handed in again",
        (Catcher.CHIP, "licence-replayed"), "none while the state is not rolled back"),
    _fault(
        "licence-transfer", "Petrie; RFD 034", "a licence is handed to a chip that it is not for",
        (Catcher.CHIP, "not-in-device-set"), "none"),
    _fault(
        "licence-stockpiling", "Petrie; RFD 034", "licences are hoarded and handed in late",
        (Catcher.CHIP, "licence-expired"),
        "as long as the validity that the quorum itself signed",
        test="test_stockpiled_licences_do_not_outlast_the_newest_nor_their_end"),
    _fault(
        "disguised-training", "Rahman-Tajdari; joshc; RFD 027",
        "training under a licence for inference, or the reverse",
        (Catcher.CHIP, "other-workload"),
        "training that is called inference from the start is only metered: a class is a word",
        test="test_training_disguised_as_inference_is_metered_all_the_same"),
    _fault(
        "unsnapshotted-training", "Shavit 4", "weights are swapped before a snapshot, or trained between two",
        (Catcher.INSPECTION, None),
        "found as often as a Poisson time falls into the run, once an inspector asks for the weights",
        test="test_training_in_the_gaps_and_swapping_weights_before_a_snapshot_does_not_work"),
)
# fmt: on
"""Every fault, in the order of the document."""
