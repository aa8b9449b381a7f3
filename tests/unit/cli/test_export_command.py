"""``vetonet export``: a bundle of what an operator keeps, proven, signed, and never with a secret in it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Scene, make_compliant_scene, make_confidential_scene
from support.command_line import Ended, call
from support.world import make_council
from vetonet.attestation.report import ComputeReport
from vetonet.cli.exits import Exit
from vetonet.compliance.bundle import Bundle, DeviceSet
from vetonet.crypto.pedersen import Opening
from vetonet.party.operator_folder import HeldOpening, OperatorFolder, iter_sequence
from vetonet.policy.band import Band, BandRule
from vetonet.policy.totals import Totals
from vetonet.units import UNIT_FLOP, format_time

Change = Callable[[ComputeReport], ComputeReport]


def make_scene(change: Change = lambda report: report, **arguments: Any) -> Scene:
    """Return a confidential scene that was run and published."""
    scene = make_confidential_scene(**arguments)
    scene.run(change)
    return scene


def hold(scene: Scene, place: tuple[bytes, int]) -> HeldOpening:
    return HeldOpening.of(*place, *scene.openings[place])


def keep(scene: Scene, root: Path, operator_id: str = "op1") -> OperatorFolder:
    """Return the folder of an operator that kept everything of a scene."""
    key = scene.council.operator_keys[operator_id]
    folder = OperatorFolder.create(root, trust_root=scene.trust_root, key=key)
    folder.keep_log([scene.log.leaf(index) for index in range(scene.log.tree_size)], scene.sign_head())
    folder.keep_device_set(DeviceSet(ueids=tuple(sorted(chip.ueid for chip in scene.chips))))
    mine = {chip.ueid for chip in scene.chips if chip.owner == operator_id}
    half = len(scene.reports) // 2
    folder.keep_batch(1, scene.reports[:half])
    folder.keep_batch(
        2, scene.reports[half:], [hold(scene, place) for place in scene.openings if place[0] in mine]
    )
    return folder


def export(folder: OperatorFolder, scene: Scene, *options: str | Path) -> Ended:
    at = format_time(scene.judged_ms)
    return call("export", folder.root, "--out", folder.root.parent / "run.bundle", "--at", at, *options)


def replace_openings(folder: OperatorFolder, held: list[HeldOpening]) -> None:
    for path in (folder.root / "openings").iterdir():
        path.unlink()
    folder.keep_batch(9, (), held)


@pytest.fixture(scope="module")
def hidden() -> Scene:
    return make_scene()


def test_a_folder_with_counts_in_clear_becomes_a_bundle(tmp_path: Path) -> None:
    scene = make_compliant_scene()
    ended = export(keep(scene, tmp_path / "operator"), scene, "--json")
    assert (ended.code, ended.value["verdict"]) == (Exit.OK, "COMPLIANT")
    assert (ended.value["exporter"], ended.value["proof_count"]) == ("op1", 0)
    bundle = Bundle.from_bytes((tmp_path / "run.bundle").read_bytes())
    assert set(bundle.reports) == set(scene.reports)


def test_a_folder_with_hidden_counts_becomes_a_bundle_with_proofs(hidden: Scene, tmp_path: Path) -> None:
    ended = export(keep(hidden, tmp_path / "operator"), hidden)
    assert ended.code == Exit.OK
    assert ended.out.startswith("COMPLIANT\n")
    assert "6 reports, 1 proof, signed by op1" in ended.out
    root, at = tmp_path / "operator" / "trust-root.json", format_time(hidden.judged_ms)
    judged = call("verify", tmp_path / "run.bundle", "--trust-root", root, "--at", at, "--json")
    assert judged.value["verdict"] == "COMPLIANT"
    assert judged.value["totals"][0]["proven_by"] == "op1"


def test_a_folder_beside_a_demos_bundle_is_found(hidden: Scene, tmp_path: Path) -> None:
    keep(hidden, tmp_path / "operator")
    at = format_time(hidden.judged_ms)
    ended = call("export", tmp_path, "--out", tmp_path / "run.bundle", "--at", at, "--json")
    assert (ended.code, ended.value["verdict"]) == (Exit.OK, "COMPLIANT")


def test_the_same_folder_gives_the_same_bytes(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    export(folder, hidden)
    first = (tmp_path / "run.bundle").read_bytes()
    export(folder, hidden)
    assert (tmp_path / "run.bundle").read_bytes() == first


def test_a_report_that_is_kept_twice_stands_in_the_bundle_once(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    folder.keep_batch(3, hidden.reports)
    assert export(folder, hidden, "--json").value["verdict"] == "COMPLIANT"
    assert len(Bundle.from_bytes((tmp_path / "run.bundle").read_bytes()).reports) == len(hidden.reports)


def test_no_opening_is_printed_or_put_into_the_bundle(hidden: Scene, tmp_path: Path) -> None:
    ended = export(keep(hidden, tmp_path / "operator"), hidden)
    written = (tmp_path / "run.bundle").read_bytes()
    for _, opening in hidden.openings.values():
        assert opening.blinding not in written
        assert opening.blinding.hex() not in ended.out + ended.err


def test_secrets_are_for_their_owner_alone(hidden: Scene, tmp_path: Path) -> None:
    root = keep(hidden, tmp_path / "operator").root
    for name in ("statement-key.pem", "openings/000002.openings"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o600
    for name in ("openings", "specifications", "handed-over"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["statement-key.pem", "openings/000002.openings"])
def test_a_secret_that_others_may_read_is_refused(hidden: Scene, tmp_path: Path, name: str) -> None:
    folder = keep(hidden, tmp_path / "operator")
    (folder.root / name).chmod(0o644)
    ended = export(folder, hidden)
    (folder.root / name).chmod(0o600)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert "chmod 600" in ended.err
    assert not (tmp_path / "run.bundle").exists()


def test_a_missing_opening_is_named_and_nothing_is_exported(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    lost = (hidden.chips[0].ueid, len(hidden.windows))
    replace_openings(folder, [hold(hidden, place) for place in hidden.openings if place != lost])
    ended = export(folder, hidden)
    assert ended.code == Exit.USAGE
    number = hidden.licence.statement.licence_id
    assert f"licence {number} cannot be proven: no opening is kept for report {lost[1]}" in ended.err
    assert lost[0].hex()[:16] in ended.err
    assert not (tmp_path / "run.bundle").exists()


def test_an_opening_that_opens_nothing_is_named_and_not_shown(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    place = (hidden.chips[0].ueid, len(hidden.windows))
    licence_id, opening = hidden.openings[place]
    other = Opening(value=opening.value + 1, blinding=opening.blinding)
    held = [hold(hidden, known) for known in hidden.openings if known != place]
    replace_openings(folder, [*held, HeldOpening.of(*place, licence_id, other)])
    ended = export(folder, hidden)
    assert ended.code == Exit.USAGE
    assert f"the opening kept for report {place[1]} of chip {place[0].hex()[:16]} does not open" in ended.err
    assert str(opening.value) not in ended.err


@pytest.mark.parametrize(("units", "said"), [(1, "1 unit of"), (7, "7 units of")])
def test_a_total_over_its_limit_is_refused_by_how_much(tmp_path: Path, units: int, said: str) -> None:
    def exceed(report: ComputeReport) -> ComputeReport:
        over = units * UNIT_FLOP if report.counter == 3 and report.ueid == scene.chips[0].ueid else 0
        return replace(report, cumulative_flop=report.counters.flop + over)

    scene = make_confidential_scene()
    scene.run(exceed)
    ended = export(keep(scene, tmp_path / "operator"), scene)
    number = scene.licence.statement.licence_id
    assert ended.code == Exit.NEGATIVE
    assert f"licence {number}: its chips computed {said} 10^15 FLOP more than its budget allows" in ended.err
    assert not (tmp_path / "run.bundle").exists()
    told = json.loads(export(OperatorFolder(root=tmp_path / "operator"), scene, "--json").err)
    assert told["error"]["reason"] == "refused"


def test_reports_that_no_chip_made_are_not_vouched_for(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    forged = bytearray(hidden.reports[-1])
    forged[-1] ^= 1
    folder.keep_batch(3, [bytes(forged)])
    ended = export(folder, hidden)
    assert ended.code == Exit.NEGATIVE
    assert "nobody can vouch for these reports: report " in ended.err
    assert "in the name of chip " in ended.err
    assert not (tmp_path / "run.bundle").exists()


def test_what_is_no_operator_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    out = ("--out", tmp_path / "run.bundle")
    for name, got in (
        ("nowhere", "nothing there"),
        ("file", "a file"),
        ("empty", "one without trust-root.json"),
    ):
        ended = call("export", tmp_path / name, *out)
        assert ended.code == Exit.USAGE
        assert f"expected the folder of an operator, got {got}" in ended.err
    ended = call("export", tmp_path / "empty", *out, "--of-licence", "5")
    assert "expected --of-licence together with --hand-over" in ended.err


def test_a_folder_of_somebody_else_is_refused(hidden: Scene, tmp_path: Path) -> None:
    folder = keep(hidden, tmp_path / "operator")
    (folder.root / "statement-key.pem").unlink()
    assert call("ear", "key", "--out", folder.root / "statement-key.pem").code == Exit.OK
    ended = export(folder, hidden)
    assert ended.code == Exit.USAGE
    assert "its key is that of no operator of the treaty" in ended.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("reports/000001.reports", b"\x58", "damaged at byte 0"),
        ("reports/000001.reports", b"\x43abc", "is no report"),
        ("openings/000002.openings", b"\x43abc", "expected a HeldOpening"),
        ("device-sets/x.cbor", b"abc", "expected a DeviceSet"),
        ("trust-root.json", b"{}", "expected a trust root"),
        ("log/checkpoint", b"", "operator"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    hidden: Scene, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    folder = keep(hidden, tmp_path / "operator")
    (folder.root / name).write_bytes(content)
    ended = export(folder, hidden)
    assert ended.code in {Exit.USAGE, Exit.INVALID}
    assert ended.out == ""
    last = ended.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert said in last


@pytest.mark.parametrize("name", ["reports", "log", "openings", "statement-key.pem", "trust-root.json"])
def test_a_folder_that_lacks_something_is_refused_in_one_line(
    hidden: Scene, tmp_path: Path, name: str
) -> None:
    folder = keep(hidden, tmp_path / "operator")
    (folder.root / name).rename(tmp_path / "elsewhere")
    ended = export(folder, hidden)
    assert ended.code in {Exit.USAGE, Exit.INVALID}
    assert name in ended.err


def make_shells(units: int) -> Scene:
    """Chips of two operators of one owner compute so much each without a licence, below a floor of 1,000."""
    free = Band(name="free", floor_flop=0, rule=BandRule.FREE)
    licensed = Band(name="licensed", floor_flop=1_000 * UNIT_FLOP, rule=BandRule.LICENSED)
    drawn = make_council(3, 2).treaty.statement.operators
    operators = tuple(replace(operator, beneficial_owner="Holding") for operator in drawn)
    council = make_council(3, 2, bands=(free, licensed), totals=Totals.CONFIDENTIAL, operators=operators)
    scene = make_confidential_scene(council, chips=2, windows=1, owners=("op1", "op2"))
    flop = units * UNIT_FLOP
    scene.run(lambda claims: replace(claims, licence_id=None, proposal_digest=None, cumulative_flop=flop))
    return scene


def export_jointly(scene: Scene, root: Path) -> Ended:
    """The second operator exports and hands its sum over; then the first exports for both."""
    second = keep(scene, root / "second" / "operator", "op2")
    handed = root / "handed.cbor"
    assert export(second, scene, "--hand-over", handed).code == Exit.OK
    first = keep(scene, root / "first" / "operator")
    assert stat.S_IMODE(handed.stat().st_mode) == 0o600
    handed.rename(first.root / "handed-over" / "op2.cbor")
    return export(first, scene, "--proofs-of", root / "second" / "run.bundle", "--json")


def test_an_owner_behind_two_operators_is_proven_to_stay_below_the_band(tmp_path: Path) -> None:
    ended = export_jointly(make_shells(499), tmp_path)
    assert (ended.code, ended.value["verdict"], ended.value["proof_count"]) == (Exit.OK, "COMPLIANT", 2)


def test_an_owner_behind_two_operators_that_reaches_the_band_together_is_refused(tmp_path: Path) -> None:
    ended = export_jointly(make_shells(500), tmp_path)
    assert ended.code == Exit.NEGATIVE
    assert "the pool of Holding: its chips computed 1 unit of 10^15 FLOP more" in ended.err


def test_without_the_others_sum_the_owners_total_is_left_unproven_and_it_is_said(tmp_path: Path) -> None:
    scene = make_shells(499)
    ended = export(keep(scene, tmp_path / "operator"), scene, "--json")
    assert ended.code == Exit.OK
    assert "owner-pool-unproven" in ended.value["reasons"]
    assert "the pool of Holding is left unproven: op2 handed nothing over" in ended.err


def test_proofs_of_a_bundle_of_another_treaty_are_refused(hidden: Scene, tmp_path: Path) -> None:
    foreign = make_shells(499)
    elsewhere = keep(foreign, tmp_path / "second" / "operator", "op2")
    assert export(elsewhere, foreign).code == Exit.OK
    ended = export(
        keep(hidden, tmp_path / "first" / "operator"),
        hidden,
        "--proofs-of",
        tmp_path / "second" / "run.bundle",
    )
    assert ended.code == Exit.USAGE
    assert "expected a bundle of treaty" in ended.err
    assert not (tmp_path / "first" / "run.bundle").exists()


def test_a_sum_of_other_reports_is_refused_and_names_who_handed_it_over(tmp_path: Path) -> None:
    scene, other = make_shells(499), make_shells(498)
    second = keep(other, tmp_path / "second" / "operator", "op2")
    first = keep(scene, tmp_path / "first" / "operator")
    export(second, other, "--hand-over", first.root / "handed-over" / "op2.cbor")
    ended = export(first, scene)
    assert ended.code == Exit.NEGATIVE
    assert "what op2 handed over does not open its part of the pool of Holding" in ended.err


def export_guests(root: Path, first_owner: str = "op1") -> Ended:
    """The chips of a second operator work under the licence of the first, which proves it all."""
    scene = make_scene(chips=2, windows=1, owners=(first_owner, "op2"))
    licence_id = str(scene.licence.statement.licence_id)
    second, handed = keep(scene, root / "second" / "operator", "op2"), root / "handed.cbor"
    assert export(second, scene, "--hand-over", handed, "--of-licence", licence_id).code == Exit.OK
    first = keep(scene, root / "first" / "operator")
    handed.rename(first.root / "handed-over" / "op2.cbor")
    return export(first, scene, "--json")


@pytest.mark.parametrize("first_owner", ["op1", "op2"])
def test_a_licence_on_chips_of_others_is_proven_by_the_operator_that_proposed_it(
    tmp_path: Path, first_owner: str
) -> None:
    """VN-18.6: also where no chip is its own."""
    ended = export_guests(tmp_path, first_owner)
    assert (ended.code, ended.value["verdict"], ended.value["proof_count"]) == (Exit.OK, "COMPLIANT", 1)


def test_without_the_others_sum_a_licence_is_left_unproven_and_it_is_said(tmp_path: Path) -> None:
    scene = make_scene(chips=2, windows=1, owners=("op1", "op2"))
    ended = export(keep(scene, tmp_path / "operator"), scene, "--json")
    assert (ended.code, ended.value["verdict"]) == (Exit.OK, "INCONCLUSIVE")
    assert "is left unproven: op2 handed nothing over" in ended.err


def test_nothing_is_handed_over_for_a_licence_under_which_no_chip_reported(tmp_path: Path) -> None:
    scene = make_scene(chips=1, windows=1)
    folder = keep(scene, tmp_path / "operator")
    ended = export(folder, scene, "--hand-over", tmp_path / "handed.cbor", "--of-licence", "12345")
    assert ended.code != Exit.OK
    assert "no chip of op1 reported hidden work under licence 12345" in ended.err
    assert not (tmp_path / "handed.cbor").exists()


def test_a_sequence_is_read_as_it_was_written_and_not_beyond(tmp_path: Path) -> None:
    items = [b"", b"a" * 23, b"b" * 24, b"c" * 300]
    folder = OperatorFolder(root=tmp_path)
    (tmp_path / "reports").mkdir()
    folder.keep_batch(1, items)
    path = tmp_path / "reports" / "000001.reports"
    data = path.read_bytes()
    assert [item for item, _, _ in iter_sequence(data, path)] == items
    assert all(data[start:end] == item for item, start, end in iter_sequence(data, path))
