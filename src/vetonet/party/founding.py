"""Founding: the parties' threshold key, generated without a dealer but in one process.

Every participant is an object of its own and sees only the bytes that it would receive over a network; no
code here ever adds the shares up. They do all exist for a moment on one machine, so whoever controls that
machine could take the group's key: fit for a demonstration, for tests and for a group whose members watch one
machine together. ``vetonet.party.ceremony`` holds a ceremony over the network, each share on its own machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from vetonet.crypto import frost
from vetonet.errors import ConfigError
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


def found_group(
    participants: Sequence[str], min_signers: int, context: bytes, rng_for: Callable[[str], Rng]
) -> Mapping[str, Membership]:
    """Return each participant's share of a new group that signs only as ``min_signers`` together.

    Args:
        participants: ids of the parties in the order of the roster; the first becomes participant 1.
        min_signers: how many of them it shall take to sign.
        context: names the group and epoch, so that a package of another ceremony is refused.
        rng_for: the randomness of one participant.

    Raises:
        ConfigError: nobody, somebody twice, a threshold that cannot be met, or no context.
        ProtocolError, VerificationError: a participant cheated; the error names it.
    """
    _verify_participants(participants, min_signers, context)
    return run_ceremony(
        [
            Founder(
                party_id,
                frost.Identifier(number),
                min_signers=min_signers,
                max_signers=len(participants),
                context=context,
                rng=rng_for(party_id),
            )
            for number, party_id in enumerate(participants, start=1)
        ]
    )


def run_ceremony(founders: Sequence[Founder]) -> Mapping[str, Membership]:
    """Return what each founder ends with after they exchanged broadcasts, shares and echoes.

    Raises:
        ProtocolError, VerificationError: a founder cheated; nobody gets a share.
    """
    broadcasts = [founder.broadcast() for founder in founders]
    sent = {founder.identifier: founder.share_out(broadcasts) for founder in founders}
    echoes = {founder.identifier: founder.echo() for founder in founders}
    return {
        founder.party_id: founder.finish(echoes, _addressed_to(founder.identifier, sent))
        for founder in founders
    }


def _addressed_to(
    receiver: frost.Identifier, sent: Mapping[frost.Identifier, Mapping[frost.Identifier, bytes]]
) -> list[bytes]:
    return [shares[receiver] for sender, shares in sent.items() if sender != receiver]


def _verify_participants(participants: Sequence[str], min_signers: int, context: bytes) -> None:
    if not participants or len(set(participants)) < len(participants):
        msg = "a group needs participants, each named once"
        raise ConfigError(msg)
    if not 1 <= min_signers <= len(participants):
        msg = f"expected 1 to {len(participants)} signers, got {min_signers}"
        raise ConfigError(msg)
    if not context:
        msg = "a group needs a context that names it"
        raise ConfigError(msg)
