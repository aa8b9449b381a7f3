"""A chip with a memory: every step is durable before anybody sees what came of it (VN-17.15).

That order is all there is to surviving a loss of power. Work is counted before it is computed, so the meter
never lacks any; a report is durable before it leaves, so no counter is ever used for another; and what was
durable but may not have left is handed out again at the next start.
"""

from __future__ import annotations

from typing import Final, Protocol

from vetonet.attester.account import OpeningTold
from vetonet.attester.machine import step
from vetonet.attester.nonvolatile import HandedOut, Kept, read_kept, write_kept
from vetonet.attester.secure_element import SecureElement
from vetonet.attester.snapshots import SnapshotTaken
from vetonet.attester.state import ChipState, Effect, Event, PowerCycled, Refused, ReportSigned
from vetonet.errors import StorageError, UnexpectedEventError
from vetonet.units import Milliseconds


class StateStore(Protocol):
    """What keeps a chip's bytes: of the newest save that returned, or of one that began after it."""

    def load(self) -> bytes | None:
        """Return the newest bytes that are whole, or None where none ever were.

        Raises:
            StorageError: they cannot be read, or are damaged.
        """
        ...

    def save(self, data: bytes) -> None:
        """These bytes are the newest, durably, or those before still are.

        Raises:
            StorageError: nobody can tell which.
        """
        ...


def keep_first(state: ChipState, store: StateStore) -> None:
    """The store holds a chip as its maker made it, which a power-on then starts.

    Raises:
        StorageError: the store holds a chip already, or cannot be written.
    """
    if store.load() is not None:
        raise StorageError("expected an empty store for a new chip, found one that holds a state")
    store.save(write_kept(Kept(state=state)))


class Chip:
    """One chip in use, from a power-on to the loss of power.

    Whoever calls again shows by that to have received what the call before returned.
    """

    __slots__ = ("_outbox", "_state", "_store")

    def __init__(self, store: StateStore, element: SecureElement | None = None) -> None:
        """Read what the store holds; until ``start`` the chip does nothing.

        Raises:
            StorageError: the store holds nothing, or nothing whole: a chip never begins anew by itself.
            VetonetError: what it holds is not the state of this chip.
        """
        data = store.load()
        if data is None:
            raise StorageError("expected the state of a chip, found none: it was never made, or was wiped")
        kept = read_kept(data, element)
        self._store: Final = store
        self._state: ChipState | None = kept.state
        self._outbox = kept.outbox

    @property
    def state(self) -> ChipState:
        """The chip at this moment.

        Raises:
            StorageError: a save failed, so nobody knows it before the next power-on.
        """
        if self._state is None:
            raise StorageError("expected a chip whose state is known; a save failed, so start it anew")
        return self._state

    def start(self, event: PowerCycled, now: Milliseconds) -> tuple[Effect, ...]:
        """Return what this start asks for, after what may not have been handed out before it.

        Raises:
            StorageError: the state cannot be kept; the chip is off.
        """
        following, effects = step(self.state, event, now)
        if _is_refused(effects):
            return effects
        waiting = self._outbox
        self._keep(following, (*waiting, *_list_handed_out(effects)))
        return (*waiting, *effects)

    def step(self, event: Event, now: Milliseconds) -> tuple[Effect, ...]:
        """Return what the event asks for, once the state that follows from it is durable.

        Raises:
            StorageError: the state cannot be kept; nothing may be carried out, and the chip is off.
            UnexpectedEventError: the chip was not started.
        """
        if isinstance(event, PowerCycled):
            return self.start(event, now)
        if self.state.alias_key is None:
            raise UnexpectedEventError(f"a chip that was not started takes no {type(event).__name__}")
        following, effects = step(self.state, event, now)
        if following is not self.state:
            self._keep(following, _list_handed_out(effects))
        return effects

    def _keep(self, following: ChipState, outbox: tuple[HandedOut, ...]) -> None:
        self._state = None
        self._store.save(write_kept(Kept(state=following, outbox=outbox)))
        self._state, self._outbox = following, outbox


def _list_handed_out(effects: tuple[Effect, ...]) -> tuple[HandedOut, ...]:
    handed_out = ReportSigned | OpeningTold | SnapshotTaken
    return tuple(effect for effect in effects if isinstance(effect, handed_out))


def _is_refused(effects: tuple[Effect, ...]) -> bool:
    return any(isinstance(effect, Refused) for effect in effects)
