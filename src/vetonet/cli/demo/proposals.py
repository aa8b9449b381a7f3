"""What the operator of the demonstration proposes: a benchmark, a frontier run, serving, and one more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vetonet.cli.demo.private import build_specification
from vetonet.cli.demo.stage import INTERVAL_MS, OPERATOR_ID, Stage
from vetonet.compliance.bundle import DeviceSet
from vetonet.crypto.rng import SeededRng
from vetonet.policy.lease import compute_lease_flop
from vetonet.policy.proposal import Proposal
from vetonet.units import MS_PER_HOUR, MS_PER_S, Flop, Milliseconds, Precision, WorkloadClass

LLAMA_FLOP: Final = 38 * 10**24
"""Training compute of Llama 3.1 405B: 3.8e25 FLOP (Llama Team 2024, arXiv 2407.21783, section 1)."""

LLAMA_CHIPS: Final = 16_384
"""The H100s it was trained on: up to 16 thousand (the same, section 3.3.1)."""

LLAMA_DAYS: Final = 78
"""30.84 million H100-hours (model card of Llama 3.1 405B) over those chips."""

BENCHMARK_CEILING_FLOP: Final = 6 * 10**21
INTERRUPTED_CEILING_FLOP: Final = 2 * 10**21
VOTE_MS: Final = INTERVAL_MS // 3
"""How long those votes are open that have to fit between two reports."""

SERVING_CEILING_FLOP: Final = 15 * 10**20
"""Serving the recorded hour on each of 64 nodes takes 1.371e21 FLOP, which is in the licensed band."""


def describe_benchmark(
    stage: Stage,
    devices: tuple[bytes, ...],
    precision: Precision,
    *,
    starts_ms: Milliseconds,
    ends_ms: Milliseconds,
) -> Proposal:
    """Return the proposal of the benchmark run, voted on three hours before it starts."""
    return _describe(
        stage,
        "benchmark",
        opens_ms=starts_ms - 3 * MS_PER_HOUR,
        starts_ms=starts_ms,
        ends_ms=ends_ms,
        total_flop=stage.cast.scale(BENCHMARK_CEILING_FLOP),
        devices=devices,
        precision=precision,
    )


def describe_interrupted_run(
    stage: Stage, devices: tuple[bytes, ...], precision: Precision, *, starts_ms: Milliseconds
) -> Proposal:
    """Return the proposal of a run of five intervals, voted on in ten minutes before it starts."""
    return _describe(
        stage,
        "interrupted run",
        opens_ms=starts_ms - INTERVAL_MS,
        closes_ms=starts_ms - VOTE_MS,
        starts_ms=starts_ms,
        ends_ms=starts_ms + 5 * INTERVAL_MS,
        total_flop=stage.cast.scale(INTERRUPTED_CEILING_FLOP),
        devices=devices,
        precision=precision,
    )


def describe_frontier_run(stage: Stage, devices: tuple[bytes, ...]) -> Proposal:
    """Return a proposal for 16,384 chips: those on stage, and others that are only named."""
    named = SeededRng(b"llama chips")
    others = (b"\x01" + named(32) for _ in range(LLAMA_CHIPS - len(devices)))
    opens_ms = _next_second(stage)
    starts_ms = opens_ms + 2 * MS_PER_HOUR
    return _describe(
        stage,
        "frontier run",
        opens_ms=opens_ms,
        closes_ms=opens_ms + VOTE_MS,
        starts_ms=starts_ms,
        ends_ms=starts_ms + LLAMA_DAYS * 24 * MS_PER_HOUR,
        total_flop=LLAMA_FLOP,
        devices=(*devices, *others),
        precision=Precision.BF16,
    )


def describe_serving(
    stage: Stage, devices: tuple[bytes, ...], precision: Precision, *, starts_ms: Milliseconds
) -> Proposal:
    """Return the proposal to serve a model for an hour, voted on in the minutes before it starts."""
    return _describe(
        stage,
        "serving",
        opens_ms=_next_second(stage),
        closes_ms=starts_ms - VOTE_MS,
        starts_ms=starts_ms,
        ends_ms=starts_ms + MS_PER_HOUR,
        total_flop=stage.cast.scale(SERVING_CEILING_FLOP),
        devices=devices,
        precision=precision,
        workload=WorkloadClass.INFERENCE,
    )


def describe_second_run(stage: Stage, devices: tuple[bytes, ...]) -> Proposal:
    """Return a proposal like the benchmark's, at a later time."""
    opens_ms = _next_second(stage)
    return _describe(
        stage,
        "second run",
        opens_ms=opens_ms,
        closes_ms=opens_ms + VOTE_MS,
        starts_ms=opens_ms + 2 * MS_PER_HOUR,
        ends_ms=opens_ms + 10 * MS_PER_HOUR,
        total_flop=stage.cast.scale(BENCHMARK_CEILING_FLOP),
        devices=devices,
        precision=Precision.FP8,
    )


def _describe(
    stage: Stage,
    name: str,
    *,
    opens_ms: Milliseconds,
    starts_ms: Milliseconds,
    ends_ms: Milliseconds,
    total_flop: Flop,
    devices: Iterable[bytes],
    precision: Precision,
    closes_ms: Milliseconds | None = None,
    workload: WorkloadClass = WorkloadClass.TRAINING,
) -> Proposal:
    """Return a proposal, its vote open for an hour by default; the stage clock is moved to its opening."""
    device_set, rng = DeviceSet(ueids=tuple(sorted(devices))), stage.rng.spawn(name)
    stage.clock.advance_to(opens_ms)
    specification = build_specification(name, rng, stage.cast.canary)
    stage.specifications.append(specification)
    treaty, share = stage.founded.treaty, -(-total_flop // len(device_set.ueids))
    return Proposal(
        treaty_digest=treaty.payload_digest,
        epoch=treaty.statement.epoch,
        operator_id=OPERATOR_ID,
        beneficial_owner="Meridian Holdings",
        workload=workload,
        precision=precision,
        total_flop=total_flop,
        per_device_flop=share,
        lease_flop=compute_lease_flop(share, ends_ms - starts_ms, treaty.statement.lease_ms),
        device_set_root=device_set.root_hash,
        device_count=len(device_set.ueids),
        opens_ms=opens_ms,
        closes_ms=opens_ms + MS_PER_HOUR if closes_ms is None else closes_ms,
        starts_ms=starts_ms,
        ends_ms=ends_ms,
        specification_digest=specification.root,
        lineage=(),
        serial=rng(16),
    )


def _next_second(stage: Stage) -> Milliseconds:
    return (stage.clock.now // MS_PER_S + 1) * MS_PER_S
