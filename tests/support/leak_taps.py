"""Taps on everything that leaves a participant, and a list of everything that must not, for tests alone.

Nothing in ``src`` knows of this: the constructors of secrets are wrapped so that each secret is listed as it
comes into being, and the few places through which bytes go out are wrapped so that they are kept until they
are looked at.
"""

from __future__ import annotations

import functools
import gc
import io
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc.aio._channel
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.canaries import MIN_NUMBER, Canary, Finding, Net
from vetonet.attester.account import Account
from vetonet.attester.state import ChipState
from vetonet.compliance import parts
from vetonet.crypto import cose
from vetonet.crypto.frost.dkg import Round1Secret, Round2Secret
from vetonet.crypto.frost.group import scalar_to_bytes
from vetonet.crypto.frost.keys import KeyShare
from vetonet.crypto.frost.nonces import SigningNonces
from vetonet.crypto.frost.packages import RepairSum, RepairSummand, Round2Package
from vetonet.crypto.frost.resharing import ReshareSecret
from vetonet.crypto.hpke import HpkePrivateKey
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.rng import SeededRng
from vetonet.errors import Problem, VetonetError
from vetonet.policy.ceremony import CeremonyComplaint
from vetonet.policy.disclosure import DisclosureAnswer
from vetonet.policy.specification import FieldName, FieldOpening, Specification
from vetonet.storage import journal
from vetonet.wire import http_exchange
from vetonet.wire.pki import Credential

SOURCE: Final = Path(__file__).parents[2] / "src" / "vetonet"
"""Where the code is that some tests copy: a value that stands there is no secret."""

MAX_KEPT_BYTES: Final = 8 << 20
"""More traffic than this is looked through at once, so that a long test needs no more memory than that."""

MIN_DISTINCT_BYTES: Final = 8
"""A test's secret of fewer, such as thirty-two zeros, is in too much by chance."""

MIN_DRAWN_BYTES: Final = 16
"""What is drawn in smaller pieces is no key."""

MAX_FILE_BYTES: Final = 64 << 20

