"""What was signed in a ceremony, and what follows from it for anybody who reads it.

A transcript holds one statement for each slot (kind, signer, receiver). Two different ones for one slot are
equivocation, and the two are its proof (VN-15.4). Whoever has the statements, participant or not, comes to
the same group or names the same culprits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, TypeAlias, TypeVar

from vetonet.crypto import frost
from vetonet.crypto.hpke import HpkePublicKey
from vetonet.crypto.statement import Keys, Signed
from vetonet.errors import EncodingError, InvalidSignatureError, ProtocolError, RefusedError
from vetonet.policy.ceremony import (
    PUBLIC_KINDS,
    CeremonyComplaint,
    CeremonyDisclosure,
    CeremonyDone,
    CeremonyEcho,
    CeremonyPlan,
    CeremonyRound1,
    CeremonySealed,
    CeremonyShares,
    CeremonyStatement,
    CeremonySums,
    SecretKind,
    open_ceremony_statement,
)
from vetonet.voting.ceremony_scheme import Committed, Package, Scheme, find_scheme

S = TypeVar("S", bound=CeremonyStatement)

Slot: TypeAlias = tuple[str, str, str]
"""Statement type, signer, and the receiver where it is for one only (else empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyVerdict:
    """Why a ceremony gives no key, and through whom.

    Attributes:
        culprits: whose own signature shows that they broke the rules, in the order of the plan.
        silent: who owes a statement, or an explanation of one; that is no proof of guilt, because
            whoever says so may have lost it, and the silent may have been cut off.
        reason: one line for people.
        evidence: the signed statements that show the culprits' guilt to anybody.
    """

    culprits: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    reason: str
    evidence: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse a verdict on nobody, and guilt without its proof."""
        if not self.culprits and not self.silent:
            msg = "expected a verdict that names somebody"
            raise ValueError(msg)
        if self.culprits and not self.evidence:
            msg = "expected the proof of somebody's guilt"
            raise ValueError(msg)


class CeremonyAbortedError(ProtocolError):
    """A ceremony ended without a key; ``verdict`` says through whom."""

    def __init__(self, verdict: CeremonyVerdict) -> None:
        named = verdict.culprits or verdict.silent
        super().__init__(
            f"{', '.join(named)}: {verdict.reason}",
            culprit=verdict.culprits[0] if verdict.culprits else None,
        )
        self.verdict: Final = verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyTranscript:
    """The statements of one ceremony that somebody has, each verified.

    Attributes:
        plan: what was agreed before.
        ceremony: the plan's digest.
        keys: the participants' keys, by key id.
        owners: whose they are, by key id.
        scheme: the mathematics of its kind.
        statements: by slot.
    """

    plan: CeremonyPlan = field(repr=False)
    ceremony: bytes
    keys: Keys = field(repr=False)
    owners: Mapping[bytes, str] = field(repr=False)
    scheme: Scheme = field(repr=False)
    statements: Mapping[Slot, Signed[Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def begin(cls, plan: CeremonyPlan) -> CeremonyTranscript:
        """Return the empty transcript of this plan's ceremony."""
        ceremony = plan.compute_digest()
        scheme = find_scheme(plan, ceremony)
        return cls(plan=plan, ceremony=ceremony, keys=plan.keys, owners=plan.owners, scheme=scheme)

    def open(self, data: bytes) -> Signed[CeremonyStatement]:
        """Return a statement of this ceremony, its signature verified; nothing is added.

        Raises:
            EncodingError: not a statement of a ceremony.
            UnknownPartyError, InvalidSignatureError: no participant signed it.
            EpochError: it belongs to another ceremony.
        """
        return open_ceremony_statement(data, keys=self.keys, ceremony=self.ceremony)

    def find_signer(self, signed: Signed[Any]) -> str:
        """Return the party that signed."""
        return self.owners[signed.signer.key_id]

    def add(self, data: bytes) -> CeremonyTranscript:
        """Return the transcript with this statement, or all that it discloses; the same again is no news.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: as ``open``.
            RefusedError, CeremonyAbortedError: as ``add_opened``.
        """
        return self.add_opened(self.open(data))

    def add_opened(self, signed: Signed[CeremonyStatement]) -> CeremonyTranscript:
        """Return the transcript with a statement that ``open`` returned.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: something disclosed is not
                signed by a participant for this ceremony.
            RefusedError: a disclosure holds another, or shares are for nobody who takes part.
            CeremonyAbortedError: somebody signed two different statements for one slot.
        """
        if not isinstance(signed.statement, CeremonyDisclosure):
            return self._put((signed,))
        disclosed = tuple(self.open(entry) for entry in signed.statement.statements)
        if any(isinstance(entry.statement, CeremonyDisclosure) for entry in disclosed):
            raise RefusedError("a disclosure within another", culprit=self.find_signer(signed))
        return self._put(disclosed)

    def _put(self, arrived: Iterable[Signed[Any]]) -> CeremonyTranscript:
        statements = dict(self.statements)
        for signed in arrived:
            slot = self._slot_of(signed)
            earlier = statements.setdefault(slot, signed)
            if earlier.payload_digest != signed.payload_digest:
                raise CeremonyAbortedError(_convict_of_equivocation(slot, earlier, signed))
        return self if len(statements) == len(self.statements) else replace(self, statements=statements)

    def _slot_of(self, signed: Signed[Any]) -> Slot:
        statement, signer = signed.statement, self.find_signer(signed)
        if not isinstance(statement, CeremonyShares | CeremonySums):
            return statement.TYPE, signer, ""
        if signer not in self.plan.list_senders(type(statement), statement.receiver):
            # Else one signer could fill any number of slots.
            msg = f"{statement.TYPE} of {signer} for {statement.receiver}, whom it owes none"
            raise RefusedError(msg, culprit=signer)
        return statement.TYPE, signer, statement.receiver

    def find(self, kind: type[S], party_id: str, receiver: str = "") -> Signed[S] | None:
        """Return a party's statement of this kind, or None where it is not there."""
        return self.statements.get((kind.TYPE, party_id, receiver))

    def list_statements(self, kind: type[S], receiver: str = "") -> dict[str, Signed[S]]:
        """Return the statements of this kind, by signer, in the order of the plan."""
        found = ((party_id, self.find(kind, party_id, receiver)) for party_id in self.plan.party_ids)
        return {party_id: signed for party_id, signed in found if signed is not None}

    def list_missing(self, kind: type[CeremonyStatement]) -> tuple[str, ...]:
        """Return who has not sent everybody its statement of this kind."""
        present = self.list_statements(kind)
        return tuple(name for name in self.plan.party_ids if name not in present)

    def list_owing(self, kind: SecretKind, receiver: str) -> tuple[str, ...]:
        """Return who has not sent a receiver the secrets of this kind that are for it."""
        senders = self.plan.list_senders(kind, receiver)
        return tuple(name for name in senders if self.find(kind, name, receiver) is None)

    def list_sealed(self, kind: SecretKind, receiver: str) -> tuple[Signed[CeremonySealed], ...]:
        """Return the secrets of this kind that a receiver was sent, in the order of the plan."""
        sealed: type[CeremonySealed] = kind
        return tuple(self.list_statements(sealed, receiver).values())

    def list_public(self) -> tuple[bytes, ...]:
        """Return the signed bytes of all but what was sealed, sorted: what goes into the log."""
        public = {slot: signed for slot, signed in self.statements.items() if slot[0] in PUBLIC_KINDS}
        return tuple(public[slot].data for slot in sorted(public))

    def compute_round1_digest(self) -> bytes:
        """Return the digest of all round-1 statements, which must be there, in the order of the plan."""
        digest = hashlib.sha256(b"vetonet-ceremony-transcript-v1" + self.ceremony)
        for signed in self.list_statements(CeremonyRound1).values():
            digest.update(signed.payload_digest)
        return digest.digest()

    def list_differing_echoes(self) -> tuple[str, ...]:
        """Return whose echo is not the digest of the round-1 statements that are here."""
        own = self.compute_round1_digest()
        echoes = self.list_statements(CeremonyEcho)
        return tuple(name for name, echo in echoes.items() if echo.statement.transcript != own)

    def read_round1(self) -> Committed:
        """Return what each dealing seat committed to, in ascending order; nothing is verified of it yet.

        Raises:
            CeremonyAbortedError: packages or keys are malformed, or not those of their party's seats.
        """
        packages: list[Package] = []
        culprits = []
        for party_id, signed in self.list_statements(CeremonyRound1).items():
            try:
                packages += self._read_packages(party_id, signed.statement)
            except EncodingError:
                culprits.append(party_id)
        self._refuse(culprits, "its round 1 is malformed", CeremonyRound1)
        return {package.identifier: package for package in sorted(packages, key=attrgetter("identifier"))}

    def _read_packages(self, party_id: str, statement: CeremonyRound1) -> list[Package]:
        if len(statement.hpke_keys) != len(self.plan.list_correspondents(party_id)):
            msg = f"expected a key of {party_id} for each party that writes to it"
            raise EncodingError(msg)
        for key in statement.hpke_keys:
            HpkePublicKey(encoded=key)
        packages = [self.scheme.read_package(data) for data in statement.packages]
        if tuple(package.identifier for package in packages) != self.plan.list_dealing_seats(party_id):
            msg = f"expected a package for each of {party_id}'s seats that deal, in ascending order"
            raise EncodingError(msg)
        return packages

    def convict_dealers(self, error: InvalidSignatureError) -> CeremonyVerdict:
        """Return the verdict on the owners of the seats whose round-1 packages were found bad (VN-15.2)."""
        owners = {self.plan.find_dealer(int(seat)) for seat in error.culprits}
        return self._convict(owners, "bad proof of knowledge or commitment", CeremonyRound1)

    def require_complete(self, kind: type[CeremonyStatement]) -> None:
        """Everybody's statement of this kind is here.

        Raises:
            CeremonyAbortedError: somebody's is missing.
        """
        missing = self.list_missing(kind)
        if missing:
            raise CeremonyAbortedError(CeremonyVerdict(silent=missing, reason=f"no {kind.TYPE} from it"))

    def verify_dones(self, package: frost.PublicKeyPackage) -> None:
        """Everybody who is done has this group: it follows from the round 1 that everybody echoed (VN-15.6).

        Raises:
            CeremonyAbortedError: somebody says it has another.
        """
        expected = (self.compute_round1_digest(), hashlib.sha256(package.to_bytes()).digest())
        dones = self.list_statements(CeremonyDone)
        lying = [
            name
            for name, done in dones.items()
            if (done.statement.transcript, done.statement.package_digest) != expected
        ]
        self._refuse(lying, "says it is done with another group", CeremonyDone)

    def _refuse(self, culprits: Iterable[str], reason: str, kind: type[CeremonyStatement]) -> None:
        named = tuple(culprits)
        if named:
            raise CeremonyAbortedError(self._convict(named, reason, kind))

    def _convict(
        self, culprits: Iterable[str], reason: str, kind: type[CeremonyStatement]
    ) -> CeremonyVerdict:
        named = set(culprits)
        shown = {name: signed for name, signed in self.list_statements(kind).items() if name in named}
        evidence = tuple(signed.data for signed in shown.values())
        return CeremonyVerdict(culprits=tuple(shown), reason=reason, evidence=evidence)


def verify_commitments(transcript: CeremonyTranscript) -> Committed:
    """Return the commitments of every round 1 that is here, each what its seat owes (VN-15.2).

    Raises:
        CeremonyAbortedError: somebody's is bad.
    """
    committed = transcript.read_round1()
    try:
        transcript.scheme.verify(committed.values())
    except InvalidSignatureError as error:
        raise CeremonyAbortedError(transcript.convict_dealers(error)) from error
    return committed


def require_agreement(transcript: CeremonyTranscript) -> None:
    """Everybody echoed the round-1 statements that are here.

    Raises:
        CeremonyAbortedError: an echo or a round 1 is missing, or an echo differs and nothing here shows why.
    """
    transcript.require_complete(CeremonyRound1)
    transcript.require_complete(CeremonyEcho)
    differing = transcript.list_differing_echoes()
    if differing:
        reason = "echoes other round-1 statements and shows none"
        raise CeremonyAbortedError(CeremonyVerdict(silent=differing, reason=reason))


def read_complaints(transcript: CeremonyTranscript) -> tuple[Signed[CeremonyComplaint], ...]:
    """Return the complaints that were made."""
    return tuple(transcript.list_statements(CeremonyComplaint).values())


def _convict_of_equivocation(slot: Slot, earlier: Signed[Any], later: Signed[Any]) -> CeremonyVerdict:
    kind, signer, _ = slot
    return CeremonyVerdict(
        culprits=(signer,), reason=f"signed two different {kind}", evidence=(earlier.data, later.data)
    )
