"""``treaty founding``: how group keys came about, or who spoilt them, as anybody judges it from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.ceremony import Table
from support.charters import hold_ceremonies, make_charter, seat
from support.command_line import call
from vetonet.crypto.statement import sign_jointly
from vetonet.encoding.record import Record
from vetonet.policy.founding import SpoiltCeremony, plan_ceremonies
from vetonet.voting.founding import read_group

CHARTER = make_charter()
KEPT = hold_ceremonies()
SIGNED = KEPT.transcripts[0].statements


@pytest.fixture
def treaty(tmp_path: Path) -> Path:
    plans = plan_ceremonies(CHARTER.terms, 1)
    packages = [read_group(p, t.statements) for p, t in zip(plans, KEPT.transcripts, strict=True)]
    path = tmp_path / "treaty.cbor"
    path.write_bytes(sign_jointly(CHARTER.terms.to_treaty(packages), tuple(CHARTER.keys.values())))
    return path


@pytest.fixture
def charter(tmp_path: Path) -> Path:
    path = tmp_path / "charter.cbor"
    path.write_bytes(CHARTER.terms.to_bytes())
    return path


def write(folder: Path, kept: Record) -> Path:
    path = folder / "kept.cbor"
    path.write_bytes(kept.to_bytes())
    return path


def spoil(*statements: bytes, **changes: Any) -> SpoiltCeremony:
    return replace(SpoiltCeremony(attempt=1, group=0, statements=statements), **changes)


def test_a_founded_treaty_follows_from_its_record(treaty: Path, tmp_path: Path) -> None:
    ended = call("treaty", "founding", treaty, write(tmp_path, KEPT))
    assert (ended.code, ended.out.count("its key follows")) == (0, 2)
    assert call("treaty", "founding", treaty, write(tmp_path, KEPT), "--json").value["groups"][1][
        "seats"
    ] == [
        "p3",
        "p4",
    ]


def test_a_record_of_another_attempt_shows_nothing(treaty: Path, tmp_path: Path) -> None:
    # VN-15.1
    ended = call("treaty", "founding", treaty, write(tmp_path, replace(KEPT, attempt=2)))
    assert ended.code == 1
    assert ended.out == ""


def test_a_record_without_a_partys_word_names_the_silent(treaty: Path, tmp_path: Path) -> None:
    short = replace(KEPT.transcripts[0], statements=SIGNED[1:])
    kept = replace(KEPT, transcripts=(short, KEPT.transcripts[1]))
    assert call("treaty", "founding", treaty, write(tmp_path, kept)).code == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"\xa0", KEPT.transcripts[0].to_bytes()])
def test_a_file_that_is_no_record_is_refused(treaty: Path, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "kept.cbor"
    path.write_bytes(data)
    ended = call("treaty", "founding", treaty, path)
    assert ended.code == 4
    assert "expected a record of a founding" in ended.err


def test_who_shows_two_faces_is_named_from_the_file(charter: Path, tmp_path: Path) -> None:
    # VN-15.4
    tables = (seat(CHARTER, 0), Table.seat(seat(CHARTER, 0).cast, seed=b"again"))
    faces = [next(data for sender, _, data in t.under_way if sender == "p2") for t in tables]
    ended = call("treaty", "founding", charter, write(tmp_path, spoil(*faces)))
    assert ended.code == 1
    assert "p2: signed two different" in ended.out


def test_the_silent_are_named_as_silent_only(charter: Path, tmp_path: Path) -> None:
    # VN-15.7
    ended = call("treaty", "founding", charter, write(tmp_path, spoil(*SIGNED[1:])), "--json")
    assert ended.code == 1
    assert ended.value["culprits"] == []
    assert len(ended.value["silent"]) == 1


def test_a_ceremony_that_was_not_spoilt_names_nobody(charter: Path, tmp_path: Path) -> None:
    ended = call("treaty", "founding", charter, write(tmp_path, spoil(*SIGNED)))
    assert ended.code == 4
    assert "nothing was spoilt" in ended.err


@pytest.mark.parametrize("changes", [{"attempt": 0}, {"group": 2}, {"group": 32}])
def test_a_ceremony_that_the_charter_does_not_have_is_refused(
    charter: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    ended = call("treaty", "founding", charter, write(tmp_path, spoil(*SIGNED, **changes)))
    assert ended.code == 4
    assert "no group" in ended.err
