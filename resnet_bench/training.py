"""The training loop: all members of a group, on the same batches, in lockstep.

A single run is a group of one. How a step is executed is handed in, so that the readable loop
and a fast one cannot drift apart. Nothing here writes to disk.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.architectures import build_network
from resnet_bench.batches import BatchStream
from resnet_bench.data import TrainingData
from resnet_bench.evaluation import evaluate, precise_batch_norm
from resnet_bench.experiments import Run
from resnet_bench.initialization import initialize
from resnet_bench.precision import autocast, executed_precision
from resnet_bench.records import EpochRecord
from resnet_bench.schedule import learning_rate_at
from resnet_bench.specification import Recipe


@dataclass
class Totals:
    """Sums since the last record; they stay on the device, so that a step waits for nothing."""

    loss: Tensor  # float64 (): sum of the batches' mean losses times their images
    wrong: Tensor  # int64 (): images classified wrongly
    images: Tensor  # int64 ()
    steps: Tensor  # int64 (): iterations since the start of the run
    first_bad: Tensor  # int64 (): the first iteration, from 1, with a non-finite loss; 0 if none

    @classmethod
    def zeros(cls, device: torch.device) -> "Totals":
        integers = [torch.zeros((), dtype=torch.int64, device=device) for _ in range(4)]
        return cls(torch.zeros((), dtype=torch.float64, device=device), *integers)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch; in place, without looking at a value."""
        self.steps += 1
        self.images += len(labels)
        self.loss += loss.double() * len(labels)
        self.wrong += (logits.argmax(dim=1) != labels).sum()
        bad_now = ~torch.isfinite(loss) & (self.first_bad == 0)
        self.first_bad += self.steps * bad_now

    def clear(self) -> None:
        for total in (self.loss, self.wrong, self.images):
            total.zero_()


@dataclass
class Member:
    """One run inside a group: its network, optimizer and place in the training."""

    run: Run
    network: nn.Module
    optimizer: torch.optim.Optimizer
    totals: Totals
    device: torch.device
    iteration: int = 0  # iterations done
    records: int = 0  # records made
    interval_seconds: float = 0.0  # training time of the group since the last record
    seconds: float = 0.0  # the same since the start, over all attempts
    diverged_at: int | None = None  # the first iteration, from 1, whose loss was not finite
    measured: int = 0  # images passed forward for the records, over all attempts
    last_record: EpochRecord | None = field(default=None, repr=False)

    @property
    def recipe(self) -> Recipe:
        return self.run.experiment.recipe

    def next_record(self, stream: BatchStream) -> int:
        """The iteration after which the next record is due."""
        due = stream.record_end(self.records + 1, self.recipe.records_per_epoch)
        return min(due, self.recipe.iterations)

    @property
    def recorded_at(self) -> int:
        """The iteration up to which records say everything; 0 without one."""
        return self.last_record.iteration if self.last_record else 0

    @property
    def finished(self) -> bool:
        return self.diverged_at is None and self.recorded_at == self.recipe.iterations

    @property
    def living(self) -> bool:
        """Whether there is something to train or to record."""
        return self.diverged_at is None and self.recorded_at < self.recipe.iterations

    def lacks_record(self, stream: BatchStream) -> bool:
        """Whether the next thing to do is a record: after its iteration, or broken off in it."""
        return self.living and self.recorded_at < self.iteration == self.next_record(stream)


Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), labels (B,)
Step = Callable[[Sequence[Member], Batch], None]


def new_member(run: Run, device: torch.device) -> Member:
    """A member at iteration 0, with the initial weights of its seed."""
    experiment = run.experiment
    network = build_network(experiment.network, experiment.images)
    initialize(network, run.seed, experiment.recipe)
    # channels_last is what both oneDNN and cuDNN convolve fastest.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = new_optimizer(network, experiment.recipe)
    return Member(run, network.train(), optimizer, Totals.zeros(device), device)


def new_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with momentum (section 3.4), or Adam (Kingma and Ba 2015) with PyTorch's constants."""
    parameters, rate, decay = network.parameters(), recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adam":
        betas = (recipe.momentum, 0.999)
        capturable = next(network.parameters()).is_cuda  # its step can be a CUDA graph
        return torch.optim.Adam(
            parameters, rate, betas, weight_decay=decay, fused=True, capturable=capturable
        )
    return torch.optim.SGD(parameters, rate, recipe.momentum, weight_decay=decay, fused=True)


def eager_step(members: Sequence[Member], batch: Batch) -> None:
    """Train each member on `batch`, one operation after another."""
    images, labels = batch
    for member in members:
        for group in member.optimizer.param_groups:
            group["lr"] = learning_rate_at(member.iteration, member.recipe)
        logits = forward(member, images)
        loss = F.cross_entropy(logits.float(), labels)
        member.optimizer.zero_grad()
        loss.backward()
        member.optimizer.step()
        with torch.no_grad():
            member.totals.add(loss.detach(), logits, labels)


def forward(member: Member, images: Tensor) -> Tensor:
    """Logits of `member` in train mode, in its recipe's precision and batch norm group size."""
    recipe = member.recipe
    with autocast(executed_precision(recipe.precision, member.device), member.device):
        if recipe.batch_norm_images == "batch":
            return member.network(images)
        return torch.cat([member.network(part) for part in images.split(recipe.batch_norm_images)])


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
        for member in [member for member in members if member.lacks_record(stream)]:
            if record := make_record(member, stream, data, measuring):
                yield member, record
        living = [member for member in members if member.living]
        if not living or not safe_point():
            return
        iteration = min(member.iteration for member in living)
        standing = [member for member in living if member.iteration == iteration]
        started = time.perf_counter()
        step(standing, data.batch(stream.draw(iteration)))
        due = any(iteration + 1 == member.next_record(stream) for member in standing)
        if due and data.device.type == "cuda":
            torch.cuda.synchronize(data.device)  # the time of the work, not of its launch
        elapsed = time.perf_counter() - started
        for member in standing:
            member.iteration += 1
            member.interval_seconds += elapsed
            member.seconds += elapsed


def make_record(
    member: Member,
    stream: BatchStream,
    data: TrainingData,
    measuring: Callable[[Member], bool] = always,
) -> EpochRecord | None:
    """The record due now; None if the loss was not finite since the last, which ends the member.

    Raises BrokenOffError once `measuring`, called after every batch measured, says False.
    """
    if first_bad := int(member.totals.first_bad.item()):
        member.diverged_at = first_bad
        return None
    recipe, network = member.recipe, member.network
    precision = executed_precision(recipe.precision, member.device)
    number = member.records + 1
    epoch = -(-number // recipe.records_per_epoch)
    images = int(member.totals.images.item())

    def hear(measured: int) -> None:
        member.measured += measured
        if not measuring(member):
            raise BrokenOffError

    test = evaluate(network, data, data.test, precision, hear)
    held_out = None
    if len(data.validation):
        held_out = evaluate(network, data, data.validation, precision, hear)
    clean = precise = precise_test = None
    if stream.clean_due(number):
        clean = evaluate(network, data, data.train, precision, hear).error
        with precise_batch_norm(network, data, recipe, precision, hear):
            precise = evaluate(network, data, data.train, precision, hear).error
            precise_test = evaluate(network, data, data.test, precision, hear).error
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
