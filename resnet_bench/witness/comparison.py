"""What shows that a witness is one: equal outputs, equal errors, and how near it is in train mode.

Everything in evaluation mode is to be computed in IEEE float32, whatever the recipe says: in TF32
even a copy rounds.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.networks.initialization import digest
from resnet_bench.records.provenance import new_attempt
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.evaluation import evaluate, precise_batch_norm
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, forward
from resnet_bench.witness.construction import calibrate


@dataclass(frozen=True)
class Errors:
    """Fractions of images, in evaluation mode; named as in epochs.csv."""

    clean_train_error: float
    precise_train_error: float
    test_error: float


@dataclass(frozen=True)
class TrainMode:
    """How far a witness is from its source in train mode, before the first step.

    Means over batches, losses in nats, errors fractions; differences are absolute, by batch.
    """

    batches: int  # augmented ones, those of the first epoch
    train_mode_loss: float
    train_mode_error: float
    source_train_mode_loss: float
    source_train_mode_error: float
    mean_loss_difference: float
    max_loss_difference: float
    mean_error_difference: float
    max_error_difference: float


def compare(source: TrainingState, witness: TrainingState, data: TrainingData) -> dict[str, Any]:
    """What witness.json says of both; afterwards `witness` is calibrated.

    A precise error re-estimates batch norm's statistics in train mode, where only the calibrated
    witness is one, so it is taken of that; everything else is of the witness as it was built.
    """
    run, deep = source.run, witness.run.experiment
    difference = largest_difference(source, witness, data)
    source_errors, errors = errors_of(source, data), errors_of(witness, data)
    calibrate(witness, source, data)
    calibrated = errors_of(witness, data)
    errors = replace(errors, precise_train_error=calibrated.precise_train_error)
    stream = BatchStream(source.recipe, run.experiment.train_images, run.seed)
    batches = (data.batch(stream.draw(number)) for number in range(stream.schedule.epoch_end(1)))
    train_mode = compare_in_train_mode(witness, source, batches)
    attempt = new_attempt(source.device, 1, 0, 0.0)
    kept = ("started", "device", "processor", "commit", "dirty", "versions")
    return {
        "suite": run.experiment.suite,
        "source": run.experiment.network_name,
        "deep": deep.network_name,
        "family": deep.spec.family,
        "shortcut": deep.spec.shortcut,
        "source_depth": run.experiment.spec.depth,
        "depth": deep.spec.depth,
        "seed": run.seed,
        "max_difference": difference,
        "images": {"train": len(data.train), "test": len(data.test)},
        "errors": {"source": asdict(source_errors), "witness": asdict(errors)},
        "calibration": {
            **asdict(train_mode),
            "max_difference": largest_difference(source, witness, data),
            **asdict(calibrated),
        },
        "provenance": {
            **{key: attempt[key] for key in kept},
            "source_weights": digest(source.network),
        },
    }


def images_passed(source: TrainingState, data: TrainingData) -> int:
    """How many images `compare` passes through the two networks."""
    recipe, train, test = source.recipe, len(data.train), len(data.test)
    stream = BatchStream(recipe, train, source.run.seed)
    outputs = 2 * 2 * (train + test)  # twice, of both
    precise = recipe.batch_size * recipe.whole_precise_batches(train)
    errors = 3 * (2 * train + test + precise)
    in_train_mode = precise + 2 * recipe.batch_size * stream.schedule.epoch_end(1)
    return outputs + errors + in_train_mode


@contextmanager
def counted(states: Iterable[TrainingState], on_batch: Callable[[int], object]) -> Iterator[None]:
    """Within the context `on_batch` is called with every number of images that pass a network."""

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        on_batch(len(inputs[0]))

    hooks = [state.network.register_forward_pre_hook(note) for state in states]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def largest_difference(one: TrainingState, other: TrainingState, data: TrainingData) -> float:
    """The largest absolute difference of two states' logits, over all images, train and test."""
    networks = [copy.deepcopy(state.network).eval() for state in (one, other)]
    largest = torch.zeros((), device=data.device)
    for part in (data.train, data.test):
        for images, _ in data.measured_batches(part):
            first, second = (network(images) for network in networks)
            largest = torch.maximum(largest, (first - second).abs().max())
    return float(largest.item())


def errors_of(state: TrainingState, data: TrainingData) -> Errors:
    """Clean, precise and test error of `state`, which stays as it is."""
    clean = evaluate(state.network, data, data.train, "ieee").error
    test = evaluate(state.network, data, data.test, "ieee").error
    with precise_batch_norm(state.network, data, state.recipe, "ieee"):
        precise = evaluate(state.network, data, data.train, "ieee").error
    return Errors(clean, precise, test)


def compare_in_train_mode(
    witness: TrainingState, source: TrainingState, batches: Iterable[Batch]
) -> TrainMode:
    """Losses and errors of both on the same batches, in train mode, without a step."""
    drawn = list(batches)
    own, its = (_train_mode_scores(state, drawn) for state in (witness, source))
    gaps = (own - its).abs()
    mean_gap, max_gap = gaps.mean(dim=0), gaps.amax(dim=0)
    return TrainMode(
        batches=len(drawn),
        train_mode_loss=float(own[:, 0].mean()),
        train_mode_error=float(own[:, 1].mean()),
        source_train_mode_loss=float(its[:, 0].mean()),
        source_train_mode_error=float(its[:, 1].mean()),
        mean_loss_difference=float(mean_gap[0]),
        max_loss_difference=float(max_gap[0]),
        mean_error_difference=float(mean_gap[1]),
        max_error_difference=float(max_gap[1]),
    )


@torch.no_grad()
def _train_mode_scores(state: TrainingState, batches: Iterable[Batch]) -> Tensor:
    """Loss and error (batches, 2) of each batch; running statistics change in a copy only."""
    twin = replace(state, network=copy.deepcopy(state.network).train())
    scores = []
    for images, labels in batches:
        logits = forward(twin, images).float()
        error = (logits.argmax(dim=1) != labels).double().mean()
        scores.append(torch.stack([F.cross_entropy(logits, labels).double(), error]))
    return torch.stack(scores)
