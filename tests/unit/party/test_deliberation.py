"""What the rules make of open votes: nothing that was said, is closed, or is somebody else's to say."""

from __future__ import annotations

import pytest

from support.world import NOW_MS, Council, make_council
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError
from vetonet.party.deliberation import Resolve, deliberate
from vetonet.party.rules_file import parse_rules
from vetonet.policy.action import ActionClass
from vetonet.policy.motion import MOVABLE, Motion
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.rules import ASK, RUN_GRANT, Rules
from vetonet.units import MS_PER_HOUR
from vetonet.voting.ledger import Ledger, read_leaves

MOTIONS = {
    ActionClass.NEW_GUARANTEE: Quorum.of_threshold(2, ("p1", "p2", "p3")),
    ActionClass.SECURITY_PATCH: Quorum.of_threshold(2, ("p1", "p2")),
}
COUNCIL = make_council(quorums=MOTIONS)
SMALL = COUNCIL.sign_proposal(total_flop=4 * 10**24)
LARGE = COUNCIL.sign_proposal(total_flop=4 * 10**26, per_device_flop=10**26)
RULES = """\
default = "ask"
[[rule]]
when = { below-flop = "1e25" }
decide = "grant"
[[rule]]
when = { at-least-flop = "1e26" }
decide = "veto"
reason = "scale"
"""


def rules(text: str = RULES) -> Rules:
    return parse_rules(text, "rules", actions=(RUN_GRANT, *(a.value for a in MOVABLE)))


def ledger(*leaves: Signed[Proposal] | Signed[Motion] | bytes, council: Council = COUNCIL) -> Ledger:
    data = [leaf if isinstance(leaf, bytes) else leaf.data for leaf in leaves]
    return read_leaves(Ledger(treaty=council.treaty), enumerate(data, start=1))


def answers(resolved: tuple[Resolve, ...]) -> list[str]:
    return [str(resolve.answer) for resolve in resolved]


def test_every_open_vote_gets_what_the_first_rule_says_in_the_order_of_the_log() -> None:
    resolved = deliberate(rules(), ledger(LARGE, SMALL), "p1", NOW_MS)
    assert [resolve.digest for resolve in resolved] == [LARGE.payload_digest, SMALL.payload_digest]
    assert answers(resolved) == ["veto (scale)", "grant"]
    assert resolved[1].why == "grant: rule 1 holds (linked total below 1e25 FLOP)"


@pytest.mark.parametrize("now", [NOW_MS - 1, NOW_MS + MS_PER_HOUR])
def test_a_vote_that_is_not_open_by_the_partys_own_clock_gets_nothing(now: int) -> None:
    assert deliberate(rules(), ledger(SMALL), "p1", now) == ()


def test_a_vote_is_open_until_its_last_moment() -> None:
    assert len(deliberate(rules(), ledger(SMALL), "p1", NOW_MS + MS_PER_HOUR - 1)) == 1


def test_a_party_whose_ballot_is_in_the_log_says_nothing_more() -> None:
    voted = ledger(SMALL, COUNCIL.sign_ballot("p1", SMALL, Choice.ABSTAIN).data)
    assert deliberate(rules(), voted, "p1", NOW_MS) == ()
    assert answers(deliberate(rules(), voted, "p2", NOW_MS)) == ["grant"]


def test_a_party_that_signed_a_ballot_which_is_in_no_log_says_nothing_more() -> None:
    assert deliberate(rules(), ledger(SMALL), "p1", NOW_MS, signed={SMALL.payload_digest}) == ()


def test_the_operators_own_party_abstains_where_its_rules_grant() -> None:
    own = COUNCIL.sign_proposal(operator_id="op2")
    (resolved,) = deliberate(rules(), ledger(own), "p1", NOW_MS)
    assert resolved.answer.choice is Choice.ABSTAIN
    assert "operator of p1 itself" in resolved.why
    assert answers(deliberate(rules(), ledger(own), "p2", NOW_MS)) == ["grant"]


def test_the_operators_own_party_may_veto_and_may_ask() -> None:
    own = COUNCIL.sign_proposal(operator_id="op2")
    vetoing = rules('default = "veto"\ndefault-reason = "other"')
    assert answers(deliberate(vetoing, ledger(own), "p1", NOW_MS)) == ["veto (other)"]
    assert deliberate(rules('default = "ask"'), ledger(own), "p1", NOW_MS)[0].answer == ASK


@pytest.mark.parametrize("default", ['"grant"', '"abstain"', '"veto"\ndefault-reason = "other"'])
def test_no_default_decides_a_motion(default: str) -> None:
    motion = COUNCIL.move("p2", ActionClass.NEW_GUARANTEE)
    (resolved,) = deliberate(rules(f"default = {default}"), ledger(motion), "p1", NOW_MS)
    assert resolved.answer == ASK


def test_a_motion_is_decided_by_a_rule_that_names_its_class_and_nothing_else() -> None:
    motion = COUNCIL.move("p2", ActionClass.NEW_GUARANTEE)
    text = """\
default = "ask"
[[rule]]
when = { action = ["run-grant", "new-guarantee"], below-flop = "1e25" }
decide = "veto"
reason = "other"
[[rule]]
when = { action = "new-guarantee" }
decide = "grant"
"""
    (resolved,) = deliberate(rules(text), ledger(motion), "p1", NOW_MS)
    assert (str(resolved.answer), resolved.why) == ("grant", "grant: rule 2 holds (action new-guarantee)")


def test_a_party_whose_ballot_no_quorum_counts_stays_silent() -> None:
    motion = COUNCIL.move("p3", ActionClass.SECURITY_PATCH)
    text = 'default = "ask"\n[[rule]]\nwhen = { action = "security-patch" }\ndecide = "grant"'
    assert deliberate(rules(text), ledger(motion), "p3", NOW_MS) == ()
    assert answers(deliberate(rules(text), ledger(motion), "p1", NOW_MS)) == ["grant"]


def test_runs_that_hold_a_licence_count_into_the_total() -> None:
    council = make_council()
    first = council.sign_proposal(total_flop=7 * 10**24, per_device_flop=2 * 10**24)
    second = council.sign_proposal(total_flop=4 * 10**24)
    ballots = {party: council.sign_ballot(party, first) for party in ("p1", "p2")}
    licence = council.sign_licence(first, ballots)
    granted = ledger(first, *(b.data for b in ballots.values()), licence.data, second, council=council)
    (resolved,) = deliberate(rules(), granted, "p3", NOW_MS)
    assert (resolved.digest, resolved.answer) == (second.payload_digest, ASK)


def test_a_rule_for_motions_that_asks_for_a_run_is_a_mistake() -> None:
    when = "{ action = 'new-guarantee', below-flop = '1e25' }"
    with pytest.raises(ConfigError, match="rules:3: expected action alone"):
        rules(f"default = 'ask'\n[[rule]]\nwhen = {when}\ndecide = 'grant'")
