"""The voting machine under any order of events, against an oracle that knows only sets and numbers."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.floor import Floor, spoil
from support.world import NOW_MS, Council, make_council
from vetonet.errors import ProtocolError
from vetonet.policy.quorum import Choice
from vetonet.voting.state import Phase

PARTIES = ("p1", "p2", "p3", "p4", "p5")
MIN_GRANTS = 3
VETO_HOLDER = "p1"

parties = st.sampled_from(PARTIES)
choices = st.sampled_from(list(Choice))


def found_council() -> Council:
    return make_council(len(PARTIES), MIN_GRANTS, veto_holders=[VETO_HOLDER])


class VoteMachine(RuleBasedStateMachine):
    """Ballots, shares good and bad, silence and time in any order; safety after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor.open(found_council())
        self.votes: dict[str, Choice] = {}
        self.now = NOW_MS
        self.bad: set[str] = set()

    @property
    def open(self) -> bool:
        return self.floor.vote.phase is Phase.OPEN

    @rule(party=parties, choice=choices)
    def vote(self, party: str, choice: Choice) -> None:
        nonces = dict(self.floor.council.nonces)
        ballot = self.floor.council.sign_ballot(party, self.floor.proposal, choice)
        in_time = self.now < self.floor.close_ms and self.open
        repeated = choice is not Choice.GRANT and self.votes.get(party) is choice  # grants draw fresh nonces
        allowed = repeated or (in_time and party not in self.votes)
        before = self.floor.vote
        if not allowed or repeated:
            self.floor.council.nonces.update(nonces)
        try:
            self.floor.receive(ballot, self.now)
            assert allowed
            self.votes[party] = choice
        except ProtocolError:
            assert not allowed
            assert self.floor.vote == before

    @rule(minutes=st.sampled_from([1, 30, 90]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * 60_000
        self.floor.pass_time(self.now)

    @precondition(lambda self: self.floor.vote.signing is not None)
    @rule(is_bad=st.booleans())
    def answer(self, *, is_bad: bool) -> None:
        signing = self.floor.vote.signing
        assert signing is not None
        party = next(party for party in signing.signers if party not in signing.shares)
        share = self.floor.make_share(party)
        if is_bad:
            self.bad.add(party)
        self.floor.send_share(party, spoil(share) if is_bad else share)

    @invariant()
    def a_licence_exists_only_with_its_quorum_and_without_a_binding_veto(self) -> None:
        if self.floor.vote.licence is None:
            return
        assert sum(choice is Choice.GRANT for choice in self.votes.values()) >= MIN_GRANTS
        assert self.votes.get(VETO_HOLDER) is not Choice.VETO
        assert self.now >= self.floor.close_ms

    @invariant()
    def only_the_bad_and_the_silent_are_left_out(self) -> None:
        shares = self.floor.vote.signing.shares if self.floor.vote.signing else {}
        assert not self.floor.vote.excluded & (shares.keys() - self.bad)

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


TestVoteMachine = VoteMachine.TestCase
TestVoteMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, derandomize=True)
