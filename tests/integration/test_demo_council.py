"""``vetonet demo-council``: a small council of processes, from its founding to a repaired share."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.command_line import COMMAND, call, make_environment
from vetonet.cli.exits import Exit
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError, VetonetError
from vetonet.party.home import read_home_treaty, read_successors
from vetonet.policy.action import ActionClass
from vetonet.policy.founding import FoundingRecord
from vetonet.policy.succession import verify_succession
from vetonet.policy.succession_plan import plan_succession
from vetonet.policy.treaty import Treaty
from vetonet.voting.founding import verify_takeover

TIMEOUT_S = 240


def judge_record(home: Path, successor: Signed[Treaty]) -> None:
    """Anybody recomputes the next treaty's groups from what was signed, and believes nothing else."""
    treaty = successor.statement
    kept = FoundingRecord.from_bytes((home / "succession-2-1.cbor").read_bytes())
    succession = plan_succession([read_home_treaty(home)], treaty.to_terms(), kept.attempt)
    verify_takeover(succession, treaty, kept)
    first, *others = kept.transcripts
    with pytest.raises(EncodingError):
        verify_takeover(succession, treaty, replace(kept, transcripts=tuple(others)))
    for cut in (first.statements[1:], ()):
        lacking = replace(kept, transcripts=(replace(first, statements=cut), *others))
        with pytest.raises(VetonetError):
            verify_takeover(succession, treaty, lacking)
    with pytest.raises(VetonetError):
        verify_takeover(plan_succession(succession.history, succession.terms, 2), treaty, kept)


@pytest.mark.slow
def test_a_council_of_processes_founds_votes_survives_kills_changes_and_repairs(tmp_path: Path) -> None:
    # VN-15.10, VN-16.4, VN-16.7
    root = tmp_path / "council"
    ended = subprocess.run(
        [*COMMAND, "demo-council", "--parties", "5", "--out", str(root), "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=make_environment(),
        check=False,
    )
    logs = {path.name: path.read_text() for path in (root / "logs").iterdir()}
    assert ended.returncode == Exit.OK, (ended.stdout, ended.stderr, logs)
    played = json.loads(ended.stdout)
    assert [scene["title"] for scene in played["scenes"] if not scene["as_expected"]] == []
    assert len(played["scenes"]) == 8
    assert not [name for name, text in logs.items() if "Traceback" in text]
    # every daemon that was not killed took its address away when it ended
    assert not list(root.glob("homes/*/daemon-address"))

    homes = sorted((root / "homes").iterdir())
    founding = {read_home_treaty(home).payload_digest for home in homes}
    assert len(founding) == 1
    (successor,) = {treaty.data: treaty for home in homes for treaty in read_successors(home)}.values()
    present = read_home_treaty(homes[0]).statement
    verify_succession([present], successor.statement, ActionClass.ROSTER_CHANGE)
    assert [group.key for group in successor.statement.all_groups] == [g.key for g in present.all_groups]
    judge_record(homes[0], successor)
    assert {party.party_id for party in successor.statement.parties} == {"P1", "P2", "P3", "P5", "P6"}


def test_a_council_goes_into_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    refused = call("demo-council", "--parties", "5", "--out", tmp_path)
    assert refused.code == Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_a_council_of_four_is_refused(tmp_path: Path) -> None:
    assert call("demo-council", "--parties", "4", "--out", tmp_path / "out").code == Exit.USAGE
    assert not (tmp_path / "out").exists()
