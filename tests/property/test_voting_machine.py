"""The voting machine under any order of events, against an oracle that knows only sets and numbers."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.floor import Floor, spoil
from support.world import NOW_MS, Council, make_council
from vetonet.crypto.frost import SigningPackage
from vetonet.errors import ProtocolError
from vetonet.policy.quorum import Choice
from vetonet.voting.signing import MAX_STALLS, Signing, Stage
from vetonet.voting.state import Phase

PARTIES = ("p1", "p2", "p3", "p4", "p5")
MIN_GRANTS = 3
VETO_HOLDER = "p1"

parties = st.sampled_from(PARTIES)
choices = st.sampled_from(list(Choice))


def found_council() -> Council:
    return make_council(len(PARTIES), MIN_GRANTS, veto_holders=[VETO_HOLDER])


class VoteMachine(RuleBasedStateMachine):
    """Ballots, commitments, shares good and bad, silence and time in any order; safety after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor.open(found_council())
        self.votes: dict[str, Choice] = {}
        self.now = NOW_MS
        self.bad: set[str] = set()
        self.used: dict[bytes, SigningPackage] = {}

    @property
    def open(self) -> bool:
        return self.floor.vote.phase is Phase.OPEN

    @rule(party=parties, choice=choices)
    def vote(self, party: str, choice: Choice) -> None:
        ballot = self.floor.council.sign_ballot(party, self.floor.proposal, choice)
        in_time = self.now < self.floor.close_ms and self.open
        repeated = self.votes.get(party) is choice
        allowed = repeated or (in_time and party not in self.votes)
        before = self.floor.vote
        try:
            self.floor.receive(ballot, self.now)
            assert allowed
            self.votes[party] = choice
        except ProtocolError:
            assert not allowed
            assert self.floor.vote == before

    @precondition(lambda self: self.floor.vote.signing is None)
    @rule(minutes=st.sampled_from([1, 30, 90]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * 60_000
        self.floor.pass_time(self.now)

    @precondition(lambda self: self.floor.vote.signing is not None)
    @rule(seconds=st.sampled_from([1, 60, 180]))
    def wait_for_signers(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.floor.pass_time(self.now)

    @precondition(lambda self: self.floor.vote.signing is not None)
    @rule(party=parties)
    def commit(self, party: str) -> None:
        allowed = party in self.floor.signing.asked
        granted = self.votes.get(party) is Choice.GRANT
        assert allowed == (granted and party not in self.floor.signing.excluded)
        try:
            self.floor.commit(party, now=self.now)
            assert allowed
        except ProtocolError:
            assert not allowed
        self.note_commitments()

    @precondition(lambda self: stage_of(self.floor) is Stage.GATHERING)
    @rule()
    def all_commit(self) -> None:
        for party in self.floor.signing.asked:
            self.floor.commit(party, now=self.now)
        self.note_commitments()

    @precondition(lambda self: stage_of(self.floor) is Stage.SIGNING)
    @rule(is_bad=st.booleans())
    def answer(self, *, is_bad: bool) -> None:
        self.note_commitments()
        asked = self.floor.round
        party = next(party for party in asked.signers if party not in asked.shares)
        shares = self.floor.make_shares(party)
        if is_bad:
            self.bad.add(party)
        self.floor.send_shares(party, spoil(shares) if is_bad else shares)

    def note_commitments(self) -> None:
        """No nonce is ever asked for in two different packages (VN-7.2)."""
        if stage_of(self.floor) is Stage.SIGNING:
            for session in self.floor.round.sessions:
                for commitments in session.package.commitments:
                    package = session.package
                    assert self.used.setdefault(commitments.to_bytes(), package) == package

    @invariant()
    def a_licence_exists_only_with_its_quorum_and_without_a_binding_veto(self) -> None:
        if self.floor.vote.licence is None:
            return
        assert sum(choice is Choice.GRANT for choice in self.votes.values()) >= MIN_GRANTS
        assert self.votes.get(VETO_HOLDER) is not Choice.VETO
        assert self.now >= self.floor.close_ms

    @invariant()
    def only_the_bad_and_the_silent_are_left_out(self) -> None:
        signing = self.floor.vote.signing
        if signing is not None:
            often_silent = {party for party, stalls in signing.stalls.items() if stalls >= MAX_STALLS}
            assert signing.excluded <= self.bad | often_silent

    @invariant()
    def an_attempt_is_only_under_way_with_enough_signers_that_granted(self) -> None:
        if stage_of(self.floor) is Stage.SIGNING:
            signers = self.floor.round.signers
            assert len(signers) == MIN_GRANTS
            assert all(self.votes[party] is Choice.GRANT for party in signers)
            assert not self.floor.signing.excluded & set(signers)

    @invariant()
    def the_log_tells_the_same_story(self) -> None:
        read = self.floor.read_ledger().find(self.floor.proposal.payload_digest)
        assert read.ballots == self.floor.vote.ballots
        assert read.licence == self.floor.vote.licence

    @invariant()
    def the_phase_is_what_the_table_of_the_quorum_says(self) -> None:
        if self.open:
            return
        if self.votes.get(VETO_HOLDER) is Choice.VETO:
            assert self.floor.vote.phase is Phase.VETOED
        elif sum(choice is Choice.GRANT for choice in self.votes.values()) < MIN_GRANTS:
            assert self.floor.vote.phase is Phase.EXPIRED
        else:
            assert self.floor.vote.phase in {Phase.SIGNING, Phase.LICENSED, Phase.EXPIRED}


class SigningMachine(VoteMachine):
    """The same rules after a vote that was granted, so that most examples are about signing."""

    @initialize(granting=st.sets(parties, min_size=MIN_GRANTS))
    def grant(self, granting: set[str]) -> None:
        for party in sorted(granting):
            self.vote(party, Choice.GRANT)
        self.wait(90)


def stage_of(floor: Floor) -> Stage | None:
    signing: Signing | None = floor.vote.signing
    return None if signing is None else signing.stage


SETTINGS = settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)
TestVoteMachine = VoteMachine.TestCase
TestVoteMachine.settings = SETTINGS
TestSigningMachine = SigningMachine.TestCase
TestSigningMachine.settings = settings(SETTINGS, max_examples=40)
