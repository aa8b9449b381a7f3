"""A ceremony between daemons: the machine of ``vetonet.voting.ceremony`` over PartyService.

The roster is the plan's: before a key generation there is no treaty, and a resharing has members of two. A
caller must be the party that signed what it hands over. A peer that is not up yet, or not at this ceremony
yet, is tried again until the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NoReturn, Protocol, TypeAlias

import grpc.aio

from vetonet.crypto import frost
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import peek
from vetonet.errors import EpochError, UnexpectedEventError, UnknownPartyError, VetonetError
from vetonet.party.calls import CallPolicy
from vetonet.party.peer import CeremonyDesk, require_own_certificate
from vetonet.policy.ceremony import MAX_CEREMONY_BYTES, CeremonyPlan
from vetonet.units import MS_PER_S, Clock, Milliseconds, Rng
from vetonet.v1 import party_pb2, party_pb2_grpc
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
from vetonet.voting.ceremony_transcript import CeremonyAbortedError
from vetonet.wire.boundary import Context, Limits, read_caller
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Identity, Role, require_caller
from vetonet.wire.pki import Credential
from vetonet.wire.serving import BoundServer

CEREMONY_POLICY: Final = CallPolicy(deadline_s=10.0, attempts=1_000_000, first_pause_s=0.1, max_pause_s=2.0)
"""A peer is tried until the ceremony ends: everybody takes part, or nobody gets a key."""

RPC_TIMEOUT_S: Final = 10.0
FLUSH_S: Final = 5.0
"""How long proofs of guilt are still handed over after an abort; whoever was silent may never take them."""

ELSEWHERE_PAUSE_S: Final = 0.5
"""When a peer that was at another ceremony is tried again."""

_FIELD_BYTES: Final = 16
_SHORTEST_WAIT_S: Final = 0.01

_logger: Final = logging.getLogger(__name__)


Keeping: TypeAlias = Callable[[Keep], None]
"""Returns once the shares are durable, beside any older ones and under their context; raises where not."""


class CeremonyPeer(Protocol):
    """Another participant's daemon."""

    async def deliver_ceremony_message(self, data: bytes) -> None:
        """The peer has this signed statement.

        Raises:
            VetonetError: it refuses it, or cannot be reached.
        """
        ...


class OwnedDesk(CeremonyDesk, Protocol):
    """Where ceremonies are held, and whose it is."""

    @property
    def party_id(self) -> str:
        """Whose it is."""
        ...


