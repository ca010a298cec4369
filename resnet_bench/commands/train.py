"""The commands that train: one experiment by name, or all of a suite."""

import os
from typing import Annotated, Any, NoReturn

import typer

from resnet_bench.commands import options
from resnet_bench.errors import UserError
from resnet_bench.launchers.slurm import LIMIT, array_script
from resnet_bench.records.lock import set_aside
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.streams import silence_output
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment, load_suite
from resnet_bench.sweeps.machine import Machine, find_devices

# What a script for Slurm says itself.
NOT_PASSED_ON = {"suite", "seeds", "workers", "time_limit", "slurm"}


def run(
    experiment: options.ExperimentName,
    seed: options.Seed = 0,
    settings: options.Settings = None,
    device: options.Device = None,
    data_dir: options.DataFolder = None,
    results: options.Results = options.RESULTS,
    wandb: options.Wandb = None,
    time_limit: options.TimeLimit = None,
    graphs: options.Graphs = None,
    lanes: options.Lanes = None,
    norm: options.Norm = None,
    speedups: options.Speedups = None,
    checkpoint_seconds: options.CheckpointSeconds = Machine.checkpoint_seconds,
    redo: Annotated[
        bool, typer.Option("--redo", help="train it again; its folder moves to aside/")
    ] = False,
) -> None:
    """Train one experiment, by name."""
    found = find_experiment(experiment, tuple(settings or ()))
    said = load_suite(found.suite).time
    machine = options.make_machine(
        results, device, data_dir, wandb, graphs, lanes, norm, speedups, checkpoint_seconds
    )
    if redo:
        old = set_aside(RunDirectory(Run(found, seed).directory(machine.results)))
        typer.echo(f"the run that was there: {old}", err=True)
    _train([Run(found, seed)], machine, 1, time_limit, said and f"Of its whole suite: {said}")


def sweep(
    context: typer.Context,
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
    only: options.Only = None,
    seeds: options.Seeds = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="processes on a CPU; one a core if not given"),
    ] = None,
    device: options.Device = None,
    data_dir: options.DataFolder = None,
    results: options.Results = options.RESULTS,
    wandb: options.Wandb = None,
    time_limit: options.TimeLimit = None,
    graphs: options.Graphs = None,
    lanes: options.Lanes = None,
    norm: options.Norm = None,
    speedups: options.Speedups = None,
    checkpoint_seconds: options.CheckpointSeconds = Machine.checkpoint_seconds,
    launcher: options.Launcher = "local",
    address: options.Address = None,
    gpus_per_run: options.GpusPerRun = None,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="print a script for sbatch, a job a seed; train nothing")
    ] = False,
) -> None:
    """Train every experiment of a suite.

    What is finished is skipped, what is not is resumed.
    """
    if launcher == "local" and (address or gpus_per_run):
        raise UserError("--address and --gpus-per-run need --launcher ray")
    loaded = load_suite(suite or choose_suite(device))
    chosen = [loaded.experiment(name) for name in dict.fromkeys(only or ())] or loaded.experiments
    numbers = options.parse_seeds(seeds)
    runs = [Run(experiment, seed) for seed in numbers for experiment in chosen]
    machine = options.make_machine(
        results, device, data_dir, wandb, graphs, lanes, norm, speedups, checkpoint_seconds
    )
    if slurm:
        limit = time_limit or LIMIT
        words = ["sweep", loaded.name, *_given(context), "--time-limit", limit]
        if suites := os.environ.get("RESNET_BENCH_SUITES"):
            words = ["--suites", suites, *words]
        seconds, gpu = options.parse_duration(limit), device != "cpu"
        script = array_script(loaded.name, numbers, words, limit=seconds, cores=workers, gpu=gpu)
        typer.echo(script, nl=False)
        return
    time = loaded.time and f"Time: {loaded.time}"
    if launcher == "local":
        _train(runs, machine, workers, time_limit, time)
    if workers:
        raise UserError("--workers is of this machine; a Ray cluster has its own")
    from resnet_bench.launchers.ray_cluster import connected

    with connected(address, device, gpus_per_run) as cluster:
        _train(runs, machine, workers, time_limit, time, cluster)


def _given(context: typer.Context) -> list[str]:
    """The words of a sweep's command line for the options that were given, but NOT_PASSED_ON."""
    words: list[str] = []
    for option in context.command.params:
        name, values = option.name or "", context.params[option.name or ""]
        source = context.get_parameter_source(name)
        if name in NOT_PASSED_ON or source is None or source.name == "DEFAULT":
            continue
        flags = option.opts if values is not False else option.secondary_opts
        for value in values if isinstance(values, list) else [values]:
            words += flags[:1] if isinstance(value, bool) else [flags[0], str(value)]
    return words


def default_suite(device: options.Device = None) -> None:
    """Print the suite that a sweep takes by itself."""
    typer.echo(choose_suite(device))


def choose_suite(device: str | None) -> str:
    """The paper's suite where there is a GPU, the embedded one elsewhere; says which and why."""
    if find_devices(device) != ["cpu"]:
        typer.echo(
            "CUDA GPU found: suite cifar10, the paper's sweep (SUITE=digits for minutes)", err=True
        )
        return "cifar10"
    typer.echo(
        "No CUDA GPU: suite digits, 8x8 scans, minutes (SUITE=cifar10-short for real CIFAR-10 on "
        "a CPU, SUITE=cifar10 for the paper's sweep)",
        err=True,
    )
    return "digits"


def _train(
    runs: list[Run],
    machine: Machine,
    workers: int | None,
    time_limit: str | None,
    time: str,
    cluster: Any = None,
) -> NoReturn:
    """Train the runs and exit with the sweep's code, saying what went wrong.

    `time` is what the suite's file says of it.
    """
    from resnet_bench.sweeps.sweep import sweep as train_all

    limit = options.parse_duration(time_limit) if time_limit else None
    outcome = train_all(
        runs, machine, workers=workers, time_limit=limit, time_needed=time, cluster=cluster
    )
    try:
        for mistake in dict.fromkeys(outcome.mistakes):
            typer.echo(f"error: {mistake}", err=True)
        for crash in outcome.crashes:
            typer.echo(crash, err=True)
        typer.echo(outcome.in_words(len(runs)))
    except OSError:  # the reader has left, or the terminal
        silence_output()
    raise typer.Exit(outcome.exit_code())
