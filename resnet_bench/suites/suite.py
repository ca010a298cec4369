"""Experiments as data: a TOML file in experiments/ is a suite, a suite is a list of experiments.

Nothing here imports torch, so that listing and checking experiments is instant.
"""

import re
import tomllib
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from resnet_bench.datasets.definitions import DATASETS, Dataset
from resnet_bench.errors import UserError, did_you_mean
from resnet_bench.paths import SUITES_FOLDER, suites_folder
from resnet_bench.suites.compatibility import check_fit
from resnet_bench.suites.cure_file import find_cure
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.overrides import changed_recipe, in_a_name
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite_file import (
    NAME,
    NamedExperiment,
    SuiteFile,
    opening_comment,
    read_text,
)
from resnet_bench.suites.validation import validate


@dataclass(frozen=True)
class Suite:
    """A question: a data set, a recipe, and the experiments that are compared."""

    name: str
    description: str  # the file's opening comment: question, source, expected result and time
    dataset: Dataset
    recipe: Recipe
    experiments: tuple[Experiment, ...]

    @property
    def question(self) -> str:
        return self.description.partition("\n")[0]

    @property
    def time(self) -> str:
        """What its file says that it takes, in one line; "" where it says nothing."""
        said = self.description.partition("Time: ")[2].partition("Memory:")[0]
        return " ".join(said.split())

    def experiment(self, name: str) -> Experiment:
        """The one called `name`, such as plain-56; raises UserError if there is none."""
        named = {experiment.network_name: experiment for experiment in self.experiments}
        if name not in named:
            full, known = f"{self.name}/{name}", [e.name for e in self.experiments]
            raise UserError(f"unknown experiment {full!r}{did_you_mean(full, known)}")
        return named[name]


def suite_names(folder: Path | None = None) -> list[str]:
    """The names of the suites in `folder`, else in the user's folder and the shipped ones."""
    folders = [folder] if folder else [suites_folder(), SUITES_FOLDER]
    return sorted({path.stem for each in folders for path in each.glob("*.toml")})


def load_suite(name: str, folder: Path | None = None) -> Suite:
    """The suite in `folder`/`name`.toml, else in the user's folder, else the shipped one.

    Raises UserError, in one line that names file, key and value, for any mistake in it.
    """
    own = folder or suites_folder()
    shipped = folder is None and not (own / f"{name}.toml").is_file()
    path = (SUITES_FOLDER if shipped else own) / f"{name}.toml"
    if path.is_file() and not re.fullmatch(NAME, name):
        raise UserError(f"{path.name}: a suite's name is of letters, digits, '.', '_' and '-'")
    if not re.fullmatch(NAME, name) or not path.is_file():
        raise UserError(f"unknown suite {name!r}{did_you_mean(name, suite_names(folder))}")
    text = read_text(path)
    try:
        contents = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path.name}: not valid TOML: {error}") from error
    file = validate(SuiteFile, contents, path.name)
    dataset = _dataset(file.dataset, path.name)
    return Suite(
        name=name,
        description=opening_comment(text),
        dataset=dataset,
        recipe=file.recipe,
        experiments=_experiments(name, file, dataset, own),
    )


