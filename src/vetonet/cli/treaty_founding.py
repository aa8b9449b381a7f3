"""``vetonet treaty founding``: judge how a treaty's group keys came about, or why they did not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line

if TYPE_CHECKING:
    from vetonet.encoding.record import Record
    from vetonet.policy.treaty import Terms

    R = TypeVar("R", bound=Record)


@click.command(
    epilog=examples(
        "vetonet treaty founding p1/treaty.cbor p1/founding.cbor",
        "vetonet treaty founding charter.cbor p1/founding-1-evidence.cbor",
    )
)
@click.argument("path", metavar="TREATY|CHARTER", type=click.Path(path_type=Path))
@click.argument("record_path", metavar="RECORD", type=click.Path(path_type=Path))
@json_option
def founding(path: Path, record_path: Path, *, as_json: bool) -> int:
    """Judge from what the parties signed how a treaty's group keys came about, offline; no secret is needed.

    With a TREATY and the founding.cbor of any home: whether each group was made by its parties, for this
    treaty's charter, without a dealer. With a CHARTER and what a home kept of a ceremony that gave no group:
    who spoilt it, or was silent. What the file claims counts for nothing, only the signatures in it do.
    """
    from vetonet.cli.drafting import is_charter, read_charter

    if is_charter(path):
        return _judge_spoilt(read_charter(path), record_path, as_json=as_json)
    return _verify(path, record_path, as_json=as_json)


def _verify(path: Path, record_path: Path, *, as_json: bool) -> int:
    from vetonet.cli.directory import read_treaty_file
    from vetonet.policy.founding import FoundingRecord
    from vetonet.voting.founding import verify_founding

    treaty = read_treaty_file(path)
    verify_founding(treaty.statement, _read(FoundingRecord, record_path))
    groups = [
        {"index": group.index, "min_signers": group.leaf.min_grants, "seats": list(group.leaf.seats)}
        for group in treaty.statement.all_groups
    ]
    if as_json:
        print_json({"treaty": treaty.payload_digest.hex(), "groups": groups})
        return Exit.OK
    for group in treaty.statement.all_groups:
        who = ", ".join(group.leaf.electorate)
        print_line(f"group {group.index}: its key follows from what {who} signed")
    return Exit.OK


def _judge_spoilt(terms: Terms, record_path: Path, *, as_json: bool) -> int:
    from vetonet.policy.founding import SpoiltCeremony
    from vetonet.voting.founding import judge_spoilt

    spoilt = _read(SpoiltCeremony, record_path)
    verdict = judge_spoilt(terms, spoilt)
    if verdict is None:
        raise Failure(f"{record_path}: nothing was spoilt: this ceremony gave a group", code=Exit.INVALID)
    if as_json:
        found = {"culprits": list(verdict.culprits), "silent": list(verdict.silent), "reason": verdict.reason}
        print_json({"group": spoilt.group, "attempt": spoilt.attempt, **found})
    elif verdict.culprits:
        print_line(f"{', '.join(verdict.culprits)}: {verdict.reason}; its own signature proves it")
    else:
        print_line(f"{', '.join(verdict.silent)}: {verdict.reason}; that proves no guilt")
    return Exit.NEGATIVE


def _read(kind: type[R], path: Path) -> R:
    from vetonet.cli.files import read_input
    from vetonet.errors import EncodingError

    data = read_input(path, "a record of a founding", maximum=kind.MAX_BYTES)
    try:
        return kind.from_bytes(data)
    except EncodingError as error:
        message = f"{path}: expected a record of a founding: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
