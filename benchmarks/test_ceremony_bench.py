"""One party's whole ceremony by group size, beside bare Ed25519 verification measured in the same run.

Everything that crosses a wire is parsed, verified, sealed and opened here; only gRPC is left out. Thresholds
are two thirds, rounded up, and each party has one seat. The others' statements are made beforehand without
their own verification of everybody else's, which a hundred parties do on a hundred machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from reference import measure_bare_verification_s, note_bare_verifications

from support.ceremony import Cast, make_cast, make_handover
from vetonet.crypto import frost
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.policy.ceremony import (
    CeremonyDone,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyShares,
    CeremonySums,
    SecretKind,
)
from vetonet.policy.handover import CeremonyKind
from vetonet.voting.ceremony import begin, step
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import (
    Broadcast,
    Ceremony,
    CeremonyEffect,
    Finish,
    MessageReceived,
    SendTo,
)
from vetonet.voting.ceremony_transcript import CeremonyTranscript

SIZES = [5, 15, 50, 100]
HANDOVER_SIZES = [5, 15, 50]
DEADLINE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """A plan, and what one party receives in the course of the ceremony."""

    plan: CeremonyPlan
    name: str
    key: SigningKey
    key_shares: tuple[frost.KeyShare, ...]
    received: tuple[bytes, ...]
    package: frost.PublicKeyPackage

    def run(self) -> list[CeremonyEffect]:
        """Return all that the party does, from its commitment to its key share, the same each time."""
        state, first = begin(
            self.plan,
            self.name,
            self.key,
            deadline_ms=DEADLINE_MS,
            rng=SeededRng(self.name.encode()),
            key_shares=self.key_shares,
        )
        effects = list(first)
        for data in self.received:
            state, more = step(state, MessageReceived(data=data), 0)
            effects += more
        return effects


def make_bench_cast(kind: CeremonyKind, size: int) -> Cast:
    """Return a council of so many seats, of which two thirds hand its key over; in a resharing one leaves."""
    k = -(-2 * size // 3)
    if kind is CeremonyKind.GENERATION:
        return make_cast(size, k)
    old = tuple(f"p{number}" for number in range(1, size + 1))
    is_resharing, is_repair = kind is CeremonyKind.RESHARING, kind is CeremonyKind.REPAIR
    return make_handover(
        kind,
        old=old,
        k=k,
        dealers=tuple(range(1, k + 1)),
        new=(*old[:-1], "new") if is_resharing else (),
        lost=size if is_repair else None,
    )


def open_hall(kind: CeremonyKind, size: int, name: str = "p1") -> Hall:
    """Return a ceremony of so many seats, as far as one party sees it."""
    cast = make_bench_cast(kind, size)
    states = {
        who: begin(
            cast.plan,
            who,
            key,
            deadline_ms=DEADLINE_MS,
            rng=SeededRng(who.encode()),
            key_shares=cast.list_key_shares(who),
        )[0]
        for who, key in cast.keys.items()
    }
    transcript = CeremonyTranscript.begin(cast.plan)
    for state in states.values():
        for signed in state.transcript.statements.values():
            transcript = transcript.add_opened(signed)
    package = transcript.scheme.compute_package(transcript.read_round1())
    digest = transcript.compute_round1_digest()
    done = CeremonyDone(
        ceremony=transcript.ceremony,
        transcript=digest,
        package_digest=hashlib.sha256(package.to_bytes()).digest(),
    )
    echo = CeremonyEcho(ceremony=transcript.ceremony, transcript=digest)
    others = {who: key for who, key in cast.keys.items() if who != name}
    round1 = [signed.data for (_, who, _), signed in transcript.statements.items() if who != name]
    echoes, dones = ([sign(said, key) for key in others.values()] for said in (echo, done))
    sealed = seal_for(cast, transcript, states, name)
    return Hall(
        plan=cast.plan,
        name=name,
        key=cast.keys[name],
        key_shares=cast.list_key_shares(name),
        received=(*round1, *echoes, *sealed, *dones),
        package=package,
    )


def seal_for(
    cast: Cast, transcript: CeremonyTranscript, states: Mapping[str, Ceremony], receiver: str
) -> list[bytes]:
    """Return what the others send a party in secret: shares, and in a repair the sums of them."""
    plan, scheme, committed = cast.plan, transcript.scheme, transcript.read_round1()
    dealt = [
        secret
        for state in states.values()
        for dealing in state.require_secrets().round1
        for secret in scheme.deal(dealing, committed)
    ]
    secrets: list[tuple[SecretKind, Sequence[frost.SecretPackage]]] = [(CeremonyShares, dealt)]
    if plan.list_senders(CeremonySums, receiver):
        got = {seat: [secret for secret in dealt if secret.receiver == seat] for seat in committed}
        sums = [scheme.sum_up(committed, seat, summands) for seat, summands in got.items()]
        secrets.append((CeremonySums, sums))
    sealed = []
    for kind, everything in secrets:
        for sender in plan.list_senders(kind, receiver):
            pairs = set(plan.list_pairs(kind, sender, receiver))
            chosen = [secret for secret in everything if (secret.sender, secret.receiver) in pairs]
            statement = seal_secrets(transcript, kind, chosen, sender=sender, receiver=receiver)
            sealed.append(sign(statement, cast.keys[sender]))
    return sealed


def list_sent(effects: list[CeremonyEffect], others: int) -> list[int]:
    """Return the sizes of all messages that a party sends, one for each receiver."""
    broadcast = [len(effect.data) for effect in effects if isinstance(effect, Broadcast)] * others
    return broadcast + [len(effect.data) for effect in effects if isinstance(effect, SendTo)]


def measure(benchmark: BenchmarkFixture, hall: Hall) -> None:
    """A party's part is done so many times, and what it costs is written down."""
    bare_s = measure_bare_verification_s()
    effects = benchmark.pedantic(hall.run, rounds=5 if len(hall.plan.seats) <= 15 else 3)
    finish = effects[-1]
    assert isinstance(finish, Finish)
    assert finish.package == hall.package
    sent = list_sent(effects, len(hall.plan.parties) - 1)
    benchmark.extra_info["messages sent"] = len(sent)
    benchmark.extra_info["bytes sent"] = sum(sent)
    benchmark.extra_info["messages received"] = len(hall.received)
    benchmark.extra_info["bytes received"] = sum(map(len, hall.received))
    note_bare_verifications(benchmark, bare_s)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.benchmark(group="ceremony-party")
