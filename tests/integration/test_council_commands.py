"""``vetonet move`` and what parties run around a change of members: what each refuses, and a motion's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import Ended, call, served
from vetonet.cli.council.charter import write_charter
from vetonet.cli.directory import read_treaty
from vetonet.cli.exits import Exit

PARTIES = ("P1", "P2", "P3", "P4", "P5")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("council")
    plan = root / "council.toml"
    plan.write_text(write_charter(PARTIES))
    assert call("treaty", "new", "--file", plan, "--out", root / "trial").code == Exit.OK
    return root / "trial"


@pytest.fixture(scope="module")
def address(trial: Path) -> Iterator[str]:
    with served(trial) as address:
        yield address


@pytest.fixture(scope="module")
def home(trial: Path, address: str) -> tuple[str | Path, ...]:
    home, key_file = trial.parent / "p3", trial.parent / "p3.key"
    made = call(
        *("party", "init", home, "--from", trial, "--party", "P3", "--key-file", key_file),
        *("--coordinator", address),
    )
    assert made.code == Exit.OK, made.err
    return (home, "--key-file", key_file)


def move(trial: Path, address: str, *options: str | Path) -> Ended:
    return call("move", *options, "--dir", trial, "--party", "P1", "--server", address, "--json")


def test_a_motion_is_logged_and_open_and_the_same_again_is_another(trial: Path, address: str) -> None:
    options = ("roster-change", "--subject", "ab" * 32, "--window", "1m", "--text", "two come, two go")
    moved = [move(trial, address, *options) for _ in range(2)]
    assert [ended.code for ended in moved] == [Exit.OK, Exit.OK]
    assert {ended.value["phase"] for ended in moved} == {"open"}
    assert len({ended.value["name"] for ended in moved}) == 2


def test_a_party_moves_from_its_home_without_a_daemon(
    home: tuple[str | Path, ...], trial: Path, address: str
) -> None:
    assert address
    folder, *unlock = home
    subject = trial / "treaty.cbor"
    moved = call("move", "amend-rules", "--subject", subject, "--home", folder, *unlock, "--json")
    assert (moved.code, moved.value["party"]) == (Exit.OK, "P3"), moved.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("run-grant", "--subject", "ab" * 32), "'run-grant' is not one of"),
        (("remove-baseline", "--subject", "ab" * 32), "is not one of"),
        (("roster-change", "--subject", "ab" * 31), "64 hexadecimal digits"),
        (("roster-change", "--subject", "zz" * 32), "64 hexadecimal digits"),
        (("roster-change",), "--subject"),
        (("emergency-suspension", "--subject", "abcd"), "no proposal in the log"),
        (("emergency-suspension", "--subject", "a"), "at least 4 digits"),
        (("roster-change", "--subject", "ab" * 32, "--window", "2h"), "window"),
        (("roster-change", "--subject", "ab" * 32, "--text", "x" * 513), "1 to 512 characters"),
    ],
)
def test_a_motion_that_nobody_can_decide_is_refused_in_one_line(
    trial: Path, address: str, options: tuple[str, ...], expected: str
) -> None:
    refused = move(trial, address, *options)
    assert refused.code not in {Exit.OK, Exit.BUG}
    assert (refused.out, refused.err.count("\n")) == ("", 1)
    assert expected in refused.err


def test_nothing_is_amended_that_nobody_decided(home: tuple[str | Path, ...]) -> None:
    # VN-16.7
    before = (Path(home[0]) / "keystore").read_bytes()
    refused = call("party", "amend", *home, "--json")
    assert (refused.code, refused.out) == (Exit.NEGATIVE, "")
    assert "no decision" in refused.err
    assert (Path(home[0]) / "keystore").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "--lost"),
        (("--lost", "--help-repair", "P1"), "--lost"),
        (("--help-repair", "P9"), "P9 is no member"),
        (("--help-repair", "P1", "--helper", "P9"), "P9 is no member"),
        (("--help-repair", "P1", "--group", "0", "--helper", "P2"), "expected at least 3 seats"),
        (("--help-repair", "P1", "--group", "1"), "expected at least 2 seats"),
        (
            ("--help-repair", "P1", "--group", "0", "--helper", "P2", "--helper", "P4", "--helper", "P5"),
            "no part",
        ),
        (("--help-repair", "P1", "--group", "0"), "--peer"),
    ],
)
def test_a_repair_that_cannot_be_is_refused_before_anything_is_signed(
    home: tuple[str | Path, ...], options: tuple[str, ...], expected: str
) -> None:
    # VN-15.8
    before = (Path(home[0]) / "keystore").read_bytes()
    refused = call("party", "repair", *home, *options)
    assert refused.code not in {Exit.OK, Exit.BUG}
    assert expected in refused.err
    assert (Path(home[0]) / "keystore").read_bytes() == before


def test_a_change_to_the_present_epoch_is_refused(home: tuple[str | Path, ...], trial: Path) -> None:
    # VN-16.1
    charter = trial.parent / "charter.cbor"
    charter.write_bytes(read_treaty(trial).statement.to_terms().to_bytes())
    refused = call("party", "reshare", *home, "--charter", charter, "--json")
    assert refused.code not in {Exit.OK, Exit.BUG}
    assert "epoch" in refused.err


def test_members_are_replaced_by_cards_alone(trial: Path) -> None:
    root = trial.parent
    made = call("party", "card", root / "P6", "--party", "P6", "--key-file", root / "P6.key")
    assert made.code == Exit.OK, made.err
    card = root / "P6" / "card.json"
    for text, said in (
        ("P5", "ID=CARD, got 'P5'"),
        (f"P9={card}", "P9"),
        (f"P5={trial / 'treaty.cbor'}", ""),
    ):
        refused = call("treaty", "succeed", "--dir", trial, "--replace", text, "--out", root / "no")
        assert refused.code not in {Exit.OK, Exit.BUG}
        assert said in refused.err
        assert not (root / "no").exists()
    drawn = call(
        *("treaty", "succeed", "--dir", trial, "--replace", f"P5={card}", "--out", root / "next", "--json")
    )
    assert drawn.code == Exit.OK, drawn.err
    assert (drawn.value["epoch"], [party["id"] for party in drawn.value["parties"]]) == (
        2,
        ["P1", "P2", "P3", "P4", "P6"],
    )
    handed = {path.name for path in (root / "next" / "parties" / "P6").iterdir()}
    assert handed == {"charter.cbor", "tls-authority.pem", "tls-certificate.pem", "treaty.cbor"}


def test_who_made_no_keys_cannot_join(trial: Path, tmp_path: Path) -> None:
    joined = call(
        *("party", "join", tmp_path / "P7", "--invitation", trial, "--listen", "127.0.0.1:0"),
        *("--key-file", trial.parent / "P6.key"),
    )
    assert joined.code not in {Exit.OK, Exit.BUG}
    assert not (tmp_path / "P7").exists()
