"""A party's own word: the ballots it signed, the one licence it signs, the nonces behind its grants.

Nonces live in memory only, each used once or never. A daemon that stops has burnt them: it can no longer take
part in signing what it granted before, and never signs two messages with one nonce, whatever was restored
from wherever. So what it remembers of a licence it signed may die with it, too.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.statement import sign
from vetonet.errors import RefusedError
from vetonet.party.keys import PartySecrets
from vetonet.policy.ballot import SIGNING_ATTEMPTS, Ballot, VetoReason
from vetonet.policy.quorum import Choice
from vetonet.units import Milliseconds, Rng
from vetonet.voting.state import Voting


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBallot:
    """A ballot that this party signed; ``is_logged`` once the log was seen to hold it."""

    choice: Choice
    reason: VetoReason | None
    data: bytes = field(repr=False)
    is_logged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    package: frost.SigningPackage
    share: frost.SignatureShare


class Grants:
    """Signs ballots and shares: of a proposal one ballot and one licence, with a nonce one message."""

    __slots__ = ("_answers", "_ballots", "_licences", "_nonces", "_rng", "_secrets")

    def __init__(self, secrets: PartySecrets, rng: Rng) -> None:
        """Begin without any memory; what was said before, the log says."""
        self._secrets: Final = secrets
        self._rng = rng
        self._ballots: dict[bytes, OwnBallot] = {}
        self._nonces: dict[tuple[bytes, int], frost.SigningNonces] = {}
        self._answers: dict[tuple[bytes, int], _Answer] = {}
        self._licences: dict[bytes, bytes] = {}

    def sign_ballot(
        self, vote: Voting, choice: Choice, reason: VetoReason | None, now: Milliseconds
    ) -> bytes:
        """Return this party's ballot; the very same bytes again while nobody has said that it is logged.

        Raises:
            RefusedError: the party has voted on this proposal, or signed another ballot on it.
        """
        digest = vote.proposal.payload_digest
        earlier = self._ballots.get(digest)
        if earlier is not None:
            return self._repeat(earlier, choice, reason)
        nonces, commitments = self._commit(choice)
        terms = vote.treaty
        ballot = Ballot(
            treaty_digest=terms.payload_digest,
            epoch=terms.statement.epoch,
            proposal_digest=digest,
            choice=choice,
            cast_ms=now,
            expires_ms=vote.proposal.statement.ends_ms,
            reason=reason,
            commitments=commitments,
        )
        data = sign(ballot, self._secrets.statement_key)
        self._nonces |= {(digest, attempt): pair for attempt, pair in enumerate(nonces)}
        self._ballots[digest] = OwnBallot(choice=choice, reason=reason, data=data)
        return data

    def mark_logged(self, proposal_digest: bytes) -> None:
        """The ballot on this proposal is in the log: voting again is refused from now on."""
        own = self._ballots.get(proposal_digest)
        if own is not None:
            self._ballots[proposal_digest] = replace(own, is_logged=True)

    def sign_share(
        self, proposal_digest: bytes, attempt: int, package: frost.SigningPackage
    ) -> frost.SignatureShare:
        """Return the signature share over a package that ``review_signing`` agreed to.

        The same package again gets the same share; another one for the same attempt is refused, whatever it
        says, because its nonces are spent. Another licence of the same proposal is refused in every attempt:
        a coordinator could log a ballot late and so derive a second one from the same votes (VN-7.3).

        Raises:
            RefusedError: the nonces of this attempt are spent on another package, or are gone, or the party
                signed another licence of this proposal.
            ProtocolError: the package has not this party's commitments.
        """
        key = (proposal_digest, attempt)
        answer = self._answers.get(key)
        if answer is not None and answer.package == package:
            return answer.share
        if answer is not None:
            msg = f"the nonces of attempt {attempt} were spent on another package"
            raise RefusedError(msg, clause="VN-7.3")
        if self._licences.get(proposal_digest, package.message) != package.message:
            msg = f"a share of another licence of proposal {proposal_digest.hex()[:16]} was given before"
            raise RefusedError(msg, clause="VN-7.3")
        if key not in self._nonces:
            msg = f"the nonces of attempt {attempt} are gone: restarted since the grant, or no grant"
            raise RefusedError(msg, clause="VN-7.3")
        share = frost.sign(package, self._nonces[key], self._secrets.key_share)
        self._licences[proposal_digest] = package.message
        self._answers[key] = _Answer(package=package, share=share)
        return share

    def forget(self, proposal_digests: Container[bytes]) -> None:
        """The nonces and shares of these proposals are gone for good; that the party voted is not."""
        self._nonces = {key: pair for key, pair in self._nonces.items() if key[0] not in proposal_digests}
        self._answers = {key: past for key, past in self._answers.items() if key[0] not in proposal_digests}
        self._licences = {key: said for key, said in self._licences.items() if key not in proposal_digests}

    def _commit(
        self, choice: Choice
    ) -> tuple[tuple[frost.SigningNonces, ...], tuple[frost.SigningCommitments, ...]]:
        if choice is not Choice.GRANT:
            return (), ()
        pairs = [frost.commit(self._secrets.key_share, self._rng) for _ in range(SIGNING_ATTEMPTS)]
        return tuple(nonces for nonces, _ in pairs), tuple(commitments for _, commitments in pairs)

    def _repeat(self, earlier: OwnBallot, choice: Choice, reason: VetoReason | None) -> bytes:
        if earlier.is_logged or (earlier.choice, earlier.reason) != (choice, reason):
            msg = f"{self._secrets.party_id} already signed a ballot on this proposal: {earlier.choice}"
            raise RefusedError(msg, culprit=self._secrets.party_id, clause="VN-6.4")
        return earlier.data
