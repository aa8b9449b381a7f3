"""A party's standing representative: drives its daemon by its rules, and says what came of it.

What the rules leave open a person decides through ``cast_vote`` and ``state_consent``. A ballot is durable
before it is sent (``memory``), so whatever kills the process, the same ballot goes out again and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.errors import EpochError, RefusedError, VetonetError
from vetonet.party.calls import Sleep
from vetonet.party.daemon import RECONNECT_PAUSE_S, PartyDaemon
from vetonet.party.deliberation import Resolve, deliberate
from vetonet.party.duty import find_vote
from vetonet.party.news import News
from vetonet.party.orders import Carried
from vetonet.party.ports import CoordinatorPort
from vetonet.party.status import PartyStatus
from vetonet.party.unlogged import Unlogged
from vetonet.party.views import CommitmentsAsked, CulpritsNamed, SigningAsked, WatchEvent
from vetonet.policy.ballot import Ballot, VetoReason
from vetonet.policy.quorum import Choice
from vetonet.policy.rules import Rules
from vetonet.policy.standing import Standing
from vetonet.tlog.fork import LogForkedError
from vetonet.tlog.proof import LogProof
from vetonet.units import MS_PER_S, Clock, format_time
from vetonet.voting.ledger import Ledger
from vetonet.voting.share_age import compute_refresh_due_ms
from vetonet.wire.convert import parse_proposal_name, proposal_name
from vetonet.wire.status import RpcError

Say: TypeAlias = Callable[[str], None]
"""Takes one line for people."""

MAX_SKEW_MS: Final = 2_000
"""How much earlier than this party's own clock says a close may be that it waits for."""

MAX_REMEMBERED: Final = 4_096
"""How many requests that were met, and things that were said, are known again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request of a coordinator; after its restart the same attempt has another deadline."""

    kind: type[WatchEvent]
    name: str
    lease: int
    attempt: int
    deadline_ms: int


