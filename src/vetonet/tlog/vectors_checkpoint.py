"""Conformance cases for cosigned checkpoints: a note, the keys of log and witnesses, and a quorum of them.

A document is a list of objects with ``note``, ``log_vkey``, ``witness_vkeys``, ``quorum`` and ``accept``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias

from vetonet.errors import ConfigError, EncodingError, VerificationError, VetonetError
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.note import LogKey, verify_utf8
from vetonet.tlog.policy import LogPolicy, WitnessGroup, verify_cosigned

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VerificationError`` where our verdict is not the vector's."""

_POLICY_KEYS: Final = frozenset({"log_vkey", "witness_vkeys", "quorum", "accept"})


def iter_checkpoint_cases(document: object) -> Iterator[Case]:
    """Return one case for each checkpoint of a document.

    Args:
        document: a parsed JSON file.

    Raises:
        ConfigError: a file of another kind.
        EncodingError: such a file, but malformed.
    """
    return iter([_build_case(entry) for entry in select_entries(document, {"note"})])


def _build_case(fields: Mapping[str, object]) -> Case:
    note, policy = read_text(fields, "note").encode(), read_policy(fields)
    attempt = partial(verify_cosigned, note, policy, allow_other_lines=True)
    return build_case(fields, attempt)


def select_entries(document: object, wanted: set[str]) -> list[Mapping[str, object]]:
    """Return the entries of a document that have these members beside those of a policy.

    Raises:
        ConfigError: the document is no list of such entries.
    """
    entries = document if isinstance(document, list) else []
    needed = _POLICY_KEYS | wanted
    if not entries or not all(isinstance(entry, Mapping) and needed <= set(entry) for entry in entries):
        msg = f"not recognised: not a list of objects with {', '.join(sorted(needed))}"
        raise ConfigError(msg)
    return entries


def build_case(fields: Mapping[str, object], attempt: Callable[[], object]) -> Case:
    """Return the case in which an attempt has to succeed or to be refused, as its ``accept`` says.

    Raises:
        EncodingError: ``accept`` is neither true nor false.
    """
    accept = fields["accept"]
    if not isinstance(accept, bool):
        msg = "accept of a vector is not true or false"
        raise EncodingError(msg)
    return str(fields.get("desc", "case")), partial(_judge, attempt, accept=accept)


def _judge(attempt: Callable[[], object], *, accept: bool) -> None:
    try:
        attempt()
    except VetonetError as refusal:
        if accept:
            msg = f"what holds was refused: {refusal}"
            raise VerificationError(msg) from refusal
        return
    if not accept:
        msg = "what does not hold was accepted"
        raise VerificationError(msg)


def read_policy(fields: Mapping[str, object]) -> LogPolicy:
    """Return the policy of an entry: its log, and ``quorum`` of its witnesses.

    Raises:
        EncodingError: a malformed key, or a quorum of more witnesses than there are.
    """
    listed, threshold = fields["witness_vkeys"], fields["quorum"]
    vkeys = [] if listed is None else listed  # null is how Go spells an empty list
    if not isinstance(vkeys, list) or not all(isinstance(vkey, str) for vkey in vkeys):
        msg = "witness_vkeys of a vector is not a list of texts"
        raise EncodingError(msg)
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        msg = "quorum of a vector is not an integer"
        raise EncodingError(msg)
    witnesses = tuple(WitnessKey.from_vkey(vkey) for vkey in vkeys)
    quorum = WitnessGroup(threshold=threshold, members=witnesses) if threshold else None
    log_key = LogKey.from_vkey(read_text(fields, "log_vkey"))
    return LogPolicy(log_keys=(log_key,), quorum=quorum, witnesses=witnesses)


def read_text(fields: Mapping[str, object], name: str) -> str:
    """Return a member that is text.

    Raises:
        EncodingError: it is not, or cannot be written as UTF-8.
    """
    value = fields.get(name)
    if not isinstance(value, str):
        msg = f"{name} of a vector is not text"
        raise EncodingError(msg)
    verify_utf8(value)  # JSON can spell half of a surrogate pair
    return value
