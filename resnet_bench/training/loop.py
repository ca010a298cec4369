"""The training loop: all members of a group, on the same batches, in lockstep.

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
from resnet_bench.training.data import Part, TrainingData
from resnet_bench.training.evaluation import Score, evaluate, precise_batch_norm
from resnet_bench.training.precision import executed_precision
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import Member
from resnet_bench.training.step import Step, eager_step, forward


class BrokenOffError(Exception):
    """A record was broken off; its member stands before it, and can be saved."""


def always(*_: object) -> bool:
    return True


def train(
    members: Sequence[Member],
    stream: BatchStream,
    data: TrainingData,
    *,
    step: Step = eager_step,
    safe_point: Callable[[], bool] = always,
    measuring: Callable[[Member], bool] = always,
) -> Iterator[tuple[Member, EpochRecord]]:
    """Train until every member is finished or has diverged, yielding each record as it is due.

    A member that is ahead of the others, after a resume, waits for them. `safe_point` is called
    before every iteration, when everything about a member can be saved; False ends the training.
    `measuring` is called after every batch that is measured for a record; on False raises
    BrokenOffError, and the record is the first thing to do for whoever goes on.
    """
    while True:
        for member in [member for member in members if member.lacks_record]:
            if record := make_record(member, data, measuring):
                yield member, record
        living = [member for member in members if member.living]
        if not living or not safe_point():
            return
        iteration = min(member.iteration for member in living)
        standing = [member for member in living if member.iteration == iteration]
        started = time.perf_counter()
        step(standing, data.batch(stream.draw(iteration)))
        due = any(iteration + 1 == member.next_record for member in standing)
        if due and data.device.type == "cuda":
            torch.cuda.synchronize(data.device)  # the time of the work, not of its launch
        elapsed = time.perf_counter() - started
        for member in standing:
            member.iteration += 1
            member.interval_seconds += elapsed
            member.seconds += elapsed


def is_broken(member: Member, data: TrainingData) -> bool:
    """Whether a training loss of `member` as it stands is not finite; leaves no trace on it."""
    images, labels = next(data.plain_batches(data.train, member.recipe.batch_size))
    stand_in = replace(member, network=copy.deepcopy(member.network))
    with torch.no_grad():
        loss = F.cross_entropy(forward(stand_in, images).float(), labels)
    return not math.isfinite(loss.item())


def make_record(
    member: Member,
    data: TrainingData,
    measuring: Callable[[Member], bool] = always,
) -> EpochRecord | None:
    """The record due now; None if the loss was not finite since the last, which ends the member.

    Nor may it be after the last update. Raises BrokenOffError once `measuring`, called after every
    batch measured, says False.
    """
    if first_bad := int(member.totals.first_bad.item()):
        member.diverged_at = first_bad
        return None
    recipe = member.recipe
    precision = executed_precision(recipe.precision, member.device)
    number = member.records + 1
    epoch = -(-number // recipe.records_per_epoch)
    images = int(member.totals.images.item())

    def hear(measured: int) -> None:
        member.measured += measured
        if not measuring(member):
            raise BrokenOffError

    def score(part: Part) -> Score:
        return evaluate(member.network, data, part, precision, hear)

    test = score(data.test)
    # In evaluation mode a deep plain network may overflow that trains on: statistics lag.
    if not math.isfinite(test.loss) and is_broken(member, data):
        member.diverged_at = member.iteration
        return None
    held_out = score(data.validation) if len(data.validation) else None
    clean = precise = precise_test = None
    if member.schedule.clean_due(number):
        clean = score(data.train).error
        with precise_batch_norm(member.network, data, recipe, precision, hear):
            precise = score(data.train).error
            precise_test = score(data.test).error
    record = EpochRecord(
        epoch=epoch,
        iteration=member.iteration,
        learning_rate=learning_rate_at(member.iteration - 1, recipe),
        train_loss=member.totals.loss.item() / images,
        train_error=member.totals.wrong.item() / images,
        clean_train_error=clean,
        precise_train_error=precise,
        test_loss=test.loss,
        test_error=test.error,
        precise_test_error=precise_test,
        validation_loss=held_out.loss if held_out else None,
        validation_error=held_out.error if held_out else None,
        seconds=member.interval_seconds,
        images_per_second=images / member.interval_seconds,
    )
    member.totals.clear()
    member.records, member.interval_seconds = number, 0.0
    member.last_record = record
    return record
