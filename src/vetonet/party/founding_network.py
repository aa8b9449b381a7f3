"""A council founds its treaty over the network: one party's part, from the charter to the signed treaty.

First all compare what they are about to found. Then each threshold's group is made in a ceremony of its own,
all at once; who is not in a group derives it from what its participants signed. Then everybody has the same
treaty, signs it, and collects the others' signatures. Nobody ever holds another's secret (VN-3.5).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from vetonet.crypto import frost
from vetonet.crypto.keys import PublicKey, SigningKey
from vetonet.crypto.statement import (
    Signed,
    attach_signatures,
    compute_digest,
    sign_entry,
    verify_entry,
)
from vetonet.errors import (
    InvalidSignatureError,
    UnexpectedEventError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.party.ceremony import FLUSH_S, CeremonyDriver
from vetonet.party.founding_ports import Derived, FoundingMemory, TakingOver
from vetonet.party.founding_service import FoundingPeer, FoundingStatus
from vetonet.party.keys import SeatShare
from vetonet.policy.ceremony import CeremonyPlan, read_ceremony
from vetonet.policy.founding import (
    FoundingAbortedError,
    FoundingRecord,
    GroupTranscript,
    Position,
    SpoiltCeremony,
    list_differing,
    plan_ceremonies,
)
from vetonet.policy.succession_plan import GroupPlan
from vetonet.policy.treaty import Party, Terms, Treaty, open_treaty
from vetonet.units import MS_PER_S, Clock, Milliseconds, Rng
from vetonet.voting.ceremony_transcript import CeremonyAbortedError, CeremonyVerdict
from vetonet.voting.founding import ShownTranscript, verify_takeover
from vetonet.wire.identity import Identity

T = TypeVar("T")

PAUSE_S: Final = 0.3
"""Between two questions to a peer."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """One group: what everybody knows of it, what was signed for it, and the own shares of it, if any."""

    package: frost.PublicKeyPackage
    transcript: tuple[bytes, ...] = field(repr=False)
    key_shares: tuple[frost.KeyShare, ...] = field(default=(), repr=False)


def _verify_place(parties: Iterable[Party], party_id: str, signing_key: SigningKey) -> frozenset[str]:
    """Return who takes part, this party with this key among them."""
    keys = {party.party_id: party.key for party in parties}
    if keys.get(party_id) != signing_key.public_key:
        raise UnknownPartyError(f"no party {party_id[:64]!r} with this key takes part", culprit=party_id)
    return frozenset(keys)


class FoundingDriver:
    """One party's founding at work; serves the others from the start, and acts once ``run``."""

    def __init__(
        self,
        terms: Terms,
        party_id: str,
        signing_key: SigningKey,
        *,
        attempt: int,
        deadline_ms: Milliseconds,
        rng: Rng,
        clock: Clock,
        flush_s: float = FLUSH_S,
        report: Callable[[str], None] = _logger.info,
        taking_over: TakingOver | None = None,
    ) -> None:
        """Stand for this party, for this one attempt.

        Args:
            terms: the charter.
            party_id: whose part it is.
            signing_key: the party's statement key.
            attempt: which attempt of the council's it is, from 1; never used twice for one charter.
            deadline_ms: when the silent are named.
            rng: the source of every secret.
            clock: the present.
            flush_s: how long the others are still served after an end.
            report: is told in words how far it is.
            taking_over: the treaty that this one is to follow, whose groups are handed over; None for the
                first, whose groups are made.

        Raises:
            UnknownPartyError: the charter has no such party, or another key for it.
            ValueError: no such attempt.
        """
        self._plans, parties, position = _find_part(terms, attempt, taking_over)
        self._taking_over = taking_over
        self.roster: Final = _verify_place(parties, party_id, signing_key)
        self.party_id: Final = party_id
        held = [plan for plan in self._plans if isinstance(plan, CeremonyPlan)]
        self.max_message_bytes: Final = max((plan.max_message_bytes for plan in held), default=0)
        self._terms, self._signing_key = terms, signing_key
        self._attempt, self._deadline_ms = attempt, deadline_ms
        self._rng, self._clock, self._flush_s, self._report = rng, clock, flush_s, report
        self._status = FoundingStatus(position=position)
        self._ceremonies: dict[int, CeremonyDriver] = {}
        self._by_digest: dict[bytes, CeremonyDriver] = {}
        self._shown: dict[int, ShownTranscript] = {}
        self._told: set[str] = set()
        self._all_told = asyncio.Event()
        self._is_done = False

    def get_status(self, caller: Identity | None) -> FoundingStatus:
        """Return what this party is about to found; who asked has been told."""
        if caller is not None:
            self._told.add(caller.name)
        if self._told >= self.roster - {self.party_id}:
            self._all_told.set()
        return self._status

    def _begin_telling(self) -> None:
        """There is news that everybody should ask for."""
        self._told.clear()
        self._all_told.clear()

    def get_transcript(self, group: int) -> tuple[bytes, ...]:
        """Return what was signed in a group's ceremony.

        Raises:
            UnexpectedEventError: it is not held here, or has not ended.
        """
        if group not in self._ceremonies:
            raise UnexpectedEventError(f"no key ceremony of group {group} is held here")
        return self._ceremonies[group].list_public()

    def receive(self, data: bytes, caller: Identity | None) -> None:
        """A statement of a ceremony is taken.

        Raises:
            UnexpectedEventError: its ceremony is not held here, or not yet.
            VetonetError: as ``CeremonyDriver.receive``.
        """
        named = read_ceremony(data)
        if named not in self._by_digest:
            raise UnexpectedEventError(f"no key ceremony {named.hex()[:16]} is held here")
        self._by_digest[named].receive(data, caller)

    async def run(
        self, peers: Mapping[str, FoundingPeer], memory: FoundingMemory
    ) -> tuple[Signed[Treaty], Derived]:
        """Return the treaty that all signed, and what this party has of it; call ``linger`` afterwards.

        Args:
            peers: every other party's founding, by party id.
            memory: is told before the ceremonies, and before this party signs the treaty.

        Raises:
            FoundingAbortedError: there is no treaty; it says through whom.
            ConfigError: the memory refuses.
            ValueError: a party has no peer here.
        """
        if set(peers) != self.roster - {self.party_id}:
            raise ValueError(
                f"expected a peer for each of {', '.join(sorted(self.roster - {self.party_id}))}"
            )
        await self._agree(peers)
        memory.begin(self._status.position)
        self._report("everybody is here with the same charter")
        derived = self._derive(await self._make_groups(peers))
        memory.keep(derived)
        treaty = await self._sign(peers, derived.treaty)
        self._report(f"all {len(self.roster)} parties signed")
        self._is_done = True
        return treaty, derived

    async def linger(self) -> None:
        """Whoever had not asked for what this party said last has done so, or the time for it is over."""
        patience_s = max(self._remaining_s, self._flush_s) if self._is_done else self._flush_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._all_told.wait()

    @property
    def _remaining_s(self) -> float:
        return max(0.0, (self._deadline_ms - self._clock()) / MS_PER_S)

    async def _agree(self, peers: Mapping[str, FoundingPeer]) -> None:
        """Everybody is about to found the same, or those that are not are named before it begins (VN-3.5)."""
        seen = {self.party_id: self._status.position}

        async def ask(name: str, peer: FoundingPeer) -> bool | None:
            position = (await peer.get_founding()).position
            if seen.get(name) != position:
                is_same = position == self._status.position
                self._report(f"{name} is here" if is_same else f"{name} has another charter or attempt")
            seen[name] = position
            # Whoever is still at an earlier attempt may be about to begin this one.
            return True if seen[name].attempt == self._attempt else None

        answered = await self._ask_all(peers, ask)
        if len(answered) == len(peers) and set(seen.values()) == {self._status.position}:
            return
        differing = list_differing(seen, self.party_id)
        if differing:
            raise FoundingAbortedError(differing, self._describe_difference(seen, differing[0]))
        raise FoundingAbortedError(tuple(sorted(self.roster - set(seen))), "could not be reached in time")

    def _describe_difference(self, seen: Mapping[str, Position], party_id: str) -> str:
        wrong = seen[party_id]
        common = next(p for name, p in seen.items() if p != wrong)
        return (
            f"at another charter or attempt, {wrong.charter.hex()[:16]} attempt {wrong.attempt}, where "
            f"others have {common.charter.hex()[:16]} attempt {common.attempt}; no ceremony was begun"
        )

    async def _make_groups(self, peers: Mapping[str, FoundingPeer]) -> tuple[_Made, ...]:
        """Return every group; the first ceremony that fails ends the others."""
        self._ceremonies = {
            index: self._begin_ceremony(index, plan)
            for index, plan in enumerate(self._plans)
            if isinstance(plan, CeremonyPlan) and self.party_id in plan.party_ids
        }
        self._by_digest = {held.plan.compute_digest(): held for held in self._ceremonies.values()}
        making = [asyncio.create_task(self._make(index, peers)) for index in range(len(self._plans))]
        try:
            return tuple(await asyncio.gather(*making))
        except FoundingAbortedError:
            self._begin_telling()  # what was signed in it is news to those that took no part
            raise
        finally:
            await _cancel(making)

    def _begin_ceremony(self, index: int, plan: CeremonyPlan) -> CeremonyDriver:
        old = self._taking_over
        return CeremonyDriver(
            plan,
            self.party_id,
            self._signing_key,
            deadline_ms=self._deadline_ms,
            rng=self._rng,
            clock=self._clock,
            flush_s=self._flush_s,
            key_shares=() if old is None else old.list_dealt(index, self.party_id),
            keep=None if old is None else partial(old.keep, index),
        )

    async def _make(self, index: int, peers: Mapping[str, FoundingPeer]) -> _Made:
        plan, ceremony = self._plans[index], self._ceremonies.get(index)
        if not isinstance(plan, CeremonyPlan):
            return _Made(package=plan, transcript=())
        others = {name: peer for name, peer in peers.items() if name in plan.party_ids}
        try:
            if ceremony is None:
                made = await self._watch(index, plan, others)
            else:
                end = await ceremony.run(others)
                made = _Made(package=end.package, transcript=end.transcript, key_shares=end.key_shares)
        except CeremonyAbortedError as error:
            named = error.verdict.culprits or error.verdict.silent
            signed = self._shown[index].statements if ceremony is None else ceremony.list_public()
            spoilt = SpoiltCeremony(attempt=self._attempt, group=index, statements=signed)
            reason = f"{error.verdict.reason} (group {index})"
            raise FoundingAbortedError(named, reason, spoilt=spoilt) from error
        self._report(f"group {index} of {', '.join(plan.party_ids)} is made")
        return made

    async def _watch(self, index: int, plan: CeremonyPlan, members: Mapping[str, FoundingPeer]) -> _Made:
        """Return a group that this party takes no part in, from what its participants signed (VN-15.6)."""
        shown = self._shown[index] = ShownTranscript(plan=plan)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._remaining_s):
                while shown.package is None:
                    for name, peer in members.items():
                        shown = self._shown[index] = await _ask_for_transcript(shown, index, name, peer)
                        if shown.verdict is not None and shown.verdict.culprits:
                            raise CeremonyAbortedError(shown.verdict)
                    if shown.package is None:
                        await asyncio.sleep(PAUSE_S)
                return _Made(package=shown.package, transcript=shown.statements)
        silence = CeremonyVerdict(silent=shown.plan.party_ids, reason="showed no ceremony in time")
        raise CeremonyAbortedError(shown.verdict or silence)

    def _derive(self, made: tuple[_Made, ...]) -> Derived:
        shares = (SeatShare(group=index, share=s) for index, one in enumerate(made) for s in one.key_shares)
        record = FoundingRecord(
            attempt=self._attempt,
            transcripts=tuple(GroupTranscript(statements=one.transcript) for one in made),
        )
        treaty = self._terms.to_treaty(one.package for one in made)
        if self._taking_over is not None:
            verify_takeover(self._taking_over.succession, treaty, record)
        return Derived(treaty=treaty, key_shares=tuple(shares), record=record)

    async def _sign(self, peers: Mapping[str, FoundingPeer], treaty: Treaty) -> Signed[Treaty]:
        """Return the treaty with the signature of everybody on its roster."""
        members = {party.party_id for party in treaty.parties}
        is_member = self.party_id in members
        digest, own = compute_digest(treaty), sign_entry(treaty, self._signing_key) if is_member else b""
        self._begin_telling()
        self._status = FoundingStatus(position=self._status.position, treaty=digest, signature=own)

        async def ask(name: str, peer: FoundingPeer) -> bytes | None:
            status = await peer.get_founding()
            if not status.signature:
                return None
            if status.treaty != digest:
                raise FoundingAbortedError((name,), f"signs another treaty, {status.treaty.hex()[:16]}")
            _verify(treaty, name, status.signature)
            return status.signature

        signing = {name: peer for name, peer in peers.items() if name in members}
        collected = await self._ask_all(signing, ask)
        missing = tuple(sorted(set(signing) - set(collected)))
        if missing:
            raise FoundingAbortedError(missing, "did not sign the treaty in time")
        entries: dict[PublicKey, bytes] = {self._signing_key.public_key: own} if is_member else {}
        entries |= {treaty.find_party_by_id(name).key: entry for name, entry in collected.items()}
        return open_treaty(attach_signatures(treaty, entries))

    async def _ask_all(
        self,
        peers: Mapping[str, FoundingPeer],
        ask: Callable[[str, FoundingPeer], Awaitable[T | None]],
    ) -> dict[str, T]:
        """Return what each peer answered; whoever gave no answer in time is left out.

        Raises:
            FoundingAbortedError: an answer was such that there can be no treaty.
        """
        tasks = {name: asyncio.create_task(self._ask(name, peer, ask)) for name, peer in peers.items()}
        try:
            if tasks:
                await asyncio.wait(
                    tasks.values(), timeout=self._remaining_s, return_when=asyncio.FIRST_EXCEPTION
                )
            return {name: task.result() for name, task in tasks.items() if task.done()}
        finally:
            await _cancel(tasks.values())

    async def _ask(
        self, name: str, peer: FoundingPeer, ask: Callable[[str, FoundingPeer], Awaitable[T | None]]
    ) -> T:
        """Return the peer's answer, however often it has to be asked."""
        while True:
            try:
                answer = await ask(name, peer)
            except FoundingAbortedError:
                raise
            except VetonetError as error:
                _logger.debug("%s does not answer: %s", name, error)
                answer = None
            if answer is not None:
                return answer
            await asyncio.sleep(PAUSE_S)


def _find_part(
    terms: Terms, attempt: int, taking_over: TakingOver | None
) -> tuple[tuple[GroupPlan, ...], tuple[Party, ...], Position]:
    """Return what becomes of each group, who takes part, and by what all see that they do the same."""
    if taking_over is None:
        position = Position(charter=compute_digest(terms), attempt=attempt)
        return plan_ceremonies(terms, attempt), terms.parties, position
    succession = taking_over.succession
    return succession.plans, succession.parties, succession.position


async def _ask_for_transcript(
    shown: ShownTranscript, index: int, name: str, peer: FoundingPeer
) -> ShownTranscript:
    """Return what was shown, with what this participant shows now, if anything that belongs there."""
    try:
        return shown.add(await peer.get_transcript(index))
    except VetonetError as error:
        _logger.debug("%s shows no transcript of group %d: %s", name, index, error)
        return shown


def _verify(treaty: Treaty, party_id: str, signature: bytes) -> None:
    try:
        verify_entry(treaty, treaty.find_party_by_id(party_id).key, signature)
    except InvalidSignatureError as error:
        raise FoundingAbortedError((party_id,), "its signature on the treaty does not verify") from error


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Every task has ended."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
