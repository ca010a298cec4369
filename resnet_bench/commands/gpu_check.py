"""`resnet_bench gpu-check`: minutes that say whether a GPU can be trusted, and how to use it."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_bench.commands.options import RESULTS, Results
from resnet_bench.errors import UserError
from resnet_bench.records.files import write_json

if TYPE_CHECKING:
    from resnet_bench.gpu_check.parts import Part, Row
    from resnet_bench.gpu_check.site import Site

Minutes = Annotated[float, typer.Option(min=0.1, help="no part begins after")]


def gpu_check(results: Results = RESULTS, minutes: Minutes = 8.0) -> None:
    """Check a GPU's bits, and find its fastest setting.

    Writes gpu-check.json into the folder of the results; sweeps there use the setting. Exit code 1
    if a gate does not hold, or was not reached in time. The fused norm and the speedups have gates
    of their own, which decide over those settings alone.
    """
    import torch

    from resnet_bench.gpu.setting import FILE, this_gpu
    from resnet_bench.gpu_check.site import Site
    from resnet_bench.sweeps.worker import environment_of_workers

    if not torch.cuda.is_available():
        raise UserError("gpu-check needs a CUDA GPU, and there is none here")
    device = torch.device("cuda")
    results.mkdir(parents=True, exist_ok=True)
    facts = this_gpu(device)
    typer.echo("{card}, torch {torch}, cuDNN {cudnn}".format(**facts))
    with environment_of_workers():
        found = check(Site(device), time.monotonic() + 60 * minutes)
    write_json(results / FILE, facts | found)
    typer.echo(f"({results / FILE})")
    raise typer.Exit(0 if found["gates_hold"] else 1)


def check(site: "Site", deadline: float) -> dict[str, Any]:
    """Run all parts, print a line for each, and return what gpu-check.json holds."""
    from resnet_bench.gpu.setting import SPEEDUPS
    from resnet_bench.gpu_check import plan
    from resnet_bench.gpu_check.speeds import fastest, sweep_minutes

    first, fused = plan.gates(), plan.gates_of_fused_norm()
    *each, together = plan.gates_of_speedups()
    rows = _run([*first, *fused, *each, together, *plan.timings()], site, deadline)
    held = [row.part for row in rows if row.passed]
    speeds = _speeds(rows)
    if any(part not in held for part in fused):
        speeds = [speed for speed in speeds if speed["norm"] != "fused"]
    pairs = zip(SPEEDUPS, each, strict=True)
    usable = [speedup for speedup, part in pairs if part in held and together in held]
    parts = [part for row in fastest(speeds).values() for part in plan.timings_with(usable, row)]
    more = _run(parts, site, deadline)
    best = fastest(speeds + _speeds(more))
    for precision, speed in best.items():
        took = sweep_minutes(site.suite, speed["milliseconds"])
        speedups = "".join(f", {speedup}" for speedup in speed["speedups"])
        typer.echo(
            f"{precision}: fastest with {speed['lanes']} lanes, batch norm by {speed['norm']}"
            f"{speedups}; the sweep of {site.suite} will take about {took:.0f} minutes here"
        )
    checks = [
        {"name": row.part.name, "passed": row.passed, "found": row.found, "seconds": row.seconds}
        for row in rows + more
    ]
    hold = all(part in held for part in first)
    return {"gates_hold": hold, "checks": checks, "fastest": best}


def _run(parts: list["Part"], site: "Site", deadline: float) -> list["Row"]:
    from resnet_bench.gpu_check.parts import run_parts

    rows = []
    for row in run_parts(parts, site, deadline):
        rows.append(row)
        typer.echo(_line(row))
    return rows


def _speeds(rows: list["Row"]) -> list[dict[str, Any]]:
    """The settings that were timed, each with its milliseconds."""
    return [
        {"work": "step", "speedups": []}
        | row.part.work.keywords  # type: ignore[attr-defined]
        | {"milliseconds": row.found}
        for row in rows
        if row.passed and isinstance(row.found, float)
    ]


def _line(row: "Row") -> str:
    found = row.found
    if isinstance(found, float):
        found = f"{found:.2f} ms"
    elif isinstance(found, dict):
        found = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
    return f"{row.part.name:<42}{'' if row.passed else 'FAILED: '}{found}  ({row.seconds:.0f} s)"
