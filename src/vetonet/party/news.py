"""What is new in a log, in lines for people, each thing once."""

from __future__ import annotations

from collections.abc import Callable

from vetonet.party.status import LicenceStatus, PartyStatus, ProposalStatus
from vetonet.policy.matter import describe_sponsor
from vetonet.units import format_time, spell_flop
from vetonet.voting.ledger import Ledger
from vetonet.voting.state import Phase, Voting
from vetonet.wire.convert import parse_proposal_name


class News:
    """Compares what a daemon knows with what was told before."""

    __slots__ = ("_leases", "_licences", "_phases", "_said", "_say", "_started")

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin with nothing told; ``say`` takes one line."""
        self._say = say
        self._phases: dict[str, Phase] = {}
        self._licences: dict[str, str] = {}
        self._leases: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._started = False

    def tell(self, status: PartyStatus, ledger: Ledger) -> None:
        """What came, ended or was renewed since the last time is told; at first only what is still open."""
        if not self._started:
            open_count = sum(entry.phase is Phase.OPEN for entry in status.proposals)
            self._say(f"caught up with the log: {len(status.proposals)} votes, {open_count} of them open")
        for entry in status.proposals:
            self._tell_vote(entry, ledger)
        for licence in status.licences:
            self._tell_licence(licence)
        self._started = True

    def tell_once(self, topic: str, line: str) -> None:
        """The line is told unless it was the last one on its topic."""
        if self._said.get(topic) != line:
            self._said[topic] = line
            self._say(line)

    def forget(self, topic: str) -> None:
        """The next line on this topic is told, whatever it is."""
        self._said.pop(topic, None)

    def _tell_vote(self, entry: ProposalStatus, ledger: Ledger) -> None:
        before = self._phases.get(entry.name)
        self._phases[entry.name] = entry.phase
        if before is None and entry.phase is Phase.OPEN:
            self._say(f"{entry.name}: {_describe(_find(ledger, entry.name))}")
        elif before is not None and before is not entry.phase:
            self._say(f"{entry.name}: {entry.phase_word}{_say_unlogged(entry)}")

    def _tell_licence(self, entry: LicenceStatus) -> None:
        lease = self._leases.get(entry.name, 0 if self._started else entry.lease)
        self._leases[entry.name] = entry.lease
        if entry.lease > lease:
            ends = format_time(entry.lease_ends_ms)
            self._say(f"{entry.name}: lease {entry.lease} of licence {entry.licence_id} holds until {ends}")
        obstacle = self._licences.get(entry.name, "" if self._started else entry.obstacle)
        self._licences[entry.name] = entry.obstacle
        if entry.obstacle != obstacle:
            why = entry.obstacle or "nothing is in the way any more"
            self._say(f"{entry.name}: leases of licence {entry.licence_id}: {why}")


def _say_unlogged(entry: ProposalStatus) -> str:
    """Return what to look into: ballots that others handed over and that the log never held."""
    if not entry.unlogged_ballots:
        return ""
    return f"; {entry.unlogged_ballots} ballots reached this party directly that the log does not hold"


def _find(ledger: Ledger, name: str) -> Voting:
    prefix = parse_proposal_name(name)
    return next(vote for digest, vote in ledger.votes.items() if digest.startswith(prefix))


def _describe(vote: Voting) -> str:
    asked = vote.matter.statement
    sponsor, closes = describe_sponsor(asked), format_time(asked.closes_ms)
    what = (
        f"the motion {vote.action.value}"
        if vote.run is None
        else f"{vote.run.workload} of up to {spell_flop(vote.run.total_flop)} FLOP"
    )
    return f"{sponsor} asks for {what}; the vote closes at {closes}"
