"""Ceremonies that hand a group over, by bytes on a table: the key stays, and everybody names every cheat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from support.ceremony import (
    DEADLINE_MS,
    OLD_SEATS,
    Cast,
    Cheat,
    Table,
    kind_of,
    make_refresh,
    make_repair,
    make_resharing,
)
from support.frost_groups import Group, deal_group, sign_together
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.hpke import HpkePrivateKey
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign
from vetonet.errors import EpochError, InvalidSignatureError, RefusedError, VerificationError
from vetonet.policy.action import ActionClass
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDone,
    CeremonyEcho,
    CeremonyRound1,
    CeremonySealed,
    CeremonyShares,
    CeremonyStatement,
    CeremonySums,
    SecretKind,
)
from vetonet.policy.handover_plan import plan_resharing
from vetonet.policy.succession import verify_succession
from vetonet.policy.treaty import Party
from vetonet.voting.ceremony import begin, step
from vetonet.voting.ceremony_replay import replay_transcript
from vetonet.voting.ceremony_shares import open_secrets, seal_secrets
from vetonet.voting.ceremony_state import Abort, Broadcast, Finish, Keep, MessageReceived
from vetonet.voting.ceremony_transcript import CeremonyTranscript, CeremonyVerdict

RESHARING = make_resharing()
REFRESH = make_refresh()
REPAIR = make_repair()
TABLES = {name: Table.seat(cast).run() for name, cast in (("reshare", RESHARING), ("refresh", REFRESH))}
SEVERAL = make_resharing(
    old=("p1", "p1", "p2", "p3", "p2"), dealers=(1, 2, 3, 5), new=("p4", "p1", "p4", "p2"), min_signers=2
)
Alteration = Callable[[Table, str, bytes], bytes | None]


def altered(kind: type[CeremonyStatement], alteration: Alteration, *, to: Iterable[str] = ()) -> Cheat:
    victims = frozenset(to)

    def cheat(table: Table, receiver: str, data: bytes) -> bytes | None:
        is_meant = kind_of(data) == kind.TYPE and (not victims or receiver in victims)
        return alteration(table, receiver, data) if is_meant else data

    return cheat


def resigned(liar: str, **changes: Any) -> Alteration:
    return lambda table, _, data: table.cast.resign(liar, data, **changes)


def with_bad_secrets(liar: str, kind: SecretKind) -> Alteration:
    """Seal something of the right form that was never committed to."""

    def alteration(table: Table, receiver: str, _: bytes) -> bytes:
        transcript = table.states[liar].transcript
        pairs = transcript.plan.list_pairs(kind, liar, receiver)
        bad = [frost.SecretPackage(sender=a, receiver=b, share=frost.Scalar(5)) for a, b in pairs]
        sealed = seal_secrets(transcript, kind, bad, sender=liar, receiver=receiver)
        return sign(sealed, table.cast.keys[liar])

    return alteration


def everybody_names(table: Table, culprit: str) -> None:
    honest = set(table.cast.keys) - {culprit}
    assert {name: table.list_culprits().get(name) for name in honest} == dict.fromkeys(honest, (culprit,))
    assert not honest & set(table.finishes)
    seen = [data for _, _, data in table.sent if kind_of(data) in {CeremonyRound1.TYPE, CeremonyEcho.TYPE}]
    for name in honest:
        assert table.states[name].secrets is None
        judged = replay_transcript(table.cast.plan, (*table.aborts[name].verdict.evidence, *seen))
        assert isinstance(judged, CeremonyVerdict)
        assert judged.culprits == (culprit,)


def shares_of(table: Table) -> dict[int, frost.KeyShare]:
    """Return the new group's shares by seat."""
    held = [share for finish in table.finishes.values() for share in finish.key_shares]
    return {int(share.identifier): share for share in held}


def group_of(cast: Cast) -> frost.PublicKeyPackage:
    assert cast.group is not None
    return cast.group.public


