"""Conformance cases for C2SP tlog-proof files: a file, the entry it is for, and a policy.

A document is a list of objects with ``proof`` and ``entry_b64`` beside the members of a policy
(``vetonet.tlog.vectors_checkpoint``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vetonet.crypto.merkle import compute_leaf_hash
from vetonet.tlog.note import decode_base64
from vetonet.tlog.proof_file import verify_proof_file
from vetonet.tlog.vectors_checkpoint import Case, build_case, read_policy, read_text, select_entries


def iter_tlog_proof_cases(document: object) -> Iterator[Case]:
    """Return one case for each proof file of a document.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    return iter([_build_case(entry) for entry in select_entries(document, {"proof", "entry_b64"})])


def _build_case(fields: Mapping[str, object]) -> Case:
    data = read_text(fields, "proof").encode()
    leaf_hash = compute_leaf_hash(decode_base64(read_text(fields, "entry_b64")))
    return build_case(
        fields, partial(verify_proof_file, data, leaf_hash=leaf_hash, policy=read_policy(fields))
    )
