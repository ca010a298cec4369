"""Training on from a witness: does SGD stay at a good solution that it was given?

A continuation is a run like any other, at a constant learning rate; only its initial weights
differ: they are those of a witness. A witness of the source's own depth is a copy of it: what
training on does to the source, for comparison.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from resnet_bench.networks.initialization import digest
from resnet_bench.records.files import find_paths, write_atomically
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.validation import validate
from resnet_bench.training.state import TrainingState


@dataclass(frozen=True)
class Continuation(Run):
    """A run that starts at a witness, in a folder beside witness.json."""

    source: str = ""  # the experiment that the witness was made from
    source_weights: str = ""  # their digest

    def identity(self) -> dict[str, Any]:
        source = {"experiment": self.source, "weights": self.source_weights}
        return {**super().identity(), "source": source}

    def directory(self, results: Path) -> Path:
        assert self.start is not None
        return rate_folder(self.start.parent, self.experiment.recipe.learning_rate)


def rate_folder(folder: Path, rate: float) -> Path:
    """Where the continuation at `rate` is, beside the witness.json in `folder`."""
    return folder / f"learning_rate={rate}"


def rates_ended(folder: Path) -> list[str]:
    """The names of the continuations in `folder` that have ended, in the order of their rates."""
    ended = (path.parent.name for path in find_paths(folder, "learning_rate=*/summary.json"))
    return sorted(ended, key=lambda name: float(name.partition("=")[2]))


def constant_rate(experiment: Experiment, rate: float) -> Experiment:
    """`experiment` at one learning rate throughout, without drops or warm-up.

    Clean and precise errors are measured in every epoch, as they answer the question. Raises
    UserError for a rate that is not positive.
    """
    changes = {
        "learning_rate": rate,
        "drops": (),
        "warmup_iterations": 0,
        "clean_every": 1,
        "layers_at": (),
    }
    name = f"{experiment.network_name}+learning_rate={rate}"
    recipe = validate(Recipe, {**experiment.recipe.model_dump(), **changes}, name)
    return replace(experiment, network_name=name, recipe=recipe)


def continuations(
    witness: TrainingState, source: TrainingState, rates: Sequence[float], folder: Path
) -> list[Continuation]:
    """The runs that train `witness` on at each of `rates`; its weights are written to `folder`."""
    start = folder / "weights.pt"
    buffer = io.BytesIO()
    torch.save(witness.network.state_dict(), buffer)
    write_atomically(start, buffer.getvalue())
    weights = digest(source.network)
    return [
        Continuation(
            constant_rate(witness.run.experiment, rate),
            witness.run.seed,
            start,
            source.run.experiment.name,
            weights,
        )
        for rate in rates
    ]
