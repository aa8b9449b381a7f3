from __future__ import annotations

import json
import stat
from dataclasses import fields
from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.directory import load_any, load_coordinator, load_operator, load_party, read_treaty
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.treaty import treaty
from vetonet.errors import ConfigError
from vetonet.policy.ballot import VetoReason
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.quorum import Choice
from vetonet.units import parse_duration
from vetonet.wire.identity import Role


def new(out: Path, *options: str) -> int:
    return main.run(("treaty", "new", "--out", str(out), *options))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("founded") / "treaty"
    options = ("--party", "Alfa", "--party", "Bravo", "--party", "Cito", "--veto", "Alfa", "--veto", "Cito")
    more = ("--operator", "lab:Bravo", "--operator", "free", "--monitored-flop", "5.5e21")
    makers = ("--maker", "fab", "--maker", "mill:TPM2")
    assert new(out, *options, *more, *makers, "--forbidden-flop", "1e26", "--window", "90s") == Exit.OK
    return out


def test_a_founded_treaty_says_what_was_asked_for(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(("treaty", "show", str(directory), "--json")) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert [party["id"] for party in shown["parties"] if party["can_veto"]] == ["Alfa", "Cito"]
    assert shown["quorum"].startswith(
        "it takes the grants of at least 2 of the 3 parties; veto by rule: Alfa and Cito, each alone, "
        "which honest signers do not sign over; "
    )
    assert [band["floor_flop"] for band in shown["bands"]] == [0, 55 * 10**20, 10**26]
    assert [(operator["id"], operator["party"]) for operator in shown["operators"]] == [
        ("lab", "Bravo"),
        ("free", None),
    ]
    assert [(maker["id"], maker["attester_kind"]) for maker in shown["makers"]] == [
        ("fab", "SIMULATED"),
        ("mill", "TPM2"),
    ]
    times = ("window", "signing", "report_interval", "report_grace", "lease", "suspension", "refresh")
    expected = [90_000, 30_000, 600_000, 300_000, 3_600_000, 0, 0]
    assert [shown[f"{name}_ms"] for name in times] == expected


def test_a_treaty_with_confidential_totals_says_so_and_who_stands_behind_its_operators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # VN-3.6
    options = ("--parties", "2", "--operator", "lab:P1", "--operator", "mill", "--owner", "mill:Owner One")
    assert new(tmp_path / "out", *options, "--minority", "--min-grants", "1", "--totals", "confidential") == 0
    said = capsys.readouterr().out
    assert "totals: confidential" in said
    assert "operator; behind it Owner One" in said
    terms = read_treaty(tmp_path / "out").statement
    assert terms.is_confidential
    assert [operator.beneficial_owner for operator in terms.operators] == [None, "Owner One"]
    assert main.run(("treaty", "show", str(tmp_path / "out"), "--json")) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["totals"] == "confidential"
    assert [operator["beneficial_owner"] for operator in shown["operators"]] == [None, "Owner One"]


def test_a_treaty_that_leaves_totals_out_has_open_ones(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(("treaty", "show", str(directory))) == Exit.OK
    assert "totals: open: reports say how much was computed" in capsys.readouterr().out
    assert read_treaty(directory).statement.totals is None


def test_a_treaty_is_shown_in_words(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(("treaty", "show", str(directory / "treaty.cbor"))) == Exit.OK
    shown = capsys.readouterr().out
    assert "5.5e21 FLOP up to 1e26" in shown
    assert "operator of Bravo" in shown
    assert (
        "times: window 1 min 30 s, signing 30 s, report-interval 10 min, report-grace 5 min, lease 1 h, "
        "suspension none, refresh none\n"
    ) in shown
    assert read_treaty(directory).payload_digest.hex() in shown


def test_the_options_leave_open_the_times_that_a_plan_does() -> None:
    defaults = {field.name: field.default for field in fields(TreatyPlan) if field.name.endswith("_ms")}
    options = {option.name: option for option in treaty.commands["new"].params}
    shared = [name for name in defaults if name in options]
    assert len(shared) == 5
    for name in shared:
        assert parse_duration(str(options[name].default)) == defaults[name]


def test_every_secret_is_its_owners_alone(directory: Path) -> None:
    secrets = [path for path in directory.rglob("*key*.pem") if path.is_file()]
    assert len(secrets) >= 3 * 3 + 2 * 2 + 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    folders = [directory / "parties" / "Alfa", directory / "coordinator", directory / "makers" / "fab"]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_every_participant_finds_itself_in_the_directory(directory: Path) -> None:
    treaty = read_treaty(directory).statement
    assert load_coordinator(directory).key.public_key == treaty.log_key
    assert load_operator(directory, "free").key.public_key == treaty.find_operator("free").key
    party = load_party(directory, "Cito")
    assert party.secrets is not None
    assert party.credential.identity.role is Role.PARTY
    assert load_any(directory).name == "Alfa"


def test_a_strangers_name_is_refused_with_the_names_there_are(directory: Path) -> None:
    with pytest.raises(Failure, match="no party 'Zulu'; it names Alfa, Bravo, Cito"):
        load_party(directory, "Zulu")
    with pytest.raises(Failure, match=r"no operator '\.\./x'; it names lab, free"):
        load_operator(directory, "../x")


def test_the_same_seed_gives_the_same_treaty_and_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        assert new(tmp_path / name, "--parties", "3", "--seed", "7", "--json") == Exit.OK
    said = capsys.readouterr()
    digests = {json.loads(line)["treaty"] for line in said.out.splitlines()}
    assert len(digests) == 1
    assert said.err.count("Warning: anybody who knows --seed") == 2


def test_two_treaties_without_a_seed_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert new(tmp_path / name, "--parties", "3", "--json") == Exit.OK
    digests = {json.loads(line)["treaty"] for line in capsys.readouterr().out.splitlines()}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--parties", "4", "--min-grants", "2"), "expected 3 to 4 of 4 parties, got 2; --minority allows"),
        (("--parties", "4", "--min-grants", "5"), "expected 3 to 4 of 4 parties, got 5"),
        (("--parties", "1", "--min-grants", "2"), "1 to 1 of 1 party, got 2"),
        (("--parties", "3", "--veto", "P9"), "P9"),
        (("--party", "A", "--party", "A"), "--party: expected each named once, got A 2 times"),
        (("--parties", "3", "--maker", "m", "--maker", "m"), "--maker: expected each named once"),
        (("--parties", "3", "--maker", "m:TMP2"), "a kind of attester among SIMULATED, TPM2, got 'TMP2'"),
        (("--parties", "3", "--maker", ":TPM2"), "--maker: expected NAME or NAME:KIND"),
        (("--parties", "3", "--party", "A"), "--parties and --party"),
        (("--parties", "3", "--operator", "P1"), "expected a name that nobody else has"),
        (("--parties", "3", "--operator", "lab:P9"), "P9"),
        (("--parties", "3", "--operator", ":"), "NAME:PARTY"),
        (("--parties", "3", "--owner", "op1"), "--owner: expected NAME:OWNER"),
        (("--parties", "3", "--owner", "op1:"), "--owner: expected NAME:OWNER"),
        (("--parties", "3", "--owner", "op9:X"), "the treaty has no operator op9; it has op1"),
        (("--parties", "3", "--owner", "op1:X", "--owner", "op1:Y"), "--owner: expected each named once"),
        (("--parties", "3", "--totals", "hidden"), "confidential"),
        (("--parties", "3", "--forbidden-flop", "1e20"), "rise"),
        (("--party", "../evil"), "a name of up to 64"),
        (("--parties", "65"), "at most 64, got 65; for more, generating"),
        (("--window", "10"), "such as 90s"),
        (("--monitored-flop", "lots"), "5.5e21"),
    ],
)
def test_a_treaty_that_cannot_be_is_refused_in_one_line_and_leaves_nothing(
    options: tuple[str, ...], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "out", *options) == Exit.USAGE
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_a_quorum_that_recusal_makes_impossible_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "out", "--parties", "2", "--min-grants", "2", "--operator", "lab:P1") == Exit.OK
    said = capsys.readouterr()
    assert "nothing that lab proposes can ever be licensed: its party P1 is recused" in said.err
    assert "operator of P1, which is recused" in said.out
    assert new(tmp_path / "free", "--parties", "2", "--min-grants", "2", "--operator", "lab") == Exit.OK
    assert "recused" not in capsys.readouterr().err


