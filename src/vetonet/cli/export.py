"""``vetonet export``: the bundle of what an operator keeps, with its proofs and its signature."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import write_chunks, write_secret
from vetonet.cli.log_source import open_log_source, translated_log
from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command, warn
from vetonet.cli.parameters import TIME
from vetonet.cli.verify import iter_bundle_file, judge_chunks, judge_file, refuse_no_bundle
from vetonet.errors import ProofError, RefusedError, UnknownPartyError
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.compliance.proving import Books
    from vetonet.compliance.result import ComplianceResult
    from vetonet.compliance.trust_root import TrustRoot
    from vetonet.crypto.keys import SigningKey
    from vetonet.party.exporting import Draft
    from vetonet.party.monitoring import LogSource
    from vetonet.party.operator_folder import OperatorFolder


OPERATOR_FOLDER: Final = "operator"


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
        draft, books = _prepare(kept, root, key, source, now)
        proofs = _prove(books, key)
        taken = tuple(proof for path in others for proof in _take_proofs(path, root))
        if hand_over_path is not None:
            _hand_over(books, hand_over_path, licence_id)
        _write(out, draft, (*proofs, *taken), key)
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
) -> tuple[Draft, Books]:
    """Read all there is, and what a verifier will want proven of it."""
    from vetonet.compliance.parts import iter_bundle
    from vetonet.party.exporting import KeptReports, read_books, read_draft

    reports = KeptReports(kept)
    with translated_log(str(kept.root)):
        draft, record = read_draft(kept, reports, source, root)
    try:
        operator_id = record.find_operator_by_key(key.public_key).operator_id
    except UnknownPartyError as error:
        raise Failure(f"{kept.root}: its key is that of no operator of the treaty") from error
    with refuse_no_bundle(kept.root):
        result = judge_chunks(iter_bundle(draft.iter_parts()), root, now)
    return draft, read_books(kept, reports, operator_id=operator_id, record=record, result=result)


def _prove(books: Books, key: SigningKey) -> tuple[bytes, ...]:
    from vetonet.compliance.proving import prove_totals
    from vetonet.crypto.statement import sign

    with _refused():
        proofs = prove_totals(books)
    for entry in books.list_unproven(proofs):
        others = ", ".join(sorted(entry.parts.keys() - {books.operator_id}))
        warn(f"{entry.name} is left unproven: {others} handed nothing over (see --hand-over)")
    return tuple(sign(proof, key) for proof in proofs)


def _take_proofs(path: Path, root: TrustRoot) -> Iterator[bytes]:
    """Yield the usage proofs in somebody's bundle; whoever judges ours holds them against its reports."""
    from vetonet.compliance.parts import PartKind, PartReader

    with refuse_no_bundle(path):
        parts = PartReader(iter_bundle_file(path))
        for number, part in enumerate(parts):
            if number == 0:  # what comes first, a reader of parts holds, is the treaty
                _require_treaty(path, part.content, root)
            if part.kind is PartKind.PROOF:
                yield part.content


def _require_treaty(path: Path, leaf: bytes, root: TrustRoot) -> None:
    """Proofs about another treaty are of no use here (VN-18.8): better said now than to every verifier."""
    from vetonet.policy.treaty import open_treaty

    found = open_treaty(leaf).payload_digest
    if found != root.treaty_digest:
        wanted = f"{root.treaty_digest.hex()[:16]} ({root.treaty_name!r})"
        raise Failure(
            f"--proofs-of {path}: expected a bundle of treaty {wanted}, got one of {found.hex()[:16]}"
        )


@contextmanager
def _refused() -> Iterator[None]:
    """Within, what cannot be proven ends with 1: that is an answer."""
    try:
        yield
    except (RefusedError, ProofError) as error:
        raise Failure(str(error), code=Exit.NEGATIVE, reason=error.reason) from error


def _hand_over(books: Books, path: Path, licence_id: int | None) -> None:
    from vetonet.compliance.proving import hand_over, sum_own

    entry = books.find_own_part(licence_id)
    if entry is None:
        where = "without a licence" if licence_id is None else f"under licence {licence_id}"
        raise Failure(f"--hand-over: no chip of {books.operator_id} reported hidden work {where}")
    write_secret(path, hand_over(entry, sum_own(entry, books), books.operator_id).to_bytes())
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
