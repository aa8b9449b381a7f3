from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.command_line import Ended, call, finish, served, start

# A loaded machine takes its time to start so many processes; who comes too late gets a longer window.
TRIAL = "--trial-witnesses"
WINDOWS = ("4s", "12s", "28s")


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("council") / "treaty"
    founded = call(
        *("treaty", "new", "--out", directory, "--parties", "3", "--min-grants", "2", "--veto", "P1"),
        *("--window", "30s", "--signing", "2s", "--forbidden-flop", "1e26", "--operator", "op1", "--json"),
    )
    assert founded.code == 0, founded.err
    return directory


@pytest.fixture(scope="module")
def address(council: Path) -> Iterator[str]:
    with served(council) as bound:
        yield bound


def propose(council: Path, address: str, *options: str, window: str = "30s") -> Ended:
    return call(
        *("propose", "--dir", council, "--server", address, "--operator", "op1", "--total-flop", "5.5e21"),
        *("--chips", "4", "--duration", "1h", "--window", window, "--json", *options),
    )


def decide(
    council: Path, address: str, ballots: Mapping[str, tuple[str, ...]], owner: str
) -> tuple[str, dict[str, Ended]]:
    """Let parties vote on a fresh proposal all at once; return its name and how each command ended."""
    ended: dict[str, Ended] = {}
    name = ""
    for window in WINDOWS:
        name = propose(council, address, "--owner", owner, window=window).value["name"]
        common = ("--dir", council, "--server", address, "--json")
        voting = {p: start("vote", *words, name, "--party", p, *common) for p, words in ballots.items()}
        ended = {party: finish(process) for party, process in voting.items()}
        if not any('"reason": "expired"' in end.err for end in ended.values()):
            break
    return name, ended


def test_two_grants_of_three_give_a_licence_that_everybody_sees(council: Path, address: str) -> None:
    name, ended = decide(council, address, {"P1": ("grant",), "P2": ("grant",)}, "Owner A")
    assert [end.code for end in ended.values()] == [0, 0], ended
    assert {end.value["outcome"] for end in ended.values()} == {"licensed"}
    assert len({end.value["licence_id"] for end in ended.values()}) == 1
    watched = call("watch", name, "--dir", council, "--server", address)
    assert watched.code == 0
    assert "licensed: 2 of 2 granted; did not vote: P3" in watched.out


def test_one_veto_of_a_holder_outweighs_two_grants(council: Path, address: str) -> None:
    ballots = {"P1": ("veto", "--reason", "scale", "--wait"), "P2": ("grant",), "P3": ("grant",)}
    name, ended = decide(council, address, ballots, "Owner B")
    assert {end.value["outcome"] for end in ended.values()} == {"vetoed"}, ended
    assert [ended[party].code for party in ballots] == [0, 1, 1]
    status = call("watch", name, "--dir", council, "--server", address, "--json")
    assert status.code == 1
    assert status.value["tally"]["vetoed"] == ["P1"]
    assert status.value["tally"]["reasons"] == {"P1": "scale"}


def test_a_quorum_that_does_not_sign_gives_no_licence_and_says_why(council: Path, address: str) -> None:
    ballots = {"P2": ("grant", "--no-wait"), "P3": ("grant",)}
    _, ended = decide(council, address, ballots, "Owner C")
    assert (ended["P3"].code, ended["P3"].value["outcome"]) == (1, "expired"), ended
    assert ended["P3"].value["why"] == "no licence was signed in time"
    assert "too few of them signed in time" in ended["P3"].err


def test_a_grant_without_waiting_warns_and_a_second_ballot_is_refused(council: Path, address: str) -> None:
    proposed = propose(council, address)
    assert proposed.code == 0, proposed.err
    assert "made up" in proposed.err
    name, common = proposed.value["name"], ("--dir", council, "--server", address, "--party", "P2")
    ended = call("vote", "grant", name, *common, "--no-wait", "--json")
    assert (ended.code, ended.value["outcome"]) == (0, "open"), ended.err
    assert "cannot sign" in ended.err
    again = call("vote", "abstain", name, *common, "--json")
    assert (again.code, again.out) == (1, "")
    error = json.loads(again.err.splitlines()[-1])["error"]
    assert (error["reason"], error["culprit"]) == ("refused", "P2")
    assert "P2 already granted (leaf " in error["message"]
    assert "a ballot stands; nothing was changed" in error["message"]


