"""Domain values as protobuf messages and back; what comes back is as untrusted as it came."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from google.protobuf.message import Message

from vetonet.crypto import frost
from vetonet.crypto.merkle import ConsistencyProof, InclusionProof
from vetonet.crypto.statement import Signed
from vetonet.errors import EncodingError
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Choice, Decision
from vetonet.tlog.proof import LogProof
from vetonet.v1 import coordinator_pb2, log_pb2, resources_pb2
from vetonet.voting.signing import (
    GroupCommitments,
    GroupSession,
    GroupShare,
    RequestCommitments,
    SigningRound,
)
from vetonet.voting.state import NameCulprits, Phase, Voting

_E = TypeVar("_E", bound=StrEnum)

COLLECTION: Final = "proposals/"
ALL_PROPOSALS: Final = "proposals/-"
NAME_BYTES: Final = 16
"""How much of a proposal's digest names it."""

ETAG_CHARS: Final = 16

PHASES: Final[Mapping[Phase, resources_pb2.Phase.ValueType]] = {
    Phase.OPEN: resources_pb2.PHASE_OPEN,
    Phase.SIGNING: resources_pb2.PHASE_SIGNING,
    Phase.LICENSED: resources_pb2.PHASE_LICENSED,
    Phase.VETOED: resources_pb2.PHASE_VETOED,
    Phase.EXPIRED: resources_pb2.PHASE_EXPIRED,
}
DECISIONS: Final[Mapping[Decision, resources_pb2.Decision.ValueType]] = {
    Decision.PENDING: resources_pb2.DECISION_PENDING,
    Decision.GRANTED: resources_pb2.DECISION_GRANTED,
    Decision.VETOED: resources_pb2.DECISION_VETOED,
    Decision.EXPIRED: resources_pb2.DECISION_EXPIRED,
}
CHOICES: Final[Mapping[Choice, resources_pb2.Choice.ValueType]] = {
    Choice.GRANT: resources_pb2.CHOICE_GRANT,
    Choice.VETO: resources_pb2.CHOICE_VETO,
    Choice.ABSTAIN: resources_pb2.CHOICE_ABSTAIN,
}


def proposal_name(proposal_digest: bytes) -> str:
    """Return the resource name of a proposal."""
    return f"{COLLECTION}{proposal_digest[:NAME_BYTES].hex()}"


def parse_proposal_name(name: str) -> bytes:
    """Return the first 16 bytes of the digest that a resource name spells.

    Raises:
        EncodingError: it is no proposal's name, or another spelling of one.
    """
    try:
        prefix = bytes.fromhex(name.removeprefix(COLLECTION))
    except ValueError:
        prefix = b""
    if len(prefix) != NAME_BYTES or name != proposal_name(prefix):
        raise EncodingError(f"expected a name like proposals/<32 hexadecimal digits>, got {name[:64]!r}")
    return prefix


def proposal_message(vote: Voting, *, licence_leaf_index: int | None) -> resources_pb2.Proposal:
    """Return a proposal as the coordinator shows it; its etag is a digest of everything else in it."""
    ballots = [
        resources_pb2.BallotSummary(
            party_id=logged.party_id,
            choice=CHOICES[logged.ballot.statement.choice],
            leaf_index=logged.leaf_index,
        )
        for logged in vote.ballots
    ]
    message = resources_pb2.Proposal(
        name=proposal_name(vote.digest),
        statement=vote.matter.data,
        leaf_index=vote.leaf_index,
        decision=DECISIONS[vote.decision],
        phase=PHASES[vote.phase],
        closes_ms=vote.matter.statement.closes_ms,
        ballots=ballots,
        licence_leaf_index=licence_leaf_index,
    )
    message.etag = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()[:ETAG_CHARS]
    return message


def read_phase(message: resources_pb2.Proposal) -> Phase:
    """Return the phase that a message names.

    Raises:
        EncodingError: it names none that we know.
    """
    return _only_key(PHASES, message.phase)


def read_decision(message: resources_pb2.Proposal) -> Decision:
    """Return the decision that a message names.

    Raises:
        EncodingError: it names none that we know.
    """
    return _only_key(DECISIONS, message.decision)


def read_choice(message: resources_pb2.BallotSummary) -> Choice:
    """Return the choice that a message names.

    Raises:
        EncodingError: it names none that we know.
    """
    return _only_key(CHOICES, message.choice)


def commitments_requested(
    digest: bytes, lease: int, asked: RequestCommitments
) -> coordinator_pb2.CommitmentsRequested:
    """Return the request to commit for one attempt."""
    return coordinator_pb2.CommitmentsRequested(
        name=proposal_name(digest),
        attempt=asked.attempt,
        party_ids=asked.party_ids,
        deadline_ms=asked.deadline_ms,
        lease=lease,
    )


