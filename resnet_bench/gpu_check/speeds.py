"""Milliseconds of a step of all networks together, by precision, lanes and batch norm."""

import statistics
import time
from typing import Any

import torch

from resnet_bench.benchmarks.roofline import floor_seconds, measure_ceilings, work_of
from resnet_bench.benchmarks.yardsticks import Lockstep
from resnet_bench.gpu.norms import Norm
from resnet_bench.gpu_check.site import Site
from resnet_bench.suites.recipe import Precision
from resnet_bench.suites.suite import load_suite

BLOCKS, STEPS = 3, 20
LANES = (1, 3, 6, 9)
# Of a sweep's training time: evaluation, records and checkpoints.
RECORDS = 0.12


def milliseconds_a_step(site: Site, precision: Precision, lanes: int, norm: Norm) -> float:
    """The median of three blocks of 20 steps, after as many."""
    loop = Lockstep("ours", site.full, lanes=lanes, precision=precision, norm=norm)
    loop.step = site.make_step(loop.states, lanes=lanes)
    seconds = []
    for _ in range(BLOCKS + 1):
        started = time.perf_counter()
        loop.train(STEPS)
        if site.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - started) / STEPS)
    loop.step.close()
    return 1e3 * statistics.median(seconds[1:])


def floors(site: Site) -> dict[str, float]:
    """The least milliseconds of a step, one operation after another, under measured ceilings."""
    suite = load_suite(site.suite)
    work, ceilings = work_of(suite.experiments), measure_ceilings(site.device)
    images = suite.recipe.batch_size
    precisions: tuple[Precision, ...] = ("tf32", "bf16")
    return {p: 1e3 * floor_seconds(work, images, p, ceilings) for p in precisions}


def fastest(speeds: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each precision the row with the least `milliseconds`."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(speeds, key=lambda row: row["milliseconds"]):
        found.setdefault(row["precision"], row)
    return found


def sweep_minutes(suite: str, milliseconds: float) -> float:
    """Of the whole sweep at this speed, records included."""
    return load_suite(suite).recipe.iterations * milliseconds / 60e3 * (1 + RECORDS)
