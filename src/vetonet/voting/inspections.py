"""Inspections in the log: what was asked, drawn, answered and found, read leaf by leaf (VN-19).

The ledger holds one of these, so the coordinator before it logs, a party before it signs and a verifier
offline read them by the same rules. A reader has no clock: deadlines are judged by whoever asks, with the
time it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from vetonet.crypto.statement import Signed, read_kind, read_unverified
from vetonet.errors import EncodingError, ProtocolError, RefusedError
from vetonet.policy.disclosure import (
    DisclosureAnswer,
    DisclosureChallenge,
    find_undeclared_parents,
    open_disclosure_answer,
    open_disclosure_challenge,
)
from vetonet.policy.joint_randomness import (
    RandomnessCommitment,
    RandomnessReveal,
    RandomnessRound,
    open_randomness,
    open_randomness_round,
)
from vetonet.policy.proposal import Proposal
from vetonet.policy.specification import FieldName
from vetonet.policy.transcript import (
    SegmentChallenge,
    SegmentFinding,
    TranscriptCommitment,
    choose_segments,
    open_segment_challenge,
    open_segment_finding,
    open_transcript,
)
from vetonet.policy.treaty import Treaty
from vetonet.units import MS_PER_HOUR
from vetonet.voting.randomness import RandomnessState, RoundPhase, begin_round
from vetonet.voting.state import Voting

MAX_CHALLENGES: Final = 20
"""Of one party in a year (MIRI draft treaty, article X.3): each leaves verdicts open until it is met."""

MAX_ROUNDS: Final = 64
"""Of one opener under one treaty: a round that nobody ends costs a leaf, too."""

YEAR_MS: Final = 365 * 24 * MS_PER_HOUR

Challenge: TypeAlias = DisclosureChallenge | SegmentChallenge


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One field that was asked for.

    Attributes:
        challenge: who asked for what.
        proposal: the run.
        answer: what its operator showed, None before.
        undeclared: of an answer about the lineage, the licensed runs in it that the proposal left out.
    """

    challenge: Signed[DisclosureChallenge]
    proposal: Proposal
    answer: Signed[DisclosureAnswer] | None = None
    undeclared: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """One transcript of which segments are to be computed again.

    Attributes:
        challenge: who asked.
        transcript: what the operator had committed to before.
        findings: by party.
    """

    challenge: Signed[SegmentChallenge]
    transcript: TranscriptCommitment
    findings: Mapping[str, SegmentFinding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionLeaf:
    """A leaf about inspections, and what the leaves before it amount to.

    Attributes:
        data: as signed.
        leaf_index: where it stands.
        treaty: in force.
        votes: the life of each proposal and motion, by digest.
    """

    data: bytes = field(repr=False)
    leaf_index: int
    treaty: Signed[Treaty] = field(repr=False)
    votes: Mapping[bytes, Voting] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspections:
    """All inspections of a log.

    Attributes:
        disclosures, samplings: by the digest of their challenge.
        transcripts: what operators committed to, by the digest of the commitment.
        rounds: of joint randomness, by digest.
        draws: the digests of the rounds about each subject; the last one counts.
        licence_leaves: where the licence of each proposal stands, as read from the log.
    """

    disclosures: Mapping[bytes, Disclosure] = field(default_factory=dict)
    samplings: Mapping[bytes, Sampling] = field(default_factory=dict)
    transcripts: Mapping[bytes, TranscriptCommitment] = field(default_factory=dict)
    rounds: Mapping[bytes, RandomnessState] = field(default_factory=dict)
    draws: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    licence_leaves: Mapping[bytes, int] = field(default_factory=dict, repr=False)

    def read(self, leaf: InspectionLeaf) -> Inspections:
        """Return what the log says of inspections after one more leaf.

        Raises:
            EncodingError: not a statement about inspections.
            ProtocolError, VerificationError: the rules of VN-19 would not have let it in here.
        """
        kind = read_kind(leaf.data)
        rule = INSPECTION_RULES.get(kind)
        if rule is None:
            raise EncodingError(f"expected a statement about inspections, got a {kind[:64]!r}")
        return rule(self, leaf)

    def note_licence(self, digest: bytes, leaf_index: int) -> Inspections:
        """Return the same, knowing where the licence of a proposal stands."""
        return replace(self, licence_leaves={**self.licence_leaves, digest: leaf_index})

    def find_draw(self, subject: bytes) -> RandomnessState | None:
        """Return the last round about a subject, or None where there is none."""
        digests = self.draws.get(subject)
        return self.rounds[digests[-1]] if digests else None

    def list_segments(self, challenge_digest: bytes) -> tuple[int, ...] | None:
        """Return which segments a spot check is about, None before chance has said so (VN-19.7).

        Raises:
            ProtocolError: there is no such spot check.
        """
        found = self._find_sampling(challenge_digest)
        draw = self.find_draw(challenge_digest)
        if draw is None or draw.phase is not RoundPhase.DONE:
            return None
        count = found.challenge.statement.sample_count
        return choose_segments(draw.compute_output(), found.transcript.segment_count, count)

    def read_disclosure_challenge(self, leaf: InspectionLeaf) -> Inspections:
        """Of a party, about a proposal of the log, and not one too many (VN-19.3)."""
        signed = open_disclosure_challenge(leaf.data, leaf.treaty)
        proposal = _find_run(signed.statement.proposal_digest, leaf, signed.statement.challenger)
        self._require_turn(signed.payload_digest, signed.statement)
        disclosure = Disclosure(challenge=signed, proposal=proposal)
        return replace(self, disclosures={**self.disclosures, signed.payload_digest: disclosure})

    def read_disclosure_answer(self, leaf: InspectionLeaf) -> Inspections:
        """The only one to a challenge of the log, and borne out by the proposal (VN-19.4)."""
        digest = read_unverified(leaf.data, DisclosureAnswer).challenge_digest
        asked = self.disclosures.get(digest)
        if asked is None:
            raise ProtocolError(f"no disclosure challenge {digest.hex()[:16]} in the log", clause="VN-19.4")
        signed = open_disclosure_answer(leaf.data, leaf.treaty, asked.challenge.statement, asked.proposal)
        if asked.answer is not None:
            who = signed.statement.operator_id
            raise RefusedError("a challenge that is answered already", culprit=who, clause="VN-19.4")
        value = signed.statement.opening.value or b""
        is_lineage = signed.statement.opening.name == FieldName.LINEAGE
        licensed = self._list_licensed_before(asked.challenge.statement.proposal_digest, leaf.votes)
        undeclared = find_undeclared_parents(value, asked.proposal, licensed) if is_lineage else ()
        answered = replace(asked, answer=signed, undeclared=undeclared)
        return replace(self, disclosures={**self.disclosures, digest: answered})

    def read_transcript(self, leaf: InspectionLeaf) -> Inspections:
        """By the operator whose licence it names, and the next part of that run (VN-19.6)."""
        signed = open_transcript(leaf.data, leaf.treaty)
        stated = signed.statement
        if stated.operator_id != _find_licensee(stated.licence_id, leaf):
            msg = f"licence {stated.licence_id} is not one of {stated.operator_id!r}"
            raise RefusedError(msg, culprit=stated.operator_id, clause="VN-19.6")
        self._require_next_part(stated)
        return replace(self, transcripts={**self.transcripts, signed.payload_digest: stated})

    def read_segment_challenge(self, leaf: InspectionLeaf) -> Inspections:
        """Of a party, about a transcript that the log held before, and not one too many (VN-19.7)."""
        signed = open_segment_challenge(leaf.data, leaf.treaty)
        stated = signed.statement
        transcript = self.transcripts.get(stated.transcript_digest)
        if transcript is None:
            msg = (
                f"no transcript {stated.transcript_digest.hex()[:16]} in the log: nothing binds its operator"
            )
            raise RefusedError(msg, culprit=stated.challenger, clause="VN-19.7")
        if signed.payload_digest in self.draws:
            # Whoever draws first and asks afterwards asks only where it likes what came out.
            msg = "a spot check about which a draw was opened before it was asked for"
            raise RefusedError(msg, culprit=stated.challenger, clause="VN-19.7")
        self._require_turn(signed.payload_digest, stated)
        found = Sampling(challenge=signed, transcript=transcript)
        return replace(self, samplings={**self.samplings, signed.payload_digest: found})

    def read_finding(self, leaf: InspectionLeaf) -> Inspections:
        """One of each party on a spot check, about segments that chance chose (VN-19.8)."""
        stated = open_segment_finding(leaf.data, leaf.treaty).statement
        found, who = self._find_sampling(stated.challenge_digest), stated.party_id
        segments = self.list_segments(stated.challenge_digest)
        if segments is None:
            raise RefusedError("a finding before chance chose segments", culprit=who, clause="VN-19.8")
        if stated.segment is not None and stated.segment not in segments:
            raise RefusedError(f"segment {stated.segment} was not chosen", culprit=who, clause="VN-19.8")
        if who in found.findings:
            raise RefusedError("a second finding on one spot check", culprit=who, clause="VN-19.8")
        following = replace(found, findings={**found.findings, who: stated})
        return replace(self, samplings={**self.samplings, stated.challenge_digest: following})

    def read_round(self, leaf: InspectionLeaf) -> Inspections:
        """Of a party, and the only one about its subject that can still end (VN-19.9)."""
        signed = open_randomness_round(leaf.data, leaf.treaty)
        stated, digest = signed.statement, signed.payload_digest
        self._require_round_to_open(signed)
        roster = tuple(party.party_id for party in leaf.treaty.statement.parties)
        draws = (*self.draws.get(stated.subject_digest, ()), digest)
        return replace(
            self,
            rounds={**self.rounds, digest: begin_round(signed, roster)},
            draws={**self.draws, stated.subject_digest: draws},
        )

    def read_randomness_commitment(self, leaf: InspectionLeaf) -> Inspections:
        """Of a party of the round, once (VN-19.10)."""
        signed = open_randomness(leaf.data, RandomnessCommitment, leaf.treaty)
        state = self._find_open_round(signed.statement.round_digest, leaf.treaty)
        return self._with_round(state.take_commitment(signed.statement))

    def read_randomness_reveal(self, leaf: InspectionLeaf) -> Inspections:
        """What a party committed to, once all have (VN-19.11)."""
        signed = open_randomness(leaf.data, RandomnessReveal, leaf.treaty)
        state = self._find_open_round(signed.statement.round_digest, leaf.treaty)
        return self._with_round(state.take_reveal(signed.statement))

    def _with_round(self, state: RandomnessState) -> Inspections:
        return replace(self, rounds={**self.rounds, state.digest: state})

    def _find_open_round(self, digest: bytes, treaty: Signed[Treaty]) -> RandomnessState:
        """Return a round that counts: of this treaty, and not followed by another about its subject.

        Else colluders could keep two open, and end the one that they like better.
        """
        state = self.rounds.get(digest)
        if state is None:
            raise ProtocolError(f"no round {digest.hex()[:16]} in the log", clause="VN-19.10")
        opened = state.opened.statement
        if opened.treaty_digest != treaty.payload_digest or self.draws[opened.subject_digest][-1] != digest:
            raise RefusedError(f"round {digest.hex()[:16]} is over", clause="VN-19.10")
        return state

    def _require_next_part(self, stated: TranscriptCommitment) -> None:
        known = reversed(tuple(self.transcripts.values()))
        last = next((one for one in known if one.licence_id == stated.licence_id), None)
        number = 1 if last is None else last.number + 1
        if stated.number != number:
            msg = f"expected part {number} of the transcript of licence {stated.licence_id}"
            raise RefusedError(f"{msg}, got {stated.number}", culprit=stated.operator_id, clause="VN-19.6")
        if last is not None and stated.start != last.end:
            # Else a run could jump between parts, where no segment is false.
            msg = f"part {number} of the transcript of licence {stated.licence_id} begins elsewhere than"
            raise RefusedError(
                f"{msg} part {last.number} ended", culprit=stated.operator_id, clause="VN-19.6"
            )

    def _require_round_to_open(self, signed: Signed[RandomnessRound]) -> None:
        stated = signed.statement
        earlier = self.find_draw(stated.subject_digest)
        opened = (state.opened.statement for state in self.rounds.values())
        mine = sum(
            (known.opener, known.treaty_digest) == (stated.opener, stated.treaty_digest) for known in opened
        )
        if mine >= MAX_ROUNDS:
            msg = f"expected at most {MAX_ROUNDS} rounds of one party under one treaty"
            raise RefusedError(msg, culprit=stated.opener, clause="VN-19.9")
        if earlier is not None and not _may_follow(stated, earlier):
            msg = "a second round about one subject, whose first one is done or may still be"
            raise RefusedError(msg, culprit=stated.opener, clause="VN-19.9")

    def _require_turn(self, digest: bytes, asked: Challenge) -> None:
        """A party asks once, in the order in which it says so, and not more often than it may in a year."""
        known: list[Challenge] = [one.challenge.statement for one in self.disclosures.values()]
        known += [one.challenge.statement for one in self.samplings.values()]
        earlier = [one for one in known if one.challenger == asked.challenger]
        if digest in self.disclosures or digest in self.samplings:
            raise RefusedError("a challenge that stands twice", culprit=asked.challenger, clause="VN-19.3")
        if any(one.stated_ms > asked.stated_ms for one in earlier):
            msg = "a challenge dated before an earlier one of the same party"
            raise RefusedError(msg, culprit=asked.challenger, clause="VN-19.3")
        recent = sum(asked.stated_ms - one.stated_ms < YEAR_MS for one in earlier)
        if recent >= MAX_CHALLENGES:
            msg = f"expected at most {MAX_CHALLENGES} challenges of one party in a year"
            raise RefusedError(msg, culprit=asked.challenger, clause="VN-19.3")

    def _find_sampling(self, digest: bytes) -> Sampling:
        found = self.samplings.get(digest)
        if found is None:
            raise ProtocolError(f"no spot check {digest.hex()[:16]} in the log", clause="VN-19.8")
        return found

    def _list_licensed_before(self, digest: bytes, votes: Mapping[bytes, Voting]) -> Mapping[bytes, Proposal]:
        """Return the runs that a proposal had to name: licensed before it stood in the log and was signed.

        The place alone would convict whoever was kept out of the log until then.
        """
        asking = votes[digest]
        before = {
            known for known, leaf_index in self.licence_leaves.items() if leaf_index < asking.leaf_index
        }
        runs = {known: votes[known].run for known in before if known in votes}
        opens_ms = asking.matter.statement.opens_ms
        return {known: run for known, run in runs.items() if run is not None and run.closes_ms <= opens_ms}


def _may_follow(stated: RandomnessRound, earlier: RandomnessState) -> bool:
    """Whether another round may take the place of an earlier one about its subject (VN-19.9).

    Once all have committed one number alone can come out, and the last to show its part knows which: another
    round would be another throw for whoever dislikes it.
    """
    first = earlier.opened.statement
    if earlier.phase is RoundPhase.DONE:
        return False
    if first.treaty_digest != stated.treaty_digest:
        return True
    return earlier.phase is RoundPhase.COMMITTING and stated.stated_ms >= first.commits_end_ms


def _find_run(digest: bytes, leaf: InspectionLeaf, challenger: str) -> Proposal:
    vote = leaf.votes.get(digest)
    if vote is None or vote.run is None:
        msg = f"no proposal {digest.hex()[:16]} in the log"
        raise RefusedError(msg, culprit=challenger, clause="VN-19.3")
    return vote.run


def _find_licensee(licence_id: int, leaf: InspectionLeaf) -> str | None:
    """Return whose licence this is, None where the log has no such licence."""
    for vote in leaf.votes.values():
        licence, run = vote.licence, vote.run
        if licence is not None and run is not None and licence.statement.licence_id == licence_id:
            return run.operator_id
    return None


Rule: TypeAlias = Callable[[Inspections, InspectionLeaf], Inspections]

INSPECTION_RULES: Final[Mapping[str, Rule]] = {
    DisclosureChallenge.TYPE: Inspections.read_disclosure_challenge,
    DisclosureAnswer.TYPE: Inspections.read_disclosure_answer,
    TranscriptCommitment.TYPE: Inspections.read_transcript,
    SegmentChallenge.TYPE: Inspections.read_segment_challenge,
    SegmentFinding.TYPE: Inspections.read_finding,
    RandomnessRound.TYPE: Inspections.read_round,
    RandomnessCommitment.TYPE: Inspections.read_randomness_commitment,
    RandomnessReveal.TYPE: Inspections.read_randomness_reveal,
}
"""What each type of statement about inspections has to fulfil."""

INSPECTION_KINDS: Final = frozenset(INSPECTION_RULES)
