"""A charter with two thresholds of different electorates, every statement key in hand, for founding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from support.ceremony import Cast, Table
from support.world import Council, make_council
from vetonet.crypto.keys import Ed25519SigningKey, SigningKey
from vetonet.crypto.statement import sign_jointly
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import Threshold
from vetonet.policy.founding import FoundingRecord, GroupTranscript, plan_ceremonies
from vetonet.policy.quorum import Quorum, Recusal
from vetonet.policy.treaty import Terms, open_treaty
from vetonet.voting.founding import read_group

WEIGHED = Threshold(min_grants=3, electorate=("p1", "p2", "p3"), weights=(2, 1, 1), minority=False)
PLAIN = Threshold(min_grants=2, electorate=("p3", "p4"), weights=(), minority=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """Terms of five parties, ``p5`` of which has no seat in any group, and their keys."""

    terms: Terms
    keys: Mapping[str, SigningKey]


def quorum_of(leaf: Threshold) -> Quorum:
    return Quorum(expression=leaf, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS)


@cache
def make_charter(name: str = "Test Treaty") -> Charter:
    """Return a charter: runs are ``WEIGHED``, leases are ``PLAIN``."""
    council = _make_council(name)
    return Charter(terms=council.treaty.statement.to_terms(), keys=council.party_keys)


@cache
def hold_ceremonies(attempt: int = 1) -> FoundingRecord:
    """Return what was signed when everybody kept to the rules."""
    charter = make_charter()
    return FoundingRecord(
        attempt=attempt,
        transcripts=tuple(
            GroupTranscript(
                statements=seat(charter, index, attempt).run(Random(index)).finishes["p3"].transcript
            )
            for index in range(2)
        ),
    )


@cache
def make_founded() -> Council:
    """Return the council whose treaty is what ``hold_ceremonies`` gave for its charter."""
    council, kept = _make_council("Test Treaty"), hold_ceremonies()
    plans = plan_ceremonies(make_charter().terms, kept.attempt)
    packages = [read_group(plan, part.statements) for plan, part in zip(plans, kept.transcripts, strict=True)]
    treaty = make_charter().terms.to_treaty(packages)
    return replace(
        council, treaty=open_treaty(sign_jointly(treaty, tuple(council.party_keys.values()))), key_shares={}
    )


@cache
def _make_council(name: str) -> Council:
    quorums = {ActionClass.RUN_GRANT: quorum_of(WEIGHED), ActionClass.LEASE_RENEWAL: quorum_of(PLAIN)}
    return make_council(5, 3, quorums=quorums, name=name)


def seat(charter: Charter, index: int, attempt: int = 1) -> Table:
    """Return the table of one group's ceremony."""
    plan = plan_ceremonies(charter.terms, attempt)[index]
    keys = {name: charter.keys[name] for name in plan.party_ids}
    held = {name: key for name, key in keys.items() if isinstance(key, Ed25519SigningKey)}
    return Table.seat(Cast(plan=plan, keys=held), seed=plan.context)
