"""The commands that list: suites, the experiments of one, and how far its runs are."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from resnet_bench.errors import UserError
from resnet_bench.experiments import find_experiment, load_suite, suite_names
from resnet_bench.options import RESULTS, Results
from resnet_bench.records import RunDirectory
from resnet_bench.sizes import network_size


def list_experiments(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
) -> None:
    """List the suites, or the experiments of one."""
    if suite is None:
        width = name_width()
        for name in suite_names():
            typer.echo(f"{name:<{width}}{_question(name)}")
        return
    loaded = load_suite(suite)
    typer.echo(loaded.description + "\n")
    width = max(30, *(len(experiment.name) for experiment in loaded.experiments)) + 2
    typer.echo(f"{'experiment':<{width}}{'parameters':>12}{'multiply-adds':>16}")
    for experiment in loaded.experiments:
        size = network_size(experiment.network, experiment.images)
        typer.echo(f"{experiment.name:<{width}}{size.parameters:>12,}{size.multiply_adds:>16,}")


def name_width() -> int:
    """Of a column of suites' names."""
    return max(18, 2 + max(map(len, suite_names()), default=0))


def _question(suite: str) -> str:
    """What a suite asks; what is wrong with its file where something is: the others are listed."""
    try:
        return load_suite(suite).question
    except UserError as error:
        return f"invalid: {error}"


def status(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
    results: Results = RESULTS,
) -> None:
    """Say how many runs of each suite are finished, or how far each run of one is."""
    if suite is None:
        _overview(results)
    else:
        _status_of(suite, results)


def _overview(results: Path) -> None:
    """One line for each suite that has runs."""
    counts = {name: _statuses(results / name) for name in suite_names()}
    for name, statuses in counts.items():
        if statuses:
            told = [f"{count} {status}" for status, count in statuses.most_common()]
            typer.echo(f"{name:<{name_width()}}{', '.join(told)}")
    if not any(counts.values()):
        typer.echo(f"no runs in {results} yet: make sweep trains some")


def _statuses(folder: Path) -> Counter[str]:
    """How many of a suite's run directories are finished, diverged and partial."""
    return Counter(_state(RunDirectory(path.parent)) for path in folder.glob("*/seed-*/run.json"))


def _state(directory: RunDirectory) -> str:
    try:
        return directory.status()
    except UserError:
        return "damaged"


def _status_of(suite: str, results: Path) -> None:
    loaded = load_suite(suite)
    folder = results / suite
    names = [experiment.network_name for experiment in loaded.experiments]
    changed = {path.parent.name for path in folder.glob("*+*/seed-*")}
    names += sorted(changed - set(names))
    width = max(map(len, names)) + 2
    for name in names:
        iterations = _iterations(suite, name)
        if iterations is None:
            typer.echo(f"{name:<{width}}is no experiment of {suite}.toml")
            continue
        directories = sorted((folder / name).glob("seed-*"), key=_seed)
        for directory in map(RunDirectory, directories or [folder / name / "seed-0"]):
            typer.echo(f"{name:<{width}}{directory.path.name:<10}{_how_far(directory, iterations)}")


def _how_far(directory: RunDirectory, iterations: int) -> str:
    try:
        rows, summary = directory.rows(), directory.summary()
    except UserError as error:
        return f"{error}"
    epoch, iteration = (rows[-1].epoch, rows[-1].iteration) if rows else (0, 0)
    if summary:
        iteration = summary.iteration
    return f"{directory.status():<10}epoch {epoch:>4}, iteration {iteration} of {iterations}"


def _iterations(suite: str, network_name: str) -> int | None:
    """Of the experiment whose runs are in the folder `network_name`; None if there is none."""
    try:
        experiment = find_experiment(f"{suite}/{network_name}")
    except UserError:
        return None
    return experiment.recipe.iterations if experiment.network_name == network_name else None


def _seed(directory: Path) -> tuple[int, str]:
    number = directory.name.removeprefix("seed-")
    return (int(number) if number.isdecimal() else 0), number
