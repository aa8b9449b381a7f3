"""The protocol as spin sees it: every state of a small configuration, and seeded bugs that it must find.

docs/model.md says what the models claim, and what they leave out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

MODELS: Final = Path(__file__).resolve().parent
PAGE: Final = MODELS.parents[1] / "docs" / "model.md"
SPIN: Final = shutil.which("spin")
GCC: Final = shutil.which("gcc")
TIME_LIMIT_S: Final = 600
MAX_DEPTH: Final = 10_000
MEMORY_LIMIT_MB: Final = 4096

needs_spin = pytest.mark.skipif(
    SPIN is None or GCC is None,
    reason="the model checker needs spin and gcc (Debian: apt-get install spin gcc)",
)

VOTE: Final = ("veto", "LOG_MAX=4", "NONCES=2")
SHORT_VOTE: Final = ("veto", "LOG_MAX=3", "NONCES=2")
EPOCH: Final = ("veto", "LOG_MAX=3", "NONCES=1", "EPOCHS=2")
LEASE: Final = ("lease", "LAST=4")
SHORT_LEASE: Final = ("lease", "LAST=3")

FINISHED: Final = (
    pytest.param(VOTE, 9_000_000, id="vote-licence-crash"),
    pytest.param(EPOCH, 18_000_000, id="epoch-change"),
    pytest.param(LEASE, 7_000_000, id="lease-withdrawal-suspension"),
)
"""The models as they should be, and how many states each has at least: with fewer, something went missing."""

BUGS: Final = (
    (SHORT_VOTE, "BUG_SIGN_BEFORE_CLOSE", "S2"),
    (SHORT_VOTE, "BUG_IGNORE_DIRECT_VETO", "S2"),
    (SHORT_VOTE, "BUG_VETO_NOT_JOURNALLED", "S2"),
    (SHORT_VOTE, "BUG_STALE_LOG_BELIEVED", "S2"),
    (SHORT_VOTE, "BUG_TRUST_COORDINATOR_TALLY", "S1"),
    (SHORT_VOTE, "BUG_TRUST_COORDINATOR_TALLY", "S2"),
    (SHORT_VOTE, "BUG_DOUBLE_BALLOT_COUNTED", "S1"),
    (SHORT_VOTE, "BUG_CHIP_ACCEPTS_TWICE", "S3"),
    (SHORT_VOTE, "BUG_FORGET_SIGNED_LICENCE", "SINGLE"),
    (SHORT_VOTE, "BUG_SHARE_BEFORE_JOURNAL", "SINGLE"),
    (SHORT_VOTE, "BUG_NONCE_REUSED_AFTER_RESTART", "NONCE"),
    (SHORT_VOTE, "BUG_BALLOT_NOT_JOURNALLED", "BALLOT"),
    (EPOCH, "BUG_OLD_EPOCH_ACCEPTED", "EPOCH"),
    (EPOCH, "BUG_OLD_EPOCH_BALLOT_COUNTED", "S1"),
    (EPOCH, "BUG_OLD_SHARES_COMBINE", "S1"),
    (SHORT_LEASE, "BUG_LEASE_WITHOUT_CONSENT", "TIME"),
    (SHORT_LEASE, "BUG_LEASES_SIGNED_AHEAD", "TIME"),
    (SHORT_LEASE, "BUG_LEASES_SIGNED_AHEAD", "COUNT"),
    (SHORT_LEASE, "BUG_STALE_LOG_BELIEVED", "TIME"),
    (SHORT_LEASE, "BUG_WITHDRAWAL_NOT_JOURNALLED", "TIME"),
    (SHORT_LEASE, "BUG_DIRECT_WITHDRAWAL_NOT_JOURNALLED", "TIME"),
    (SHORT_LEASE, "BUG_CHIP_WORKS_PAST_LEASE_END", "TIME"),
    (SHORT_LEASE, "BUG_CHIP_IGNORES_ALLOWANCE", "COUNT"),
    (SHORT_LEASE, "BUG_ALLOWANCE_REFILLED_AT_RESTART", "COUNT"),
    (SHORT_LEASE, "BUG_OLD_LEASE_TAKEN_AGAIN", "COUNT"),
    (SHORT_LEASE, "BUG_SUSPENSION_IGNORED", "SUSPENDED"),
)
"""Where a bug is seeded, and which claim it must break."""

REACHED: Final = (
    (SHORT_VOTE, "REACH_LICENCE"),
    (SHORT_VOTE, "REACH_LICENCE_WITH_ONE_MALICIOUS"),
    (SHORT_VOTE, "REACH_LICENCE_DESPITE_A_VETO_FEW_KNOW"),
    (SHORT_VOTE, "REACH_TWO_LICENCES_WITH_ONE_MALICIOUS"),
    (SHORT_VOTE, "REACH_RECOVERY_AFTER_A_CRASH"),
    (EPOCH, "REACH_LICENCE_AFTER_EPOCH_CHANGE"),
    (SHORT_LEASE, "REACH_LEASE_RENEWED"),
    (SHORT_LEASE, "REACH_WORK_IN_THE_LAST_TICK_ALLOWED"),
    (SHORT_LEASE, "REACH_WORK_LATER_WITH_THE_CLOCK_HELD"),
    (SHORT_LEASE, "REACH_WORK_AFTER_A_SUSPENSION_LAPSED"),
)
"""What must be able to happen. The model claims that it never does, and the search must contradict that."""

NOTICED_BY_REACHING: Final = "BUG_SUSPENSION_NEVER_LAPSES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one search found."""

    errors: int
    is_violated: bool
    states: int
    said: str

    @property
    def is_complete(self) -> bool:
        """Whether no state was left out: neither too deep, nor for want of memory, nor after an error."""
        incomplete = ("Search not completed", "max search depth too small", "out of memory", "resource limit")
        return self.states > 0 and not any(sign in self.said for sign in incomplete)

    @property
    def unreached(self) -> tuple[str, ...]:
        """Statements of the model that no state ever executed; that a process never ends is no such thing."""
        lines = re.findall(r"^\t\S+:\d+, state \d+, \"(.*)\"$", self.said, re.MULTILINE)
        return tuple(line for line in lines if line != "-end-")


