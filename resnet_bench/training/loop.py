"""The training loop: all states of a group, on the same batches, in lockstep.

A single run is a group of one. How a step is executed is handed in, so that the readable loop
and a fast one cannot drift apart. Nothing here writes to disk.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import Split, TrainingData
from resnet_bench.training.evaluation import Score, evaluate, precise_batch_norm
from resnet_bench.training.precision import executed_precision
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Step, eager_step, forward


class EvaluationInterruptedError(Exception):
    """A record was broken off; its state stands before it, and can be saved."""


def always(*_: object) -> bool:
    return True


def train(
    states: Sequence[TrainingState],
    stream: BatchStream,
    data: TrainingData,
    *,
    step: Step = eager_step,
    safe_point: Callable[[], bool] = always,
    measuring: Callable[[TrainingState], bool] = always,
) -> Iterator[tuple[TrainingState, EpochRecord]]:
    """Train until every state is finished or has diverged, yielding each record as it is due.

    A state that is ahead of the others, after a resume, waits for them. `safe_point` is called
    before every iteration, when everything about a state can be saved; False ends the training.
    `measuring` is called after every batch that is measured for a record; on False raises
    BrokenOffError, and the record is the first thing to do for whoever goes on.
    """
    while True:
        for state in [state for state in states if state.record_due]:
            if record := make_record(state, data, measuring):
                yield state, record
        active = [state for state in states if state.active]
        if not active or not safe_point():
            return
        iteration = min(state.iteration for state in active)
        due = [state for state in active if state.iteration == iteration]
        started = time.perf_counter()
        step(due, data.batch(stream.draw(iteration)))
        record_due = any(iteration + 1 == state.next_record for state in due)
        if record_due and data.device.type == "cuda":
            torch.cuda.synchronize(data.device)  # the time of the work, not of its launch
        elapsed = time.perf_counter() - started
        for state in due:
            state.iteration += 1
            state.interval_seconds += elapsed
            state.seconds += elapsed


def is_broken(state: TrainingState, data: TrainingData) -> bool:
    """Whether a training loss of `state` as it stands is not finite; leaves no trace on it."""
    images, labels = next(data.plain_batches(data.train, state.recipe.batch_size))
    graph_state = replace(state, network=copy.deepcopy(state.network))
    with torch.no_grad():
        loss = F.cross_entropy(forward(graph_state, images).float(), labels)
    return not math.isfinite(loss.item())


def make_record(
    state: TrainingState,
    data: TrainingData,
    measuring: Callable[[TrainingState], bool] = always,
) -> EpochRecord | None:
    """The record due now; None if the loss was not finite since the last, which ends the state.

    Nor may it be after the last update. Raises BrokenOffError once `measuring`, called after every
    batch measured, says False.
    """
    if first_bad := int(state.totals.first_bad.item()):
        state.diverged_at = first_bad
        return None
    recipe = state.recipe
    precision = executed_precision(recipe.precision, state.device)
    number = state.records + 1
    epoch = -(-number // recipe.records_per_epoch)
    images = int(state.totals.images.item())

    def hear(measured: int) -> None:
        state.measured += measured
        if not measuring(state):
            raise EvaluationInterruptedError

    def score(part: Split) -> Score:
        return evaluate(state.network, data, part, precision, hear)

    test = score(data.test)
    # In evaluation mode a deep plain network may overflow that trains on: statistics lag.
    if not math.isfinite(test.loss) and is_broken(state, data):
        state.diverged_at = state.iteration
        return None
    held_out = score(data.validation) if len(data.validation) else None
    clean = precise = precise_test = None
    if state.schedule.clean_due(number):
        clean = score(data.train).error
        with precise_batch_norm(state.network, data, recipe, precision, hear):
            precise = score(data.train).error
            precise_test = score(data.test).error
    record = EpochRecord(
        epoch=epoch,
        iteration=state.iteration,
        learning_rate=learning_rate_at(state.iteration - 1, recipe),
        train_loss=state.totals.loss.item() / images,
        train_error=state.totals.wrong.item() / images,
        clean_train_error=clean,
        precise_train_error=precise,
        test_loss=test.loss,
        test_error=test.error,
        precise_test_error=precise_test,
        validation_loss=held_out.loss if held_out else None,
        validation_error=held_out.error if held_out else None,
        seconds=state.interval_seconds,
        images_per_second=images / state.interval_seconds,
    )
    state.totals.clear()
    state.records, state.interval_seconds = number, 0.0
    state.last_record = record
    return record
