"""Trust policies as text files (C2SP tlog-policy): read and written, names kept as the bytes they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from vetonet.errors import ConfigError, EncodingError
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.note import LogKey
from vetonet.tlog.policy import GroupMember, LogPolicy, WitnessGroup

MAX_POLICY_BYTES: Final = 512 * 1024
MAX_ENTRIES: Final = 128
"""Most logs, most witnesses and most groups of a policy; C2SP asks for 32 of each at least."""

NONE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What a policy file says.

    Attributes:
        policy: which checkpoints count.
        urls: where logs and witnesses are, by the name of their key, for those that the file gives one.
    """

    policy: LogPolicy
    urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class _Reading:
    """The lines read so far; only its result leaves this module."""

    __slots__ = ("grouped", "keys", "logs", "members", "quorum", "urls", "witnesses")

    def __init__(self) -> None:
        self.logs: list[LogKey] = []
        self.witnesses: list[WitnessKey] = []
        self.members: dict[str, GroupMember] = {}
        self.keys: set[bytes] = set()
        self.grouped: set[str] = set()
        self.quorum: list[GroupMember | None] = []
        self.urls: dict[str, str] = {}

    def read_log(self, words: list[str]) -> None:
        """``log <vkey> [<url>]``."""
        _require_words(words, 1, 2)
        key = LogKey.from_vkey(words[0])
        self._claim(key.public_key.point)
        _require_room(self.logs)
        self.logs.append(key)
        self._locate(key.name, words[1:])

    def read_witness(self, words: list[str]) -> None:
        """``witness <name> <vkey> [<url>]``."""
        _require_words(words, 2, 3)
        key = WitnessKey.from_vkey(words[1])
        self._claim(key.material)
        _require_room(self.witnesses)
        self._define(words[0], key)
        self.witnesses.append(key)
        self._locate(key.name, words[2:])

    def read_group(self, words: list[str]) -> None:
        """``group <name> all|any|<k> <name>...``."""
        _require_words(words, 3, 2 + MAX_ENTRIES)
        name, rule, *names = words
        members = tuple(self._take(member) for member in names)
        _require_room([known for known in self.members.values() if isinstance(known, WitnessGroup)])
        self._define(name, WitnessGroup(threshold=_parse_threshold(rule, len(members)), members=members))

    def read_quorum(self, words: list[str]) -> None:
        """``quorum <name>``, or ``quorum none``."""
        _require_words(words, 1, 1)
        if self.quorum:
            raise ConfigError("the quorum is stated twice")
        self.quorum.append(None if words[0] == NONE else self._find(words[0]))

    def _claim(self, material: bytes) -> None:
        """Note a key, whatever its name: a key that stood twice would count twice."""
        if material in self.keys:
            raise ConfigError("this key stands on a line before, if under another name")
        self.keys.add(material)

    def _locate(self, name: str, url: list[str]) -> None:
        if url:
            self.urls[name] = url[0]

    def _define(self, name: str, member: GroupMember) -> None:
        if name == NONE or name in self.members:
            raise ConfigError(f"the name {_show(name)} is taken")
        self.members[name] = member

    def _find(self, name: str) -> GroupMember:
        if name not in self.members:
            raise ConfigError(f"no witness or group {_show(name)} on a line before")
        return self.members[name]

    def _take(self, name: str) -> GroupMember:
        """Return a member for a group; each name belongs to one group, so that nobody counts twice."""
        member = self._find(name)
        if name in self.grouped:
            raise ConfigError(f"{_show(name)} is a member of a group already")
        self.grouped.add(name)
        return member


_RULES: Final[Mapping[str, Callable[[_Reading, list[str]], None]]] = MappingProxyType(
    {
        "log": _Reading.read_log,
        "witness": _Reading.read_witness,
        "group": _Reading.read_group,
        "quorum": _Reading.read_quorum,
    }
)


