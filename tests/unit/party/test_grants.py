"""A party's own word, killed anywhere: no nonce signs twice, no second ballot, and still the licence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest

from support.floor import Floor
from support.world import Council, make_council
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.errors import RefusedError, StorageError
from vetonet.party.grants import MAX_UNSPENT, Grants
from vetonet.party.keys import PartySecrets
from vetonet.party.memory import SHARE, GivenShare, PartyMemory, Task
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import VetoReason, open_ballot
from vetonet.policy.expression import Threshold
from vetonet.policy.quorum import Choice, Quorum
from vetonet.storage import MemoryJournal
from vetonet.storage.journal import Record
from vetonet.units import Rng
from vetonet.voting.signing import (
    GroupCommitments,
    GroupShare,
    SigningRound,
    Stage,
    list_seats,
    list_signing_seats,
)
from vetonet.voting.state import Phase

T = TypeVar("T")


class KilledError(Exception):
    """The process ends here; what is in memory is gone."""


@dataclass(slots=True)
class Reaper:
    """Kills at the n-th of the moments at which a process can die; at none where n is 0."""

    at: int = 0
    passed: int = 0

    def pass_by(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            raise KilledError


@dataclass(slots=True)
class DyingJournal:
    """A journal whose process can be killed just before and just after a record is durable."""

    reaper: Reaper
    kept: MemoryJournal = field(default_factory=MemoryJournal)

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        self.reaper.pass_by()
        places = self.kept.append(records)
        self.reaper.pass_by()
        return places

    def __getattr__(self, name: str) -> object:
        return getattr(self.kept, name)


@dataclass(slots=True)
class Signer:
    """A party that can be killed, and what left it: the ballot, and each share under its commitments."""

    council: Council
    party_id: str
    reaper: Reaper = field(default_factory=Reaper)
    rng: Rng | None = None
    lives: int = 0
    ballots: set[bytes] = field(default_factory=set)
    used: dict[bytes, frost.SigningPackage] = field(default_factory=dict)
    journal: DyingJournal = field(init=False)
    grants: Grants = field(init=False)

    def __post_init__(self) -> None:
        self.journal = DyingJournal(self.reaper)
        self.begin()

    def begin(self) -> None:
        """A new process over the old journal."""
        self.lives += 1
        secrets = PartySecrets(
            party_id=self.party_id,
            statement_key=self.council.party_keys[self.party_id],
            key_shares=self.council.key_shares[self.party_id],
        )
        rng = self.rng or SeededRng(f"{self.party_id} {self.lives}".encode())
        self.grants = Grants(secrets, PartyMemory.open(self.journal.kept), rng)
        self.grants._memory._journal = self.journal  # type: ignore[assignment]

    def vote(self, floor: Floor, choice: Choice = Choice.GRANT) -> bytes:
        reason = VetoReason.SCALE if choice is Choice.VETO else None
        data = self.grants.sign_ballot(floor.vote, choice, reason, floor.proposal.statement.opens_ms)
        self.ballots.add(data)
        self.reaper.pass_by()
        return data

    def commit(self, floor: Floor) -> tuple[GroupCommitments, ...]:
        seats = list_seats(self.council.treaty.statement, floor.vote.action, self.party_id)
        commitments = self.grants.commit(Task(digest=floor.vote.digest), seats, self.council.treaty)
        self.reaper.pass_by()
        return commitments

    def sign(self, floor: Floor, asked: SigningRound | None = None) -> tuple[GroupShare, ...]:
        asked = asked or floor.round
        shares = self.grants.sign_shares(
            Task(digest=floor.vote.digest),
            asked.attempt,
            statement=floor.signing.statement,
            sessions=asked.sessions,
            seats=list_signing_seats(self.council.treaty.statement, asked.sessions, self.party_id),
            treaty=self.council.treaty,
            now=floor.close_ms,
        )
        self.note(asked, shares)
        self.reaper.pass_by()
        return shares

    def note(self, asked: SigningRound, shares: tuple[GroupShare, ...]) -> None:
        """A share has left: its nonces are for this package alone, and its burning is on the disk."""
        packages = {session.group: session.package for session in asked.sessions}
        for entry in shares:
            package = packages[entry.group]
            (mine,) = (c for c in package.commitments if c.identifier == entry.share.identifier)
            assert self.used.setdefault(mine.to_bytes(), package) == package
            assert mine in self.list_burnt()

    def list_burnt(self) -> list[frost.SigningCommitments]:
        records = [stored.record for stored in self.journal.kept.read(0, 999)]
        given = [GivenShare.from_bytes(record.payload) for record in records if record.kind == SHARE]
        return [commitments for entry in given for commitments in entry.commitments]

    def survive(self, deed: Callable[[Floor], T], floor: Floor) -> T | None:
        """Return what was done, or None where the party was killed over it; it is back at once."""
        try:
            return deed(floor)
        except KilledError:
            self.begin()
            return None


def gather(council: Council, victim: str, at: int) -> dict[str, Signer]:
    reapers = {party: Reaper(at if party == victim else 0) for party in council.party_ids}
    return {party: Signer(council, party, reaper) for party, reaper in reapers.items()}


def run_vote(council: Council, signers: dict[str, Signer]) -> Floor:
    """Return the floor after all granted and signed, each asked again as long as it does not answer."""
    floor = Floor.open(council)
    for signer in signers.values():
        data = signer.survive(signer.vote, floor) or signer.vote(floor)
        floor.receive(open_ballot(data, council.treaty))
    now = floor.close_ms
    floor.pass_time(now)
    while floor.vote.signing is not None:
        for party in floor.signing.awaited:
            signer = signers[party]
            offered = signer.survive(signer.commit, floor) or signer.commit(floor)
            floor.commit(party, commitments=offered, now=now)
        attempt = floor.round
        for party in attempt.signers:
            signer = signers[party]
            shares = signer.survive(signer.sign, floor)
            if shares is not None:
                floor.send_shares(party, shares)
        now = attempt.deadline_ms
        if floor.vote.signing is not None:
            floor.pass_time(now)
    return floor


def count_moments(council: Council, victim: str) -> int:
    signers = gather(council, victim, 0)
    assert run_vote(council, signers).vote.phase is Phase.LICENSED
    return signers[victim].reaper.passed


@pytest.mark.parametrize("victim", ["p1", "p3"])
def test_a_signer_killed_between_nonce_and_share_never_uses_a_nonce_twice(victim: str) -> None:
    # VN-7.2, VN-7.5, VN-7.7: killed once at every moment, before and after each record and each answer.
    # All three must sign, so the licence comes only if the killed one signs after all.
    council = make_council(3, 3)
    moments = count_moments(council, victim)
    assert moments == 7
    for at in range(1, moments + 1):
        signers = gather(council, victim, at)
        floor = run_vote(council, signers)
        killed = signers[victim]
        assert killed.lives == 2
        assert floor.vote.phase is Phase.LICENSED
        assert len(killed.list_burnt()) == len(set(killed.list_burnt()))
        assert killed.used.keys() <= {commitments.to_bytes() for commitments in killed.list_burnt()}
        assert len(killed.ballots) == 1


def test_a_signer_that_is_killed_again_and_again_costs_two_attempts_and_not_the_licence() -> None:
    # VN-7.5: killed over every share; the others are enough.
    council = make_council(4, 3)
    signers = gather(council, "p1", 0)
    floor = Floor.open(council)
    for signer in signers.values():
        floor.receive(open_ballot(signer.vote(floor), council.treaty))
    now = floor.close_ms
    floor.pass_time(now)
    attempts = 0
    while floor.vote.signing is not None:
        attempts += 1
        for party in floor.signing.awaited:
            floor.commit(party, commitments=signers[party].commit(floor), now=now)
        attempt = floor.round
        for party in attempt.signers:
            if party == "p1":
                signers[party].reaper.at = signers[party].reaper.passed + 2  # durable, and the share is lost
            shares = signers[party].survive(signers[party].sign, floor)
            if shares is not None:
                floor.send_shares(party, shares)
        now = attempt.deadline_ms
        floor.pass_time(now)
    assert (floor.vote.phase, attempts, signers["p1"].lives) == (Phase.LICENSED, 3, 3)
    assert len(signers["p1"].list_burnt()) == 2
    assert signers["p1"].used == {}


@pytest.fixture
def council() -> Council:
    return make_council(3, 2)


def begin(council: Council, *names: str) -> tuple[Floor, dict[str, Signer]]:
    """Return a floor where these parties granted and the window is over."""
    signers = {name: Signer(council, name) for name in names}
    floor = Floor.open(council)
    for signer in signers.values():
        floor.receive(open_ballot(signer.vote(floor), council.treaty))
    floor.pass_time(floor.close_ms)
    return floor, signers


def ask(floor: Floor, signers: dict[str, Signer]) -> SigningRound:
    for party, signer in signers.items():
        floor.commit(party, commitments=signer.commit(floor))
    assert floor.signing.stage is Stage.SIGNING
    return floor.round


def test_a_signer_whose_randomness_repeats_after_a_restart_refuses_the_burnt_nonce(council: Council) -> None:
    # VN-7.2: a machine restored from a snapshot draws the same numbers again.
    floor, signers = begin(council, "p1", "p2")
    signer = signers["p1"]
    signer.rng = SeededRng(b"frozen")
    signer.begin()
    first = ask(floor, signers)
    signer.sign(floor)
    signer.rng = SeededRng(b"frozen")
    signer.begin()
    again = signer.commit(floor)
    assert again[0].commitments in first.sessions[0].package.commitments
    others = signers["p2"].commit(floor)[0].commitments
    package = replace(first.sessions[0].package, commitments=(again[0].commitments, others))
    session = replace(first.sessions[0], package=package)
    for attempt in (0, 1):
        with pytest.raises(RefusedError, match=r"burnt|gone or spent") as caught:
            signer.sign(floor, replace(first, attempt=attempt, sessions=(session,)))
        assert caught.value.clause == "VN-7.3"
    assert len(signer.list_burnt()) == 1


def test_the_same_sessions_get_the_same_shares_and_other_sessions_none(council: Council) -> None:
    # VN-7.2
    floor, signers = begin(council, "p1", "p2")
    first = ask(floor, signers)
    signer = signers["p1"]
    assert signer.sign(floor) == signer.sign(floor)
    (session,) = first.sessions
    own, _ = session.package.commitments
    fresh = signers["p2"].commit(floor)[0].commitments
    other = replace(session, package=replace(session.package, commitments=(own, fresh)))
    for attempt in (0, 1):
        with pytest.raises(RefusedError, match="gone or spent"):
            signer.sign(floor, replace(first, attempt=attempt, sessions=(other,)))
    assert len(signer.used) == 1


def test_an_attempt_begun_with_earlier_commitments_is_signed_once_and_only_the_newest_few_live(
    council: Council,
) -> None:
    # VN-7.2: a coordinator that asks again, as after a lost connection, may have begun with the first.
    floor, signers = begin(council, "p1", "p2")
    ask(floor, signers)
    signers["p1"].commit(floor)
    signers["p1"].sign(floor)
    floor, signers = begin(council, "p1", "p2")
    ask(floor, signers)
    for _ in range(MAX_UNSPENT):
        signers["p1"].commit(floor)
    with pytest.raises(RefusedError, match="gone or spent"):
        signers["p1"].sign(floor)


def test_nonces_of_one_matter_do_not_sign_another(council: Council) -> None:
    # VN-7.2
    floor, signers = begin(council, "p1", "p2")
    other, _ = begin(council, "p1", "p2")
    asked = ask(floor, signers)
    signer = signers["p1"]
    with pytest.raises(RefusedError, match="gone or spent"):
        signer.grants.sign_shares(
            Task(digest=other.vote.digest),
            asked.attempt,
            statement=other.signing.statement,
            sessions=asked.sessions,
            seats=((0, 1),),
            treaty=council.treaty,
            now=floor.close_ms,
        )
    signer.sign(floor)


def test_a_refused_or_failed_signature_costs_the_nonces(council: Council) -> None:
    # VN-7.2: whatever came of it, they are given once.
    floor, signers = begin(council, "p1", "p2")
    ask(floor, signers)
    signer = signers["p1"]
    signer.journal.kept.close()
    with pytest.raises(StorageError):
        signer.sign(floor)
    with pytest.raises(RefusedError, match="gone or spent"):
        signer.sign(floor)
    assert signer.used == {}


def test_forgotten_matters_have_no_nonces_and_the_ballot_is_still_known(council: Council) -> None:
    floor, signers = begin(council, "p1", "p2")
    ask(floor, signers)
    signer = signers["p1"]
    signer.grants.forget(lambda task: task.digest == floor.vote.digest)
    with pytest.raises(RefusedError, match="gone or spent"):
        signer.sign(floor)
    with pytest.raises(RefusedError, match="already signed a ballot") as caught:
        signer.vote(floor, Choice.VETO)
    assert (caught.value.culprit, caught.value.clause) == ("p1", "VN-6.4")


def test_a_restarted_party_signs_no_other_ballot(council: Council) -> None:
    # VN-6.4
    floor, signers = begin(council, "p1", "p2")
    signer = signers["p1"]
    signer.begin()
    assert signer.vote(floor) in signer.ballots
    assert len(signer.ballots) == 1
    for choice in (Choice.VETO, Choice.ABSTAIN):
        with pytest.raises(RefusedError, match="already signed"):
            signer.vote(floor, choice)


def test_a_party_with_two_seats_burns_two_nonces_in_one_record() -> None:
    # VN-7.2: one record, so that no kill leaves one nonce burnt and the other alive.
    leaf = Threshold(min_grants=3, electorate=("p1", "p2", "p3"), weights=(2, 1, 1), minority=False)
    quorum = replace(Quorum.of_threshold(2, ("p1", "p2", "p3")), expression=leaf)
    council = make_council(3, 2, quorums={ActionClass.RUN_GRANT: quorum})
    floor, signers = begin(council, "p1", "p2")
    ask(floor, signers)
    for party, signer in signers.items():
        floor.send_shares(party, signer.sign(floor))
    assert floor.vote.phase is Phase.LICENSED
    shares = [stored for stored in signers["p1"].journal.kept.read(0, 9) if stored.record.kind == SHARE]
    assert (len(shares), len(signers["p1"].list_burnt())) == (1, 2)
