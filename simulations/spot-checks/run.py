"""Measures how often spot checks find made-up segments of a real training run: scenario -> table on disk."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from vetonet.crypto.rng import SeededRng
    from vetonet.sim.spot_checks import (
        DetectionRate,
        compute_interval,
        count_detections,
        find_refused_segments,
        measure_detection,
        measure_distances,
    )
    from vetonet.sim.training import (
        BATCH,
        STATE_BYTES,
        TOLERANCE,
        Behaviour,
        Course,
        build_partial_replay,
        build_reordered_replay,
        count_hidden_bits,
        replay_segment,
        run_training,
    )
except ImportError as missing:
    sys.exit(
        f"the study needs vetonet and NumPy: make setup, .venv/bin/pip install -e '.[sim]', then "
        f".venv/bin/python {sys.argv[0]} ({missing})"
    )

FOLDER = Path(__file__).resolve().parent
CHEATS = tuple(behaviour for behaviour in Behaviour if behaviour is not Behaviour.HONEST)


def list_courses(scenario: dict[str, Any]) -> tuple[Course, ...]:
    """Return the runs of a scenario."""
    run = scenario["run"]
    return tuple(Course(seed=seed, segments=run["segments"], steps=run["steps"]) for seed in run["seeds"])


def iter_tolerance(scenario: dict[str, Any]) -> Iterator[str]:
    """Yield what the tolerance rests on."""
    exact = others = precise = bits = 0.0
    partial = list[float]()
    for course in list_courses(scenario):
        trace = run_training(course)
        exact = max(exact, *measure_distances(trace, replay_segment))
        for seed in range(scenario["tolerance"]["orders"]):
            others = max(others, *measure_distances(trace, build_reordered_replay(seed)))
            precise = max(precise, *measure_distances(trace, build_reordered_replay(seed, is_double=True)))
        partial += measure_distances(trace, build_partial_replay(1))
        ends = list(zip(trace.states, trace.states[1:], strict=False))
        bits += sum(count_hidden_bits(start, end, TOLERANCE) for start, end in ends) / len(ends)
    closest = min(iter_made_up_distances(scenario))
    yield "| a segment computed again | largest or smallest distance, as a share of what its data changed |"
    yield "|---|---|"
    yield f"| honest, the same code on the same machine | {exact:g} |"
    yield f"| honest, the sums in another order | at most {others:.1e} |"
    yield f"| honest, in another order and in double precision | at most {precise:.1e} |"
    yield f"| tolerance | {TOLERANCE.max_parts / 1e9:.1e} |"
    yield f"| made up, the closest of all three kinds | at least {closest:.3f} |"
    unseen = sum(distance * 1e9 <= TOLERANCE.max_parts for distance in partial)
    yield f"| one row of {BATCH} left out of each batch | at least {min(partial):.1e} |"
    yield ""
    yield f"Of {len(partial)} segments with that row left out {unseen} would be tolerated."
    yield f"A segment's end could carry {bits / len(list_courses(scenario)):.0f} bits unseen, of the"
    yield f"{8 * STATE_BYTES} bits of a state."


def iter_made_up_distances(scenario: dict[str, Any]) -> Iterator[float]:
    """Yield how far made-up segments end from what computing them again gives."""
    for course in list_courses(scenario):
        for behaviour in CHEATS:
            trace = run_training(course, behaviour, range(0, course.segments, 10))
            distances = measure_distances(trace, replay_segment)
            yield from (distances[index] for index in trace.false)


def iter_rates(scenario: dict[str, Any]) -> Iterator[DetectionRate]:
    """Yield a row for each cheat, share and number of samples."""
    cheats, courses = scenario["cheats"], list_courses(scenario)
    for behaviour in CHEATS:
        for number, share in enumerate(cheats["shares"]):
            rng = SeededRng(f"{scenario['seed']} {behaviour} {share}".encode())
            yield from measure_detection(
                courses[number % len(courses)],
                behaviour,
                share,
                samples=cheats["samples"],
                draws=cheats["draws"],
                rng=rng,
            )


def spell_rate(rate: DetectionRate, rows: int) -> str:
    """Return one of the rows of the table."""
    low, high = rate.compute_interval(rows)
    told = f"| {rate.behaviour} | {rate.false / rate.segments:.2f} | {rate.samples} | {rate.rate:.4f} "
    inside = ("yes" if low <= known <= high else "no" for known in (rate.expected, rate.exact))
    known = f"| {rate.expected:.4f} | {rate.exact:.4f} | {' | '.join(inside)} |"
    return told + f"| {low:.4f} to {high:.4f} {known}"


def count_accusations(scenario: dict[str, Any]) -> tuple[int, int]:
    """Return how many draws accused an honest operator, and how many there were."""
    courses, honest = list_courses(scenario), scenario["honest"]
    accused = draws = 0
    for course in courses:
        rng = SeededRng(f"{scenario['seed']} honest {course.seed}".encode())
        refused = find_refused_segments(run_training(course), rng)
        each = honest["draws"] // len(courses)
        accused += count_detections(
            refused, segments=course.segments, samples=honest["samples"], draws=each, rng=rng
        )
        draws += each
    return accused, draws


def iter_legend(scenario: dict[str, Any], rows: int) -> Iterator[str]:
    """Yield what the columns of the table mean."""
    draws = scenario["cheats"]["draws"]
    yield f"Each of the {rows} rows is {draws:,} draws."
    yield ""
    yield "- q: the share of segments that is made up; m: how many segments a draw chooses;"
    yield "- found: the share of draws that found a made-up one; interval: where its probability lies,"
    yield "  so wide that the intervals of all rows hold together with 99 %;"
    yield "- 1 - (1 - q)^m: the formula, for samples with replacement;"
    yield "- exact: the probability without replacement, as samples are drawn here;"
    yield "- formula inside, exact inside: whether that number lies in the interval."


def iter_results(scenario: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the results."""
    yield "# Results"
    yield ""
    yield from iter_tolerance(scenario)
    yield ""
    rates = list(iter_rates(scenario))
    yield from iter_legend(scenario, len(rates))
    yield ""
    yield "| operator | q | m | found | interval | 1 - (1 - q)^m | exact | formula inside | exact inside |"
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from (spell_rate(rate, len(rates)) for rate in rates)
    accused, draws = count_accusations(scenario)
    yield ""
    yield f"Honest operators accused: {accused} of {draws} draws (99 % interval up to"
    yield f"{compute_interval(accused, draws)[1]:.5f})."


def main() -> None:
    """Write results.md beside the scenario, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", type=Path, default=FOLDER / "scenario.toml")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.md")
    arguments = parser.parse_args()
    scenario = tomllib.loads(arguments.scenario.read_text(encoding="utf-8"))
    text = "\n".join(iter_results(scenario)) + "\n"
    arguments.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
