"""Witnesses by their rules alone, in memory: honest ones that remember, and colluding ones that do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from support.world import Council
from vetonet.errors import VetonetError
from vetonet.service.publishing import Publishing
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.cosignature import cosign
from vetonet.tlog.note import LogKey
from vetonet.tlog.witness import WitnessState, judge_checkpoint
from vetonet.units import MS_PER_S, Clock


@dataclass(slots=True, kw_only=True)
class RuleWitness:
    """The witness of a party, which follows the rules of ``vetonet.tlog.witness``.

    Attributes:
        colludes: whether it cosigns whatever it is shown instead.
        failure: what it answers instead of anything, or None.
        asked: the sizes that it was asked to cosign.
    """

    council: Council
    party_id: str
    clock: Clock
    colludes: bool = False
    failure: VetonetError | None = None
    asked: list[int] = field(default_factory=list)
    state: WitnessState | None = None

    @property
    def name(self) -> str:
        """The name of its signature lines."""
        return self.council.treaty.statement.find_witness_of(self.party_id).name

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        """Cosign what the rules allow, or anything."""
        checkpoint = request.signed.checkpoint
        self.asked.append(checkpoint.tree_size)
        if self.failure is not None:
            raise self.failure
        if not self.colludes:
            before = self.state or WitnessState(logs=self._logs)
            self.state, _ = judge_checkpoint(before, request)
        key = self.council.witness_keys[self.party_id]
        line = cosign(checkpoint, name=self.name, signing_key=key, timestamp_s=self.clock() // MS_PER_S)
        return f"{line.to_line()}\n".encode()

    @property
    def _logs(self) -> dict[str, tuple[LogKey, ...]]:
        log_key = self.council.log_policy.log_key
        return {log_key.name: (log_key,)}


Witnesses = Mapping[str, RuleWitness]


def make_witnesses(council: Council, clock: Clock, *, colluding: Iterable[str] = ()) -> Witnesses:
    """Return every party's witness, by party id; the colluding ones follow no rule."""
    chosen = frozenset(colluding)
    return {
        party_id: RuleWitness(council=council, party_id=party_id, clock=clock, colludes=party_id in chosen)
        for party_id in council.party_ids
    }


def publish_by(witnesses: Witnesses, *, interval_s: float = 0) -> Publishing:
    """Return a publication by these witnesses, by default at every append."""
    return Publishing(
        witnesses={witness.name: witness for witness in witnesses.values()}, interval_s=interval_s
    )
