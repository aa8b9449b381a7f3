"""A key ceremony without a dealer, as one participant's transition table: ``step`` is the whole protocol.

Komlo and Goldberg, FROST (2020), figure 1, among parties that trust neither each other nor the wires.
Everything sent is signed. A party commits (round 1), echoes what all committed to, deals its shares once all
echoes agree, and says which group it got. Whatever order the statements come in, and however often, the
outcome is the same. Whoever breaks a rule does so in signed statements, which whoever finds them passes on;
whoever is silent is named as silent only.

Sealing draws on the library's own randomness (``vetonet.crypto.hpke``), so two runs of ``step`` differ there.
A state is not to be kept over a restart: a party that lost it lets the ceremony fail, and takes part in the
next, which has another context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.hpke import generate_hpke_key
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import sign
from vetonet.errors import (
    EncodingError,
    InvalidSignatureError,
    ProtocolError,
    RefusedError,
    UnknownPartyError,
    VerificationError,
)
from vetonet.policy.ceremony import (
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyRound1,
    CeremonyShares,
    CeremonyStatement,
)
from vetonet.units import Milliseconds, Rng
from vetonet.voting.ceremony_shares import has_bad_shares, judge_complaint, open_shares, seal_shares
from vetonet.voting.ceremony_state import (
    Abort,
    Broadcast,
    Ceremony,
    CeremonyEffect,
    CeremonyEvent,
    CeremonyPhase,
    CeremonySecrets,
    Complain,
    Finish,
    MessageReceived,
    SendTo,
    TimePassed,
)
from vetonet.voting.ceremony_transcript import (
    CeremonyAbortedError,
    CeremonyTranscript,
    CeremonyVerdict,
    read_complaints,
    verify_commitments,
)

CeremonyOutcome: TypeAlias = tuple[Ceremony, tuple[CeremonyEffect, ...]]
EFFECTS_NONE: Final[tuple[CeremonyEffect, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyTransition:
    """One row: in ``phase``, ``event`` leads by ``function`` to ``targets``; ``label`` is for the picture."""

    phase: CeremonyPhase
    event: type[CeremonyEvent]
    function: Callable[[Ceremony, Any, Milliseconds], CeremonyOutcome]
    targets: frozenset[CeremonyPhase]
    label: str


def begin(
    plan: CeremonyPlan, party_id: str, signing_key: SigningKey, *, deadline_ms: Milliseconds, rng: Rng
) -> CeremonyOutcome:
    """Return a party's ceremony that has committed, and its round 1 for everybody.

    Args:
        plan: what everybody agreed on; its context was never used before.
        party_id: who takes part.
        signing_key: the party's statement key.
        deadline_ms: when the silent are named.
        rng: the source of polynomials and of the ceremony's own key.

    Raises:
        UnknownPartyError: the plan has no such party, or another key for it.
    """
    transcript = CeremonyTranscript.begin(plan)
    if transcript.owners.get(signing_key.public_key.key_id) != party_id:
        msg = f"the plan does not have {party_id[:64]!r} with this key"
        raise UnknownPartyError(msg, culprit=party_id)
    secrets = _deal(plan, party_id, signing_key, context=transcript.ceremony, rng=rng)
    state = Ceremony(party_id=party_id, deadline_ms=deadline_ms, transcript=transcript, secrets=secrets)
    round1 = CeremonyRound1(
        ceremony=transcript.ceremony,
        packages=tuple(secret.package.to_bytes() for secret in secrets.round1),
        hpke_key=secrets.hpke_key.public_key.encoded,
    )
    committed, data = _sign_own(state, round1)
    following, effects = _advance(committed)
    return following, (Broadcast(data=data), *effects)


def step(state: Ceremony, event: CeremonyEvent, now: Milliseconds) -> CeremonyOutcome:
    """Return the next state and what a driver must carry out, in order.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError, RefusedError: the message is no
            participant's, or not for here; the state stays as it was.
    """
    row = CEREMONY_TABLE[state.phase, type(event)]
    try:
        following, effects = row.function(state, event, now)
    except CeremonyAbortedError as error:
        following, effects = _abort(state, error.verdict)
    if following.phase not in row.targets:
        msg = f"the row {row.label!r} does not declare phase {following.phase}"
        raise ValueError(msg)
    return following, effects


def _deal(
    plan: CeremonyPlan, party_id: str, signing_key: SigningKey, *, context: bytes, rng: Rng
) -> CeremonySecrets:
    """Return fresh secrets: a polynomial for each seat, and a key for what others will deal."""
    dealt = [
        frost.generate_round1(
            identifier=seat,
            min_signers=plan.min_signers,
            max_signers=len(plan.seats),
            context=context,
            rng=rng,
        )
        for seat in plan.list_seats(party_id)
    ]
    round1 = tuple(secret for secret, _ in dealt)
    return CeremonySecrets(signing_key=signing_key, hpke_key=generate_hpke_key(rng), round1=round1)


def _receive(state: Ceremony, event: MessageReceived, now: Milliseconds) -> CeremonyOutcome:
    """Keep what was signed, and go as far as the statements that are here allow."""
    if now >= state.deadline_ms:
        return _expire(state)
    signed = state.transcript.open(event.data)
    statement = signed.statement
    if isinstance(statement, CeremonyShares) and statement.receiver != state.party_id:
        # Another's sealed shares are none of ours, except where they are disclosed as a proof.
        msg = f"shares for {statement.receiver}, not for {state.party_id}"
        raise RefusedError(msg, culprit=state.transcript.find_signer(signed))
    transcript = state.transcript.add_opened(signed)
    return (
        (state, EFFECTS_NONE)
        if transcript is state.transcript
        else _advance(replace(state, transcript=transcript))
    )


def _advance(state: Ceremony) -> CeremonyOutcome:
    """Return the state after every step that its statements allow, and all their effects."""
    effects: tuple[CeremonyEffect, ...] = ()
    while state.phase in _STEPS:
        try:
            following, more = _STEPS[state.phase](state)
        except CeremonyAbortedError as error:
            following, more = _abort(state, error.verdict)
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
    secrets, packages = state.require_secrets(), transcript.read_round1()
    try:
        rounds = [frost.generate_round2(secret, packages) for secret in secrets.round1]
    except InvalidSignatureError as error:
        raise CeremonyAbortedError(transcript.convict_dealers(error)) from error
    dealt = tuple(share for _, shares in rounds for share in shares.values())
    echoing = replace(
        state,
        phase=CeremonyPhase.ECHOING,
        committed={package.identifier: package for package in packages},
        secrets=replace(secrets, round1=(), round2=tuple(kept for kept, _ in rounds), dealt=dealt),
    )
    echo = CeremonyEcho(ceremony=transcript.ceremony, transcript=transcript.compute_round1_digest())
    echoed, data = _sign_own(echoing, echo)
    return echoed, (Broadcast(data=data),)


def _share_when_echoed(state: Ceremony) -> CeremonyOutcome:
    """With everybody's echo here and the same, deal: not before, or two faces go unnoticed (VN-15.3)."""
    differing = state.transcript.list_differing_echoes()
    if differing:
        return _disclose_once(state, differing)
    if state.transcript.list_missing(CeremonyEcho):
        return state, EFFECTS_NONE
    effects = tuple(SendTo(party_id=name, data=_seal_for(state, name)) for name in state.others)
    secrets = state.require_secrets()
    own = state.transcript.plan.list_seats(state.party_id)
    kept = tuple(share for share in secrets.dealt if share.receiver in own)
    return replace(state, phase=CeremonyPhase.SHARING, secrets=replace(secrets, dealt=kept)), effects


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


