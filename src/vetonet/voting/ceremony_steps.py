"""What a participant does in each phase of a ceremony with the statements that are there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from vetonet.crypto import frost
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, ProtocolError, VerificationError
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyRound1,
    CeremonyShares,
    CeremonyStatement,
    CeremonySums,
    SecretKind,
)
from vetonet.policy.handover import CeremonyKind
from vetonet.voting.ceremony_shares import has_bad_secrets, judge_complaint, open_secrets, seal_secrets
from vetonet.voting.ceremony_state import (
    Abort,
    Broadcast,
    Ceremony,
    CeremonyEffect,
    CeremonyOutcome,
    CeremonyPhase,
    Complain,
    Finish,
    Keep,
    SendTo,
)
from vetonet.voting.ceremony_transcript import (
    CeremonyAbortedError,
    CeremonyVerdict,
    read_complaints,
    verify_commitments,
)

EFFECTS_NONE: Final[tuple[CeremonyEffect, ...]] = ()


def advance(state: Ceremony) -> CeremonyOutcome:
    """Return the state after every step that its statements allow, and all their effects."""
    effects: tuple[CeremonyEffect, ...] = ()
    while state.phase in _STEPS:
        try:
            following, more = _STEPS[state.phase](state)
        except CeremonyAbortedError as error:
            following, more = abort(state, error.verdict)
        effects += more
        if following is state:
            break
        state = following
    return state, effects


def _echo_when_committed(state: Ceremony) -> CeremonyOutcome:
    """With everybody's round 1 here and verified, say what it was."""
    transcript = state.transcript
    if transcript.list_missing(CeremonyRound1):
        return state, EFFECTS_NONE
    committed = verify_commitments(transcript)
    echoing = replace(state, phase=CeremonyPhase.ECHOING, committed=committed)
    echo = CeremonyEcho(ceremony=transcript.ceremony, transcript=transcript.compute_round1_digest())
    echoed, data = sign_own(echoing, echo)
    return echoed, (Broadcast(data=data),)


def _share_when_echoed(state: Ceremony) -> CeremonyOutcome:
    """With everybody's echo here and the same, deal: not before, or two faces go unnoticed (VN-15.3)."""
    differing = state.transcript.list_differing_echoes()
    if differing:
        return _disclose_once(state, differing)
    if state.transcript.list_missing(CeremonyEcho):
        return state, EFFECTS_NONE
    scheme, secrets = state.transcript.scheme, state.require_secrets()
    dealt = [secret for dealing in secrets.round1 for secret in scheme.deal(dealing, state.committed)]
    effects, kept = _send_secrets(state, CeremonyShares, dealt)
    return replace(
        state, phase=CeremonyPhase.SHARING, secrets=replace(secrets, round1=(), kept=kept)
    ), effects


def _disclose_once(state: Ceremony, differing: tuple[str, ...]) -> CeremonyOutcome:
    """Show what the own echo was made of, and the echoes: two statements of one party convict it."""
    if state.disclosed_to == differing:
        return state, EFFECTS_NONE
    transcript = state.transcript
    round1, echoes = (transcript.list_statements(kind) for kind in (CeremonyRound1, CeremonyEcho))
    seen = tuple(signed.data for signed in (*round1.values(), *echoes.values()))
    disclosure = CeremonyDisclosure(ceremony=transcript.ceremony, statements=seen)
    data = sign(disclosure, state.require_secrets().signing_key)
    return replace(state, disclosed_to=differing), (Broadcast(data=data),)


def _send_secrets(
    state: Ceremony, kind: SecretKind, dealt: Sequence[frost.SecretPackage]
) -> tuple[tuple[CeremonyEffect, ...], tuple[frost.SecretPackage, ...]]:
    """Return what goes sealed to others, and what the party's seats have for each other."""
    plan, party_id = state.transcript.plan, state.party_id
    effects = tuple(
        SendTo(party_id=name, data=_seal_for(state, kind, name, dealt))
        for name in plan.list_receivers(kind, party_id)
    )
    own = set(plan.list_pairs(kind, party_id, party_id))
    return effects, tuple(secret for secret in dealt if (secret.sender, secret.receiver) in own)