class CeremonyDriver:
    """One party's ceremony at work: takes messages, delivers its own, and keeps the deadline."""

    def __init__(
        self,
        plan: CeremonyPlan,
        party_id: str,
        signing_key: SigningKey,
        *,
        deadline_ms: Milliseconds,
        rng: Rng,
        clock: Clock,
        flush_s: float = FLUSH_S,
        key_shares: Iterable[frost.KeyShare] = (),
        keep: Keeping | None = None,
    ) -> None:
        """Commit, for this one attempt; messages are taken from now on and sent by ``run``.

        Args:
            plan: what everybody agreed on.
            party_id: whose daemon it is.
            signing_key: the party's statement key.
            deadline_ms: when the silent are named.
            rng: the source of every secret.
            clock: the present.
            flush_s: how long the last words are handed over after the end.
            key_shares: the party's in the group that the plan hands over; they stay the caller's.
            keep: stores the new ones, before anybody hears that this party has them. Old shares may be
                erased once ``run`` has returned, when everybody said so, and never before; which of two
                stored sets counts, the next treaty says (VN-15.10). A generation may do without it: where
                its shares are lost, no treaty is signed.

        Raises:
            UnknownPartyError: the plan has no such party, or another key for it.
            ValueError: a share that is needed is missing or of another epoch, or nothing keeps new ones.
        """
        if plan.handover is not None and keep is None and plan.list_keeping_seats(party_id):
            raise ValueError("whoever hands a key over says where the new shares are kept")
        self.plan: Final = plan
        self._party_id: Final = party_id
        self._clock = clock
        self._deadline_ms = deadline_ms
        self._flush_s = flush_s
        self._outboxes: dict[str, asyncio.Queue[bytes]] = {}
        self._ended = asyncio.Event()
        self._end: Finish | Abort | None = None
        self._keep = keep
        self._failure: Exception | None = None
        outcome = begin(plan, party_id, signing_key, deadline_ms=deadline_ms, rng=rng, key_shares=key_shares)
        self._state: Ceremony = outcome[0]
        self._outboxes |= {name: asyncio.Queue() for name in self._state.others}
        self._carry_out(outcome)

    @property
    def party_id(self) -> str:
        """Whose part it is."""
        return self._party_id

    def receive(self, data: bytes, caller: Identity | None) -> None:
        """A statement is taken; one that came before changes nothing.

        Args:
            data: untrusted bytes.
            caller: who hands it over; None on a server without certificates, where only signatures count.

        Raises:
            WrongIdentityError: the caller is not the party that signed it.
            VetonetError: it is no participant's statement of this ceremony.
        """
        owners = self._state.transcript.owners
        signer = owners.get(peek(data, max_bytes=MAX_CEREMONY_BYTES).key_id or b"")
        if signer is None:
            raise UnknownPartyError("a statement whose signer takes no part in this ceremony")
        require_caller(caller, Role.PARTY, signer)
        if self._end is not None:
            # What comes late is no news, but the next attempt's must be sent again, to whoever serves that.
            self._state.transcript.open(data)
            return
        self._carry_out(step(self._state, MessageReceived(data=data), self._clock()))

    def list_public(self) -> tuple[bytes, ...]:
        """Return what was signed in a ceremony that has ended, and the proof of guilt where it was aborted.

        Raises:
            UnexpectedEventError: it has not ended.
        """
        if self._end is None:
            raise UnexpectedEventError("this key ceremony is still held")
        evidence = self._end.verdict.evidence if isinstance(self._end, Abort) else ()
        return tuple(dict.fromkeys((*self._state.transcript.list_public(), *evidence)))

    async def run(self, peers: Mapping[str, CeremonyPeer]) -> Finish:
        """Return the party's key shares and the group, once everybody is done and all was delivered.

        From here on everybody has its shares on disk, so old ones may be erased.

        Args:
            peers: every other participant's daemon, by party id.

        Raises:
            CeremonyAbortedError: there is no group; its verdict says through whom.
            ValueError: a participant has no peer here.
            Exception: what ``keep`` raised; this party never said that it is done, so nobody finishes.
        """
        if set(peers) != set(self._outboxes):
            msg = f"expected a peer for each of {', '.join(sorted(self._outboxes))}"
            raise ValueError(msg)
        deliveries = [asyncio.create_task(self._deliver_to(name, peer)) for name, peer in peers.items()]
        try:
            end = await self._wait_for_end()
            await self._flush(end)
        finally:
            for delivery in deliveries:
                delivery.cancel()
            self._log_failures(await asyncio.gather(*deliveries, return_exceptions=True))
        if isinstance(end, Abort):
            raise CeremonyAbortedError(end.verdict)
        return end

    def _carry_out(self, outcome: CeremonyOutcome) -> None:
        """The state counts and its effects happen, in order; after one that fails none does, ever."""
        self._state, effects = outcome
        for effect in effects:
            if self._failure is None:
                self._carry_out_one(effect)

    def _carry_out_one(self, effect: CeremonyEffect) -> None:
        match effect:
            case Broadcast(data=data):
                self._enqueue(self._outboxes, data)
            case Complain(data=data):
                _logger.warning("%s complains of bad shares", self._party_id)
                self._enqueue(self._outboxes, data)
            case SendTo(party_id=receiver, data=data):
                self._enqueue((receiver,), data)
            case Keep():
                self._store(effect)
            case Finish() | Abort():
                self._end = effect
                self._ended.set()

    def _store(self, kept: Keep) -> None:
        """The caller has the shares on disk, or this party ends here and stays silent."""
        if self._keep is None:
            return
        try:
            self._keep(kept)
        except Exception as error:  # noqa: BLE001 - the caller's, and ``run`` raises it
            self._failure = error
            self._ended.set()

    def _enqueue(self, receivers: Iterable[str], data: bytes) -> None:
        for receiver in receivers:
            self._outboxes[receiver].put_nowait(data)

    async def _deliver_to(self, name: str, peer: CeremonyPeer) -> None:
        """One peer gets everything that is for it, in order."""
        outbox = self._outboxes[name]
        while True:
            data = await outbox.get()
            await self._deliver(name, peer, data)
            outbox.task_done()

    async def _deliver(self, name: str, peer: CeremonyPeer, data: bytes) -> None:
        """The peer has the statement, or refuses it for good."""
        while True:
            try:
                return await peer.deliver_ceremony_message(data)
            except (EpochError, UnexpectedEventError, UnknownPartyError):
                # It is still at another ceremony, perhaps one that we take no part in, or at none.
                await asyncio.sleep(ELSEWHERE_PAUSE_S)
            except VetonetError as error:
                _logger.warning("%s does not take a statement of the ceremony: %s", name, error)
                return None

    async def _wait_for_end(self) -> Finish | Abort:
        while self._end is None:
            if self._failure is not None:
                raise self._failure
            remaining_s = (self._deadline_ms - self._clock()) / MS_PER_S
            try:
                async with asyncio.timeout(max(remaining_s, _SHORTEST_WAIT_S)):
                    await self._ended.wait()
            except TimeoutError:
                self._carry_out(step(self._state, TimePassed(), self._clock()))
        return self._end

    def _log_failures(self, results: Iterable[BaseException | None]) -> None:
        for result in results:
            if isinstance(result, Exception):
                _logger.error("a delivery failed with %s", type(result).__name__, exc_info=result)

    async def _flush(self, end: Finish | Abort) -> None:
        """What was said last reaches the others too: that we are done, or the proof of somebody's guilt."""
        remaining_s = (self._deadline_ms - self._clock()) / MS_PER_S
        patience_s = remaining_s if isinstance(end, Finish) else 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(patience_s, self._flush_s)):
                await asyncio.gather(*(outbox.join() for outbox in self._outboxes.values()))