def read_policy(data: bytes) -> PolicyFile:
    """Return what a tlog-policy file says.

    Raises:
        ConfigError: a line is not of a policy, or refers to something unknown; names the line.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise ConfigError(f"expected a policy of at most {MAX_POLICY_BYTES} bytes, got {len(data)}")
    reading = _Reading()
    for number, line in enumerate(_split_lines(data), start=1):
        try:
            _read_line(reading, line)
        except (ConfigError, EncodingError) as error:
            raise ConfigError(f"line {number} of the policy: {error}") from error
    if not reading.quorum:
        raise ConfigError("expected a policy with a quorum line, got none; `quorum none` asks for no witness")
    try:
        policy = LogPolicy(
            log_keys=tuple(reading.logs), quorum=reading.quorum[0], witnesses=tuple(reading.witnesses)
        )
    except EncodingError as error:
        raise ConfigError(f"the policy: {error}") from error
    return PolicyFile(policy=policy, urls=MappingProxyType(reading.urls))


def write_policy(policy: LogPolicy, *, urls: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return a policy with one flat quorum, such as a treaty sets, as a tlog-policy file.

    Args:
        policy: its quorum is a single witness, a group of witnesses, or none.
        urls: where logs and witnesses are, by the name of their key.

    Raises:
        ConfigError: the quorum has groups of groups, or a URL cannot stand on a line.
    """
    if not all(url.isprintable() and url.split() == [url] for url in urls.values()):
        raise ConfigError("expected URLs that are words of printable characters")
    lines = [_join("log", key.to_vkey(), urls.get(key.name)) for key in policy.log_keys]
    names = {witness: f"w{number}" for number, witness in enumerate(policy.witnesses, start=1)}
    lines += [_join("witness", names[key], key.to_vkey(), urls.get(key.name)) for key in policy.witnesses]
    lines += _spell_quorum(policy.quorum, names)
    return "".join(f"{line}\n" for line in lines).encode()


def _spell_quorum(quorum: GroupMember | None, names: Mapping[WitnessKey, str]) -> list[str]:
    if quorum is None:
        return ["quorum none"]
    if isinstance(quorum, WitnessKey):
        return [f"quorum {names[quorum]}"]
    members = [names[member] for member in quorum.members if isinstance(member, WitnessKey)]
    if len(members) < len(quorum.members):
        raise ConfigError("expected a quorum of witnesses, got one of groups")
    return [f"group all-witnesses {quorum.threshold} {' '.join(members)}", "quorum all-witnesses"]


def _join(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None)


def _split_lines(data: bytes) -> list[str]:
    """Return the lines; bytes above ASCII stand for themselves, so that names are never normalised."""
    text = data.decode("utf-8", errors="surrogateescape")
    if data and not data.endswith(b"\n"):
        raise ConfigError("expected a policy whose last line ends in a newline")
    return text.removesuffix("\n").split("\n") if data else []


def _read_line(reading: _Reading, line: str) -> None:
    if any((character < " " and character != "\t") or character == "\x7f" for character in line):
        raise ConfigError("expected no control characters but tabs")
    words = [word for word in line.replace("\t", " ").split(" ") if word]
    if not words or words[0].startswith("#"):
        return
    rule = _RULES.get(words[0])
    if rule is None:
        raise ConfigError(f"expected log, witness, group or quorum, got {_show(words[0])}")
    rule(reading, words[1:])


def _parse_threshold(rule: str, size: int) -> int:
    if rule in {"all", "any"}:
        return size if rule == "all" else 1
    if rule not in {str(threshold) for threshold in range(1, size + 1)}:
        raise ConfigError(f"expected all, any or a number of 1 to {size}, got {_show(rule)}")
    return int(rule)


def _require_words(words: list[str], least: int, most: int) -> None:
    if not least <= len(words) <= most:
        raise ConfigError(f"expected {least} to {most} words after the first, got {len(words)}")


def _require_room(entries: Sized) -> None:
    if len(entries) >= MAX_ENTRIES:
        raise ConfigError(f"expected at most {MAX_ENTRIES} lines of one kind")


def _show(word: str) -> str:
    """Return a word of a stranger's as it may stand in a message: short, and nothing but ASCII."""
    return ascii(word[:32])
