"""What ``vetonet propose`` refuses or warns of before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.exits import Exit

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("founded") / "treaty"
    assert main.run(("treaty", "new", "--out", str(out), "--parties", "1", "--window", "1h")) == Exit.OK
    return out


def propose(directory: Path, *options: str, flop: str = "1e21") -> int:
    common = ("--dir", str(directory), "--operator", "op1", "--server", NOWHERE, "--chips", "4")
    return main.run(("propose", *common, "--total-flop", flop, "--duration", "9h", *options))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--window", "2h"), "--window: the treaty allows at most 1 h, got 2 h"),
        (("--start", "2020-01-15T08:00:00Z"), "got 2020-01-15T08:00:00Z"),
        (("--per-device-flop", "1e20"), "the run's is 1e21, got 4 x 1e20 = 4e20"),
        (("--offline-units", "100"), "the run's is 1e21, got 4 x 1e20 = 4e20"),
        (
            ("--offline-units", "250", "--per-device-flop", "2.5e20"),
            "--per-device-flop or --offline-units, not",
        ),
        (("--per-device-flop", "2e21"), "the run's is 1e21, got 4 x 2e21 = 8e21"),
    ],
)
def test_what_no_proposal_can_say_is_refused_with_what_was_asked(
    options: tuple[str, ...], expected: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose(directory, *options) == Exit.USAGE
    assert expected in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "the fastest chip known here, cannot do that in 9 h"),
        (("--chip-model", "H100"), "4 x NVIDIA H100 SXM5 80GB cannot do that"),
        (("--chip-model", "H100"), "asked for are 2.5e22 each, 1e23 in all"),
    ],
)
def test_more_than_the_chips_can_do_is_warned_of(
    options: tuple[str, ...],
    expected: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("vetonet.cli.propose.run_async", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert propose(directory, *options, flop="1e23") == Exit.INTERRUPTED
    assert expected in capsys.readouterr().err


def test_what_the_chips_can_do_is_not_warned_of(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vetonet.cli.propose.run_async", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert propose(directory, flop="1e20") == Exit.INTERRUPTED
    assert "cannot do that" not in capsys.readouterr().err
