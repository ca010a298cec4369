"""`resnet_bench witness`: builds identity witnesses, trains on from them, says what it found.

In results/<suite>/witness/<network>-as-<depth>/seed-<n>/ it leaves witness.json, what was compared
and the errors, and for each rate that was trained on at a folder learning_rate=<x> with run.json,
epochs.csv and summary.json, as of any run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_bench.commands import options
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.records.seals import write_sealed
from resnet_bench.streams import wrapped
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress, finished

LEARNING_RATES = (0.001, 0.01, 0.1)  # and the recipe's own
MARGIN = 0.005  # a rise of half a point is what the verdict calls none
ERRORS = ("clean_train_error", "precise_train_error", "test_error")
_HEADING = "".join(f"{title:>13}" for title in ("train error", "precise", "test error"))

Depths = Annotated[
    list[int], typer.Option("--depth", help="of the witness, 6n+2; may be given several times")
]
Continue = Annotated[
    bool, typer.Option("--continue", help="train on from it, at each --learning-rate")
]
LearningRates = Annotated[
    list[float] | None,
    typer.Option(
        "--learning-rate",
        help="constant; may be given several times; 0.001, 0.01, 0.1 and the recipe's if not given",
    ),
]


def witness(
    experiment: options.ExperimentName,
    depth: Depths,
    seed: options.Seed = 0,
    settings: options.Settings = None,
    train_on: Continue = False,
    learning_rate: LearningRates = None,
    device: options.Device = None,
    data_dir: options.DataFolder = None,
    results: options.Results = options.RESULTS,
    wandb: options.Wandb = None,
) -> None:
    """Build a deeper network that computes what a trained one does.

    Appends identity blocks to each stage of a finished run's network and compares the two.
    """
    if learning_rate and not train_on:
        raise UserError("--learning-rate is that of training on; give --continue too")
    run = Run(find_experiment(experiment, tuple(settings or ())), seed)
    rates: Sequence[float] = ()
    if train_on:
        usual = sorted({*LEARNING_RATES, run.experiment.recipe.learning_rate})
        rates = list(dict.fromkeys(learning_rate or usual))
    machine = options.make_machine(results, device, data_dir, wandb)
    for number in depth:
        make_witness(run, number, machine, rates)


def make_witness(run: Run, depth: int, machine: Machine, rates: Sequence[float]) -> None:
    """Build, compare, write and print one witness, then train on from it at `rates`.

    Raises UserError where the run is not finished, or cannot have a witness of `depth` layers.
    """
    from tqdm import tqdm

    from resnet_bench.sweeps.group import set_up_process, training_data
    from resnet_bench.training.precision import find_device, set_precision
    from resnet_bench.witness.comparison import compare, counted, images_passed
    from resnet_bench.witness.construction import build_witness, deeper_experiment, trained_state
    from resnet_bench.witness.continuation import constant_rate, continuations, rates_ended

    deep = deeper_experiment(run.experiment, depth)
    for rate in rates:
        constant_rate(deep, rate)  # a rate that cannot be is an error before any work
    device = find_device(machine.device)
    set_up_process(run.experiment, device)
    source = trained_state(run, machine, device)
    data = training_data(run.experiment, machine.data_folder, device)
    name = f"{run.experiment.network_name}-as-{depth}"
    folder = machine.results / run.experiment.suite / "witness" / name / f"seed-{run.seed}"
    set_precision("ieee", device)
    built = build_witness(source, deep)
    total = images_passed(source, data)
    with (
        tqdm(total=total, unit="image", unit_scale=True, leave=False, disable=None) as bar,
        counted([source, built], bar.update),
    ):
        record = compare(source, built, data)
    record["errors"]["trained"] = _errors_of_finished(Run(deep, run.seed), machine)
    _write(record, rates_ended(folder), folder)
    _print_comparison(record)
    if rates:
        length = f"each for as long as a run of {deep.name}"
        typer.echo(wrapped(f"trains on at {len(rates)} rates, {length}"))
        _continue(continuations(built, source, rates, folder), machine)
        _write(record, rates_ended(folder), folder)
        _print_continuations(record, rates, folder)
    typer.echo(f"The figure: make figures SUITE={run.experiment.suite}")


def _continue(runs: Sequence[Run], machine: Machine) -> None:
    """Train the continuations side by side, with a progress bar."""
    from tqdm import tqdm

    from resnet_bench.sweeps.group import run_group

    iterations = runs[0].experiment.recipe.iterations
    with tqdm(total=iterations, unit="it", leave=False, disable=None) as bar:

        def show(progress: Sequence[Progress]) -> bool:
            bar.update(max(one.iteration for one in progress) - bar.n)
            return True

        ends = run_group(runs, machine, show)
    if any(end.status == "elsewhere" for end in ends):
        raise UserError(
            f"another process is training {len(runs)} runs from this witness; wait for it"
        )


def _errors_of_finished(run: Run, machine: Machine) -> dict[str, float | None] | None:
    """The last errors of `run`; None if it has not been trained to its end."""
    done = finished(run, machine)
    if done is None or done.status != "finished" or done.last_record is None:
        return None
    return {key: getattr(done.last_record, key) for key in ERRORS}


def _write(record: dict[str, Any], continued: list[str], folder: Path) -> None:
    RunDirectory(folder).create()
    record["continued"] = continued
    write_sealed(folder / "witness.json", record)


def _print_comparison(record: dict[str, Any]) -> None:
    source, deep, images = record["source"], record["deep"], record["images"]
    labels = {"source": f"{source}, trained", "witness": f"{deep}, a copy of it"}
    if deep != source:
        labels["witness"] = f"{deep}, {source} and identity blocks"
        labels["trained"] = f"{deep}, trained from scratch"
    width = max(map(len, labels.values()))
    title = f"{record['suite']}, seed {record['seed']}"
    typer.echo(f"{title:<{width}}" + _HEADING)
    for key, label in labels.items():
        errors = record["errors"][key]
        cells = ["not trained"] if errors is None else [_percent(errors[name]) for name in ERRORS]
        typer.echo(f"{label:<{width}}" + "".join(f"{cell:>13}" for cell in cells))
    difference = record["max_difference"]
    equal = "none, bit for bit" if difference == 0 else f"{difference:.2g}"
    sentence = f"largest difference of the first two's outputs on {images['train']:,} training and"
    typer.echo(wrapped(f"{sentence} {images['test']:,} test images: {equal}"))


def _print_continuations(record: dict[str, Any], rates: Sequence[float], folder: Path) -> None:
    from resnet_bench.witness.continuation import rate_folder

    calibration = record["calibration"]
    start = record["errors"]["witness"]["precise_train_error"]
    sentence = (
        f"trained on from there, calibrated for train mode (loss there"
        f" {calibration['train_mode_loss']:.3f}, {record['source']}'s"
        f" {calibration['source_train_mode_loss']:.3f}); precise training error:"
    )
    typer.echo(wrapped(sentence))
    for rate in rates:
        how = _how_it_went(RunDirectory(rate_folder(folder, rate)), start)
        typer.echo(wrapped(f"  learning rate {rate:<8}{how}"))


def _how_it_went(directory: RunDirectory, start: float) -> str:
    """A continuation's precise training error, from `start` on, in words."""
    errors = [row.precise_train_error for row in directory.rows()]
    known = [error for error in errors if error is not None]
    summary = directory.summary()
    if summary is None or summary.status == "diverged" or not known:
        return f"diverges at iteration {summary.iteration if summary else 0}"
    there = f"drifts to {_percent(known[-1])}"
    if known[-1] <= start + MARGIN:
        there = "stays" if max(known) <= start + MARGIN else "comes back"
    return (
        f"{_percent(start)} -> {_percent(known[-1])} after {summary.iteration} iterations,"
        f" at most {_percent(max(known))} on the way: {there}"
    )


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.2%}"
