"""A key ceremony on a table: a machine for each party, and a network that a test may shuffle and falsify.

Parties exchange bytes only. A cheat is a function over what one party sends, so that the machine itself,
which cannot cheat, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from support.frost_groups import Group, deal_group
from vetonet.crypto import frost
from vetonet.crypto.keys import Ed25519SigningKey, SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import peek, sign
from vetonet.errors import VetonetError
from vetonet.policy.ceremony import MAX_CEREMONY_BYTES, CeremonyPlan, CeremonyStatement
from vetonet.policy.handover import CeremonyKind, Handover
from vetonet.policy.treaty import Party
from vetonet.voting.ceremony import begin, step
from vetonet.voting.ceremony_state import (
    Abort,
    Broadcast,
    Ceremony,
    CeremonyEffect,
    CeremonyOutcome,
    Complain,
    Finish,
    Keep,
    MessageReceived,
    SendTo,
    TimePassed,
)
from vetonet.voting.ceremony_transcript import CeremonyTranscript

DEADLINE_MS: Final = 10_000
OLD_SEATS: Final = ("p1", "p2", "p3", "p4", "p5")

Cheat = Callable[["Table", str, bytes], bytes | None]
"""What a party sends to a receiver instead of these bytes; None sends nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A plan and everybody's keys.

    Attributes:
        keys: everybody's statement key.
        group: the group that the plan hands over, every share in one place.
    """

    plan: CeremonyPlan
    keys: Mapping[str, SigningKey]
    group: Group | None = None

    def list_key_shares(self, party_id: str) -> tuple[frost.KeyShare, ...]:
        """Return a party's shares in the group that is handed over, none of one that was lost."""
        old = self.plan.handover
        if old is None or self.group is None:
            return ()
        seats = [number for number, owner in enumerate(old.seats, start=1) if owner == party_id]
        return tuple(self.group.shares[number] for number in seats if number != old.lost)

    def open(self, data: bytes) -> CeremonyStatement:
        """Return what a participant signed."""
        return CeremonyTranscript.begin(self.plan).open(data).statement

    def resign(self, party_id: str, data: bytes, **changes: Any) -> bytes:
        """Return a party's statement with other fields, signed by it again."""
        return sign(replace(self.open(data), **changes), self.keys[party_id])


