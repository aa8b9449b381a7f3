"""What an operator writes of a run in private, and the file it keeps."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vetonet.cli.exits import Failure
from vetonet.cli.specification import draw_up_specification, load_specification, write_specification
from vetonet.policy.specification import FieldName, compute_place, verify_field

PARENT = bytes(range(32))
SECRET = "a crawl of spring 2026"


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.touch(0o600)  # it is its owner's secret
    path.write_text(text)
    return path


def test_fields_are_read_and_can_be_opened(tmp_path: Path) -> None:
    path = write(
        tmp_path, f'data = "{SECRET}"\n"hardware-plan" = ["512 H100", "two sites"]\ntokenizer = "own"\n'
    )
    drawn = draw_up_specification(path, [PARENT])
    values = {entry.name: entry.value for entry in drawn.fields}
    assert values["data"] == SECRET.encode()
    assert values["hardware-plan"] == b"512 H100\ntwo sites"
    assert values["evaluations"] == b""
    assert values["lineage"] == PARENT.hex().encode()
    for name in values:
        verify_field(drawn.open_field(name), drawn.root)


def test_what_a_file_says_of_the_lineage_stands(tmp_path: Path) -> None:
    drawn = draw_up_specification(write(tmp_path, 'lineage = "none"\n'), [PARENT])
    assert drawn.open_field(FieldName.LINEAGE).value == b"none"


def test_a_run_without_a_file_has_a_digest_like_any_other() -> None:
    first, second = draw_up_specification(None, []), draw_up_specification(None, [])
    assert first.root != second.root
    verify_field(first.open_field("data"), first.root)


@pytest.mark.parametrize(
    "text",
    [
        "data = 3\n",
        "data = [1]\n",
        "[data]\nx = 1\n",
        "data = ",
        'data = "' + "x" * 9000 + '"\n',
        "data = " + "[" * 50_000,
        '"'
        + next(f"n{i}" for i in range(10**5) if compute_place(f"n{i}") == compute_place("data"))
        + '" = ""\n',
    ],
)
def test_what_is_no_specification_is_refused(text: str, tmp_path: Path) -> None:
    # VN-19.1
    with pytest.raises(Failure, match="expected private fields as text"):
        draw_up_specification(write(tmp_path, text), [])


def test_the_file_is_for_its_owner_alone_and_is_read_back(tmp_path: Path) -> None:
    drawn = draw_up_specification(write(tmp_path, f'data = "{SECRET}"\n'), [])
    path = write_specification(drawn, tmp_path, PARENT)
    assert path.name == "specification-0001020304050607.cbor"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_specification(path) == drawn


def test_a_damaged_file_is_refused_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "kept.cbor"
    path.touch(0o600)
    path.write_bytes(b"\x00" + SECRET.encode())
    with pytest.raises(Failure) as caught:
        load_specification(path)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
