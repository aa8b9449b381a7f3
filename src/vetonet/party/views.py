"""What a party or operator gets out of the services' messages: parsed values, believed as far as they verify.

A coordinator's word on phases and tallies is a convenience; a party decides by its own ``LogView``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vetonet.crypto.statement import Signed
from vetonet.encoding.record import tstr
from vetonet.errors import EncodingError
from vetonet.party.status import PartyStatus, ProposalStatus, read_status, spell_phase, status_message
from vetonet.policy.expression import MAX_PARTIES
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.matter import find_action, open_matter
from vetonet.policy.motion import Motion
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Decision
from vetonet.policy.treaty import Treaty
from vetonet.tlog.proof import LogProof
from vetonet.units import Milliseconds
from vetonet.v1 import coordinator_pb2, resources_pb2
from vetonet.voting.signing import GroupSession
from vetonet.voting.state import Phase
from vetonet.wire import convert

__all__ = [
    "BallotView",
    "CommitmentsAsked",
    "CulpritsNamed",
    "Heartbeat",
    "LoggedLease",
    "LoggedLicence",
    "PartyStatus",
    "ProposalStatus",
    "ProposalUpdated",
    "ProposalView",
    "SigningAsked",
    "WatchEvent",
    "read_event",
    "read_proposal",
    "read_status",
    "status_message",
]

MAX_REASON_CHARS: Final = 128
_PARTY_ID: Final = tstr(64)


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotView:
    """A ballot as the coordinator counted it."""

    party_id: str
    choice: Choice
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal as the coordinator shows it.

    Attributes:
        name: its resource name, which follows from the statement.
        matter: the statement that is voted on, verified: an operator's proposal or a party's motion.
        licence_leaf_index: where the licence or resolution is, once there is one.
        etag: changes whenever anything else does.
    """

    name: str
    matter: Signed[Proposal] | Signed[Motion]
    leaf_index: int
    decision: Decision
    phase: Phase
    ballots: tuple[BallotView, ...]
    licence_leaf_index: int | None
    etag: str

    @property
    def proposal(self) -> Signed[Proposal]:
        """The operator's proposal of a run.

        Raises:
            ValueError: the vote is on a motion.
        """
        if isinstance(self.matter.statement, Proposal):
            return self.matter
        raise ValueError("a vote on a motion has no proposal of a run")

    @property
    def run(self) -> Proposal | None:
        """The run that is proposed; None where the vote is on a motion."""
        return self.matter.statement if isinstance(self.matter.statement, Proposal) else None

    @property
    def phase_word(self) -> str:
        """The phase in a word for people."""
        return spell_phase(self.phase, find_action(self.matter.statement).value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedLicence:
    """A licence, verified, and the verified proof that it is in the log."""

    licence: Signed[Licence]
    proof: LogProof


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedLease:
    """A lease, verified, and the verified proof that it is in the log."""

    lease: Signed[Lease]
    proof: LogProof


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalUpdated:
    """Something about a proposal changed."""

    sequence: int
    proposal: ProposalView


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentsAsked:
    """The coordinator asks signers to commit to nonces; whether to is for each signer to review.

    Attributes:
        name: the proposal's resource name.
        lease: which lease of the licence is to be signed, 0 for the licence or resolution itself.
        attempt: from 0.
        party_ids: those that are asked.
        deadline_ms: until when enough of them must have.
    """

    sequence: int
    name: str
    lease: int
    attempt: int
    party_ids: tuple[str, ...]
    deadline_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAsked:
    """The coordinator asks for signature shares; whether to give one is for each signer to review.

    Attributes:
        name: the proposal's resource name.
        lease: which lease of the licence is signed, 0 for the licence or resolution itself.
        attempt: from 0.
        sessions: what the coordinator wants signed, by which seats of which groups.
        signers: ids of the parties that are asked.
        deadline_ms: after this the silent are left out.
    """

    sequence: int
    name: str
    lease: int
    attempt: int
    sessions: tuple[GroupSession, ...]
    signers: tuple[str, ...]
    deadline_ms: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CulpritsNamed:
    """The coordinator names who spoilt an attempt at the signature.

    Attributes:
        name: the proposal's resource name.
        party_ids: whom it names; they need not be on the roster any more, and nothing follows from it.
        reason: what it says of them.
    """

    sequence: int
    name: str
    party_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Nothing happened, and the server is still there."""

    sequence: int


WatchEvent: TypeAlias = ProposalUpdated | CommitmentsAsked | SigningAsked | CulpritsNamed | Heartbeat


def read_proposal(message: resources_pb2.Proposal, treaty: Signed[Treaty]) -> ProposalView:
    """Return a proposal whose statement its operator signed under this treaty, and whose name is its own.

    Raises:
        EncodingError: a malformed field, or a name that is not that of the statement.
        UnknownPartyError: a ballot of somebody who is not on the roster.
        ProtocolError, VerificationError: the statement is not a proposal under this treaty.
    """
    matter = open_matter(message.statement, treaty)
    if message.name != convert.proposal_name(matter.payload_digest):
        msg = f"the name {message.name[:64]!r} is not that of the proposal with it"
        raise EncodingError(msg)
    return ProposalView(
        name=message.name,
        matter=matter,
        leaf_index=message.leaf_index,
        decision=convert.read_decision(message),
        phase=convert.read_phase(message),
        ballots=tuple(_read_ballot(ballot, treaty.statement) for ballot in message.ballots),
        licence_leaf_index=message.licence_leaf_index if message.HasField("licence_leaf_index") else None,
        etag=message.etag,
    )


def read_event(message: coordinator_pb2.ProposalEvent, treaty: Signed[Treaty]) -> WatchEvent:
    """Return what a watch brought, about proposals that have names and parties that are on the roster.

    Who is said to have spoilt an attempt may have left it since, and is told of all the same.

    Raises:
        EncodingError: an event that this version does not know, or a malformed one.
        UnknownPartyError: it asks something of, or shows a ballot of, somebody who is not on the roster.
        ProtocolError, VerificationError: it shows a proposal that is none under this treaty.
    """
    match message.WhichOneof("event"):
        case "proposal_updated":
            proposal = read_proposal(message.proposal_updated, treaty)
            return ProposalUpdated(sequence=message.sequence, proposal=proposal)
        case "commitments_requested":
            return _read_committing(message.sequence, message.commitments_requested, treaty.statement)
        case "signing_requested":
            return _read_signing(message.sequence, message.signing_requested, treaty.statement)
        case "culprits_named":
            return _read_culprits(message.sequence, message.culprits_named)
        case "heartbeat":
            return Heartbeat(sequence=message.sequence)
    msg = "an event of a kind that this version does not know"
    raise EncodingError(msg)


def _read_ballot(message: resources_pb2.BallotSummary, treaty: Treaty) -> BallotView:
    (party_id,) = _read_parties([message.party_id], treaty)
    return BallotView(party_id=party_id, choice=convert.read_choice(message), leaf_index=message.leaf_index)


def _read_signing(sequence: int, message: coordinator_pb2.SigningRequested, treaty: Treaty) -> SigningAsked:
    return SigningAsked(
        sequence=sequence,
        name=_read_name(message.name),
        lease=message.lease,
        attempt=message.attempt,
        sessions=tuple(map(convert.read_session, message.sessions)),
        signers=_read_parties(message.signers, treaty),
        deadline_ms=message.deadline_ms,
    )


def _read_committing(
    sequence: int, message: coordinator_pb2.CommitmentsRequested, treaty: Treaty
) -> CommitmentsAsked:
    return CommitmentsAsked(
        sequence=sequence,
        name=_read_name(message.name),
        lease=message.lease,
        attempt=message.attempt,
        party_ids=_read_parties(message.party_ids, treaty),
        deadline_ms=message.deadline_ms,
    )


def _read_culprits(sequence: int, message: coordinator_pb2.CulpritsNamed) -> CulpritsNamed:
    if not message.reason.isprintable() or len(message.reason) > MAX_REASON_CHARS:
        msg = f"expected a printable reason of at most {MAX_REASON_CHARS} characters"
        raise EncodingError(msg)
    return CulpritsNamed(
        sequence=sequence,
        name=_read_name(message.name),
        party_ids=_read_told(message.party_ids),
        reason=message.reason,
    )


def _read_name(name: str) -> str:
    convert.parse_proposal_name(name)
    return name


def _read_told(party_ids: Sequence[str]) -> tuple[str, ...]:
    """Return these ids, each such as a roster can hold: they are shown as they are and decide nothing."""
    if len(party_ids) > MAX_PARTIES:
        raise EncodingError(f"expected at most {MAX_PARTIES} ids of parties, got {len(party_ids)}")
    return tuple(map(_PARTY_ID.from_item, party_ids))


def _read_parties(party_ids: Iterable[str], treaty: Treaty) -> tuple[str, ...]:
    """Return these ids, each of a party: whatever else a coordinator calls somebody is shown to nobody."""
    named = tuple(party_ids)
    for party_id in named:
        treaty.find_party_by_id(party_id)
    return named