class CeremonyServicer(party_pb2_grpc.PartyServiceServicer):
    """Serves ceremonies to their participants, and to nobody else; nothing of a treaty is served here."""

    def __init__(self, desk: CeremonyDesk, roster: Iterable[str], *, trust_domain: str | None) -> None:
        """Serve this desk to the roster; ``trust_domain`` is None on a server without certificates."""
        self._desk = desk
        self._roster = frozenset(roster)
        self._trust_domain = trust_domain

    async def DeliverCeremonyMessage(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.DeliverCeremonyMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.DeliverCeremonyMessageResponse:
        """The statement is verified and kept."""
        self._desk.receive(request.statement, self._require_participant(context))
        return party_pb2.DeliverCeremonyMessageResponse()

    async def DeliverBallot(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.DeliverBallotRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.DeliverBallotResponse:
        """Refuse it."""
        del request
        self._refuse(context)

    async def GetStatus(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.GetStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.PartyStatus:
        """Refuse it."""
        del request
        self._refuse(context)

    async def CastVote(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.CastVoteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.CastVoteResponse:
        """Refuse it."""
        del request
        self._refuse(context)

    async def StateConsent(  # noqa: N802 - the name is the proto's
        self, request: party_pb2.StateConsentRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> party_pb2.StateConsentResponse:
        """Refuse it."""
        del request
        self._refuse(context)

    def _refuse(self, context: Context) -> NoReturn:
        self._require_participant(context)
        raise UnexpectedEventError("no treaty is served here, only a ceremony")

    def _require_participant(self, context: Context) -> Identity | None:
        return require_participant(read_caller(context, trust_domain=self._trust_domain), self._roster)


def require_participant(caller: Identity | None, roster: Collection[str]) -> Identity | None:
    """Return the caller, who is a party of the roster; without certificates (None) only signatures count.

    Raises:
        WrongIdentityError: it is somebody else.
    """
    if caller is not None and (caller.role is not Role.PARTY or caller.name not in roster):
        msg = f"expected a participant of the ceremony, got {caller.role} {caller.name!r}"
        raise WrongIdentityError(msg, culprit=caller.name, clause="VN-13.1")
    return caller


async def serve_desk(
    desk: OwnedDesk,
    roster: Iterable[str],
    address: str,
    *,
    credential: Credential | None,
    max_message_bytes: int,
) -> BoundServer:
    """Return a running server of one ceremony, or of several; ``stop`` it when done.

    Args:
        desk: takes what is delivered.
        roster: who takes part in one of them.
        address: ``host:port``; port 0 for one that is free.
        credential: the party's, or None for plaintext, which only a loopback address may have.
        max_message_bytes: the largest statement of them.

    Raises:
        ConfigError: the address cannot be listened on.
        WrongIdentityError: the certificate is another participant's.
    """
    require_own_certificate(credential, desk.party_id)
    limits = Limits(max_request_bytes=max_message_bytes + _FIELD_BYTES, rpc_timeout_s=RPC_TIMEOUT_S)
    bound = BoundServer.bind(address, credential=credential, limits=limits)
    servicer = CeremonyServicer(desk, roster, trust_domain=bound.trust_domain)
    party_pb2_grpc.add_PartyServiceServicer_to_server(servicer, bound.server)
    await bound.start((party_pb2.DESCRIPTOR.services_by_name["PartyService"].full_name,))
    return bound