@pytest.mark.parametrize("cast", [RESHARING, REFRESH, SEVERAL])
@pytest.mark.parametrize("seed", range(3))
def test_any_order_hands_the_key_over_and_leaves_its_public_key(cast: Cast, seed: int) -> None:
    # VN-15.8
    table = Table.seat(cast).run(Random(seed), duplicates=True)
    assert sorted(table.finishes) == sorted(cast.keys)
    assert table.refused == []
    (package,) = {finish.package for finish in table.finishes.values()}
    assert package.group_public_key == group_of(cast).group_public_key
    assert package.vss_commitment[1:] != group_of(cast).vss_commitment[1:]
    held = {n: [int(s.identifier) for s in f.key_shares] for n, f in table.finishes.items()}
    assert held == {name: list(map(int, cast.plan.list_seats(name))) for name in cast.keys}
    shares = shares_of(table)
    signers = [shares[number] for number in sorted(shares)][-package.min_signers :]
    package.group_public_key.verify_signature(b"m", sign_together(signers, package))


def test_who_leaves_deals_and_gets_nothing_and_who_joins_gets_and_deals_nothing() -> None:
    table = TABLES["reshare"]
    assert table.finishes["p4"].key_shares == ()
    assert "p4" not in table.kept
    assert "p5" not in table.states
    joined = [data for sender, _, data in table.sent if sender == "p6"]
    assert {kind_of(data) for data in joined} == {CeremonyRound1.TYPE, CeremonyEcho.TYPE, CeremonyDone.TYPE}


def test_a_share_of_an_old_epoch_mixed_with_new_ones_makes_no_signature() -> None:
    table, old = TABLES["refresh"], REFRESH.group
    assert old is not None
    new, package = shares_of(table), table.finishes["p1"].package
    for stale in (1, 2, 3):
        mixed = [old.shares[number] if number == stale else new[number] for number in (1, 2, 3)]
        for judged_by in (package, old.public):
            with pytest.raises(InvalidSignatureError) as caught:
                sign_together(mixed, judged_by)
            assert str(stale) in caught.value.culprits or judged_by is old.public
    package.group_public_key.verify_signature(b"m", sign_together([new[1], new[2], new[3]], package))


@pytest.mark.parametrize("cast", [RESHARING, REFRESH, REPAIR])
def test_anybody_recomputes_the_group_from_the_log(cast: Cast) -> None:
    # VN-15.6
    table = Table.seat(cast).run()
    finish = next(iter(table.finishes.values()))
    assert {kind_of(data) for data in finish.transcript} == {
        CeremonyRound1.TYPE,
        CeremonyEcho.TYPE,
        CeremonyDone.TYPE,
    }
    shuffled = list(finish.transcript)
    Random(1).shuffle(shuffled)
    replayed = replay_transcript(cast.plan, shuffled)
    assert replayed == finish.package
    for index in range(len(shuffled)):
        left = [data for place, data in enumerate(shuffled) if place != index]
        verdict = replay_transcript(cast.plan, left)
        assert isinstance(verdict, CeremonyVerdict)
        assert (verdict.culprits, len(verdict.silent)) == ((), 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "cast",
    [
        REPAIR,
        make_repair(dealers=(1, 2, 4, 5)),
        make_repair(old=("p1", "p1", "p2", "p3", "p2"), dealers=(1, 2, 3), lost=4),
        make_repair(old=("p1", "p1", "p2", "p3", "p2"), dealers=(1, 3, 4), lost=2),
    ],
)
def test_the_lost_share_comes_back_and_only_to_its_seat(cast: Cast, seed: int) -> None:
    # VN-15.9
    table = Table.seat(cast).run(Random(seed), duplicates=True)
    assert table.refused == []
    assert sorted(table.finishes) == sorted(cast.keys)
    old, handover = cast.group, cast.plan.handover
    assert old is not None
    assert handover is not None
    assert handover.lost is not None
    assert shares_of(table) == {handover.lost: old.shares[handover.lost]}
    assert {finish.package for finish in table.finishes.values()} == {old.public}


