"""``vetonet plan-inspections``: how many chips to inspect a year to catch a large undeclared run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, format_flop, json_option, print_json, print_line, print_table
from vetonet.cli.parameters import COUNT, DECIMAL, FLOP
from vetonet.errors import INSTALL_SIM
from vetonet.policy.inspection_plan import DAYS_PER_YEAR

if TYPE_CHECKING:
    from vetonet.policy.inspection_plan import InspectionPlan
    from vetonet.sim.inspections import TrialResult

SOURCE: Final = "Equation 1 of Shavit, arXiv 2303.11341, section 3.2"
ASSUMED: Final = (
    "every chip is known and can be inspected: the run uses none that nobody registered",
    "chips are drawn at random from all of them, evenly over the windows, and nobody knows which beforehand",
    "no chip computes more than A; a run that keeps its chips less busy needs more, and is easier to catch",
    "chips save a hash of their weights F times a day at random times, and nobody prevents or alters that",
    "a snapshot of undeclared work is told from every snapshot of declared work",
)
EXAMPLE: Final = (
    "vetonet plan-inspections --run-flop 9.9e24 --chips 1e5 --peak-flop-per-day 8.64e19 --horizon-days 365"
    " --window-days 30 --snapshot-rate 0.1 --detection 0.9"
)


@click.command(epilog=examples(EXAMPLE, f"{EXAMPLE} --simulate 10000 --seed 1"))
@click.option("--run-flop", "run_flop", type=FLOP, required=True, metavar="H", help="A run of 2H is caught.")
@click.option("--chips", type=COUNT, required=True, metavar="C", help="All chips to draw from.")
@click.option(
    "--peak-flop-per-day",
    "peak_flop_per_day",
    type=FLOP,
    required=True,
    metavar="A",
    help="The most that one chip computes in a day, in FLOP.",
)
@click.option(
    "--horizon-days",
    "horizon_days",
    type=DECIMAL,
    required=True,
    metavar="T",
    help="Within how many days its second H is trained.",
)
@click.option(
    "--window-days",
    "window_days",
    type=DECIMAL,
    required=True,
    metavar="TM",
    help="From inspection to inspection.",
)
@click.option(
    "--snapshot-rate",
    "snapshot_rate",
    type=DECIMAL,
    required=True,
    metavar="F",
    help="How often a chip saves its weights a day, on average, at random times.",
)
@click.option(
    "--detection", type=DECIMAL, required=True, metavar="P", help="With which probability, such as 0.9."
)
@click.option("--simulate", type=COUNT, metavar="N", help="Also draw N such inspections at random.")
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of --simulate."
)
@json_option
def plan_inspections(
    *,
    run_flop: int,
    chips: int,
    peak_flop_per_day: int,
    horizon_days: Fraction,
    window_days: Fraction,
    snapshot_rate: Fraction,
    detection: Fraction,
    simulate: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Count the chips to inspect a year to catch an undeclared run of 2H or more.

    With --json it prints {"samples_per_year": N}; N is null where no number of inspections is enough: the
    chips cannot compute H within T at all, or never save their weights.
    """
    from vetonet.policy.inspection_plan import InspectionPlan, compute_samples_per_year

    try:
        plan = InspectionPlan(
            run_flop=run_flop,
            chips=chips,
            peak_flop_per_day=peak_flop_per_day,
            horizon_days=horizon_days,
            window_days=window_days,
            snapshots_per_day=snapshot_rate,
            detection=detection,
        )
    except ValueError as error:
        raise Failure(_name_option(str(error))) from error
    samples = compute_samples_per_year(plan)
    result = None if simulate is None or samples is None else _simulate(plan, samples, simulate, seed)
    if as_json:
        print_json({"samples_per_year": samples, **({} if result is None else _describe(result))})
    else:
        _print(plan, samples, result, seed)


def _name_option(message: str) -> str:
    """Return what is wrong with a figure of the plan, under the name of the option that gave it."""
    name, _, expected = message.partition(": ")
    option = "snapshot-rate" if name == "snapshots_per_day" else name.replace("_", "-")
    return f"--{option}: {expected}"


