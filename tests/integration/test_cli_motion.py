"""A motion on firmware from the command line: moved, voted on and adopted, under its own name throughout."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import Ended, call, finish, served, start
from support.firmware import FIRMWARE, PATCHED, sign_reference
from vetonet.attestation.reference_values import open_reference_values
from vetonet.cli.directory import ROOT_KEY_FILE, load_operator, read_treaty
from vetonet.cli.exits import Exit
from vetonet.cli.party_home import enter
from vetonet.cli.session import connect
from vetonet.cli.vote_home import _read_reference
from vetonet.party.keys import load_signing_key
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import Motion

PLAN = """\
name = "Three that patch"
parties = ["P1", "P2", "P3"]
makers = ["maker1"]

[[operator]]
id = "op1"

[[band]]
name = "free"
from-flop = 0
rule = "free"

[[band]]
name = "licensed"
from-flop = 1e24
rule = "licensed"

[times]
window = "1h"
signing = "2s"
report-interval = "1h"
report-grace = "1h"
lease = "24h"

[action.run-grant]
quorum = { threshold = 2, of = "parties" }

[action.lease-renewal]
same-as = "run-grant"

[action.security-patch]
same-as = "run-grant"
"""
NOWHERE = "cd" * 32
WINDOWS = ("5s", "15s", "30s")
"""A loaded machine takes its time to start two processes; who comes too late gets a longer window."""


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("motion")
    (root / "plan.toml").write_text(PLAN)
    founded = call("treaty", "new", "--file", root / "plan.toml", "--out", root / "trial")
    assert founded.code == Exit.OK, founded.err
    return root / "trial"


@pytest.fixture(scope="module")
def address(trial: Path) -> Iterator[str]:
    with served(trial) as bound:
        yield bound


def move(trial: Path, address: str, subject: str, *options: str) -> Ended:
    common = ("--dir", trial, "--party", "P1", "--server", address)
    return call("move", "security-patch", "--subject", subject, *common, *options)


@pytest.fixture(scope="module")
def adopted(trial: Path, address: str) -> tuple[str, Ended, Ended]:
    """A motion's name, and how the two grants that adopted it ended: for people, and for scripts."""
    name, ended = "", list[Ended]()
    common = ("--dir", trial, "--server", address, "--yes")
    for window in WINDOWS:
        name = move(trial, address, NOWHERE, "--window", window, "--json").value["name"]
        voting = [
            start("vote", "grant", name, "--party", party, *common, *options)
            for party, options in (("P1", ()), ("P2", ("--json",)))
        ]
        ended = [finish(process) for process in voting]
        if not any("the vote is over" in end.err for end in ended):
            break
    return name, ended[0], ended[1]


def test_who_votes_for_a_motion_learns_that_it_is_adopted_and_by_which_leaf(
    adopted: tuple[str, Ended, Ended],
) -> None:
    _, people, scripts = adopted
    assert (people.code, scripts.code) == (Exit.OK, Exit.OK), (people.err, scripts.err)
    assert (scripts.value["outcome"], scripts.value["licence_id"]) == ("adopted", None)
    leaf_index = scripts.value["resolution_leaf_index"]
    assert people.out.splitlines()[-1].startswith(f"adopted, resolution at leaf {leaf_index}: 2 of 2 granted")
    assert "does not show it" not in people.err


def test_who_votes_for_a_motion_signs_a_resolution_and_no_licence(adopted: tuple[str, Ended, Ended]) -> None:
    _, people, scripts = adopted
    assert any("signed our share of the resolution, attempt " in ended.err for ended in (people, scripts))
    assert "licence" not in people.out + people.err + scripts.err


def test_a_watch_says_that_a_motion_is_adopted_and_where_its_resolution_is(
    adopted: tuple[str, Ended, Ended], trial: Path, address: str
) -> None:
    name, _, scripts = adopted
    people = call("watch", name, "--dir", trial, "--server", address)
    assert people.code == Exit.OK
    assert f"{name}  adopted: 2 of 2 granted" in people.out
    shown = call("watch", name, "--dir", trial, "--server", address, "--json").value
    assert shown["resolution_leaf_index"] == scripts.value["resolution_leaf_index"]
    assert (shown["licence_leaf_index"], shown["tally"]["outcome_kind"]) == (None, "resolution")


def test_a_grant_of_a_motion_that_does_not_wait_is_told_what_it_cannot_sign(
    trial: Path, address: str
) -> None:
    moved = move(trial, address, NOWHERE)
    assert moved.out.splitlines()[-1].endswith(" --dir DIR --party ID")
    name = moved.out.split()[1].rstrip(",")
    common = ("--dir", trial, "--server", address, "--party", "P3", "--yes", "--no-wait")
    granted = call("vote", "grant", name, *common)
    assert granted.code == Exit.OK
    assert "the resolution needs enough others that wait" in granted.err


@pytest.fixture(scope="module")
def logged(trial: Path, address: str) -> str:
    """Return the digest of a maker's second reference values, which the log holds."""
    root = load_signing_key(trial / "makers" / "maker1" / ROOT_KEY_FILE)
    values = [
        sign_reference(root, firmware, maker="maker1", number=number)
        for number, firmware in enumerate((FIRMWARE, PATCHED), start=1)
    ]

    async def append() -> None:
        async with connect(load_operator(trial, "op1"), address, is_insecure=False) as client:
            await client.append_statements(values)

    asyncio.run(append())
    return open_reference_values(values[-1], {root.public_key.key_id: root.public_key}).payload_digest.hex()


def test_who_votes_on_firmware_sees_what_it_is(trial: Path, address: str, logged: str) -> None:
    name = move(trial, address, logged, "--json").value["name"]
    ended = call("vote", "abstain", name, "--dir", trial, "--server", address, "--party", "P3", "--yes")
    assert ended.code == Exit.OK, ended.err
    assert "maker1, Test Chip, number 2" in ended.out
    assert "metering-engine 1.1, svn 2" in ended.out


def test_a_home_reads_from_the_log_what_firmware_a_motion_is_about(
    trial: Path, address: str, logged: str
) -> None:
    home, key_file = trial.parent / "p3", trial.parent / "p3.key"
    made = call(
        *("party", "init", home, "--from", trial, "--party", "P3", "--key-file", key_file),
        *("--coordinator", address),
    )
    assert made.code == Exit.OK, made.err
    motion = Motion(
        treaty_digest=read_treaty(trial).payload_digest,
        epoch=1,
        mover="P1",
        action=ActionClass.SECURITY_PATCH,
        subject_digest=bytes.fromhex(logged),
        opens_ms=0,
        closes_ms=1000,
        ends_ms=2000,
        serial=bytes(16),
    )
    shown = asyncio.run(_read_reference(enter(home, None, key_file), motion))
    assert shown["reference"]["number"] == 2


WARNED = (
    "Warning: the log holds no reference values of this digest (yet); "
    "a resolution before them approves nothing"
)


def test_moving_firmware_that_the_log_does_not_hold_is_warned_of_in_one_line(
    trial: Path, address: str, logged: str
) -> None:
    moved = move(trial, address, NOWHERE)
    assert (moved.code, moved.err.splitlines()) == (Exit.OK, [WARNED])
    known = move(trial, address, logged)
    assert (known.code, known.err) == (Exit.OK, "")


def test_firmware_in_the_log_is_not_moved_by_the_class_that_would_approve_nothing(
    trial: Path, address: str, logged: str
) -> None:
    common = ("--dir", trial, "--party", "P1", "--server", address)
    refused = call("move", "new-guarantee", "--subject", logged, *common)
    assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
    assert "their maker signed them as security-patch" in refused.err
