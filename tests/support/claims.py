"""What must hold of a conclave after every step: S1 to S4, recomputed from everything that was said.

Nothing here asks the code under test what it thinks: a claim is judged by who signed what when, which
checkpoints the witnesses vouched for by then, and what the chip did.
"""

from __future__ import annotations

from collections.abc import Iterator

from support.conclave import LEASE_FLOP, LEASE_MS, MIN_GRANTS, PARTIES, Conclave, Session
from vetonet.crypto.statement import peek, read_unverified
from vetonet.policy.ballot import Ballot
from vetonet.policy.lease import Lease, compute_signable_ms
from vetonet.policy.licence import Licence
from vetonet.policy.motion import Resolution
from vetonet.policy.quorum import Choice
from vetonet.policy.standing import Consent, Standing
from vetonet.units import Milliseconds

MIN_BLOCKING = len(PARTIES) - MIN_GRANTS + 1


def find_authors(hall: Conclave, decided: Licence | Resolution, digest: bytes) -> dict[str, Choice]:
    """Return whose ballots on a matter stand where a decision says that they do, and what they say."""
    found: dict[str, Choice] = {}
    for index in decided.ballot_leaf_indices:
        data = hall.log.leaf(index)
        ballot = read_unverified(data, Ballot)
        author, _ = hall.heard[data]
        is_of_it = (ballot.proposal_digest, ballot.treaty_digest) == (digest, decided.treaty_digest)
        assert is_of_it, "S1: a ballot on something else was counted"
        assert author not in found, "S1: a party was counted twice"
        found[author] = ballot.choice
    return found


def require_quorum(hall: Conclave, session: Session) -> None:
    """S1: what was decided rests on k grants of different parties, of which one at least is honest."""
    decided = session.statement
    if isinstance(decided, Licence | Resolution):
        authors = find_authors(hall, decided, session.task.digest)
        granting = {party for party, choice in authors.items() if choice is Choice.GRANT}
        assert len(granting) >= MIN_GRANTS, "S1: too few grants"
        assert granting & set(hall.honest), "S1: nobody honest granted"


def require_no_veto(hall: Conclave, session: Session, holder: str) -> None:
    """S2: no veto of the holder was in a vouched-for log, or with enough honest signers, at the close."""
    if not isinstance(session.statement, Licence):
        return
    closes_ms = session.statement.issued_ms
    for data, (author, _) in hall.heard.items():
        if author != holder or peek(data).kind != Ballot.TYPE:
            continue
        ballot = read_unverified(data, Ballot)
        if ballot.proposal_digest != session.task.digest or ballot.choice is not Choice.VETO:
            continue
        logged_ms = hall.find_witnessed_ms(hall.find_leaf(data))
        assert logged_ms is None or logged_ms >= closes_ms, "S2: a licence over a veto in the log"
        knowing = {
            party for (what, party), at_ms in hall.known_ms.items() if what == data and at_ms < closes_ms
        }
        knowing |= {holder} & set(hall.honest)
        assert len(knowing) < MIN_BLOCKING, "S2: a licence over a veto that honest signers had"


def require_single(hall: Conclave) -> None:
    """S3: an honest party signs one statement of a task, with a nonce one package, on a matter one ballot."""
    signed: dict[object, object] = {}
    for given in hall.given:
        task = (given.party_id, given.task)
        assert signed.setdefault(task, given.statement) == given.statement, "S3: two statements of a task"
        nonce = (given.party_id, given.commitments)
        assert signed.setdefault(nonce, given.package) == given.package, "S3: a nonce signed twice"
    for data, (author, _) in hall.heard.items():
        if author in hall.honest and peek(data).kind == Ballot.TYPE:
            matter = (author, "ballot", read_unverified(data, Ballot).proposal_digest)
            assert signed.setdefault(matter, data) == data, "S3: two ballots of an honest party"


