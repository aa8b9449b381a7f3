"""Laws of ceremonies that hold whatever some participants send and however the network behaves.

No honest party is ever convicted; whoever is convicted is so to any stranger; no two keys come of one
ceremony; and nothing but our own errors leaves the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.ceremony import (
    Cast,
    Cheat,
    Table,
    kind_of,
    make_cast,
    make_refresh,
    make_repair,
    make_resharing,
)
from vetonet.crypto import frost
from vetonet.crypto.statement import sign
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyEcho,
    CeremonyRound1,
    CeremonyShares,
    CeremonySums,
)
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import CeremonyPhase
from vetonet.voting.ceremony_transcript import CeremonyVerdict

CASTS = {
    "three": make_cast(3),
    "four": make_cast(4),
    "resharing": make_resharing(old=("p1", "p2", "p3"), k=2, dealers=(1, 2), new=("p1", "p3", "p5")),
    "refresh": make_refresh(old=("p1", "p2", "p3"), k=2, dealers=(1, 3)),
    "repair": make_repair(old=("p1", "p2", "p3"), k=2, dealers=(1, 3), lost=2),
}
Falsify = Callable[[Table, str, str, bytes, Random], bytes | None]


def drop(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes | None:
    del table, liar, receiver, data, random
    return None


def change_a_field(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes:
    """Another value of the same kind, most of the time one that somebody else's statement has there."""
    del receiver
    statement = table.cast.open(data)
    names = [declared.name for declared in fields(statement) if declared.name != "ceremony"]
    name = random.choice(names)
    value = getattr(statement, name)
    seen = [table.cast.open(sent) for _, _, sent in table.sent if kind_of(sent) == kind_of(data)]
    others = [getattr(other, name) for other in seen if type(other) is type(statement)]
    if isinstance(value, bytes):
        others.append(random.randbytes(len(value)))
    try:
        return table.cast.resign(liar, data, **{name: random.choice([value, *others])})
    except ValueError:  # a complaint of so many statements has so many keys
        return data


def deal_another_share(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes:
    statement = table.cast.open(data)
    if not isinstance(statement, CeremonyShares | CeremonySums):
        return data
    transcript, kind = table.states[liar].transcript, type(statement)
    shares = [
        frost.SecretPackage(sender=own, receiver=other, share=frost.Scalar(random.randrange(2**250)))
        for own, other in transcript.plan.list_pairs(kind, liar, receiver)
    ]
    sealed = seal_secrets(transcript, kind, shares, sender=liar, receiver=receiver)
    return sign(sealed, table.cast.keys[liar])


def complain(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes:
    """A complaint about something that was sent, with the right key while there is one."""
    del receiver
    secrets = table.states[liar].secrets
    held = [key.seed for key in secrets.hpke_keys.values()] if secrets else []
    seed = random.choice(held) if held and random.random() < 0.8 else random.randbytes(32)
    secret = {CeremonyShares.TYPE, CeremonySums.TYPE}
    mine = [sent for _, target, sent in table.sent if target == liar and kind_of(sent) in secret]
    shown = tuple(random.choices([*mine, data], k=random.randint(1, 2)))
    complaint = CeremonyComplaint(
        ceremony=table.cast.plan.compute_digest(), hpke_seeds=(seed,) * len(shown), sealed=shown
    )
    return sign(complaint, table.cast.keys[liar])


def disclose(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes:
    del receiver
    shown = tuple(random.choices([data, *(sent for _, _, sent in table.sent)], k=3))
    disclosure = CeremonyDisclosure(ceremony=table.cast.plan.compute_digest(), statements=shown)
    return sign(disclosure, table.cast.keys[liar])


def pass_on(table: Table, liar: str, receiver: str, data: bytes, random: Random) -> bytes:
    del liar, receiver
    return random.choice([data, *(sent for _, _, sent in table.sent)])


LIES: tuple[Falsify, ...] = (drop, change_a_field, deal_another_share, complain, disclose, pass_on)


def lie_at_times(liar: str, random: Random, rate: float) -> Cheat:
    def cheat(table: Table, receiver: str, data: bytes) -> bytes | None:
        if random.random() >= rate:
            return data
        return random.choice(LIES)(table, liar, receiver, data, random)

    return cheat


def play(cast: Cast, liars: tuple[str, ...], seed: int, rate: float) -> Table:
    random = Random(seed)
    cheats = {liar: lie_at_times(liar, random, rate) for liar in liars}
    return Table.seat(cast, cheats).run(random, duplicates=True).expire().run()


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(CASTS)),
    liars=st.sampled_from([("p1",), ("p2",), ("p1", "p3")]),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.05, 0.2, 0.5]),
)
def test_no_honest_party_is_ever_convicted(name: str, liars: tuple[str, ...], seed: int, rate: float) -> None:
    cast = CASTS[name]
    table = play(cast, liars, seed, rate)
    honest = [party_id for party_id in cast.keys if party_id not in liars]
    ends = {CeremonyPhase.DONE, CeremonyPhase.ABORTED}
    assert all(table.states[who].phase in ends and table.states[who].secrets is None for who in honest)
    assert len({table.finishes[who].package for who in honest if who in table.finishes}) <= 1
    for who in honest:
        if who in table.aborts:
            verdict = table.aborts[who].verdict
            assert set(verdict.culprits) <= set(liars)
            assert_convinces_a_stranger(table, who, verdict)


def assert_convinces_a_stranger(table: Table, name: str, verdict: CeremonyVerdict) -> None:
    """With what its finder saw of round 1 and the echoes, the evidence convicts somebody by itself."""
    if not verdict.culprits:
        return
    transcript = table.states[name].transcript
    seen = [
        signed.data
        for kind in (CeremonyRound1, CeremonyEcho)
        for signed in transcript.list_statements(kind).values()
    ]
    judged = replay_transcript(table.cast.plan, (*seen, *verdict.evidence))
    assert isinstance(judged, CeremonyVerdict)
    assert judged.culprits
    assert set(judged.culprits) <= set(verdict.culprits)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", sorted(CASTS))
def test_without_liars_everybody_has_the_key(name: str, seed: int) -> None:
    cast = CASTS[name]
    assert sorted(play(cast, (), seed, 1.0).finishes) == sorted(cast.keys)
