"""The coordinator and what parties move: votes beside those on runs, and resolutions in the log (VN-5.6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.coordination import CLOSE_MS, ManualClock, identify, name_of, run_coordinator
from support.signers import commit, submit
from support.world import Council, make_council
from vetonet.crypto.statement import Signed, sign, sign_jointly
from vetonet.errors import ConfigError, RefusedError, UnknownPartyError
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, Threshold
from vetonet.policy.motion import Motion
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.treaty import open_treaty
from vetonet.service.bulletin import Changed
from vetonet.service.coordinator import Coordinator
from vetonet.storage.memory import MemoryJournal
from vetonet.tlog.proof import verify_log_proof
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.voting.state import NameCulprits, Phase, Voting
from vetonet.wire.errors import NotFoundError, WrongIdentityError
from vetonet.wire.identity import Role

PATCH = ActionClass.SECURITY_PATCH
ROSTER = ("p1", "p2", "p3")
MANY = Threshold(min_grants=2, electorate=ROSTER, weights=(), minority=False)
KEY = Threshold(min_grants=1, electorate=("p3",), weights=(), minority=False)


def found() -> Council:
    """Return a council of three whose patches take two of them and the key of the third."""
    quorum = replace(Quorum.of_threshold(2, ROSTER), expression=AllOf(parts=(MANY, KEY)))
    return make_council(3, 2, quorums={PATCH: quorum})


async def move(
    coordinator: Coordinator,
    council: Council,
    *granting: str,
    action: ActionClass = PATCH,
    subject_digest: bytes = bytes(32),
) -> Signed[Motion]:
    motion = council.move("p1", action, subject_digest=subject_digest)
    await coordinator.create_proposal(motion.data, request_id="move", caller=identify(Role.PARTY, "p1"))
    for party_id in granting:
        ballot = council.sign_ballot(party_id, motion, Choice.GRANT)
        await coordinator.cast_ballot(
            motion.payload_digest[:16],
            ballot.data,
            request_id=party_id,
            caller=identify(Role.PARTY, party_id),
        )
    return motion


def find(coordinator: Coordinator, motion: Signed[Motion]) -> Voting:
    return coordinator.view.find_vote(motion.payload_digest[:16])


def test_a_resolution_is_logged_with_its_proof_and_survives_a_restart() -> None:
    council, clock, journal = found(), ManualClock(), MemoryJournal()

    async def main() -> None:
        async with run_coordinator(council, journal, clock) as first:
            motion = await move(first, council, "p1", "p2", "p3")
            clock.now = CLOSE_MS
            await first.tick()
            vote = await commit(first, council, find(first, motion), "p2", "p3")
            for party_id in ("p2", "p3"):
                await submit(first, council, party_id, vote)
            resolution, proof = await first.get_licence(motion.payload_digest[:16])
            verify_log_proof(resolution.data, proof, council.log_policy)
            assert len(resolution.signers) == 2
            leaves = first.view.list_leaves(1, limit=99, max_bytes=10**7)
        ledger = read_leaves(Ledger(treaty=council.treaty), enumerate(leaves, start=1))
        assert ledger.find(motion.payload_digest).resolution == resolution
        assert ledger.licensed == {}
        async with run_coordinator(council, journal, clock) as second:
            assert find(second, motion).resolution == resolution

    asyncio.run(main())


def test_without_the_key_of_its_holder_a_motion_expires() -> None:
    # VN-4.2
    council, clock = found(), ManualClock()

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            motion = await move(coordinator, council, "p1", "p2")
            clock.now = CLOSE_MS
            await coordinator.tick()
            assert find(coordinator, motion).phase is Phase.EXPIRED
            with pytest.raises(NotFoundError, match="expired"):
                await coordinator.get_licence(motion.payload_digest[:16])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("role", "name"), [(Role.PARTY, "p2"), (Role.OPERATOR, "p1"), (Role.OPERATOR, "op1")]
)
def test_only_its_mover_hands_in_a_motion(role: Role, name: str) -> None:
    # VN-5.6
    council = found()

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), ManualClock()) as coordinator:
            motion = council.move("p1", PATCH)
            with pytest.raises(WrongIdentityError):
                await coordinator.create_proposal(motion.data, request_id="x", caller=identify(role, name))
            assert coordinator.view.tree_size == 1

    asyncio.run(main())


def test_a_motion_that_cannot_be_decided_or_is_signed_for_another_leaves_nothing() -> None:
    # VN-4.6, VN-5.6
    council = found()
    motion = council.move("p1", PATCH).statement
    undecidable = sign(replace(motion, action=ActionClass.AMEND_RULES), council.party_keys["p1"])
    borrowed = sign(motion, council.party_keys["p2"])

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), ManualClock()) as coordinator:
            for data, clause in ((undecidable, "VN-4.6"), (borrowed, "VN-5.6")):
                with pytest.raises(RefusedError) as caught:
                    await coordinator.create_proposal(data, request_id="x", caller=None)
                assert caught.value.clause == clause
            assert coordinator.view.tree_size == 1

    asyncio.run(main())


def test_a_run_and_a_motion_are_voted_on_beside_each_other() -> None:
    # VN-6.2
    council, clock = found(), ManualClock()

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            motion = await move(coordinator, council, "p1")
            run = council.sign_proposal()
            await coordinator.create_proposal(run.data, request_id="run", caller=None)
            on_run = council.sign_ballot("p2", run)
            with pytest.raises(RefusedError, match="a ballot on proposal"):
                await coordinator.cast_ballot(
                    motion.payload_digest[:16], on_run.data, request_id="y", caller=None
                )
            await coordinator.cast_ballot(name_of(run), on_run.data, request_id="z", caller=None)
            assert set(find(coordinator, motion).choices) == {"p1"}

    asyncio.run(main())


def test_a_journal_under_other_rules_is_refused() -> None:
    # VN-3.1: the same parties with another quorum for patches are another treaty.
    journal = MemoryJournal()

    async def main() -> None:
        async with run_coordinator(found(), journal, ManualClock()):
            pass
        with pytest.raises(ConfigError, match="another treaty"):
            async with run_coordinator(make_council(3, 2), journal, ManualClock()):
                pass

    asyncio.run(main())


def test_nobody_is_named_to_the_watchers_of_another_treaty() -> None:
    # VN-16.8
    amend = ActionClass.AMEND_RULES
    council, clock = make_council(3, 2, quorums={amend: Quorum.of_threshold(2, ROSTER)}), ManualClock()
    draft = replace(council.treaty.statement, epoch=2, name="Amended Treaty")
    successor = open_treaty(sign_jointly(draft, tuple(council.party_keys.values())))

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), clock) as coordinator:
            subject = successor.payload_digest
            motion = await move(coordinator, council, "p1", "p2", action=amend, subject_digest=subject)
            clock.now = CLOSE_MS
            await coordinator.tick()
            vote = await commit(coordinator, council, find(coordinator, motion), "p1", "p2")
            for party_id in ("p1", "p2"):
                await submit(coordinator, council, party_id, vote)
            await coordinator.get_licence(motion.payload_digest[:16])
            coordinator.bulletin.post(vote.digest, NameCulprits(party_ids=("p3",), reason="silent"))
            await coordinator.amend_treaty(
                successor.data, request_id="amend", caller=identify(Role.PARTY, "p1")
            )
            assert coordinator.treaty.payload_digest == subject
            assert [notice.news for notice in coordinator.bulletin.list_after(0)] == [Changed()]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("role", "name", "error"),
    [
        (Role.PARTY, "p9", UnknownPartyError),
        (Role.OPERATOR, "op1", WrongIdentityError),
        (Role.OPERATOR, "p1", WrongIdentityError),
    ],
)
def test_nobody_but_a_party_hands_in_a_successor(role: Role, name: str, error: type[Exception]) -> None:
    # VN-13.1, VN-16
    council = found()

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), ManualClock()) as coordinator:
            with pytest.raises(error):
                await coordinator.amend_treaty(
                    council.treaty.data, request_id="x", caller=identify(role, name)
                )
            assert coordinator.view.tree_size == 1

    asyncio.run(main())


def test_a_party_of_the_present_or_of_the_next_treaty_may_hand_in_a_successor() -> None:
    # VN-16: both get as far as the question whether anybody decided it.
    council, larger = found(), make_council(4, 2)

    async def main() -> None:
        async with run_coordinator(council, MemoryJournal(), ManualClock()) as coordinator:
            for name in ("p1", "p4"):
                caller = identify(Role.PARTY, name)
                with pytest.raises(RefusedError):
                    await coordinator.amend_treaty(larger.treaty.data, request_id=name, caller=caller)

    asyncio.run(main())
