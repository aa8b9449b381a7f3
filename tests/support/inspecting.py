"""Inspections of a run that holds a licence: who asks, answers, draws and finds, with every key in hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from support.world import NOW_MS, Council, make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, Statement, compute_digest, sign
from vetonet.policy.disclosure import DisclosureAnswer, DisclosureChallenge
from vetonet.policy.joint_randomness import RandomnessRound
from vetonet.policy.proposal import Proposal
from vetonet.policy.segments import Transcript, build_transcript
from vetonet.policy.specification import Specification
from vetonet.policy.transcript import SegmentChallenge, SegmentFinding, SegmentOutcome, TranscriptCommitment
from vetonet.units import MS_PER_HOUR
from vetonet.voting.inspections import Inspections
from vetonet.voting.ledger import Ledger, read_leaf
from vetonet.voting.randomness import Contribution

DAY_MS: Final = 24 * MS_PER_HOUR
VALUES: Final = {
    "data": b"a crawl of spring 2026, filtered",
    "hyper-parameters": b"rate 3e-4, 61 layers",
    "lineage": b"",
    "tokenizer": b"our own, 128k",
}
DIGITS: Final = tuple(bytes([value]) * 40 for value in range(13))


@dataclass(slots=True, kw_only=True)
class Scene:
    """A council, one licensed run of ``op1`` with a specification, and the ledger of a log that grows."""

    council: Council
    ledger: Ledger
    leaf_count: int = 1
    specification: Specification
    proposal: Signed[Proposal]
    rng: SeededRng = field(default_factory=lambda: SeededRng(b"inspecting"))

    @classmethod
    def begin(
        cls, values: Mapping[str, bytes] | None = None, *, is_licensed: bool = True, **changes: Any
    ) -> Scene:
        """Return a scene whose log holds the treaty, the proposal and, if wanted, its licence."""
        council = make_council()
        specification = Specification.generate(VALUES if values is None else values, SeededRng(b"salts"))
        proposal = council.sign_proposal(specification_digest=specification.root, **changes)
        scene = cls(
            council=council,
            ledger=Ledger(treaty=council.treaty),
            specification=specification,
            proposal=proposal,
        )
        scene.log(proposal.data)
        if is_licensed:
            scene.license(proposal)
        return scene

    @property
    def inspections(self) -> Inspections:
        return self.ledger.inspections

    def log(self, *leaves: bytes) -> None:
        """The log holds these leaves too."""
        for data in leaves:
            self.ledger = read_leaf(self.ledger, self.leaf_count, data)
            self.leaf_count += 1

    def license(self, proposal: Signed[Proposal]) -> int:
        """The proposal, which the log holds already, has its grants and licence; return the licence's id."""
        place, first = self.ledger.find(proposal.payload_digest).leaf_index, self.leaf_count
        ballots = {name: self.council.sign_ballot(name, proposal) for name in ("p1", "p2")}
        self.log(*(ballot.data for ballot in ballots.values()))
        licence = self.council.sign_licence(
            proposal, ballots, proposal_leaf_index=place, ballot_leaf_indices=(first, first + 1)
        )
        self.log(licence.data)
        return licence.statement.licence_id

    @property
    def reference(self) -> dict[str, Any]:
        treaty = self.ledger.treaty
        return {"treaty_digest": treaty.payload_digest, "epoch": treaty.statement.epoch}

    def ask(self, name: str = "data", challenger: str = "p1", **changes: Any) -> DisclosureChallenge:
        """Return a challenge of a party about one field of the run."""
        fields: dict[str, Any] = {
            **self.reference,
            "challenger": challenger,
            "proposal_digest": self.proposal.payload_digest,
            "field": name,
            "stated_ms": NOW_MS,
            "deadline_ms": NOW_MS + DAY_MS,
            "serial": self.rng(16),
        }
        return DisclosureChallenge(**(fields | changes))

    def answer(self, challenge: DisclosureChallenge, **changes: Any) -> DisclosureAnswer:
        """Return the operator's answer."""
        fields: dict[str, Any] = {
            **self.reference,
            "operator_id": "op1",
            "challenge_digest": compute_digest(challenge),
        }
        if "opening" not in changes:
            fields["opening"] = self.specification.open_field(challenge.field)
        return DisclosureAnswer(**(fields | changes))

    def commit_transcript(self, transcript: Transcript | None = None, **changes: Any) -> TranscriptCommitment:
        """Return the operator's commitment to a transcript, by default to one of twelve made-up segments."""
        chosen = transcript or build_transcript(DIGITS, DIGITS[1:], self.rng)
        fields: dict[str, Any] = {
            **self.reference,
            "operator_id": "op1",
            "licence_id": 3,
            "number": 1,
            "segment_count": len(chosen.batches),
            "root": chosen.compute_root(),
            "start": chosen.list_segments()[0].start,
            "end": chosen.list_segments()[-1].end,
        }
        return TranscriptCommitment(**(fields | changes))

    def call_sampling(self, transcript: TranscriptCommitment, **changes: Any) -> SegmentChallenge:
        """Return a party's challenge to a transcript."""
        fields: dict[str, Any] = {
            **self.reference,
            "challenger": "p1",
            "transcript_digest": compute_digest(transcript),
            "sample_count": 3,
            "stated_ms": NOW_MS,
            "deadline_ms": NOW_MS + DAY_MS,
            "serial": self.rng(16),
        }
        return SegmentChallenge(**(fields | changes))

    def open_round(self, subject: bytes = bytes(32), **changes: Any) -> RandomnessRound:
        """Return a round of joint randomness about a subject."""
        fields: dict[str, Any] = {
            **self.reference,
            "opener": "p1",
            "subject_digest": subject,
            "stated_ms": NOW_MS,
            "commits_end_ms": NOW_MS + MS_PER_HOUR,
            "reveals_end_ms": NOW_MS + 2 * MS_PER_HOUR,
            "serial": self.rng(16),
        }
        return RandomnessRound(**(fields | changes))

    def contribute(self, opened: RandomnessRound) -> dict[str, Contribution]:
        """Return fresh contributions of all parties to a round."""
        digest = compute_digest(opened)
        return {name: Contribution.generate(name, digest, self.rng) for name in self.council.party_ids}

    def draw(self, subject: bytes) -> bytes:
        """The log holds a whole round about a subject; return what it gave."""
        opened = self.open_round(subject)
        self.log(self.by_party("p1", opened))
        parts, digest = self.contribute(opened), compute_digest(opened)
        for name, part in parts.items():
            self.log(self.by_party(name, part.commit(self.inspections.rounds[digest].opened)))
        for name, part in parts.items():
            self.log(self.by_party(name, part.reveal(self.inspections.rounds[digest])))
        return self.inspections.rounds[digest].compute_output()

    def find(
        self, challenge: SegmentChallenge, outcome: SegmentOutcome = SegmentOutcome.PASSED, **changes: Any
    ) -> SegmentFinding:
        """Return a party's finding."""
        fields: dict[str, Any] = {
            **self.reference,
            "party_id": "p1",
            "challenge_digest": compute_digest(challenge),
            "outcome": outcome,
            "segment": None,
        }
        return SegmentFinding(**(fields | changes))

    def by_party(self, party_id: str, statement: Statement) -> bytes:
        """Return a statement as a party signs it."""
        return sign(statement, self.council.party_keys[party_id])

    def by_operator(self, statement: Statement, operator_id: str = "op1") -> bytes:
        """Return a statement as an operator signs it."""
        return sign(statement, self.council.operator_keys[operator_id])