def _seal_for(state: Ceremony, receiver: str) -> bytes:
    secrets, seats = state.require_secrets(), state.transcript.plan.list_seats(receiver)
    shares = (share for share in secrets.dealt if share.receiver in seats)
    return sign(seal_shares(state.transcript, state.party_id, receiver, shares), secrets.signing_key)


def _conclude_when_shared(state: Ceremony) -> CeremonyOutcome:
    """A complaint ends it; else the shares give the key, and everybody's word that it is done the end."""
    transcript = state.transcript
    complaints = read_complaints(transcript)
    if complaints:
        raise CeremonyAbortedError(judge_complaint(transcript, complaints[0], state.committed))
    if state.package is None:
        has_all = not transcript.list_missing(CeremonyShares, receiver=state.party_id)
        return _add_up(state) if has_all else (state, EFFECTS_NONE)
    transcript.verify_dones(state.package)
    if transcript.list_missing(CeremonyDone):
        return state, EFFECTS_NONE
    key_shares = state.require_secrets().key_shares
    finish = Finish(key_shares=key_shares, package=state.package, transcript=transcript.list_public())
    return replace(state, phase=CeremonyPhase.DONE, secrets=None), (finish,)


def _add_up(state: Ceremony) -> CeremonyOutcome:
    """Every share is here: they give the key, or somebody's do not fit and its receiver complains."""
    transcript, secrets = state.transcript, state.require_secrets()
    received = transcript.list_statements(CeremonyShares, receiver=state.party_id).values()
    try:
        opened = [share for sent in received for share in open_shares(transcript, sent, secrets.hpke_key)]
        shares = (*secrets.dealt, *opened)
        made = [
            frost.finish(kept, [share for share in shares if share.receiver == kept.identifier])
            for kept in secrets.round2
        ]
    except (EncodingError, VerificationError, ProtocolError):
        return _complain(state)
    package = made[0][1]
    kept_shares = replace(secrets, round2=(), dealt=(), key_shares=tuple(share for share, _ in made))
    done = CeremonyDone(
        ceremony=transcript.ceremony,
        transcript=transcript.compute_round1_digest(),
        package_digest=hashlib.sha256(package.to_bytes()).digest(),
    )
    finished, data = _sign_own(replace(state, package=package, secrets=kept_shares), done)
    return finished, (Broadcast(data=data),)


