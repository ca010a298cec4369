"""The training loop: all runs of a group, on the same batches, in lockstep.

A single run is a group of one. The function that executes a step is a parameter, so that the
readable loop and a fast one cannot drift apart. Nothing here writes to disk.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F

from resnet_bench.cures.blame import in_training
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import Split, TrainingData
from resnet_bench.training.evaluation import (
    Score,
    ScoreBatch,
    evaluate,
    precise_batch_norm,
    score_batch,
)
from resnet_bench.training.precision import executed_precision, wait_for
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Step, eager_step, forward

OnBatch = Callable[[TrainingState], bool]


@dataclass(frozen=True)
class Scores:
    """What is measured for a record; None where nothing is due."""

    test: Score
    validation: Score | None = None
    clean_train: Score | None = None
    precise_train: Score | None = None  # the same with precise batch norm statistics
    precise_test: Score | None = None


Measure = Callable[[TrainingState, TrainingData, OnBatch | None], Scores]


class EvaluationInterruptedError(BaseException):  # no fault, which a cure could be blamed for
    """The evaluation for a record was stopped; its state can be saved, and the record is due."""


def train(
    states: Sequence[TrainingState],
    stream: BatchStream,
    data: TrainingData,
    *,
    step: Step = eager_step,
    measure: Measure | None = None,
    should_continue: Callable[[], bool] | None = None,
    on_batch: OnBatch | None = None,
) -> Iterator[tuple[TrainingState, EpochRecord]]:
    """Train until every run is finished or has diverged; yield each record when it is due.

    A run that is ahead of the others, after a resume, waits for them. `should_continue` is called
    before every iteration, when each state can be saved; training ends when it returns False.
    `on_batch` is called with a state after every batch of its evaluation; when it returns False,
    this raises EvaluationInterruptedError, and the next training begins with that record.
    """
    while True:
        due = [state for state in states if state.record_due]
        yield from _records(due, data, on_batch, measure or measure_scores)
        active = [state for state in states if state.active]
        if not active or (should_continue and not should_continue()):
            return
        iteration = min(state.iteration for state in active)
        due = [state for state in active if state.iteration == iteration]
        started = time.perf_counter()
        step(due, data.batch(stream.draw(iteration)))
        if any(state.next_record == iteration + 1 for state in due):
            wait_for(data.device)  # the time of the work, not of its launch
        elapsed = time.perf_counter() - started
        for state in due:
            state.iteration += 1
            state.interval_seconds += elapsed
            state.seconds += elapsed


def _records(
    states: Sequence[TrainingState], data: TrainingData, on_batch: OnBatch | None, measure: Measure
) -> Iterator[tuple[TrainingState, EpochRecord]]:
    """The records that are due: all are measured first, since a GPU may do that side by side.

    Once one is interrupted, those before it are made all the same.
    """
    measured, interrupted = [], None
    for state in states:
        if first_bad := int(state.totals.first_bad.item()):
            state.diverged_at = first_bad
            continue
        try:
            with in_training(state.run, "forward in evaluation fails"):
                measured.append((state, measure(state, data, on_batch)))
        except EvaluationInterruptedError as error:
            interrupted = error
            break
    if measured:
        wait_for(data.device)
    for state, scores in measured:
        with in_training(state.run, "forward in evaluation fails"):
            record = make_record(state, data, scores)
        if record:
            yield state, record
    if interrupted:
        raise interrupted


def measure_scores(
    state: TrainingState,
    data: TrainingData,
    on_batch: OnBatch | None = None,
    score_batch: ScoreBatch = score_batch,
) -> Scores:
    """Evaluate `state` for the record that is due, without waiting for a GPU.

    Raises EvaluationInterruptedError once `on_batch` returns False.
    """
    network, recipe, count = state.network, state.recipe, _counter(state, on_batch)
    precision = executed_precision(recipe.precision, state.device)

    def score(split: Split) -> Score:
        return evaluate(network, data, split, precision, count, score_batch)

    test = score(data.test)
    validation = score(data.validation) if len(data.validation) else None
    if not state.schedule.clean_due(state.records + 1):
        return Scores(test, validation)
    clean = score(data.train)
    with precise_batch_norm(network, data, recipe, precision, count):
        return Scores(test, validation, clean, score(data.train), score(data.test))


def _counter(state: TrainingState, on_batch: OnBatch | None) -> Callable[[int], None]:
    """Adds evaluated images to `state`; raises EvaluationInterruptedError as `on_batch` says."""

    def count(images: int) -> None:
        state.measured += images
        if on_batch and not on_batch(state):
            raise EvaluationInterruptedError

    return count


def make_record(state: TrainingState, data: TrainingData, scores: Scores) -> EpochRecord | None:
    """The record that is due; None if the run has diverged.

    A run has diverged at the first iteration whose loss is not finite, or at the last one if its
    update leaves such weights.
    """
    # In evaluation mode a deep plain network may overflow that trains on: statistics lag.
    if not math.isfinite(scores.test.loss) and not training_loss_is_finite(state, data):
        state.diverged_at = state.iteration
        return None
    measured = vars(scores).items()
    errors: dict[str, Any] = {f"{name}_error": score and score.error for name, score in measured}
    record = EpochRecord(
        **_running_columns(state),
        **errors,
        test_loss=scores.test.loss,
        validation_loss=scores.validation.loss if scores.validation else None,
    )
    state.add(record)
    return record


def training_loss_is_finite(state: TrainingState, data: TrainingData) -> bool:
    """Whether the loss of the first training images is finite; `state` is left unchanged."""
    images, labels = next(data.plain_batches(data.train, state.recipe.batch_size))
    trial = replace(state, network=copy.deepcopy(state.network))
    with torch.no_grad():
        loss = F.cross_entropy(forward(trial, images).float(), labels)
    return math.isfinite(loss.item())


def _running_columns(state: TrainingState) -> dict[str, Any]:
    """The columns about the training since the last record."""
    recipe, totals = state.recipe, state.totals
    images = int(totals.images.item())
    return {
        "epoch": -(-(state.records + 1) // recipe.records_per_epoch),
        "iteration": state.iteration,
        "learning_rate": learning_rate_at(state.iteration - 1, recipe),
        "train_loss": totals.loss.item() / images,
        "train_error": totals.wrong.item() / images,
        "seconds": state.interval_seconds,
        "images_per_second": images / state.interval_seconds,
    }
