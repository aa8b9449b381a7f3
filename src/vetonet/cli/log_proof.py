"""``vetonet log export|proof``: the proof that a leaf is in a log as one file, and its judge."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input, write_output
from vetonet.cli.log_source import (
    MAX_LEAF_BYTES,
    choose_policy,
    open_log_source,
    policy_option,
    translated_log,
    treaty_option,
    vkey_option,
)
from vetonet.cli.output import examples, json_option, print_json, print_line
from vetonet.errors import EncodingError, RefusedError, VerificationError

if TYPE_CHECKING:
    from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy

FORMATS: Final = ("tlog-proof", "receipt")


@click.command(
    epilog=examples(
        "vetonet log export http://127.0.0.1:7448 --index 5 --policy log.policy --out leaf-5.tlog-proof",
        "vetonet log export log --index 5 --vkey VKEY --format receipt --key log-key.pem --out leaf-5.cose",
    ),
)
@click.argument("log")
@click.option("--index", "leaf_index", required=True, type=click.IntRange(min=0), help="Which leaf, from 0.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file of the proof.")
@click.option("--leaf-out", type=click.Path(path_type=Path), help="A file for the leaf itself.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="C2SP tlog-proof, from what is published; or a COSE receipt (RFC 9942), by the log with its --key.",
)
@click.option("--key", "key_path", type=click.Path(path_type=Path), help="The log's key, for a receipt.")
@vkey_option
@policy_option
@treaty_option
@json_option
def export(
    *,
    log: str,
    leaf_index: int,
    out: Path,
    leaf_out: Path | None,
    form: str,
    key_path: Path | None,
    vkey: str | None,
    policy_path: Path | None,
    treaty_path: Path | None,
    as_json: bool,
) -> None:
    """Write the proof that a leaf is in the log at LOG, a URL or a folder.

    The checkpoint is held to the keys that you give, the leaf to the checkpoint: what is written holds.
    """
    if (form == "receipt") is (key_path is None):
        raise Failure("expected --key with --format receipt, and only there: the log itself signs receipts")
    policy = choose_policy(vkey=vkey, policy_path=policy_path, treaty_path=treaty_path)
    with ExitStack() as stack:
        found = _Export(log, policy, leaf_index, stack)
        data = found.make_proof() if key_path is None else found.make_receipt(key_path)
    write_output(out, data)
    if leaf_out is not None:
        write_output(leaf_out, found.leaf)
    size = found.cosigned.checkpoint.tree_size
    if as_json:
        print_json({"leaf_index": leaf_index, "tree_size": size, "format": form, "proof": str(out)})
    else:
        print_line(f"{out}: leaf {leaf_index} of {size} of {found.cosigned.checkpoint.origin}")


@click.command(
    epilog=examples(
        "vetonet log proof leaf-5.tlog-proof --leaf statement.cose --policy log.policy",
        "vetonet log proof leaf-5.cose --leaf statement.cose --vkey VKEY --json",
    ),
)
@click.argument("proof", type=click.Path(path_type=Path))
@click.option("--leaf", required=True, type=click.Path(path_type=Path), help="The leaf, as it was logged.")
@vkey_option
@policy_option
@treaty_option
@json_option
def proof(
    *,
    proof: Path,
    leaf: Path,
    vkey: str | None,
    policy_path: Path | None,
    treaty_path: Path | None,
    as_json: bool,
) -> None:
    """Judge PROOF, a tlog-proof or a COSE receipt: is the leaf in the log? No network, no server.

    Exits with 0 if it is, 1 if the proof does not show it, 4 if a file cannot be read.
    """
    from vetonet.tlog.proof_file import MAX_PROOF_FILE_BYTES, PROOF_HEADER

    policy = choose_policy(vkey=vkey, policy_path=policy_path, treaty_path=treaty_path)
    data = read_input(proof, "a proof", maximum=MAX_PROOF_FILE_BYTES)
    content = read_input(leaf, "a leaf", maximum=MAX_LEAF_BYTES)
    judge = _judge_proof if data.startswith(PROOF_HEADER.encode()) else _judge_receipt
    try:
        place = judge(data, content, policy)
    except EncodingError as error:
        what = "got neither" if data[:1] not in {b"c", b"\xd2"} else str(error)
        message = f"{proof}: expected a tlog-proof or a COSE receipt: {what}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
    except VerificationError as error:
        message = f"{proof}: the proof does not hold for this leaf and these keys: {error}"
        raise Failure(message, code=Exit.NEGATIVE, reason=error.reason) from error
    if as_json:
        print_json({"holds": True, **place})
    elif "leaf_index" in place:
        where = f"leaf {place['leaf_index']} of {place['tree_size']}"
        print_line(f"the proof holds: {leaf} is {where} of {place['origin']}")
    else:
        print_line(f"the receipt holds: {leaf} is under a root that {place['origin']} signed")


class _Export:
    """One leaf of a log, with the checkpoint that it was measured against."""

    def __init__(self, log: str, policy: LogPolicy, leaf_index: int, stack: ExitStack) -> None:
        """Read and verify it.

        Raises:
            Failure: with 1, no such leaf, or not what was signed; with 4, nothing that can be read.
        """
        from vetonet.tlog.policy import verify_cosigned
        from vetonet.tlog.tile_reader import TileReader

        source = open_log_source(log, stack)
        self._index, self._policy = leaf_index, policy
        with translated_log(log):
            self.cosigned: CosignedCheckpoint = verify_cosigned(
                source.read_checkpoint(), policy, allow_other_lines=True
            )
            reader, size = TileReader(source.fetch), self.cosigned.checkpoint.tree_size
            if leaf_index >= size:
                raise RefusedError(
                    f"expected a leaf below {size}, which is how many there are, got {leaf_index}"
                )
            (self.leaf,) = reader.entries(
                leaf_index, leaf_index + 1, size, root_hash=self.cosigned.checkpoint.root_hash
            )
            self._inclusion = reader.inclusion_proof(leaf_index, size)

    def make_proof(self) -> bytes:
        """Return the C2SP tlog-proof file."""
        from vetonet.tlog.proof_file import ProofFile

        hashes = self._inclusion.hashes
        return ProofFile(leaf_index=self._index, hashes=hashes, checkpoint=self.cosigned.data).to_bytes()

    def make_receipt(self, key_path: Path) -> bytes:
        """Return the COSE receipt, signed with the log's key.

        Raises:
            Failure: the key is another's.
        """
        from vetonet.crypto.merkle import compute_leaf_hash
        from vetonet.party.keys import load_signing_key
        from vetonet.tlog.receipt import build_receipt

        signing_key, checkpoint = load_signing_key(key_path), self.cosigned.checkpoint
        if signing_key.public_key != self._policy.log_key.public_key:
            raise Failure(f"{key_path}: expected the key of {checkpoint.origin}, got another")
        return build_receipt(compute_leaf_hash(self.leaf), self._inclusion, checkpoint, signing_key)


def _judge_proof(data: bytes, leaf: bytes, policy: LogPolicy) -> dict[str, Any]:
    from vetonet.crypto.merkle import compute_leaf_hash
    from vetonet.tlog.proof_file import ProofFile, verify_proof_file

    cosigned = verify_proof_file(data, leaf_hash=compute_leaf_hash(leaf), policy=policy)
    return {
        "origin": cosigned.checkpoint.origin,
        "leaf_index": ProofFile.from_bytes(data).leaf_index,
        "tree_size": cosigned.checkpoint.tree_size,
    }


def _judge_receipt(data: bytes, leaf: bytes, policy: LogPolicy) -> dict[str, Any]:
    """A receipt is the log's own word; a policy that asks for witnesses wants more than it has."""
    from vetonet.crypto.merkle import compute_leaf_hash
    from vetonet.errors import WitnessQuorumError
    from vetonet.tlog.policy import describe_quorum
    from vetonet.tlog.receipt import verify_receipt

    receipt = verify_receipt(data, compute_leaf_hash(leaf), policy.log_key.public_key)
    if policy.quorum is not None:
        raise WitnessQuorumError(f"expected {describe_quorum(policy.quorum)}, got a receipt, which has none")
    # Index and size stand in a receipt, but its signature covers the root alone: they are not repeated.
    return {"origin": policy.log_key.name, "root_hash": receipt.root_hash.hex()}
