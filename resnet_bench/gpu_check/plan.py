"""What gpu-check tries, in order, each part with the seconds after which it is ended."""

from functools import partial
from typing import Any

from resnet_bench.gpu.setting import SPEEDUPS, Norm, Speedup
from resnet_bench.gpu_check.fused import fused_norm_is_float64
from resnet_bench.gpu_check.gates import (
    batch_norm_reads_its_momentum,
    batches_are_the_cpus,
    graphs_are_eager_steps,
    ieee_is_float64,
    measuring_layers_changes_nothing,
    memory_stays_flat,
    resumed_is_uninterrupted,
    together_is_alone,
    with_setting,
)
from resnet_bench.gpu_check.parts import Part
from resnet_bench.gpu_check.speeds import LANES, floors, milliseconds
from resnet_bench.suites.recipe import Precision


def gates() -> list[Part]:
    return [
        Part("batches are the CPU's", batches_are_the_cpus, 20),
        Part("batch norm reads its momentum", batch_norm_reads_its_momentum, 20),
        Part("IEEE is float64, TF32 is not", ieee_is_float64, 30),
        *(
            Part(
                f"graphs are eager steps, {p}",
                partial(graphs_are_eager_steps, precision=p),
                30,
            )
            for p in ("tf32", "bf16")
        ),
        Part(
            "layers leave no trace",
            partial(measuring_layers_changes_nothing, precision="tf32"),
            40,
        ),
        Part(
            "resumed is uninterrupted",
            partial(resumed_is_uninterrupted, precision="tf32"),
            40,
        ),
        Part("together is alone", partial(together_is_alone, precision="tf32"), 60),
        Part("memory stays flat", partial(memory_stays_flat, precision="tf32"), 40),
    ]


def gates_of_fused_norm() -> list[Part]:
    """Right values, then the same bits in graphs and in lanes; kernels are compiled first."""
    work = partial(with_setting, precision="tf32", norm="fused")
    return [
        Part("fused norm is float64's", fused_norm_is_float64, 60),
        Part("graphs are eager steps, fused", partial(work, gate=graphs_are_eager_steps), 60),
        Part("together is alone, fused", partial(work, gate=together_is_alone), 60),
    ]


def gates_of_speedups() -> list[Part]:
    """Each alone in bf16, then all together in TF32, in the contention of a whole sweep.

    cuDNN's batch norm, which may wait for another lane's for ever, is that of TF32 alone.
    """
    eager = partial(with_setting, gate=graphs_are_eager_steps, precision="bf16")
    alone = partial(with_setting, gate=together_is_alone, precision="tf32", speedups=SPEEDUPS)
    return [
        *(
            Part(f"graphs are eager steps, {speedup}", partial(eager, speedups=(speedup,)), 40)
            for speedup in SPEEDUPS
        ),
        Part("together is alone, speedups", alone, 60),
    ]


def timings() -> list[Part]:
    """bf16 has PyTorch's own batch norm in any case."""
    kinds: list[tuple[Precision, Norm]] = [
        ("tf32", "cudnn"),
        ("bf16", "cudnn"),
        ("tf32", "native"),
        ("tf32", "fused"),
        ("bf16", "fused"),
    ]
    found = [Part("least milliseconds a step", floors, 40)]
    return found + [
        _timing({"precision": precision, "lanes": lanes, "norm": norm})
        for precision, norm in kinds
        for lanes in LANES
    ]


def timings_with(usable: list[Speedup], best: dict[str, Any]) -> list[Part]:
    """The `best` setting of a precision again, with each choice of the `usable` speedups."""
    setting = {key: best[key] for key in ("precision", "lanes", "norm")}
    of_steps = [s for s in usable if s == "ring" or (s == "casts" and best["precision"] == "bf16")]
    choices = [[speedup] for speedup in of_steps] + [of_steps] * (len(of_steps) > 1)
    found = [_timing(setting | {"speedups": choice}) for choice in choices]
    if "evaluation" in usable:
        found += [
            _timing(setting | {"speedups": choice, "work": "evaluation"})
            for choice in ([], ["evaluation"])
        ]
    return found


def _timing(keywords: dict[str, Any]) -> Part:
    words = ["{precision}, {lanes} lanes, {norm}".format(**keywords)]
    words += keywords.get("speedups", [])
    if keywords.get("work") == "evaluation":
        words.append("test images")
    return Part(", ".join(words), partial(milliseconds, **keywords), 40)