def _experiments(
    suite: str, file: SuiteFile, dataset: Dataset, folder: Path
) -> tuple[Experiment, ...]:
    """The experiments of [networks], with cures, of [experiments], then each again for [vary]."""
    where = f"{suite}.toml"
    found: dict[str, Experiment] = {}
    for spec in file.networks.specs(f"{where}: networks") if file.networks else []:
        found[spec.name] = Experiment(suite, spec.name, dataset, spec, file.recipe)
        check_fit(spec, file.recipe, dataset, where)
    for experiment in list(found.values()):
        for names in product(*file.cross):
            if treatments := [name for name in names if name]:
                name = "-".join([experiment.network_name, *treatments])
                table = file.treated(experiment.network_name, treatments)
                found[name] = _named(suite, name, table, file, found, folder)
    for name, table in file.experiments.items():
        found[name] = _named(suite, name, table, file, found, folder)
    if not found:
        raise UserError(f"{where}: neither networks nor experiments")
    for key in file.vary:
        if key not in Recipe.model_fields:
            hint = did_you_mean(key, Recipe.model_fields)
            raise UserError(f"{where}: vary.{key}: no key of a recipe{hint}")
    varied = [
        (experiment, _changed(experiment, [f"{key}={in_a_name(value)}"]))
        for experiment in found.values()
        for key, values in file.vary.items()
        for value in values
    ]
    for base, changed in varied:
        if changed.recipe != base.recipe:
            found[changed.network_name] = changed  # a value may be listed twice
    return tuple(found.values())


def _named(
    suite: str,
    name: str,
    table: NamedExperiment,
    file: SuiteFile,
    found: dict[str, Experiment],
    folder: Path,
) -> Experiment:
    """The experiment of one [experiments.<name>] table; its `like` is one of `found`."""
    where = f"{suite}.toml: experiments.{name}"
    if name in found or not re.fullmatch(NAME, name):
        raise UserError(f"{where}: not a name, or one that is taken")
    if table.like is not None and table.like not in found:
        near = did_you_mean(table.like, found)
        raise UserError(f"{where}: like: none above is {table.like!r}{near}")
    like = found[table.like] if table.like is not None else None
    spec = like.spec.model_dump() if like else {}
    recipe = like.recipe if like else file.recipe
    dataset = table.dataset or (like.dataset.name if like else file.dataset)
    experiment = Experiment(
        suite,
        name,
        _dataset(dataset, where),
        validate(NetworkSpec, {**spec, **table.network}, f"{where}: network"),
        validate(Recipe, {**recipe.model_dump(), **table.recipe}, f"{where}: recipe"),
        tuple(
            find_cure(cure, options, folder, f"{where}: cure")
            for cure, options in table.cures().items()
        ),
    )
    if like and like.identity() == replace(experiment, network_name=like.network_name).identity():
        raise UserError(f"{where}: differs in nothing from {table.like!r}")
    if len({cure.name for cure in experiment.cures}) < len(experiment.cures):
        raise UserError(f"{where}: cure: one cure under two names")
    check_fit(experiment.spec, experiment.recipe, experiment.dataset, where)
    return experiment


def _dataset(name: str, where: str) -> Dataset:
    if name not in DATASETS:
        raise UserError(f"{where}: dataset: unknown {name!r}{did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def find_experiment(
    name: str, settings: tuple[str, ...] = (), folder: Path | None = None
) -> Experiment:
    """The experiment called `suite/network`, with `recipe.key=value` settings changed.

    With changed settings it is another experiment, called `suite/network+key=value`; such names
    are accepted, too. Raises UserError for an unknown name.
    """
    suite_name, slash, rest = name.partition("/")
    if not slash:
        said = f"{name!r} is not an experiment's name" if name else "no experiment is named"
        raise UserError(f"{said}; write suite/network, such as digits/plain-56")
    suite = load_suite(suite_name, folder)
    # A plus that no key follows belongs to a value, such as 1e+30.
    network_name, *changes = re.split(r"\+(?=[A-Za-z_]+=)", rest)
    changes += [setting.removeprefix("recipe.") for setting in settings]
    return _changed(suite.experiment(network_name), changes)


def _changed(experiment: Experiment, changes: list[str]) -> Experiment:
    """`experiment` with each `key=value` of `changes` set in its recipe and added to its name."""
    if not changes:
        return experiment
    where = f"{experiment.name} with {', '.join(changes)}"
    recipe, suffix = changed_recipe(experiment.recipe, changes, where)
    check_fit(experiment.spec, recipe, experiment.dataset, where)
    return replace(experiment, network_name=experiment.network_name + suffix, recipe=recipe)