def make_cast(
    n: int = 3, min_signers: int | None = None, *, seats: Sequence[str] = (), context: bytes = b"attempt 1"
) -> Cast:
    """Return a plan for parties ``p1`` to ``pn``, two thirds of whose seats sign unless told otherwise."""
    keys = {f"p{i}": make_key(f"p{i}") for i in range(1, n + 1)}
    chosen = tuple(seats) or tuple(keys)
    plan = CeremonyPlan(
        context=context,
        min_signers=min_signers or -(-2 * len(chosen) // 3),
        seats=chosen,
        parties=tuple(Party(party_id=name, key=key.public_key) for name, key in keys.items()),
    )
    return Cast(plan=plan, keys=keys)


def make_key(name: str) -> Ed25519SigningKey:
    """Return a party's statement key."""
    return generate_ed25519(SeededRng(b"ceremony").spawn(name))


def make_handover(
    kind: CeremonyKind,
    *,
    old: Sequence[str] = OLD_SEATS,
    k: int = 3,
    dealers: Sequence[int] = (1, 2, 4),
    new: Sequence[str] = (),
    min_signers: int | None = None,
    lost: int | None = None,
    context: bytes = b"epoch 2 attempt 1",
) -> Cast:
    """Return a plan that hands a dealt group over, for everybody who takes part in it."""
    group = deal_group(k, range(1, len(old) + 1))
    handover = Handover(kind=kind, package=group.public, seats=tuple(old), dealers=tuple(dealers), lost=lost)
    seats = tuple(new or old)
    needed = {*handover.owners, *(seats if lost is None else (old[lost - 1],))}
    keys = {name: make_key(name) for name in sorted(needed)}
    plan = CeremonyPlan(
        context=context,
        min_signers=min_signers or k,
        seats=seats,
        parties=tuple(Party(party_id=name, key=key.public_key) for name, key in keys.items()),
        handover=handover,
    )
    return Cast(plan=plan, keys=keys, group=group)


def make_resharing(**changes: Any) -> Cast:
    """Return a council of five that replaces ``p4`` and ``p5`` by ``p6`` and ``p7``; ``p4`` still deals."""
    return make_handover(CeremonyKind.RESHARING, **({"new": ("p1", "p2", "p3", "p6", "p7")} | changes))


def make_refresh(**changes: Any) -> Cast:
    """Return a council of five that deals itself new shares."""
    return make_handover(CeremonyKind.REFRESH, **changes)


def make_repair(**changes: Any) -> Cast:
    """Return a council of five in which three help ``p3``, whose share was lost."""
    return make_handover(CeremonyKind.REPAIR, **({"lost": 3} | changes))


def kind_of(data: bytes) -> str:
    """Return the type that a statement claims."""
    return peek(data, max_bytes=MAX_CEREMONY_BYTES).kind


@dataclass(slots=True, kw_only=True)
class Table:
    """Everybody's machine, and the messages under way.

    Attributes:
        under_way: sender, receiver, bytes.
        cheats: what a party does to each message it sends.
        refused: the errors of messages that a machine did not take.
    """

    cast: Cast
    states: dict[str, Ceremony] = field(default_factory=dict)
    under_way: list[tuple[str, str, bytes]] = field(default_factory=list)
    cheats: dict[str, Cheat] = field(default_factory=dict)
    kept: dict[str, Keep] = field(default_factory=dict)
    finishes: dict[str, Finish] = field(default_factory=dict)
    aborts: dict[str, Abort] = field(default_factory=dict)
    complaints: dict[str, bytes] = field(default_factory=dict)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    refused: list[tuple[str, VetonetError]] = field(default_factory=list)

    @classmethod
    def seat(cls, cast: Cast, cheats: Mapping[str, Cheat] | None = None, seed: bytes = b"table") -> Table:
        """Return a table at which everybody has committed."""
        table = cls(cast=cast, cheats=dict(cheats or {}))
        for name, key in cast.keys.items():
            rng = SeededRng(seed).spawn(name)
            shares = cast.list_key_shares(name)
            begun = begin(cast.plan, name, key, deadline_ms=DEADLINE_MS, rng=rng, key_shares=shares)
            table.carry_out(name, begun)
        return table

    def carry_out(self, name: str, outcome: CeremonyOutcome) -> None:
        """A party's new state counts, and its effects are under way."""
        self.states[name], effects = outcome
        for effect in effects:
            self._carry_out_one(name, effect)

    def _carry_out_one(self, name: str, effect: CeremonyEffect) -> None:
        match effect:
            case Broadcast(data=data):
                self._send(name, self.states[name].others, data)
            case Complain(data=data):
                self.complaints[name] = data
                self._send(name, self.states[name].others, data)
            case SendTo(party_id=receiver, data=data):
                self._send(name, (receiver,), data)
            case Keep():
                self.kept[name] = effect
            case Finish():
                self.finishes[name] = effect
            case Abort():
                self.aborts[name] = effect

    def _send(self, sender: str, receivers: Sequence[str], data: bytes) -> None:
        cheat = self.cheats.get(sender)
        for receiver in receivers:
            sent = data if cheat is None else cheat(self, receiver, data)
            if sent is not None:
                self.under_way.append((sender, receiver, sent))
                self.sent.append((sender, receiver, sent))

    def deliver(self, receiver: str, data: bytes, now: int = 0) -> None:
        """A machine gets these bytes; what it does not take is noted."""
        try:
            self.carry_out(receiver, step(self.states[receiver], MessageReceived(data=data), now))
        except VetonetError as error:
            self.refused.append((receiver, error))

    def run(self, random: Random | None = None, *, duplicates: bool = False) -> Table:
        """Everything under way arrives, in any order (by ``random``) and with copies of old messages."""
        for receiver, data in self._shuffle(random, duplicates=duplicates):
            self.deliver(receiver, data)
        return self

    def _shuffle(self, random: Random | None, *, duplicates: bool) -> Iterator[tuple[str, bytes]]:
        while self.under_way:
            index = random.randrange(len(self.under_way)) if random else 0
            _, receiver, data = self.under_way.pop(index)
            yield receiver, data
            if duplicates and random and random.random() < 0.5:
                _, receiver, data = random.choice(self.sent)
                yield receiver, data

    def expire(self) -> Table:
        """The deadline passes for everybody."""
        for name, state in tuple(self.states.items()):
            self.carry_out(name, step(state, TimePassed(), DEADLINE_MS))
        return self

    def list_culprits(self) -> dict[str, tuple[str, ...]]:
        """Return whom each party that aborted proved guilty."""
        return {name: abort.verdict.culprits for name, abort in self.aborts.items()}

    def list_silent(self) -> dict[str, tuple[str, ...]]:
        """Return whom each party that aborted names as silent."""
        return {name: abort.verdict.silent for name, abort in self.aborts.items()}
