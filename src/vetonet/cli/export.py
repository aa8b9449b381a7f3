"""``vetonet export``: the bundle of what an operator keeps, with its proofs and its signature."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import write_chunks, write_secret
from vetonet.cli.log_source import open_log_source, translated_log
from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command, warn
from vetonet.cli.parameters import TIME
from vetonet.cli.verify import iter_bundle_file, judge_chunks, judge_file, refuse_no_bundle
from vetonet.errors import ProofError, RefusedError
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.compliance.result import ComplianceResult
    from vetonet.compliance.trust_root import TrustRoot
    from vetonet.confidential.expectation import ExpectedTotal
    from vetonet.crypto.keys import SigningKey
    from vetonet.party.exporting import Draft, KeptReports, Secrets
    from vetonet.party.monitoring import LogSource
    from vetonet.party.operator_folder import OperatorFolder


OPERATOR_FOLDER: Final = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What an export is made of.

    Attributes:
        owners: the operator of each chip, by ueid.
        expected: the hidden totals of these reports.
    """

    reports: KeptReports = field(repr=False)
    draft: Draft = field(repr=False)
    secrets: Secrets = field(repr=False)
    owners: Mapping[bytes, str] = field(repr=False)
    expected: tuple[ExpectedTotal, ...]


@click.command(
    epilog=examples(
        "vetonet export demo/operator --out run.bundle",
        "vetonet export demo/operator --out run.bundle --log http://127.0.0.1:7445",
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where to leave the bundle.")
@click.option("--log", metavar="URL|FOLDER", help="The treaty's log.  [default: the copy in FOLDER/log]")
@click.option("--at", "at_ms", type=TIME, metavar="TIME", help="Judge as of this time, instead of now.")
@click.option(
    "--hand-over",
    "hand_over_path",
    type=click.Path(path_type=Path),
    help="Also leave there what opens this operator's total without a licence: a secret, for whoever proves"
    " the total of the owner behind several operators.",
)
@click.option(
    "--of-licence",
    "licence_id",
    type=click.IntRange(min=0),
    metavar="ID",
    help="With --hand-over: its total under this licence instead, for the operator that proposed the run.",
)
@click.option(
    "--proofs-of",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="Also take the proofs of other operators, from a bundle of theirs; may come repeatedly.",
)
@json_option
def export(
    folder: Path,
    *,
    out: Path,
    log: str | None,
    at_ms: Milliseconds | None,
    hand_over_path: Path | None,
    licence_id: int | None,
    others: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Make a bundle of what an operator keeps in FOLDER: log, reports, proofs, and its signature over all.

    Where the treaty's totals are confidential it proves that each total of this operator is within its
    limits, and refuses where one is not. It signs nothing that holds a forged report. The verdict on the
    bundle is printed; it is anybody's to judge again.
    """
    from vetonet.party.operator_folder import OperatorFolder

    if licence_id is not None and hand_over_path is None:
        raise Failure("expected --of-licence together with --hand-over: which total goes into that file")
    kept = OperatorFolder(root=_find_folder(folder))
    root, key = kept.read_trust_root(), kept.load_key()
    now = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    with ExitStack() as stack:
        source = open_log_source(str(kept.root / "log") if log is None else log, stack)
        work = _prepare(kept, root, key, source, now)
        proofs = _prove(work, key)
        taken = tuple(proof for path in others for proof in _take_proofs(path))
        if hand_over_path is not None:
            _hand_over(work, hand_over_path, licence_id)
        _write(out, work.draft, (*proofs, *taken), key)
    result = judge_file(out, root, now)
    _tell(result, out, kept.root, len(proofs), as_json=as_json)


def _find_folder(folder: Path) -> Path:
    """Return the folder of an operator, or the one in what the demonstration left."""
    from vetonet.party.keys import STATEMENT_KEY_FILE
    from vetonet.party.operator_folder import TRUST_ROOT_FILE

    inner = folder / OPERATOR_FOLDER
    is_nested = inner.is_dir() and not (folder / STATEMENT_KEY_FILE).exists()
    found = inner if is_nested else folder
    if not found.is_dir():
        got = "a file" if found.exists() else "nothing there"
        raise Failure(f"{found}: expected the folder of an operator, got {got}")
    for name in (TRUST_ROOT_FILE, STATEMENT_KEY_FILE):
        if not (found / name).exists():
            raise Failure(f"{found}: expected the folder of an operator, got one without {name}")
    return found


def _prepare(
    kept: OperatorFolder, root: TrustRoot, key: SigningKey, source: LogSource, now: Milliseconds
) -> _Work:
    """Read all there is but openings of no use, and what a verifier will want proven of it."""
    from vetonet.compliance.parts import iter_bundle
    from vetonet.party.exporting import KeptReports, Secrets, find_openings, read_draft, verify_vouched

    reports = KeptReports(kept)
    with translated_log(str(kept.root)):
        draft, record = read_draft(kept, reports, source, root)
        name = _find_operator(record.treaties, key, kept.root)
    with refuse_no_bundle(kept.root):
        result = judge_chunks(iter_bundle(draft.iter_parts()), root, now)
    verify_vouched(result)
    wanted = {(ueid, end.counter) for (ueid, _), end in reports.ends.by_account.items()}
    found = {
        (held.ueid, held.counter): held.opening
        for held in kept.iter_openings()
        if (held.ueid, held.counter) in wanted
    }
    return _Work(
        reports=reports,
        draft=draft,
        secrets=Secrets(
            operator_id=name,
            openings=find_openings(reports.ends.by_account, found),
            handed=kept.read_handed(),
        ),
        owners={ueid: device.enrolment.owner for ueid, device in record.registry.devices.items()},
        expected=tuple(total.expected for total in result.totals),
    )


def _find_operator(treaties: Any, key: SigningKey, folder: Path) -> str:
    """Return whose key it is."""
    for treaty in treaties:
        for operator in treaty.statement.operators:
            if operator.key == key.public_key:
                name: str = operator.operator_id
                return name
    raise Failure(f"{folder}: its key is that of no operator of the treaty")


def _prove(work: _Work, key: SigningKey) -> tuple[bytes, ...]:
    from vetonet.crypto.statement import sign
    from vetonet.party.exporting import prove_totals

    with _refused():
        proofs = prove_totals(
            work.expected, work.secrets, ends=work.reports.ends.by_account, owners=work.owners
        )
    proven = {(proof.licence_id, proof.owner) for proof in proofs}
    for entry in work.expected:
        if work.secrets.operator_id in entry.operator_ids and (entry.licence_id, entry.owner) not in proven:
            others = ", ".join(sorted(entry.parts.keys() - {work.secrets.operator_id}))
            warn(f"{entry.name} is left unproven: {others} handed nothing over (see --hand-over)")
    return tuple(sign(proof, key) for proof in proofs)


def _take_proofs(path: Path) -> Iterator[bytes]:
    """Yield the usage proofs in somebody's bundle; whoever judges ours holds them against its reports."""
    from vetonet.compliance.parts import PartKind, PartReader

    with refuse_no_bundle(path):
        for part in PartReader(iter_bundle_file(path)):
            if part.kind is PartKind.PROOF:
                yield part.content


@contextmanager
def _refused() -> Iterator[None]:
    """Within, what cannot be proven ends with 1: that is an answer."""
    try:
        yield
    except (RefusedError, ProofError) as error:
        raise Failure(str(error), code=Exit.NEGATIVE, reason=error.reason) from error


def _hand_over(work: _Work, path: Path, licence_id: int | None) -> None:
    from vetonet.party.exporting import hand_over, sum_own

    name = work.secrets.operator_id
    alike = (entry for entry in work.expected if entry.licence_id == licence_id and entry.owner is None)
    entry = next((entry for entry in alike if name in entry.parts), None)
    if entry is None:
        where = "without a licence" if licence_id is None else f"under licence {licence_id}"
        raise Failure(f"--hand-over: no chip of {name} reported hidden work {where}")
    opening = sum_own(entry, work.secrets, ends=work.reports.ends.by_account, owners=work.owners)
    write_secret(path, hand_over(entry, opening, name).to_bytes())
    warn(f"{path} opens {entry.name} for whoever reads it: hand it over as you would a key")


def _write(out: Path, draft: Draft, proofs: tuple[bytes, ...], key: SigningKey) -> None:
    from vetonet.compliance.parts import iter_bundle
    from vetonet.party.exporting import iter_signed

    write_chunks(out, iter_bundle(iter_signed(draft.iter_parts(proofs), key)))


def _tell(result: ComplianceResult, out: Path, folder: Path, proofs: int, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "bundle": str(out),
                "bundle_sha256": result.bundle_digest.hex(),
                "exporter": result.exporter,
                "report_count": result.report_count,
                "proof_count": proofs,
                "verdict": result.verdict.value,
                "reasons": sorted({problem.reason for problem in result.problems}),
            }
        )
        return
    reasons = ", ".join(sorted({problem.reason for problem in result.problems}))
    print_line(f"{result.verdict.value}{f': {reasons}' if reasons else ''}")
    count = f"{result.report_count:,} reports, {proofs} proof{'' if proofs == 1 else 's'}"
    print_line(f"bundle {out}: {count}, signed by {result.exporter}")
    root = folder / "trust-root.json"
    print_line(f"anybody judges it: {spell_command()} verify {out} --trust-root {root}")
