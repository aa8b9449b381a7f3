"""Founding: the parties' threshold key, generated without a dealer but in one process.

Every participant is an object of its own and sees only the bytes that it would receive over a network; no
code here ever adds the shares up. They do all exist for a moment on one machine, so whoever controls that
machine could take the group's key: fit for a demonstration, for tests and for a group whose members watch one
machine together. ``vetonet.party.ceremony`` holds a ceremony over the network, each share on its own machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from vetonet.crypto import frost
from vetonet.errors import ConfigError
from vetonet.party.keys import SeatShare
from vetonet.policy.expression import Threshold
from vetonet.units import Rng

Membership = tuple[frost.KeyShare, frost.PublicKeyPackage]
"""What a participant has after the ceremony: its secret share, and what everybody knows of the group."""


class Founder:
    """One participant of the ceremony: holds its own secrets and speaks in bytes only."""

    __slots__ = ("_round1", "_round2", "identifier", "party_id")

    def __init__(
        self,
        party_id: str,
        identifier: frost.Identifier,
        *,
        min_signers: int,
        max_signers: int,
        context: bytes,
        rng: Rng,
    ) -> None:
        """Deal: draw a random polynomial and commit to it.

        Raises:
            ValueError: the thresholds are impossible, or the context is empty.
        """
        self.party_id = party_id
        self.identifier = identifier
        self._round1, _ = frost.generate_round1(
            identifier=identifier, min_signers=min_signers, max_signers=max_signers, context=context, rng=rng
        )
        self._round2: frost.Round2Secret | None = None

    def broadcast(self) -> bytes:
        """Return the round-1 package, for everybody."""
        return self._round1.package.to_bytes()

    def share_out(self, broadcasts: Iterable[bytes]) -> Mapping[frost.Identifier, bytes]:
        """Return a secret share for each other participant, having verified every broadcast.

        Raises:
            EncodingError, ProtocolError, InvalidSignatureError: a broadcast is missing, altered or bad.
        """
        packages = [frost.Round1Package.from_bytes(data) for data in broadcasts]
        self._round2, sent = frost.generate_round2(self._round1, packages)
        return {receiver: package.to_bytes() for receiver, package in sent.items()}

    def echo(self) -> bytes:
        """Return the digest of the broadcasts that this participant saw."""
        return frost.compute_transcript_digest(self._dealt.round1_packages)

    def finish(self, echoes: Mapping[frost.Identifier, bytes], shares: Iterable[bytes]) -> Membership:
        """Return the key share and the group, once every echo agrees and every share fits its commitment.

        Raises:
            EquivocationError: somebody saw other broadcasts.
            EncodingError, ProtocolError, InvalidSignatureError: a share is missing, misdirected or bad.
        """
        frost.verify_echoes(self._dealt, echoes)
        return frost.finish(self._dealt, [frost.Round2Package.from_bytes(data) for data in shares])

    @property
    def _dealt(self) -> frost.Round2Secret:
        if self._round2 is None:
            msg = f"{self.party_id} has not shared out yet"
            raise ValueError(msg)
        return self._round2


def found_groups(
    leaves: Sequence[Threshold], context: bytes, rng_for: Callable[[str], Rng]
) -> tuple[tuple[frost.PublicKeyPackage, ...], Mapping[str, tuple[SeatShare, ...]]]:
    """Return a new group for each threshold, and each party's key shares in all of them.

    Args:
        leaves: the different thresholds of a treaty, in its order; each seat is a participant.
        context: names the treaty, so that a package of another ceremony is refused.
        rng_for: the randomness of one seat.

    Raises:
        ConfigError: no context.
        ProtocolError, VerificationError: a participant cheated; the error names it.
    """
    packages: list[frost.PublicKeyPackage] = []
    held: dict[str, list[SeatShare]] = {}
    for index, leaf in enumerate(leaves):
        members = found_group(leaf, b"%s group %d" % (context, index), partial(_name_rng, rng_for, index))
        packages.append(members[0][1])
        for party_id, (share, _) in zip(leaf.seats, members, strict=True):
            held.setdefault(party_id, []).append(SeatShare(group=index, share=share))
    return tuple(packages), {party_id: tuple(shares) for party_id, shares in held.items()}


def _name_rng(rng_for: Callable[[str], Rng], index: int, who: str) -> Rng:
    return rng_for(f"{index} {who}")


def found_group(leaf: Threshold, context: bytes, rng_for: Callable[[str], Rng]) -> tuple[Membership, ...]:
    """Return each seat's share of a new group that signs only as the threshold says, in order of seats.

    Args:
        leaf: who takes part, with how many seats, and how many it takes.
        context: names the group and epoch, so that a package of another ceremony is refused.
        rng_for: the randomness of one seat, by its party and number.

    Raises:
        ConfigError: no context.
        ProtocolError, VerificationError: a participant cheated; the error names it.
    """
    if not context:
        msg = "a group needs a context that names it"
        raise ConfigError(msg)
    return run_ceremony(
        [
            Founder(
                party_id,
                frost.Identifier(number),
                min_signers=leaf.min_grants,
                max_signers=leaf.seat_count,
                context=context,
                rng=rng_for(f"{party_id} {number}"),
            )
            for number, party_id in enumerate(leaf.seats, start=1)
        ]
    )


def run_ceremony(founders: Sequence[Founder]) -> tuple[Membership, ...]:
    """Return what each founder ends with, in their order, after they exchanged broadcasts, shares and echoes.

    Raises:
        ProtocolError, VerificationError: a founder cheated; nobody gets a share.
    """
    broadcasts = [founder.broadcast() for founder in founders]
    sent = {founder.identifier: founder.share_out(broadcasts) for founder in founders}
    echoes = {founder.identifier: founder.echo() for founder in founders}
    return tuple(founder.finish(echoes, _addressed_to(founder.identifier, sent)) for founder in founders)


def _addressed_to(
    receiver: frost.Identifier, sent: Mapping[frost.Identifier, Mapping[frost.Identifier, bytes]]
) -> list[bytes]:
    return [shares[receiver] for sender, shares in sent.items() if sender != receiver]
