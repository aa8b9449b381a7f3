"""Whatever is cut from or put into a bundle: nobody honest is accused, nobody greedy acquitted (VN-10.5)."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from support.bundles import YEAR_MS, Scene, make_compliant_scene, make_confidential_scene, make_scene
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


@cache
def hidden() -> Scene:
    """An honest run whose counts its operator proves without showing them."""
    scene = make_confidential_scene(chips=CHIPS, windows=WINDOWS)
    scene.run()
    scene.prove()
    return scene


def judge(scene: Scene, kept: list[bool], junk: bytes, cut: int, moment: int) -> ComplianceResult:
    """Judge some of the reports, with junk, on an earlier checkpoint, at another time."""
    size = max(1, scene.log.tree_size - cut)
    moments = (NOW_MS - 1, scene.windows[0][0], scene.windows[1][1], scene.judged_ms, NOW_MS + 50 * YEAR_MS)
    return scene.judge(
        now=moments[moment],
        reports=[data for data, is_kept in zip(scene.reports, kept, strict=True) if is_kept]
        + [junk] * bool(junk),
        earlier=[scene.sign_head(place) for place in range(2, size, 3)],
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
def test_nobody_is_accused_by_what_others_do_to_a_bundle_of_hidden_counts(
    kept: list[bool], junk: bytes, cut: int, moment: int
) -> None:
    assert judge(hidden(), kept, junk, cut, moment).verdict is not Verdict.VIOLATION


@given(
    swaps=st.lists(st.tuples(st.integers(0, CHIPS * WINDOWS - 1), st.integers(0, 2047)), max_size=4),
    kept=st.lists(st.booleans(), min_size=CHIPS * WINDOWS, max_size=CHIPS * WINDOWS),
)
def test_a_report_that_somebody_changed_names_nobody(swaps: list[tuple[int, int]], kept: list[bool]) -> None:
    """VN-10.7: a forged report is a violation, and nobody's; what it tears apart accuses nobody either."""
    scene = honest()
    reports = list(scene.reports)
    for index, offset in swaps:
        changed = bytearray(reports[index])
        changed[offset % len(changed)] ^= 1
        reports[index] = bytes(changed)
    result = scene.judge(reports=[data for data, is_kept in zip(reports, kept, strict=True) if is_kept])
    plain = [problem for claim in result.to_plain()["claims"] for problem in claim["problems"]]
    assert {problem["culprit"] for problem in plain} <= {None}
    violations = {problem["reason"] for problem in plain if problem["verdict"] == "VIOLATION"}
    assert violations <= {"report-forged"}


@given(late=st.integers(0, WINDOWS - 1), lost=st.integers(0, CHIPS * WINDOWS - 1))
def test_a_late_report_in_the_place_of_a_lost_one_accuses_nobody(late: int, lost: int) -> None:
    """VN-10.7: a chip that was cut off reports after its batch was logged, and somebody loses another."""
    scene = stragglers(late)
    reports = [data for index, data in enumerate(scene.reports) if index != lost]
    assert scene.judge(reports=reports).verdict is not Verdict.VIOLATION


@cache
def stragglers(late: int) -> Scene:
    """A run in which one chip's report came too late for the batch of its window."""
    scene = make_scene(chips=CHIPS, windows=WINDOWS)
    scene.run(publish=False)
    straggler = scene.reports[late * CHIPS]
    for start in range(0, CHIPS * WINDOWS, CHIPS):
        scene.publish([data for data in scene.reports[start : start + CHIPS] if data != straggler])
    return scene


@mangled
def test_no_part_left_out_acquits_an_operator_over_its_budget(
    kept: list[bool], junk: bytes, cut: int, moment: int
) -> None:
    assert judge(greedy(), kept, junk, cut, moment).verdict is not Verdict.COMPLIANT


def test_untouched_the_one_is_compliant_and_the_other_is_not() -> None:
    assert honest().judge().verdict is Verdict.COMPLIANT
    assert greedy().judge().verdict is Verdict.VIOLATION
