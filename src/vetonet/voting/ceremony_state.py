"""What one participant's ceremony is made of: phases, state, events and effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from vetonet.crypto import frost
from vetonet.crypto.hpke import HpkePrivateKey
from vetonet.crypto.keys import SigningKey
from vetonet.policy.ceremony import CeremonyDone, CeremonyEcho, CeremonyRound1, CeremonyShares, CeremonySums
from vetonet.units import Milliseconds
from vetonet.voting.ceremony_scheme import Committed, Dealing
from vetonet.voting.ceremony_transcript import CeremonyTranscript, CeremonyVerdict


class CeremonyPhase(StrEnum):
    """Where a participant stands; DONE and ABORTED are ends."""

    COMMITTING = "committing"
    ECHOING = "echoing"
    SHARING = "sharing"
    SUMMING = "summing"
    CONFIRMING = "confirming"
    DONE = "done"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonySecrets:
    """Everything that must not outlive the ceremony; secret.

    Attributes:
        signing_key: the party's statement key.
        hpke_keys: by the party that writes to it, each made for this ceremony and sender alone.
        round1: of each of the party's dealing seats, until they have dealt.
        kept: what its own seats deal to each other.
        key_shares: what its seats have, once everything is in.
    """

    signing_key: SigningKey = field(repr=False)
    hpke_keys: Mapping[str, HpkePrivateKey] = field(repr=False)
    round1: tuple[Dealing, ...] = field(repr=False)
    kept: tuple[frost.SecretPackage, ...] = field(default=(), repr=False)
    key_shares: tuple[frost.KeyShare, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """One participant's ceremony so far.

    Attributes:
        party_id: whose view it is.
        deadline_ms: when the silent are named.
        transcript: what was signed, its own statements included.
        phase: where it stands.
        committed: what each dealing seat committed to, once everybody's was verified.
        disclosed_to: whose echoes differed when it last showed what its own was made of.
        package: the group, once everything that is for this party is in.
        verdict: why it was aborted.
        secrets: None once it has ended.
    """

    party_id: str
    deadline_ms: Milliseconds
    transcript: CeremonyTranscript
    phase: CeremonyPhase = CeremonyPhase.COMMITTING
    committed: Committed = field(default_factory=dict, repr=False)
    disclosed_to: tuple[str, ...] = ()
    package: frost.PublicKeyPackage | None = None
    verdict: CeremonyVerdict | None = None
    secrets: CeremonySecrets | None = field(repr=False)

    @property
    def others(self) -> tuple[str, ...]:
        """The other participants, in the order of the plan."""
        return tuple(name for name in self.transcript.plan.party_ids if name != self.party_id)

    def require_secrets(self) -> CeremonySecrets:
        """Return the secrets of a ceremony that has not ended.

        Raises:
            ValueError: it has, and they are gone.
        """
        if self.secrets is None:
            msg = f"a ceremony in phase {self.phase} has no secrets"
            raise ValueError(msg)
        return self.secrets

    def list_silent(self) -> tuple[tuple[str, ...], str]:
        """Return who owes what the present phase waits for, and what that is."""
        transcript = self.transcript
        match self.phase:
            case CeremonyPhase.COMMITTING:
                return transcript.list_missing(CeremonyRound1), "round 1"
            case CeremonyPhase.ECHOING:
                owing = {*transcript.list_missing(CeremonyEcho), *transcript.list_differing_echoes()}
                return tuple(name for name in transcript.plan.party_ids if name in owing), "agreeing echo"
            case CeremonyPhase.SHARING:
                return transcript.list_owing(CeremonyShares, self.party_id), "shares"
            case CeremonyPhase.SUMMING:
                return transcript.list_owing(CeremonySums, self.party_id), "sums"
            case CeremonyPhase.CONFIRMING:
                return transcript.list_missing(CeremonyDone), "word that it is done"
            case _:
                return (), "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """Bytes came in that somebody says are a statement of this ceremony."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """Somebody looked at the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Send these signed bytes to every other participant."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTo:
    """Send these signed bytes to this participant."""

    party_id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complain:
    """Send this signed complaint to every other participant, and keep it: it shows who lied."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Store these durably before the next effect is carried out: it says to all that this party has them.

    So once everybody says it is done, everybody has its share on disk, and only then may an old share be
    erased (VN-15.10); a daemon that must still sign under the present treaty waits until the next one counts.
    A ceremony may fail for this party after it kept something, and succeed for another; neither can know. So
    what was kept stays beside the old shares, under its context, until the next treaty says which group
    counts; then the others are erased. A party that dies in between finds both when it comes back, and the
    epoch of its treaty says which it signs with. Nothing signs with a mixed set: of the stored shares those
    count whose verifying share is that of the treaty's group, and they are all of one epoch.

    Attributes:
        context: the plan's, which names group, epoch and attempt.
        key_shares: one for each seat that the party gets a share for; secret.
        package: the group that they are of.
    """

    context: bytes
    key_shares: tuple[frost.KeyShare, ...] = field(repr=False)
    package: frost.PublicKeyPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Everybody has its shares of the group, and says so: the old ones may be erased.

    Attributes:
        key_shares: those kept, none of a party that leaves or helps; secret.
        package: what anybody may know of the group.
        transcript: the signed statements from which anybody can recompute it; for the log.
    """

    key_shares: tuple[frost.KeyShare, ...] = field(repr=False)
    package: frost.PublicKeyPackage
    transcript: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """There will be no group; every secret of the ceremony is dropped."""

    verdict: CeremonyVerdict


CeremonyEvent: TypeAlias = MessageReceived | TimePassed
CeremonyEffect: TypeAlias = Broadcast | SendTo | Complain | Keep | Finish | Abort
CeremonyOutcome: TypeAlias = tuple[Ceremony, tuple[CeremonyEffect, ...]]
"""The next state, and what a driver must carry out, in order."""
