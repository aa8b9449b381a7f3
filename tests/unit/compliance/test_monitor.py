"""What a monitor reports, whom it convicts, and what it does not believe (VN-11.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from support.bundles import Scene, enrol, make_compliant_scene, make_scene
from support.tiles import TileSource
from support.world import NOW_MS, Council, make_council
from vetonet.attestation.enrolment import DeviceRetirement, RetirementReason
from vetonet.compliance.monitor import MAX_PENDING, Monitor, give_no_tiles
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign_jointly
from vetonet.errors import (
    ConfigError,
    InvalidSignatureError,
    ProofError,
    RefusedError,
    VerificationError,
    WitnessQuorumError,
)
from vetonet.tlog.checkpoint import sign_checkpoint
from vetonet.tlog.fork import ForkEvidence, LogForkedError, verify_fork
from vetonet.tlog.log import Log
from vetonet.tlog.tiles import MissingTileError
from vetonet.tlog.tree_edge import TreeEdge
from vetonet.units import MS_PER_HOUR

COUNCIL = make_council(7, 5)
TREATY = COUNCIL.treaty
ORIGIN = TREATY.statement.log_origin


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A log as somebody is shown it: its checkpoint and its tiles."""

    log: Log
    checkpoint: bytes
    fetch: TileSource

    @classmethod
    def of(cls, log: Log, council: Council = COUNCIL, size: int | None = None, **signed: Any) -> Shown:
        tree_size = log.tree_size if size is None else size
        growth = TreeEdge().extend([log.leaf(index) for index in range(tree_size)])
        head = council.sign_head(log, tree_size, **signed)
        return cls(log, head, TileSource(dict(growth.files)))


def show(names: Sequence[str], **signed: Any) -> Shown:
    """The treaty's log with these leaves after the treaty; they break the rules, which is noted."""
    return Shown.of(Log(ORIGIN, [TREATY.data, *(name.encode() for name in names)]), **signed)


def follow(*views: Shown, monitor: Monitor | None = None) -> Monitor:
    """A monitor that was shown these, one after the other."""
    found = monitor or Monitor(TREATY)
    for view in views:
        found.advance(view.checkpoint, view.fetch)
    return found


def observe(scene: Scene) -> list[str]:
    """What a monitor says of a scene's log."""
    view = Shown.of(scene.log, scene.council)
    problems = Monitor(scene.council.treaty).advance(view.checkpoint, view.fetch)
    assert {problem.reason for problem in problems} <= {"inconsistent-record"}
    return [problem.detail for problem in problems]


# --- the rules of leaves ------------------------------------------------------------------------------------


def test_an_honest_log_has_no_problems_however_it_is_read() -> None:
    scene = make_compliant_scene()
    monitor = Monitor(scene.council.treaty)
    for size in range(1, scene.log.tree_size + 1):
        view = Shown.of(scene.log, scene.council, size)
        assert monitor.advance(view.checkpoint, view.fetch) == ()
        assert monitor.read_size == size
    assert monitor.record.licence_leaves
    assert monitor.record.batches


def test_a_licence_without_its_ballots_is_noted_with_its_leaf() -> None:
    """VN-7.6: even the quorum's own signature does not stand for ballots that are not in the log."""
    scene = make_scene()
    council = scene.council
    proposal = council.sign_proposal(starts_ms=NOW_MS + 3 * MS_PER_HOUR)
    place = scene.log.append(proposal.data)
    ballots = {party: council.sign_ballot(party, proposal) for party in council.party_ids[:2]}
    leaf = scene.log.append(council.sign_licence(proposal, ballots, proposal_leaf_index=place).data)
    (problem,) = observe(scene)
    assert problem.startswith(f"leaf {leaf}: ")


def test_a_second_licence_of_one_proposal_is_noted() -> None:
    scene = make_scene()
    ballots = {
        party: scene.council.sign_ballot(party, scene.proposal) for party in scene.council.party_ids[:2]
    }
    second = scene.council.sign_licence(scene.proposal, ballots, proposal_leaf_index=5)
    leaf = scene.log.append(second.data)
    (problem,) = observe(scene)
    assert problem.startswith(f"leaf {leaf}: ")


def test_a_retired_chip_that_is_enrolled_again_is_noted() -> None:
    scene = make_scene()
    chip = scene.chips[0]
    retirement = DeviceRetirement(
        ueid=chip.ueid, endorser_id="maker", owner="op1", reason=RetirementReason.LOST
    )
    scene.log.append(
        sign_jointly(retirement, [scene.council.endorser_root, scene.council.operator_keys["op1"]])
    )
    leaf = scene.log.tree_size
    enrol(scene.council, replace(chip, owner="op2"), scene.log)
    problems = observe(scene)
    assert problems[0].startswith(f"leaf {leaf}: ")
    assert "retired" in problems[0]


