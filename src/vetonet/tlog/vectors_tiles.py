"""Conformance cases for tiles: expected files and roots of generated logs, and a whole log of somebody else.

Three kinds of documents are known. ``{size: [{path, len, sha256}, ...]}`` lists every tile and bundle of a
tree of that size, and ``{roots: {size: base64}}`` its root; the entries of both are made by one rule. The
third is a folder in the layout of C2SP tlog-tiles, published by a log whose key stands in ``KNOWN_LOGS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import Final, TypeAlias, TypeGuard

from vetonet.crypto.merkle import HASH_BYTES, verify_consistency
from vetonet.errors import ConfigError, EncodingError, ProofError, VerificationError
from vetonet.tlog.checkpoint import Checkpoint, verify_checkpoint
from vetonet.tlog.fsck import judge_files
from vetonet.tlog.note import LogKey, decode_base64
from vetonet.tlog.tile_reader import TileReader
from vetonet.tlog.tree_edge import TreeEdge

Case: TypeAlias = tuple[str, Callable[[], None]]
"""A name for people, and a call that raises ``VerificationError`` where our result is not the vector's."""

MAX_LEAVES: Final = 2**20
"""No vector is larger; one that claims to be would keep a machine busy for no good."""

KNOWN_LOGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The log that transparency-dev/tessera tests itself with.
        "example.com/log/testdata": (
            "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
        ),
    }
)
"""Verifier keys of published test logs, by origin."""

_CHECKPOINT: Final = "checkpoint"
_BATCH: Final = 4096
_EMPTY_ENTRY: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLog:
    """A folder in the layout of a log.

    Attributes:
        paths: every file in it.
        read: gives the content of one.
    """

    paths: tuple[str, ...]
    read: Callable[[str], bytes]


def iter_tile_cases(document: object) -> Iterator[Case]:
    """Return the cases of one document, read whole before the first is handed out.

    Args:
        document: a parsed JSON file, or a ``PublishedLog``.

    Raises:
        ConfigError: no document of the three kinds, or the log of an unknown key.
        EncodingError: one of them, but malformed.
    """
    if isinstance(document, PublishedLog):
        return iter(_list_log_cases(document))
    fields = document if isinstance(document, Mapping) else {}
    if isinstance(fields.get("roots"), Mapping):
        return iter(_list_root_cases(fields["roots"]))
    if fields and all(_is_size(key) and isinstance(value, list) for key, value in fields.items()):
        return iter([_make_tiles_case(_parse_size(size), files) for size, files in fields.items()])
    raise ConfigError("not recognised: neither tiles by tree size, nor roots by tree size, nor a log")


def make_vector_entry(index: int) -> bytes:
    """Return the entry of this index: SHA-256 of its name, hashed on and cut; entry 7 is empty."""
    block = sha256(b"vetonet-vector-entry-%d" % index).digest()
    size = 0 if index == _EMPTY_ENTRY else block[0] % 200 + 1
    stream = block
    while len(stream) < size:
        block = sha256(block).digest()
        stream += block
    return stream[:size]


class _VectorLog:
    """The log of the generated entries, grown to one size after another."""

    __slots__ = ("_edge",)

    def __init__(self) -> None:
        self._edge = TreeEdge()

    def root_hash(self, tree_size: int) -> bytes:
        """Return the root at a size; ascending sizes cost least."""
        if tree_size < self._edge.tree_size:
            self._edge = TreeEdge()
        while self._edge.tree_size < tree_size:
            end = min(tree_size, self._edge.tree_size + _BATCH)
            self._edge = self._edge.extend(_make_entries(self._edge.tree_size, end)).edge
        return self._edge.root_hash()


def _list_root_cases(roots: Mapping[object, object]) -> list[Case]:
    log = _VectorLog()
    parsed = sorted((_parse_size(size), _parse_root(root)) for size, root in roots.items())
    return [(f"root of {size} leaves", partial(_judge_root, log, size, root)) for size, root in parsed]


