"""``vetonet verify``: one file, one trust root, one verdict; no network and no server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import vetonet
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import iter_input, read_text_input, write_output
from vetonet.cli.output import (
    examples,
    format_flop,
    json_option,
    print_json,
    print_line,
    print_table,
    print_wrapped,
)
from vetonet.cli.parameters import TIME
from vetonet.errors import ConfigError, EncodingError, VerificationError
from vetonet.units import Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.compliance.result import ClaimResult, ComplianceResult, LicenceUse
    from vetonet.compliance.trust_root import TrustRoot
    from vetonet.confidential.judging import ProvenTotal
    from vetonet.crypto.keys import SigningKey

MAX_BUNDLE_BYTES: Final = 2**37
"""128 GiB; a bundle is read once from its beginning to its end, and never held as a whole."""
MAX_WORKERS: Final = 8
UEID_DIGITS: Final = 66
"""Those of a chip's name; the names of parties, makers and operators are shorter."""
CHIP_DIGITS: Final = 16
UNSIGNED: Final = (
    "Whoever made this file could have left parts out or put others in, and {who}. "
    "What is INCONCLUSIVE names whom it concerns, not who is at fault."
)
VERDICT_EXITS: Final = {
    "COMPLIANT": Exit.OK,
    "VIOLATION": Exit.NEGATIVE,
    "INCONCLUSIVE": Exit.INCONCLUSIVE,
}


