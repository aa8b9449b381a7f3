"""``vetonet treaty founding``: judge how a treaty's group keys came about, or why they did not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.output import examples, json_option, print_json, print_line

if TYPE_CHECKING:
    from vetonet.crypto.statement import Signed
    from vetonet.encoding.record import Record
    from vetonet.policy.founding import FoundingRecord, SpoiltCeremony
    from vetonet.policy.treaty import Terms, Treaty
    from vetonet.voting.ceremony_transcript import CeremonyVerdict

    R = TypeVar("R", bound=Record)


@click.command(
    epilog=examples(
        "vetonet treaty founding p1/treaty.cbor p1/founding.cbor",
        "vetonet treaty founding charter.cbor p1/founding-1-evidence.cbor",
        "vetonet treaty founding treaty.cbor --log http://127.0.0.1:7445",
    )
)
@click.argument("path", metavar="TREATY|CHARTER", type=click.Path(path_type=Path))
@click.argument("record_path", metavar="[RECORD]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--log", metavar="URL|FOLDER", help="Judge by what the treaty's log holds, instead of a RECORD."
)
@json_option
def founding(path: Path, record_path: Path | None, *, log: str | None, as_json: bool) -> int:
    """Judge from what the parties signed how a treaty's group keys came about; no secret is needed.

    With a TREATY and the founding.cbor of any home: whether each group was made by its parties, for this
    treaty's charter, without a dealer. With a CHARTER and what a home kept of a ceremony that gave no group:
    who spoilt it, or was silent. What the file claims counts for nothing, only the signatures in it do.

    With --log nobody needs to hand a file over: the log, at a URL or in a folder, has every statement. With a
    CHARTER it is every ceremony that the log has and that gave no group.
    """
    from vetonet.cli.drafting import is_charter, read_charter

    source = record_path if log is None else log
    if source is None or None not in {record_path, log}:
        raise Failure("expected either a RECORD or --log, to say where it is read what the parties signed")
    if not is_charter(path):
        return _verify(path, source, as_json=as_json)
    terms = read_charter(path)
    if isinstance(source, str):
        return _judge_logged(terms, source, as_json=as_json)
    return _judge_spoilt(terms, source, as_json=as_json)


def _verify(path: Path, source: Path | str, *, as_json: bool) -> int:
    """Judge by a record in a file, or by the log at a URL or in a folder."""
    from vetonet.cli.directory import read_treaty_file
    from vetonet.policy.founding import FoundingRecord
    from vetonet.voting.founding import verify_founding

    treaty = read_treaty_file(path)
    kept = _gather(treaty, source) if isinstance(source, str) else _read(FoundingRecord, source)
    verify_founding(treaty.statement, kept)
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
        print_json(_to_plain(spoilt, verdict))
    else:
        print_line(_say(verdict))
    return Exit.NEGATIVE


def _judge_logged(terms: Terms, log: str, *, as_json: bool) -> int:
    from vetonet.cli.log_source import read_leaves
    from vetonet.tlog.policy import LogPolicy
    from vetonet.voting.founding import judge_spoilt
    from vetonet.voting.founding_log import gather_spoilt

    spoilt = gather_spoilt(terms, read_leaves(log, LogPolicy.under(terms)))
    judged = [(one, verdict) for one in spoilt if (verdict := judge_spoilt(terms, one)) is not None]
    if as_json:
        print_json({"ceremonies": [_to_plain(one, verdict) for one, verdict in judged]})
    elif not judged:
        print_line("nothing was spoilt: every ceremony of this charter that the log holds gave a group")
    for one, verdict in () if as_json else judged:
        print_line(f"attempt {one.attempt}, group {one.group}: {_say(verdict)}")
    return Exit.NEGATIVE if judged else Exit.OK


def _say(verdict: CeremonyVerdict) -> str:
    if verdict.culprits:
        return f"{', '.join(verdict.culprits)}: {verdict.reason}; its own signature proves it"
    return f"{', '.join(verdict.silent)}: {verdict.reason}; that proves no guilt"


def _to_plain(spoilt: SpoiltCeremony, verdict: CeremonyVerdict) -> dict[str, Any]:
    found = {"culprits": list(verdict.culprits), "silent": list(verdict.silent), "reason": verdict.reason}
    return {"group": spoilt.group, "attempt": spoilt.attempt, **found}


def _gather(treaty: Signed[Treaty], log: str) -> FoundingRecord:
    """Return the record of the founding as the treaty's log has it.

    Raises:
        Failure: no log of this treaty.
        RefusedError: it has nothing of it.
    """
    from vetonet.cli.log_source import read_leaves
    from vetonet.tlog.policy import LogPolicy
    from vetonet.voting.founding_log import gather_founding

    leaves = read_leaves(log, LogPolicy.under(treaty.statement))
    if next(leaves, b"") != treaty.data:
        raise Failure(f"{log}: leaf 0 of the log is another treaty", code=Exit.NEGATIVE)
    return gather_founding(treaty.statement, leaves)


def _read(kind: type[R], path: Path) -> R:
    from vetonet.cli.files import read_input
    from vetonet.errors import EncodingError

    data = read_input(path, "a record of a founding", maximum=kind.MAX_BYTES)
    try:
        return kind.from_bytes(data)
    except EncodingError as error:
        message = f"{path}: expected a record of a founding: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
