"""A ceremony without a dealer, as one participant's transition table: ``step`` is the whole protocol.

Key generation, resharing, refresh and repair (``vetonet.voting.ceremony_scheme``) among parties that trust
neither each other nor the wires. Everything sent is signed. A party commits (round 1), echoes what all
committed to, deals once all echoes agree, in a repair passes on sums, keeps its share, and says of which
group it is. Whatever order the statements come in, and however often, the
outcome is the same. Whoever breaks a rule does so in signed statements, which whoever finds them passes on;
whoever is silent is named as silent only.

Sealing draws on the library's own randomness (``vetonet.crypto.hpke``), so two runs of ``step`` differ there.
A state is not to be kept over a restart: a party that lost it lets the ceremony fail, and takes part in the
next, which has another context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vetonet.crypto import frost
from vetonet.crypto.hpke import generate_hpke_key
from vetonet.crypto.keys import SigningKey
from vetonet.errors import RefusedError, UnknownPartyError
from vetonet.policy.ceremony import (
    CeremonyPlan,
    CeremonyRound1,
    CeremonySealed,
    CeremonyShares,
    CeremonySums,
    SecretKind,
)
from vetonet.units import Milliseconds, Rng
from vetonet.voting.ceremony_state import (
    Broadcast,
    Ceremony,
    CeremonyEvent,
    CeremonyOutcome,
    CeremonyPhase,
    CeremonySecrets,
    MessageReceived,
    TimePassed,
)
from vetonet.voting.ceremony_steps import (
    EFFECTS_NONE,
    abort,
    advance,
    complain,
    list_bad,
    sign_own,
)
from vetonet.voting.ceremony_transcript import (
    CeremonyAbortedError,
    CeremonyTranscript,
    CeremonyVerdict,
    verify_commitments,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyTransition:
    """One row: in ``phase``, ``event`` leads by ``function`` to ``targets``; ``label`` is for the picture."""

    phase: CeremonyPhase
    event: type[CeremonyEvent]
    function: Callable[[Ceremony, Any, Milliseconds], CeremonyOutcome]
    targets: frozenset[CeremonyPhase]
    label: str


def begin(
    plan: CeremonyPlan,
    party_id: str,
    signing_key: SigningKey,
    *,
    deadline_ms: Milliseconds,
    rng: Rng,
    key_shares: Iterable[frost.KeyShare] = (),
) -> CeremonyOutcome:
    """Return a party's ceremony that has committed, and its round 1 for everybody.

    Args:
        plan: what everybody agreed on; its context was never used before.
        party_id: who takes part.
        signing_key: the party's statement key.
        deadline_ms: when the silent are named.
        rng: the source of polynomials and of the ceremony's own keys.
        key_shares: the party's in the group that the plan hands over; those of its dealing seats are used,
            none of them is kept.

    Raises:
        UnknownPartyError: the plan has no such party, or another key for it.
        ValueError: a dealing seat's share is missing, or of another group or epoch than the plan's.
    """
    transcript = CeremonyTranscript.begin(plan)
    if transcript.owners.get(signing_key.public_key.key_id) != party_id:
        msg = f"the plan does not have {party_id[:64]!r} with this key"
        raise UnknownPartyError(msg, culprit=party_id)
    held = {share.identifier: share for share in key_shares}
    seats = plan.list_dealing_seats(party_id)
    dealt = [transcript.scheme.commit(seat, held.get(seat), rng) for seat in seats]
    hpke_keys = {name: generate_hpke_key(rng) for name in plan.list_correspondents(party_id)}
    secrets = CeremonySecrets(
        signing_key=signing_key, hpke_keys=hpke_keys, round1=tuple(dealing for dealing, _ in dealt)
    )
    state = Ceremony(party_id=party_id, deadline_ms=deadline_ms, transcript=transcript, secrets=secrets)
    round1 = CeremonyRound1(
        ceremony=transcript.ceremony,
        packages=tuple(package for _, package in dealt),
        hpke_keys=tuple(key.public_key.encoded for key in hpke_keys.values()),
    )
    committed, data = sign_own(state, round1)
    following, effects = advance(committed)
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
        following, effects = abort(state, error.verdict)
    if following.phase not in row.targets:
        msg = f"the row {row.label!r} does not declare phase {following.phase}"
        raise ValueError(msg)
    return following, effects


def _receive(state: Ceremony, event: MessageReceived, now: Milliseconds) -> CeremonyOutcome:
    """Keep what was signed, and go as far as the statements that are here allow."""
    if now >= state.deadline_ms:
        return _expire(state)
    signed = state.transcript.open(event.data)
    statement = signed.statement
    if isinstance(statement, CeremonySealed) and statement.receiver != state.party_id:
        # What is sealed for another is none of ours, except where they are disclosed as a proof.
        msg = f"{statement.TYPE} for {statement.receiver}, not for {state.party_id}"
        raise RefusedError(msg, culprit=state.transcript.find_signer(signed))
    transcript = state.transcript.add_opened(signed)
    return (
        (state, EFFECTS_NONE)
        if transcript is state.transcript
        else advance(replace(state, transcript=transcript))
    )


def _expire_when_due(state: Ceremony, event: TimePassed, now: Milliseconds) -> CeremonyOutcome:
    """At the deadline the ceremony ends, and names who was silent (VN-15.7)."""
    del event
    return _expire(state) if now >= state.deadline_ms else (state, EFFECTS_NONE)


def _expire(state: Ceremony) -> CeremonyOutcome:
    """Something bad among what did come is worth more than somebody's silence: it is a proof."""
    if state.phase is CeremonyPhase.COMMITTING:
        verify_commitments(state.transcript)
    awaited = _AWAITED.get(state.phase)
    if awaited is not None and list_bad(state, awaited):
        return complain(state, awaited)
    silent, owed = state.list_silent()
    return abort(state, CeremonyVerdict(silent=silent, reason=f"no {owed} in time"))


