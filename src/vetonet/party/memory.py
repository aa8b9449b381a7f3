"""What a party must never forget, in a journal of its own: its votes, vetoes it heard of, what it signed.

Every record is durable before what it is about leaves the party: a ballot before it is sent, a peer's ballot
before its receipt is acknowledged, burnt nonces and what they are burnt for before the signature share. So a
party that is killed anywhere votes once, keeps every veto that reached it, signs one licence of a proposal
and one message with a nonce. No secret goes in: nonces live in memory only, and die with the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed, read_unverified
from vetonet.encoding.record import DIGEST, Record, many, member, parsed, uint
from vetonet.errors import RefusedError, StorageError, VetonetError
from vetonet.policy.ballot import Ballot
from vetonet.policy.lease import MAX_LEASES
from vetonet.policy.standing import Consent
from vetonet.storage.journal import Journal, StoredRecord
from vetonet.storage.journal import Record as JournalRecord
from vetonet.units import Milliseconds

OWN_BALLOT: Final = "own-ballot"
OWN_CONSENT: Final = "own-consent"
DIRECT_BALLOT: Final = "direct-ballot"
SHARE: Final = "share"

MAX_ATTEMPTS: Final = 2**16
_PAGE: Final = 256
_COMMITMENTS: Final = parsed(
    frost.SigningCommitments.to_bytes, frost.SigningCommitments.from_bytes, maximum=66
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be signed: the licence or resolution of a vote (lease 0), or a lease of a licence.

    Attributes:
        digest: of the proposal or motion.
        lease: the number of the lease, 0 for the licence or resolution.
        treaty_digest: under which treaty a lease is: licences live on through a change of epoch and need
            leases of the new one (VN-16.8). None for the licence: of a proposal there is one, ever.
    """

    digest: bytes
    lease: int = 0
    treaty_digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenShare(Record):
    """That a share of a statement is about to leave, and which nonces are burnt for it.

    Attributes:
        digest, lease, treaty_digest: the task; a record of before treaties were named has none for a lease.
        statement_digest: what is signed.
        commitments: to the nonces that are burnt.
    """

    digest: bytes = member(1, DIGEST)
    lease: int = member(2, uint(MAX_LEASES))
    attempt: int = member(3, uint(MAX_ATTEMPTS))
    statement_digest: bytes = member(4, DIGEST)
    commitments: tuple[frost.SigningCommitments, ...] = member(5, many(_COMMITMENTS, minimum=1, maximum=255))
    treaty_digest: bytes | None = member(6, DIGEST, optional=True)

    @property
    def task(self) -> Task:
        """What the statement was signed for."""
        return Task(digest=self.digest, lease=self.lease, treaty_digest=self.treaty_digest)