def _seal_for(
    state: Ceremony, kind: SecretKind, receiver: str, dealt: Iterable[frost.SecretPackage]
) -> bytes:
    pairs = set(state.transcript.plan.list_pairs(kind, state.party_id, receiver))
    secrets = (secret for secret in dealt if (secret.sender, secret.receiver) in pairs)
    sealed = seal_secrets(state.transcript, kind, secrets, sender=state.party_id, receiver=receiver)
    return sign(sealed, state.require_secrets().signing_key)


def _go_on_when_shared(state: Ceremony) -> CeremonyOutcome:
    """A complaint ends it; else the shares give the key, or in a repair the sums of them what gives it."""
    _refuse_when_complained(state)
    if state.transcript.list_owing(CeremonyShares, state.party_id):
        return state, EFFECTS_NONE
    is_repair = state.transcript.plan.kind is CeremonyKind.REPAIR
    return _sum_up(state) if is_repair else _add_up(state, CeremonyShares)


def _sum_up(state: Ceremony) -> CeremonyOutcome:
    """Every summand is here: a helper passes on the sum, or complains of whoever sent a bad one (VN-15.9)."""
    transcript, secrets = state.transcript, state.require_secrets()
    seats = transcript.plan.list_dealing_seats(state.party_id)
    try:
        summands = _open_all(state, CeremonyShares)
        sums = [transcript.scheme.sum_up(state.committed, seat, _list_for(seat, summands)) for seat in seats]
    except (EncodingError, VerificationError, ProtocolError):
        return complain(state, CeremonyShares)
    effects, kept = _send_secrets(state, CeremonySums, sums)
    return replace(state, phase=CeremonyPhase.SUMMING, secrets=replace(secrets, kept=kept)), effects


def _go_on_when_summed(state: Ceremony) -> CeremonyOutcome:
    """A complaint ends it; else the sums give the share that was lost, and those who helped are done."""
    _refuse_when_complained(state)
    is_waiting = state.transcript.list_owing(CeremonySums, state.party_id)
    return (state, EFFECTS_NONE) if is_waiting else _add_up(state, CeremonySums)


def _add_up(state: Ceremony, kind: SecretKind) -> CeremonyOutcome:
    """Everything is here: it gives the key, or somebody's does not fit and its receiver complains."""
    transcript, secrets = state.transcript, state.require_secrets()
    seats = transcript.plan.list_keeping_seats(state.party_id)
    try:
        opened = _open_all(state, kind) if seats else ()
        key_shares = tuple(
            transcript.scheme.finish(state.committed, seat, _list_for(seat, opened)) for seat in seats
        )
        package = transcript.scheme.compute_package(state.committed)
    except (EncodingError, VerificationError, ProtocolError):
        return complain(state, kind)
    done = CeremonyDone(
        ceremony=transcript.ceremony,
        transcript=transcript.compute_round1_digest(),
        package_digest=hashlib.sha256(package.to_bytes()).digest(),
    )
    kept = replace(secrets, kept=(), key_shares=key_shares)
    confirming = replace(state, phase=CeremonyPhase.CONFIRMING, package=package, secrets=kept)
    finished, data = sign_own(confirming, done)
    keep = Keep(context=transcript.plan.context, key_shares=key_shares, package=package)
    return finished, (*((keep,) if key_shares else ()), Broadcast(data=data))


def _open_all(state: Ceremony, kind: SecretKind) -> tuple[frost.SecretPackage, ...]:
    """Return all secrets of a kind for this party, those of its own seats among them."""
    transcript, secrets = state.transcript, state.require_secrets()
    received = transcript.list_sealed(kind, state.party_id)
    opened = (
        secret
        for sent in received
        for secret in open_secrets(transcript, sent, secrets.hpke_keys[transcript.find_signer(sent)])
    )
    return (*secrets.kept, *opened)


def _list_for(
    seat: frost.Identifier, secrets: Iterable[frost.SecretPackage]
) -> tuple[frost.SecretPackage, ...]:
    """Return what is for one seat; a sum is for whoever lost its share, and so are all of its kind."""
    return tuple(secret for secret in secrets if secret.receiver == seat)


