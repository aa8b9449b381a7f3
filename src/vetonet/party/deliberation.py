"""What a party does about the votes that are open: its rules, read against the log, and nothing else.

Three decisions are made here and not in the rules file. A motion is decided only by a rule that names its
class of action: the default is for runs. The operator's own party never grants: that grant would not count
(VN-4.5), so where its rules say grant it abstains, and says so; a veto or a question stands as it is. And a
party whose ballot no quorum counts stays silent.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from vetonet.policy.proposal import compute_linked_flop
from vetonet.policy.quorum import Choice
from vetonet.policy.rules import Answer, Rules, Ruling
from vetonet.units import Milliseconds
from vetonet.voting.ledger import Ledger
from vetonet.voting.state import Voting


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """What the party will do about one open vote.

    Attributes:
        digest: of the proposal or motion.
        answer: its choice, or that a person is asked.
        why: one line for people: which rule said so.
    """

    digest: bytes
    answer: Answer
    why: str


def deliberate(
    rules: Rules, ledger: Ledger, party_id: str, now: Milliseconds, *, signed: Container[bytes] = ()
) -> tuple[Resolve, ...]:
    """Return what is to be done about every vote on which the party can and did not yet say its word.

    Args:
        rules: the party's own.
        ledger: what the log amounts to, as the party itself read it.
        party_id: whose rules they are.
        now: the party's own clock.
        signed: digests of what it signed a ballot on, which may not be in the log yet.
    """
    votes = (ledger.votes[digest] for digest in ledger.order)
    return tuple(
        _resolve(rules, ledger, vote, party_id)
        for vote in votes
        if _can_speak(vote, party_id, now) and vote.digest not in signed
    )


def _can_speak(vote: Voting, party_id: str, now: Milliseconds) -> bool:
    """Whether a ballot of this party would still be taken, and could matter."""
    return (
        vote.outcome is None
        and vote.matter.statement.is_open_at(now)
        and vote.find_ballot(party_id) is None
        and party_id in vote.quorum.parties
    )


def _resolve(rules: Rules, ledger: Ledger, vote: Voting, party_id: str) -> Resolve:
    ruling = _rule(rules, ledger, vote)
    if ruling.answer.choice is Choice.GRANT and party_id in vote.recused:
        why = f"abstain: the run is that of an operator of {party_id} itself, whose grant does not count"
        return Resolve(digest=vote.digest, answer=Answer(choice=Choice.ABSTAIN), why=why)
    return Resolve(digest=vote.digest, answer=ruling.answer, why=ruling.explain())


def _rule(rules: Rules, ledger: Ledger, vote: Voting) -> Ruling:
    run = vote.run
    if run is None:
        return rules.decide_motion(vote.action.value)
    linked = compute_linked_flop(run, ledger.licensed)
    band = ledger.treaty.statement.find_band(linked).name
    return rules.decide(run, linked_flop=linked, band=band)
