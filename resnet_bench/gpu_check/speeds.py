"""Milliseconds of a step and of an evaluation of all networks, by precision and setting."""

import statistics
import time
from collections.abc import Collection
from typing import Any, Literal

from resnet_bench.benchmarks.roofline import floor_seconds, measure_ceilings, work_of
from resnet_bench.benchmarks.yardsticks import Lockstep
from resnet_bench.gpu.setting import Norm, Speedup
from resnet_bench.gpu_check.site import Site
from resnet_bench.suites.recipe import Precision
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.precision import wait_for

BLOCKS, STEPS = 3, 20
LANES = (1, 3, 6, 9)
# Of a sweep's training time: evaluation, records and checkpoints (results/reference/gpu.md).
RECORDS = 0.2


def milliseconds(
    site: Site,
    precision: Precision,
    lanes: int,
    norm: Norm,
    speedups: Collection[Speedup] = (),
    work: Literal["step", "evaluation"] = "step",
) -> float:
    """Of a step of all networks, or of an evaluation of all on the test images.

    The median of three blocks, of 20 steps or one evaluation each, after as many.
    """
    loop = Lockstep("ours", site.full, lanes=lanes, precision=precision, norm=norm)
    loop.step = step = site.make_step(loop.states, lanes=lanes, speedups=speedups)
    loop.set_up_process()
    count = STEPS if work == "step" else 1
    seconds = []
    for _ in range(BLOCKS + 1):
        started = time.perf_counter()
        if work == "step":
            loop.train(count)
        else:
            for state in loop.states:
                step.measure(state, loop.data, None)
        wait_for(site.device)
        seconds.append((time.perf_counter() - started) / count)
    step.close()
    return 1e3 * statistics.median(seconds[1:])


def floors(site: Site) -> dict[str, float]:
    """The least milliseconds of a step, one operation after another, under measured ceilings."""
    suite = load_suite(site.suite)
    work, ceilings = work_of(suite.experiments), measure_ceilings(site.device)
    images = suite.recipe.batch_size
    precisions: tuple[Precision, ...] = ("tf32", "bf16")
    return {p: 1e3 * floor_seconds(work, images, p, ceilings) for p in precisions}


def fastest(speeds: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each precision the row with the fastest step; with evaluation in lanes if that is, too."""
    found: dict[str, dict[str, Any]] = {}
    evaluations: dict[str, dict[str, Any]] = {}
    for row in sorted(speeds, key=lambda row: row["milliseconds"]):
        rows = found if row["work"] == "step" else evaluations
        rows.setdefault(row["precision"], row)
    for precision, row in evaluations.items():
        step = found[precision]
        found[precision] = step | {"speedups": [*step["speedups"], *row["speedups"]]}
    return found


def sweep_minutes(suite: str, milliseconds: float) -> float:
    """Of the whole sweep at this speed, records included."""
    return load_suite(suite).recipe.iterations * milliseconds / 60e3 * (1 + RECORDS)
