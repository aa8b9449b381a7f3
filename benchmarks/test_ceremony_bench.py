"""One party's whole key ceremony by group size, beside bare Ed25519 verification measured in the same run.

Everything that crosses a wire is parsed, verified, sealed and opened here; only gRPC is left out. Thresholds
are two thirds, rounded up, and each party has one seat. The others' statements are made beforehand without
their own verification of everybody else's, which a hundred parties do on a hundred machines.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import pytest
from nacl import bindings
from pytest_benchmark.fixture import BenchmarkFixture

from vetonet.crypto import frost
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.keys import Ed25519SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.policy.ceremony import CeremonyDone, CeremonyEcho, CeremonyPlan
from vetonet.policy.treaty import Party
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
MESSAGE = b"a statement of the usual size".ljust(256, b".")
DEADLINE_MS = 1_000
BARE_REPETITIONS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """A plan, and what party ``p1`` receives in the course of the ceremony."""

    plan: CeremonyPlan
    key: Ed25519SigningKey
    received: tuple[bytes, ...]
    package: frost.PublicKeyPackage

    def begin(self) -> tuple[Ceremony, tuple[CeremonyEffect, ...]]:
        """Return the party's ceremony that has committed, the same each time."""
        rng = SeededRng(b"p1")
        return begin(self.plan, "p1", self.key, deadline_ms=DEADLINE_MS, rng=rng)

    def run(self) -> list[CeremonyEffect]:
        """Return all that the party does, from its commitment to its key share."""
        state, first = self.begin()
        effects = list(first)
        for data in self.received:
            state, more = step(state, MessageReceived(data=data), 0)
            effects += more
        return effects


def open_hall(size: int) -> Hall:
    """Return a ceremony of so many parties, as far as the first of them sees it."""
    keys = {f"p{number}": generate_ed25519(SeededRng(b"%d" % number)) for number in range(1, size + 1)}
    plan = CeremonyPlan(
        context=b"benchmark",
        min_signers=-(-2 * size // 3),
        seats=tuple(keys),
        parties=tuple(Party(party_id=name, key=key.public_key) for name, key in keys.items()),
    )
    states = {
        name: begin(plan, name, key, deadline_ms=DEADLINE_MS, rng=SeededRng(name.encode()))[0]
        for name, key in keys.items()
    }
    transcript = CeremonyTranscript.begin(plan)
    for state in states.values():
        for signed in state.transcript.statements.values():
            transcript = transcript.add_opened(signed)
    round1 = [signed.data for (_, name, _), signed in transcript.statements.items() if name != "p1"]
    rest = [deal_to_first(transcript, states[name], keys[name]) for name in keys if name != "p1"]
    package = transcript.scheme.compute_package(transcript.read_round1())
    done = CeremonyDone(
        ceremony=transcript.ceremony,
        transcript=transcript.compute_round1_digest(),
        package_digest=hashlib.sha256(package.to_bytes()).digest(),
    )
    dones = [sign(done, key) for name, key in keys.items() if name != "p1"]
    echoes, shares = zip(*rest, strict=True)
    received = (*round1, *echoes, *shares, *dones)
    return Hall(plan=plan, key=keys["p1"], received=received, package=package)


def deal_to_first(
    transcript: CeremonyTranscript, state: Ceremony, key: Ed25519SigningKey
) -> tuple[bytes, bytes]:
    """Return a party's echo, and its shares for ``p1``."""
    echo = CeremonyEcho(ceremony=transcript.ceremony, transcript=transcript.compute_round1_digest())
    (secret,) = state.require_secrets().round1
    first = frost.Identifier(1)
    share = frost.Round2Package(
        sender=secret.identifier, receiver=first, share=evaluate(secret.coefficients, first)
    )
    sealed = seal_secrets(transcript, CeremonyShares, [share], sender=state.party_id, receiver="p1")
    return sign(echo, key), sign(sealed, key)


def measure_bare_verification_s() -> float:
    """Return the CPU time of one PyNaCl verification."""
    public_key, secret_key = bindings.crypto_sign_seed_keypair(bytes(32))
    signed = bindings.crypto_sign(MESSAGE, secret_key)
    start = time.process_time()
    for _ in range(BARE_REPETITIONS):
        bindings.crypto_sign_open(signed, public_key)
    return (time.process_time() - start) / BARE_REPETITIONS


def list_sent(effects: list[CeremonyEffect], others: int) -> list[int]:
    """Return the sizes of all messages that a party sends, one for each receiver."""
    broadcast = [len(effect.data) for effect in effects if isinstance(effect, Broadcast)] * others
    return broadcast + [len(effect.data) for effect in effects if isinstance(effect, SendTo)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.benchmark(group="ceremony-party")
def test_ceremony_of_one_party(benchmark: BenchmarkFixture, size: int) -> None:
    hall = open_hall(size)
    bare_s = measure_bare_verification_s()
    effects = benchmark.pedantic(hall.run, rounds=5 if size <= 15 else 3)
    finish = effects[-1]
    assert isinstance(finish, Finish)
    assert finish.package == hall.package
    sent = list_sent(effects, size - 1)
    benchmark.extra_info["messages sent"] = len(sent)
    benchmark.extra_info["bytes sent"] = sum(sent)
    benchmark.extra_info["messages received"] = len(hall.received)
    benchmark.extra_info["bytes received"] = sum(map(len, hall.received))
    if benchmark.stats is not None:  # None where benchmarks are disabled
        ours_s = benchmark.stats.stats.median
        benchmark.extra_info["bare verifications"] = round(ours_s / bare_s)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.benchmark(group="ceremony-replay")
def test_replay_of_a_transcript(benchmark: BenchmarkFixture, size: int) -> None:
    """What anybody pays who recomputes the group from the log."""
    hall = open_hall(size)
    finish = hall.run()[-1]
    assert isinstance(finish, Finish)
    package = benchmark.pedantic(replay_transcript, args=(hall.plan, finish.transcript), rounds=3)
    assert package == hall.package
    benchmark.extra_info["bytes"] = sum(map(len, finish.transcript))