def find_withdrawn_ms(hall: Conclave, digest: bytes, holder: str) -> Milliseconds | None:
    """Return since when consent to a run is withdrawn for good, or None where it is not.

    It is once the holder's withdrawal is in a log that the witnesses vouch for, or once n - k + 1 honest
    signers withdrew themselves or acknowledged the holder's.
    """
    current = dict(_list_withdrawals(hall, digest))
    by_log = [hall.find_witnessed_ms(hall.find_leaf(data)) for data in current.get(holder, ())]
    since = {party: _told_ms(hall, party, current, holder) for party in hall.honest}
    stopped = sorted(time for time in since.values() if time is not None)
    times = [time for time in by_log if time is not None]
    if len(stopped) >= MIN_BLOCKING:
        times.append(stopped[MIN_BLOCKING - 1])
    return min(times, default=None)


def _told_ms(hall: Conclave, party: str, current: dict[str, list[bytes]], holder: str) -> Milliseconds | None:
    own = [hall.heard[data][1] for data in current.get(party, ())]
    told = [hall.known_ms[data, party] for data in current.get(holder, ()) if (data, party) in hall.known_ms]
    return min(own + told, default=None)


def _list_withdrawals(hall: Conclave, digest: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Yield every party's withdrawals that it did not take back."""
    said: dict[str, list[tuple[Consent, bytes]]] = {}
    for data, (author, _) in hall.heard.items():
        if peek(data).kind == Consent.TYPE:
            consent = read_unverified(data, Consent)
            if consent.proposal_digest == digest:
                said.setdefault(author, []).append((consent, data))
    for author, entries in said.items():
        back = max((c.number for c, _ in entries if c.standing is Standing.GIVEN), default=0)
        kept = [data for c, data in entries if c.standing is Standing.WITHDRAWN and c.number > back]
        yield author, kept


def require_withdrawal(hall: Conclave, session: Session, holder: str) -> None:
    """S4: no lease comes about that was not due before consent was withdrawn, or under a suspension."""
    lease = session.statement
    if not isinstance(lease, Lease):
        return
    signable_ms = _find_signable_ms(hall, lease)
    withdrawn_ms = find_withdrawn_ms(hall, lease.proposal_digest, holder)
    assert withdrawn_ms is None or signable_ms <= withdrawn_ms, "S4: a lease after consent was withdrawn"
    for stopped_ms, resolution in list_suspensions(hall, lease.proposal_digest):
        begun_ms = max(stopped_ms, resolution.issued_ms)
        is_stopped = begun_ms < signable_ms and lease.ends_ms <= resolution.ends_ms
        assert not is_stopped, "S4: a lease under a suspension"


def _find_signable_ms(hall: Conclave, lease: Lease) -> Milliseconds:
    tenure = hall.ledger.find_tenure(lease.proposal_digest)
    return compute_signable_ms(tenure.licence.statement, lease.number)


def list_suspensions(hall: Conclave, digest: bytes) -> list[tuple[Milliseconds, Resolution]]:
    """Return what suspends a run, and since when witnesses have vouched for it."""
    found = []
    for session in hall.outcomes:
        decided = session.statement
        if isinstance(decided, Resolution) and decided.subject_digest == digest and session.data:
            since = hall.find_witnessed_ms(hall.find_leaf(session.data))
            if since is not None:
                found.append((since, decided))
    return found


def require_stop(hall: Conclave, digest: bytes, end_ms: Milliseconds, holder: str) -> None:
    """S4: a chip whose clock is right works no later than a lease after consent was withdrawn."""
    withdrawn_ms = find_withdrawn_ms(hall, digest, holder)
    assert withdrawn_ms is None or end_ms <= withdrawn_ms + LEASE_MS, "S4: work after consent was withdrawn"
    for stopped_ms, resolution in list_suspensions(hall, digest):
        begun_ms = max(stopped_ms, resolution.issued_ms)
        is_stopped = begun_ms + LEASE_MS < end_ms <= resolution.ends_ms
        assert not is_stopped, "S4: work under a suspension"


def require_allowance(hall: Conclave, done_flop: int, digest: bytes) -> None:
    """S4: a chip with any clock does no more than the leases allow that were signed."""
    numbers = {
        session.statement.number
        for session in hall.outcomes
        if isinstance(session.statement, Lease) and session.statement.proposal_digest == digest
    }
    assert done_flop <= len(numbers) * LEASE_FLOP, "S4: more work than the leases allow"
