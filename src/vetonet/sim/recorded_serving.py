"""One real hour of serving, transcribed: the requests and tokens of each minute of a conversation service.

The demonstration must run without the trace, so its figures stand here, summed by minute from the first
request on. They are facts of ``AzureLLMInferenceTrace_conv.csv`` of Azure/AzurePublicDataset at b469a113
(CC BY 4.0; Patel et al. 2024, "Splitwise", arXiv 2311.18677); a test compares every one of them with the
file where that is at hand. The trace does not name its model or its machines; what is assumed of them is
below.
"""

from __future__ import annotations

from typing import Final

from vetonet.attester.models import ChipModel
from vetonet.sim.azure import ServingWorkload, TokenCount, regroup
from vetonet.units import Milliseconds, Precision

PARAMETERS: Final = 405_000_000_000
"""Assumed: the model of the recorded run (``recorded_run``) is what is served."""

NODE_CHIPS: Final = 8
"""Assumed: each node of so many chips serves the whole hour, with its weights in FP8."""

MINUTE_MS: Final = 60_000
SPAN_MS: Final = 3_501_721
"""From the first request to the last, rounded down: 58.36 minutes."""

REQUESTS: Final = (
    "191 265 329 353 307 273 268 261 322 298 301 302 345 326 283 279 280 308 343 351 351 343 408 396 "
    "386 398 432 480 476 453 448 507 438 413 423 418 465 311 329 316 333 355 319 360 334 375 330 249 "
    "221 249 265 280 256 254 242 260 246 225 37"
)
CONTEXT_TOKENS: Final = (
    "171999 251049 334068 420178 350474 326977 342302 288586 401366 400403 390501 391794 425808 "
    "398867 293796 307963 296191 306614 375618 408276 424300 417090 547866 559613 540296 567913 "
    "626806 685102 670639 644317 626002 732409 623148 428693 398175 333365 361633 281552 316826 "
    "273771 280099 288610 408543 429361 440722 437960 397770 288364 232513 259388 259059 266069 "
    "239990 243386 232602 236113 224400 224811 29764"
)
GENERATED_TOKENS: Final = (
    "44229 76816 82455 74076 89494 83790 75131 74338 78173 67692 76708 69175 80630 73410 79166 80918 "
    "77149 77023 81577 70373 81436 75101 74804 66677 66271 65542 71754 71662 59930 51447 58395 68428 "
    "58600 60945 71328 66537 67086 63800 73878 70471 73635 67845 57304 73008 63480 76116 66929 69318 "
    "60554 70071 67793 74589 60246 69175 66759 73366 68638 63599 9825"
)
"""For each of the 59 minutes, the last of which the trace leaves after 22 seconds."""


def build_minutes() -> tuple[TokenCount, ...]:
    """Return the hour by minutes, as counting the trace would."""
    columns = (map(int, row.split()) for row in (REQUESTS, CONTEXT_TOKENS, GENERATED_TOKENS))
    return tuple(
        TokenCount(requests=requests, context=context, generated=generated)
        for requests, context, generated in zip(*columns, strict=True)
    )


def build_serving(
    chip: ChipModel, *, start_ms: Milliseconds, interval_ms: Milliseconds, parameters: int = PARAMETERS
) -> ServingWorkload:
    """Return the hour served by one node from some moment on, by intervals of whole minutes.

    Raises:
        ConfigError: the node cannot serve it.
        ValueError: the interval is not made of minutes.
    """
    minutes, rest = divmod(interval_ms, MINUTE_MS)
    if rest:
        raise ValueError("the transcribed hour is known by the minute")
    return ServingWorkload(
        name="one hour of Azure's conversation service",
        chip=chip,
        chips=NODE_CHIPS,
        precision=Precision.FP8,
        parameters=parameters,
        start_ms=start_ms,
        interval_ms=interval_ms,
        counts=regroup(build_minutes(), minutes),
    )