def test_a_problem_is_told_once_and_kept() -> None:
    view, longer = show(["a"]), show(["a", "b"])
    monitor = Monitor(TREATY)
    assert len(monitor.advance(view.checkpoint, view.fetch)) == 1
    assert monitor.advance(view.checkpoint, view.fetch) == ()
    assert len(monitor.advance(longer.checkpoint, longer.fetch)) == 1
    assert len(monitor.record.problems) == 2


def test_a_log_of_another_treaty_is_refused() -> None:
    log = Log(ORIGIN, [make_council(7, 5, name="Another Treaty").treaty.data])
    with pytest.raises(VerificationError, match="leaf 0"):
        follow(Shown.of(log))


# --- two histories ------------------------------------------------------------------------------------------


def convict(error: LogForkedError, monitor: Monitor, sizes: tuple[int, int]) -> None:
    """The evidence holds when only its bytes and the treaty are left."""
    fork = verify_fork(ForkEvidence.from_bytes(error.evidence.to_bytes()), monitor.policy)
    assert (fork.first.tree_size, fork.second.tree_size) == sizes
    assert fork.culprits[0] == ORIGIN


@pytest.mark.parametrize("known", range(2, 6))
@pytest.mark.parametrize("other", range(2, 6))
def test_a_log_that_rewrites_its_past_is_convicted_whichever_view_is_longer(known: int, other: int) -> None:
    """VN-11.4: the first leaf after the treaty differs, so every two sizes above 1 contradict each other."""
    monitor = follow(show(list("abcd"[: known - 1])))
    view = show(list("xbcd"[: other - 1]))
    with pytest.raises(LogForkedError) as caught:
        monitor.confront("p2", view.checkpoint, view.fetch, show(list("abcd"[: known - 1])).fetch)
    convict(caught.value, monitor, (min(known, other), max(known, other)))


def test_a_fork_after_a_restore_from_backup_is_convicted() -> None:
    """The log loses leaves that were published, and goes on from there with others."""
    monitor = follow(show(list("abcd")))
    view = show(list("abxyz"))
    with pytest.raises(LogForkedError) as caught:
        follow(view, monitor=monitor)
    convict(caught.value, monitor, (5, 6))


def test_a_view_without_tiles_waits_until_the_log_gets_there() -> None:
    """A party passes on nothing but the checkpoint that it was shown."""
    monitor, view = follow(show(["a"])), show(list("axc"))
    monitor.confront("p2", view.checkpoint, give_no_tiles, show(["a"]).fetch)
    assert dict(monitor.pending) == {"p2": (view.checkpoint,)}
    follow(show(["a", "b"]), monitor=monitor)
    assert monitor.pending
    with pytest.raises(LogForkedError) as caught:
        follow(show(list("abcd")), monitor=monitor)
    convict(caught.value, monitor, (4, 5))


def test_a_view_that_is_ahead_and_honest_is_settled() -> None:
    monitor, view = follow(show(["a"])), show(list("abc"))
    monitor.confront("p2", view.checkpoint, give_no_tiles, show(["a"]).fetch)
    follow(show(list("abcd")), monitor=monitor)
    assert not monitor.pending


def test_a_view_that_stays_ahead_of_the_log_cannot_put_its_comparison_off() -> None:
    """Each poll shows a still newer checkpoint; the smallest of them are those that wait."""
    monitor, known = follow(show(["a"])), show(["a"])
    lies = [show(list("axcdefgh"[:size])) for size in (3, 5, 7)]
    for lie in lies:
        monitor.confront("p2", lie.checkpoint, give_no_tiles, known.fetch)
    with pytest.raises(LogForkedError):
        follow(show(list("abc")), monitor=monitor)


def test_huge_checkpoints_do_not_crowd_a_fork_out() -> None:
    """The log signs what it likes for a peer in league with it: sizes that it never gets to."""
    monitor, known = follow(show(["a"])), show(["a"])
    for size in range(2 * MAX_PENDING, 0, -1):
        huge = replace(known.log.checkpoint(), tree_size=2**40 + size)
        monitor.confront("p2", sign_checkpoint(huge, COUNCIL.log_key).to_bytes(), give_no_tiles, known.fetch)
    assert len(monitor.pending["p2"]) == MAX_PENDING
    monitor.confront("p2", show(["a", "x"]).checkpoint, give_no_tiles, known.fetch)
    with pytest.raises(LogForkedError):
        follow(show(list("abc")), monitor=monitor)