class PartyMemory:
    """A party's memory and the journal behind it; not to be used by two threads at once."""

    __slots__ = ("_ballots", "_burnt", "_consents", "_directs", "_journal", "_signed")

    def __init__(self, journal: Journal) -> None:
        """Know nothing yet; use ``open`` instead."""
        self._journal = journal
        self._ballots: dict[bytes, bytes] = {}
        self._consents: dict[tuple[bytes, int], bytes] = {}
        self._directs: dict[bytes, Milliseconds] = {}
        self._signed: dict[Task, bytes] = {}
        self._burnt: set[bytes] = set()

    @classmethod
    def open(cls, journal: Journal) -> Self:
        """Return the memory that a journal holds.

        Raises:
            StorageError: it cannot be read, or is not a party's.
        """
        memory = cls(journal)
        for stored in _iter_records(journal):
            memory._replay(stored)
        return memory

    @property
    def own_ballots(self) -> Mapping[bytes, bytes]:
        """Every ballot that this party signed, by the digest of what it is about."""
        return self._ballots

    @property
    def own_consents(self) -> Mapping[tuple[bytes, int], bytes]:
        """Every word of this party on its consent, by the digest of the run and its number."""
        return self._consents

    @property
    def direct_ballots(self) -> Mapping[bytes, Milliseconds]:
        """Every veto and withdrawal that a peer handed over, and when it came."""
        return self._directs

    def keep_ballot(self, ballot: Signed[Ballot], now: Milliseconds) -> None:
        """The party's own ballot may be sent now.

        Raises:
            RefusedError: it signed a different one on the same matter.
            StorageError: it could not be made durable.
        """
        digest = ballot.statement.proposal_digest
        earlier = self._ballots.get(digest)
        if earlier == ballot.data:
            return
        if earlier is not None:
            msg = f"a different ballot on {digest.hex()[:16]} was signed before"
            raise RefusedError(msg, clause="VN-6.4")
        self._append(OWN_BALLOT, ballot.data, now)
        self._ballots[digest] = ballot.data

    def keep_consent(self, digest: bytes, number: int, data: bytes, now: Milliseconds) -> None:
        """The party's own word on its consent may be sent now.

        Raises:
            StorageError: it could not be made durable.
        """
        self._append(OWN_CONSENT, data, now)
        self._consents[digest, number] = data

    def keep_direct(self, data: bytes, now: Milliseconds) -> None:
        """A peer's ballot is never forgotten, so its receipt may be acknowledged.

        Raises:
            StorageError: it could not be made durable.
        """
        if data not in self._directs:
            self._append(DIRECT_BALLOT, data, now)
            self._directs[data] = now

    def keep_share(self, given: GivenShare, now: Milliseconds) -> None:
        """The nonces are burnt for this statement, and its share may leave (VN-7.7).

        Raises:
            RefusedError: another statement of the same task was signed, or a nonce is burnt already (VN-7.3).
            StorageError: it could not be made durable.
        """
        if self._list_signed(given.task) - {given.statement_digest}:
            what = f"lease {given.lease}" if given.lease else "licence"
            msg = (
                f"no signature share: another {what} of proposal {given.digest.hex()[:16]} was signed before"
            )
            raise RefusedError(msg, clause="VN-7.3")
        nonces = {commitments.to_bytes() for commitments in given.commitments}
        if nonces & self._burnt or len(nonces) < len(given.commitments):
            raise RefusedError("no signature share: a nonce is burnt already", clause="VN-7.3")
        self._append(SHARE, given.to_bytes(), now)
        self._note(given, nonces)

    def _list_signed(self, task: Task) -> set[bytes]:
        """Return what was signed of a task: one, if any.

        A record of a lease that names no treaty is of before they did: it binds in every epoch, as it did.
        """
        tasks = {task, replace(task, treaty_digest=None)}
        return {self._signed[known] for known in tasks if known in self._signed}

    def _note(self, given: GivenShare, nonces: set[bytes]) -> None:
        self._signed[given.task] = given.statement_digest
        self._burnt |= nonces

    def _append(self, kind: str, payload: bytes, now: Milliseconds) -> None:
        record = JournalRecord(kind=kind, request_id=None, payload=payload, recorded_at_ms=now)
        self._journal.append((record,))

    def _replay(self, stored: StoredRecord) -> None:
        record = stored.record
        try:
            if record.kind == OWN_BALLOT:
                self._ballots[read_ballot(record.payload).proposal_digest] = record.payload
            elif record.kind == OWN_CONSENT:
                said = read_unverified(record.payload, Consent)
                self._consents[said.proposal_digest, said.number] = record.payload
            elif record.kind == DIRECT_BALLOT:
                self._directs[record.payload] = record.recorded_at_ms
            elif record.kind == SHARE:
                given = GivenShare.from_bytes(record.payload)
                nonces = {commitments.to_bytes() for commitments in given.commitments}
                self._note(given, nonces)
            else:
                raise StorageError(f"expected records of a party, got one of kind {record.kind}")
        except VetonetError as error:
            raise StorageError(f"record {stored.sequence} of the party's journal: {error}") from error


def read_ballot(data: bytes) -> Ballot:
    """Return the content of a ballot that was verified before it was kept.

    Raises:
        EncodingError: it is none.
    """
    return read_unverified(data, Ballot)


def _iter_records(journal: Journal) -> Iterator[StoredRecord]:
    start = 0
    while page := journal.read(start, _PAGE):
        yield from page
        start += len(page)
