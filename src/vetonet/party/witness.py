"""A witness: cosigns checkpoints by the rules, and only what it will remember (VN-11.7).

The rules are ``vetonet.tlog.witness``, the memory is a journal. One lock makes a request one step: judged,
made durable, cosigned. The memory cannot protect from its own past: a witness whose journal was replaced by
an older copy knows no better, and may sign a second history from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final, Self

from vetonet.crypto.keys import SigningKey
from vetonet.errors import StorageError
from vetonet.party.witness_memory import WitnessMemory
from vetonet.storage.journal import Journal
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.cosignature import WitnessKey, cosign
from vetonet.tlog.note import LogKey
from vetonet.tlog.witness import (
    Conflict,
    Outcome,
    SplitViewError,
    StaleCheckpointError,
    UnprovenCheckpointError,
    judge_checkpoint,
)
from vetonet.units import MS_PER_S, Milliseconds

_logger: Final = logging.getLogger(__name__)

MAX_OVERTAKEN_S: Final = 30
"""How long a request may have waited for its turn."""


class Witness:
    """One witness with one key; every method may be called from any thread.

    Attributes:
        key: under which its cosignatures verify.
    """

    __slots__ = ("_lock", "_memory", "_signing_key", "_stated_s", "key")

    def __init__(self, memory: WitnessMemory, *, key: WitnessKey, signing_key: SigningKey) -> None:
        """Cosign by this memory; use ``open`` instead."""
        self.key: Final = key
        self._memory, self._signing_key = memory, signing_key
        self._lock, self._stated_s = Lock(), 0

    @classmethod
    def open(
        cls,
        journal: Journal,
        *,
        name: str,
        signing_key: SigningKey,
        logs: Mapping[str, tuple[LogKey, ...]],
    ) -> Self:
        """Return the witness as its journal left it.

        Args:
            journal: its own memory, which nothing else writes to.
            name: of its signature lines.
            signing_key: an Ed25519 key, which signs nothing else.
            logs: the keys that are trusted for each origin.

        Raises:
            StorageError: the journal cannot be read, or holds what the rules would not have let in.
            EncodingError: the name cannot stand in a note, or the key is of another algorithm.
        """
        key = WitnessKey.of_ed25519(name, signing_key.public_key)
        return cls(WitnessMemory.open(journal, logs), key=key, signing_key=signing_key)

    @property
    def origins(self) -> tuple[str, ...]:
        """The logs that it follows."""
        return tuple(self._memory.state.logs)

    def add_checkpoint(self, data: bytes, now_s: int) -> bytes:
        """Return the witness's signature line over the checkpoint of a request; the checkpoint is durable.

        Args:
            data: the body of the request, from whomever.
            now_s: the time that the cosignature states, seconds since the Unix epoch.

        Raises:
            EncodingError: not a request.
            UnknownLogError, InvalidSignatureError: of no log that it follows, or not signed by it.
            StaleCheckpointError, SplitViewError, ProofError: it does not extend the newest it cosigned.
            StorageError: it cannot be made durable; nothing was signed.
        """
        request = AddCheckpoint.from_bytes(data)
        with self._lock:
            now_s = self._tell_time(now_s)
            state, granted = self._judge(request, now_s * MS_PER_S)
            self._memory.advance(state, granted, now_s * MS_PER_S)
            line = cosign(
                request.signed.checkpoint,
                name=self.key.name,
                signing_key=self._signing_key,
                timestamp_s=now_s,
            )
        return f"{line.to_line()}\n".encode()

    def _tell_time(self, now_s: int) -> int:
        """Return the time to state: requests may have overtaken each other since their clocks were read.

        Else a larger tree could be dated before a smaller one, and honest times contradict each other
        (VN-11.9). A clock that was set back by more is believed.
        """
        is_overtaken = self._stated_s - MAX_OVERTAKEN_S <= now_s < self._stated_s
        self._stated_s = self._stated_s if is_overtaken else now_s
        return self._stated_s

    def find_newest(self, origin: str) -> bytes | None:
        """Return the newest checkpoint of a log that it cosigned, as the log signed it, or None before it.

        Raises:
            UnknownLogError: it does not follow this log.
        """
        state = self._memory.state
        state.find_keys(origin)
        newest = state.newest.get(origin)
        return None if newest is None else newest.to_bytes()

    def list_conflicts(self) -> tuple[Conflict, ...]:
        """Return the pairs of checkpoints that did not fit together, as far as they were kept.

        Raises:
            StorageError: the journal cannot be read.
        """
        return tuple(self._memory.iter_conflicts())

    def _judge(self, request: AddCheckpoint, now: Milliseconds) -> Outcome:
        """Judge by the rules; what a refusal shows of the log is kept before it is told."""
        try:
            return judge_checkpoint(self._memory.state, request)
        except (StaleCheckpointError, SplitViewError, UnprovenCheckpointError) as refusal:
            if refusal.conflict is not None:
                self._keep(refusal.conflict, now)
            raise

    def _keep(self, conflict: Conflict, now: Milliseconds) -> None:
        """Keep what can be kept; the request is refused anyway."""
        try:
            is_new = self._memory.keep(conflict, now)
            if is_new and conflict.is_split_view:
                _logger.error("log %r signed two histories", conflict.known.checkpoint.origin)
        except StorageError as error:
            _logger.warning("a conflict of checkpoints could not be kept: %s", error)


class LocalWitness:
    """A witness in this process, behind the port that a coordinator asks."""

    __slots__ = ("_clock_s", "_witness")

    def __init__(self, witness: Witness, *, clock_s: Callable[[], int]) -> None:
        """Ask this witness.

        Args:
            witness: the witness.
            clock_s: the present in seconds since the Unix epoch.
        """
        self._witness, self._clock_s = witness, clock_s

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        """Return what the witness answers, once a thread has waited for its disk; see ``WitnessPort``."""
        return await asyncio.to_thread(self._witness.add_checkpoint, request.to_bytes(), self._clock_s())
