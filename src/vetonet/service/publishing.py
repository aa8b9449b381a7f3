"""Publication: what the log commits to leaves signed, and cosigned by a quorum of witnesses, or not at all.

A log grows with every append; what it commits to is published at a fixed interval, so that witnesses sign few
checkpoints and all sign the same. Nobody gets a proof, a leaf or a licence that no published checkpoint
covers (VN-11.6). Where the quorum cannot be had, appends go on and nothing leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from vetonet.crypto.keys import SigningKey
from vetonet.crypto.merkle import ConsistencyProof
from vetonet.errors import (
    InvalidSignatureError,
    RefusedError,
    StorageError,
    VetonetError,
    WitnessQuorumError,
)
from vetonet.service.turns import Turns
from vetonet.tlog.add_checkpoint import AddCheckpoint, parse_cosignatures
from vetonet.tlog.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from vetonet.tlog.note import NoteSignature
from vetonet.tlog.policy import (
    CosignedCheckpoint,
    LogPolicy,
    assemble_cosigned,
    compute_witnessed_ms,
    is_cosignature,
    is_quorum,
)
from vetonet.tlog.witness import StaleCheckpointError, WitnessPort
from vetonet.units import Milliseconds

DEFAULT_INTERVAL_S: Final = 1.0
RETRY_PAUSE_S: Final = 0.5

_Answer: TypeAlias = "asyncio.Task[NoteSignature]"

_logger: Final = logging.getLogger(__name__)


class LogSource(Protocol):
    """The log that is published; ``vetonet.tlog.log.Log`` is one."""

    @property
    def tree_size(self) -> int:
        """How many durable leaves it has."""
        ...

    def checkpoint(self, tree_size: int | None = None) -> Checkpoint:
        """Return what it commits to at a size."""
        ...

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Return the proof that one size extends another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How a log is published.

    Attributes:
        witnesses: whom to ask, by the name of their key; those of the policy that are not here are not asked.
        interval_s: the pause between two checkpoints; 0 publishes as soon as something was appended.
        patience_s: how long to wait for further witnesses once the quorum is met.
        deadline_s: how long to wait for the quorum.
    """

    witnesses: Mapping[str, WitnessPort]
    interval_s: float = DEFAULT_INTERVAL_S
    patience_s: float = 0.5
    deadline_s: float = 5.0


