"""What leaves a log, when, and what stops it (VN-11.6); split views and witnesses (VN-3.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pytest

from support.coordination import ManualClock
from support.witnesses import RuleWitness, Witnesses, make_witnesses, publish_by
from support.world import NOW_MS, Council, make_council
from vetonet.errors import InvalidSignatureError, RefusedError, StorageError, WitnessQuorumError
from vetonet.service.publishing import Publisher, Publishing
from vetonet.storage import FullJournalError
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.log import Log
from vetonet.tlog.policy import CosignedCheckpoint, verify_cosigned

COUNCIL = make_council(7, 5)
TERMS = COUNCIL.treaty.statement
CLOCK = ManualClock()
LEAVES = [b"leaf %d" % number for number in range(20)]


@dataclass(slots=True)
class Stage:
    """A log, its witnesses, and what was stored of it."""

    council: Council
    log: Log
    witnesses: Witnesses
    stored: list[CosignedCheckpoint] = field(default_factory=list)
    failures: list[StorageError] = field(default_factory=list)

    async def store(self, cosigned: CosignedCheckpoint) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.stored.append(cosigned)

    def make_publisher(self, **changes: Any) -> Publisher:
        return Publisher(
            self.log,
            log_key=self.council.log_key,
            policy=self.council.log_policy,
            publishing=replace(publish_by(self.witnesses), **changes),
            store=self.store,
            newest=self.stored[-1] if self.stored else None,
        )


def set_up(leaves: Iterable[bytes] = LEAVES[:3], *, council: Council = COUNCIL, **options: Any) -> Stage:
    origin = council.treaty.statement.log_origin
    return Stage(council, Log(origin, leaves), make_witnesses(council, CLOCK, **options))


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(bounded())


def silence(stage: Stage, party_ids: Iterable[str]) -> None:
    for party_id in party_ids:
        stage.witnesses[party_id].failure = RefusedError("away")


def test_a_published_checkpoint_has_the_lines_of_all_witnesses_in_the_order_of_the_treaty() -> None:
    """VN-11.5."""

    async def scene() -> None:
        stage = set_up()
        cosigned = await stage.make_publisher().publish()
        assert cosigned.checkpoint == stage.log.checkpoint()
        assert [c.witness.name for c in cosigned.cosignatures] == [w.name for w in TERMS.witnesses]
        assert {c.timestamp_s for c in cosigned.cosignatures} == {NOW_MS // 1000}
        assert verify_cosigned(cosigned.data, COUNCIL.log_policy) == cosigned

    play(scene)


def test_what_is_published_was_stored_before_anybody_got_it() -> None:
    """VN-11.6."""

    async def scene() -> None:
        stage = set_up()
        stage.failures.append(FullJournalError("no room"))
        publisher = stage.make_publisher()
        with pytest.raises(FullJournalError):
            await publisher.publish()
        assert (publisher.newest, publisher.tree_size, stage.stored) == (None, 0, [])
        assert (await publisher.publish()) == stage.stored[0] == publisher.newest

    play(scene)


def test_without_growth_nobody_is_asked_again() -> None:
    async def scene() -> None:
        stage = set_up()
        publisher = stage.make_publisher()
        assert await publisher.publish() is await publisher.publish()
        assert [witness.asked for witness in stage.witnesses.values()] == [[3]] * 7

    play(scene)


def test_growth_is_proven_to_each_witness_from_where_it_stands() -> None:
    """VN-11.7: one that was away gets the proof from what it saw last."""

    async def scene() -> None:
        stage = set_up()
        publisher = stage.make_publisher()
        silence(stage, ["p2"])
        await publisher.publish()
        for leaf in LEAVES[3:9]:
            stage.log.append(leaf)
        await publisher.publish()
        stage.witnesses["p2"].failure = None
        stage.log.append(LEAVES[9])
        cosigned = await publisher.publish()
        assert len(cosigned.cosignatures) == 7
        assert stage.witnesses["p2"].asked[-2:] == [10, 10]

    play(scene)


@pytest.mark.parametrize("away", range(8))
def test_nothing_leaves_without_the_quorum_and_all_who_are_missing_are_named(away: int) -> None:
    """VN-11.6."""

    async def scene() -> None:
        stage = set_up()
        gone = COUNCIL.party_ids[:away]
        silence(stage, gone)
        publisher = stage.make_publisher()
        if away <= 2:
            assert len((await publisher.publish()).cosignatures) == 7 - away
            return
        with pytest.raises(WitnessQuorumError, match="cosignatures of 5 of 7 witnesses") as caught:
            await publisher.publish()
        assert all(f"witness/{party_id}: away" in str(caught.value) for party_id in gone)
        assert (publisher.newest, stage.stored) == (None, [])

    play(scene)


def test_who_waits_for_a_leaf_learns_why_nothing_proves_it() -> None:
    async def scene() -> None:
        stage = set_up()
        silence(stage, COUNCIL.party_ids[:3])
        publisher = stage.make_publisher()
        publisher.start(on_failure=lambda: None)
        with pytest.raises(
            WitnessQuorumError, match=r"leaf 2 is logged and durable.*witness/p1: away.*; retry"
        ):
            await publisher.wait_for(3, 0.2)
        stage.witnesses["p1"].failure = None
        assert (await publisher.wait_for(3, 5.0)).checkpoint.tree_size == 3
        await publisher.stop()

    play(scene)


def test_a_silent_witness_holds_up_nobody_for_longer_than_the_patience_and_the_next_time_not_at_all() -> None:
    async def scene() -> None:
        stage = set_up()
        forever = asyncio.Event()

        class Silent(RuleWitness):
            async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
                await forever.wait()
                return await RuleWitness.add_checkpoint(self, request)

        witnesses = {**stage.witnesses, "p4": Silent(council=COUNCIL, party_id="p4", clock=CLOCK)}
        stage.witnesses = witnesses
        publisher = stage.make_publisher(patience_s=0.05, deadline_s=60.0)
        assert len((await publisher.publish()).cosignatures) == 6
        stage.log.append(LEAVES[3])
        assert len((await publisher.publish()).cosignatures) == 6

    play(scene)


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", "— somebody AAAAAGFiYw==\n".encode()])
def test_a_witness_that_answers_nonsense_counts_as_missing(answer: bytes) -> None:
    async def scene() -> None:
        class Babbling(RuleWitness):
            async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
                del request
                return answer

        stage = set_up()
        stage.witnesses = {
            **stage.witnesses,
            **{name: Babbling(council=COUNCIL, party_id=name, clock=CLOCK) for name in ("p1", "p2", "p3")},
        }
        with pytest.raises(WitnessQuorumError, match="witness/p1: ") as caught:
            await stage.make_publisher().publish()
        assert "witness/p4" in str(caught.value).split("(")[0]

    play(scene)


def test_a_witness_cannot_answer_with_the_cosignature_of_another() -> None:
    async def scene() -> None:
        class Mimic(RuleWitness):
            async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
                honest = RuleWitness(council=COUNCIL, party_id="p1", clock=CLOCK)
                return await honest.add_checkpoint(request)

        stage = set_up()
        stage.witnesses = {
            **stage.witnesses, "p3": Mimic(council=COUNCIL, party_id="p3", clock=CLOCK)
        }  # fmt: skip
        cosigned = await stage.make_publisher().publish()
        assert len(cosigned.cosignatures) == 6

    play(scene)


def test_nobody_is_asked_who_is_not_of_the_treaty() -> None:
    async def scene() -> None:
        stage = set_up()
        outsider = make_council(1, 1).treaty.statement.witnesses[0].name
        publishing = publish_by({"p1": stage.witnesses["p1"]})
        alone = Publishing(witnesses={**publishing.witnesses, f"{outsider}x": stage.witnesses["p2"]})
        with pytest.raises(WitnessQuorumError):
            await stage.make_publisher(witnesses=alone.witnesses).publish()

    play(scene)


# --- rollback, restore, forks -------------------------------------------------------------------------------


def fork_of(stage: Stage, leaves: Iterable[bytes]) -> Stage:
    """Another history under the same log key, shown to the same witnesses."""
    return Stage(stage.council, Log(stage.log.origin, leaves), stage.witnesses)


def test_a_log_restored_from_an_old_backup_is_refused_by_whoever_saw_more() -> None:
    """Rollback: the witnesses remember what the log forgot."""

    async def scene() -> None:
        stage = set_up(LEAVES[:9])
        await stage.make_publisher().publish()
        restored = fork_of(stage, LEAVES[:4])
        with pytest.raises(
            WitnessQuorumError, match=r"it cosigned 9 leaves, this log has 4; restored from a backup\?"
        ):
            await restored.make_publisher().publish()
        assert restored.stored == []

    play(scene)


def test_a_fork_after_restore_from_backup_gets_no_quorum_however_long_it_grows() -> None:
    async def scene() -> None:
        stage = set_up(LEAVES[:9])
        await stage.make_publisher().publish()
        forked = fork_of(stage, [*LEAVES[:4], b"another past", *LEAVES[5:9]])
        for leaf in LEAVES[9:16]:
            with pytest.raises(WitnessQuorumError, match="got cosignatures of none"):
                await forked.make_publisher().publish()
            forked.log.append(leaf)
        assert forked.stored == []

    play(scene)


def test_another_root_of_the_same_size_gets_no_quorum() -> None:
    """Same size, different root."""

    async def scene() -> None:
        stage = set_up(LEAVES[:5])
        await stage.make_publisher().publish()
        other = fork_of(stage, [*LEAVES[:4], b"other"])
        with pytest.raises(WitnessQuorumError, match="signed two roots for size 5"):
            await other.make_publisher().publish()

    play(scene)


def test_a_restored_log_that_regrows_the_same_history_is_welcome_again() -> None:
    async def scene() -> None:
        stage = set_up(LEAVES[:9])
        await stage.make_publisher().publish()
        same = fork_of(stage, LEAVES[:12])
        assert (await same.make_publisher().publish()).checkpoint.tree_size == 12

    play(scene)


# --- split views: the arithmetic, played out ----------------------------------------------------------------


async def try_to_split(colluding: Iterable[str], first: frozenset[str]) -> tuple[bool, bool]:
    """Show one history to ``first``, another to the other honest witnesses, both to the colluding ones.

    Then try to publish both. Whoever was shown one refuses the other, unless it colludes.
    """
    stage = set_up(LEAVES[:5], colluding=colluding)
    other = fork_of(stage, [*LEAVES[:4], b"other"])
    outcomes = []
    for history, audience in ((stage, first), (other, frozenset(COUNCIL.party_ids) - first)):
        shown = {name: w for name, w in stage.witnesses.items() if name in audience or w.colludes}
        publisher = Publisher(
            history.log,
            log_key=COUNCIL.log_key,
            policy=COUNCIL.log_policy,
            publishing=publish_by(shown),
            store=history.store,
        )
        try:
            await publisher.publish()
        except WitnessQuorumError:
            outcomes.append(False)
        else:
            outcomes.append(True)
    return outcomes[0], outcomes[1]


def list_partitions(colluding: Iterable[str]) -> list[frozenset[str]]:
    honest = [party_id for party_id in COUNCIL.party_ids if party_id not in set(colluding)]
    return [frozenset(part) for size in range(len(honest) + 1) for part in combinations(honest, size)]


@pytest.mark.parametrize("colluders", range(TERMS.max_colluding + 1))
def test_up_to_f_colluding_witnesses_never_vouch_for_two_histories(colluders: int) -> None:
    """VN-3.4: however the honest ones are parted."""
    colluding = COUNCIL.party_ids[:colluders]

    async def scene() -> None:
        for first in list_partitions(colluding):
            assert await try_to_split(colluding, first) != (True, True)

    play(scene)


def test_f_plus_one_colluding_witnesses_can_vouch_for_two_histories_so_the_bound_is_tight() -> None:
    """VN-3.4: 2k - n = f + 1 = 3 of 7 with k = 5; and who compares the two then has the proof (VN-11.4)."""
    colluding = COUNCIL.party_ids[: TERMS.max_colluding + 1]

    async def scene() -> None:
        split = [
            first
            for first in list_partitions(colluding)
            if await try_to_split(colluding, first) == (True, True)
        ]
        assert split
        assert {len(first) for first in split} == {2}

    play(scene)


def test_the_log_key_itself_is_held_to_the_policy() -> None:
    """A log that signs with another key than the treaty's gets nothing published."""

    async def scene() -> None:
        stage = set_up(colluding=COUNCIL.party_ids)
        stage.council = replace(COUNCIL, log_key=make_council(1, 1).log_key)
        publisher = Publisher(
            stage.log,
            log_key=COUNCIL.device_keys[0],
            policy=COUNCIL.log_policy,
            publishing=publish_by(stage.witnesses),
            store=stage.store,
        )
        with pytest.raises(InvalidSignatureError):
            await publisher.publish()
        assert stage.stored == []

    play(scene)