def run_quietly(command: tuple[str, ...], folder: Path) -> str:
    finished = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def search(folder: Path, configuration: tuple[str, ...], *more: str) -> Outcome:
    """Return what spin finds in one configuration, searching all of it or up to the first error."""
    assert SPIN is not None
    assert GCC is not None
    model, *settings = configuration
    shutil.copy(MODELS / f"{model}.pml", folder)
    defines = tuple(f"-D{setting}" for setting in (*settings, *more))
    run_quietly((SPIN, "-a", *defines, f"{model}.pml"), folder)
    options = ("-O2", "-w", "-DSAFETY", "-DNOFAIR", "-DNOREDUCE", f"-DMEMLIM={MEMORY_LIMIT_MB}")
    run_quietly((GCC, *options, "-o", "pan", "pan.c"), folder)
    return parse_outcome(run_quietly(("./pan", f"-m{MAX_DEPTH}", "-w24"), folder))


def parse_outcome(said: str) -> Outcome:
    errors = re.search(r"State-vector \d+ byte, depth reached \d+, errors: (\d+)", said)
    states = re.search(r"^\s*([\d.e+]+) states, stored", said, re.MULTILINE)
    assert errors is not None, said
    assert states is not None, said
    return Outcome(
        errors=int(errors[1]),
        is_violated="pan:1: assertion violated" in said,
        states=int(float(states[1])),
        said=said,
    )


@needs_spin
@pytest.mark.slow
@pytest.mark.parametrize(("configuration", "states"), FINISHED)
def test_every_claim_holds_in_every_state(
    tmp_path: Path, configuration: tuple[str, ...], states: int
) -> None:
    outcome = search(tmp_path, configuration)
    assert outcome.errors == 0, outcome.said
    assert outcome.is_complete, outcome.said
    assert outcome.states >= states
    assert not outcome.unreached


@needs_spin
@pytest.mark.parametrize(
    ("configuration", "bug", "claim"),
    [pytest.param(*row, id=f"{row[0][0]}-{row[1]}-{row[2]}") for row in BUGS],
)
def test_a_seeded_bug_breaks_the_claim_that_guards_against_it(
    tmp_path: Path, configuration: tuple[str, ...], bug: str, claim: str
) -> None:
    outcome = search(tmp_path, configuration, bug, f"PROPERTY={claim}")
    assert outcome.is_violated, outcome.said
    assert outcome.errors == 1


@needs_spin
@pytest.mark.parametrize(("configuration", "question"), [pytest.param(*row, id=row[1]) for row in REACHED])
def test_what_should_be_possible_is_possible(
    tmp_path: Path, configuration: tuple[str, ...], question: str
) -> None:
    outcome = search(tmp_path, configuration, question, "PROPERTY=NOTHING")
    assert outcome.is_violated, outcome.said


@needs_spin
def test_a_suspension_that_never_lapses_leaves_no_work_after_it(tmp_path: Path) -> None:
    question = "REACH_WORK_AFTER_A_SUSPENSION_LAPSED"
    outcome = search(tmp_path, SHORT_LEASE, NOTICED_BY_REACHING, question, "PROPERTY=NOTHING")
    assert outcome.errors == 0, outcome.said
    assert outcome.is_complete, outcome.said


def list_switches(model: str, prefix: str) -> set[str]:
    return set(re.findall(rf"\b{prefix}_\w+", (MODELS / f"{model}.pml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("model", ["veto", "lease"])
def test_every_switch_of_a_model_is_searched(model: str) -> None:
    bugs = {bug for configuration, bug, _ in BUGS if configuration[0] == model}
    questions = {question for configuration, question in REACHED if configuration[0] == model}
    assert list_switches(model, "BUG") - {NOTICED_BY_REACHING} == bugs
    assert list_switches(model, "REACH") == questions


@pytest.mark.parametrize("model", ["veto", "lease"])
@pytest.mark.parametrize("prefix", ["BUG", "REACH"])
def test_the_page_names_every_switch(model: str, prefix: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [name for name in list_switches(model, prefix) if f"`{name}`" not in page]


def test_a_search_that_was_cut_short_is_not_complete() -> None:
    end = "State-vector 92 byte, depth reached 9, errors: 0\n        7 states, stored\n"
    assert parse_outcome(end).is_complete
    said = f"error: max search depth too small\n{end}"
    assert not parse_outcome(said).is_complete


def test_large_counts_of_states_are_read() -> None:
    said = "State-vector 92 byte, depth reached 9, errors: 0\n1.201196e+08 states, stored\n"
    assert parse_outcome(said).states == 120_119_600