def test_what_cannot_be_is_refused_before_any_key_is_generated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "out", "--parties", "4", "--min-grants", "1") == Exit.USAGE
    assert "generating" not in capsys.readouterr().err


def test_a_trust_root_is_told_from_a_treaty(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(("treaty", "show", str(directory / "trust-root.json"))) == Exit.INVALID
    assert "a trust root, which only names a treaty; give treaty.cbor" in capsys.readouterr().err


def test_a_trust_root_that_is_none_is_invalid_and_a_missing_one_a_mistake(
    directory: Path, tmp_path: Path
) -> None:
    copied = copy_treaty(directory, tmp_path)
    (copied / "trust-root.json").write_text("{}")
    assert main.run(("treaty", "show", str(copied))) == Exit.INVALID
    (copied / "trust-root.json").unlink()
    assert main.run(("treaty", "show", str(copied))) == Exit.USAGE


def test_a_minority_may_decide_where_the_user_says_so(tmp_path: Path) -> None:
    assert new(tmp_path / "out", "--parties", "4", "--min-grants", "2", "--minority") == Exit.OK


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    assert new(tmp_path, "--parties", "3") == Exit.USAGE
    assert "new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def copy_treaty(source: Path, target: Path) -> Path:
    for name in ("treaty.cbor", "trust-root.json"):
        (target / name).write_bytes((source / name).read_bytes())
    return target


def test_one_changed_byte_in_a_treaty_is_refused(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copy_treaty(directory, tmp_path)
    data = bytearray((copied / "treaty.cbor").read_bytes())
    data[len(data) // 2] ^= 1
    (copied / "treaty.cbor").write_bytes(bytes(data))
    assert main.run(("treaty", "show", str(copied))) == Exit.INVALID
    assert capsys.readouterr().err.count("\n") == 1


def test_a_treaty_that_the_trust_root_does_not_name_is_refused(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copy_treaty(directory, tmp_path)
    root = json.loads((copied / "trust-root.json").read_text())
    (copied / "trust-root.json").write_text(json.dumps(root | {"treaty_sha256": "00" * 32}))
    assert main.run(("treaty", "show", str(copied))) == Exit.USAGE
    assert "trusts 0000000000000000" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a treaty", b"\xff" * 70_000])
def test_what_is_no_treaty_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main.run(("treaty", "show", str(tmp_path / "file"))) == Exit.INVALID
    assert capsys.readouterr().err.count("\n") == 1


def test_a_directory_without_a_treaty_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(("treaty", "show", str(tmp_path))) == Exit.USAGE
    assert "vetonet treaty new" in capsys.readouterr().err


def test_a_key_that_others_may_read_is_refused(directory: Path) -> None:
    key = directory / "operators" / "free" / "tls-key.pem"
    key.chmod(0o640)
    with pytest.raises((Failure, ConfigError), match="chmod 600"):
        load_operator(directory, "free")
    key.chmod(0o600)


def test_a_key_of_somebody_else_is_refused(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert new(other, "--party", "Alfa", "--party", "Bravo", "--operator", "free") == Exit.OK
    own = directory / "operators" / "free" / "statement-key.pem"
    kept = own.read_bytes()
    own.write_bytes((other / "operators" / "free" / "statement-key.pem").read_bytes())
    with pytest.raises(Failure, match="not the key that the treaty names for free"):
        load_operator(directory, "free")
    own.write_bytes(kept)


def test_the_choices_of_the_command_are_those_of_a_ballot() -> None:
    from vetonet.cli import vote  # noqa: PLC0415  (what is imported when is tested elsewhere)

    assert tuple(choice.value for choice in Choice) == vote.CHOICES
    assert tuple(reason.value for reason in VetoReason) == vote.REASONS
