"""A FROST group whose secret the test knows, its signatures, and its honest resharings and repairs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vetonet.crypto import frost
from vetonet.crypto.frost.group import generate_scalar, multiply_base
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.rng import SeededRng


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Everybody's share in one place, which no protocol ever has.

    Attributes:
        public: what anybody may know.
        shares: each member's key share, by number.
    """

    public: frost.PublicKeyPackage
    shares: dict[int, frost.KeyShare]

    @property
    def key(self) -> frost.GroupPublicKey:
        return self.public.group_public_key


def deal_group(k: int, numbers: Iterable[int], seed: bytes = b"group") -> Group:
    """Return the group of a random polynomial."""
    rng = SeededRng(seed)
    coefficients = [generate_scalar(rng) for _ in range(k)]
    public = frost.PublicKeyPackage(
        vss_commitment=tuple(map(multiply_base, coefficients)),
        identifiers=tuple(map(frost.Identifier, sorted(numbers))),
    )
    shares = {
        int(identifier): frost.KeyShare.from_signing_share(
            identifier=identifier,
            signing_share=evaluate(coefficients, identifier),
            group_public_key=public.group_public_key,
            min_signers=k,
            max_signers=public.max_signers,
        )
        for identifier in public.identifiers
    }
    return Group(public=public, shares=shares)


def sign_together(
    shares: Iterable[frost.KeyShare], public: frost.PublicKeyPackage, message: bytes = b"m"
) -> bytes:
    """Return what these signers sign together; the coordinator knows the group by ``public``."""
    signers = list(shares)
    rng = SeededRng(b"nonces")
    committed = [frost.commit(share, rng) for share in signers]
    package = frost.SigningPackage(message=message, commitments=tuple(item for _, item in committed))
    signed = [frost.sign(package, nonces, who) for (nonces, _), who in zip(committed, signers, strict=True)]
    return frost.aggregate(package, signed, public)


class ReshareRun:
    """A resharing, each dealer's part of it made, and from there as far as a test wants to go."""

    def __init__(self, group: Group, resharing: frost.Resharing, seed: bytes = b"reshare") -> None:
        self.resharing = resharing
        rng = SeededRng(seed)
        dealt = {
            int(dealer): frost.generate_reshare_round1(resharing, group.shares[dealer], rng)
            for dealer in resharing.dealers
        }
        self.secrets = {number: secret for number, (secret, _) in dealt.items()}
        self.packages = {number: package for number, (_, package) in dealt.items()}

    def verify(self) -> frost.ReshareRound1:
        return frost.verify_reshare_round1(self.resharing, self.packages.values())

    def receive(self, number: int) -> dict[int, frost.Round2Package]:
        """Return what one new member gets, by dealer."""
        round1 = self.verify()
        return {
            dealer: frost.generate_reshare_round2(secret, round1)[frost.Identifier(number)]
            for dealer, secret in self.secrets.items()
        }

    def finish(self) -> Group:
        """Return the new group, whose members agree on its public values."""
        results = {
            int(member): frost.finish_resharing(self.verify(), member, self.receive(member).values())
            for member in self.resharing.identifiers
        }
        (public,) = {public for _, public in results.values()}
        return Group(public=public, shares={number: share for number, (share, _) in results.items()})


class RepairRun:
    """A repair, each helper's summands split, and from there as far as a test wants to go."""

    def __init__(self, group: Group, repair: frost.Repair, seed: bytes = b"repair") -> None:
        self.repair = repair
        rng = SeededRng(seed)
        split = {
            int(helper): frost.generate_repair_round1(repair, group.shares[helper], rng)
            for helper in repair.helpers
        }
        self.commitments = {number: commitment for number, (commitment, _) in split.items()}
        self.sent = {
            number: {int(receiver): summand for receiver, summand in summands.items()}
            for number, (_, summands) in split.items()
        }

    def verify(self) -> frost.RepairRound1:
        return frost.verify_repair_round1(self.repair, self.commitments.values())

    def receive(self, number: int) -> dict[int, frost.RepairSummand]:
        """Return what one helper gets, by sender."""
        return {sender: summands[number] for sender, summands in self.sent.items()}

    def sums(self) -> dict[int, frost.RepairSum]:
        """Return every helper's sum, for the participant that lost its share."""
        round1 = self.verify()
        return {
            int(helper): frost.generate_repair_round2(round1, helper, self.receive(helper).values())
            for helper in self.repair.helpers
        }

    def finish(self) -> frost.KeyShare:
        return frost.finish_repair(self.verify(), self.sums().values())