def _ignore(state: Ceremony, event: CeremonyEvent, now: Milliseconds) -> CeremonyOutcome:
    """After the end nothing changes it: a treaty needs everybody's signature, so who aborted still counts."""
    del event, now
    return state, EFFECTS_NONE


_AWAITED: Final[Mapping[CeremonyPhase, SecretKind]] = {
    CeremonyPhase.SHARING: CeremonyShares,
    CeremonyPhase.SUMMING: CeremonySums,
}
_LAST: Final = frozenset({CeremonyPhase.CONFIRMING, CeremonyPhase.DONE, CeremonyPhase.ABORTED})
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
        targets=frozenset({CeremonyPhase.ECHOING, CeremonyPhase.SHARING, CeremonyPhase.SUMMING, *_LAST}),
        label="echoes awaited",
    ),
    CeremonyTransition(
        phase=CeremonyPhase.SHARING,
        event=MessageReceived,
        function=_receive,
        targets=frozenset({CeremonyPhase.SHARING, CeremonyPhase.SUMMING, *_LAST}),
        label="shares awaited",
    ),
    CeremonyTransition(
        phase=CeremonyPhase.SUMMING,
        event=MessageReceived,
        function=_receive,
        targets=frozenset({CeremonyPhase.SUMMING, *_LAST}),
        label="in a repair, sums awaited",
    ),
    CeremonyTransition(
        phase=CeremonyPhase.CONFIRMING,
        event=MessageReceived,
        function=_receive,
        targets=_LAST,
        label="that all are done awaited",
    ),
    *(
        CeremonyTransition(
            phase=phase,
            event=TimePassed,
            function=_expire_when_due,
            targets=frozenset({phase, CeremonyPhase.ABORTED}),
            label="somebody silent",
        )
        for phase in CeremonyPhase
        if phase not in _ENDS
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
