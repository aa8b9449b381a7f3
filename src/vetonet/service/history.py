"""What a coordinator knows: everything in it follows from the journal, record by record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vetonet.attestation.registry import Registry
from vetonet.crypto.statement import Signed, read_kind
from vetonet.encoding.record import DIGEST, DIGEST_BYTES, Record, member, one_of
from vetonet.errors import ConfigError, RefusedError, StorageError, VetonetError
from vetonet.policy.quorum import Decision
from vetonet.policy.treaty import Treaty
from vetonet.service.admission import Admission
from vetonet.service.request import Request
from vetonet.storage.journal import Record as JournalRecord
from vetonet.storage.journal import RequestConflictError, StoredRecord
from vetonet.tlog.log import MAX_LEAF_BYTES, Log
from vetonet.tlog.policy import CosignedCheckpoint, LogPolicy, verify_cosigned
from vetonet.units import Milliseconds
from vetonet.voting.ledger import KINDS, Ledger, read_leaf
from vetonet.voting.state import Phase

CHECKPOINT: Final = "checkpoint"
CONCLUSION: Final = "conclusion"
LEAF: Final = "leaf"
REQUEST: Final = "request"
START: Final = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion(Record):
    """That a proposal ended without a licence: no restart begins its signature anew."""

    proposal_digest: bytes = member(1, DIGEST)
    decision: Decision = member(2, one_of(Decision))

    def __post_init__(self) -> None:
        """Refuse what is no such end."""
        if self.decision not in {Decision.VETOED, Decision.EXPIRED}:
            raise ValueError(f"expected a conclusion, got {self.decision}")


class History:
    """The log and what it amounts to; grows in place, one adopted record after the other.

    Attributes:
        log: the leaves.
        ledger: the votes.
        admission: the chips.
        policy: which checkpoints of the log count.
        published: the newest checkpoint that left, or None before the first.
        record_count: how many journal records are behind this.
    """

    __slots__ = (
        "_places", "_requests", "admission", "ledger", "log", "policy", "published", "record_count",
    )  # fmt: skip

    def __init__(self, treaty: Signed[Treaty]) -> None:
        """Start with an empty log under this treaty."""
        self.log = Log(treaty.statement.log_origin)
        self.ledger = Ledger(treaty=treaty)
        self.admission = Admission(treaty.statement, Registry())
        self.policy: Final = LogPolicy.under(treaty.statement)
        self.published: CosignedCheckpoint | None = None
        self.record_count = 0
        self._places: dict[bytes, int] = {}
        self._requests: dict[str, tuple[int, bytes]] = {}

    def find_leaf(self, data: bytes) -> int | None:
        """Return where the log holds exactly these bytes, or None where it does not."""
        return self._places.get(_digest(data))

    def knows(self, request: Request) -> bool:
        """Tell whether this very request was carried out before.

        Raises:
            RequestConflictError: its id was used for something else (VN-13.2).
        """
        known = self._requests.get(request.request_id)
        if known is None:
            return False
        sequence, digest = known
        if digest != request.digest:
            raise RequestConflictError(request_id=request.request_id, sequence=sequence)
        return True

    def replay(self, stored: StoredRecord) -> None:
        """One more record of the journal is part of this.

        Raises:
            ConfigError: the journal is another treaty's.
            StorageError: the rules would not have let the record in here (VN-11.3).
        """
        try:
            self._replay(stored.record)
        except ConfigError:
            raise
        except VetonetError as error:
            raise StorageError(f"journal record {stored.sequence} breaks the rules: {error}") from error

    def adopt(
        self,
        records: Iterable[JournalRecord],
        *,
        ledger: Ledger | None = None,
        registry: Registry | None = None,
    ) -> None:
        """These records are durable, and this is what they amount to."""
        for record in records:
            if record.kind == LEAF:
                self._add_leaf(record.payload)
            elif record.kind == REQUEST:
                self._add_request(record)
            elif record.kind == CHECKPOINT:
                self._add_checkpoint(record.payload)
            self.record_count += 1
        self._follow_ledger(ledger or self.ledger)
        self.admission.registry = registry or self.admission.registry

    def _replay(self, record: JournalRecord) -> None:
        if record.kind == LEAF:
            self._read_leaf(record.payload, record.recorded_at_ms)
        elif record.kind == REQUEST:
            self._add_request(record)
        elif record.kind == CHECKPOINT:
            self._add_checkpoint(record.payload)
        elif record.kind == CONCLUSION:
            self._read_conclusion(Conclusion.from_bytes(record.payload))
        elif record.kind != START:
            raise StorageError(f"a record of unknown kind {record.kind!r}")
        self.record_count += 1

    def _read_leaf(self, data: bytes, recorded_at_ms: Milliseconds) -> None:
        leaf_index = self.log.tree_size
        if leaf_index == 0:
            self._require_treaty(data)
        elif read_kind(data) in KINDS:
            self._follow_ledger(read_leaf(self.ledger, leaf_index, data))
        else:
            self.admission.admit(data, now=recorded_at_ms, leaf_index=leaf_index)
        self._add_leaf(data)

    def _follow_ledger(self, ledger: Ledger) -> None:
        """Whatever treaty is in force says who may have which statements logged."""
        self.ledger = ledger
        self.admission.treaty = ledger.treaty.statement

    def _require_treaty(self, data: bytes) -> None:
        if data != self.ledger.treaty.data:
            digest = self.ledger.treaty.payload_digest.hex()[:16]
            raise ConfigError(f"the journal does not begin with treaty {digest}: it is another treaty's")

    def _read_conclusion(self, ended: Conclusion) -> None:
        vote = self.ledger.find(ended.proposal_digest)
        if vote.phase is not Phase.OPEN:
            raise StorageError(f"the conclusion of a proposal that is {vote.phase} already")
        self.ledger = self.ledger.with_vote(replace(vote, phase=Phase(ended.decision.value)))

    def _add_request(self, record: JournalRecord) -> None:
        if record.request_id is None or len(record.payload) != DIGEST_BYTES:
            raise StorageError("a request without an id or a digest")
        self._requests[record.request_id] = (self.record_count, record.payload)

    def _add_checkpoint(self, data: bytes) -> None:
        """What was published binds: the log has to hold at least that, leaf for leaf (VN-11.6)."""
        cosigned = verify_cosigned(data, self.policy)
        size = cosigned.checkpoint.tree_size
        if size > self.log.tree_size or cosigned.checkpoint != self.log.checkpoint(size):
            raise StorageError(f"a published checkpoint of {size} leaves that are not those of the journal")
        self.published = cosigned

    def _add_leaf(self, data: bytes) -> None:
        self._places[_digest(data)] = self.log.append(data)


def require_leaf_sizes(leaves: Sequence[bytes]) -> None:
    """Every one of these fits into the log, so that an append that is durable never fails afterwards.

    Raises:
        RefusedError: one does not.
    """
    largest = max(map(len, leaves), default=0)
    if largest > MAX_LEAF_BYTES:
        raise RefusedError(f"a leaf has at most {MAX_LEAF_BYTES} bytes, got {largest}", clause="VN-11.2")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
