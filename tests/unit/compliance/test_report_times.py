"""The log as the clock: every report's time, bounded by checkpoints alone (VN-11.9)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from support.bundles import Scene, make_scene
from support.world import make_council
from vetonet.attestation.report import ComputeReport
from vetonet.crypto.statement import read_unverified
from vetonet.tlog.checkpoint import SignedCheckpoint, sign_checkpoint
from vetonet.tlog.clock import TimeBounds, WitnessClock, bound_report
from vetonet.tlog.policy import CosignedCheckpoint, verify_cosigned
from vetonet.units import MS_PER_HOUR, MS_PER_S

COUNCIL = make_council(7, 5)
COLLUDING = COUNCIL.treaty.statement.max_colluding
CLOCK = WitnessClock.under(COUNCIL.log_policy, max_colluding=COLLUDING)
HOUR_S = MS_PER_HOUR // MS_PER_S
WINDOWS = 4


@dataclass(slots=True)
class Story:
    """A run whose log is cosigned at the end of each interval; some witnesses write one time, always.

    Attributes:
        published: every checkpoint.
        reports: each with the index of the leaf that covers it.
    """

    scene: Scene
    liars: int
    lie_s: int
    published: list[CosignedCheckpoint] = field(default_factory=list)
    reports: list[tuple[ComputeReport, int]] = field(default_factory=list)

    def play(self) -> None:
        """From the first interval to the last."""
        windows = self.scene.windows
        self.cosign(windows[0][0] // MS_PER_S - HOUR_S, size=self.scene.log.tree_size - 1)
        self.cosign(windows[0][0] // MS_PER_S)
        for window in windows:
            self.scene.windows, self.scene.reports = (window,), []
            self.scene.run()
            leaf_index = self.scene.log.tree_size - 1
            opened = [read_unverified(data, ComputeReport) for data in self.scene.reports]
            self.reports += [(report, leaf_index) for report in opened]
            self.cosign(window[1] // MS_PER_S)

    def cosign(self, time_s: int, *, size: int | None = None) -> None:
        """Publish the log as it is, or as it was."""
        ids, honest = COUNCIL.party_ids, COUNCIL.party_ids[: len(COUNCIL.party_ids) - self.liars]
        signed = sign_checkpoint(self.scene.log.checkpoint(size), COUNCIL.log_key)
        data = COUNCIL.cosign(signed, honest, timestamp_s=time_s)
        data = COUNCIL.cosign(SignedCheckpoint.from_bytes(data), ids[len(honest) :], timestamp_s=self.lie_s)
        self.published.append(verify_cosigned(data, COUNCIL.log_policy))

    def bound_all(self) -> list[TimeBounds]:
        """The bounds of every report."""
        return [
            bound_report(report.nonces[1], leaf_index, self.published, CLOCK)
            for report, leaf_index in self.reports
        ]


def tell(*, liars: int = 0, lie_s: int = 1) -> Story:
    story = Story(make_scene(chips=2, windows=WINDOWS, council=make_council(7, 5)), liars, lie_s)
    story.play()
    return story


@pytest.mark.parametrize("lie_s", [1, 2**33])
@pytest.mark.parametrize("liars", range(COLLUDING + 1))
def test_every_report_is_bounded_from_below_and_above_by_checkpoints_alone(liars: int, lie_s: int) -> None:
    """With up to f witnesses that write a time of their choice: long ago, or long after."""
    story = tell(liars=liars, lie_s=lie_s)
    assert len(story.reports) == 2 * WINDOWS
    for (report, _), bounds in zip(story.reports, story.bound_all(), strict=True):
        start_s, end_s = report.window_start_ms // MS_PER_S, report.window_end_ms // MS_PER_S
        # Its checkpoint appeared after the one before, at most one interval earlier; its leaf at its end.
        assert start_s - HOUR_S <= bounds.earliest_s <= start_s
        assert bounds.latest_s == end_s


def test_with_one_liar_more_the_upper_bound_is_wrong() -> None:
    """The arithmetic of f is tight for the clock, too."""
    story = tell(liars=COLLUDING + 1)
    assert {bounds.latest_s for bounds in story.bound_all()} == {story.lie_s}
