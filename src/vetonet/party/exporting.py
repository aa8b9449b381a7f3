"""From what an operator keeps to a bundle: reports in order, proofs of hidden totals, signature (VN-10.1).

The bundle is written as a stream: of the reports only their places are in memory. What is to be proven is
what a verifier finds to be proven in the same parts, so both speak about the same sums (VN-18.3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

from vetonet.attestation.report import ComputeReport
from vetonet.compliance.export import BundleExport
from vetonet.compliance.parts import MAGIC, PartKind, spell_part
from vetonet.compliance.public_record import LogReader, PublicRecord
from vetonet.compliance.result import ComplianceResult
from vetonet.compliance.trust_root import TrustRoot
from vetonet.confidential.bounds import BoundKind
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.proving import SumOpening, combine_openings, is_opened, prove_usage
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.pedersen import Commitment, Opening, sum_openings
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import read_unverified, sign
from vetonet.errors import ConfigError, EncodingError, RefusedError
from vetonet.party.monitoring import LogSource
from vetonet.party.operator_folder import MAX_BATCH_BYTES, OperatorFolder, iter_sequence
from vetonet.party.secret_files import translated
from vetonet.tlog.checkpoint import SignedCheckpoint
from vetonet.tlog.tile_reader import TileReader

Parts: TypeAlias = Iterable[tuple[PartKind, bytes]]
Account: TypeAlias = tuple[bytes, "int | None"]
"""A chip by ueid, and the licence on which work is booked, or None."""

NOT_VOUCHED: Final = frozenset({"report-forged", "report-malformed", "signer-unknown", "wrong-device"})
"""With one of these an operator signs no export: it would answer for reports that no chip of it made."""

_PROOF_CONTEXT: Final = b"vetonet export proof 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnd:
    """The last report of a chip that commits to one account.

    Attributes:
        counter: of the report.
        commitment: to the whole account.
    """

    counter: int
    commitment: bytes


class AccountEnds:
    """The ends of all accounts, of reports in any order; grows in place."""

    def __init__(self) -> None:
        """Begin without a report."""
        self.by_account: dict[Account, AccountEnd] = {}

    def count(self, claims: ComputeReport) -> None:
        """Count in one report; one whose counts are in clear opens nothing (VN-18.3)."""
        if claims.flop_commitment is None:
            return
        account = (claims.ueid, claims.licence_id)
        known = self.by_account.get(account)
        if known is None or known.counter < claims.counter:
            end = AccountEnd(counter=claims.counter, commitment=claims.flop_commitment)
            self.by_account[account] = end


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
class Secrets:
    """What an operator proves with, and shows nobody.

    Attributes:
        operator_id: whose.
        openings: of the last report of each account, by chip and licence.
        handed: the sums of other operators of one owner.
    """

    operator_id: str
    openings: Mapping[Account, Opening] = field(repr=False)
    handed: tuple[SumOpening, ...] = field(default=(), repr=False)


def find_openings(
    ends: Mapping[Account, AccountEnd], find: Mapping[tuple[bytes, int], Opening]
) -> Mapping[Account, Opening]:
    """Return the openings of the ends of accounts, each held against its commitment.

    Args:
        ends: of accounts.
        find: what is kept, by chip and counter of the report.

    Raises:
        ConfigError: one does not open the commitment of its report.
    """
    found: dict[Account, Opening] = {}
    for (ueid, licence_id), end in ends.items():
        opening = find.get((ueid, end.counter))
        if opening is None:
            continue
        if not is_opened(_read_commitment(end.commitment), opening):
            raise ConfigError(
                f"the opening kept for report {end.counter} of chip {ueid.hex()[:16]} does not open its "
                "commitment"
            )
        found[ueid, licence_id] = opening
    return found


def _read_commitment(data: bytes) -> Commitment | None:
    try:
        return Commitment.from_bytes(data)
    except EncodingError:
        return None


def prove_totals(
    expected: Sequence[ExpectedTotal],
    secrets: Secrets,
    *,
    ends: Mapping[Account, AccountEnd],
    owners: Mapping[bytes, str],
) -> tuple[UsageProof, ...]:
    """Return the proofs of all totals that are for this operator to prove, as far as it can (VN-18.5).

    A total across operators is left out where the others handed nothing over. What a proof draws follows from
    the opening and the claim, so that two exports of the same parts are the same bytes.

    Args:
        expected: what a verifier will want proven.
        secrets: of the operator.
        ends: the last report of each account.
        owners: the operator of each chip, by ueid.

    Raises:
        ConfigError: an opening is missing.
        RefusedError: a total exceeds a bound; says by how much, for its operator to know.
        ProofError: openings that are not those of the reports.
    """
    mine = [entry for entry in expected if secrets.operator_id in entry.operator_ids]
    proofs = []
    for entry in mine:
        opening = _open_total(entry, secrets, ends=ends, owners=owners)
        if opening is not None:
            _verify_within(entry, opening)
            rng = SeededRng(_derive_seed(entry, opening, secrets.operator_id))
            proofs.append(prove_usage(entry, opening, operator_id=secrets.operator_id, rng=rng))
    return tuple(proofs)


def sum_own(
    entry: ExpectedTotal,
    secrets: Secrets,
    *,
    ends: Mapping[Account, AccountEnd],
    owners: Mapping[bytes, str],
) -> Opening:
    """Return the opening of an operator's own part of a total.

    Raises:
        ConfigError: the opening of one of its chips is missing.
    """
    found = []
    for (ueid, licence_id), end in sorted(ends.items(), key=lambda pair: pair[0][0]):
        if licence_id != entry.licence_id or owners.get(ueid) != secrets.operator_id:
            continue
        opening = secrets.openings.get((ueid, licence_id))
        if opening is None:
            raise ConfigError(
                f"{entry.name} cannot be proven: no opening is kept for report {end.counter} of chip"
                f" {ueid.hex()[:16]}"
            )
        found.append(opening)
    if not found:
        raise ConfigError(f"{entry.name} cannot be proven: no chip of {secrets.operator_id} reported for it")
    return sum_openings(found)


def hand_over(entry: ExpectedTotal, opening: Opening, operator_id: str) -> SumOpening:
    """Return what an operator gives to whoever proves a total across operators; a secret (VN-18.6)."""
    return SumOpening(
        treaty_digest=entry.treaty_digest,
        operator_id=operator_id,
        licence_id=entry.licence_id,
        report_count=entry.parts[operator_id].report_count,
        opening=opening,
    )


def _open_total(
    entry: ExpectedTotal,
    secrets: Secrets,
    *,
    ends: Mapping[Account, AccountEnd],
    owners: Mapping[bytes, str],
) -> Opening | None:
    """Return the opening of a total, or None for one across operators who handed nothing over."""
    own, name = {secrets.operator_id}, secrets.operator_id
    if entry.parts.keys() <= own:
        return sum_own(entry, secrets, ends=ends, owners=owners)
    parts = [
        part
        for part in secrets.handed
        if part.licence_id == entry.licence_id and part.operator_id in entry.parts.keys() - own
    ]
    if not parts:
        return None
    if name in entry.parts:
        parts.insert(0, hand_over(entry, sum_own(entry, secrets, ends=ends, owners=owners), name))
    return combine_openings(entry, parts, entry.parts)


def _verify_within(entry: ExpectedTotal, opening: Opening) -> None:
    for bound in entry.bounds:
        over = opening.value - bound.units
        if over > 0:
            raise RefusedError(
                f"{entry.name}: its chips computed {over} unit{'' if over == 1 else 's'} of 10^15 FLOP "
                "more than its "
                f"{_NAMES[bound.kind]} allows; there is no proof of what is not so",
                clause="VN-18.5",
            )


_NAMES: Final[Mapping[BoundKind, str]] = {
    BoundKind.BUDGET: "budget",
    BoundKind.RATE: "chips' rate and time",
    BoundKind.ENERGY: "chips' energy",
    BoundKind.POOL: "treaty without a licence",
}


def _derive_seed(entry: ExpectedTotal, opening: Opening, operator_id: str) -> bytes:
    """Return what the masks of a proof follow from: as in RFC 6979, the secret and all that is claimed."""
    said = entry.to_claim(operator_id).to_bytes() + opening.value.to_bytes(8, "big")
    return hmac.digest(opening.blinding, _PROOF_CONTEXT + said, "sha512")


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


def verify_vouched(result: ComplianceResult) -> None:
    """Hold that nothing among the parts is what an operator must not sign.

    Raises:
        RefusedError: something is; the first such problem says what.
    """
    for problem in result.problems:
        if problem.reason in NOT_VOUCHED:
            raise RefusedError(f"nobody can vouch for these reports: {problem.detail}", clause="VN-10.1")


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
