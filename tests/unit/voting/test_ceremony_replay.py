"""A ceremony judged from its signed statements alone."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from support.ceremony import Table, kind_of, make_cast
from vetonet.crypto.hpke import generate_hpke_key
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EpochError
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyRound1,
    CeremonyShares,
)
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_transcript import (
    CeremonyTranscript,
    CeremonyVerdict,
)

CAST = make_cast(3)
TABLE = Table.seat(CAST).run()
STATEMENTS = TABLE.finishes["p1"].transcript


def of_kind(kind: str) -> list[bytes]:
    return [data for data in STATEMENTS if kind_of(data) == kind]


def complain(name: str, sender: str) -> bytes:
    """Return a false complaint, with the right key."""
    table = Table.seat(CAST)
    seed = table.states[name].require_secrets().hpke_keys[sender].seed
    shares = next(
        data
        for source, target, data in TABLE.sent
        if (source, target) == (sender, name) and kind_of(data) == CeremonyShares.TYPE
    )
    complaint = CeremonyComplaint(ceremony=CAST.plan.compute_digest(), hpke_seeds=(seed,), sealed=(shares,))
    return sign(complaint, CAST.keys[name])


@pytest.mark.parametrize("seed", range(3))
def test_anybody_recomputes_the_group_in_any_order(seed: int) -> None:
    shuffled = list(STATEMENTS)
    Random(seed).shuffle(shuffled)
    assert replay_transcript(CAST.plan, (*shuffled, *shuffled)) == TABLE.finishes["p1"].package


def test_what_anybody_keeps_of_it_is_the_same() -> None:
    assert {finish.transcript for finish in TABLE.finishes.values()} == {STATEMENTS}
    assert not of_kind(CeremonyShares.TYPE)


@pytest.mark.parametrize("missing", range(9))
def test_a_missing_statement_names_the_silent_and_gives_no_group(missing: int) -> None:
    left = [data for index, data in enumerate(STATEMENTS) if index != missing]
    verdict = replay_transcript(CAST.plan, left)
    assert isinstance(verdict, CeremonyVerdict)
    assert (verdict.culprits, len(verdict.silent)) == ((), 1)


def test_nothing_names_everybody_as_silent() -> None:
    verdict = replay_transcript(CAST.plan, ())
    assert isinstance(verdict, CeremonyVerdict)
    assert verdict.silent == ("p1", "p2", "p3")


def test_two_statements_of_one_party_are_found_when_two_transcripts_are_put_together() -> None:
    done = of_kind(CeremonyDone.TYPE)[1]
    other = CAST.resign("p2", done, package_digest=bytes(32))
    verdict = replay_transcript(CAST.plan, (*STATEMENTS, other))
    assert isinstance(verdict, CeremonyVerdict)
    assert verdict.culprits == ("p2",)
    assert set(verdict.evidence) == {done, other}


def test_a_disclosure_counts_as_what_it_holds() -> None:
    disclosure = CeremonyDisclosure(ceremony=CAST.plan.compute_digest(), statements=STATEMENTS)
    data = sign(disclosure, CAST.keys["p3"])
    assert replay_transcript(CAST.plan, [data]) == TABLE.finishes["p1"].package


def test_a_transcript_of_another_plan_is_refused() -> None:
    with pytest.raises(EpochError):
        replay_transcript(make_cast(3, context=b"attempt 2").plan, STATEMENTS)


def test_a_false_complaint_in_a_transcript_leaves_no_group() -> None:
    verdict = replay_transcript(CAST.plan, (*STATEMENTS, complain("p2", "p1")))
    assert isinstance(verdict, CeremonyVerdict)
    assert verdict.culprits == ("p2",)


def test_a_complaint_is_not_judged_without_every_round_one_and_echo() -> None:
    # Else a dealer could be held to a round 1 that it never saw.
    complaint = complain("p2", "p1")
    needed = [*of_kind(CeremonyRound1.TYPE), *of_kind(CeremonyEcho.TYPE)]
    assert find_culprits(*needed, complaint) == ("p2",)
    for left in itertools.combinations(needed, len(needed) - 1):
        assert find_culprits(*left, complaint) == ()


def find_culprits(*statements: bytes) -> tuple[str, ...]:
    verdict = replay_transcript(CAST.plan, statements)
    assert isinstance(verdict, CeremonyVerdict)
    return verdict.culprits


def test_a_complainer_with_another_round_one_convicts_no_dealer() -> None:
    # The dealer sealed to the key that everybody echoed, not to this one.
    owner = CAST.keys["p2"].public_key
    opened = {data: CeremonyTranscript.begin(CAST.plan).open(data) for data in STATEMENTS}
    mine = next(d for d in of_kind(CeremonyRound1.TYPE) if opened[d].signer == owner)
    other = generate_hpke_key(SeededRng(b"x")).public_key.encoded
    swapped = CAST.resign("p2", mine, hpke_keys=(other, other))
    needed = {*of_kind(CeremonyRound1.TYPE), *of_kind(CeremonyEcho.TYPE), swapped} - {mine}
    assert find_culprits(*needed, complain("p2", "p1")) == ()


@pytest.mark.parametrize("culprits", [(), ("p1",)])
def test_a_verdict_names_somebody_and_proves_guilt(culprits: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CeremonyVerdict(reason="nothing", culprits=culprits)