def _conclude_when_confirmed(state: Ceremony) -> CeremonyOutcome:
    """A complaint ends it, or everybody's word that it has its shares of this group (VN-15.6)."""
    _refuse_when_complained(state)
    transcript, package = state.transcript, state.package
    if package is None:
        raise ValueError("a ceremony that confirms no group")
    transcript.verify_dones(package)
    if transcript.list_missing(CeremonyDone):
        return state, EFFECTS_NONE
    key_shares = state.require_secrets().key_shares
    finish = Finish(key_shares=key_shares, package=package, transcript=transcript.list_public())
    return replace(state, phase=CeremonyPhase.DONE, secrets=None), (finish,)


def _refuse_when_complained(state: Ceremony) -> None:
    complaints = read_complaints(state.transcript)
    if complaints:
        raise CeremonyAbortedError(judge_complaint(state.transcript, complaints[0], state.committed))


def complain(state: Ceremony, kind: SecretKind) -> CeremonyOutcome:
    """Give up the keys of whoever sent what does not fit, so that all see it (VN-15.5).

    Nothing of an honest sender's is opened by that (``CeremonyComplaint``), and the ceremony ends here.
    """
    bad = list_bad(state, kind)
    if not bad:
        # Each share is right, and yet they cancel out: only who knows them all can bring that about.
        return abort(state, CeremonyVerdict(silent=state.others, reason="shares that cancel out"))
    keys = state.require_secrets().hpke_keys
    complaint = CeremonyComplaint(
        ceremony=state.transcript.ceremony,
        hpke_seeds=tuple(keys[name].seed for name in bad),
        sealed=tuple(bad.values()),
    )
    complaining, data = sign_own(state, complaint)
    (signed,) = (made for made in read_complaints(complaining.transcript) if made.data == data)
    verdict = judge_complaint(complaining.transcript, signed, state.committed)
    return _end(complaining, verdict), (Complain(data=data), Abort(verdict=verdict))


def list_bad(state: Ceremony, kind: SecretKind) -> Mapping[str, bytes]:
    """Return what was sent to this party and does not open or fit, by sender."""
    transcript, keys = state.transcript, state.require_secrets().hpke_keys
    sent = {transcript.find_signer(signed): signed for signed in transcript.list_sealed(kind, state.party_id)}
    return {
        name: signed.data
        for name, signed in sent.items()
        if has_bad_secrets(transcript, signed, keys[name], state.committed)
    }


def abort(state: Ceremony, verdict: CeremonyVerdict) -> CeremonyOutcome:
    """There will be no key; a proof of guilt goes to everybody, because others may not have seen it."""
    ended, abort = _end(state, verdict), Abort(verdict=verdict)
    if not verdict.culprits:
        return ended, (abort,)
    disclosure = CeremonyDisclosure(ceremony=state.transcript.ceremony, statements=verdict.evidence)
    return ended, (Broadcast(data=sign(disclosure, state.require_secrets().signing_key)), abort)


def _end(state: Ceremony, verdict: CeremonyVerdict) -> Ceremony:
    """Every secret is dropped (VN-15.7)."""
    return replace(state, phase=CeremonyPhase.ABORTED, verdict=verdict, secrets=None)


def sign_own(state: Ceremony, statement: CeremonyStatement) -> tuple[Ceremony, bytes]:
    """Return the state with this statement of its own in the transcript, and its signed bytes."""
    data = sign(statement, state.require_secrets().signing_key)
    return replace(state, transcript=state.transcript.add(data)), data


_STEPS: Final[Mapping[CeremonyPhase, Callable[[Ceremony], CeremonyOutcome]]] = {
    CeremonyPhase.COMMITTING: _echo_when_committed,
    CeremonyPhase.ECHOING: _share_when_echoed,
    CeremonyPhase.SHARING: _go_on_when_shared,
    CeremonyPhase.SUMMING: _go_on_when_summed,
    CeremonyPhase.CONFIRMING: _conclude_when_confirmed,
}
"""What each phase does with the statements that are there; it stays where it is until they suffice."""