def signing_requested(digest: bytes, lease: int, asked: SigningRound) -> coordinator_pb2.SigningRequested:
    """Return the request for the shares of one attempt."""
    return coordinator_pb2.SigningRequested(
        name=proposal_name(digest),
        attempt=asked.attempt,
        sessions=[_session_message(session) for session in asked.sessions],
        signers=asked.signers,
        deadline_ms=asked.deadline_ms,
        lease=lease,
    )


def _session_message(session: GroupSession) -> coordinator_pb2.GroupSession:
    package = coordinator_pb2.SigningPackage(
        message=session.package.message,
        commitments=[commitments.to_bytes() for commitments in session.package.commitments],
    )
    return coordinator_pb2.GroupSession(group=session.group, package=package)


def read_session(message: coordinator_pb2.GroupSession) -> GroupSession:
    """Return what a signer is asked to sign; whether it should is for the signer to review.

    Raises:
        EncodingError: malformed commitments.
        ProtocolError: no signers, or one that stands twice.
    """
    package = message.package
    commitments = tuple(frost.SigningCommitments.from_bytes(data) for data in package.commitments)
    signed = frost.SigningPackage(message=package.message, commitments=commitments)
    return GroupSession(group=message.group, package=signed)


def commitments_message(entry: GroupCommitments) -> coordinator_pb2.GroupCommitments:
    """Return what one seat commits to."""
    return coordinator_pb2.GroupCommitments(group=entry.group, commitments=entry.commitments.to_bytes())


def read_commitments(message: coordinator_pb2.GroupCommitments) -> GroupCommitments:
    """Return what one seat commits to.

    Raises:
        EncodingError: malformed commitments.
    """
    commitments = frost.SigningCommitments.from_bytes(message.commitments)
    return GroupCommitments(group=message.group, commitments=commitments)


def share_message(entry: GroupShare) -> coordinator_pb2.GroupShare:
    """Return what one seat signed."""
    return coordinator_pb2.GroupShare(group=entry.group, share=entry.share.to_bytes())


def read_share(message: coordinator_pb2.GroupShare) -> GroupShare:
    """Return what one seat signed.

    Raises:
        EncodingError: a malformed share.
    """
    return GroupShare(group=message.group, share=frost.SignatureShare.from_bytes(message.share))


def culprits_named(proposal_digest: bytes, named: NameCulprits) -> coordinator_pb2.CulpritsNamed:
    """Return the news of who spoilt an attempt."""
    name = proposal_name(proposal_digest)
    return coordinator_pb2.CulpritsNamed(name=name, party_ids=named.party_ids, reason=named.reason)


def receipt_message(proof: LogProof) -> resources_pb2.Receipt:
    """Return the proof that a leaf is logged."""
    return resources_pb2.Receipt(
        leaf_index=proof.leaf_index, hashes=proof.hashes, checkpoint=proof.checkpoint
    )


def read_receipt(message: resources_pb2.Receipt) -> LogProof:
    """Return the proof that a server sent; ``vetonet.tlog.verify_log_proof`` says whether it holds.

    Raises:
        EncodingError: a field is outside its bounds.
    """
    item = {1: message.leaf_index, 2: list(message.hashes), 3: message.checkpoint}
    return LogProof.from_item(item)


def licence_message(outcome: Signed[Licence] | Signed[Resolution], proof: LogProof) -> resources_pb2.Licence:
    """Return a licence or resolution with the proof that it is logged."""
    return resources_pb2.Licence(statement=outcome.data, receipt=receipt_message(proof))


def inclusion_message(proof: InclusionProof) -> log_pb2.InclusionProof:
    """Return an inclusion proof."""
    return log_pb2.InclusionProof(hashes=proof.hashes)


def consistency_message(proof: ConsistencyProof) -> log_pb2.ConsistencyProof:
    """Return a consistency proof."""
    return log_pb2.ConsistencyProof(hashes=proof.hashes)


def require_known_fields(message: Message) -> None:
    """The message holds nothing that this version does not know: doubt means no.

    Raises:
        EncodingError: it does; the error names the message.
    """
    stripped = type(message)()
    stripped.CopyFrom(message)
    stripped.DiscardUnknownFields()
    if stripped.ByteSize() != message.ByteSize():
        raise EncodingError(f"{message.DESCRIPTOR.name}: a field that this version does not know")


def _only_key(table: Mapping[_E, int], number: int) -> _E:
    for key, value in table.items():
        if value == number:
            return key
    raise EncodingError(f"expected one of {', '.join(table)}, got number {number}")