def test_ceremony_of_one_party(benchmark: BenchmarkFixture, size: int) -> None:
    measure(benchmark, open_hall(CeremonyKind.GENERATION, size))


@pytest.mark.parametrize("size", HANDOVER_SIZES)
@pytest.mark.parametrize("name", ["p1", "new"])
@pytest.mark.benchmark(group="ceremony-resharing")
def test_resharing_of_one_party(benchmark: BenchmarkFixture, size: int, name: str) -> None:
    """A member that deals and stays, and one that joins."""
    measure(benchmark, open_hall(CeremonyKind.RESHARING, size, name))


@pytest.mark.parametrize("size", HANDOVER_SIZES)
@pytest.mark.parametrize("role", ["helper", "lost"])
@pytest.mark.benchmark(group="ceremony-repair")
def test_repair_of_one_party(benchmark: BenchmarkFixture, size: int, role: str) -> None:
    """A helper, and whoever lost its share."""
    measure(benchmark, open_hall(CeremonyKind.REPAIR, size, "p1" if role == "helper" else f"p{size}"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.benchmark(group="ceremony-replay")
def test_replay_of_a_transcript(benchmark: BenchmarkFixture, size: int) -> None:
    """What anybody pays who recomputes the group from the log."""
    replay(benchmark, open_hall(CeremonyKind.GENERATION, size))


@pytest.mark.parametrize("size", HANDOVER_SIZES)
@pytest.mark.benchmark(group="ceremony-replay-resharing")
def test_replay_of_a_resharing(benchmark: BenchmarkFixture, size: int) -> None:
    """The same, of a group that was handed over."""
    replay(benchmark, open_hall(CeremonyKind.RESHARING, size))


def replay(benchmark: BenchmarkFixture, hall: Hall) -> None:
    """The group is recomputed from the log so many times."""
    bare_s = measure_bare_verification_s()
    finish = hall.run()[-1]
    assert isinstance(finish, Finish)
    package = benchmark.pedantic(replay_transcript, args=(hall.plan, finish.transcript), rounds=3)
    assert package == hall.package
    benchmark.extra_info["bytes"] = sum(map(len, finish.transcript))
    note_bare_verifications(benchmark, bare_s)