def _complain(state: Ceremony) -> CeremonyOutcome:
    """Give up the ceremony's own key, so that all see which dealer's shares do not fit (VN-15.5).

    With it all shares that this party was dealt are public. That harms nobody: the ceremony ends here, no
    share of it is ever used, and the next has another context and other polynomials.
    """
    bad = _list_bad_shares(state)
    if not bad:
        # Each share is right, and yet they cancel out: only who knows them all can bring that about.
        return _abort(state, CeremonyVerdict(silent=state.others, reason="shares that cancel out"))
    complaint = CeremonyComplaint(
        ceremony=state.transcript.ceremony, hpke_seed=state.require_secrets().hpke_key.seed, shares=bad
    )
    complaining, data = _sign_own(state, complaint)
    (signed,) = (made for made in read_complaints(complaining.transcript) if made.data == data)
    verdict = judge_complaint(complaining.transcript, signed, state.committed)
    return _end(complaining, verdict), (Complain(data=data), Abort(verdict=verdict))


def _list_bad_shares(state: Ceremony) -> tuple[bytes, ...]:
    """Return the signed shares for this party that do not open or do not fit their commitment."""
    received = state.transcript.list_statements(CeremonyShares, receiver=state.party_id).values()
    key = state.require_secrets().hpke_key
    return tuple(
        sent.data for sent in received if has_bad_shares(state.transcript, sent, key, state.committed)
    )


def _expire_when_due(state: Ceremony, event: TimePassed, now: Milliseconds) -> CeremonyOutcome:
    """At the deadline the ceremony ends, and names who was silent (VN-15.7)."""
    del event
    return _expire(state) if now >= state.deadline_ms else (state, EFFECTS_NONE)