@click.command(
    epilog=examples(
        "vetonet verify trial.bundle --trust-root trial/trust-root.json",
        "vetonet verify trial.bundle --trust-root trust-root.json --at 2027-01-15T08:00:00Z --json",
        "vetonet verify trial.bundle --trust-root trust-root.json --ear result.ear --sign-key verifier.pem",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--trust-root",
    required=True,
    type=click.Path(path_type=Path),
    help="The trust root: the file that names the treaty. Get it from somebody you trust.",
)
@click.option("--at", "at_ms", type=TIME, metavar="TIME", help="Judge as of this time, instead of now.")
@click.option(
    "--ear",
    type=click.Path(path_type=Path),
    help="Also leave the result there, signed: an EAT attestation result, for whoever trusts this verifier.",
)
@click.option(
    "--sign-key",
    type=click.Path(path_type=Path),
    help="The verifier's key for --ear, as `vetonet ear key` makes one.",
)
@json_option
def verify(
    bundle: Path,
    trust_root: Path,
    at_ms: Milliseconds | None,
    *,
    ear: Path | None,
    sign_key: Path | None,
    as_json: bool,
) -> int:
    """Judge BUNDLE offline: was everything licensed, metered and reported?

    Exits with 0 for COMPLIANT, 1 for VIOLATION, 3 for INCONCLUSIVE, 4 if BUNDLE is not a valid bundle.
    """
    root = read_trust_root(trust_root)
    signer = _load_signer(ear, sign_key)
    result = judge_file(bundle, root, at_ms)
    if ear is not None and signer is not None:
        _leave_token(ear, result, signer)
    if as_json:
        print_json(result.to_plain())
    else:
        _print_result(result, root)
    return VERDICT_EXITS[result.verdict]


def _load_signer(ear: Path | None, sign_key: Path | None) -> SigningKey | None:
    """Return the verifier's key, before anything is judged."""
    from vetonet.party.keys import load_signing_key

    if (ear is None) != (sign_key is None):
        raise Failure("expected --ear and --sign-key together: who signs the result, and where it goes")
    return None if sign_key is None else load_signing_key(sign_key)


def _leave_token(path: Path, result: ComplianceResult, signer: SigningKey) -> None:
    from vetonet.compliance.result_token import sign_result

    token = sign_result(result, signer, issued_at_s=int(time.time()), build=f"vetonet {vetonet.__version__}")
    write_output(path, token)


def read_trust_root(path: Path) -> TrustRoot:
    """Return the trust root in a file that a user named.

    Raises:
        Failure: it cannot be read, or is none.
    """
    from vetonet.compliance.trust_root import MAX_BYTES, TrustRoot

    text = read_text_input(path, "a trust root", maximum=MAX_BYTES, code=Exit.USAGE)
    try:
        return TrustRoot.from_text(text)
    except ConfigError as error:
        raise Failure(f"{path}: {error}", code=Exit.USAGE, reason=error.reason) from error


def judge_file(path: Path, root: TrustRoot, at_ms: Milliseconds | None) -> ComplianceResult:
    """Return the verdict on a bundle file, the signatures checked on all processors.

    Args:
        path: the file.
        root: the treaty to judge by.
        at_ms: as of when, or None for now.

    Raises:
        Failure: it cannot be read, or is no bundle of this treaty.
    """
    now = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    with refuse_no_bundle(path):
        return judge_chunks(iter_bundle_file(path), root, now)


def judge_chunks(chunks: Iterable[bytes], root: TrustRoot, now: Milliseconds) -> ComplianceResult:
    """Return the verdict on a bundle that comes in chunks, the signatures checked on all processors.

    Raises:
        EncodingError, VerificationError: it is no bundle of this treaty.
    """
    from vetonet.compliance.verify import verify_bundle

    with ThreadPoolExecutor(max_workers=min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        return verify_bundle(chunks, root, now, mapper=pool.map)


def iter_bundle_file(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a bundle file in chunks."""
    return iter_input(path, "a bundle", maximum=MAX_BUNDLE_BYTES)


@contextmanager
def refuse_no_bundle(path: Path) -> Iterator[None]:
    """Within, what is no bundle of the given treaty ends in one line."""
    try:
        yield
    except (EncodingError, VerificationError) as error:
        message = f"{path}: not a valid bundle under this trust root: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _print_result(result: ComplianceResult, root: TrustRoot) -> None:
    print_line(
        f"{result.verdict.value}   {root.treaty_name}, judged as of {format_time(result.judged_at_ms)}"
    )
    print_line()
    print_table(("claim", "verdict", "reasons"), [_to_row(claim) for claim in result.claims])
    problems = result.problems
    if problems:
        print_line()
        print_table(
            ("reason", "concerns", "detail"),
            [(p.reason, spell_concerned(p.culprit), p.detail) for p in problems],
        )
        print_line()
        who = "nobody signed it" if result.exporter is None else f"{result.exporter} signed it"
        print_wrapped(UNSIGNED.format(who=who))
    print_line()
    for use in result.licences:
        print_wrapped(_say_use(use))
    for total in result.totals:
        print_wrapped(_say_total(total))
    counts = f"{result.report_count:,} reports; log of {result.tree_size:,} leaves"
    print_wrapped(f"{_say_period(result)}; {counts}")
    print_line(f"log root {result.root_hash.hex()}")
    print_line(f"treaty   {result.treaty_digest.hex()}")
    print_line(f"bundle   {result.bundle_digest.hex()}")


def spell_concerned(name: str | None) -> str:
    """Return whom a problem is about: a chip, whose name is 66 digits, by the first 16 of them."""
    if name is None:
        return "-"
    return f"chip {name[:CHIP_DIGITS]}" if len(name) == UEID_DIGITS else name


def _say_use(use: LicenceUse) -> str:
    licence = use.licence
    when = f"{format_time(licence.not_before_ms)} to {format_time(licence.expires_ms)}"
    used = "a hidden part" if use.used_flop is None else format_flop(use.used_flop)
    allowed = f"{used} of {format_flop(licence.total_flop)} FLOP"
    return f"licence {licence.licence_id}: {allowed} on {licence.device_count:,} chips, {when}"


def _say_total(total: ProvenTotal) -> str:
    """Return in one line what is proven of a hidden total."""
    proven = ", ".join(bound.kind.value for bound in total.bounds)
    missing = ", ".join(kind.value for kind in total.missing)
    parts = [f"within its {proven}, {total.operator_id} proves"] if proven else []
    parts += [f"not proven: {missing}"] if missing else []
    return f"hidden total of {total.expected.name}: {'; '.join(parts)}"


def _say_period(result: ComplianceResult) -> str:
    if result.period_ms is None:
        return "no time judged"
    start, end = result.period_ms
    return f"judged: {format_time(start)} to {format_time(end)}"


def _to_row(claim: ClaimResult) -> tuple[str, str, str]:
    reasons = ", ".join(dict.fromkeys(problem.reason for problem in claim.problems)) or "-"
    return claim.claim.value, claim.verdict.value, reasons
