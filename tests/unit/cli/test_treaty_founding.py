"""``treaty founding``: how group keys came about, or who spoilt them, as anybody judges it from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.ceremony import Table
from support.charters import hold_ceremonies, make_charter, make_founded, seat
from support.command_line import call
from support.published import lay_out
from vetonet.encoding.record import Record
from vetonet.policy.founding import SpoiltCeremony
from vetonet.voting.founding_log import list_statements

CHARTER = make_charter()
KEPT = hold_ceremonies()
SIGNED = KEPT.transcripts[0].statements
FOUNDED = make_founded()
LEAVES = list_statements(KEPT)


@pytest.fixture
def treaty(tmp_path: Path) -> Path:
    path = tmp_path / "treaty.cbor"
    path.write_bytes(FOUNDED.treaty.data)
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


def show(folder: Path, *leaves: bytes) -> Path:
    """Return the folder of the published log that begins with the treaty."""
    return lay_out(folder / "log", FOUNDED, (FOUNDED.treaty.data, *leaves))


def list_two_faces() -> tuple[bytes, bytes]:
    tables = (seat(CHARTER, 0, 2), Table.seat(seat(CHARTER, 0, 2).cast, seed=b"again"))
    first, second = (next(data for who, _, data in t.under_way if who == "p2") for t in tables)
    return first, second


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_founding_is_judged_from_the_log_as_from_a_file(
    treaty: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    # VN-15.11
    log = show(tmp_path, *LEAVES, b"another leaf")
    from_log = call("treaty", "founding", treaty, "--log", log, *options)
    assert from_log == call("treaty", "founding", treaty, write(tmp_path, KEPT), *options)
    assert from_log.code == 0


@pytest.mark.parametrize("count", [0, 1, len(LEAVES) - 1])
def test_a_log_without_all_of_a_founding_shows_none(treaty: Path, tmp_path: Path, count: int) -> None:
    # VN-15.11
    ended = call("treaty", "founding", treaty, "--log", show(tmp_path, *LEAVES[:count]))
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)


def test_an_altered_leaf_in_the_log_shows_no_founding(treaty: Path, tmp_path: Path) -> None:
    altered = bytearray(LEAVES[0])
    altered[-1] ^= 1
    ended = call("treaty", "founding", treaty, "--log", show(tmp_path, bytes(altered), *LEAVES[1:]))
    assert (ended.code, ended.out) == (1, "")


def test_the_log_of_another_treaty_is_refused(treaty: Path, tmp_path: Path) -> None:
    log = lay_out(tmp_path / "log", FOUNDED, (b"another treaty", *LEAVES))
    ended = call("treaty", "founding", treaty, "--log", log)
    assert ended.code == 1
    assert "leaf 0" in ended.err


def test_a_log_that_its_witnesses_do_not_vouch_for_shows_nothing(treaty: Path, tmp_path: Path) -> None:
    # VN-11.5
    log = lay_out(tmp_path / "log", FOUNDED, (FOUNDED.treaty.data, *LEAVES), witness_ids=("p1",))
    ended = call("treaty", "founding", treaty, "--log", log)
    assert ended.code == 1
    assert "cosign" in ended.err


def test_a_log_whose_tiles_are_gone_shows_nothing(treaty: Path, tmp_path: Path) -> None:
    log = show(tmp_path, *LEAVES)
    for path in (log / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.unlink()
    assert call("treaty", "founding", treaty, "--log", log).code == 4


def test_a_record_and_a_log_at_once_or_neither_is_no_question(treaty: Path, tmp_path: Path) -> None:
    both = (write(tmp_path, KEPT), "--log", tmp_path)
    for arguments in ((), both):
        ended = call("treaty", "founding", treaty, *arguments)
        assert ended.code == 2
        assert "either a RECORD or --log" in ended.err
    assert call("treaty", "founding", treaty, "--log", tmp_path / "nowhere").code == 2


def test_who_spoilt_a_ceremony_is_named_from_the_log(charter: Path, tmp_path: Path) -> None:
    # VN-15.4, VN-15.11
    log = show(tmp_path, *LEAVES, *list_two_faces())
    ended = call("treaty", "founding", charter, "--log", log)
    assert (ended.code, ended.out.count("\n")) == (1, 1)
    assert ended.out.startswith("attempt 2, group 0: p2: signed two different")
    (found,) = call("treaty", "founding", charter, "--log", log, "--json").value["ceremonies"]
    assert (found["attempt"], found["group"], found["culprits"]) == (2, 0, ["p2"])


def test_a_log_in_which_nothing_was_spoilt_names_nobody(charter: Path, tmp_path: Path) -> None:
    log = show(tmp_path, *LEAVES)
    ended = call("treaty", "founding", charter, "--log", log)
    assert (ended.code, "nothing was spoilt" in ended.out) == (0, True)
    assert call("treaty", "founding", charter, "--log", log, "--json").value == {"ceremonies": []}


def test_a_monitor_finds_nothing_wrong_with_a_log_that_holds_its_founding(
    treaty: Path, tmp_path: Path
) -> None:
    # VN-11.8, VN-15.11
    watched = ("--treaty", treaty, "--once", "--json")
    judged = call("monitor", show(tmp_path, *LEAVES, *list_two_faces()), *watched)
    assert (judged.code, judged.value["problems"]) == (0, [])
    bad = call("monitor", show(tmp_path / "bad", *LEAVES, LEAVES[0]), *watched)
    assert (bad.code, len(bad.value["problems"])) == (1, 1)
