"""Secrets in secret and in the open: sealed for one receiver, and what a complaint about them shows.

The ciphertext is bound to ceremony, round 1, sender and receiver, and the key schedule to the kind of secret,
so it cannot be moved; its sender signs it, so that sender answers for what is inside once the receiver gives
up the key that it made for this sender.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from vetonet.crypto import frost
from vetonet.crypto.hpke import HpkePrivateKey, HpkePublicKey
from vetonet.crypto.statement import Signed
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, ProtocolError, UnexpectedEventError, VerificationError, VetonetError
from vetonet.policy.ceremony import (
    SHARE_BYTES,
    CeremonyComplaint,
    CeremonyRound1,
    CeremonySealed,
    CeremonyShares,
    CeremonySums,
    SecretKind,
)
from vetonet.policy.handover import CeremonyKind
from vetonet.voting.ceremony_scheme import Committed
from vetonet.voting.ceremony_transcript import (
    CeremonyTranscript,
    CeremonyVerdict,
    require_agreement,
)

_INFO: Final[Mapping[CeremonyKind, bytes]] = {
    CeremonyKind.GENERATION: b"vetonet-ceremony-shares-v1",
    CeremonyKind.RESHARING: b"vetonet-ceremony-reshared-shares-v1",
    CeremonyKind.REFRESH: b"vetonet-ceremony-refreshed-shares-v1",
    CeremonyKind.REPAIR: b"vetonet-ceremony-repair-summands-v1",
}
_INFO_SUMS: Final = b"vetonet-ceremony-repair-sums-v1"


def seal_secrets(
    transcript: CeremonyTranscript,
    kind: SecretKind,
    secrets: Iterable[frost.SecretPackage],
    *,
    sender: str,
    receiver: str,
) -> CeremonyShares | CeremonySums:
    """Return the secrets of one party for another, sealed to the key that the receiver made for the sender.

    Args:
        transcript: with everybody's round 1.
        kind: of the statement.
        secrets: one for each pair of their seats.
        sender: who deals.
        receiver: who shall read them.

    Raises:
        UnexpectedEventError: the receiver's round 1 is not there, or has no key for the sender.
        EncodingError: its key is malformed.
    """
    key = HpkePublicKey(encoded=_find_key(transcript, receiver, sender))
    digest = transcript.compute_round1_digest()
    ordered = sorted(secrets, key=lambda secret: (secret.sender, secret.receiver))
    plaintext = b"".join(secret.to_bytes() for secret in ordered)
    aad = _compute_aad(transcript, digest, sender, receiver)
    sealed = key.seal(plaintext, info=_choose_info(transcript, kind), aad=aad)
    return kind(ceremony=transcript.ceremony, transcript=digest, receiver=receiver, sealed=sealed)


def open_secrets(
    transcript: CeremonyTranscript, signed: Signed[CeremonySealed], key: HpkePrivateKey
) -> tuple[frost.SecretPackage, ...]:
    """Return the secrets in a sealed statement, one for each pair of seats; they are not verified yet.

    Raises:
        VerificationError: they were sealed for another round 1, key or use, or altered.
        EncodingError: what was sealed is not what this sender owes this receiver.
    """
    sender, statement = transcript.find_signer(signed), signed.statement
    digest = transcript.compute_round1_digest()
    if statement.transcript != digest:
        raise VerificationError(f"the secrets of {sender} are for other round-1 statements")
    kind = CeremonySums if isinstance(statement, CeremonySums) else CeremonyShares
    aad = _compute_aad(transcript, digest, sender, statement.receiver)
    plaintext = key.open(statement.sealed, info=_choose_info(transcript, kind), aad=aad)
    return _read_secrets(transcript, kind, sender, statement.receiver, plaintext)


def has_bad_secrets(
    transcript: CeremonyTranscript,
    signed: Signed[CeremonySealed],
    key: HpkePrivateKey,
    committed: Committed,
) -> bool:
    """Whether the secrets do not open, or one is not what was committed to."""
    try:
        for secret in open_secrets(transcript, signed, key):
            transcript.scheme.verify_secret(committed, secret)
    except (EncodingError, VerificationError, ProtocolError):
        return True
    return False


def judge_complaint(
    transcript: CeremonyTranscript, signed: Signed[CeremonyComplaint], committed: Committed
) -> CeremonyVerdict:
    """Return who lied, the senders complained of or the complainer: one of them did (VN-15.5).

    Args:
        transcript: with everybody's round 1, and an echo of it by everybody: before that nobody sends
            secrets, and without it a dealer could be held to a round 1 that it never saw.
        signed: the complaint.
        committed: the commitments of that round 1.

    Raises:
        CeremonyAbortedError: a round 1 or an echo is missing or differs.
    """
    require_agreement(transcript)
    complainer = transcript.find_signer(signed)
    given = zip(signed.statement.hpke_seeds, signed.statement.sealed, strict=True)
    shown = [_find_liar(transcript, data, complainer, seed, committed) for seed, data in given]
    culprits = tuple(name for name in transcript.plan.party_ids if name in shown)
    reason = (
        "complains of shares that are right, or with another key than that of its round 1"
        if culprits == (complainer,)
        else "dealt shares that do not fit"
    )
    return CeremonyVerdict(culprits=culprits, reason=reason, evidence=(signed.data,))


def _find_liar(
    transcript: CeremonyTranscript, data: bytes, complainer: str, seed: bytes, committed: Committed
) -> str:
    """Return the sender of bad secrets, or the complainer where it shows none."""
    try:
        signed: Signed[Any] = transcript.open(data)
        sender = transcript.find_signer(signed)
        expected = _find_key(transcript, complainer, sender)
    except VetonetError:
        return complainer
    key = HpkePrivateKey(seed=seed)
    is_its = isinstance(signed.statement, CeremonySealed) and signed.statement.receiver == complainer
    if not is_its or key.public_key.encoded != expected:
        return complainer
    return sender if has_bad_secrets(transcript, signed, key, committed) else complainer


def _read_secrets(
    transcript: CeremonyTranscript, kind: SecretKind, sender: str, receiver: str, plaintext: bytes
) -> tuple[frost.SecretPackage, ...]:
    starts = range(0, len(plaintext), SHARE_BYTES)
    pieces = (plaintext[start : start + SHARE_BYTES] for start in starts)
    secrets = tuple(transcript.scheme.read_secret(kind, piece) for piece in pieces)
    expected = transcript.plan.list_pairs(kind, sender, receiver)
    if tuple((secret.sender, secret.receiver) for secret in secrets) != expected:
        msg = f"expected a secret of each of {sender}'s seats for each of {receiver}'s, in ascending order"
        raise EncodingError(msg)
    return secrets


def _choose_info(transcript: CeremonyTranscript, kind: SecretKind) -> bytes:
    """Return what a secret is for: no ciphertext of one kind opens as another (VN-15.9)."""
    return _INFO_SUMS if kind is CeremonySums else _INFO[transcript.plan.kind]


def _compute_aad(transcript: CeremonyTranscript, digest: bytes, sender: str, receiver: str) -> bytes:
    parts: Sequence[bytes | str] = (transcript.ceremony, digest, sender, receiver)
    return cbor.to_bytes(list(parts))


def _find_key(transcript: CeremonyTranscript, receiver: str, sender: str) -> bytes:
    """Return the key that a receiver made for a sender."""
    round1 = transcript.find(CeremonyRound1, receiver)
    correspondents = transcript.plan.list_correspondents(receiver)
    if round1 is None or sender not in correspondents:
        msg = f"no key of {receiver} for {sender} is there"
        raise UnexpectedEventError(msg)
    return round1.statement.hpke_keys[correspondents.index(sender)]
