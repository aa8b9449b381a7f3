"""Shares in secret and in the open: sealed for one receiver, and what a complaint about them shows.

The ciphertext is bound to ceremony, round 1, sender and receiver, so it cannot be moved; its sender signs it,
so that sender answers for what is inside once the receiver gives up its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.hpke import HpkePrivateKey, HpkePublicKey
from vetonet.crypto.statement import Signed
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, ProtocolError, UnexpectedEventError, VerificationError, VetonetError
from vetonet.policy.ceremony import (
    SHARE_BYTES,
    CeremonyComplaint,
    CeremonyPlan,
    CeremonyRound1,
    CeremonyShares,
)
from vetonet.voting.ceremony_transcript import (
    CeremonyTranscript,
    CeremonyVerdict,
    require_agreement,
)

_INFO: Final = b"vetonet-ceremony-shares-v1"

Dealt = Mapping[frost.Identifier, frost.Round1Package]
"""What each seat committed to."""


def seal_shares(
    transcript: CeremonyTranscript, sender: str, receiver: str, shares: Iterable[frost.Round2Package]
) -> CeremonyShares:
    """Return the shares of one party for another, sealed to the key of the receiver's round 1.

    Args:
        transcript: with everybody's round 1.
        sender: who deals.
        receiver: who shall read them.
        shares: one for each pair of their seats.

    Raises:
        UnexpectedEventError: the receiver's round 1 is not there.
        EncodingError: its key is malformed.
    """
    round1 = _require_round1(transcript, receiver)
    key = HpkePublicKey(encoded=round1.statement.hpke_key)
    digest = transcript.compute_round1_digest()
    ordered = sorted(shares, key=lambda share: (share.sender, share.receiver))
    plaintext = b"".join(share.to_bytes() for share in ordered)
    aad = _compute_aad(transcript, digest, sender, receiver)
    sealed = key.seal(plaintext, info=_INFO, aad=aad)
    return CeremonyShares(ceremony=transcript.ceremony, transcript=digest, receiver=receiver, sealed=sealed)


def open_shares(
    transcript: CeremonyTranscript, signed: Signed[CeremonyShares], key: HpkePrivateKey
) -> tuple[frost.Round2Package, ...]:
    """Return the shares in a sealed statement, one for each pair of seats; their values are not verified yet.

    Raises:
        VerificationError: they were sealed for another round 1 or key, or altered.
        EncodingError: what was sealed is not the shares of this sender for this receiver.
    """
    sender, statement = transcript.find_signer(signed), signed.statement
    digest = transcript.compute_round1_digest()
    if statement.transcript != digest:
        raise VerificationError(f"the shares of {sender} are for other round-1 statements")
    aad = _compute_aad(transcript, digest, sender, statement.receiver)
    plaintext = key.open(statement.sealed, info=_INFO, aad=aad)
    return _read_shares(transcript.plan, sender, statement.receiver, plaintext)


def has_bad_shares(
    transcript: CeremonyTranscript, signed: Signed[CeremonyShares], key: HpkePrivateKey, dealt: Dealt
) -> bool:
    """Whether the shares do not open, or one is not the value of the polynomial that was committed to."""
    try:
        for share in open_shares(transcript, signed, key):
            frost.verify_round2(share, dealt[share.sender])
    except (EncodingError, VerificationError, ProtocolError):
        return True
    return False


def judge_complaint(
    transcript: CeremonyTranscript, signed: Signed[CeremonyComplaint], dealt: Dealt
) -> CeremonyVerdict:
    """Return who lied, the dealers complained of or the complainer: one of them did.

    Args:
        transcript: with everybody's round 1, and an echo of it by everybody: before that nobody sends
            shares, and without it a dealer could be held to a round 1 that it never saw.
        signed: the complaint.
        dealt: the commitments of that round 1.

    Raises:
        CeremonyAbortedError: a round 1 or an echo is missing or differs.
    """
    require_agreement(transcript)
    complainer = transcript.find_signer(signed)
    key = HpkePrivateKey(seed=signed.statement.hpke_seed)
    round1 = _require_round1(transcript, complainer)
    if key.public_key.encoded != round1.statement.hpke_key:
        reason = "complains with a key that is not that of its round 1"
        return CeremonyVerdict(culprits=(complainer,), reason=reason, evidence=(signed.data,))
    shown = [_find_liar(transcript, data, complainer, key, dealt) for data in signed.statement.shares]
    culprits = tuple(name for name in transcript.plan.party_ids if name in shown)
    reason = (
        "complains of shares that are right" if culprits == (complainer,) else "dealt shares that do not fit"
    )
    return CeremonyVerdict(culprits=culprits, reason=reason, evidence=(signed.data,))


def _find_liar(
    transcript: CeremonyTranscript, data: bytes, complainer: str, key: HpkePrivateKey, dealt: Dealt
) -> str:
    """Return the dealer of bad shares, or the complainer where it shows none."""
    try:
        signed = transcript.open(data)
    except VetonetError:
        return complainer
    statement = signed.statement
    dealer = transcript.find_signer(signed)
    if not isinstance(statement, CeremonyShares) or statement.receiver != complainer or dealer == complainer:
        return complainer
    shares = Signed(statement=statement, signers=signed.signers, data=signed.data, payload=signed.payload)
    return dealer if has_bad_shares(transcript, shares, key, dealt) else complainer


def _read_shares(
    plan: CeremonyPlan, sender: str, receiver: str, plaintext: bytes
) -> tuple[frost.Round2Package, ...]:
    starts = range(0, len(plaintext), SHARE_BYTES)
    shares = tuple(frost.Round2Package.from_bytes(plaintext[start : start + SHARE_BYTES]) for start in starts)
    expected = [(own, other) for own in plan.list_seats(sender) for other in plan.list_seats(receiver)]
    if [(share.sender, share.receiver) for share in shares] != expected:
        msg = f"expected a share of each of {sender}'s seats for each of {receiver}'s, in ascending order"
        raise EncodingError(msg)
    return shares


def _compute_aad(transcript: CeremonyTranscript, digest: bytes, sender: str, receiver: str) -> bytes:
    parts: Sequence[bytes | str] = (transcript.ceremony, digest, sender, receiver)
    return cbor.to_bytes(list(parts))


def _require_round1(transcript: CeremonyTranscript, party_id: str) -> Signed[CeremonyRound1]:
    round1 = transcript.find(CeremonyRound1, party_id)
    if round1 is None:
        msg = f"the round 1 of {party_id} is not there"
        raise UnexpectedEventError(msg)
    return round1
