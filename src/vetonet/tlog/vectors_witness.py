"""Conformance cases for a witness: a list of requests as JSON, or a test script of another witness.

A document is one life of one witness: its requests come in order, and each case is judged by what the ones
before it have left. A script (``.txt``) is that of litewitness: commands that name the logs, then files, one
of which lists requests and what they must be answered. Three differences are allowed for. The words of a
refusal are not judged, for the protocol has none. An unknown log, which was answered 403 when the scripts
were written, is answered 404 by now. And litewitness takes base64 in several spellings, here there is one:
what is not spelled so is malformed (400) before it is badly signed (403).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeAlias

from vetonet.crypto.keys import Algorithm, Ed25519SigningKey, PublicKey
from vetonet.errors import ConfigError, EncodingError, ProofError, VetonetError
from vetonet.tlog.add_checkpoint import SIZE_MEDIA_TYPE, AddCheckpoint, parse_cosignatures
from vetonet.tlog.cosignature import WitnessKey, cosign, verify_cosignature
from vetonet.tlog.note import LogKey
from vetonet.tlog.witness import WitnessState, judge_checkpoint
from vetonet.tlog.witness_answer import Answer, answer_granted, answer_refused

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises VetonetError where our answer is not the expected one."""

MAX_CASES: Final = 10_000