def test_two_views_that_wait_convict_the_log_if_they_are_of_one_size() -> None:
    monitor, known = follow(show(["a"])), show(["a"])
    monitor.confront("p2", show(["a", "x"]).checkpoint, give_no_tiles, known.fetch)
    with pytest.raises(LogForkedError) as caught:
        monitor.confront("p3", show(["a", "y"]).checkpoint, give_no_tiles, known.fetch)
    convict(caught.value, monitor, (3, 3))


def test_a_restarted_monitor_still_compares_what_waited() -> None:
    known = show(["a"])
    before = follow(known)
    before.confront("p2", show(["a", "x"]).checkpoint, give_no_tiles, known.fetch)
    waiting = [(source, view) for source, views in before.pending.items() for view in views]
    with pytest.raises(LogForkedError):
        follow(show(list("abc")), monitor=Monitor(TREATY, remembered=known.checkpoint, pending=waiting))


def test_a_second_history_convicts_the_log_even_if_no_witness_saw_it() -> None:
    monitor, view = follow(show(["a"])), show(["b"], witness_ids=())
    with pytest.raises(LogForkedError) as caught:
        follow(view, monitor=monitor)
    convict(caught.value, monitor, (2, 2))


def test_a_restarted_monitor_holds_the_log_to_what_it_believed() -> None:
    before = follow(show(list("abcd")))
    assert before.known is not None
    again = Monitor(TREATY, remembered=before.known.data)
    assert again.read_size == 0
    with pytest.raises(LogForkedError):
        follow(show(list("abxde")), monitor=again)
    with pytest.raises(RefusedError, match="shrank from 5 leaves to 3"):
        follow(show(list("ab")), monitor=Monitor(TREATY, remembered=before.known.data))
    fresh = follow(show(list("abcde")), monitor=Monitor(TREATY, remembered=before.known.data))
    assert fresh.read_size == 6


def test_a_checkpoint_that_is_stale_is_refused_and_changes_nothing() -> None:
    view = show(list("abcd"))
    monitor = follow(view)
    older = Shown(view.log, COUNCIL.sign_head(view.log, 3), view.fetch)
    with pytest.raises(RefusedError, match="shrank"):
        follow(older, monitor=monitor)
    assert follow(view, monitor=monitor).read_size == 5


def test_what_anybody_makes_up_accuses_nobody() -> None:
    monitor = follow(show(["a"]))
    forged = sign_checkpoint(show(["b"]).log.checkpoint(), generate_ed25519(SeededRng(b"forger"))).to_bytes()
    with pytest.raises(InvalidSignatureError):
        monitor.confront("p2", forged, give_no_tiles, show(["a"]).fetch)
    assert not monitor.pending


# --- what it does not believe -------------------------------------------------------------------------------


@pytest.mark.parametrize("quorum", [None, 5, 6, 7])
def test_a_monitor_demands_the_quorum_of_the_chips_or_more(quorum: int | None) -> None:
    wanted = quorum or TREATY.statement.witness_quorum
    monitor = Monitor(TREATY, quorum=quorum)
    ids = COUNCIL.party_ids
    with pytest.raises(WitnessQuorumError, match=f"{wanted} of 7"):
        follow(show(["a"], witness_ids=ids[: wanted - 1]), monitor=monitor)
    assert monitor.known is None
    follow(show(["a"], witness_ids=ids[:wanted]), monitor=monitor)
    assert monitor.read_size == 2


@pytest.mark.parametrize("quorum", [0, 1, 4, 8])
def test_a_monitor_that_would_ask_for_less_than_the_chips_is_refused(quorum: int) -> None:
    """VN-11.8."""
    with pytest.raises(ConfigError, match="quorum of 5 to 7"):
        Monitor(TREATY, quorum=quorum)


def test_leaves_that_are_not_the_signed_ones_are_not_read() -> None:
    view, other = show(list("abc")), show(list("abx"))
    monitor = Monitor(TREATY)
    with pytest.raises(ProofError):
        monitor.advance(view.checkpoint, other.fetch)
    assert monitor.read_size == 0


def test_a_log_that_withholds_leaves_is_bound_by_what_it_signed() -> None:
    view, monitor = show(list("abc")), Monitor(TREATY)
    withheld = TileSource({path: data for path, data in view.fetch.files.items() if "entries" not in path})
    with pytest.raises(MissingTileError):
        monitor.advance(view.checkpoint, withheld)
    with pytest.raises(LogForkedError):
        follow(show(list("abxd")), monitor=monitor)
    assert follow(show(list("abcd")), monitor=monitor).read_size == 5


def test_tiles_that_lie_about_the_past_convict_nobody() -> None:
    """The path does not lead to the signed root, so the server of the tiles lied, which is no proof."""
    monitor, view = follow(show(list("abc"))), show(list("abcd"))
    with pytest.raises(ProofError):
        monitor.advance(view.checkpoint, show(list("xbcd")).fetch)
    follow(view, monitor=monitor)
