"""``vetonet explain``: a verdict in plain words: what was proven, by whom, and what was not."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.explain_words import (
    COUNTS_HIDDEN,
    COUNTS_IN_CLEAR,
    GLOSSARY,
    HIDDEN,
    HIDDEN_GLOSSARY,
    OF_EVERY_BUNDLE,
    SIMULATED,
    VERDICTS,
    WORDS,
)
from vetonet.cli.output import COLUMNS, examples, format_flop, print_line
from vetonet.cli.parameters import TIME
from vetonet.cli.verify import (
    VERDICT_EXITS,
    iter_bundle_file,
    judge_file,
    read_trust_root,
    refuse_no_bundle,
    spell_concerned,
)
from vetonet.units import Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.compliance.public_record import PublicRecord
    from vetonet.compliance.result import ClaimResult, ComplianceResult, LicenceUse
    from vetonet.compliance.trust_root import TrustRoot
    from vetonet.confidential.judging import ProvenTotal
    from vetonet.errors import Problem
    from vetonet.policy.treaty import Treaty
    from vetonet.voting.state import Voting

MOST_NAMES: Final = 12
SIMULATED_KIND: Final = "SIMULATED"
LIMITS: Final[Mapping[str, str]] = {
    "budget": "what the licence allows",
    "rate": "what its chips can do in the time they worked",
    "energy": "what the energy they report can buy",
    "pool": "what the treaty allows without a licence",
}
"""What each bound of a hidden total is, by the name of its kind."""

_STATES: Final = {"COMPLIANT": "proven", "INCONCLUSIVE": "open", "VIOLATION": "broken"}


@click.command(epilog=examples("vetonet explain demo/bundle.vetonet --trust-root demo/trust-root.json"))
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--trust-root",
    required=True,
    type=click.Path(path_type=Path),
    help="The trust root: the file that names the treaty. Get it from somebody you trust.",
)
@click.option("--at", "at_ms", type=TIME, metavar="TIME", help="Judge as of this time, instead of now.")
def explain(bundle: Path, trust_root: Path, at_ms: Milliseconds | None) -> int:
    """Judge BUNDLE offline as `vetonet verify` does, and say in plain words what that means.

    Claim by claim: what was proven, by whose signatures, and what was not. Exits as `vetonet verify` does: 0
    for COMPLIANT, 1 for VIOLATION, 3 for INCONCLUSIVE, 4 if BUNDLE is not a valid bundle.
    """
    root = read_trust_root(trust_root)
    result = judge_file(bundle, root, at_ms)
    told = _read_told(bundle, root)
    if told.record.checkpoint.root_hash != result.root_hash:
        raise Failure(f"{bundle}: it changed while it was read; try again", code=Exit.INVALID, reason="input")
    for line in iter_explanation(result, told):
        print_line(line)
    return VERDICT_EXITS[result.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the log of a bundle says of those who stand behind it.

    Attributes:
        record: the log, read by the rules.
        witnesses: the parties whose witnesses cosigned its newest state here.
    """

    record: PublicRecord = field(repr=False)
    witnesses: tuple[str, ...]


def _read_told(path: Path, root: TrustRoot) -> Told:
    """Return what the log of a bundle says; its reports were judged before."""
    from vetonet.compliance.parts import PartKind, PartReader
    from vetonet.compliance.public_record import LogReader
    from vetonet.tlog.policy import LogPolicy, verify_cosigned

    log, checkpoint = LogReader(root), b""
    with refuse_no_bundle(path):
        for part in PartReader(iter_bundle_file(path)):
            if part.kind is PartKind.LEAF:
                log.read_leaf(part.content)
            elif part.kind is PartKind.CHECKPOINT:
                checkpoint = part.content
                log.read_checkpoint(checkpoint)
            else:
                break
        record = log.conclude()
        cosigned = verify_cosigned(checkpoint, LogPolicy.under(record.treaty.statement))
    terms = record.treaty.statement
    owners = {terms.find_witness_of(party.party_id).name: party.party_id for party in terms.parties}
    names = (cosignature.witness.name for cosignature in cosigned.cosignatures)
    return Told(record=record, witnesses=tuple(sorted(owners.get(name, name) for name in names)))


