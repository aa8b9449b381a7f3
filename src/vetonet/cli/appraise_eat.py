"""``vetonet appraise eat``: what one chip's evidence is worth, from files alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from vetonet.cli.appraise_output import STATUS_EXITS, print_judgements
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.cli.parameters import TIME
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.attestation.ear import AttestationResult, Judgement
    from vetonet.attestation.psa import PsaEndorsements

T = TypeVar("T")

MAX_NONCE_BYTES: Final = 64
MAX_ENDORSEMENT_BYTES: Final = 2**20
BINARY: Final = "binary"
_TEXT: Final = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
_LOOKED_AT: Final = 256
STATEMENTS: Final = {"reference-values": "reference values", "revocation-list": "a revocation list"}
"""What people call the signed files that are easily taken for evidence."""


@click.command(
    name="eat",
    epilog=examples(
        "vetonet appraise eat demo/evidence.cbor --roots demo/roots.pem --reference demo/reference.cose "
        '--nonce "$(cat demo/nonce.txt)"',
        "vetonet appraise eat psa.cose --roots keys.json --reference values.json --nonce 414a7c... --json",
    ),
)
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option(
    "--roots",
    required=True,
    type=click.Path(path_type=Path),
    help="Certificates of the makers' roots, PEM or DER. Get them from somebody you trust.",
)
@click.option(
    "--reference",
    "references",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Signed reference values of firmware by a maker; repeat it for each that counts.",
)
@click.option(
    "--revocation",
    "revocations",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A maker's signed revocation list; repeatable. With one, a chip of a maker without is refused.",
)
@click.option("--nonce", required=True, metavar="HEX", help="The challenge that the evidence must answer.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Accept only roots of this kind; repeatable."
)
@click.option("--now", "now_ms", type=TIME, metavar="TIME", help="Judge as of this time, instead of now.")
@json_option
def eat(
    evidence: Path,
    *,
    roots: Path,
    references: tuple[Path, ...],
    revocations: tuple[Path, ...],
    nonce: str,
    kinds: tuple[str, ...],
    now_ms: Milliseconds | None,
    as_json: bool,
) -> int:
    """Appraise EVIDENCE, one chip's report with its endorsements, or a PSA token.

    Whoever made the file is not trusted: makers, reference values and challenge are yours. For a PSA token
    the roots and the reference values are CoMID templates in JSON, and there is no --revocation, --kind or
    --now. Exits with 0 for affirming, 1 for contraindicated, 3 for warning or none, 4 if a file cannot be
    read.
    """
    challenge = _parse_nonce(nonce)
    _verify_kinds(kinds)
    data = read_input(evidence, "evidence", maximum=MAX_ENDORSEMENT_BYTES)
    given = read_input(roots, "roots", maximum=MAX_ENDORSEMENT_BYTES)
    values = _read_all(references, "reference values")
    lists = _read_all(revocations, "a revocation list")
    from vetonet.attestation.psa import is_psa_token

    _refuse_statement(evidence, data)
    if is_psa_token(data):
        _refuse_unused({"--revocation": revocations, "--kind": kinds, "--now": now_ms})
        result = _appraise_psa((evidence, data), (roots, given), values, challenge)
    else:
        result = _appraise_evidence(
            (evidence, data),
            (roots, given),
            values,
            lists,
            challenge=challenge,
            kinds=frozenset(kinds),
            now=time.time_ns() // 1_000_000 if now_ms is None else now_ms,
        )
    if as_json:
        print_json(result.to_plain())
    else:
        print_line(result.status.value)
        print_line()
        print_judgements(result)
    return STATUS_EXITS[result.status]


def _appraise_evidence(
    evidence: tuple[Path, bytes],
    roots: tuple[Path, bytes],
    references: Sequence[tuple[Path, bytes]],
    revocations: Sequence[tuple[Path, bytes]],
    *,
    challenge: bytes,
    kinds: frozenset[str],
    now: Milliseconds,
) -> AttestationResult:
    from vetonet.attestation.appraise_evidence import Expectations, appraise_evidence
    from vetonet.attestation.evidence_file import Evidence
    from vetonet.attestation.maker_root import read_maker_roots
    from vetonet.attestation.reference_values import open_reference_values
    from vetonet.attestation.revocation import open_revocation_list

    makers = _read(roots, "root certificates", read_maker_roots, forms=("PEM", BINARY))
    keys = {maker.key.key_id: maker.key for maker in makers}
    values, strange = _open_known(
        references, "reference values", partial(open_reference_values, root_keys=keys)
    )
    lists, strange_lists = _open_known(
        revocations, "a revocation list", partial(open_revocation_list, root_keys=keys)
    )
    expected = Expectations(
        challenge=challenge,
        now=now,
        kinds=kinds or None,
        references=values,
        revocations=lists if revocations else None,
    )
    result = _read(
        evidence,
        "evidence of one chip",
        lambda data: appraise_evidence(Evidence.from_bytes(data), makers, expected),
    )
    told = (
        *_tell_strange(strange, "reference-missing"),
        *_tell_strange(strange_lists, "revocation-missing"),
    )
    return replace(result, judgements=(*result.judgements, *told))


def _open_known(
    given: Sequence[tuple[Path, bytes]], what: str, open_file: Callable[[bytes], T]
) -> tuple[tuple[T, ...], tuple[Path, ...]]:
    """Return what a given root signed, and the files that none of them did, which do not count.

    Raises:
        Failure: with 4, a file is not what it should be, whoever signed it.
    """

    def open_one(data: bytes) -> T | None:
        try:
            return open_file(data)
        except (UnknownPartyError, InvalidSignatureError):
            return None

    opened = [(path, _read((path, data), what, open_one)) for path, data in given]
    known = tuple(value for _, value in opened if value is not None)
    return known, tuple(path for path, value in opened if value is None)


def _tell_strange(paths: Sequence[Path], reason: str) -> list[Judgement]:
    from vetonet.attestation.appraisal_reasons import build_judgement

    return [build_judgement(reason, f"{path} is signed by none of the given roots") for path in paths]


def _read_all(paths: Sequence[Path], what: str) -> list[tuple[Path, bytes]]:
    return [(path, read_input(path, what, maximum=MAX_ENDORSEMENT_BYTES)) for path in paths]


def _refuse_statement(path: Path, data: bytes) -> None:
    """Hold that the evidence is no signed statement of vetonet, which looks like a PSA token from outside.

    Raises:
        Failure: with 4, it is one.
    """
    from vetonet.crypto.statement import peek

    try:
        kind = peek(data, max_bytes=MAX_ENDORSEMENT_BYTES).kind
    except EncodingError:
        return
    what = STATEMENTS.get(kind, f"a signed {kind!r}")
    message = f"{path}: expected evidence of one chip: it holds {what}, not evidence"
    raise Failure(message, code=Exit.INVALID, reason=EncodingError.reason)


def _refuse_unused(options: Mapping[str, object]) -> None:
    """Hold that no option is given that asks what nobody can answer of a PSA token.

    Raises:
        Failure: with 2, one is.
    """
    given = [name for name, value in options.items() if value not in {None, ()}]
    if given:
        raise Failure(f"expected no {' or '.join(given)} with a PSA token: nobody certifies or revokes it")


def _appraise_psa(
    token: tuple[Path, bytes],
    roots: tuple[Path, bytes],
    references: Sequence[tuple[Path, bytes]],
    nonce: bytes,
) -> AttestationResult:
    from vetonet.attestation.psa import PsaEndorsements, appraise_psa

    endorsements = PsaEndorsements()
    for given in (roots, *references):
        endorsements = _read(
            given, "a CoMID template in JSON", partial(_read_template, endorsements), forms=("JSON",)
        )
    return _read(token, "a PSA token", lambda data: appraise_psa(data, endorsements, nonce))


def _read_template(known: PsaEndorsements, data: bytes) -> PsaEndorsements:
    """Return what was endorsed before and what one file endorses, so that the file that is wrong is named."""
    from vetonet.attestation.psa_endorsements import read_psa_endorsements
    from vetonet.encoding.json_strict import read_json

    return read_psa_endorsements(read_json(data, MAX_ENDORSEMENT_BYTES), known=known)


def _read(
    given: tuple[Path, bytes], what: str, parse: Callable[[bytes], T], *, forms: Sequence[str] = (BINARY,)
) -> T:
    """Return what a file holds.

    Args:
        given: the file, and its content.
        what: what it should be, for the message.
        parse: how it is read.
        forms: in which form it may be, of those that ``_find_form`` knows.

    Raises:
        Failure: with 4, it is not what it should be.
    """
    path, data = given
    try:
        return parse(data)
    except VetonetError as error:
        form = _find_form(data)
        why = f": {error}" if form in forms else f", but the file is {form}"
        raise Failure(f"{path}: expected {what}{why}", code=Exit.INVALID, reason=error.reason) from error


def _find_form(data: bytes) -> str:
    """Return what people would say that a file is: a parser of another form says nothing that helps them."""
    start = data.lstrip()
    if not start:
        return "empty"
    if start.startswith(b"-----BEGIN"):
        return "PEM"
    if not all(byte in _TEXT for byte in data[:_LOOKED_AT]):
        return BINARY
    return "JSON" if start[:1] in {b"{", b"["} else "text"


def _verify_kinds(kinds: Sequence[str]) -> None:
    """Hold that every kind is one whose evidence can be judged.

    Raises:
        Failure: with 2, one is not.
    """
    from vetonet.attestation.platform import ATTESTER_KINDS

    for kind in kinds:
        if kind not in ATTESTER_KINDS:
            known = ", ".join(ATTESTER_KINDS)
            raise Failure(f"--kind: expected a kind of attester among {known}, got {kind!r}")


def _parse_nonce(text: str) -> bytes:
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        nonce = b""
    if not 1 <= len(nonce) <= MAX_NONCE_BYTES:
        raise Failure(
            f"expected --nonce as 1 to {MAX_NONCE_BYTES} bytes in hexadecimal; see what was asked with"
        )
    return nonce
