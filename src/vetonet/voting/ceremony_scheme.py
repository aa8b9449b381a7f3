"""The mathematics behind each kind of ceremony, under one interface: what is dealt, verified and added up.

The machine of ``vetonet.voting.ceremony`` knows statements, phases and blame; what a commitment or a secret
is worth, it asks here. Each kind is a protocol of ``vetonet.crypto.frost``; the ceremony's digest is its
context, so nothing dealt for one ceremony or attempt fits another (VN-15.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from vetonet.crypto import frost
from vetonet.policy.ceremony import CeremonyPlan, CeremonySums, SecretKind
from vetonet.policy.handover import CeremonyKind, Handover
from vetonet.units import Rng

Package: TypeAlias = frost.Round1Package | frost.RepairCommitment
"""What a dealing seat commits to in public."""

Committed: TypeAlias = Mapping[frost.Identifier, Package]
"""What each dealing seat committed to, in ascending order."""

Dealing: TypeAlias = frost.Round1Secret | frost.ReshareSecret | tuple[frost.RepairSummand, ...]
"""What a dealing seat keeps until it has dealt; secret."""


class Scheme(Protocol):
    """One kind of ceremony; seats are FROST participants, and nobody has a name here."""

    def read_package(self, data: bytes) -> Package:
        """Return what a dealing seat committed to.

        Raises:
            EncodingError: the bytes do not spell it.
        """

    def commit(self, seat: frost.Identifier, share: frost.KeyShare | None, rng: Rng) -> tuple[Dealing, bytes]:
        """Return what a seat will deal, and its commitment for everybody.

        Raises:
            ValueError: the share is missing, or not one of the group that is handed over.
        """

    def verify(self, packages: Iterable[Package]) -> None:
        """Hold when each of these commitments is what its seat owes; others may be missing.

        Raises:
            InvalidSignatureError: some are bad; ``culprits`` names their seats.
        """

    def deal(self, dealing: Dealing, committed: Committed) -> tuple[frost.SecretPackage, ...]:
        """Return a seat's secret for every receiving seat, its own included."""

    def read_secret(self, kind: SecretKind, data: bytes) -> frost.SecretPackage:
        """Return the secret that a sealed statement of this kind holds.

        Raises:
            EncodingError: the bytes do not spell it.
        """

    def verify_secret(self, committed: Committed, secret: frost.SecretPackage) -> None:
        """Hold when a secret is what its seat committed to.

        Raises:
            ProtocolError: it is not.
        """

    def sum_up(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.SecretPackage:
        """Return a helper's sum of what it was dealt; only a repair has any.

        Raises:
            ProtocolError, InvalidSignatureError: a summand is missing or bad.
        """

    def finish(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.KeyShare:
        """Return a seat's key share from what it was dealt.

        Raises:
            ProtocolError, InvalidSignatureError: a secret is missing or bad.
        """

    def compute_package(self, committed: Committed) -> frost.PublicKeyPackage:
        """Return the group's public values; in all kinds but generation under the old group public key.

        Raises:
            EncodingError, ProtocolError: the commitments make no usable key, or another one.
        """


def find_scheme(plan: CeremonyPlan, ceremony: bytes) -> Scheme:
    """Return the mathematics of a plan's ceremony; ``ceremony`` is the plan's digest."""
    old = plan.handover
    if old is None:
        return GenerationScheme(min_signers=plan.min_signers, max_signers=len(plan.seats), context=ceremony)
    dealers = tuple(map(frost.Identifier, old.dealers))
    if old.kind is CeremonyKind.REPAIR:
        return RepairScheme(repair=_plan_repair(old, dealers, ceremony))
    seats = tuple(frost.Identifier(number) for number in range(1, len(plan.seats) + 1))
    resharing = frost.Resharing(
        old=old.package, dealers=dealers, identifiers=seats, min_signers=plan.min_signers, context=ceremony
    )
    return ReshareScheme(resharing=resharing)


def _plan_repair(old: Handover, helpers: tuple[frost.Identifier, ...], ceremony: bytes) -> frost.Repair:
    if old.lost is None:
        raise ValueError("a repair of no share")
    lost = frost.Identifier(old.lost)
    return frost.Repair(group=old.package, helpers=helpers, lost=lost, context=ceremony)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationScheme:
    """A new key: every seat deals a random polynomial (``vetonet.crypto.frost.dkg``)."""

    min_signers: int
    max_signers: int
    context: bytes

    def read_package(self, data: bytes) -> Package:
        """Return the commitment to a polynomial."""
        return frost.Round1Package.from_bytes(data)

    def commit(self, seat: frost.Identifier, share: frost.KeyShare | None, rng: Rng) -> tuple[Dealing, bytes]:
        """Return a random polynomial and the commitment to it."""
        if share is not None:
            raise ValueError("key generation starts from no share")
        secret, package = frost.generate_round1(
            identifier=seat,
            min_signers=self.min_signers,
            max_signers=self.max_signers,
            context=self.context,
            rng=rng,
        )
        return secret, package.to_bytes()

    def verify(self, packages: Iterable[Package]) -> None:
        """Hold when each has the right length and a valid proof."""
        frost.verify_round1(
            _polynomials(packages),
            min_signers=self.min_signers,
            max_signers=self.max_signers,
            context=self.context,
        )

    def deal(self, dealing: Dealing, committed: Committed) -> tuple[frost.SecretPackage, ...]:
        """Return the polynomial's value at every seat."""
        if not isinstance(dealing, frost.Round1Secret):
            raise _refuse(dealing)
        return tuple(frost.evaluate_round2(dealing, _polynomials(committed.values())).values())

    def read_secret(self, kind: SecretKind, data: bytes) -> frost.SecretPackage:
        """Return a polynomial's value."""
        del kind
        return frost.Round2Package.from_bytes(data)

    def verify_secret(self, committed: Committed, secret: frost.SecretPackage) -> None:
        """Hold when it is the value of the polynomial that was committed to."""
        _verify_value(committed, secret)

    def sum_up(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.SecretPackage:
        """Refuse: nobody passes on a sum."""
        raise _refuse((committed, seat, secrets))

    def finish(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.KeyShare:
        """Return the sum of the values at a seat."""
        values = {value.sender: value for value in _values(secrets)}
        kept = frost.Round2Secret(
            identifier=seat,
            own_share=values.pop(seat).share,
            round1_packages=_polynomials(committed.values()),
        )
        return frost.finish(kept, values.values())[0]

    def compute_package(self, committed: Committed) -> frost.PublicKeyPackage:
        """Return the group whose polynomial is the sum of all."""
        return frost.compute_public_key_package(_polynomials(committed.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshareScheme:
    """The same key for other seats, or new shares for the same ones (``vetonet.crypto.frost.resharing``)."""

    resharing: frost.Resharing

    def read_package(self, data: bytes) -> Package:
        """Return the commitment to a polynomial."""
        return frost.Round1Package.from_bytes(data)

    def commit(self, seat: frost.Identifier, share: frost.KeyShare | None, rng: Rng) -> tuple[Dealing, bytes]:
        """Return a polynomial that starts at the seat's weighted share, and the commitment to it."""
        secret, package = frost.generate_reshare_round1(self.resharing, _require(share, seat), rng)
        return secret, package.to_bytes()

    def verify(self, packages: Iterable[Package]) -> None:
        """Hold when each starts at its dealer's weighted share, with the right length and a valid proof."""
        frost.verify_reshare_packages(self.resharing, _polynomials(packages))

    def deal(self, dealing: Dealing, committed: Committed) -> tuple[frost.SecretPackage, ...]:
        """Return the polynomial's value at every new seat."""
        if not isinstance(dealing, frost.ReshareSecret):
            raise _refuse(dealing)
        return tuple(frost.generate_reshare_round2(dealing, self._open(committed)).values())

    def read_secret(self, kind: SecretKind, data: bytes) -> frost.SecretPackage:
        """Return a polynomial's value."""
        del kind
        return frost.Round2Package.from_bytes(data)

    def verify_secret(self, committed: Committed, secret: frost.SecretPackage) -> None:
        """Hold when it is the value of the polynomial that was committed to."""
        _verify_value(committed, secret)

    def sum_up(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.SecretPackage:
        """Refuse: nobody passes on a sum."""
        raise _refuse((committed, seat, secrets))

    def finish(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.KeyShare:
        """Return the sum of the values at a new seat."""
        return frost.finish_resharing(self._open(committed), seat, _values(secrets))[0]

    def compute_package(self, committed: Committed) -> frost.PublicKeyPackage:
        """Return the new group, under the old group public key (VN-15.8)."""
        return frost.compute_reshared_package(self._open(committed))

    def _open(self, committed: Committed) -> frost.ReshareRound1:
        return frost.ReshareRound1(resharing=self.resharing, packages=_polynomials(committed.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairScheme:
    """One seat gets its share back, and the group stays what it is (``vetonet.crypto.frost.repair``)."""

    repair: frost.Repair

    def read_package(self, data: bytes) -> Package:
        """Return the commitments to summands."""
        return frost.RepairCommitment.from_bytes(data)

    def commit(self, seat: frost.Identifier, share: frost.KeyShare | None, rng: Rng) -> tuple[Dealing, bytes]:
        """Return random summands of the seat's weighted share, and the commitments to them."""
        commitment, summands = frost.generate_repair_round1(self.repair, _require(share, seat), rng)
        return tuple(summands.values()), commitment.to_bytes()

    def verify(self, packages: Iterable[Package]) -> None:
        """Hold when each adds up to its helper's weighted verifying share."""
        frost.verify_repair_commitments(self.repair, _commitments(packages))

    def deal(self, dealing: Dealing, committed: Committed) -> tuple[frost.SecretPackage, ...]:
        """Return the summands."""
        del committed
        if not isinstance(dealing, tuple):
            raise _refuse(dealing)
        return dealing

    def read_secret(self, kind: SecretKind, data: bytes) -> frost.SecretPackage:
        """Return a summand, or a sum of some."""
        expected = frost.RepairSum if kind is CeremonySums else frost.RepairSummand
        return expected.from_bytes(data)

    def verify_secret(self, committed: Committed, secret: frost.SecretPackage) -> None:
        """Hold when it opens the commitment to a summand, or to the sum of those that a helper got."""
        match secret:
            case frost.RepairSum():
                frost.verify_sum(self._open(committed), secret)
            case frost.RepairSummand():
                frost.verify_summand(self._open(committed), secret)
            case _:
                raise _refuse(secret)

    def sum_up(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.SecretPackage:
        """Return a helper's sum of the summands that it got."""
        summands = [secret for secret in secrets if isinstance(secret, frost.RepairSummand)]
        return frost.generate_repair_round2(self._open(committed), seat, summands)

    def finish(
        self, committed: Committed, seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
    ) -> frost.KeyShare:
        """Return the share that was lost."""
        if seat != self.repair.lost:
            raise _refuse(seat)
        sums = [secret for secret in secrets if isinstance(secret, frost.RepairSum)]
        return frost.finish_repair(self._open(committed), sums)

    def compute_package(self, committed: Committed) -> frost.PublicKeyPackage:
        """Return the group that there is."""
        del committed
        return self.repair.group

    def _open(self, committed: Committed) -> frost.RepairRound1:
        return frost.RepairRound1(repair=self.repair, commitments=_commitments(committed.values()))


def _require(share: frost.KeyShare | None, seat: frost.Identifier) -> frost.KeyShare:
    if share is None:
        raise ValueError(f"seat {seat} deals, so its key share is needed")
    return share


def _polynomials(packages: Iterable[Package]) -> tuple[frost.Round1Package, ...]:
    return tuple(package for package in packages if isinstance(package, frost.Round1Package))


def _commitments(packages: Iterable[Package]) -> tuple[frost.RepairCommitment, ...]:
    return tuple(package for package in packages if isinstance(package, frost.RepairCommitment))


def _values(secrets: Iterable[frost.SecretPackage]) -> tuple[frost.Round2Package, ...]:
    return tuple(secret for secret in secrets if isinstance(secret, frost.Round2Package))


def _verify_value(committed: Committed, secret: frost.SecretPackage) -> None:
    dealt = committed[secret.sender]
    if not isinstance(secret, frost.Round2Package) or not isinstance(dealt, frost.Round1Package):
        raise _refuse(type(secret))
    frost.verify_round2(secret, dealt)


def _refuse(what: object) -> ValueError:
    return ValueError(f"a {type(what).__name__} of another kind of ceremony")
