"""What the demonstration refuses before it leaves anything behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from vetonet.cli import main
from vetonet.cli.exits import Exit
from vetonet.errors import INSTALL_TPM


@pytest.mark.parametrize("canary", ["", "1234567", "x" * 1025, "two\nlines"])
def test_a_canary_that_no_field_holds_or_that_stands_anywhere_by_chance_is_refused(
    canary: str, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    assert main.run(("demo", "--canary", canary, "--out", str(folder))) == Exit.USAGE
    assert not folder.exists()


def test_without_swtpm_no_folder_is_left_and_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "demo"
    assert main.run(("demo", "--secure-element", "tpm2", "--out", str(folder))) == Exit.USAGE
    assert not folder.exists()
    said = capsys.readouterr().err
    assert INSTALL_TPM in said
    assert "swtpm" in said
