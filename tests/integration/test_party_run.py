"""``vetonet party`` as its parties run it: daemons as processes of their own, over mutual TLS."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from support.command_line import COMMAND, Ended, call, make_environment
from vetonet.cli.exits import Exit
from vetonet.storage import SqliteJournal
from vetonet.storage.journal import Record

PARTIES: Final = ("P1", "P2", "P3")
PATIENCE_S: Final = 25.0
RULES: Final = """\
default = "ask"
[[rule]]
when = { below-flop = "1e23" }
decide = "grant"
"""


@dataclass(slots=True)
class Running:
    """A process that was started here, its ready line and where its lines go."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    log: Path

    @property
    def lines(self) -> str:
        return self.log.read_text()


@dataclass(slots=True)
class Fleet:
    """A council of processes; all three must grant and sign, and P1 can veto alone."""

    root: Path
    addresses: dict[str, str]
    running: dict[str, Running] = field(default_factory=dict)
    count: int = 0

    @property
    def trial(self) -> Path:
        return self.root / "trial"

    def home(self, party_id: str) -> tuple[str | Path, ...]:
        return (self.root / party_id, "--key-file", self.root / f"{party_id}.key")

    def start(self, name: str, *arguments: str | Path) -> Running:
        self.count += 1
        log = self.root / f"{name}-{self.count}.log"
        with log.open("w") as lines:
            process = subprocess.Popen(
                [*COMMAND, *map(str, arguments), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=lines,
                text=True,
                env=make_environment(),
            )
        assert process.stdout is not None
        with process.stdout as said:
            ready = said.readline()
        assert ready, log.read_text()
        self.running[name] = Running(process, json.loads(ready), log)
        return self.running[name]

    def start_party(self, party_id: str) -> Running:
        others = [f"--peer={name}={self.addresses[name]}" for name in PARTIES if name != party_id]
        return self.start(
            party_id,
            *("party", "run", *self.home(party_id), "--listen", self.addresses[party_id], *others),
            *(
                "--coordinator",
                self.addresses["coordinator"],
                "--witness-listen",
                self.addresses[f"w{party_id}"],
            ),
        )

    def propose(self, flop: str, window: str) -> str:
        server = ("--server", self.addresses["coordinator"])
        asked = ("--total-flop", flop, "--chips", "512", "--duration", "4h", "--window", window)
        made = call("propose", "--dir", self.trial, *server, "--operator", "op1", *asked, "--json")
        assert made.code == Exit.OK, made.err
        name: str = made.value["name"]
        return name

    def ask(self, party_id: str = "P1", *options: str) -> dict[str, Any]:
        told = call("party", "status", *self.home(party_id), *options, "--json")
        assert told.code == Exit.OK, told.err
        value: dict[str, Any] = told.value
        return value

    def find(self, name: str) -> dict[str, Any]:
        (entry,) = [entry for entry in self.ask()["proposals"] if entry["name"] == name]
        found: dict[str, Any] = entry
        return found

    def await_phase(self, name: str, phase: str) -> dict[str, Any]:
        def is_there() -> bool:
            return {entry["name"]: entry["phase"] for entry in self.ask()["proposals"]}.get(name) == phase

        wait_until(is_there, f"{name} is {phase}")
        return self.find(name)

    def find_licensed(self) -> str:
        """A run with a licence: of a test before, or where none ran in this process a new one."""
        for licence in self.ask()["licences"]:
            name: str = licence["name"]
            return name
        made = self.propose("5e21", "3s")
        self.await_phase(made, "licensed")
        return made

    def vote(self, choice: str, name: str, party_id: str, *options: str) -> Ended:
        return call("vote", choice, name, "--home", *self.home(party_id), *options)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)