def _simulate(plan: InspectionPlan, samples: int, trials: int, seed: int) -> TrialResult:
    try:
        from vetonet.sim.inspections import InspectionTrial, compute_samples, simulate_inspections
    except ImportError as error:
        raise Failure(f"--simulate needs more than is installed: {INSTALL_SIM}", reason="config") from error
    try:
        trial = InspectionTrial(plan=plan, samples=compute_samples(plan, samples))
        return simulate_inspections(trial, trials=trials, seed=seed)
    except ValueError as error:
        raise Failure(f"--simulate: {error}") from error


def _describe(result: TrialResult) -> dict[str, Any]:
    return {
        "simulated": {
            "trials": result.trials,
            "detections": result.detections,
            "detection_interval_99": list(result.detection_interval),
            "false_accusations": result.false_accusations,
            "false_accusation_interval_99": list(result.false_accusation_interval),
        }
    }


def _print(plan: InspectionPlan, samples: int | None, result: TrialResult | None, seed: int) -> None:
    for line in _iter_answer(plan, samples):
        print_line(line)
    print_line()
    rows = list(_iter_parameters(plan))
    print_table(("symbol", "value", "meaning"), rows, right=("value",))
    if samples is not None:
        _print_list("What is promised:", _iter_promise(plan))
    _print_list("What is assumed:", ASSUMED)
    print_line()
    print_line(f"Formula: ceil(365/T log(1-P) / log(1 - H/(A T C) (1 - exp(-F TM)))), {SOURCE}")
    if result is not None:
        title = (
            f"Simulated {result.trials:,} times with seed {seed}, H incriminating FLOP spread evenly over T:"
        )
        _print_list(title, _iter_simulated(plan, result))


def _print_list(title: str, lines: Iterable[str]) -> None:
    print_line()
    print_line(title)
    for line in lines:
        print_line(f"  {line}")


def _iter_answer(plan: InspectionPlan, samples: int | None) -> Iterator[str]:
    if samples is None:
        yield f"No plan exists: {_say_why_not(plan)}"
        return
    in_window = samples * plan.window_days / DAYS_PER_YEAR
    yield f"{samples:,} samples a year: so many chips are inspected, some {ceil(in_window):,} in each window"
    if in_window > plan.chips:
        yield "That is more than there are: inspect every chip in every window, nobody can do more"


def _say_why_not(plan: InspectionPlan) -> str:
    if plan.is_possible:
        return "these chips never save their weights, so an inspection shows nothing"
    return f"{plan.chips:,} chips cannot compute H within T; at their peak they need {_spell(plan.share)} T"


def _iter_parameters(plan: InspectionPlan) -> Iterator[tuple[str, str, str]]:
    yield "H", format_flop(plan.run_flop), "FLOP; half of the smallest run that is caught as promised"
    yield "C", f"{plan.chips:,}", "chips from which the inspectors draw"
    yield "A", format_flop(plan.peak_flop_per_day), "FLOP that one chip computes in a day at most"
    yield "T", _spell(plan.horizon_days), "days within which the second H is trained"
    yield "TM", _spell(plan.window_days), "days from one inspection to the next"
    yield "F", _spell(plan.snapshots_per_day), "times a day that a chip saves its weights on average"
    yield "P", _spell(plan.detection), "least probability with which the run is caught"
    yield "H/(A T C)", _spell(plan.share), "part of all chips that H keeps busy for the whole of T"


def _iter_promise(plan: InspectionPlan) -> Iterator[str]:
    twice = format_flop(2 * plan.run_flop)
    yield f"Whoever trains 2H = {twice} FLOP or more without declaring it, the second H within T, is caught"
    yield f"with a probability of at least {_spell(plan.detection)}."
    yield "Only what comes after the first H incriminates; a run of between H and 2H is caught less surely."
    yield "One that lasts longer than T, on fewer chips, is caught a little less surely; one that moves over"
    yield "more chips is not (appendix C of the paper)."


def _iter_simulated(plan: InspectionPlan, result: TrialResult) -> Iterator[str]:
    low, high = result.detection_interval
    _, most = result.false_accusation_interval
    yield f"caught {result.detections:,} times: a probability of {low:.4f} to {high:.4f} (99 % confidence);"
    yield f"{_spell(plan.detection)} was asked for"
    yield f"accused {result.false_accusations:,} times where everything was declared (at most {most:.4f}):"
    yield "never, by construction, as long as every snapshot of declared work is recognised as such"


def _spell(value: Fraction) -> str:
    """Return a number to six digits, for people."""
    return f"{float(value):.6g}"