def iter_explanation(result: ComplianceResult, told: Told) -> Iterator[str]:
    """Yield the lines of an explanation, none longer than ``COLUMNS``; equal inputs give equal lines."""
    treaty = told.record.treaty.statement
    yield f"{result.verdict.value}   {treaty.name}, judged as of {format_time(result.judged_at_ms)}"
    yield from _wrap(VERDICTS[result.verdict])
    yield from _section("Who stands behind it", _iter_people(result, told))
    yield from _section("What was allowed, and what was used", _iter_licences(result, told.record))
    yield ""
    yield "CLAIM BY CLAIM"
    for number, claim in enumerate(result.claims, start=1):
        yield from _iter_claim(number, claim, is_hidden=treaty.is_confidential)
    yield from _section("What no such file proves", _iter_limits(told.record))
    yield from _section("The words", _iter_words(treaty))


def _section(title: str, paragraphs: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield title.upper()
    for label, text in paragraphs:
        yield from _wrap(text, label=label, indent=2)


def _wrap(text: str, *, label: str = "", indent: int = 0) -> Iterator[str]:
    """Yield a paragraph; what follows its first line stands under the first word after the label."""
    blank = " " * indent
    start = f"{blank}{label}: " if label else f"{blank}- " if indent else ""
    hang = " " * (indent + 2) if indent else ""
    yield from textwrap.wrap(
        text, COLUMNS, initial_indent=start, subsequent_indent=hang, break_on_hyphens=False
    ) or [start.rstrip()]


def _iter_people(result: ComplianceResult, told: Told) -> Iterator[tuple[str, str]]:
    record, treaty = told.record, told.record.treaty.statement
    parties = _join(party.party_id for party in treaty.parties)
    yield (
        "Treaty",
        (
            f"signed by all of its {len(treaty.parties)} parties: {parties}. It is the one that your trust "
            "root "
            f"names, {result.treaty_digest.hex()[:16]}..., and all keys below are in it"
        ),
    )
    witnesses = f"{len(told.witnesses)} of its {len(treaty.witnesses)} witnesses"
    text = (
        f"{treaty.log_origin}, {result.tree_size:,} entries, signed by its own key. {witnesses} vouch for "
        "just "
        f"these entries, where {treaty.witness_quorum} must: those of {_join(told.witnesses)}"
    )
    yield "Log", text
    yield from _iter_quorums(record)
    yield from _iter_makers(record)
    yield "Reports", _say_reports(result)
    yield "Counts", COUNTS_HIDDEN if treaty.is_confidential else COUNTS_IN_CLEAR
    yield "This file", _say_exporter(result)


def _iter_quorums(record: PublicRecord) -> Iterator[tuple[str, str]]:
    """Yield what it took to license the runs: once for all that took the same."""
    from vetonet.cli.treaty_text import describe_quorum

    licensed = [vote for vote in record.ledger.votes.values() if vote.licence is not None]
    rules = (
        describe_quorum(vote.quorum, tuple(party.party_id for party in vote.treaty.statement.parties))
        for vote in licensed
    )
    for rule in dict.fromkeys(rules):
        yield "To license a run", rule


def _iter_makers(record: PublicRecord) -> Iterator[tuple[str, str]]:
    enrolments = [device.enrolment for device in record.registry.devices.values()]
    kinds = Counter((entry.endorser_id, entry.attester_kind, entry.owner) for entry in enrolments)
    for (maker, kind, owner), count in sorted(kinds.items()):
        yield (
            "Chips",
            (
                f"{_count(count, 'chip')} of {owner}, registered with the signatures of {owner} and of the "
                "maker "
                f"{maker}; of kind {kind}"
            ),
        )


def _say_reports(result: ComplianceResult) -> str:
    if result.period_ms is None:
        return f"{result.report_count:,} from the chips; no licensed time is due yet, so none was judged"
    start, end = map(format_time, result.period_ms)
    return f"{result.report_count:,}, each signed by its chip; the time from {start} to {end} was judged"


def _say_exporter(result: ComplianceResult) -> str:
    if result.exporter is None:
        return (
            "signed by nobody: whoever made it may have left parts out or put others in, and answers for none"
        )
    return f"signed by {result.exporter}, who answers for it that no part is forged"


def _iter_licences(result: ComplianceResult, record: PublicRecord) -> Iterator[tuple[str, str]]:
    votes = {
        vote.licence.statement.licence_id: vote
        for vote in record.ledger.votes.values()
        if vote.licence is not None
    }
    if not result.licences:
        yield "", "The log holds no licence."
    for use in result.licences:
        licence = use.licence
        label = f"Licence {licence.licence_id}"
        yield label, _say_run(use, votes[licence.licence_id])
        yield label, _say_consent(licence.licence_id, votes[licence.licence_id], record)
        if use.used_flop is not None:
            yield label, f"its chips report {format_flop(use.used_flop)} FLOP under it"
    for total in result.totals:
        yield f"Hidden total of {total.expected.name}", _say_total(total)


def _say_run(use: LicenceUse, vote: Voting) -> str:
    run, licence = vote.proposal.statement, use.licence
    start, end = format_time(licence.not_before_ms), format_time(licence.expires_ms)
    return (
        f"{run.operator_id} may run {licence.workload.value} in {licence.precision.value} for "
        f"{run.beneficial_owner}, {format_flop(licence.total_flop)} FLOP in all on "
        f"{_count(licence.device_count, 'chip')}, from {start} to {end}"
    )


def _say_consent(licence_id: int, vote: Voting, record: PublicRecord) -> str:
    from vetonet.policy.quorum import Choice

    granted = sorted(party for party, choice in vote.choices.items() if choice is Choice.GRANT)
    leases = sum(1 for entry in record.lease_leaves if entry[0] == licence_id)
    return (
        f"granted by {_join(granted)}, and signed by enough of them together; consent that it goes on stands "
        f"in {_count(leases, 'lease')}"
    )


def _say_total(total: ProvenTotal) -> str:
    from vetonet.units import UNIT_FLOP

    seen = total.expected.total
    start, end = format_time(seen.start_ms), format_time(seen.end_ms)
    what = (
        f"over {_count(seen.report_count, 'report')} of {_count(seen.chip_count, 'chip')}, {start} to {end}"
    )
    proven = [
        f"at most {format_flop(bound.units * UNIT_FLOP)} FLOP, {LIMITS[bound.kind]}" for bound in total.bounds
    ]
    missing = [LIMITS[kind] for kind in total.missing]
    parts = [f"{total.operator_id} proves that it is {'; '.join(proven)}"] if proven else []
    parts += [f"nothing proves that it is within {'; '.join(missing)}"] if missing else []
    return f"{what}: {', and '.join(parts)}"


def _iter_claim(number: int, result: ClaimResult, *, is_hidden: bool) -> Iterator[str]:
    words, state = WORDS[result.claim.value], _STATES[result.verdict.value]
    shown = words.shown_hidden or words.shown if is_hidden else words.shown
    by = words.by_hidden or words.by if is_hidden else words.by
    yield ""
    yield from _wrap(f"{number}. {words.question} {state.upper()} ({result.claim.value})")
    yield from _wrap(shown, label="Proven" if state == "proven" else "To be proven", indent=3)
    if state == "proven":
        yield from _wrap(by, label="By", indent=3)
    for problem in result.problems:
        yield from _wrap(_say_problem(problem), label=_label(problem), indent=3)
    yield from _wrap(words.not_shown, label="Not proven", indent=3)
    if is_hidden and words.not_shown_hidden:
        yield from _wrap(words.not_shown_hidden, label="Not proven", indent=3)


def _label(problem: Problem) -> str:
    from vetonet.compliance.result import REASONS

    return {"VIOLATION": "Against it", "INCONCLUSIVE": "Missing"}[REASONS[problem.reason].value]


def _say_problem(problem: Problem) -> str:
    who = "" if problem.culprit is None else f" [{spell_concerned(problem.culprit)}]"
    return f"{problem.detail}{who} ({problem.reason})"


def _iter_limits(record: PublicRecord) -> Iterator[tuple[str, str]]:
    treaty = record.treaty.statement
    for text in OF_EVERY_BUNDLE:
        yield "", text
    for text in HIDDEN if treaty.is_confidential else ():
        yield "", text
    kinds = {device.enrolment.attester_kind for device in record.registry.devices.values()}
    if SIMULATED_KIND in kinds:
        yield "", SIMULATED


def _iter_words(treaty: Treaty) -> Iterator[tuple[str, str]]:
    words: Mapping[str, str] = {**GLOSSARY, **(HIDDEN_GLOSSARY if treaty.is_confidential else {})}
    yield from words.items()


def _join(names: Iterable[str]) -> str:
    """Return names in a row; of very many the first ones, and how many more."""
    listed = list(names)
    more = len(listed) - MOST_NAMES
    if more > 0:
        return f"{', '.join(listed[:MOST_NAMES])} and {more} more"
    return ", ".join(listed) or "nobody"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"
