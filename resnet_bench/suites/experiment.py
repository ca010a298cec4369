"""An experiment (a network under a recipe, by name) and a run (an experiment with a seed)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_bench.datasets.definitions import Dataset, InputShape
from resnet_bench.suites.compatibility import input_shape, train_images
from resnet_bench.suites.cure_file import CureSpec
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


@dataclass(frozen=True)
class Experiment:
    """One network trained with one recipe; its name is `suite/network`."""

    suite: str
    network_name: str  # or an experiment's own name, plus `+key=value` for each changed setting
    dataset: Dataset
    spec: NetworkSpec
    recipe: Recipe
    cures: tuple[CureSpec, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.network_name}"

    @property
    def train_images(self) -> int:
        """The number of training images; the others are the validation set."""
        return train_images(self.recipe, self.dataset)

    @property
    def images(self) -> InputShape:
        """The shape of the network's input."""
        return input_shape(self.dataset, self.recipe)

    def preprocessing(self) -> tuple[Any, ...]:
        """The settings of preprocessing: equal for experiments that can share their images."""
        recipe = self.recipe
        fields = ("train_images", "padding", "pad", "subtract_mean", "border", "resize")
        return (self.dataset.name, *(getattr(recipe, field) for field in fields))

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, as JSON data for run.json."""
        return {
            "suite": self.suite,
            "experiment": self.name,
            "dataset": self.dataset.name,
            "network": self.spec.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
            "cures": {cure.name: cure.identity() for cure in self.cures},
        }


@dataclass(frozen=True)
class Run:
    """An experiment with a seed."""

    experiment: Experiment
    seed: int
    start: Path | None = None  # a state dict to start from, not at the seed's initial weights

    @property
    def name(self) -> str:
        return f"{self.experiment.name}/seed-{self.seed}"

    def identity(self) -> dict[str, Any]:
        """The identity that run.json must hold to be this run's, as JSON data."""
        return {**self.experiment.identity(), "seed": self.seed}

    def directory(self, results: Path) -> Path:
        return results / self.experiment.suite / self.experiment.network_name / f"seed-{self.seed}"
