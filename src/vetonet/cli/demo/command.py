"""``vetonet demo``: plays the scenes, prints the table, leaves the bundle behind."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from vetonet.cli.demo.chip_evidence import EVIDENCE_FILE, build_chip_files, spell_appraisal
from vetonet.cli.demo.exporting import export
from vetonet.cli.demo.keeping import Kept, keep
from vetonet.cli.demo.play import Play, Scene, begin
from vetonet.cli.demo.private import MAX_CANARY_CHARS, MIN_CANARY_CHARS
from vetonet.cli.demo.scenes import WITHHELD_CHIPS, list_scenes
from vetonet.cli.demo.stage import MAKER_ID, Cast, set_up
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import make_folder, write_output
from vetonet.cli.output import examples, json_option, note, print_json, print_line, print_table, spell_command
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.trust_root import TrustRoot
from vetonet.policy.totals import Totals
from vetonet.sim.mlperf import MlperfWorkload
from vetonet.sim.recorded_run import build_workload
from vetonet.storage.simulated_tpms import open_simulated_tpms, verify_tpms_installed
from vetonet.units import MS_PER_HOUR

MAX_CHIPS: Final = 512
LEAD_MS: Final = 4 * MS_PER_HOUR
BUNDLE_FILE: Final = "bundle.vetonet"
TRUST_ROOT_FILE: Final = "trust-root.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How a demonstration went, and what it leaves behind."""

    scenes: tuple[Scene, ...]
    licence_id: int | None
    bundle: bytes
    result: ComplianceResult
    trust_root: TrustRoot
    chip_files: Mapping[str, bytes]
    kept: Kept
    totals: Totals

    @property
    def is_as_expected(self) -> bool:
        """Whether every scene went as it should, and the whole log still proves compliance."""
        return all(scene.is_as_expected for scene in self.scenes) and self.result.verdict == "COMPLIANT"


@click.command(epilog=examples("vetonet demo", "vetonet demo --seed 7 --out demo --json"))
@click.option(
    "--seed", type=click.IntRange(0, 2**63), default=7, show_default=True, help="Same seed, same log root."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to leave bundle, trust root and one chip's evidence.  [default: a new temporary folder]",
)
@click.option(
    "--chips",
    type=click.IntRange(WITHHELD_CHIPS, MAX_CHIPS),
    default=MAX_CHIPS,
    show_default=True,
    help="How many chips play; each does its own share of the real run on 512.",
)
@click.option(
    "--secure-element",
    type=click.Choice(["software", "tpm2"]),
    default="software",
    show_default=True,
    help="What keeps a chip's key and count: with tpm2 a simulated TPM (swtpm) each; no seed gives its keys.",
)
@click.option(
    "--confidential/--open",
    "is_confidential",
    default=True,
    show_default=True,
    help="Whether how much was computed stays with the operator, who proves limits instead.",
)
@click.option(
    "--canary",
    metavar="TEXT",
    help="Plant this text (8 characters or more) in every private field, to look for it elsewhere.",
)
@json_option
def demo(
    *,
    seed: int,
    out: Path | None,
    chips: int,
    secure_element: str,
    is_confidential: bool,
    canary: str | None,
    as_json: bool,
) -> None:
    """Run the main job end to end and show what came of it.

    Seven parties over gRPC, 512 simulated H100s, one real MLPerf run. Under a minute. It leaves the bundle,
    and in `operator` what the operator keeps: `vetonet export` makes the same bundle of that.
    """
    if canary is not None:
        _require_findable(canary)
    if secure_element == "tpm2":
        verify_tpms_installed()  # before there is an empty folder
    folder = Path(tempfile.mkdtemp(prefix="vetonet-demo-")) if out is None else out
    make_folder(folder)
    totals = Totals.CONFIDENTIAL if is_confidential else Totals.OPEN
    performance = asyncio.run(
        perform(
            seed,
            build_workload(),
            chips=chips,
            secure_element=secure_element,
            totals=totals,
            canary=canary or "",
        )
    )
    bundle, trust_root = folder / BUNDLE_FILE, folder / TRUST_ROOT_FILE
    write_output(bundle, performance.bundle)
    write_output(trust_root, performance.trust_root.to_text().encode())
    for name, content in performance.chip_files.items():
        write_output(folder / name, content)
    operator = performance.kept.write(folder)
    if as_json:
        print_json(_to_plain(performance, bundle, trust_root) | {"operator": str(operator)})
    else:
        _print(performance, bundle, trust_root, operator)
        if canary is not None:
            print_line(f"a canary was planted: it may stand below {operator}, and nowhere else")
        if secure_element == "tpm2":
            print_line(
                "these TPMs are software (swtpm): their evidence, of kind TPM2, is evidence of nothing"
            )
    raise SystemExit(Exit.OK if performance.is_as_expected else Exit.NEGATIVE)