@dataclass(slots=True, kw_only=True)
class SpotCheck:
    """The leaves of one spot check up to its finding, and ledgers that still lack one of them.

    Attributes:
        asked, called, ledger: before the challenge, before any commitment, before the last reveal or, once
            all parts are shown, the finding.
    """

    transcript: bytes
    challenge: bytes
    opened: bytes
    commitment: bytes
    reveal: bytes
    finding: bytes
    asked: Ledger
    called: Ledger
    ledger: Ledger

    @classmethod
    def play(cls, *, is_revealed: bool = False) -> SpotCheck:
        """Return a spot check whose last part is shown, or is about to be."""
        scene = Scene.begin()
        stated = scene.commit_transcript()
        transcript = scene.by_operator(stated)
        scene.log(transcript)
        asked, called = scene.ledger, scene.call_sampling(stated)
        challenge, begun = scene.by_party("p1", called), scene.open_round(compute_digest(called))
        opened = scene.by_party("p1", begun)
        scene.log(challenge, opened)
        before, digest, parts = scene.ledger, compute_digest(begun), scene.contribute(begun)
        commits = [
            scene.by_party(name, part.commit(scene.inspections.rounds[digest].opened))
            for name, part in parts.items()
        ]
        scene.log(*commits)
        reveals = [
            scene.by_party(name, part.reveal(scene.inspections.rounds[digest]))
            for name, part in parts.items()
        ]
        scene.log(*(reveals if is_revealed else reveals[:-1]))
        return cls(
            transcript=transcript,
            challenge=challenge,
            opened=opened,
            commitment=commits[0],
            reveal=reveals[-1],
            finding=scene.by_party("p1", scene.find(called)),
            asked=asked,
            called=before,
            ledger=scene.ledger,
        )


def list_reasons(problems: Iterable[Any]) -> list[str]:
    """Return the reason codes of problems, in order."""
    return [problem.reason for problem in problems]
