"""Repair: a participant that lost its share gets it back from a quorum of others, and only it.

Laing and Stinson, "A survey and refinement of repairable threshold schemes" (2018), the enrollment
protocol. The lost share is the value of the group's polynomial at its holder: a sum with one term for each
helper, the helper's weighted share. A helper splits its term in random summands, one for each helper, and
each helper passes on the sum of what it got.

No helper learns the share, nor do any min_signers - 1 of them together: of an honest helper's term they see
all summands at most but the one that it keeps for itself, and without it the others are uniformly random.
The participant that is helped sees sums only, each masked by summands that it never saw: it learns their
total, which is its share, and nothing of a single helper's.

A bare summand would convince nobody. So each helper broadcasts the generator times every summand; these
are as hard to invert as the verifying shares, which are public anyway. They add up to the helper's weighted
verifying share, a summand has to open its commitment, and a helper's sum has to open the sum of the
commitments to what it got. Whoever sends a wrong summand or a wrong sum is named.

The driver owns the wires and three duties: all agree on the ``Repair`` beforehand; all travels authenticated
as part of this one attempt, summands and sums encrypted too; and nobody sends a sum or finishes before
``verify_repair_echoes`` has shown that all saw the same commitments, because with others an honest helper
would be named. A new attempt takes a new context and new summands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType

from vetonet.crypto.frost.dealing import (
    compute_weighted_share,
    compute_weighted_verifying_share,
    index_shares,
    refuse_bad_shares,
    refuse_culprits,
    require_equal_echoes,
    require_one_of_each,
    require_opening,
    sort_quorum,
)
from vetonet.crypto.frost.group import ORDER, Element, Scalar, generate_scalar, multiply_base, sum_elements
from vetonet.crypto.frost.keys import Identifier, KeyShare, PublicKeyPackage
from vetonet.crypto.frost.layout import count_to_bytes
from vetonet.crypto.frost.packages import RepairCommitment, RepairSum, RepairSummand, SecretPackage
from vetonet.errors import ProtocolError, UnknownPartyError
from vetonet.units import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What the helpers and the participant they help agree on beforehand; all of it public.

    Attributes:
        group: the group's public values.
        helpers: the members that help, at least min_signers; kept in ascending order.
        lost: the member whose share was lost.
        context: names the group, its epoch and the attempt.
    """

    group: PublicKeyPackage
    helpers: tuple[Identifier, ...]
    lost: Identifier
    context: bytes

    def __post_init__(self) -> None:
        """Refuse helpers that cannot repair the share.

        Raises:
            UnknownPartyError: a helper, or the one to help, is not in the group.
            ProtocolError: fewer helpers than a quorum, one is there twice, or is to be helped itself.
            ValueError: the context is empty.
        """
        if not self.context:
            raise ValueError("a repair needs a context")
        if self.lost not in self.group.identifiers:
            raise UnknownPartyError("whose share was lost is not in the group", culprit=str(self.lost))
        if self.lost in self.helpers:
            raise ProtocolError("whoever lost its share cannot help", culprit=str(self.lost))
        object.__setattr__(self, "helpers", sort_quorum(self.group, self.helpers))

    def compute_digest(self) -> bytes:
        """Return the 64-byte digest of all that is agreed on."""
        counts = (len(self.helpers), *self.helpers, self.lost)
        return hashlib.sha512(
            hashlib.sha512(self.context).digest()
            + self.group.to_bytes()
            + b"".join(map(count_to_bytes, counts))
        ).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRound1:
    """All commitments as ``verify_repair_round1`` found them to be right; public.

    Attributes:
        repair: what all agreed on.
        commitments: every helper's, in ascending order.
    """

    repair: Repair
    commitments: tuple[RepairCommitment, ...]

    def compute_digest(self) -> bytes:
        """Return the 32-byte digest of the agreement and of all commitments: this participant's echo."""
        digest = hashlib.sha256(b"vetonet-frost-repair-transcript-v1" + self.repair.compute_digest())
        for commitment in self.commitments:
            digest.update(commitment.to_bytes())
        return digest.digest()

    def get_summand(self, sender: Identifier, receiver: Identifier) -> Element:
        """Return the commitment to the summand from one helper to another.

        Raises:
            ValueError: one of them is no helper.
        """
        helpers = self.repair.helpers
        return self.commitments[helpers.index(sender)].summands[helpers.index(receiver)]

    def compute_sum(self, receiver: Identifier) -> Element:
        """Return the commitment to the sum of the summands that one helper got.

        Raises:
            ProtocolError: they cancel out to the identity.
        """
        return sum_elements(self.get_summand(sender, receiver) for sender in self.repair.helpers)


def generate_repair_round1(
    repair: Repair, key_share: KeyShare, rng: Rng
) -> tuple[RepairCommitment, Mapping[Identifier, RepairSummand]]:
    """Return the commitment to broadcast, and a secret summand for each helper, oneself included.

    Args:
        repair: what all agreed on.
        key_share: the helper's share.
        rng: the source of randomness.

    Raises:
        ValueError: the share's holder is not a helper, or it is no share of this group's epoch.
    """
    term = compute_weighted_share(repair.group, repair.helpers, key_share, repair.lost)
    summands = dict(zip(repair.helpers, _split(term, len(repair.helpers), rng), strict=True))
    commitment = RepairCommitment(
        identifier=key_share.identifier, summands=tuple(map(multiply_base, summands.values()))
    )
    sent = {
        receiver: RepairSummand(sender=key_share.identifier, receiver=receiver, share=summand)
        for receiver, summand in summands.items()
    }
    return commitment, MappingProxyType(sent)