def _require_findable(canary: str) -> None:
    """Hold that a text fits into every private field, and stands nowhere by chance."""
    if not MIN_CANARY_CHARS <= len(canary) <= MAX_CANARY_CHARS or not canary.isprintable():
        raise Failure(f"--canary: expected {MIN_CANARY_CHARS} to {MAX_CANARY_CHARS} printable characters")


async def perform(
    seed: int,
    workload: MlperfWorkload,
    *,
    chips: int | None = None,
    secure_element: str = "software",
    totals: Totals = Totals.CONFIDENTIAL,
    canary: str = "",
) -> Performance:
    """Return how the demonstration with this seed and this work went.

    Args:
        seed: what all keys in software follow from.
        workload: the real run.
        chips: how many of its chips play, or None for all.
        secure_element: ``software``, or ``tpm2`` for a simulated TPM in each chip.
        totals: whether reports say how much was computed.
        canary: a text to be planted in every private field.

    Raises:
        VetonetError: the stage could not be set up, or an honest step failed.
    """
    count = chips or workload.chips
    note(f"seed {seed}: founding a treaty, generating keys, making {count} chips ({secure_element})")
    if count < workload.chips:
        note(f"    each does its share of the run on {workload.chips}; totals and threshold shrink alike")
    with tempfile.TemporaryDirectory(prefix="vetonet-tpm-") as folder, contextlib.ExitStack() as stack:
        tpms = open_simulated_tpms(Path(folder), count) if secure_element == "tpm2" else None
        elements = () if tpms is None else stack.enter_context(tpms)
        cast = Cast(chips=count, run_chips=workload.chips, elements=elements, totals=totals, canary=canary)
        return await _play(seed, workload, cast)


async def _play(seed: int, workload: MlperfWorkload, cast: Cast) -> Performance:
    played: list[Scene] = []
    with tempfile.TemporaryDirectory(prefix="vetonet-journal-") as journal:
        async with set_up(seed, Path(journal), workload.start_ms - LEAD_MS, cast) as stage:
            play = begin(stage, workload, note)
            scenes = list_scenes(cast)
            for number, scene in enumerate(scenes, start=1):
                played.append(await scene(play))
                note(f"[{number}/{len(scenes)}] {played[-1].title}: {played[-1].outcome}")
            return await _finish(play, played)


async def _finish(play: Play, played: Sequence[Scene]) -> Performance:
    """Judge the whole log once more, now that everything is in it."""
    bundle = (await export(play)).bundle
    return Performance(
        scenes=tuple(played),
        licence_id=None if play.licence is None else play.licence.statement.licence_id,
        bundle=bundle.to_bytes(),
        result=play.judge(bundle),
        trust_root=play.stage.founded.trust_root,
        chip_files=build_chip_files(bundle, play.stage.founded.makers[MAKER_ID]),
        kept=keep(play, bundle),
        totals=play.stage.cast.totals,
    )


def _to_plain(performance: Performance, bundle: Path, trust_root: Path) -> dict[str, Any]:
    return {
        "scenes": [
            {"name": scene.name, "expected": scene.expected, "outcome": scene.outcome}
            for scene in performance.scenes
        ],
        "licence_id": performance.licence_id,
        "totals": performance.totals.value,
        "verdict": performance.result.verdict.value,
        "bundle": str(bundle),
        "trust_root": str(trust_root),
        "chip_evidence": str(bundle.parent / EVIDENCE_FILE),
        "log_root": performance.result.root_hash.hex(),
        "tree_size": performance.result.tree_size,
    }


def _print(performance: Performance, bundle: Path, trust_root: Path, operator: Path) -> None:
    rows = [
        (scene.title, scene.outcome, "as expected" if scene.is_as_expected else f"EXPECTED {scene.expected}")
        for scene in performance.scenes
    ]
    print_table(("scene", "outcome", ""), rows)
    print_line()
    for scene in performance.scenes:
        print_line(f"{scene.name}: {scene.detail}")
    print_line()
    result = performance.result
    print_line(f"whole log: {result.verdict}, {result.tree_size} leaves, root {result.root_hash.hex()}")
    if result.totals:
        print_line(_say_totals(result))
    print_line(f"bundle:     {bundle}")
    print_line(f"trust root: {trust_root}")
    print_line(f"operator:   {operator}")
    print_line(f"judge it yourself: {spell_command()} verify {bundle} --trust-root {trust_root}")
    print_line(f"in plain words:    {spell_command()} explain {bundle} --trust-root {trust_root}")
    print_line(f"export it again:   {spell_command()} export {operator} --out again.vetonet")
    print_line(f"and one chip of it: {spell_appraisal(bundle.parent, performance.chip_files)}")


def _say_totals(result: ComplianceResult) -> str:
    proven = [total for total in result.totals if not total.missing]
    by = ", ".join(sorted({total.operator_id for total in proven if total.operator_id is not None}))
    return (
        f"hidden totals: {len(proven)} of {len(result.totals)} are proven to be within their limits, by {by};"
        " no count is shown"
    )
