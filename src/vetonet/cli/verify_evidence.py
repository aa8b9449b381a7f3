"""``vetonet verify-evidence``: does a file prove that a log signed two histories? No network, no server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.log_source import choose_policy, policy_option, treaty_option, vkey_option
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.errors import EncodingError, VerificationError

if TYPE_CHECKING:
    from vetonet.tlog.fork import Fork
    from vetonet.tlog.policy import LogPolicy


@click.command(
    name="verify-evidence",
    epilog=examples(
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --treaty trial/treaty.cbor",
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --policy log.policy --json",
        "vetonet verify-evidence fork-5f0e3a1b2c4d6e8f.evidence --vkey VKEY",
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
    """Judge EVIDENCE that a log signed two histories, as `vetonet monitor` writes it.

    Its bytes and the keys are all that is needed: whoever wrote the file is not trusted. Exits with 0 if it
    convicts the log, 1 if it does not, 4 if a file cannot be read. Witnesses are convicted with it where the
    treaty or policy names them.
    """
    policy = choose_policy(vkey=vkey, policy_path=policy_path, treaty_path=treaty_path)
    fork = _judge(evidence, policy, allow_other_lines=treaty_path is None)
    if as_json:
        print_json(_to_plain(fork))
    else:
        _print_fork(fork)
    return Exit.OK


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
        message = f"{path}: expected evidence of two histories: {error}"
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
