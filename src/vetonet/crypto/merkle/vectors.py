"""Conformance cases for Merkle proofs, read from the two public formats of test vectors.

One document is either a single case of transparency-dev/merkle (``leafIdx``, ``treeSize`` ... or ``size1``,
``size2`` ..., with ``wantErr``) or a list of valid proofs as made with golang.org/x/mod (``Index``, ``Size``
... or ``Size1``, ``Size2`` ...).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from vetonet.crypto.merkle.proofs import verify_consistency, verify_inclusion
from vetonet.errors import ConfigError, ProofError

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ProofError where our verdict differs from the vector's."""


def iter_vector_cases(document: object) -> Iterator[Case]:
    """Return the cases of one document, read whole before the first is handed out.

    Args:
        document: a parsed JSON file.

    Returns:
        Pairs of a name and a call without arguments; the call raises ``ProofError`` where the verdict of
        ``verify_inclusion`` or ``verify_consistency`` is not the one that the vector asks for.

    Raises:
        ConfigError: this is no vector file of either format.
    """
    entries = document if isinstance(document, list) else [document]
    if not entries:
        msg = "not recognised: an empty list of Merkle vectors"
        raise ConfigError(msg)
    return iter([_case(entry) for entry in entries])


def _case(entry: object) -> Case:
    if not isinstance(entry, dict):
        msg = "not recognised: a Merkle vector is a JSON object"
        raise ConfigError(msg)
    fields = {str(key).lower().replace("_", ""): value for key, value in entry.items()}
    accepted = not _flag(fields, "wanterr")
    description = fields.get("desc")
    if "size1" in fields:
        name, verify = _consistency(fields)
    else:
        name, verify = _inclusion(fields)
    return (f"{name}: {description}" if description else name), _judge(name, verify, accepted=accepted)


def _inclusion(fields: Mapping[str, object]) -> Case:
    leaf_index = _integer(fields, "leafidx" if "leafidx" in fields else "index")
    tree_size = _integer(fields, "treesize" if "treesize" in fields else "size")
    leaf_hash, root_hash, proof = _hash(fields, "leafhash"), _hash(fields, "root"), _proof(fields)

    def verify() -> None:
        verify_inclusion(
            leaf_hash=leaf_hash, leaf_index=leaf_index, tree_size=tree_size, proof=proof, root_hash=root_hash
        )

    return f"inclusion {leaf_index} of {tree_size}", verify


def _consistency(fields: Mapping[str, object]) -> Case:
    old_size, new_size = _integer(fields, "size1"), _integer(fields, "size2")
    old_root, new_root, proof = _hash(fields, "root1"), _hash(fields, "root2"), _proof(fields)

    def verify() -> None:
        verify_consistency(
            old_size=old_size, old_root=old_root, new_size=new_size, new_root=new_root, proof=proof
        )

    return f"consistency {old_size} to {new_size}", verify


def _judge(name: str, verify: Callable[[], None], *, accepted: bool) -> Callable[[], None]:
    """Return a call that raises where the proof's fate is not the expected one."""

    def judge() -> None:
        try:
            verify()
        except ProofError as refusal:
            if accepted:
                msg = f"{name}: a valid proof was refused: {refusal}"
                raise ProofError(msg) from refusal
            return
        if not accepted:
            msg = f"{name}: an invalid proof was accepted"
            raise ProofError(msg)

    return judge


def _flag(fields: Mapping[str, object], key: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        msg = f"not recognised: {key} of a Merkle vector is not true or false"
        raise ConfigError(msg)
    return value


def _integer(fields: Mapping[str, object], key: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"not recognised: {key} of a Merkle vector is not an integer"
        raise ConfigError(msg)
    return value


def _hash(fields: Mapping[str, object], key: str) -> bytes:
    return _decode(fields.get(key), name=key)


def _proof(fields: Mapping[str, object]) -> tuple[bytes, ...]:
    value = fields.get("proof", False)
    if value is None:  # how Go spells an empty list
        return ()
    if not isinstance(value, list):
        msg = "not recognised: proof of a Merkle vector is not a list"
        raise ConfigError(msg)
    return tuple(_decode(item, name="proof") for item in value)


def _decode(value: object, *, name: str) -> bytes:
    if not isinstance(value, str):
        msg = f"not recognised: {name} of a Merkle vector is not text"
        raise ConfigError(msg)
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = f"not recognised: {name} of a Merkle vector is not base64"
        raise ConfigError(msg) from error