def _expire(state: Ceremony) -> CeremonyOutcome:
    """Something bad among what did come is worth more than somebody's silence: it is a proof."""
    if state.phase is CeremonyPhase.COMMITTING:
        verify_commitments(state.transcript)
    is_adding = state.phase is CeremonyPhase.SHARING and state.package is None
    if is_adding and _list_bad_shares(state):
        return _complain(state)
    silent, owed = state.list_silent()
    return _abort(state, CeremonyVerdict(silent=silent, reason=f"no {owed} in time"))


def _abort(state: Ceremony, verdict: CeremonyVerdict) -> CeremonyOutcome:
    """There will be no key; a proof of guilt goes to everybody, because others may not have seen it."""
    ended, abort = _end(state, verdict), Abort(verdict=verdict)
    if not verdict.culprits:
        return ended, (abort,)
    disclosure = CeremonyDisclosure(ceremony=state.transcript.ceremony, statements=verdict.evidence)
    return ended, (Broadcast(data=sign(disclosure, state.require_secrets().signing_key)), abort)


def _end(state: Ceremony, verdict: CeremonyVerdict) -> Ceremony:
    """Every secret is dropped (VN-15.7)."""
    return replace(state, phase=CeremonyPhase.ABORTED, verdict=verdict, secrets=None)


def _ignore(state: Ceremony, event: CeremonyEvent, now: Milliseconds) -> CeremonyOutcome:
    """After the end nothing changes it: a treaty needs everybody's signature, so who aborted still counts."""
    del event, now
    return state, EFFECTS_NONE


def _sign_own(state: Ceremony, statement: CeremonyStatement) -> tuple[Ceremony, bytes]:
    """Return the state with this statement of its own in the transcript, and its signed bytes."""
    data = sign(statement, state.require_secrets().signing_key)
    return replace(state, transcript=state.transcript.add(data)), data


_STEPS: Final[Mapping[CeremonyPhase, Callable[[Ceremony], CeremonyOutcome]]] = {
    CeremonyPhase.COMMITTING: _echo_when_committed,
    CeremonyPhase.ECHOING: _share_when_echoed,
    CeremonyPhase.SHARING: _conclude_when_shared,
}
"""What each phase does with the statements that are there; it stays where it is until they suffice."""

_ENDS: Final = frozenset({CeremonyPhase.DONE, CeremonyPhase.ABORTED})
_ROWS: Final = (
    CeremonyTransition(
        phase=CeremonyPhase.COMMITTING,
        event=MessageReceived,
        function=_receive,
        # Statements may come in any order: the last round 1 may find every echo here.
        targets=frozenset(CeremonyPhase),
        label="round 1 awaited",
    ),
    CeremonyTransition(
        phase=CeremonyPhase.ECHOING,
        event=MessageReceived,
        function=_receive,
        targets=frozenset({CeremonyPhase.ECHOING, CeremonyPhase.SHARING, *_ENDS}),
        label="echoes awaited",
    ),
    CeremonyTransition(
        phase=CeremonyPhase.SHARING,
        event=MessageReceived,
        function=_receive,
        targets=frozenset({CeremonyPhase.SHARING, *_ENDS}),
        label="shares awaited, then that all are done",
    ),
    *(
        CeremonyTransition(
            phase=phase,
            event=TimePassed,
            function=_expire_when_due,
            targets=frozenset({phase, CeremonyPhase.ABORTED}),
            label="somebody silent",
        )
        for phase in (CeremonyPhase.COMMITTING, CeremonyPhase.ECHOING, CeremonyPhase.SHARING)
    ),
    *(
        CeremonyTransition(phase=phase, event=event, function=_ignore, targets=frozenset({phase}), label="")
        for phase in sorted(_ENDS)
        for event in (MessageReceived, TimePassed)
    ),
)
CEREMONY_TABLE: Final[Mapping[tuple[CeremonyPhase, type[CeremonyEvent]], CeremonyTransition]] = {
    (row.phase, row.event): row for row in _ROWS
}