class Envoy:
    """One party's daemon at work with nobody at the keyboard; also what its server serves."""

    def __init__(
        self,
        daemon: PartyDaemon,
        coordinator: CoordinatorPort,
        rules: Rules,
        *,
        clock: Clock,
        say: Say,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Represent the party of this daemon.

        Args:
            daemon: the party's.
            coordinator: whose news is followed; the one that the daemon talks to.
            rules: the party's own.
            clock: the one that the daemon has.
            say: where lines for people go.
            sleep: how to wait between connections.
        """
        self._daemon, self._coordinator, self._rules = daemon, coordinator, rules
        self._clock, self._say, self._sleep = clock, say, sleep
        self._news = News(say)
        self._met: set[_Asked] = set()
        self._speaking: set[bytes] = set()
        self._is_away = False

    @property
    def party_id(self) -> str:
        """Whose daemon it is."""
        return self._daemon.party_id

    def receive_ballot(self, data: bytes) -> None:
        """A ballot or withdrawal that another party handed over is verified and kept.

        Raises:
            VetonetError: it is not accepted.
        """
        self._daemon.receive_ballot(data)

    def get_status(self) -> PartyStatus:
        """Return what the daemon knows."""
        return self._daemon.get_status()

    def list_callers(self) -> frozenset[str]:
        """Return who may call: the roster of the treaty in force."""
        return self._daemon.list_callers()

    async def cast_vote(self, name: str, choice: Choice, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's ballot.

        Raises:
            RefusedError: there is no such vote, or the party has voted.
            VetonetError: the log does not hold it; where it was signed, it is sent again by itself.
        """
        digest = find_vote(await self._daemon.sync(), name).digest
        with self._spoken(digest):
            proof = await self._daemon.vote(digest, choice, reason)
        self._say(f"{name}: voted {choice}, as told, in leaf {proof.leaf_index}")
        return await self._carry(proof)

    async def state_consent(self, name: str, standing: Standing, reason: VetoReason | None) -> Carried:
        """Return where the log holds the party's word on its consent.

        Raises:
            RefusedError: there is no such run, or the party said just that last.
            VetonetError: the log does not hold it; where it was signed, it is sent again by itself.
        """
        digest = find_vote(await self._daemon.sync(), name).digest
        with self._spoken(digest):
            proof = await self._daemon.state_consent(digest, standing, reason)
        self._say(f"{name}: consent {standing}, as told, in leaf {proof.leaf_index}")
        return await self._carry(proof)

    async def run(self) -> None:
        """Follow the coordinator's news for ever, and act on it; reconnects whenever it must.

        Raises:
            LogForkedError: the log signed two histories: somebody has to look.
        """
        while True:
            try:
                async with contextlib.aclosing(self._coordinator.watch()) as events:
                    async for event in events:
                        await self._react(event)
            except LogForkedError:
                raise
            except EpochError:
                await self._catch_up()  # news of another treaty than the one that was last seen in force
            except VetonetError as error:
                self._news.tell_once("coordinator", f"the coordinator is away or refuses: {_explain(error)}")
                self._is_away = True
            await self._sleep(RECONNECT_PAUSE_S)

    async def _catch_up(self) -> None:
        """The log was followed, if it could be; what is refused now is refused again later, and said then."""
        try:
            await self._daemon.sync()
        except LogForkedError:
            raise
        except VetonetError as error:
            self._news.tell_once("coordinator", f"the log cannot be followed: {_explain(error)}")

    async def _react(self, event: WatchEvent) -> None:
        """Give what is asked for, then see what else there is to say."""
        if isinstance(event, CommitmentsAsked | SigningAsked):
            await self._meet(event)
        elif isinstance(event, CulpritsNamed):
            culprits = ", ".join(event.party_ids) or "nobody"
            self._say(f"{event.name}: the coordinator names {culprits}: {event.reason}")
        await self._daemon.sync()
        self._news.forget("coordinator")
        if self._is_away:
            self._is_away = False
            self._say("the coordinator is there again")
        await self._attend()

    async def _meet(self, asked: CommitmentsAsked | SigningAsked) -> None:
        """What a signer was asked for is given where its own review agrees, and once."""
        is_signing = isinstance(asked, SigningAsked)
        named = asked.signers if isinstance(asked, SigningAsked) else asked.party_ids
        key = _Asked(
            kind=type(asked),
            name=asked.name,
            lease=asked.lease,
            attempt=asked.attempt,
            deadline_ms=asked.deadline_ms,
        )
        if self.party_id not in named or key in self._met:
            return
        what = f"{asked.name}: {f'lease {asked.lease}' if asked.lease else 'outcome'}"
        await self._bear_skew(asked)
        try:
            await (
                self._daemon.answer(asked) if isinstance(asked, SigningAsked) else self._daemon.commit(asked)
            )
        except LogForkedError:
            raise
        except VetonetError as error:
            self._say(f"{what}, attempt {asked.attempt + 1}: refused: {_explain(error)}")
            return
        if len(self._met) >= MAX_REMEMBERED:
            self._met.clear()
        self._met.add(key)
        if is_signing:
            self._say(f"{what}, attempt {asked.attempt + 1}: signed")

    async def _bear_skew(self, asked: CommitmentsAsked | SigningAsked) -> None:
        """A coordinator whose clock is a little ahead asks before the close; one refusal costs an attempt."""
        prefix = parse_proposal_name(asked.name)
        votes = (vote for digest, vote in self._daemon.ledger.votes.items() if digest.startswith(prefix))
        closes_ms = max((vote.matter.statement.closes_ms for vote in votes), default=0)
        early_ms = closes_ms - self._clock()
        if 0 < early_ms <= MAX_SKEW_MS:
            await self._sleep(early_ms / MS_PER_S)

    async def _attend(self) -> None:
        """The log's news is told; what was signed and is in no log goes out again; the rules are followed."""
        status, ledger = self._daemon.get_status(), self._daemon.ledger
        self._news.tell(status, ledger)
        self._tell_age(ledger)
        resolved = deliberate(self._rules, ledger, self.party_id, self._clock(), signed=self._daemon.signed)
        for resolve in resolved:
            name = proposal_name(resolve.digest)
            self._news.tell_once(f"ruling {name}", f"{name}: {resolve.why}")
        again = [entry for entry in self._daemon.list_unlogged() if entry.digest not in self._speaking]
        await asyncio.gather(
            *(self._repeat(entry) for entry in again),
            *(self._vote(resolve) for resolve in resolved if resolve.digest not in self._speaking),
        )

    def _tell_age(self, ledger: Ledger) -> None:
        """Key shares that are older than the treaty allows are told of, once (VN-16.9)."""
        due_ms = compute_refresh_due_ms(ledger)
        if due_ms is not None and self._clock() >= due_ms:
            advice = "see `vetonet treaty succeed --refresh`"
            self._news.tell_once("refresh", f"key shares were to be new by {format_time(due_ms)}: {advice}")

    async def _vote(self, resolve: Resolve) -> None:
        """The ballot that the rules give is in the log, or it is said why not."""
        choice, reason = resolve.answer.choice, resolve.answer.reason
        if choice is None:
            return
        name = proposal_name(resolve.digest)
        with self._spoken(resolve.digest):
            try:
                proof = await self._daemon.vote(resolve.digest, choice, reason)
            except LogForkedError:
                raise
            except VetonetError as error:
                self._news.tell_once(
                    f"ballot {name}", f"{name}: no ballot is in the log yet: {_explain(error)}"
                )
                return
        self._say(f"{name}: voted {resolve.answer} by its rules, in leaf {proof.leaf_index}")

    async def _repeat(self, entry: Unlogged) -> None:
        """What was signed before is in the log, or it is said why not."""
        said, name = entry.said, proposal_name(entry.digest)
        with self._spoken(entry.digest):
            try:
                if isinstance(said, Ballot):
                    proof = await self._daemon.vote(entry.digest, said.choice, said.reason)
                else:
                    proof = await self._daemon.state_consent(entry.digest, said.standing, said.reason)
            except LogForkedError:
                raise
            except VetonetError as error:
                self._news.tell_once(
                    f"again {name}", f"{name}: what was signed is in no log yet: {_explain(error)}"
                )
                return
        word = said.choice if isinstance(said, Ballot) else f"consent {said.standing}"
        self._say(f"{name}: {word}, signed before, is now in leaf {proof.leaf_index}")

    @contextlib.contextmanager
    def _spoken(self, digest: bytes) -> Iterator[None]:
        """Within, nobody else says this party's word on the same matter."""
        if digest in self._speaking:
            raise RefusedError("the party's word on this is under way", culprit=self.party_id)
        self._speaking.add(digest)
        try:
            yield
        finally:
            self._speaking.discard(digest)

    async def _carry(self, proof: LogProof) -> Carried:
        """Whoever asks for the status next sees what was said: it is in the log, whoever may be away now."""
        with contextlib.suppress(VetonetError):
            await self._daemon.sync()
        return Carried(leaf_index=proof.leaf_index, undelivered=tuple(sorted(self._daemon.undelivered)))


def _explain(error: VetonetError) -> str:
    """Return why in a few words; what gRPC adds about sockets is for whoever looks for a bug."""
    text = str(error)
    return text.partition(": ")[0] if isinstance(error, RpcError) else text
