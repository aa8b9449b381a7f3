"""``vetonet ear``: a verifier's key, and the results that one signed (EAT attestation results)."""

from __future__ import annotations

import base64
import secrets
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input, read_text_input, write_output
from vetonet.cli.output import examples, json_option, print_json, print_line, print_table
from vetonet.cli.verify import VERDICT_EXITS
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError
from vetonet.units import MS_PER_S, format_time

if TYPE_CHECKING:
    from vetonet.compliance.result_token import ResultToken
    from vetonet.crypto.keys import PublicKey

PUBLIC_SUFFIX: Final = ".pub"
MAX_KEY_CHARS: Final = 4096

_HEAD: Final = "-----BEGIN PUBLIC KEY-----"
_FOOT: Final = "-----END PUBLIC KEY-----"
_PEM_COLUMNS: Final = 64


@click.group(
    epilog=examples(
        "vetonet ear key --out verifier.pem",
        "vetonet verify run.bundle --trust-root trust-root.json --ear result.ear --sign-key verifier.pem",
        "vetonet ear show result.ear --key verifier.pem.pub",
    )
)
def ear() -> None:
    """Make a verifier's key, or read a result that a verifier signed."""


@ear.command(epilog=examples("vetonet ear key --out verifier.pem"))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file for the key.")
@json_option
def key(*, out: Path, as_json: bool) -> None:
    """Make a verifier's key, and beside it the public key by which others know its results."""
    from vetonet.crypto.keys import generate_ed25519
    from vetonet.party.keys import save_signing_key

    if out.exists():
        raise Failure(f"{out}: expected a new file for the key, got one that is there; give another")
    signing_key = generate_ed25519(secrets.token_bytes)
    save_signing_key(out, signing_key)
    public = out.with_name(out.name + PUBLIC_SUFFIX)
    write_output(public, _spell_key(signing_key.public_key).encode())
    key_id = signing_key.public_key.key_id.hex()
    if as_json:
        print_json({"key": str(out), "public_key": str(public), "key_id": key_id})
    else:
        print_line(f"public key {public}, key id {key_id}")


@ear.command(epilog=examples("vetonet ear show result.ear --key verifier.pem.pub --json"))
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The verifier's public key. Get it from somebody you trust.",
)
@json_option
def show(result: Path, *, key_path: Path, as_json: bool) -> int:
    """Read RESULT, which a verifier signed, and say what it found.

    It is that verifier's word and no proof: with the bundle at hand, judge it yourself. Exits as
    `vetonet verify` does: 0 for COMPLIANT, 1 for VIOLATION, 3 for INCONCLUSIVE, 4 if the file is not signed
    by this key.
    """
    token = _open(result, _read_key(key_path))
    if as_json:
        print_json(_to_plain(token))
    else:
        _print(token)
    return VERDICT_EXITS[token.verdict]


def _open(path: Path, key: PublicKey) -> ResultToken:
    from vetonet.compliance.result_token import MAX_TOKEN_BYTES, open_result

    data = read_input(path, "a signed result", maximum=MAX_TOKEN_BYTES)
    try:
        return open_result(data, key)
    except (EncodingError, UnknownPartyError, InvalidSignatureError) as error:
        message = f"{path}: no result that this verifier signed: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error


def _read_key(path: Path) -> PublicKey:
    """Return the public key in a PEM file (RFC 7468)."""
    from vetonet.crypto.keys import PublicKey

    lines = read_text_input(path, "a public key", maximum=MAX_KEY_CHARS, code=Exit.USAGE).split()
    text = " ".join(lines)
    try:
        if not text.startswith(_HEAD) or not text.endswith(_FOOT):
            raise ValueError  # noqa: TRY301  (one message for all ways in which it is no key)
        body = text.removeprefix(_HEAD).removesuffix(_FOOT)
        return PublicKey.from_bytes(base64.b64decode("".join(body.split()), validate=True))
    except (ValueError, EncodingError) as error:
        raise Failure(
            f"{path}: expected a verifier's public key in PEM, as `vetonet ear key` leaves it"
        ) from error


def _spell_key(key: PublicKey) -> str:
    body = textwrap.wrap(base64.b64encode(key.to_bytes()).decode(), _PEM_COLUMNS)
    return "\n".join([_HEAD, *body, _FOOT, ""])


def _to_plain(token: ResultToken) -> dict[str, Any]:
    return {
        "verdict": token.verdict.value,
        "verifier_key_id": token.signer.key_id.hex(),
        "issued_at_s": token.issued_at_s,
        "build": token.build,
        "result": dict(token.result),
    }


def _print(token: ResultToken) -> None:
    from vetonet.compliance.result import Claim

    print_line(f"{token.verdict.value}   as verifier {token.signer.key_id.hex()[:16]} says")
    print_line()
    rows = [
        (claim.value, token.verdicts[claim].value, ", ".join(token.reasons[claim]) or "-") for claim in Claim
    ]
    print_table(("claim", "verdict", "reasons"), rows)
    print_line()
    result = token.result
    print_line(f"signed   {format_time(token.issued_at_s * MS_PER_S)} by {token.build}")
    print_line(f"as of    {format_time(result['judged_at_ms'])}")
    print_line(f"bundle   {result['bundle_sha256']}")
    print_line(f"treaty   {result['treaty_sha256']}")
    print_line(f"log root {result['log_root']}, {result['tree_size']} leaves")