def _judge_root(log: _VectorLog, tree_size: int, expected: bytes) -> None:
    computed = log.root_hash(tree_size)
    if computed != expected:
        raise ProofError(f"expected root {expected.hex()}, got {computed.hex()}")


def _make_tiles_case(tree_size: int, files: Iterable[object]) -> Case:
    expected = dict(map(_parse_file, files))
    return f"tiles of {tree_size} leaves", partial(_judge_tiles, tree_size, expected)


def _judge_tiles(tree_size: int, expected: Mapping[str, tuple[int, str]]) -> None:
    made = TreeEdge().extend(_make_entries(0, tree_size)).files
    ours = {path: (len(data), sha256(data).hexdigest()) for path, data in made}
    for path in sorted(ours.keys() | expected.keys()):
        if ours.get(path) != expected.get(path):
            raise ProofError(f"{path}: expected {_say(expected.get(path))}, got {_say(ours.get(path))}")


def _list_log_cases(log: PublishedLog) -> list[Case]:
    origin = log.read(_CHECKPOINT).partition(b"\n")[0].decode(errors="replace")
    if origin not in KNOWN_LOGS:
        raise ConfigError(f"not recognised: no key is known for the checkpoint of a log {origin[:80]!r}")
    verify = partial(verify_checkpoint, log_key=LogKey.from_vkey(KNOWN_LOGS[origin]), allow_other_lines=True)
    signed = sorted(path for path in log.paths if path.startswith(_CHECKPOINT) and "/" not in path)
    return [
        ("every file", partial(_judge_log, log, verify)),
        *((path, partial(_judge_signed, log, verify, path)) for path in signed),
    ]


def _judge_log(log: PublishedLog, verify: Callable[[bytes], Checkpoint]) -> None:
    problems = judge_files(log.paths, log.read, verify).problems
    if problems:
        raise VerificationError(f"{problems[0]} ({len(problems)} in all)", problems=problems)


def _judge_signed(log: PublishedLog, verify: Callable[[bytes], Checkpoint], path: str) -> None:
    """Our reader finds the signed root in the tiles, and proves that the newest checkpoint extends it."""
    old, new = verify(log.read(path)), verify(log.read(_CHECKPOINT))
    reader = TileReader(lambda tile: log.read(tile.to_path()))
    computed = reader.root_hash(old.tree_size)
    if computed != old.root_hash:
        raise ProofError(f"expected root {old.root_hash.hex()}, the tiles give {computed.hex()}")
    if old.tree_size:
        verify_consistency(
            old_size=old.tree_size,
            old_root=old.root_hash,
            new_size=new.tree_size,
            new_root=new.root_hash,
            proof=reader.consistency_proof(old.tree_size, new.tree_size).hashes,
        )


def _make_entries(start: int, end: int) -> list[bytes]:
    return [make_vector_entry(index) for index in range(start, end)]


def _is_size(key: object) -> TypeGuard[str]:
    return isinstance(key, str) and key.isascii() and key.isdigit()


def _parse_size(key: object) -> int:
    size = int(key) if _is_size(key) and len(key) <= len(str(MAX_LEAVES)) else -1
    if not 0 <= size <= MAX_LEAVES:
        raise EncodingError(f"expected a tree size of at most {MAX_LEAVES}, got {str(key)[:20]!r}")
    return size


def _parse_root(value: object) -> bytes:
    root = decode_base64(value) if isinstance(value, str) else b""
    if len(root) != HASH_BYTES:
        raise EncodingError(f"expected a root hash of {HASH_BYTES} bytes in base64")
    return root


def _parse_file(entry: object) -> tuple[str, tuple[int, str]]:
    fields = entry if isinstance(entry, Mapping) else {}
    path, size, digest = (fields.get(key) for key in ("path", "len", "sha256"))
    if not isinstance(path, str) or type(size) is not int or not isinstance(digest, str):
        raise EncodingError("expected a tile as its path, len and sha256")
    return path, (size, digest)


def _say(file: tuple[int, str] | None) -> str:
    return "no such file" if file is None else f"{file[0]} bytes with SHA-256 {file[1]}"