def find_addresses(names: list[str]) -> dict[str, str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return {name: f"127.0.0.1:{held.getsockname()[1]}" for name, held in zip(names, sockets, strict=True)}


def settle(root: Path) -> None:
    trial = root / "trial"
    founded = call("treaty", "new", "--out", trial, "--parties", "3", "--min-grants", "3", "--veto", "P1")
    assert founded.code == Exit.OK, founded.err
    for party_id in PARTIES:
        key_file = root / f"{party_id}.key"
        made = call(
            *("party", "init", root / party_id, "--from", trial, "--party", party_id),
            *("--key-file", key_file, "--json"),
        )
        assert made.value == {"home": str(root / party_id), "party": party_id, "remembered": 0}
        (root / party_id / "rules.toml").write_text(RULES)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("fleet")
    settle(root)
    fleet = Fleet(root, find_addresses([*PARTIES, *(f"w{name}" for name in PARTIES), "coordinator"]))
    try:
        urls = {party_id: fleet.start_party(party_id).ready["witness"] for party_id in PARTIES}
        fleet.start(
            "coordinator",
            *("serve", "--dir", fleet.trial, "--listen", fleet.addresses["coordinator"]),
            *(f"--witness={party_id}={url}" for party_id, url in urls.items()),
            *("--checkpoint-interval", "50ms"),
        )
        yield fleet
        for running in fleet.running.values():
            running.process.send_signal(signal.SIGINT)
        ended = {name: running.process.wait(timeout=20) for name, running in fleet.running.items()}
        assert ended == dict.fromkeys(ended, 0)
        assert not any((root / party_id / "daemon-address").exists() for party_id in PARTIES)
        assert not any("Traceback" in running.lines for running in fleet.running.values())
    finally:
        for running in fleet.running.values():
            running.process.kill()
            running.process.wait()


def test_a_small_run_is_licensed_with_nobody_at_the_keyboard(fleet: Fleet) -> None:
    name = fleet.propose("5e21", "3s")
    entry = fleet.await_phase(name, "licensed")
    assert (entry["missing"], entry["short"], entry["may_vote"]) == ([], [], [])
    (licence,) = [one for one in fleet.ask()["licences"] if one["name"] == name]
    assert licence["obstacle"] is None
    for party_id in PARTIES:
        assert f"{name}: voted grant by its rules" in fleet.running[party_id].lines
        assert f"{name}: outcome, attempt 1: signed" in fleet.running[party_id].lines


def test_a_large_run_waits_for_people_and_is_vetoed_by_hand(fleet: Fleet) -> None:
    name = fleet.propose("5e23", "4s")
    wait_until(lambda: f"{name}: ask: no rule holds" in fleet.running["P1"].lines, "P1 asks")
    assert fleet.find(name)["may_vote"] == list(PARTIES)
    vetoed = fleet.vote("veto", name, "P1", "--reason", "scale", "--json")
    assert (vetoed.code, vetoed.value["outcome"], vetoed.value["undelivered"]) == (Exit.OK, "open", [])
    assert fleet.find(name)["may_vote"] == ["P2", "P3"]
    again = fleet.vote("grant", name, "P1")
    assert (again.code, again.err.count("Error")) == (Exit.NEGATIVE, 1)
    stayed = fleet.vote("abstain", name, "P2", "--wait", "--json")
    assert (stayed.code, stayed.value["outcome"]) == (Exit.OK, "vetoed")
    assert fleet.await_phase(name, "vetoed")["missing"] == ["P3"]


def test_a_daemon_that_is_killed_after_its_vote_does_not_vote_again_and_signs(fleet: Fleet) -> None:
    name = fleet.propose("6e21", "7s")
    killed = fleet.running["P3"]
    wait_until(lambda: f"{name}: voted grant" in killed.lines, "P3 voted")
    killed.process.kill()
    killed.process.wait()
    silent = call("party", "status", *fleet.home("P3"))
    assert (silent.code, silent.err.count("\n")) == (Exit.INCONCLUSIVE, 1)
    assert "no daemon of P3 answers" in silent.err
    assert "vetonet party run" in silent.err
    asked = call("party", "status", *fleet.home("P1"), "--of", "P3", "--address", fleet.addresses["P3"])
    assert "no daemon of P3 answers" in asked.err
    assert "vetonet party run" not in asked.err
    risen = fleet.start_party("P3")
    fleet.await_phase(name, "licensed")
    wait_until(lambda: f"{name}: licensed" in risen.lines, "P3 saw the licence")
    assert f"{name}: outcome, attempt 1: signed" in risen.lines
    assert "voted" not in risen.lines
    assert "caught up with the log" in risen.lines


def test_consent_is_withdrawn_once_and_shows_everywhere(fleet: Fleet) -> None:
    name = fleet.find_licensed()
    withdraw = ("consent", "withdraw", name, "--home", *fleet.home("P2"), "--reason", "operator-record")
    said = call(*withdraw, "--json")
    assert (said.code, said.value["standing"], said.value["undelivered"]) == (Exit.OK, "withdrawn", [])
    assert call(*withdraw).code == Exit.NEGATIVE

    def obstacle() -> str | None:
        told: str | None = fleet.ask("P1")["licences"][0]["obstacle"]
        return told

    wait_until(lambda: obstacle() == "consent is not kept: P2 withdrew", "P1 knows")
    given = call("consent", "give", name, "--home", *fleet.home("P2"))
    assert (given.code, "consent to" in given.out) == (Exit.OK, True)
    wait_until(lambda: obstacle() is None, "P1 knows that it was given again")


def test_consent_is_withdrawn_by_a_party_that_keeps_no_daemon_at_work(fleet: Fleet) -> None:
    name = fleet.find_licensed()
    direct = ("--dir", fleet.trial, "--party", "P1", "--server", fleet.addresses["coordinator"])
    told = call(
        "consent", "withdraw", name, *direct, f"--peer=P2={fleet.addresses['P2']}", "--reason", "other"
    )
    assert (told.code, f"P1's consent to {name} is withdrawn" in told.out) == (Exit.OK, True), told.err
    assert call("consent", "give", "0000abcd", *direct).code == Exit.USAGE


def test_another_partys_daemon_shows_the_record_and_nothing_of_its_own(fleet: Fleet) -> None:
    of_p2 = ("--of", "P2", "--address", fleet.addresses["P2"])
    for asked in ((), of_p2):
        wait_until(lambda asked=asked: fleet.ask("P1", *asked)["checkpoint"] is not None, "both read the log")  # type: ignore[misc]
    mine, theirs = fleet.ask("P1"), fleet.ask("P1", *of_p2)
    assert theirs["party"] == "P2"
    assert theirs["checkpoint"]["origin"] == mine["checkpoint"]["origin"]
    assert (theirs["undelivered"], theirs["refusals"]) == ([], [])


def test_a_second_daemon_on_one_home_is_refused_in_one_line(fleet: Fleet) -> None:
    second = call("party", "run", *fleet.home("P1"))
    assert (second.code, second.err.count("\n")) == (Exit.USAGE, 1)
    assert "a daemon of P1 runs on" in second.err


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('default = "maybe"', "rules.toml:1: expected one of ask"),
        (RULES.replace("below-flop", "below-flops"), "rules.toml:3: expected one of below-flop"),
        (RULES + '[[rule]]\nwhen = { operator = "op9" }\ndecide = "grant"', "rules.toml:6"),
    ],
)
def test_rules_with_mistakes_start_no_daemon(rules: str, said: str, fleet: Fleet, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    made = (
        "party",
        "init",
        tmp_path / "home",
        "--from",
        fleet.trial,
        "--party",
        "P1",
        "--key-file",
        key_file,
    )
    assert call(*made).code == Exit.OK
    (tmp_path / "home" / "rules.toml").write_text(rules)
    refused = call("party", "run", tmp_path / "home", "--key-file", key_file)
    assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
    assert said in refused.err


def test_a_wrong_passphrase_opens_nothing_and_is_told_in_one_line(fleet: Fleet, tmp_path: Path) -> None:
    right, wrong, home = tmp_path / "right", tmp_path / "wrong", tmp_path / "home"
    for path, text in ((right, "correct horse battery\n"), (wrong, "incorrect horse\n")):
        path.write_text(text)
        path.chmod(0o600)
    made = ("party", "init", home, "--from", fleet.trial, "--party", "P2")
    assert call(*made).code == Exit.USAGE  # nobody can type here
    assert call(*made, "--passphrase-file", right).code == Exit.OK
    for command in (("party", "run", home), ("party", "status", home)):
        refused = call(*command, "--passphrase-file", wrong)
        assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
        assert "does not open with this passphrase or key file" in refused.err
        assert "horse" not in refused.err
    assert call(*made, "--passphrase-file", right).code == Exit.USAGE  # nothing is overwritten


def test_what_a_party_remembers_comes_along_and_is_not_copied_while_somebody_adds_to_it(
    fleet: Fleet, tmp_path: Path
) -> None:
    journal = fleet.trial / "parties" / "P3" / "journal"
    journal.mkdir()
    made = ("party", "init", tmp_path / "home", "--from", fleet.trial, "--party", "P3")
    opened = (*made, "--key-file", tmp_path / "key", "--json")
    with SqliteJournal.open(journal) as memory:
        memory.append((Record(kind="share", request_id=None, payload=b"x", recorded_at_ms=1),))
        refused = call(*opened)
        assert (refused.code, (tmp_path / "home").exists()) == (Exit.USAGE, False)
    assert call(*opened).value["remembered"] == 1
    with SqliteJournal.open(tmp_path / "home" / "journal") as copy:
        assert copy.read(0, 9)[0].record.payload == b"x"


def is_alive(pid: int) -> bool:
    """Whether a process with this id still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_demo_fleet_runs_reports_a_death_and_ends_whole(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {})
    running = fleet.start("demo", "party", "run", "--demo-fleet", "2", "--out", tmp_path / "council")
    try:
        ready = running.ready
        pids = ready["pids"]
        assert set(pids) == {"P1", "P2", "coordinator"}
        first = ready["parties"][0]
        status = ("party", "status", first["home"], "--key-file", first["key_file"], "--json")
        assert call(*status).value["party"] == "P1"
        os.kill(pids["P2"], signal.SIGKILL)
        wait_until(lambda: "P2 ended with code -9" in running.lines, "the death is told")
        assert is_alive(pids["P1"])
    finally:
        running.process.send_signal(signal.SIGINT)
        code = running.process.wait(timeout=20)
    assert (code, [name for name, pid in pids.items() if is_alive(pid)]) == (0, [])
    assert "Traceback" not in running.lines


@pytest.mark.parametrize(
    "options",
    [
        ("--dir", "trial"),
        ("--home", "p1", "--dir", "trial", "--party", "P1"),
        ("--home", "p1", "--server", "127.0.0.1:1"),
        (),
    ],
)
def test_a_vote_says_either_directory_and_party_or_home(options: tuple[str, ...]) -> None:
    refused = call("vote", "grant", "proposals/5f0e", *options)
    assert (refused.code, refused.err.count("\n")) == (Exit.USAGE, 1)
