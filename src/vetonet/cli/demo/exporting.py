"""How the operator on stage makes its bundles: as ``vetonet export`` does, from what it has in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vetonet.cli.demo.play import Play
from vetonet.cli.demo.stage import OPERATOR_ID
from vetonet.compliance.bundle import Bundle, compute_place
from vetonet.compliance.parts import iter_bundle
from vetonet.compliance.proving import Books, Secrets, find_openings, prove_totals
from vetonet.confidential.expectation import ExpectedTotal
from vetonet.confidential.usage import UsageProof
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.statement import sign
from vetonet.party.exporting import Draft, iter_signed, sort_checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A bundle of the operator's, and what it proved in it.

    Attributes:
        bundle: signed by the operator.
        totals: the hidden totals of its reports; none where counts are in clear.
    """

    bundle: Bundle = field(repr=False)
    totals: tuple[ExpectedTotal, ...]


async def export(play: Play) -> Exported:
    """Return the operator's bundle over the whole log and all reports as they stand."""
    stage = play.stage
    leaves = await stage.operator.fetch_leaves(0, stage.coordinator.view.tree_size)
    note = await stage.operator.get_checkpoint()
    reports = sorted(set(play.reports), key=compute_place)
    draft = Draft(
        iter_leaves=lambda: leaves,
        checkpoints=sort_checkpoints(play.checkpoints, note),
        device_sets=(play.fleet.device_set.to_bytes(),),
        iter_reports=lambda: reports,
    )
    found = play.judge_chunks(iter_bundle(draft.iter_parts()), stage.clock.now)
    totals = tuple(total.expected for total in found.totals)
    signed = [sign(proof, find_operator_key(play)) for proof in prove(play, totals)]
    parts = iter_signed(draft.iter_parts(signed), find_operator_key(play))
    return Exported(bundle=Bundle.from_bytes(iter_bundle(parts)), totals=totals)


def prove(play: Play, totals: Sequence[ExpectedTotal]) -> tuple[UsageProof, ...]:
    """Return the operator's proofs of these totals.

    Raises:
        RefusedError: one exceeds a bound.
    """
    ends = play.ends.by_account
    return prove_totals(
        Books(
            expected=tuple(totals),
            secrets=Secrets(operator_id=OPERATOR_ID, openings=find_openings(ends, list_openings(play))),
            ends=ends,
            owners=dict.fromkeys(play.fleet.device_set.ueids, OPERATOR_ID),
        )
    )


def list_openings(play: Play) -> Mapping[tuple[bytes, int], Opening]:
    """Return what opens the commitments of reports, by chip and counter: the operator alone has it."""
    return {place: opening for place, (_, opening) in play.fleet.openings.items()}


def find_operator_key(play: Play) -> SigningKey:
    """Return the key of the operator on stage."""
    return play.stage.founded.operators[OPERATOR_ID]
