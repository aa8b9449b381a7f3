"""What an operator keeps of its chips' work, in a folder: what it publishes, and what it shows nobody.

Reports and openings are kept batch by batch, each file a CBOR sequence (RFC 8742) of byte strings. Openings,
specifications, what other operators handed over and the key are secrets: files for their owner alone, and
refused where others may read them. docs/export.md says what is where.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from vetonet.attestation.report import UEID_BYTES
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.trust_root import MAX_BYTES as MAX_ROOT_BYTES
from vetonet.compliance.trust_root import TrustRoot
from vetonet.confidential.proving import SumOpening
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.secp256k1 import SCALAR_BYTES
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, bstr, member, uint
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.keys import STATEMENT_KEY_FILE, load_signing_key, save_signing_key
from vetonet.party.secret_files import read_secret, translated, write_secret
from vetonet.policy.specification import Specification
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.note import MAX_NOTE_BYTES
from vetonet.tlog.tree_edge import TreeEdge

TRUST_ROOT_FILE: Final = "trust-root.json"
LOG_FOLDER: Final = "log"
CHECKPOINTS_FOLDER: Final = "checkpoints"
REPORTS_FOLDER: Final = "reports"
DEVICE_SETS_FOLDER: Final = "device-sets"
OPENINGS_FOLDER: Final = "openings"
SPECIFICATIONS_FOLDER: Final = "specifications"
HANDED_FOLDER: Final = "handed-over"
SECRET_FOLDERS: Final = (OPENINGS_FOLDER, SPECIFICATIONS_FOLDER, HANDED_FOLDER)
OPEN_FOLDERS: Final = (LOG_FOLDER, CHECKPOINTS_FOLDER, REPORTS_FOLDER, DEVICE_SETS_FOLDER)

MAX_BATCH_BYTES: Final = 2**30
MAX_FILES: Final = 10**6

_VALUE_BYTES: Final = 8
_WIDTHS: Final = {0x58: 1, 0x59: 2}
_SHORT: Final = range(0x40, 0x58)

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOpening(Record):
    """What a chip told its operator alone: what one of its reports commits to. A secret.

    Attributes:
        ueid: which chip.
        counter: of the report.
        licence_id: whose account it is, or None for that of work without a licence.
        secret: the count in 8 bytes, big-endian, and the blinding.
    """

    MAX_BYTES: ClassVar[int] = 128

    ueid: bytes = member(1, bstr(UEID_BYTES))
    counter: int = member(2, uint(2**53))
    licence_id: int | None = member(3, uint(2**53), optional=True)
    secret: bytes = member(4, bstr(_VALUE_BYTES + SCALAR_BYTES))

    def __repr__(self) -> str:
        """Name the report; what it hides stays hidden."""
        return f"HeldOpening(counter={self.counter}, <redacted>)"

    @classmethod
    def of(cls, ueid: bytes, counter: int, licence_id: int | None, opening: Opening) -> HeldOpening:
        """Return the opening of a report, to be kept."""
        secret = opening.value.to_bytes(_VALUE_BYTES, "big") + opening.blinding
        return cls(ueid=ueid, counter=counter, licence_id=licence_id, secret=secret)

    @property
    def opening(self) -> Opening:
        """The opening.

        Raises:
            ValueError: the blinding is none.
        """
        return Opening(
            value=int.from_bytes(self.secret[:_VALUE_BYTES], "big"), blinding=self.secret[_VALUE_BYTES:]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFolder:
    """The folder of one operator under one treaty."""

    root: Path

    @classmethod
    def create(cls, root: Path, *, trust_root: TrustRoot, key: SigningKey) -> OperatorFolder:
        """Return a new folder with the operator's key.

        Raises:
            ConfigError: it cannot be made, or holds a key already.
        """
        with translated(root):
            root.mkdir(mode=0o755, parents=True, exist_ok=True)
            for name in OPEN_FOLDERS:
                (root / name).mkdir(mode=0o755, exist_ok=True)
            for name in SECRET_FOLDERS:
                (root / name).mkdir(mode=0o700, exist_ok=True)
            (root / TRUST_ROOT_FILE).write_text(trust_root.to_text(), encoding="utf-8")
        save_signing_key(root / STATEMENT_KEY_FILE, key)
        return cls(root=root)

    def keep_batch(self, number: int, reports: Iterable[bytes], openings: Iterable[HeldOpening] = ()) -> None:
        """Keep the reports of one batch, and what opens their commitments.

        Raises:
            ConfigError: a batch of this number is kept already, or it cannot be written.
        """
        name = f"{number:06}"
        _write(self.root / REPORTS_FOLDER / f"{name}.reports", _spell_sequence(reports))
        secrets = [held.to_bytes() for held in openings]
        if secrets:
            write_secret(self.root / OPENINGS_FOLDER / f"{name}.openings", _spell_sequence(secrets))

    def keep_device_set(self, device_set: DeviceSet) -> None:
        """Keep the chips of a licence.

        Raises:
            ConfigError: it cannot be written.
        """
        path = self.root / DEVICE_SETS_FOLDER / f"{device_set.root_hash.hex()}.cbor"
        if not path.exists():
            _write(path, device_set.to_bytes())

    def keep_checkpoint(self, note: bytes) -> None:
        """Keep a cosigned checkpoint: it bounds in time whatever the log held then.

        Raises:
            ConfigError: it cannot be written.
        """
        size = SignedCheckpoint.from_bytes(note).checkpoint.tree_size
        path = self.root / CHECKPOINTS_FOLDER / f"{size:012}.note"
        if not path.exists():
            _write(path, note)

    def keep_specification(self, specification: Specification) -> None:
        """Keep the private specification of a run.

        Raises:
            ConfigError: it is kept already, or cannot be written.
        """
        path = self.root / SPECIFICATIONS_FOLDER / f"{specification.root.hex()}.cbor"
        write_secret(path, specification.to_bytes())

    def keep_log(self, leaves: Iterable[bytes], checkpoint: bytes) -> None:
        """Keep a copy of the log, in the files of C2SP tlog-tiles.

        Raises:
            ConfigError: it cannot be written.
        """
        folder = self.root / LOG_FOLDER
        with translated(folder):
            for path, data in TreeEdge().extend(tuple(leaves)).files:
                place = folder / path
                place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                place.write_bytes(data)
            (folder / "checkpoint").write_bytes(checkpoint)

    def read_trust_root(self) -> TrustRoot:
        """Return the treaty under which all this was done.

        Raises:
            ConfigError: the file is missing or none.
        """
        path = self.root / TRUST_ROOT_FILE
        data = _read(path, MAX_ROOT_BYTES)
        with _named(path):
            return TrustRoot.from_text(data.decode())

    def load_key(self) -> SigningKey:
        """Return the operator's statement key.

        Raises:
            ConfigError: it is missing, or others may read it.
        """
        return load_signing_key(self.root / STATEMENT_KEY_FILE)

    def list_report_files(self) -> tuple[Path, ...]:
        """Return where the batches of reports are.

        Raises:
            ConfigError: there is no folder for them.
        """
        return _list_files(self.root / REPORTS_FOLDER, ".reports")

    def read_device_sets(self) -> tuple[DeviceSet, ...]:
        """Return the chips of the licences.

        Raises:
            ConfigError: a file that is no device set.
        """
        paths = _list_files(self.root / DEVICE_SETS_FOLDER, ".cbor")
        return tuple(_parse(path, DeviceSet, _read(path, DeviceSet.MAX_BYTES)) for path in paths)

    def read_checkpoints(self) -> tuple[bytes, ...]:
        """Return the checkpoints that were kept, by rising size.

        Raises:
            ConfigError: a file that cannot be read.
        """
        paths = _list_files(self.root / CHECKPOINTS_FOLDER, ".note")
        return tuple(_read(path, MAX_NOTE_BYTES) for path in paths)

    def iter_openings(self) -> Iterator[HeldOpening]:
        """Yield every opening that is kept.

        Raises:
            ConfigError: a file that others may read, or that holds something else.
        """
        for path in _list_files(self.root / OPENINGS_FOLDER, ".openings"):
            with translated(path):
                data = read_secret(path, max_bytes=MAX_BATCH_BYTES)
            for item, _, _ in iter_sequence(data, path):
                yield _parse(path, HeldOpening, item)

    def read_handed(self) -> tuple[SumOpening, ...]:
        """Return the sums that other operators of one owner handed over.

        Raises:
            ConfigError: a file that others may read, or that holds something else.
        """
        paths = _list_files(self.root / HANDED_FOLDER, ".cbor")
        return tuple(_parse(path, SumOpening, _read_secret(path, SumOpening.MAX_BYTES)) for path in paths)


def iter_sequence(data: bytes, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yield each byte string of a CBOR sequence, with where it starts and ends.

    Raises:
        ConfigError: something else in the file.
    """
    offset = 0
    while offset < len(data):
        width = 0 if data[offset] in _SHORT else _WIDTHS.get(data[offset], -1)
        start = offset + 1 + max(width, 0)
        size = int.from_bytes(data[offset + 1 : start], "big") if width else data[offset] - 0x40
        if width < 0 or start + size > len(data):
            raise ConfigError(f"{path}: damaged at byte {offset}: expected a sequence of byte strings")
        offset = start + size
        yield data[start:offset], start, offset


def _spell_sequence(items: Iterable[bytes]) -> bytes:
    return b"".join(cbor.to_bytes(item) for item in items)


def _list_files(folder: Path, suffix: str) -> tuple[Path, ...]:
    with translated(folder):
        return tuple(sorted(path for path in folder.iterdir() if path.name.endswith(suffix)))


def _parse(path: Path, kind: type[R], data: bytes) -> R:
    try:
        return kind.from_bytes(data)
    except EncodingError:
        # Not chained: the message of a parser may quote what it read.
        raise ConfigError(f"{path}: expected a {kind.__name__}, as vetonet keeps it") from None


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path, maximum: int) -> bytes:
    with translated(path), path.open("rb") as file:
        data = file.read(maximum + 1)
    if len(data) > maximum:
        raise ConfigError(f"{path}: expected at most {maximum} bytes")
    return data


def _read_secret(path: Path, maximum: int) -> bytes:
    with translated(path):
        return read_secret(path, max_bytes=maximum)


def _write(path: Path, data: bytes) -> None:
    with translated(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