class Publisher:
    """Signs, gathers cosignatures, publishes; one checkpoint at a time, each extending the one before."""

    def __init__(
        self,
        source: LogSource,
        *,
        log_key: SigningKey,
        policy: LogPolicy,
        publishing: Publishing,
        store: Callable[[CosignedCheckpoint], Coroutine[Any, Any, None]],
        prepare: Callable[[], Coroutine[Any, Any, None]] | None = None,
        newest: CosignedCheckpoint | None = None,
    ) -> None:
        """Publish this log.

        Args:
            source: the log; it only grows.
            log_key: signs its checkpoints.
            policy: what makes a checkpoint count.
            publishing: whom to ask, and how patiently.
            store: makes a checkpoint durable before anybody gets it.
            prepare: brings the log, and what is read of it, up to date before a checkpoint is made.
            newest: what was published before a restart.
        """
        self._source, self._log_key, self._policy = source, log_key, policy
        self._publishing, self._store, self._prepare = publishing, store, prepare
        self._newest = newest
        self._wanted_ms: Milliseconds = 0
        self._known: dict[str, int] = {}
        self._slow: set[str] = set()
        self._failure: VetonetError | None = None
        self._grown, self._published = asyncio.Event(), asyncio.Condition()
        self._turn = asyncio.Lock()
        self._steps = Turns()
        self._task: asyncio.Task[None] | None = None

    @property
    def newest(self) -> CosignedCheckpoint | None:
        """The newest published checkpoint, or None before the first."""
        return self._newest

    @property
    def tree_size(self) -> int:
        """How many leaves are published."""
        return 0 if self._newest is None else self._newest.checkpoint.tree_size

    @property
    def witnessed_ms(self) -> Milliseconds:
        """The time at or after which a quorum of witnesses cosigned the newest published checkpoint."""
        return 0 if self._newest is None else compute_witnessed_ms(self._newest, self._policy)

    async def refresh(self, wanted_ms: Milliseconds) -> bool:
        """Return whether what is published was cosigned at that time or later, as signers demand (VN-7.9).

        Where there is none, one is published now, also of a log that has not grown.
        """
        self._wanted_ms = max(self._wanted_ms, wanted_ms)
        if self.witnessed_ms < wanted_ms:
            with contextlib.suppress(VetonetError):  # whoever needs it asks again
                await self.publish()
        return self.witnessed_ms >= wanted_ms

    def notice_growth(self) -> None:
        """The log has more leaves than before."""
        self._grown.set()

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Checkpoints are published from now on, by a task of its own, until ``stop``.

        Args:
            on_failure: called where a bug ended that: then only a restart helps.
        """

        def note_end(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                _logger.error("publication ended by a bug: %r", task.exception())
                on_failure()

        self.notice_growth()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(note_end)

    async def stop(self) -> None:
        """No checkpoint is published any more, and no thread writes for one that was under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._steps.settle()

    async def _run(self) -> None:
        """Publish for ever, once an interval while there is something new; a lost quorum is told once."""
        is_failing = False
        while True:
            await self._grown.wait()
            self._grown.clear()
            try:
                await self.publish()
                is_failing = False
            except VetonetError as error:
                if not is_failing:
                    _logger.warning("nothing leaves the log until this is mended: %s", error)
                is_failing = True
                self._grown.set()
            await asyncio.sleep(RETRY_PAUSE_S if is_failing else self._publishing.interval_s)

    async def publish(self) -> CosignedCheckpoint:
        """Return the newest checkpoint, published and durable; it covers every leaf of before the call.

        Raises:
            WitnessQuorumError: too few witnesses cosigned it, for the reasons in its message.
            StorageError: it could not be made durable.
        """
        async with self._turn:
            try:
                cosigned = await self._advance()
            except VetonetError as error:
                self._failure = error
                raise
            else:
                self._newest, self._failure = cosigned, None
            finally:
                async with self._published:
                    self._published.notify_all()
            return cosigned

    async def _advance(self) -> CosignedCheckpoint:
        if self._prepare is not None:
            await self._steps.finish(self._prepare())
        is_whole = self._newest is not None and self.tree_size == self._source.tree_size
        if self._newest is not None and is_whole and self.witnessed_ms >= self._wanted_ms:
            return self._newest
        cosigned = await self._gather(sign_checkpoint(self._source.checkpoint(), self._log_key))
        await self._steps.finish(self._store(cosigned))
        return cosigned

    async def wait_for(self, tree_size: int, timeout_s: float | None = None) -> CosignedCheckpoint:
        """Return a published checkpoint that covers the first ``tree_size`` leaves.

        Raises:
            WitnessQuorumError: there is none within the time.
            StorageError: none can be made durable at present.
        """
        self.notice_growth()
        try:
            async with asyncio.timeout(self._publishing.deadline_s if timeout_s is None else timeout_s):
                async with self._published:
                    await self._published.wait_for(
                        lambda: self.tree_size >= tree_size or isinstance(self._failure, StorageError)
                    )
        except TimeoutError as error:
            raise self._describe_delay(tree_size) from error
        if self.tree_size < tree_size and self._failure is not None:
            raise self._failure
        if self._newest is None:
            msg = "a published checkpoint that is none"
            raise ValueError(msg)
        return self._newest

    def _describe_delay(self, tree_size: int) -> WitnessQuorumError:
        why = "no witness has answered yet" if self._failure is None else str(self._failure)
        return WitnessQuorumError(
            f"leaf {tree_size - 1} is logged and durable, but nothing proves it yet: {why}; retry"
        )

    async def _gather(self, signed: SignedCheckpoint) -> CosignedCheckpoint:
        """Ask all witnesses at once; with the quorum met, wait a little for those that are usually quick."""
        asked = {asyncio.create_task(self._ask(name, signed)): name for name in self._publishing.witnesses}
        try:
            pending = await self._await_answers(asked)
        finally:
            for task in asked:
                task.cancel()  # what is done stays done
        self._slow = {asked[task] for task in pending}
        return self._conclude(signed, asked, pending)

    async def _await_answers(self, asked: Mapping[_Answer, str]) -> AbstractSet[_Answer]:
        """Return the witnesses that have not answered when nobody waits for them any more."""
        loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        pending = set(asked)
        while pending:
            is_met = self._is_met(asked.keys() - pending)
            awaited = {task for task in pending if asked[task] not in self._slow} if is_met else pending
            limit_s = self._publishing.patience_s if is_met else self._publishing.deadline_s
            left_s = started + limit_s - loop.time()
            if not awaited or left_s <= 0:
                break
            _, pending = await asyncio.wait(pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        return pending

    def _is_met(self, done: AbstractSet[_Answer]) -> bool:
        lines = [task.result() for task in done if task.exception() is None]
        witnesses = {witness for line in lines if (witness := self._policy.find_witness(line)) is not None}
        return is_quorum(self._policy.quorum, witnesses)

    def _conclude(
        self,
        signed: SignedCheckpoint,
        asked: Mapping[_Answer, str],
        pending: AbstractSet[_Answer],
    ) -> CosignedCheckpoint:
        """Put the lines together, or say of every witness that is missing why it is.

        Raises:
            WitnessQuorumError: there are too few.
        """
        lines, missing = list[NoteSignature](), list[str]()
        for task, name in asked.items():
            error = TimeoutError("no answer in time") if task in pending else task.exception()
            if error is None:
                lines.append(task.result())
            elif isinstance(error, VetonetError | TimeoutError):
                missing.append(f"{name}: {error}")
            else:
                raise error
        try:
            return assemble_cosigned(signed, lines, self._policy)
        except WitnessQuorumError as error:
            raise WitnessQuorumError(f"{error} ({'; '.join(missing) or 'no witness is asked'})") from error

    async def _ask(self, name: str, signed: SignedCheckpoint) -> NoteSignature:
        """Return a witness's line, having told it how its last checkpoint is extended by this one.

        Raises:
            VetonetError: it refuses, cannot be reached, or answers with something else.
        """
        try:
            return await self._ask_from(name, self._known.get(name, self.tree_size), signed)
        except StaleCheckpointError as error:
            if error.known_size > signed.checkpoint.tree_size:
                size = signed.checkpoint.tree_size
                msg = f"it cosigned {error.known_size} leaves, this log has {size}; restored from a backup?"
                raise RefusedError(msg) from error
            return await self._ask_from(name, error.known_size, signed)

    async def _ask_from(self, name: str, old_size: int, signed: SignedCheckpoint) -> NoteSignature:
        size = signed.checkpoint.tree_size
        is_trivial = old_size in {0, size}
        hashes = () if is_trivial else self._source.consistency_proof(old_size, size).hashes
        request = AddCheckpoint(old_size=old_size, proof=hashes, signed=signed)
        answer = await self._publishing.witnesses[name].add_checkpoint(request)
        for line in parse_cosignatures(answer):
            witness = self._policy.find_witness(line)
            if (
                witness is not None
                and witness.name == name
                and is_cosignature(signed.checkpoint, line, witness)
            ):
                self._known[name] = size
                return line
        raise InvalidSignatureError("its answer holds no valid cosignature of its own", culprits=(name,))
