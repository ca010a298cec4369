"""The commands that list: suites, the experiments of one, and how far its runs are."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from resnet_bench.commands.options import RESULTS, Only, Results, Seeds, parse_seeds
from resnet_bench.errors import UserError, printable
from resnet_bench.networks.sizes import network_size
from resnet_bench.records.files import find_paths
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import find_experiment, load_suite, suite_names

LEFT_OUT = "left out"  # damaged, of another recipe, or of no experiment


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
        size = network_size(experiment.spec, experiment.images)
        parameters = _cured_parameters(experiment) if experiment.cures else size.parameters
        typer.echo(f"{experiment.name:<{width}}{parameters:>12,}{size.multiply_adds:>16,}")


def _cured_parameters(experiment: Experiment) -> int:
    """A cure's block may have more parameters than its control's; counting them takes torch."""
    from resnet_bench.cures.treatment import parameters_of

    return parameters_of(experiment)


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
    only: Only = None,
    seeds: Seeds = None,
    results: Results = RESULTS,
) -> None:
    """Say how many runs of each suite are finished, or how far each run of one is."""
    if suite is not None:
        _status_of(suite, results, only, None if seeds is None else parse_seeds(seeds))
    elif only or seeds:
        raise UserError("--only and --seeds need the suite: status SUITE --only NAME")
    else:
        _overview(results)


def _overview(results: Path) -> None:
    """One line for each suite that has runs."""
    counts = {name: _statuses(name, results) for name in suite_names()}
    for name, statuses in counts.items():
        if statuses:
            counted = [f"{count} {status}" for status, count in statuses.most_common()]
            why = f" (make status SUITE={name} says why)" if LEFT_OUT in statuses else ""
            typer.echo(f"{name:<{name_width()}}{', '.join(counted)}{why}")
    if not any(counts.values()):
        typer.echo(f"no runs in {results} yet: make sweep trains some")


def _statuses(suite: str, results: Path) -> Counter[str]:
    """How many of a suite's run directories are finished, diverged, partial and left out."""
    try:
        found = find_paths(results / suite, "*/seed-*")
    except UserError:
        return Counter([LEFT_OUT])
    states = Counter(_state(suite, path) for path in found)
    del states["missing"]
    return states


def _state(suite: str, path: Path) -> str:
    try:
        RunDirectory(path).read_state(_run(suite, path).identity())
        return RunDirectory(path).status()
    except UserError:
        return LEFT_OUT


def _status_of(suite: str, results: Path, only: list[str] | None, seeds: list[int] | None) -> None:
    loaded = load_suite(suite)
    folder = results / suite
    names = [experiment.network_name for experiment in loaded.experiments]
    there = {path.parent.name for path in folder.glob("*/seed-*")}
    names += sorted(there - set(names))
    if only:
        names = [loaded.experiment(name).network_name for name in dict.fromkeys(only)]
    width = max(map(len, names)) + 2
    for name in names:
        try:
            found = sorted(find_paths(folder / name, "seed-*"), key=_seed)
        except UserError as error:
            typer.echo(printable(f"{name:<{width}}{error}"))
            continue
        wanted = [0] if seeds is None and not found else seeds
        for path in found if wanted is None else [folder / name / f"seed-{n}" for n in wanted]:
            line = f"{name:<{width}}{path.name:<9} {_how_far(suite, path)}"
            typer.echo(printable(line))


def _how_far(suite: str, path: Path) -> str:
    """How far a run is; or why the sweep refuses to resume it, and the analysis to draw it."""
    directory = RunDirectory(path)
    try:
        run = _run(suite, path)
        summary, rows = directory.read_state(run.identity())
    except UserError as error:
        return directory.without_path(error)
    status = summary.status if summary else "partial" if directory.run_json.exists() else "missing"
    epoch, iteration = (rows[-1].epoch, rows[-1].iteration) if rows else (0, 0)
    if summary:
        iteration = summary.iteration
    of = run.experiment.recipe.iterations
    mark = ", not sealed" if summary and summary.seal is None else ""
    return f"{status:<10}epoch {epoch:>4}, iteration {iteration} of {of}{mark}"


def _run(suite: str, path: Path) -> Run:
    """The run whose directory is `path`; raises UserError if the suite's file has no such run."""
    network_name, seed = path.parent.name, _seed(path)[0]
    try:
        experiment = find_experiment(f"{suite}/{network_name}")
    except UserError:
        experiment = None
    if experiment is None or experiment.network_name != network_name:  # another name of it
        raise UserError(f"is no experiment of {suite}.toml")
    if path.name != f"seed-{seed}":
        raise UserError("is no seed")
    return Run(experiment, seed)


def _seed(directory: Path) -> tuple[int, str]:
    number = directory.name.removeprefix("seed-")
    return (int(number) if number.isdecimal() else 0), number