@pytest.mark.parametrize("cast", [RESHARING, REFRESH, REPAIR])
def test_shares_are_kept_before_anybody_hears_of_them(cast: Cast) -> None:
    # VN-15.10
    table, done = Table(cast=cast), []
    for name, key in cast.keys.items():
        rng = SeededRng(b"keep").spawn(name)
        shares = cast.list_key_shares(name)
        table.carry_out(
            name, begin(cast.plan, name, key, deadline_ms=DEADLINE_MS, rng=rng, key_shares=shares)
        )
    while table.under_way:
        _, receiver, data = table.under_way.pop(0)
        outcome = step(table.states[receiver], MessageReceived(data=data), 0)
        done += [(receiver, effect) for effect in outcome[1]]
        table.carry_out(receiver, outcome)
    for name in cast.keys:
        effects = [effect for who, effect in done if who == name]
        keeps = [place for place, effect in enumerate(effects) if isinstance(effect, Keep)]
        assert len(keeps) == bool(cast.plan.list_keeping_seats(name))
        for place in keeps:
            following = effects[place + 1]
            assert isinstance(following, Broadcast)
            assert kind_of(following.data) == CeremonyDone.TYPE
            assert table.kept[name].context == cast.plan.context
        assert isinstance(effects[-1], Finish)


def test_who_never_says_it_kept_its_share_lets_nobody_finish() -> None:
    # VN-15.10: so nobody erases an old share.
    table = Table.seat(RESHARING, {"p6": altered(CeremonyDone, lambda *_: None)}).run()
    assert not set(table.finishes) - {"p6"}
    table.expire()
    assert {table.list_silent()[name] for name in table.aborts} == {("p6",)}
    assert set(table.kept) == {"p1", "p2", "p3", "p6", "p7"}


def test_a_dealer_of_another_secret_is_named() -> None:
    # VN-15.8
    other = deal_group(3, range(1, 6), b"another group")
    handover = RESHARING.plan.handover
    assert handover is not None
    resharing = frost.Resharing(
        old=other.public,
        dealers=tuple(map(frost.Identifier, handover.dealers)),
        identifiers=tuple(map(frost.Identifier, range(1, 6))),
        min_signers=3,
        context=RESHARING.plan.compute_digest(),
    )
    _, package = frost.generate_reshare_round1(resharing, other.shares[2], SeededRng(b"other"))
    for victims in ((), ("p6",)):
        cheat = altered(CeremonyRound1, resigned("p2", packages=(package.to_bytes(),)), to=victims)
        everybody_names(Table.seat(RESHARING, {"p2": cheat}).run(), "p2")


@pytest.mark.parametrize(
    ("liar", "changes"),
    [
        ("p2", {"packages": ()}),
        ("p2", {"hpke_keys": ()}),
        ("p6", {"hpke_keys": (bytes(32),) * 3}),
        ("p4", {"hpke_keys": (b"\x09" + bytes(31),)}),
    ],
)
def test_a_round_one_that_is_not_of_the_plan_is_named(liar: str, changes: dict[str, Any]) -> None:
    # VN-15.2
    cheat = altered(CeremonyRound1, resigned(liar, **changes))
    everybody_names(Table.seat(RESHARING, {liar: cheat}).run(), liar)


def test_a_member_that_joins_cannot_deal() -> None:
    stolen = RESHARING.open(next(data for sender, _, data in TABLES["reshare"].sent if sender == "p2"))
    assert isinstance(stolen, CeremonyRound1)
    cheat = altered(CeremonyRound1, resigned("p6", packages=stolen.packages))
    everybody_names(Table.seat(RESHARING, {"p6": cheat}).run(), "p6")
    table = Table.seat(RESHARING)
    statement = CeremonyShares(
        ceremony=RESHARING.plan.compute_digest(), transcript=bytes(32), receiver="p1", sealed=bytes(84)
    )
    table.deliver("p1", sign(statement, RESHARING.keys["p6"]))
    sums = CeremonySums(ceremony=statement.ceremony, transcript=bytes(32), receiver="p1", sealed=bytes(84))
    table.deliver("p1", sign(sums, RESHARING.keys["p2"]))
    assert [type(error) for _, error in table.refused] == [RefusedError, RefusedError]
    assert sorted(table.run().finishes) == sorted(RESHARING.keys)


