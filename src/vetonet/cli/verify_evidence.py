"""``vetonet verify-evidence``: does a file prove that somebody signed two things that cannot both be true?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.log_source import choose_policy, policy_option, treaty_option, vkey_option
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.errors import EncodingError, ProtocolError, VerificationError

if TYPE_CHECKING:
    from vetonet.attestation.conflict import Conflict, Conviction
    from vetonet.tlog.fork import Fork
    from vetonet.tlog.policy import LogPolicy


@click.command(
    name="verify-evidence",
    epilog=examples(
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --treaty trial/treaty.cbor",
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --policy log.policy --json",
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --vkey VKEY",
        "vetonet verify-evidence cloned.conflict --treaty trial/treaty.cbor",
    ),
)
@click.argument("evidence", type=click.Path(path_type=Path))
@treaty_option
@policy_option
@vkey_option
@json_option
def verify_evidence(
    evidence: Path,
    *,
    treaty_path: Path | None,
    policy_path: Path | None,
    vkey: str | None,
    as_json: bool,
) -> int:
    """Judge EVIDENCE that a log signed two histories, or a chip or its maker two truths.

    The first is what `vetonet monitor` writes, the second a conflict as the log holds it, which takes the
    treaty's keys. Its bytes and the keys are all that is needed: whoever wrote the file is not trusted. Exits
    with 0 if it convicts somebody, 1 if it does not, 4 if a file cannot be read. Witnesses are convicted with
    the log where the treaty or policy names them.
    """
    conflict = _find_conflict(evidence)
    if conflict is not None:
        _tell_conviction(_convict(evidence, conflict, treaty_path), as_json=as_json)
        return Exit.OK
    _refuse_chip_evidence(evidence)
    policy = choose_policy(vkey=vkey, policy_path=policy_path, treaty_path=treaty_path)
    fork = _judge(evidence, policy, allow_other_lines=treaty_path is None)
    if as_json:
        print_json(_to_plain(fork))
    else:
        _print_fork(fork)
    return Exit.OK


def _find_conflict(path: Path) -> Conflict | None:
    """Return the conflict in a file, or None for evidence of another kind."""
    from vetonet.attestation.conflict import Conflict

    try:
        return Conflict.from_bytes(read_input(path, "evidence", maximum=Conflict.MAX_BYTES))
    except EncodingError:
        return None


def _refuse_chip_evidence(path: Path) -> None:
    """Hold that a file is not what a chip says of itself, which convicts nobody.

    Raises:
        Failure: with 4, it is.
    """
    from vetonet.attestation.evidence_file import Evidence

    try:
        Evidence.from_bytes(read_input(path, "evidence"))
    except EncodingError:
        return
    message = (
        f"{path}: expected evidence of two histories, or a conflict of signed statements, got one chip's"
    )
    raise Failure(
        f"{message} evidence; use vetonet appraise eat", code=Exit.INVALID, reason=EncodingError.reason
    )


def _convict(path: Path, conflict: Conflict, treaty_path: Path | None) -> Conviction:
    """Return who is convicted of what under the keys of a treaty.

    Raises:
        Failure: with 4, a part is no statement; with 1, it proves nothing; no treaty is given.
    """
    from vetonet.attestation.conflict import verify_conflict
    from vetonet.attestation.trust_anchors import index_makers, index_owners
    from vetonet.cli.directory import read_treaty_file

    if treaty_path is None:
        raise Failure("expected --treaty, whose makers' and operators' keys count")
    treaty = read_treaty_file(treaty_path).statement
    try:
        return verify_conflict(
            conflict,
            endorser_keys=index_makers(treaty.endorsers),
            operator_keys=index_owners(treaty.operators),
        )
    except EncodingError as error:
        message = f"{path}: expected a conflict of signed statements: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
    except (ProtocolError, VerificationError) as error:
        message = f"{path}: the evidence does not hold: {error}"
        raise Failure(message, code=Exit.NEGATIVE, reason=error.reason) from error


def _tell_conviction(conviction: Conviction, *, as_json: bool) -> None:
    if not as_json:
        print_line(f"the evidence holds: {conviction.detail}")
        return
    print_json(
        {
            "holds": True,
            "kind": conviction.kind,
            "culprits": [conviction.culprit],
            "endorser_id": conviction.endorser_id,
            "serial": conviction.serial,
            "ueids": [ueid.hex() for ueid in conviction.ueids],
            "detail": conviction.detail,
        }
    )


def _judge(path: Path, policy: LogPolicy, *, allow_other_lines: bool) -> Fork:
    """Return the fork that the evidence proves.

    Raises:
        Failure: with 4, not evidence at all; with 1, it proves nothing.
    """
    from vetonet.tlog.fork import ForkEvidence, verify_fork

    data = read_input(path, "evidence", maximum=ForkEvidence.MAX_BYTES)
    try:
        return verify_fork(ForkEvidence.from_bytes(data), policy, allow_other_lines=allow_other_lines)
    except EncodingError as error:
        message = f"{path}: expected evidence of two histories, or a conflict of signed statements: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
    except VerificationError as error:
        message = f"{path}: the evidence does not hold: {error}"
        raise Failure(message, code=Exit.NEGATIVE, reason=error.reason) from error


def _print_fork(fork: Fork) -> None:
    first, second = fork.first, fork.second
    print_line(f"the evidence holds: {fork.origin} signed two histories")
    print_line(f"  tree size {first.tree_size}: root {first.root_hash.hex()}")
    print_line(f"  tree size {second.tree_size}: root {second.root_hash.hex()}")
    if second.tree_size > first.tree_size:
        print_line(f"  whose first {first.tree_size} leaves have the root {fork.prefix_root.hex()}")
    witnesses = ", ".join(fork.culprits[1:]) or "none"
    print_line(f"witnesses that cosigned both, which no honest one does: {witnesses}")


def _to_plain(fork: Fork) -> dict[str, Any]:
    return {
        "holds": True,
        "origin": fork.origin,
        "culprits": list(fork.culprits),
        "first": {"tree_size": fork.first.tree_size, "root_hash": fork.first.root_hash.hex()},
        "second": {"tree_size": fork.second.tree_size, "root_hash": fork.second.root_hash.hex()},
        "prefix_root": fork.prefix_root.hex(),
    }