Spelled: TypeAlias = Iterable[tuple[str, bytes | int | str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A canary that got out of a participant.

    Attributes:
        channel: through what.
        finding: which, and how it was spelled.
    """

    channel: str
    finding: Finding

    def __str__(self) -> str:
        """Return one line, without the value."""
        return f"{self.channel}: {self.finding}"


@dataclass(slots=True, kw_only=True)
class _Listed:
    """A secret that is looked for as long as anybody but this list holds what it was read from.

    Attributes:
        canary: made when there is something to look through; most secrets get nowhere near that.
        is_shown: whether the protocol lets its owner show it, and the owner has.
    """

    name: str
    value: bytes | int | str
    owner: Any
    canary: Canary | None = None
    is_shown: bool = False

    @property
    def is_held(self) -> bool:
        return sys.getrefcount(self.owner) > _OWN_REFERENCES


_OWN_REFERENCES: Final = 2
"""That of a ``_Listed`` and that of the call itself."""


@dataclass(slots=True)
class Taps:
    """What is secret, and what got out and was not looked at yet.

    Attributes:
        net: looks for every secret that is listed.
        known: their values.
        published: the values of secrets that their owners have shown since the last test began.
        spare: how many more times a value was drawn than became a secret. Where that is above zero, some test
            drew from a stream of the same seed what elsewhere is a key, and showed it as something else.
        young, old: secrets that came into being since the last test began, and those that outlived one.
        traffic: what got out, and through which channel.
        total_bytes, total_secrets: what was looked through, and what for, in this process.
        leaks: what was found.
    """

    net: Net = field(default_factory=Net)
    known: set[bytes | int | str] = field(default_factory=set)
    published: set[bytes | int | str] = field(default_factory=set)
    spare: Counter[bytes | int | str] = field(default_factory=Counter)
    young: list[_Listed] = field(default_factory=list)
    old: list[_Listed] = field(default_factory=list)
    traffic: dict[bytes, str] = field(default_factory=dict)
    waiting_bytes: int = 0
    total_bytes: int = 0
    total_secrets: int = 0
    leaks: list[Leak] = field(default_factory=list)

    def list_secret(self, name: str, value: bytes | int | str, owner: Any) -> None:
        """While its owner lives this value must not get out; what is found by chance is passed over."""
        if self.spare[value] > 0:
            self.spare[value] -= 1  # the draw that this secret came from
        if value in self.known or value in self.published or not _is_rare(value) or _stands_in_source(value):
            return
        self.total_secrets += 1
        self.known.add(value)
        self.young.append(_Listed(name=f"{name} no. {self.total_secrets}", value=value, owner=owner))

    def _cast_net(self) -> None:
        """Whatever is listed is looked for."""
        for listed in (*self.young, *self.old):
            if listed.canary is None and not listed.is_shown:
                listed.canary = _build_canary(listed.name, listed.value)
                self.net.add(listed.canary)

    def _take_out(self, listed: _Listed) -> None:
        if listed.canary is not None:
            self.net.remove(listed.canary)
            listed.canary = None

    def publish(self, value: bytes | int | str) -> None:
        """This value is no secret any more: its owner showed it, as the protocol lets it."""
        self.published.add(value)
        for listed in (*self.young, *self.old):
            if listed.value == value:
                listed.is_shown = True
                self._take_out(listed)

    def forget_the_dead(self, *, of_all: bool = False) -> None:
        """Secrets that nobody holds any more are not looked for: another test may draw them openly."""
        candidates = [*self.young, *(self.old if of_all else ())]
        kept = [] if of_all else self.old
        for listed in candidates:
            if listed.is_held:
                kept.append(listed)
            else:
                self.known.remove(listed.value)
                self._take_out(listed)
        self.young, self.old = [], kept
        if of_all:
            self.published.clear()
            self.spare = Counter({value: self.spare[value] for value in self.known})

    def record(self, channel: str, data: bytes) -> None:
        """These bytes got out through this channel."""
        if data and data not in self.traffic:
            self.traffic[data] = channel
            self.waiting_bytes += len(data)
            if self.waiting_bytes > MAX_KEPT_BYTES:
                self.look_through()

    def look_through(self) -> None:
        """All that got out was looked at; ``leaks`` has grown by what should not have."""
        if not self.traffic:
            return
        self._cast_net()
        traffic, self.traffic = self.traffic, {}
        self.total_bytes += self.waiting_bytes
        self.waiting_bytes = 0
        whole = io.BytesIO()
        for data in traffic:
            whole.write(data)
            whole.write(_GAP)
        if not any(True for _ in self.net.search_deep(whole.getvalue())):
            return
        for data, channel in traffic.items():
            self.leaks += [Leak(channel=channel, finding=finding) for finding in self.net.search_deep(data)]

    def take_leaks(self) -> tuple[Leak, ...]:
        """Return what leaked since the last time, each secret once for each channel."""
        self.look_through()
        leaks, self.leaks = self.leaks, []
        if leaks:  # an earlier test's secret may be held by a cycle only
            living = self._name_the_living()
            leaks = [leak for leak in leaks if leak.finding.canary in living]
        return tuple({(leak.channel, leak.finding.canary): leak for leak in leaks}.values())

    def _name_the_living(self) -> set[str]:
        """Return the canaries of this test, and of all secrets that outlive the test that made them.

        A value that was drawn again, and became no secret, is no canary any more.
        """
        gc.collect()
        held = (*self.young, *(each for each in self.old if each.is_held))
        return {listed.name for listed in held if not self.spare[listed.value]}

    def read_files(self, folder: Path) -> None:
        """Everything that lies in this folder got out, but for the files in which secrets are kept."""
        for path in sorted(folder.rglob("*")):
            if is_public_file(path):
                self.record(f"file {path.name}", path.read_bytes())


_GAP: Final = bytes(16)
"""Between two messages, so that no canary is found that begins in one and ends in the next."""

TAPS: Final = Taps()
"""Those of this process."""

PRIVATE_SUFFIXES: Final = (".pem", ".key", ".seed", ".share", ".flash")


def is_public_file(path: Path) -> bool:
    """Return whether a file is one that others may come to see: not where an owner keeps secrets as they are.

    Databases are looked at though only their owner may open them: a journal holds public statements only.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        return False
    is_private = path.stat().st_mode & 0o077 == 0
    return not is_private or _is_database(path)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3" or path.name.endswith(("-wal", "-journal"))


def _build_canary(name: str, value: bytes | int | str) -> Canary:
    match value:
        case bytes():
            return Canary.of_secret(name, value)
        case int():
            return Canary.of_number(name, value)
        case str():
            return Canary.of_text(name, value)


def _is_rare(value: bytes | int | str) -> bool:
    match value:
        case bytes():
            steps = {
                (right - left) % 256 for left, right in pairwise(value)
            }  # 0, 1, 2, ... is in many a test
            return (
                len(value) >= MIN_DISTINCT_BYTES <= len(set(value)) and len(steps) > MIN_DISTINCT_BYTES // 2
            )
        case int():
            spelled = value.to_bytes((value.bit_length() + 7) // 8, "big")  # a round count is also a limit
            return value >= MIN_NUMBER and value % 1_000_000 != 0 and len(set(spelled)) > 4
        case str():
            return len(set(value)) >= MIN_DISTINCT_BYTES


@functools.cache
def _read_source() -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(SOURCE.rglob("*.py")))


def _stands_in_source(value: bytes | int | str) -> bool:
    """Whether our own code says it: Hypothesis draws constants from there, and tests copy the code."""
    return (
        not isinstance(value, int) and (value.encode() if isinstance(value, str) else value) in _read_source()
    )


# ---------------------------------------------------------------- what is secret


def _spell_scalars(name: str, *scalars: Any) -> Spelled:
    return [(name, scalar_to_bytes(scalar)) for scalar in scalars]


def _spell_ecdsa(key: Any) -> Spelled:
    numbers = key.private_key.private_numbers()
    yield "ECDSA key", numbers.private_value.to_bytes((key.private_key.key_size + 7) // 8, "big")


def _spell_tls(credential: Any) -> Spelled:
    key = serialization.load_pem_private_key(credential.key_pem, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        yield "TLS key", key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")


def _spell_specification(specification: Any) -> Spelled:
    yield "secret of a specification", specification.secret
    for entry in specification.fields:
        yield "specification", entry.value
        if entry.name not in set(FieldName):
            yield "name in a specification", entry.name


def _spell_field(opening: Any) -> Spelled:
    return [("salt of a specification", opening.salt), ("specification", opening.value or b"")]


_HALVES: Final = (slice(0, 32), slice(32, 64))

SECRETS: Final[tuple[tuple[type, Callable[[Any], Spelled]], ...]] = (
    (Ed25519SigningKey, lambda key: [("Ed25519 seed", key.seed)]),
    (EcdsaSigningKey, _spell_ecdsa),
    (HpkePrivateKey, lambda key: [("HPKE key", key.seed)]),
    (KeyShare, lambda share: _spell_scalars("key share", share.signing_share)),
    (Round1Secret, lambda secret: _spell_scalars("polynomial", *secret.coefficients)),
    (ReshareSecret, lambda secret: _spell_scalars("polynomial of a resharing", *secret.coefficients)),
    (Round2Secret, lambda secret: _spell_scalars("own share", secret.own_share)),
    (Round2Package, lambda package: _spell_scalars("dealt share", package.share)),
    (RepairSummand, lambda package: _spell_scalars("summand of a repair", package.share)),
    (RepairSum, lambda package: _spell_scalars("sum of a repair", package.share)),
    (SigningNonces, lambda nonces: [("signing nonces", bytes(nonces._unspent[0][half])) for half in _HALVES]),
    (Opening, lambda opening: [("blinding", opening.blinding), ("committed count", opening.value)]),
    (Account, lambda account: [("exact count of FLOP", account.flop)]),
    (ChipState, lambda chip: [("chip secret", chip.secret)]),
    (Specification, _spell_specification),
    (FieldOpening, _spell_field),
)
"""Every class whose instances are secrets, with how to read them."""

SHOWN: Final[tuple[tuple[type, Callable[[Any], Spelled]], ...]] = (
    (CeremonyComplaint, lambda complaint: [("HPKE key", seed) for seed in complaint.hpke_seeds]),
    (DisclosureAnswer, lambda answer: [*_spell_field(answer.opening), ("name", answer.opening.name)]),
)
"""The statements by which an owner shows a secret to everybody (VN-15.5, VN-19.4)."""


# ---------------------------------------------------------------- wrapping


def _wrap_constructor(kind: type, tap: Callable[[Any], None]) -> None:
    """After each construction of this class the tap sees the instance."""
    construct: Any = kind.__init__  # type: ignore[misc]

    @functools.wraps(construct)
    def constructed(self: Any, *arguments: Any, **named: Any) -> None:
        construct(self, *arguments, **named)
        tap(self)

    kind.__init__ = constructed  # type: ignore[misc]


def _wrap_result(owner: Any, name: str, tap: Callable[[Any], None]) -> None:
    """After each call of this function the tap sees what it returned."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def called(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        tap(result)
        return result

    setattr(owner, name, called)


def _list_from(spell: Callable[[Any], Spelled], taps: Taps) -> Callable[[Any], None]:
    def tap(secret: Any) -> None:
        for name, value in spell(secret):
            taps.list_secret(name, value, secret)

    return tap


def _publish_from(spell: Callable[[Any], Spelled], taps: Taps) -> Callable[[Any], None]:
    def tap(statement: Any) -> None:
        for _, value in spell(statement):
            taps.publish(value)

    return tap


def _count_draw(drawn: bytes, taps: Taps) -> None:
    if len(drawn) >= MIN_DRAWN_BYTES:
        taps.spare[drawn] += 1


def _wrap_calls(taps: Taps) -> None:
    """Every gRPC message that a client sends or gets passes its channel's serializers."""
    channel = grpc.aio._channel.Channel
    for kind in ("unary_unary", "unary_stream"):
        _wrap_call(channel, kind, taps)


def _wrap_call(channel: Any, kind: str, taps: Taps) -> None:
    make = getattr(channel, kind)

    @functools.wraps(make)
    def made(
        self: Any,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **named: Any,
    ) -> Any:
        def send(message: Any) -> bytes:
            data: bytes = message if request_serializer is None else request_serializer(message)
            taps.record(f"request {method}", data)
            return data

        def receive(data: bytes) -> Any:
            taps.record(f"response {method}", data)
            return data if response_deserializer is None else response_deserializer(data)

        return make(self, method, send, receive, **named)

    setattr(channel, kind, made)


def _wrap_log_records(taps: Taps) -> None:
    make = logging.getLogRecordFactory()

    @functools.wraps(make)
    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        taps.record(f"log line of {record.name}", f"{record.msg} {record.args}".encode(errors="replace"))
        if record.exc_info and record.exc_info[1] is not None:
            taps.record(f"log line of {record.name}", _spell_chain(record.exc_info[1]))
        return record

    logging.setLogRecordFactory(made)


def _spell_chain(error: BaseException) -> bytes:
    return "\n".join(f"{each} {each.args}" for each in _walk(error)).encode(errors="replace")


def _walk(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _record_error(error: VetonetError, taps: Taps) -> None:
    taps.record(f"error {type(error).__name__}", " ".join(map(str, error.args)).encode(errors="replace"))


def _record_http(exchanged: Any, taps: Taps) -> None:
    if exchanged.body is not None:
        taps.record(f"HTTP {type(exchanged).__name__}", bytes(exchanged.body))


def _record_stderr(completed: Any, taps: Taps) -> None:
    for text in (completed.stderr or b"",):
        taps.record("standard error", text.encode(errors="replace") if isinstance(text, str) else text)


def install(taps: Taps = TAPS) -> None:
    """From now on, and until the process ends, secrets are listed and what goes out is kept."""
    for kind, spell in SECRETS:
        _wrap_constructor(kind, _list_from(spell, taps))
    _wrap_result(SeededRng, "__call__", functools.partial(_count_draw, taps=taps))
    for kind, spell in SHOWN:
        _wrap_constructor(kind, _publish_from(spell, taps))
    _wrap_constructor(Credential, _list_from(_spell_tls, taps))
    _wrap_constructor(journal.Record, lambda record: taps.record(f"record {record.kind}", record.payload))
    _wrap_constructor(Problem, lambda problem: taps.record("problem", str(problem).encode(errors="replace")))
    _wrap_constructor(VetonetError, functools.partial(_record_error, taps=taps))
    for kind in (http_exchange.HttpCall, http_exchange.HttpAnswer):
        _wrap_constructor(kind, functools.partial(_record_http, taps=taps))
    _wrap_constructor(subprocess.CompletedProcess, functools.partial(_record_stderr, taps=taps))
    _wrap_result(parts, "spell_part", lambda data: taps.record("bundle", data))
    for name in ("build_sign1", "build_sign", "sign1_detached"):
        _wrap_result(cose, name, lambda data: taps.record("signed statement", data))
    _wrap_calls(taps)
    _wrap_log_records(taps)
