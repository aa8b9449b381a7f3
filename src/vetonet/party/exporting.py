"""From what an operator keeps to a bundle: reports in order, what proves their totals, signature (VN-10.1).

The bundle is written as a stream: of the reports only their places are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from vetonet.attestation.report import ComputeReport
from vetonet.compliance.export import BundleExport
from vetonet.compliance.parts import MAGIC, PartKind, spell_part
from vetonet.compliance.proving import AccountEnds, Books, Secrets, find_openings, verify_vouched
from vetonet.compliance.public_record import LogReader, PublicRecord
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import read_unverified, sign
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.monitoring import LogSource
from vetonet.party.operator_folder import MAX_BATCH_BYTES, OperatorFolder, iter_sequence
from vetonet.party.secret_files import translated
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.tile_reader import TileReader

Parts: TypeAlias = Iterable[tuple[PartKind, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one report is kept."""

    ueid: bytes
    counter: int
    path: Path
    start: int
    end: int


class KeptReports:
    """The reports in a folder by chip and count; where each is, is in memory, the reports are not.

    Attributes:
        ends: the last report of each account.
    """

    def __init__(self, folder: OperatorFolder) -> None:
        """Look through all batches of the folder.

        Raises:
            ConfigError: a file that cannot be read, or holds something else than reports.
        """
        self.ends = AccountEnds()
        places = [place for path in folder.list_report_files() for place in self._read(path)]
        self._places = sorted(places, key=_order)

    def _read(self, path: Path) -> Iterator[_Place]:
        with translated(path), path.open("rb") as file:
            data = file.read(MAX_BATCH_BYTES)
        for number, (item, start, end) in enumerate(iter_sequence(data, path), start=1):
            try:
                claims = read_unverified(item, ComputeReport)
            except EncodingError as error:
                raise ConfigError(f"{path}: item {number} is no report: {error}") from error
            self.ends.count(claims)
            yield _Place(ueid=claims.ueid, counter=claims.counter, path=path, start=start, end=end)

    def iter_reports(self) -> Iterator[bytes]:
        """Yield the reports in the order of a bundle, each once.

        Raises:
            ConfigError: a file that was there before cannot be read.
        """
        for _, places in groupby(self._places, key=_order):
            yield from sorted({_load(place) for place in places})


def _order(place: _Place) -> tuple[bytes, int]:
    return place.ueid, place.counter


def _load(place: _Place) -> bytes:
    with translated(place.path), place.path.open("rb") as file:
        file.seek(place.start)
        return file.read(place.end - place.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All parts of a bundle but proofs and signature, each time anew.

    Attributes:
        iter_leaves: gives all leaves of the log.
        checkpoints: by rising size, the last over just these leaves.
        device_sets: spelled, by rising root.
        iter_reports: gives the reports in the order of a bundle.
    """

    iter_leaves: Callable[[], Iterable[bytes]]
    checkpoints: tuple[bytes, ...] = field(repr=False)
    device_sets: tuple[bytes, ...] = field(repr=False)
    iter_reports: Callable[[], Iterable[bytes]]

    def iter_parts(self, proofs: Iterable[bytes] = ()) -> Iterator[tuple[PartKind, bytes]]:
        """Yield the parts, with these usage proofs as signed."""
        yield from ((PartKind.LEAF, leaf) for leaf in self.iter_leaves())
        yield from ((PartKind.CHECKPOINT, note) for note in self.checkpoints)
        yield from ((PartKind.DEVICE_SET, data) for data in self.device_sets)
        yield from ((PartKind.REPORT, report) for report in self.iter_reports())
        yield from ((PartKind.PROOF, proof) for proof in sorted(set(proofs)))


def iter_signed(parts: Parts, key: SigningKey) -> Iterator[tuple[PartKind, bytes]]:
    """Yield the parts, and after them the signature of whoever vouches for them (VN-10.1)."""
    body = hashlib.sha256(spell_part(PartKind.HEADER, MAGIC))
    for kind, content in parts:
        body.update(spell_part(kind, content))
        yield kind, content
    yield PartKind.EXPORT, sign(BundleExport(body_digest=body.digest()), key)


def read_draft(
    folder: OperatorFolder, reports: KeptReports, source: LogSource, trust_root: TrustRoot
) -> tuple[Draft, PublicRecord]:
    """Return the parts of a bundle over a log as it stands, and what that log says.

    Args:
        folder: whose checkpoints and device sets.
        reports: those of the folder.
        source: the log.
        trust_root: whose treaty.

    Raises:
        ConfigError: a file of the folder is not what it should be.
        EncodingError, StorageError, VerificationError: the log is not that of the treaty, or shows something
            else than it signed.
    """
    note = source.read_checkpoint()
    size, root_hash = _read_size(note)
    checkpoints = sort_checkpoints(folder.read_checkpoints(), note)

    def iter_leaves() -> Iterator[bytes]:
        return TileReader(source.fetch).entries(0, size, size, root_hash=root_hash)

    log = LogReader(trust_root)
    for leaf in iter_leaves():
        log.read_leaf(leaf)
    for checkpoint in checkpoints:
        log.read_checkpoint(checkpoint)
    sets = sorted(folder.read_device_sets(), key=lambda device_set: device_set.root_hash)
    draft = Draft(
        iter_leaves=iter_leaves,
        checkpoints=checkpoints,
        device_sets=tuple(device_set.to_bytes() for device_set in sets),
        iter_reports=reports.iter_reports,
    )
    return draft, log.conclude()


def read_books(
    folder: OperatorFolder,
    reports: KeptReports,
    *,
    operator_id: str,
    record: PublicRecord,
    result: ComplianceResult,
) -> Books:
    """Return what an operator proves the totals of its draft with; openings of no use are not kept in memory.

    Args:
        folder: of the operator.
        reports: those of the folder.
        operator_id: whose folder it is.
        record: what the log of the draft says.
        result: the judgement of the draft.

    Raises:
        ConfigError: a file of the folder is not what it should be, or an opening opens nothing.
        RefusedError: the draft holds what nobody can vouch for.
    """
    verify_vouched(result)
    ends = reports.ends.by_account
    wanted = {(ueid, end.counter) for (ueid, _), end in ends.items()}
    found = {
        (held.ueid, held.counter): held.opening
        for held in folder.iter_openings()
        if (held.ueid, held.counter) in wanted
    }
    return Books(
        expected=tuple(total.expected for total in result.totals),
        secrets=Secrets(
            operator_id=operator_id, openings=find_openings(ends, found), handed=folder.read_handed()
        ),
        ends=ends,
        owners={ueid: device.enrolment.owner for ueid, device in record.registry.devices.items()},
    )


def sort_checkpoints(earlier: Iterable[bytes], newest: bytes) -> tuple[bytes, ...]:
    """Return checkpoints by rising size, of two of one size one, and after them the newest.

    Raises:
        EncodingError: one is no checkpoint.
    """
    found = {_read_size(note)[0]: note for note in sorted(earlier)}
    size, _ = _read_size(newest)
    return (*(found[place] for place in sorted(found) if place < size), newest)


def _read_size(note: bytes) -> tuple[int, bytes]:
    checkpoint = SignedCheckpoint.from_bytes(note).checkpoint
    return checkpoint.tree_size, checkpoint.root_hash
