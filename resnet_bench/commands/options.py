"""The options that commands share: facts of this machine, never hyper-parameters."""

import re
import reprlib
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer

from resnet_bench.errors import UserError, printable
from resnet_bench.gpu.setting import SPEEDUPS, Speedup
from resnet_bench.gpu.setting import Norm as NormName
from resnet_bench.paths import RESULTS_VARIABLE, expanded
from resnet_bench.sweeps.machine import Machine
from resnet_bench.tracking.environment import choose_mode, prepare_environment

SuiteName = Annotated[str, typer.Argument(metavar="SUITE", help="a suite in experiments/")]
ExperimentName = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="suite/network, such as digits/plain-56")
]
# numpy's SeedSequence takes 32 bits at a time: 2**32 + 5 at epoch 0 would be 5 at epoch 1.
LAST_SEED = 2**32 - 1
MOST_SEEDS = 10_000
Seed = Annotated[int, typer.Option(min=0, max=LAST_SEED)]
Seeds = Annotated[
    str | None,
    typer.Option(help="3 means seeds 0, 1 and 2; or 5-9, or 0,3,7; one seed is 7-7"),
]
Results = Annotated[
    Path,
    typer.Option(
        "--results", envvar=RESULTS_VARIABLE, callback=expanded, help="folder of the results"
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="RESNET_BENCH_DATA", help="folder of the data sets"),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:N or mps; a CUDA GPU is used where there is one")
]
Wandb = Annotated[
    str | None,
    typer.Option(
        "--wandb", help="online, offline or disabled; online where the environment has a key"
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(help="stop in time with everything on disk, exit code 75; 9m, 90s, 1.5h"),
]
Graphs = Annotated[
    bool | None,
    typer.Option(
        "--graphs/--no-graphs",
        help="steps as CUDA graphs or one operation after another; graphs on a GPU",
        show_default=False,
    ),
]
Lanes = Annotated[
    int | None, typer.Option(min=1, max=1024, help="networks that step at the same time on a GPU")
]
Norm = Annotated[NormName | None, typer.Option(help="what computes batch norm on a GPU; recorded")]
Speedups = Annotated[
    str | None,
    typer.Option(help=f"{','.join(SPEEDUPS)}, or none: faster graphs on a GPU, to the same bits"),
]
CheckpointSeconds = Annotated[
    float,
    typer.Option(min=0, help="of training that a killed run loses at most"),
]
Launcher = Annotated[
    Literal["local", "ray"], typer.Option(help="ray: on a Ray cluster (pip's extra [ray])")
]
Address = Annotated[
    str | None, typer.Option(help="the Ray cluster: auto is the one here, without it a new one")
]
GpusPerRun = Annotated[
    float | None,
    typer.Option(min=0.01, max=1, help="with Ray, a task is a run on so many GPUs, not a group"),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="this network; may be given several times"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="recipe.key=value: another experiment, with another name"),
]
RESULTS = Path("results")


def make_machine(
    results: Path,
    device: str | None,
    data_dir: Path | None,
    wandb: str | None,
    graphs: bool | None = None,
    lanes: int | None = None,
    norm: NormName | None = None,
    speedups: str | None = None,
    checkpoint_seconds: float = Machine.checkpoint_seconds,
) -> Machine:
    """The options as a `Machine`; raises UserError for what does not exist or go together."""
    prepare_environment()
    if wandb not in (None, "online", "offline", "disabled"):
        raise UserError(f"--wandb {wandb!r}: use online, offline or disabled")
    mode = choose_mode(wandb)  # type: ignore[arg-type]
    chosen = parse_speedups(speedups)
    if chosen and graphs is False:
        raise UserError("--speedups are those of graphs: give one of --speedups and --no-graphs")
    return Machine(
        results,
        device,
        data_dir,
        mode,
        checkpoint_seconds,
        graphs=graphs,
        lanes=lanes,
        norm=norm,
        speedups=chosen,
    )


def parse_speedups(text: str | None) -> tuple[Speedup, ...] | None:
    """Those that "ring,casts" names, each once; () for "none". Raises UserError for others."""
    if text is None or text == "none":
        return None if text is None else ()
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in SPEEDUPS]:
        raise UserError(f"--speedups {printable(unknown[0])!r}: use {', '.join(SPEEDUPS)}, or none")
    return tuple(speedup for speedup in SPEEDUPS if speedup in names)


def parse_duration(text: str) -> float:
    """Seconds in "90s", "9m", "1.5h" or "540"; raises UserError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise UserError(f"time limit {text!r} is not a duration; write 90s, 9m or 1.5h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def parse_seeds(text: str | None) -> list[int]:
    """The seeds that "3" (0, 1 and 2), "5-9" or "0,3,7-9" names, each once; seed 0 for None.

    Raises UserError for anything else, and for more than a sweep takes.
    """
    text = "1" if text is None else text
    number = "([0-9]{1,10})"
    parts = [re.fullmatch(f"{number}(?:-{number})?", part) for part in text.split(",")]
    bounds = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if bounds and text.isdecimal():  # a number of seeds
        bounds = [(0, bounds[0][0] - 1)]
    if len(bounds) < len(parts) or any(not 0 <= low <= high <= LAST_SEED for low, high in bounds):
        example = "write 3 for the first three, 5-9 or 0,3,7"
        raise UserError(f"--seeds {printable(reprlib.repr(text))} are no seeds: {example}")
    if sum(1 + high - low for low, high in bounds) > MOST_SEEDS:
        raise UserError(f"--seeds {reprlib.repr(text)} are too many: {MOST_SEEDS:,} at most")
    return list(dict.fromkeys(chain(*(range(low, high + 1) for low, high in bounds))))