def verify_repair_round1(repair: Repair, commitments: Iterable[RepairCommitment]) -> RepairRound1:
    """Return round 1 of a repair whose summands add up to the lost share, if they open as committed.

    Raises:
        UnknownPartyError: a commitment is not from a helper.
        ProtocolError: a helper's commitment is missing or there twice.
        InvalidSignatureError: commitments that do not add up to their helper's weighted verifying share;
            ``culprits`` names all.
    """
    ordered = tuple(sorted(commitments, key=attrgetter("identifier")))
    require_one_of_each((commitment.identifier for commitment in ordered), repair.helpers)
    verify_repair_commitments(repair, ordered)
    return RepairRound1(repair=repair, commitments=ordered)


def verify_repair_commitments(repair: Repair, commitments: Iterable[RepairCommitment]) -> None:
    """Hold when each of these helpers' commitments adds up to its part; others may be missing.

    Raises:
        ValueError: a commitment is not from a helper.
        InvalidSignatureError: as ``verify_repair_round1``.
    """
    culprits = [item.identifier for item in commitments if not _is_commitment_valid(repair, item)]
    refuse_culprits("commitments of helpers are bad", culprits)


def verify_summand(round1: RepairRound1, summand: RepairSummand) -> None:
    """Hold when a summand opens its sender's commitment to it.

    Raises:
        ValueError: sender or receiver is no helper.
        ProtocolError: it does not; ``culprit`` names the sender.
    """
    _require_sent(summand, round1.get_summand(summand.sender, summand.receiver))


def verify_sum(round1: RepairRound1, total: RepairSum) -> None:
    """Hold when a sum is that of the summands which were committed to for its sender.

    Raises:
        ValueError: the sender is no helper.
        ProtocolError: it is not; ``culprit`` names the sender.
    """
    _require_sent(total, round1.compute_sum(total.sender))


def verify_repair_echoes(round1: RepairRound1, echoes: Mapping[Identifier, bytes]) -> None:
    """Hold when all helpers, and whom they help, saw the commitments that this participant saw.

    Args:
        round1: what ``verify_repair_round1`` returned.
        echoes: each one's ``compute_digest``, one's own included.

    Raises:
        ProtocolError: an echo is missing.
        EquivocationError: an echo differs; its sender need not be the one who cheated.
    """
    participants = (*round1.repair.helpers, round1.repair.lost)
    require_equal_echoes(round1.compute_digest(), echoes, participants)


def generate_repair_round2(
    round1: RepairRound1, helper: Identifier, summands: Iterable[RepairSummand]
) -> RepairSum:
    """Return one helper's sum, for the participant that lost its share alone.

    Args:
        round1: what ``verify_repair_round1`` returned.
        helper: whose sum it is.
        summands: one from each helper, its own included, in any order.

    Raises:
        ValueError: the one whose sum it is does not help.
        UnknownPartyError: a summand is not from a helper.
        ProtocolError: a summand is missing, there twice, or for another helper.
        InvalidSignatureError: summands that are not those committed to; ``culprits`` names all senders.
    """
    if helper not in round1.repair.helpers:
        raise ValueError("the sum is not that of a helper")
    shares = index_shares(summands, senders=round1.repair.helpers, receiver=helper)
    total = Scalar(sum(shares.values()) % ORDER)
    try:
        require_opening(total, round1.compute_sum(helper))
    except ProtocolError:
        refuse_bad_shares(shares, lambda sender: round1.get_summand(sender, helper))
        raise
    return RepairSum(sender=helper, receiver=round1.repair.lost, share=total)


def finish_repair(round1: RepairRound1, sums: Iterable[RepairSum]) -> KeyShare:
    """Return the key share that was lost.

    Args:
        round1: what ``verify_repair_round1`` returned.
        sums: one from each helper, in any order.

    Raises:
        UnknownPartyError: a sum is not from a helper.
        ProtocolError: a sum is missing, there twice, or for somebody else.
        InvalidSignatureError: sums of other summands than those committed to; ``culprits`` names all.
    """
    group, lost = round1.repair.group, round1.repair.lost
    shares = index_shares(sums, senders=round1.repair.helpers, receiver=lost)
    signing_share = Scalar(sum(shares.values()) % ORDER)
    verifying_share = group.compute_verifying_share(lost)
    try:
        require_opening(signing_share, verifying_share)
    except ProtocolError:
        refuse_bad_shares(shares, round1.compute_sum)
        raise
    return KeyShare(
        identifier=lost,
        signing_share=signing_share,
        verifying_share=verifying_share,
        group_public_key=group.group_public_key,
        min_signers=group.min_signers,
        max_signers=group.max_signers,
    )


def _require_sent(package: SecretPackage, expected: Element) -> None:
    try:
        require_opening(package.share, expected)
    except ProtocolError as error:
        raise ProtocolError(str(error), culprit=str(package.sender)) from error


def _split(term: Scalar, parts: int, rng: Rng) -> tuple[Scalar, ...]:
    """Return random non-zero summands of a term; a zero one could not be committed to."""
    drawn = [generate_scalar(rng) for _ in range(parts - 1)]
    rest = Scalar((term - sum(drawn)) % ORDER)
    return (*drawn, rest) if rest else _split(term, parts, rng)


def _is_commitment_valid(repair: Repair, commitment: RepairCommitment) -> bool:
    """Return True for one summand a helper, that add up to the helper's weighted verifying share."""
    if len(commitment.summands) != len(repair.helpers):
        return False
    helper = commitment.identifier
    expected = compute_weighted_verifying_share(repair.group, repair.helpers, helper, repair.lost)
    try:
        return sum_elements(commitment.summands) == expected
    except ProtocolError:
        return False
