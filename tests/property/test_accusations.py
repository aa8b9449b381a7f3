"""Whatever is cut from or put into a bundle: nobody honest is accused, nobody greedy acquitted (VN-10.5)."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from support.bundles import YEAR_MS, Scene, make_compliant_scene, make_scene
from support.world import NOW_MS
from vetonet.compliance.result import ComplianceResult, Verdict

CHIPS, WINDOWS = 3, 3
ONE_TOO_FEW = CHIPS * WINDOWS * 10**18 - 1


@cache
def honest() -> Scene:
    return make_compliant_scene(chips=CHIPS, windows=WINDOWS)


@cache
def greedy() -> Scene:
    """Each chip computes its whole share, and together that is one operation more than the licence allows."""
    scene = make_scene(chips=CHIPS, windows=WINDOWS, total_flop=ONE_TOO_FEW)
    scene.run()
    return scene


def judge(scene: Scene, kept: list[bool], junk: bytes, cut: int, moment: int) -> ComplianceResult:
    """Judge some of the reports, with junk, on an earlier checkpoint, at another time."""
    size = max(1, scene.log.tree_size - cut)
    moments = (NOW_MS - 1, scene.windows[0][0], scene.windows[1][1], scene.judged_ms, NOW_MS + 50 * YEAR_MS)
    return scene.judge(
        now=moments[moment],
        reports=[data for data, is_kept in zip(scene.reports, kept, strict=True) if is_kept]
        + [junk] * bool(junk),
        leaves=[scene.log.leaf(index) for index in range(size)],
        checkpoint=scene.sign_head(size),
    )


mangled = given(
    kept=st.lists(st.booleans(), min_size=CHIPS * WINDOWS, max_size=CHIPS * WINDOWS)
    | st.just([True] * (CHIPS * WINDOWS)),
    junk=st.just(b"") | st.binary(max_size=64),
    cut=st.just(0) | st.integers(0, 20),
    moment=st.integers(0, 4),
)


@mangled
def test_nobody_honest_is_accused_by_what_others_do_to_a_bundle(
    kept: list[bool], junk: bytes, cut: int, moment: int
) -> None:
    assert judge(honest(), kept, junk, cut, moment).verdict is not Verdict.VIOLATION


@mangled
def test_no_part_left_out_acquits_an_operator_over_its_budget(
    kept: list[bool], junk: bytes, cut: int, moment: int
) -> None:
    assert judge(greedy(), kept, junk, cut, moment).verdict is not Verdict.COMPLIANT


def test_untouched_the_one_is_compliant_and_the_other_is_not() -> None:
    assert honest().judge().verdict is Verdict.COMPLIANT
    assert greedy().judge().verdict is Verdict.VIOLATION
