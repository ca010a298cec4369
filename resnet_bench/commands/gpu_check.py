"""`resnet_bench gpu-check`: minutes that say whether a GPU can be trusted, and how to use it."""

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_bench.commands.options import RESULTS, Results
from resnet_bench.errors import UserError
from resnet_bench.records.files import write_json

if TYPE_CHECKING:
    from resnet_bench.gpu.norms import Norm
    from resnet_bench.gpu_check.parts import Part, Row
    from resnet_bench.gpu_check.site import Site
    from resnet_bench.suites.recipe import Precision

Minutes = Annotated[float, typer.Option(min=0.1, help="no part begins after")]


def gpu_check(results: Results = RESULTS, minutes: Minutes = 4.0) -> None:
    """Check a GPU's bits, and find its fastest setting.

    Writes gpu-check.json into the folder of the results; sweeps there use the setting. Exit code 1
    if a gate does not hold, or was not reached in time. The fused norm has gates of its own, which
    decide over that setting alone.
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
    from resnet_bench.gpu_check.parts import run_parts
    from resnet_bench.gpu_check.speeds import fastest, sweep_minutes

    rows, first, fused = [], gates(), gates_of_fused_norm()
    for row in run_parts([*first, *fused, *timings()], site, deadline):
        rows.append(row)
        typer.echo(_line(row))
    checks = [
        {"name": row.part.name, "passed": row.passed, "found": row.found, "seconds": row.seconds}
        for row in rows
    ]
    speeds = [
        dict(row.part.work.keywords) | {"milliseconds": row.found}  # type: ignore[attr-defined]
        for row in rows
        if row.passed and isinstance(row.found, float)
    ]
    if not all(row.passed for row in rows if row.part in fused):
        speeds = [speed for speed in speeds if speed["norm"] != "fused"]
    best = fastest(speeds)
    for precision, speed in best.items():
        took = sweep_minutes(site.suite, speed["milliseconds"])
        typer.echo(
            f"{precision}: fastest with {speed['lanes']} lanes and batch norm by {speed['norm']}; "
            f"the sweep of {site.suite} will take about {took:.0f} minutes here"
        )
    hold = all(row.passed for row in rows[: len(first)])
    return {"gates_hold": hold, "checks": checks, "fastest": best}


def gates() -> list["Part"]:
    from resnet_bench.gpu_check import gates
    from resnet_bench.gpu_check.parts import Part

    return [
        Part("batches are the CPU's", gates.batches_are_the_cpus, 20),
        Part("batch norm reads its momentum", gates.batch_norm_reads_its_momentum, 20),
        Part("IEEE is float64, TF32 is not", gates.ieee_is_float64, 30),
        *(
            Part(
                f"graphs are eager steps, {p}",
                partial(gates.graphs_are_eager_steps, precision=p),
                30,
            )
            for p in ("tf32", "bf16")
        ),
        Part(
            "layers leave no trace",
            partial(gates.measuring_layers_changes_nothing, precision="tf32"),
            40,
        ),
        Part(
            "resumed is uninterrupted",
            partial(gates.resumed_is_uninterrupted, precision="tf32"),
            40,
        ),
        Part("together is alone", partial(gates.together_is_alone, precision="tf32"), 60),
        Part("memory stays flat", partial(gates.memory_stays_flat, precision="tf32"), 40),
    ]


def gates_of_fused_norm() -> list["Part"]:
    """Right values, then the same bits in graphs and in lanes; kernels are compiled first."""
    from resnet_bench.gpu_check import fused, gates
    from resnet_bench.gpu_check.parts import Part

    graphs, lanes = gates.graphs_are_eager_steps, gates.together_is_alone
    return [
        Part("fused norm is float64's", fused.fused_norm_is_float64, 60),
        Part("graphs are eager steps, fused", partial(fused.with_fused_norm, gate=graphs), 60),
        Part("together is alone, fused", partial(fused.with_fused_norm, gate=lanes), 60),
    ]


def timings() -> list["Part"]:
    """bf16 has PyTorch's own batch norm in any case."""
    from resnet_bench.gpu_check import speeds
    from resnet_bench.gpu_check.parts import Part

    found = [Part("least milliseconds a step", speeds.floors, 40)]
    kinds: list[tuple[Precision, Norm]] = [
        ("tf32", "cudnn"),
        ("bf16", "cudnn"),
        ("tf32", "native"),
        ("tf32", "fused"),
        ("bf16", "fused"),
    ]
    for precision, norm in kinds:
        for lanes in speeds.LANES:
            work = partial(speeds.milliseconds_a_step, precision=precision, lanes=lanes, norm=norm)
            found.append(Part(f"{precision}, {lanes} lanes, {norm}", work, 40))
    return found


def _line(row: "Row") -> str:
    found = row.found
    if isinstance(found, float):
        found = f"{found:.2f} ms a step"
    elif isinstance(found, dict):
        found = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
    return f"{row.part.name:<32}{'' if row.passed else 'FAILED: '}{found}  ({row.seconds:.0f} s)"
