"""Founding: everybody gets a share of one key, and who cheats is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, EquivocationError, InvalidSignatureError
from vetonet.party.founding import Founder, Membership, found_group, found_groups, run_ceremony
from vetonet.policy.expression import Threshold

MakeRng = Callable[[str], SeededRng]
CONTEXT = b"treaty of the test, epoch 1"
PARTIES = ("p1", "p2", "p3")
LEAF = Threshold(min_grants=2, electorate=PARTIES, weights=(), minority=False)
WEIGHTED = Threshold(min_grants=3, electorate=("p1", "p2", "p4"), weights=(2, 1, 1), minority=False)
KEY = Threshold(min_grants=1, electorate=("p3",), weights=(), minority=False)


def sign_together(members: Iterable[Membership], rng: SeededRng) -> bytes:
    shares = [share for share, _ in members]
    package_of_group = next(iter(members))[1]
    pairs = [frost.commit(share, rng) for share in shares]
    package = frost.SigningPackage(message=b"yes", commitments=tuple(pair[1] for pair in pairs))
    signed = [frost.sign(package, pair[0], share) for pair, share in zip(pairs, shares, strict=True)]
    return frost.aggregate(package, signed, package_of_group)


def make_founders(make_rng: MakeRng, kind: type[Founder] = Founder) -> list[Founder]:
    return [
        (kind if party_id == "p2" else Founder)(
            party_id,
            frost.Identifier(number),
            min_signers=2,
            max_signers=3,
            context=CONTEXT,
            rng=make_rng(party_id),
        )
        for number, party_id in enumerate(PARTIES, start=1)
    ]


def test_any_quorum_of_a_founded_group_signs(make_rng: MakeRng) -> None:
    members = found_group(LEAF, CONTEXT, make_rng)
    group_key = members[0][1].group_public_key
    for pair in ((0, 1), (0, 2), (1, 2)):
        signature = sign_together([members[seat] for seat in pair], make_rng("sign"))
        group_key.verify_signature(b"yes", signature)


def test_all_members_know_the_same_group_and_hold_different_shares(make_rng: MakeRng) -> None:
    members = found_group(LEAF, CONTEXT, make_rng)
    assert len({package.to_bytes() for _, package in members}) == 1
    assert len({share.signing_share for share, _ in members}) == 3
    assert [int(share.identifier) for share, _ in members] == [1, 2, 3]


def test_the_same_randomness_founds_the_same_group(make_rng: MakeRng) -> None:
    first, second = (found_group(LEAF, CONTEXT, make_rng) for _ in range(2))
    assert first[0][1] == second[0][1]


def test_a_founder_shows_nothing_of_its_secrets(make_rng: MakeRng) -> None:
    founder = make_founders(make_rng)[0]
    assert str(founder._round1.coefficients[0]) not in repr(founder) + repr(founder._round1)


def test_a_group_without_a_name_is_refused(make_rng: MakeRng) -> None:
    with pytest.raises(ConfigError, match="context"):
        found_group(LEAF, b"", make_rng)


def test_one_seat_alone_founds_a_group_of_one(make_rng: MakeRng) -> None:
    """A veto by key: nobody else has any part in it."""
    ((share, package),) = found_group(KEY, CONTEXT, make_rng)
    assert (int(share.identifier), package.min_signers) == (1, 1)


def test_a_party_with_two_seats_gets_two_different_shares(make_rng: MakeRng) -> None:
    members = found_group(WEIGHTED, CONTEXT, make_rng)
    assert [int(share.identifier) for share, _ in members] == [1, 2, 3, 4]
    assert len({share.signing_share for share, _ in members}) == 4


def test_a_treatys_groups_have_different_keys_and_each_party_its_own_seats(make_rng: MakeRng) -> None:
    leaves = (LEAF, WEIGHTED, KEY)
    packages, held = found_groups(leaves, CONTEXT, make_rng)
    assert [(p.min_signers, len(p.identifiers)) for p in packages] == [(2, 3), (3, 4), (1, 1)]
    assert len({p.group_public_key for p in packages}) == 3
    assert {party: [share.seat for share in shares] for party, shares in held.items()} == {
        "p1": [(0, 1), (1, 1), (1, 2)],
        "p2": [(0, 2), (1, 3)],
        "p3": [(0, 3), (2, 1)],
        "p4": [(1, 4)],
    }
    for shares in held.values():
        for entry in shares:
            expected = packages[entry.group].compute_verifying_share(entry.share.identifier)
            assert entry.share.verifying_share == expected


def test_two_groups_of_the_same_size_have_nothing_in_common(make_rng: MakeRng) -> None:
    """Else who signs for one threshold would sign for another."""
    other = Threshold(min_grants=2, electorate=("p1", "p2", "p4"), weights=(), minority=False)
    packages, held = found_groups((LEAF, other), CONTEXT, make_rng)
    assert packages[0].group_public_key != packages[1].group_public_key
    secrets = [entry.share.signing_share for shares in held.values() for entry in shares]
    assert len(set(secrets)) == 6


def test_a_founder_that_has_not_shared_out_has_no_echo(make_rng: MakeRng) -> None:
    with pytest.raises(ValueError, match="not shared out"):
        make_founders(make_rng)[0].echo()


class WrongContext(Founder):
    """Repeats what it broadcast in another ceremony."""

    def broadcast(self) -> bytes:
        other = frost.generate_round1(
            identifier=self.identifier, min_signers=2, max_signers=3, context=b"x", rng=SeededRng(b"x")
        )
        return other[1].to_bytes()


class WrongEcho(Founder):
    """Claims to have seen other broadcasts."""

    def echo(self) -> bytes:
        return bytes(32)


class WrongShare(Founder):
    """Sends somebody a share that does not lie on its polynomial."""

    def share_out(self, broadcasts: Iterable[bytes]) -> Mapping[frost.Identifier, bytes]:
        sent = dict(super().share_out(broadcasts))
        package = frost.Round2Package.from_bytes(sent[frost.Identifier(3)])
        bad = frost.Round2Package(
            sender=package.sender, receiver=package.receiver, share=frost.Scalar(package.share ^ 1)
        )
        return sent | {frost.Identifier(3): bad.to_bytes()}


def test_a_broadcast_of_another_ceremony_names_its_sender(make_rng: MakeRng) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        run_ceremony(make_founders(make_rng, WrongContext))
    assert caught.value.culprits == ("2",)


def test_an_echo_that_differs_ends_the_ceremony(make_rng: MakeRng) -> None:
    with pytest.raises(EquivocationError):
        run_ceremony(make_founders(make_rng, WrongEcho))


def test_a_bad_share_names_its_dealer(make_rng: MakeRng) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        run_ceremony(make_founders(make_rng, WrongShare))
    assert caught.value.culprits == ("2",)
