"""Experiments as data: a TOML file in experiments/ is a suite, a suite is a list of experiments.

Nothing here imports torch, so that listing and checking experiments is instant.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from resnet_bench.datasets import DATASETS, Dataset
from resnet_bench.errors import UserError, did_you_mean
from resnet_bench.specification import Network, Recipe, Shortcut, Specification, one_line, validate

SUITES_FOLDER = Path(__file__).resolve().parent.parent / "experiments"


@dataclass(frozen=True)
class Experiment:
    """One network under one recipe; launched by its name, `suite/network`."""

    suite: str
    network_name: str  # the network's, plus `+key=value` for each changed setting
    dataset: Dataset
    network: Network
    recipe: Recipe

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.network_name}"

    @property
    def train_images(self) -> int:
        """How many images it trains on; the data set's others are its validation set."""
        wanted = self.recipe.train_images
        return self.dataset.train_images if wanted == "all" else wanted

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data: what run.json keeps."""
        return {
            "suite": self.suite,
            "experiment": self.name,
            "dataset": self.dataset.name,
            "network": self.network.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Run:
    """An experiment with a seed."""

    experiment: Experiment
    seed: int

    @property
    def name(self) -> str:
        return f"{self.experiment.name}/seed-{self.seed}"

    def directory(self, results: Path) -> Path:
        return results / self.experiment.suite / self.experiment.network_name / f"seed-{self.seed}"


class NetworkGrid(Specification):
    """The [networks] table of a suite file: every depth with every shortcut."""

    depths: Annotated[tuple[int, ...], Field(min_length=1)]
    shortcuts: Annotated[tuple[Shortcut, ...], Field(min_length=1)]
    zero_channels: Literal["end", "both"] = "end"

    def networks(self) -> list[Network]:
        return [
            Network(depth=depth, shortcut=shortcut, zero_channels=self.zero_channels)
            for shortcut in self.shortcuts
            for depth in self.depths
        ]


class SuiteFile(Specification):
    """The schema of a file in experiments/."""

    dataset: str
    recipe: Recipe
    networks: NetworkGrid


@dataclass(frozen=True)
class Suite:
    """One question: a data set, a recipe, and the networks compared under it."""

    name: str
    description: str  # the file's opening comment: question, source, expected result and time
    dataset: Dataset
    recipe: Recipe
    experiments: tuple[Experiment, ...]

    @property
    def question(self) -> str:
        return self.description.partition("\n")[0]


def suite_names(folder: Path = SUITES_FOLDER) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_suite(name: str, folder: Path = SUITES_FOLDER) -> Suite:
    """The suite in `folder`/`name`.toml.

    Raises UserError, in one line that names file, key and value, for whatever is wrong with it.
    """
    path = folder / f"{name}.toml"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or not path.is_file():
        raise UserError(f"unknown suite {name!r}{did_you_mean(name, suite_names(folder))}")
    text = _read(path)
    try:
        contents = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path.name}: not valid TOML: {error}") from error
    file = validate(SuiteFile, contents, path.name)
    if file.dataset not in DATASETS:
        raise UserError(
            f"{path.name}: dataset: unknown {file.dataset!r}{did_you_mean(file.dataset, DATASETS)}"
        )
    dataset = DATASETS[file.dataset]
    try:
        networks = file.networks.networks()
    except ValidationError as error:
        raise UserError(f"{path.name}: networks: {one_line(error)}") from error
    _check_fit(file.recipe, dataset, path.name)
    return Suite(
        name=name,
        description=_opening_comment(text),
        dataset=dataset,
        recipe=file.recipe,
        experiments=tuple(
            Experiment(name, network.name, dataset, network, file.recipe) for network in networks
        ),
    )


def find_experiment(
    name: str, settings: tuple[str, ...] = (), folder: Path = SUITES_FOLDER
) -> Experiment:
    """The experiment called `suite/network`, with `recipe.key=value` settings changed.

    A changed setting is another experiment with another name, `suite/network+key=value`, which
    is itself a name that can be given here. Raises UserError if there is none of this name.
    """
    suite_name, slash, rest = name.partition("/")
    if not slash:
        raise UserError(
            f"{name!r} is not an experiment's name; write suite/network, such as digits/plain-56"
        )
    suite = load_suite(suite_name, folder)
    # A plus before anything but a key belongs to a value, such as 1e+30.
    network_name, *changes = re.split(r"\+(?=[A-Za-z_]+=)", rest)
    by_name = {experiment.network_name: experiment for experiment in suite.experiments}
    if network_name not in by_name:
        raise UserError(
            f"unknown experiment {name!r}{did_you_mean(name, [e.name for e in suite.experiments])}"
        )
    changes += [setting.removeprefix("recipe.") for setting in settings]
    return _changed(by_name[network_name], changes)


def _changed(experiment: Experiment, changes: list[str]) -> Experiment:
    """`experiment` with each `key=value` of `changes` set in its recipe and added to its name."""
    if not changes:
        return experiment
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in Recipe.model_fields:
            raise UserError(
                f"cannot set {change!r}; write recipe.key=value"
                + did_you_mean(key, Recipe.model_fields)
            )
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = value  # a bare word, such as tf32
    where = f"{experiment.name} with {', '.join(changes)}"
    recipe = validate(Recipe, {**experiment.recipe.model_dump(), **values}, where)
    _check_fit(recipe, experiment.dataset, where)
    # The name is made of the validated values, in the order of their keys: one name a recipe.
    suffix = "".join(f"+{key}={_in_a_name(getattr(recipe, key))}" for key in sorted(values))
    return Experiment(
        experiment.suite,
        experiment.network_name + suffix,
        experiment.dataset,
        experiment.network,
        recipe,
    )


def _in_a_name(value: Any) -> str:
    """A recipe's value as it stands in a file name, and as TOML reads it back."""
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_fit(recipe: Recipe, dataset: Dataset, where: str) -> None:
    """Raise UserError where the recipe asks for more than the data set has."""
    images = dataset.train_images if recipe.train_images == "all" else recipe.train_images
    if images > dataset.train_images:
        raise UserError(
            f"{where}: recipe.train_images: {images}, but {dataset.name} has {dataset.train_images}"
        )
    if recipe.batch_size > images:
        raise UserError(
            f"{where}: recipe.batch_size: {recipe.batch_size} of {images} training images"
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read: {error}") from error


def _opening_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)
