"""The key ceremony by bytes on a table: every order ends in one key, and everybody names every cheat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from support.ceremony import DEADLINE_MS, Cheat, Table, kind_of, make_cast
from vetonet.crypto import frost
from vetonet.crypto.hpke import generate_hpke_key
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, EpochError, InvalidSignatureError, RefusedError, UnknownPartyError
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyRound1,
    CeremonyShares,
    CeremonyStatement,
)
from vetonet.voting.ceremony import CEREMONY_TABLE, begin, step
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import seal_secrets
from vetonet.voting.ceremony_state import Broadcast, CeremonyPhase, MessageReceived, TimePassed
from vetonet.voting.ceremony_transcript import CeremonyVerdict

CAST = make_cast(4)
HONEST = Table.seat(CAST).run()
Alteration = Callable[[Table, str, bytes], bytes | None]


def altered(kind: type[CeremonyStatement], alteration: Alteration, *, to: Iterable[str] = CAST.keys) -> Cheat:
    """Return a cheat that replaces statements of one kind for some receivers."""
    victims = frozenset(to)

    def cheat(table: Table, receiver: str, data: bytes) -> bytes | None:
        if receiver in victims and kind_of(data) == kind.TYPE:
            return alteration(table, receiver, data)
        return data

    return cheat


def resigned(**changes: Any) -> Alteration:
    return lambda table, _, data: table.cast.resign("p2", data, **changes)


def with_bad_proof(table: Table, _: str, data: bytes) -> bytes:
    statement = table.cast.open(data)
    assert isinstance(statement, CeremonyRound1)
    package = frost.Round1Package.from_bytes(statement.packages[0])
    proof = replace(package.proof, response=frost.Scalar(package.proof.response - 1))
    return table.cast.resign("p2", data, packages=(replace(package, proof=proof).to_bytes(),))


def with_another_threshold(table: Table, __: str, data: bytes) -> bytes:
    _, lower = frost.generate_round1(
        identifier=frost.Identifier(2),
        min_signers=table.cast.plan.min_signers - 1,
        max_signers=len(table.cast.plan.seats),
        context=table.cast.plan.compute_digest(),
        rng=SeededRng(b"lower"),
    )
    return table.cast.resign("p2", data, packages=(lower.to_bytes(),))


def with_the_seat_of_another(table: Table, _: str, data: bytes) -> bytes:
    stolen = table.cast.open(round1_of(table, "p1"))
    assert isinstance(stolen, CeremonyRound1)
    return table.cast.resign("p2", data, packages=stolen.packages)


def with_another_face(table: Table, _: str, __: bytes) -> bytes:
    return round1_of(table, "p2", b"another face")


def round1_of(table: Table, name: str, seed: bytes = b"table") -> bytes:
    """Return a round 1 of a party, of other randomness for another seed."""
    rng = SeededRng(seed).spawn(name)
    _, effects = begin(table.cast.plan, name, table.cast.keys[name], deadline_ms=DEADLINE_MS, rng=rng)
    first = effects[0]
    assert isinstance(first, Broadcast)
    return first.data


def with_a_bad_share(table: Table, receiver: str, _: bytes) -> bytes:
    plan = table.cast.plan
    shares = [
        frost.Round2Package(sender=own, receiver=other, share=frost.Scalar(5))
        for own in plan.list_seats("p2")
        for other in plan.list_seats(receiver)
    ]
    sealed = seal_secrets(
        table.states["p2"].transcript, CeremonyShares, shares, sender="p2", receiver=receiver
    )
    return sign(sealed, table.cast.keys["p2"])


def with_a_share_for_another_seat(table: Table, receiver: str, _: bytes) -> bytes:
    share = frost.Round2Package(
        sender=frost.Identifier(2), receiver=frost.Identifier(2), share=frost.Scalar(5)
    )
    sealed = seal_secrets(
        table.states["p2"].transcript, CeremonyShares, [share], sender="p2", receiver=receiver
    )
    return sign(sealed, table.cast.keys["p2"])


def with_an_altered_ciphertext(table: Table, _: str, data: bytes) -> bytes:
    statement = table.cast.open(data)
    assert isinstance(statement, CeremonyShares)
    sealed = statement.sealed[:-1] + bytes([statement.sealed[-1] ^ 1])
    return table.cast.resign("p2", data, sealed=sealed)


def complaint_of(table: Table, name: str, shares: Iterable[bytes], *, seed: bytes | None = None) -> bytes:
    """Return a complaint, each statement with the key for ``p1`` unless told otherwise."""
    shown, secrets = tuple(shares), table.states[name].secrets
    own = secrets.hpke_keys["p1"].seed if secrets else bytes(32)
    complaint = CeremonyComplaint(
        ceremony=table.cast.plan.compute_digest(), hpke_seeds=(seed or own,) * len(shown), sealed=shown
    )
    return sign(complaint, table.cast.keys[name])


def shares_to(table: Table, receiver: str, sender: str = "p1") -> bytes:
    """Return the shares that a party was sent."""
    return next(
        data
        for source, target, data in table.sent
        if (source, target, kind_of(data)) == (sender, receiver, CeremonyShares.TYPE)
    )


def everybody_names(table: Table, *culprits: str) -> None:
    honest = set(table.cast.keys) - set(culprits)
    named = {name: table.list_culprits().get(name) for name in honest}
    assert named == dict.fromkeys(honest, culprits)
    assert not honest & set(table.finishes)
    assert all(table.states[name].secrets is None for name in honest)
    for name in honest:
        assert_convicts(table, table.aborts[name].verdict)


def assert_convicts(table: Table, verdict: CeremonyVerdict) -> None:
    """The evidence alone, with the round-1 statements and echoes, gives a stranger the same verdict."""
    seen = (data for _, _, data in table.sent if kind_of(data) in {CeremonyRound1.TYPE, CeremonyEcho.TYPE})
    judged = replay_transcript(table.cast.plan, (*verdict.evidence, *seen))
    assert isinstance(judged, CeremonyVerdict)
    assert judged.culprits == verdict.culprits


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_any_order_with_any_copies_ends_in_one_key(n: int, seed: int) -> None:
    table = Table.seat(make_cast(n)).run(Random(seed), duplicates=True)
    assert sorted(table.finishes) == sorted(table.cast.keys)
    assert table.refused == []
    packages = {finish.package for finish in table.finishes.values()}
    assert len(packages) == 1
    assert {len(finish.transcript) for finish in table.finishes.values()} == {3 * n}


@pytest.mark.parametrize("seed", range(25))
def test_lost_messages_convict_nobody_and_never_give_two_keys(seed: int) -> None:
    random = Random(seed)

    def lose(_: Table, __: str, data: bytes) -> bytes | None:
        return None if random.random() < 0.05 else data

    cast = make_cast(3 + seed % 3)
    table = Table.seat(cast, dict.fromkeys(cast.keys, lose)).run(random, duplicates=True).expire()
    assert set(table.finishes) | set(table.aborts) == set(cast.keys)
    assert len({finish.package for finish in table.finishes.values()}) <= 1
    assert all(culprits == () for culprits in table.list_culprits().values())
    assert all(table.list_silent().values())


def test_the_key_signs_and_every_share_is_that_of_the_package() -> None:
    package = HONEST.finishes["p1"].package
    shares = [HONEST.finishes[name].key_shares[0] for name in CAST.keys]
    assert [int(share.identifier) for share in shares] == [1, 2, 3, 4]
    rng = SeededRng(b"sign")
    nonces = [frost.commit(share, rng)[0] for share in shares[1:]]
    signing = frost.SigningPackage(message=b"licence", commitments=tuple(n.commitments for n in nonces))
    signed = [frost.sign(signing, nonce, share) for nonce, share in zip(nonces, shares[1:], strict=True)]
    signature = frost.aggregate(signing, signed, package)
    package.group_public_key.verify_signature(b"licence", signature)


@pytest.mark.parametrize("seed", range(3))
def test_a_party_of_several_seats_has_a_share_for_each(seed: int) -> None:
    cast = make_cast(3, 4, seats=("p1", "p1", "p2", "p3", "p1", "p2"))
    table = Table.seat(cast).run(Random(seed), duplicates=True)
    held = {name: [int(s.identifier) for s in finish.key_shares] for name, finish in table.finishes.items()}
    assert held == {"p1": [1, 2, 5], "p2": [3, 6], "p3": [4]}
    assert table.finishes["p1"].package.min_signers == 4


def test_nothing_secret_outlives_the_end_or_shows() -> None:
    assert all(state.secrets is None for state in HONEST.states.values())
    state = Table.seat(CAST).states["p1"]
    shown = repr((state, state.secrets, HONEST.finishes))
    secrets = state.require_secrets()
    dealing = secrets.round1[0]
    assert isinstance(dealing, frost.Round1Secret)
    seed = secrets.hpke_keys["p2"].seed
    assert seed.hex() not in shown
    hidden = [*dealing.coefficients, HONEST.finishes["p1"].key_shares[0].signing_share]
    assert not any(str(int(scalar)) in shown for scalar in hidden)
    assert repr(seed)[2:-1] not in shown


@pytest.mark.parametrize(
    "alteration",
    [
        pytest.param(with_bad_proof, id="bad proof"),
        pytest.param(with_another_threshold, id="another threshold"),
        pytest.param(with_the_seat_of_another, id="the seat of another"),
        pytest.param(resigned(packages=(bytes(200),)), id="malformed package"),
        pytest.param(resigned(hpke_keys=(bytes(32),) * 3), id="keys of small order"),
        pytest.param(resigned(hpke_keys=()), id="no keys"),
    ],
)
@pytest.mark.parametrize("victims", [("p1", "p3", "p4"), ("p3",)])
def test_a_bad_round_one_names_its_party_whoever_saw_it(
    alteration: Alteration, victims: tuple[str, ...]
) -> None:
    # VN-15.2
    cheat = altered(CeremonyRound1, alteration, to=victims)
    everybody_names(Table.seat(CAST, {"p2": cheat}).run(), "p2")


@pytest.mark.parametrize("seed", range(6))
def test_two_faces_in_round_one_are_found_and_both_statements_are_the_proof(seed: int) -> None:
    # VN-15.4
    cheat = altered(CeremonyRound1, with_another_face, to=("p3",))
    table = Table.seat(CAST, {"p2": cheat}).run(Random(seed))
    everybody_names(table, "p2")
    for name in ("p1", "p3", "p4"):
        first, second = table.aborts[name].verdict.evidence
        assert kind_of(first) == kind_of(second)
        assert first != second


def test_no_share_leaves_while_an_echo_differs_or_is_missing() -> None:
    # VN-15.3
    cheat = altered(CeremonyRound1, with_another_face, to=("p3",))
    for cheats in ({"p2": cheat}, {"p2": altered(CeremonyEcho, lambda *_: None)}):
        table = Table.seat(CAST, cheats).run()
        senders = {sender for sender, _, data in table.sent if kind_of(data) == CeremonyShares.TYPE}
        assert senders <= {"p2"}


@pytest.mark.parametrize(
    "alteration",
    [
        pytest.param(with_a_bad_share, id="wrong value"),
        pytest.param(with_a_share_for_another_seat, id="another seat"),
        pytest.param(with_an_altered_ciphertext, id="does not open"),
        pytest.param(resigned(transcript=bytes(32)), id="another round one"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_share_names_its_dealer(alteration: Alteration, seed: int) -> None:
    # VN-15.5
    cheat = altered(CeremonyShares, alteration, to=("p3",))
    table = Table.seat(CAST, {"p2": cheat}).run(Random(seed), duplicates=True)
    everybody_names(table, "p2")
    assert set(table.complaints) == {"p3"}
    public = table.states["p1"].transcript.list_public()
    verdict = replay_transcript(CAST.plan, (*public, table.complaints["p3"]))
    assert isinstance(verdict, CeremonyVerdict)
    assert verdict.culprits == ("p2",)


def test_a_bad_share_between_many_seats_names_its_dealer() -> None:
    cast = make_cast(3, 4, seats=("p1", "p1", "p2", "p3", "p1", "p2"))
    cheat = altered(CeremonyShares, with_a_bad_share, to=("p1",))
    everybody_names(Table.seat(cast, {"p2": cheat}).run(), "p2")


def test_a_bad_share_is_shown_at_the_deadline_although_others_are_silent() -> None:
    cheats = {
        "p2": altered(CeremonyShares, with_a_bad_share, to=("p3",)),
        "p1": altered(CeremonyShares, lambda *_: None, to=("p3",)),
    }
    table = Table.seat(CAST, cheats).run()
    table.carry_out("p3", step(table.states["p3"], TimePassed(), DEADLINE_MS))
    assert table.run().list_culprits() == dict.fromkeys(CAST.keys, ("p2",))


def test_a_bad_proof_is_shown_at_the_deadline_although_others_are_silent() -> None:
    cheats = {
        "p2": altered(CeremonyRound1, with_bad_proof),
        "p1": altered(CeremonyRound1, lambda *_: None, to=("p3",)),
    }
    table = Table.seat(CAST, cheats).run()
    table.carry_out("p3", step(table.states["p3"], TimePassed(), DEADLINE_MS))
    assert table.run().list_culprits() == dict.fromkeys(CAST.keys, ("p2",))


def test_a_false_complaint_names_the_complainer() -> None:
    def falsely(table: Table, _: str, __: bytes) -> bytes:
        return complaint_of(table, "p2", [shares_to(table, "p2")])

    everybody_names(Table.seat(CAST, {"p2": altered(CeremonyDone, falsely)}).run(), "p2")


@pytest.mark.parametrize("seed", range(3))
def test_a_complaint_that_shows_nothing_names_the_complainer(seed: int) -> None:
    def invent(table: Table, _: str, __: bytes) -> bytes:
        unfit = (shares_to(table, "p3"), round1_of(table, "p1"), b"nothing")
        return complaint_of(table, "p2", [unfit[seed]])

    everybody_names(Table.seat(CAST, {"p2": altered(CeremonyDone, invent)}).run(), "p2")


def test_a_complaint_with_another_key_names_the_complainer() -> None:
    def lie(table: Table, _: str, __: bytes) -> bytes:
        seed = generate_hpke_key(SeededRng(b"another")).seed
        return complaint_of(table, "p2", [shares_to(table, "p2")], seed=seed)

    everybody_names(Table.seat(CAST, {"p2": altered(CeremonyDone, lie)}).run(), "p2")


def test_a_complaint_told_to_one_reaches_everybody() -> None:
    def falsely(table: Table, receiver: str, data: bytes) -> bytes:
        return complaint_of(table, "p2", [shares_to(table, "p2")]) if receiver == "p4" else data

    table = Table.seat(CAST, {"p2": altered(CeremonyDone, falsely, to=("p4",))})
    first = dict.fromkeys(CAST.keys, ())
    table.run()
    named = first | table.list_culprits()
    assert named["p4"] == ("p2",)
    # Who heard "done" from all before the proof came has a key; no treaty is signed without p4.
    assert all(name in table.finishes or named[name] == ("p2",) for name in ("p1", "p3"))


@pytest.mark.parametrize("changes", [{"package_digest": bytes(32)}, {"transcript": bytes(32)}])
def test_who_is_done_with_another_group_is_named(changes: dict[str, bytes]) -> None:
    # VN-15.6
    everybody_names(Table.seat(CAST, {"p2": altered(CeremonyDone, resigned(**changes))}).run(), "p2")


@pytest.mark.parametrize("kind", [CeremonyEcho, CeremonyDone])
def test_two_faces_in_an_echo_or_a_done_are_found(kind: type[CeremonyStatement]) -> None:
    cheat = altered(kind, resigned(transcript=bytes(32)), to=("p3",))
    table = Table.seat(CAST, {"p2": cheat}).run()
    named = table.list_culprits()
    assert named["p3"] == ("p2",)
    assert all(name in table.finishes or named[name] == ("p2",) for name in ("p1", "p4"))


def test_an_echo_that_nothing_explains_is_no_proof() -> None:
    lie = resigned(transcript=bytes(32))

    def cheat(table: Table, receiver: str, data: bytes) -> bytes | None:
        if kind_of(data) == CeremonyDisclosure.TYPE:
            return None
        return lie(table, receiver, data) if kind_of(data) == CeremonyEcho.TYPE else data

    table = Table.seat(CAST, {"p2": cheat}).run()
    assert not set(table.aborts) - {"p2"}
    table.expire()
    assert {table.list_culprits()[name] for name in ("p1", "p3", "p4")} == {()}
    assert {table.list_silent()[name] for name in ("p1", "p3", "p4")} == {("p2",)}


@pytest.mark.parametrize("kind", [CeremonyRound1, CeremonyEcho, CeremonyShares, CeremonyDone])
def test_the_silent_are_named_as_silent_only(kind: type[CeremonyStatement]) -> None:
    # VN-15.7
    table = Table.seat(CAST, {"p2": altered(kind, lambda *_: None)}).run()
    assert not table.aborts
    table.expire()
    for name in ("p1", "p3", "p4"):
        verdict = table.aborts[name].verdict
        assert (verdict.culprits, verdict.silent, verdict.evidence) == ((), ("p2",), ())
        assert table.states[name].secrets is None


def test_two_different_shares_for_one_receiver_are_equivocation() -> None:
    table = Table.seat(CAST, {"p2": altered(CeremonyDone, lambda *_: None)}).run()
    table.deliver("p3", with_a_bad_share(table, "p3", b""))
    everybody_names(table.run(), "p2")


def test_a_message_of_another_ceremony_is_refused_and_changes_nothing() -> None:
    # VN-15.1
    other = Table.seat(make_cast(4, context=b"attempt 2")).run()
    table = Table.seat(CAST)
    for _, receiver, data in other.sent:
        table.deliver(receiver, data)
    assert {type(error) for _, error in table.refused} == {EpochError}
    assert sorted(table.run().finishes) == sorted(CAST.keys)


def test_a_message_that_a_stranger_signed_is_refused_and_changes_nothing() -> None:
    table = Table.seat(CAST)
    stranger = generate_ed25519(SeededRng(b"stranger"))
    echo = CeremonyEcho(ceremony=CAST.plan.compute_digest(), transcript=bytes(32))
    table.deliver("p1", sign(echo, stranger))
    data = sign(echo, CAST.keys["p2"])
    table.deliver("p1", data[:-1] + bytes([data[-1] ^ 1]))
    table.deliver("p1", b"junk")
    table.deliver("p1", data[:40])
    kinds = [type(error) for _, error in table.refused]
    assert kinds == [UnknownPartyError, InvalidSignatureError, EncodingError, EncodingError]
    assert sorted(table.run().finishes) == sorted(CAST.keys)


def test_shares_for_another_and_a_disclosure_within_another_are_refused() -> None:
    table = Table.seat(CAST)
    ceremony = CAST.plan.compute_digest()
    inner = sign(CeremonyDisclosure(ceremony=ceremony, statements=(b"x",)), CAST.keys["p2"])
    outer = sign(CeremonyDisclosure(ceremony=ceremony, statements=(inner,)), CAST.keys["p2"])
    table.deliver("p1", outer)
    shares = CeremonyShares(ceremony=ceremony, transcript=bytes(32), receiver="p3", sealed=bytes(84))
    table.deliver("p1", sign(shares, CAST.keys["p2"]))
    for receiver in ("p2", "nobody"):
        data = sign(replace(shares, receiver=receiver), CAST.keys["p2"])
        table.deliver("p1", sign(CeremonyDisclosure(ceremony=ceremony, statements=(data,)), CAST.keys["p3"]))
    assert [type(error) for _, error in table.refused] == [RefusedError] * 4
    assert sorted(table.run().finishes) == sorted(CAST.keys)


def test_a_message_after_the_deadline_comes_too_late() -> None:
    table = Table.seat(CAST)
    data = round1_of(table, "p2")
    state, _ = step(table.states["p1"], MessageReceived(data=data), DEADLINE_MS)
    assert state.phase is CeremonyPhase.ABORTED
    assert state.verdict is not None
    assert state.verdict.silent == ("p2", "p3", "p4")


def test_before_the_deadline_time_changes_nothing() -> None:
    state = Table.seat(CAST).states["p1"]
    assert step(state, TimePassed(), DEADLINE_MS - 1) == (state, ())


def test_after_the_end_nothing_changes_it() -> None:
    done = HONEST.states["p1"]
    assert step(done, MessageReceived(data=b"junk"), 0) == (done, ())
    aborted = Table.seat(CAST).expire().states["p1"]
    assert step(aborted, MessageReceived(data=round1_of(HONEST, "p2")), 0) == (aborted, ())


@pytest.mark.parametrize(("name", "key"), [("p1", "p2"), ("p9", "p1")])
def test_nobody_takes_part_under_another_name(name: str, key: str) -> None:
    with pytest.raises(UnknownPartyError):
        begin(CAST.plan, name, CAST.keys[key], deadline_ms=1, rng=SeededRng(b"x"))


def test_every_phase_has_a_row_for_every_event() -> None:
    events = {MessageReceived, TimePassed}
    assert set(CEREMONY_TABLE) == {(phase, event) for phase in CeremonyPhase for event in events}
