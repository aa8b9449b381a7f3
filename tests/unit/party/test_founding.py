"""Founding: everybody gets a share of one key, and who cheats is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, EquivocationError, InvalidSignatureError
from vetonet.party.founding import Founder, Membership, found_group, run_ceremony

MakeRng = Callable[[str], SeededRng]
CONTEXT = b"treaty of the test, epoch 1"
PARTIES = ("p1", "p2", "p3")


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
    members = found_group(PARTIES, 2, CONTEXT, make_rng)
    group_key = members["p1"][1].group_public_key
    for pair in (("p1", "p2"), ("p1", "p3"), ("p2", "p3")):
        signature = sign_together([members[name] for name in pair], make_rng("sign"))
        group_key.verify_signature(b"yes", signature)


def test_all_members_know_the_same_group_and_hold_different_shares(make_rng: MakeRng) -> None:
    members = found_group(PARTIES, 2, CONTEXT, make_rng)
    assert len({package.to_bytes() for _, package in members.values()}) == 1
    assert len({share.signing_share for share, _ in members.values()}) == 3
    assert [int(share.identifier) for share, _ in members.values()] == [1, 2, 3]


def test_the_same_randomness_founds_the_same_group(make_rng: MakeRng) -> None:
    first, second = (found_group(PARTIES, 2, CONTEXT, make_rng) for _ in range(2))
    assert first["p1"][1] == second["p1"][1]


def test_a_founder_shows_nothing_of_its_secrets(make_rng: MakeRng) -> None:
    founder = make_founders(make_rng)[0]
    assert str(founder._round1.coefficients[0]) not in repr(founder) + repr(founder._round1)


@pytest.mark.parametrize(
    ("participants", "min_signers", "context"),
    [
        ((), 1, CONTEXT),
        (("p1", "p1"), 2, CONTEXT),
        (PARTIES, 0, CONTEXT),
        (PARTIES, 4, CONTEXT),
        (PARTIES, 2, b""),
    ],
)
def test_an_impossible_group_is_refused(
    make_rng: MakeRng, participants: tuple[str, ...], min_signers: int, context: bytes
) -> None:
    with pytest.raises(ConfigError):
        found_group(participants, min_signers, context, make_rng)


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