@pytest.mark.parametrize(
    ("cast", "liar", "victim", "kind"),
    [
        (RESHARING, "p2", "p6", CeremonyShares),
        (RESHARING, "p4", "p1", CeremonyShares),
        (REFRESH, "p2", "p5", CeremonyShares),
        (SEVERAL, "p2", "p4", CeremonyShares),
        (REPAIR, "p2", "p4", CeremonyShares),
        (REPAIR, "p2", "p3", CeremonySums),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_whoever_sends_a_bad_secret_is_named(
    cast: Cast, liar: str, victim: str, kind: SecretKind, seed: int
) -> None:
    # VN-15.5, VN-15.9
    cheat = altered(kind, with_bad_secrets(liar, kind), to=(victim,))
    table = Table.seat(cast, {liar: cheat}).run(Random(seed), duplicates=True)
    everybody_names(table, liar)
    assert set(table.complaints) == {victim}
    public = table.states[victim].transcript.list_public()
    verdict = replay_transcript(cast.plan, (*public, table.complaints[victim]))
    assert isinstance(verdict, CeremonyVerdict)
    assert verdict.culprits == (liar,)


def complaint_of(table: Table, name: str, data: bytes) -> bytes:
    """Return a complaint of what a party was sent, with the key for its sender."""
    opened = CeremonyTranscript.begin(table.cast.plan)
    sender = opened.find_signer(opened.open(data))
    seed = table.states[name].require_secrets().hpke_keys[sender].seed
    statement = CeremonyComplaint(
        ceremony=table.cast.plan.compute_digest(), hpke_seeds=(seed,), sealed=(data,)
    )
    return sign(statement, table.cast.keys[name])


@pytest.mark.parametrize(
    ("cast", "liar", "kind"),
    [(RESHARING, "p6", CeremonyShares), (REPAIR, "p4", CeremonyShares), (REPAIR, "p3", CeremonySums)],
)
def test_a_false_complaint_names_the_complainer(cast: Cast, liar: str, kind: SecretKind) -> None:
    def falsely(table: Table, _: str, __: bytes) -> bytes:
        mine = (data for _, to, data in table.sent if to == liar and kind_of(data) == kind.TYPE)
        return complaint_of(table, liar, next(mine))

    everybody_names(Table.seat(cast, {liar: altered(CeremonyDone, falsely)}).run(), liar)


@pytest.mark.parametrize(("cast", "victims"), [(RESHARING, ("p1", "p6", "p7")), (REPAIR, ("p1", "p4"))])
def test_a_complaint_opens_nothing_that_an_honest_party_sent(cast: Cast, victims: tuple[str, ...]) -> None:
    # VN-15.5: old shares stay in use, and whoever recorded every ciphertext must not learn one of them.
    cheat = altered(CeremonyShares, with_bad_secrets("p2", CeremonyShares), to=victims)
    table = Table.seat(cast, {"p2": cheat})
    late = [entry for entry in table.under_way if kind_of(entry[2]) == CeremonyComplaint.TYPE]
    assert not late
    table.run()
    given_up = [
        HpkePrivateKey(seed=seed)
        for data in table.complaints.values()
        for seed in Cast.open(cast, data).hpke_seeds  # type: ignore[attr-defined]
    ]
    assert given_up
    transcript = table.states[victims[0]].transcript
    for sender, _, data in table.sent:
        if kind_of(data) in {CeremonyShares.TYPE, CeremonySums.TYPE} and sender != "p2":
            opened: Signed[Any] = transcript.open(data)
            assert isinstance(opened.statement, CeremonySealed)
            for key in given_up:
                with pytest.raises(VerificationError):
                    open_secrets(transcript, opened, key)


def test_a_summand_does_not_open_as_a_sum() -> None:
    # VN-15.9
    cast = make_repair(old=("p1", "p1", "p2", "p3", "p2"), dealers=(1, 3, 4), lost=2)
    table = Table.seat(cast)
    secrets = table.states["p1"].require_secrets()
    table.run()
    transcript = table.states["p1"].transcript
    data = next(
        data
        for sender, to, data in table.sent
        if (sender, to, kind_of(data)) == ("p2", "p1", CeremonyShares.TYPE)
    )
    opened: Signed[Any] = transcript.open(data)
    assert open_secrets(transcript, opened, secrets.hpke_keys["p2"])
    statement = opened.statement
    moved = CeremonySums(
        ceremony=statement.ceremony,
        transcript=statement.transcript,
        receiver=statement.receiver,
        sealed=statement.sealed,
    )
    with pytest.raises(VerificationError):
        open_secrets(transcript, replace(opened, statement=moved), secrets.hpke_keys["p2"])


@pytest.mark.parametrize("changes", [{"package_digest": bytes(32)}, {"transcript": bytes(32)}])
@pytest.mark.parametrize(("cast", "liar"), [(RESHARING, "p4"), (REPAIR, "p1")])
def test_who_is_done_with_another_group_is_named(cast: Cast, liar: str, changes: dict[str, bytes]) -> None:
    # VN-15.6
    everybody_names(Table.seat(cast, {liar: altered(CeremonyDone, resigned(liar, **changes))}).run(), liar)


@pytest.mark.parametrize("seed", range(3))
def test_two_faces_of_a_dealer_are_found_and_both_statements_are_the_proof(seed: int) -> None:
    # VN-15.4
    def with_another_face(table: Table, *_: object) -> bytes:
        shares = table.cast.list_key_shares("p2")
        effects = begin(
            table.cast.plan,
            "p2",
            table.cast.keys["p2"],
            deadline_ms=DEADLINE_MS,
            rng=SeededRng(b"face"),
            key_shares=shares,
        )[1]
        first = effects[0]
        assert isinstance(first, Broadcast)
        return first.data

    cheat = altered(CeremonyRound1, with_another_face, to=("p6",))
    table = Table.seat(RESHARING, {"p2": cheat}).run(Random(seed))
    everybody_names(table, "p2")
    assert {len(table.aborts[name].verdict.evidence) for name in ("p1", "p6", "p7")} == {2}
    senders = {sender for sender, _, data in table.sent if kind_of(data) == CeremonyShares.TYPE}
    assert senders <= {"p2"}


@pytest.mark.parametrize(
    ("cast", "silent", "kind"),
    [
        (RESHARING, "p6", CeremonyRound1),
        (RESHARING, "p6", CeremonyEcho),
        (RESHARING, "p4", CeremonyShares),
        (REFRESH, "p5", CeremonyDone),
        (REPAIR, "p1", CeremonyShares),
        (REPAIR, "p1", CeremonySums),
        (REPAIR, "p3", CeremonyDone),
    ],
)
def test_the_silent_are_named_as_silent_only(cast: Cast, silent: str, kind: type[CeremonyStatement]) -> None:
    # VN-15.7
    table = Table.seat(cast, {silent: altered(kind, lambda *_: None)}).run().expire()
    for name in set(cast.keys) - {silent}:
        if name in table.aborts:
            verdict = table.aborts[name].verdict
            assert verdict.culprits == ()
            assert silent in verdict.silent or kind in {CeremonyShares, CeremonySums}
    assert any(table.list_silent().get(name) == (silent,) for name in cast.keys)
    assert not set(table.finishes) - {silent}


@pytest.mark.parametrize(
    "other", [make_resharing(context=b"epoch 2 attempt 2"), make_resharing(dealers=(1, 2, 3, 4)), REFRESH]
)
def test_a_transcript_of_another_ceremony_or_attempt_is_refused(other: Cast) -> None:
    # VN-15.1
    transcript = TABLES["reshare"].finishes["p1"].transcript
    with pytest.raises(EpochError):
        replay_transcript(other.plan, transcript)
    table = Table.seat(other)
    for name in ("p1", "p2"):
        table.deliver(name, transcript[0])
    assert {type(error) for _, error in table.refused} == {EpochError}


def test_a_round_one_of_another_attempt_signed_for_this_one_is_named() -> None:
    again = make_resharing(context=b"epoch 2 attempt 2")
    first = RESHARING.open(next(data for sender, _, data in TABLES["reshare"].sent if sender == "p2"))
    assert isinstance(first, CeremonyRound1)
    cheat = altered(CeremonyRound1, resigned("p2", packages=first.packages))
    everybody_names(Table.seat(again, {"p2": cheat}).run(), "p2")


def test_a_dealer_without_its_share_of_this_epoch_does_not_begin() -> None:
    plan, key = RESHARING.plan, RESHARING.keys["p2"]
    stale = deal_group(3, range(1, 6), b"an earlier epoch").shares[2]
    for shares in ((), (stale,), RESHARING.list_key_shares("p1")):
        with pytest.raises(ValueError, match="share"):
            begin(plan, "p2", key, deadline_ms=1, rng=SeededRng(b"x"), key_shares=shares)


def test_nothing_secret_of_a_handover_outlives_the_end_or_shows() -> None:
    for cast in (RESHARING, REPAIR):
        table = Table.seat(cast)
        state = table.states["p1"]
        assert state.secrets is not None
        shown = repr((state, state.secrets))
        table.run()
        assert all(ended.secrets is None for ended in table.states.values())
        shown += repr((table.finishes, table.kept))
        old = cast.group
        assert old is not None
        scalars = [share.signing_share for share in (*old.shares.values(), *shares_of(table).values())]
        assert not any(str(int(scalar)) in shown for scalar in scalars)


def test_the_old_seats_are_those_of_the_council() -> None:
    handover = RESHARING.plan.handover
    assert handover is not None
    assert handover.seats == OLD_SEATS
    digest = hashlib.sha256(TABLES["reshare"].finishes["p1"].package.to_bytes()).digest()
    done = RESHARING.open(TABLES["reshare"].finishes["p1"].transcript[0])
    assert isinstance(done, CeremonyDone)
    assert done.package_digest == digest
    assert not any(isinstance(end, Abort) for end in TABLES["reshare"].aborts.values())


def test_a_council_reshares_its_treaty_and_the_next_one_may_follow() -> None:
    # VN-15.8, VN-16.4
    council = make_council(5, 3)
    treaty = council.treaty.statement
    joining = {name: generate_ed25519(SeededRng(b"joins").spawn(name)) for name in ("p6", "p7")}
    roster = (
        *treaty.parties[:3],
        *(Party(party_id=name, key=key.public_key) for name, key in joining.items()),
    )
    names = tuple(party.party_id for party in roster)
    leaf = replace(treaty.all_groups[0].leaf, electorate=names)
    plan = plan_resharing(council.treaty, 0, leaf=leaf, parties=roster, dealers=(1, 3, 5), attempt=1)
    shares = {int(held.share.identifier): held.share for each in council.key_shares.values() for held in each}
    keys = {name: key for name, key in {**council.party_keys, **joining}.items() if name in plan.party_ids}
    table = Table.seat(Cast(plan=plan, keys=keys, group=Group(public=treaty.groups[0], shares=shares))).run()
    package = table.finishes["p7"].package
    successor = replace(
        treaty,
        epoch=2,
        parties=roster,
        actions=tuple(replace(rule, quorum=replace(rule.quorum, expression=leaf)) for rule in treaty.actions),
        groups=(package,),
        witnesses=tuple(
            replace(witness, party_id=witness.party_id if witness.party_id in names else None)
            for witness in treaty.witnesses
        ),
    )
    verify_succession([treaty], successor, ActionClass.ROSTER_CHANGE)
    new = [table.finishes[name].key_shares[0] for name in ("p2", "p6", "p7")]
    successor.groups[0].group_public_key.verify_signature(b"m", sign_together(new, package))