_NAME: Final = "witness.example/conformance"
_KEY: Final = Ed25519SigningKey(seed=bytes(range(32)))
_NOW_S: Final = 1_800_000_000
_OK: Final = 200
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_SIGSUM: Final = "sigsum.org/v1/tree/"
_FILE: Final = "-- add-checkpoint.hurl --\n"
_NEXT_FILE: Final = re.compile(r"^-- .* --$", re.MULTILINE)
_REQUEST: Final = re.compile(
    r"POST [^\n]*/add-checkpoint\n```\n(?P<body>.*?)```\nHTTP (?P<status>\d{3})\n"
    r"\[Asserts\]\n(?P<asserts>(?:body [^\n]*(?:\n|\Z))+)",
    re.DOTALL,
)
_SIZE: Final = re.compile(r'body == "(\d+)\\n"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """A request and its answer.

    Attributes:
        body: what is sent.
        status: what must be answered.
        size: the size that a conflict must tell, or None where it is not said.
    """

    name: str
    body: bytes
    status: int
    size: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """A witness that is asked one thing after another; nothing is asked twice."""

    requests: tuple[bytes, ...]
    states: list[WitnessState] = field(repr=False)
    answers: list[Answer] = field(default_factory=list)

    def answer(self, index: int) -> Answer:
        """Return what the witness answers to one of the requests, having had those before it."""
        while len(self.answers) <= index:
            self.answers.append(self._ask(self.requests[len(self.answers)]))
        return self.answers[index]

    def _ask(self, body: bytes) -> Answer:
        try:
            request = AddCheckpoint.from_bytes(body)
            state, _ = judge_checkpoint(self.states[-1], request)
        except VetonetError as error:
            return answer_refused(error)
        self.states.append(state)
        line = cosign(request.signed.checkpoint, name=_NAME, signing_key=_KEY, timestamp_s=_NOW_S)
        return answer_granted(f"{line.to_line()}\n".encode())


def iter_witness_cases(document: object) -> Iterator[Case]:
    """Return the cases of one document, read whole before the first is handed out.

    Args:
        document: a parsed JSON file, or the text of a script.

    Returns:
        Pairs of a name and a call without arguments; the call raises ``VetonetError`` where a request is not
        answered with the expected status, or a grant without a cosignature that verifies.

    Raises:
        ConfigError: this is no such document, or one that needs what a witness alone is not.
        EncodingError: it is one, and malformed.
    """
    if isinstance(document, str):
        logs, expected = _read_script(document)
    elif isinstance(document, Mapping) and {"cases", "logs"} <= document.keys():
        logs, expected = _read_json(document)
    else:
        msg = "not recognised: no requests to a witness"
        raise ConfigError(msg)
    if not 0 < len(expected) <= MAX_CASES:
        msg = f"expected 1 to {MAX_CASES} requests, got {len(expected)}"
        raise EncodingError(msg)
    life = _Life(requests=tuple(each.body for each in expected), states=[WitnessState(logs=logs)])
    return iter([(each.name, _judge(life, index, each)) for index, each in enumerate(expected)])


def _judge(life: _Life, index: int, expected: _Expected) -> Callable[[], None]:
    """Return a call that raises where an answer is not the expected one."""

    def judge() -> None:
        answer = life.answer(index)
        if answer.status != expected.status:
            said = answer.body.decode(errors="replace").strip()
            msg = f"expected status {expected.status}, got {answer.status}: {said}"
            raise ProofError(msg)
        if answer.status == _OK:
            _verify_grant(expected.body, answer)
        if expected.size is not None:
            _verify_size(expected.size, answer)

    return judge


def _verify_grant(body: bytes, answer: Answer) -> None:
    witness = WitnessKey.of_ed25519(_NAME, _KEY.public_key)
    for line in parse_cosignatures(answer.body):
        verify_cosignature(AddCheckpoint.from_bytes(body).signed.checkpoint, line, witness)


def _verify_size(size: str, answer: Answer) -> None:
    if (answer.body, answer.media_type) != (f"{size}\n".encode(), SIZE_MEDIA_TYPE):
        msg = f"expected the known size {size}, got {answer.body[:64]!r} as {answer.media_type}"
        raise ProofError(msg)


def _read_json(document: Mapping[Any, Any]) -> tuple[dict[str, tuple[LogKey, ...]], list[_Expected]]:
    try:
        logs: dict[str, tuple[LogKey, ...]] = {
            str(log["origin"]): (LogKey.from_vkey(log["vkey"]),) for log in document["logs"]
        }
        return logs, [_read_case(case) for case in document["cases"]]
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"a case or a log lacks a field, or has another type there: {error}"
        raise EncodingError(msg) from error


def _read_case(case: Mapping[str, Any]) -> _Expected:
    status, body = case["status"], case["Body"]
    if not isinstance(status, int) or case["must_return_cosignature"] is not (status == _OK):
        msg = f"case {case['ID']}: expected a status, and a cosignature where it is {_OK}"
        raise EncodingError(msg)
    return _Expected(name=f"{case['ID']}: {case['Desc']}", body=body.encode(), status=status)


def _read_script(text: str) -> tuple[dict[str, tuple[LogKey, ...]], list[_Expected]]:
    commands, separator, rest = text.partition(_FILE)
    if not separator or "witnessctl" not in commands:
        msg = "not recognised: no script that asks a witness"
        raise ConfigError(msg)
    if "exec litebastion" in commands:
        msg = "not recognised: the script asks through a bastion, which is not part of a witness"
        raise ConfigError(msg)
    requests = _NEXT_FILE.split(rest)[0]
    found = list(_REQUEST.finditer(requests))
    if len(found) != requests.count("POST "):
        msg = f"expected {requests.count('POST ')} requests with an answer each, could read {len(found)}"
        raise EncodingError(msg)
    return _read_logs(commands), [_read_request(number, each) for number, each in enumerate(found, 1)]


def _read_request(number: int, found: re.Match[str]) -> _Expected:
    status, size = int(found["status"]), _SIZE.search(found["asserts"])
    body = found["body"].encode()
    if status == _FORBIDDEN:
        status = _NOT_FOUND if "unknown log" in found["asserts"] else _refine_forbidden(body)
    return _Expected(name=f"request {number}", body=body, status=status, size=size[1] if size else None)


def _refine_forbidden(body: bytes) -> int:
    """Return the status for a bad signature, or for one that is not even spelled in the accepted way."""
    try:
        AddCheckpoint.from_bytes(body)
    except EncodingError:
        return _BAD_REQUEST
    return _FORBIDDEN


def _read_logs(commands: str) -> dict[str, tuple[LogKey, ...]]:
    """Return the keys that the commands of a script give to its witness, by origin."""
    logs: dict[str, tuple[LogKey, ...]] = {}
    for line in commands.splitlines():
        if line.startswith("exec witnessctl add-"):
            _, _, command, *words = shlex.split(line)
            for origin, key in _read_command(command, _read_options(words)):
                logs[origin] = (*logs.get(origin, ()), key)
    if not logs:
        msg = "expected a script that gives its witness the key of a log"
        raise EncodingError(msg)
    return logs


def _read_command(command: str, options: Mapping[str, str]) -> list[tuple[str, LogKey]]:
    try:
        match command:
            case "add-log":
                return []
            case "add-key":
                return [(options["origin"], LogKey.from_vkey(options["key"]))]
            case "add-sigsum-log":
                return [_read_sigsum_key(options["key"])]
    except (KeyError, ValueError) as error:
        msg = f"expected a log's origin and key after {command}"
        raise EncodingError(msg) from error
    msg = f"expected a command that adds a log or its key, got {command}"
    raise EncodingError(msg)


def _read_options(words: list[str]) -> dict[str, str]:
    """Return what follows the names of options, after an equals sign or as the next word."""
    options: dict[str, str] = {}
    waiting = iter(words)
    for word in waiting:
        name, separator, value = word.lstrip("-").partition("=")
        options[name] = value if separator else next(waiting, "")
    return options


def _read_sigsum_key(text: str) -> tuple[str, LogKey]:
    """Return a Sigsum log: origin and name of the key follow from the key itself."""
    point = bytes.fromhex(text)
    origin = _SIGSUM + sha256(point).hexdigest()
    return origin, LogKey(name=origin, public_key=PublicKey(algorithm=Algorithm.EDDSA, point=point))
