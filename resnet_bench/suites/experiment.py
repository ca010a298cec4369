"""An experiment (a network under a recipe, by name) and a run (an experiment with a seed)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_bench.datasets.definitions import Dataset, InputShape
from resnet_bench.suites.compatibility import input_shape, train_images
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


@dataclass(frozen=True)
class Experiment:
    """One network under one recipe; launched by its name, `suite/network`."""

    suite: str
    network_name: str  # the network's or its own, plus `+key=value` for each changed setting
    dataset: Dataset
    spec: NetworkSpec
    recipe: Recipe

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.network_name}"

    @property
    def train_images(self) -> int:
        """How many images it trains on; the data set's others are its validation set."""
        return train_images(self.recipe, self.dataset)

    @property
    def images(self) -> InputShape:
        """What its network sees of an image."""
        return input_shape(self.dataset, self.recipe)

    def preprocessing(self) -> tuple[Any, ...]:
        """What decides the preprocessed images: equal for experiments that can share them."""
        recipe = self.recipe
        fields = ("train_images", "padding", "pad", "subtract_mean", "border", "resize")
        return (self.dataset.name, *(getattr(recipe, field) for field in fields))

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, as plain data: what run.json keeps."""
        return {
            "suite": self.suite,
            "experiment": self.name,
            "dataset": self.dataset.name,
            "network": self.spec.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json"),
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
        """What a run directory has to say to belong to this run; JSON."""
        return {**self.experiment.identity(), "seed": self.seed}

    def directory(self, results: Path) -> Path:
        return results / self.experiment.suite / self.experiment.network_name / f"seed-{self.seed}"