def test_a_voter_sees_what_is_voted_on_from_the_log(council: Path, address: str) -> None:
    proposed = propose(council, address)
    name, digest = proposed.value["name"], proposed.value["digest"]
    ended = call("vote", "abstain", name, "--dir", council, "--server", address, "--party", "P3")
    assert ended.code == 0, ended.err
    assert digest in ended.out
    assert "5.5e21 FLOP (5500000000000000000000)" in ended.out
    once = call("watch", digest[:12], "--once", "--dir", council, "--server", address)
    assert "0 of 2 granted, P1 can still veto; abstained: P3; missing: P1, P2" in once.out


def test_a_veto_reaches_a_waiting_party_directly_and_an_interrupt_says_how_to_go_on(
    council: Path, address: str
) -> None:
    name = propose(council, address).value["name"]
    common = ("--dir", council, "--server", address)
    waiting = start("vote", "grant", name, *common, "--party", "P2", "--listen", "127.0.0.1:0")
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    assert said.startswith("taking ballots of other parties at 127.0.0.1:")
    peers = ("--peer", f"P2={said.split()[-1]}", "--peer", "P3=127.0.0.1:1")
    veto = call("vote", "veto", name, "--reason", "operator-record", *common, "--party", "P1", *peers)
    assert veto.code == 0, veto.err
    assert "not told directly, because they cannot be reached: P3" in veto.err
    while not waiting.stderr.readline().startswith("waiting"):
        assert waiting.poll() is None
    waiting.send_signal(signal.SIGINT)
    ended = finish(waiting)
    assert (ended.code, ended.err.count("\n")) == (130, 1), ended.err
    assert ended.err.startswith("P2 has not signed a licence; run the same command")


def test_a_run_in_the_forbidden_band_is_refused_in_one_line(council: Path, address: str) -> None:
    refused = propose(council, address, "--total-flop", "1e26")
    assert refused.code == 1
    error = json.loads(refused.err.splitlines()[-1])["error"]
    assert (error["reason"], error["culprit"]) == ("refused", "op1")


def test_an_unknown_proposal_is_named_in_one_line(council: Path, address: str) -> None:
    common = ("--dir", council, "--server", address, "--party", "P3")
    ended = call("vote", "grant", "proposals/ffffffffffffffffffffffffffffffff", *common)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.err
    assert "watch --once" in ended.err


def test_a_certificate_of_another_treaty_is_refused_in_one_line(address: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert call("treaty", "new", "--out", other, "--parties", "3", "--json").code == 0
    ended = call("watch", "--once", "--dir", other, "--server", address)
    assert (ended.code, len(ended.err.splitlines())) == (3, 1), ended.err
    assert "is --dir the directory of this server's treaty?" in ended.err


def test_a_port_in_use_ends_a_second_server_in_one_line(council: Path, address: str, tmp_path: Path) -> None:
    ended = call("serve", "--dir", council, "--listen", address, "--data", tmp_path / "data", TRIAL)
    assert (ended.code, len(ended.err.splitlines())) == (2, 2), ended.err  # the first is the trial's warning
    assert "in use" in ended.err


def test_data_in_use_end_a_second_server_in_one_line(council: Path, address: str) -> None:
    assert address
    ended = call("serve", "--dir", council, "--listen", "127.0.0.1:0", TRIAL)
    assert (ended.code, len(ended.err.splitlines())) == (2, 2), ended.err
    assert "--data" in ended.err


def test_a_server_that_is_away_leaves_the_question_open(council: Path) -> None:
    ended = call("watch", "--once", "--dir", council, "--server", "127.0.0.1:1")
    assert (ended.code, len(ended.err.splitlines())) == (3, 1), ended.err
    assert "cannot be reached" in ended.err
