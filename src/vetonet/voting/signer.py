"""What a party looks at before it lets a signature share go: the place where a veto binds (VN-7.3).

A coordinator can drop, delay and reorder; it cannot make an honest party sign over a veto that is in the log
or that reached the party by any other path.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from vetonet.crypto import frost
from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError
from vetonet.policy.ballot import SIGNING_ATTEMPTS, Ballot, verify_ballot_for
from vetonet.policy.licence import Licence
from vetonet.policy.proposal import verify_band
from vetonet.policy.quorum import Choice, Decision
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger
from vetonet.voting.machine import build_package, decide, derive, list_granting
from vetonet.voting.state import Voting


def review_signing(
    ledger: Ledger,
    proposal_digest: bytes,
    package: frost.SigningPackage,
    attempt: int,
    *,
    party_id: str,
    direct_ballots: Iterable[Signed[Ballot]],
    now: Milliseconds,
) -> Licence:
    """Return the licence that this party agrees to sign.

    Args:
        ledger: read by the party itself from leaves under a checkpoint it verified.
        proposal_digest: what the coordinator says is to be licensed.
        package: what the coordinator wants signed.
        attempt: which of each grant's commitments the package uses.
        party_id: who reviews.
        direct_ballots: ballots on this proposal that reached the party other than through the log.
        now: the party's own clock.

    Raises:
        RefusedError: a rule of VN-7.3 says no; the message says which.
    """
    vote = ledger.find(proposal_digest)
    _verify_tally(ledger, vote, now)
    _verify_direct_ballots(vote, direct_ballots)
    signers = _verify_signers(vote, package, party_id)
    if not 0 <= attempt < SIGNING_ATTEMPTS:
        _refuse(f"signing attempt {attempt}, expected 0 to {SIGNING_ATTEMPTS - 1}", party_id)
    licence = derive(vote)
    if build_package(vote, licence, signers, attempt) != package:
        _refuse("the package is not this licence under the commitments of the logged grants", None)
    return licence


def _verify_tally(ledger: Ledger, vote: Voting, now: Milliseconds) -> None:
    """The window is over by the party's own clock, the log grants, and no licence exists yet."""
    if vote.licence is not None:
        _refuse("the log already holds a licence for this proposal", None)
    decision = decide(vote, now)
    if decision is not Decision.GRANTED:
        _refuse(f"the ballots in the log say {decision}, not granted", None)
    verify_band(vote.proposal.statement, vote.treaty.statement, ledger.licensed)


def _verify_direct_ballots(vote: Voting, direct_ballots: Iterable[Signed[Ballot]]) -> None:
    """No veto that binds reached the party by another path, whatever the log says of its author (VN-7.3).

    Only such vetoes count here: if any ballot that the log lacks stopped a licence, every party could veto by
    sending its ballot to its peers alone.
    """
    for ballot in direct_ballots:
        voter = vote.treaty.statement.find_party(ballot.signer).party_id
        verify_ballot_for(ballot, vote.proposal, voter)
        if ballot.statement.choice is Choice.VETO and voter in vote.treaty.statement.quorum.veto_holders:
            _refuse(f"{voter} vetoed; the log does not say so, but its signed ballot does", None)


def _verify_signers(vote: Voting, package: frost.SigningPackage, party_id: str) -> tuple[str, ...]:
    """The signers are k parties whose grants count, this party among them."""
    treaty, granting = vote.treaty.statement, list_granting(vote)
    named = {treaty.compute_identifier(party): party for party in granting}
    signers = tuple(named[identifier] for identifier in package.identifiers if identifier in named)
    if len(signers) != len(package.identifiers) or len(signers) != treaty.quorum.min_grants:
        _refuse(f"expected {treaty.quorum.min_grants} signers among the parties that granted", None)
    if party_id not in signers:
        _refuse(f"{party_id} is not among the signers", party_id)
    return signers


def _refuse(why: str, culprit: str | None) -> NoReturn:
    msg = f"no signature share: {why}"
    raise RefusedError(msg, culprit=culprit, clause="VN-7.3")
