"""The state of a run in training: network, optimizer, totals; nothing here writes to disk."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from resnet_bench.cures.treatment import treated_optimizer
from resnet_bench.cures.trial import tried_network
from resnet_bench.records.epochs import EpochRecord
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.recipe import Recipe
from resnet_bench.training.precision import as_float64, float64_device
from resnet_bench.training.schedule import RecordSchedule


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
        device = float64_device(device)
        integers = [torch.zeros((), dtype=torch.int64, device=device) for _ in range(4)]
        return cls(torch.zeros((), dtype=torch.float64, device=device), *integers)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch; in place, without looking at a value."""
        self.steps += 1
        self.images += len(labels)
        self.loss += as_float64(loss) * len(labels)
        self.wrong += (logits.argmax(dim=1) != labels).sum().to(self.wrong.device)
        bad_now = ~torch.isfinite(loss).to(self.wrong.device) & (self.first_bad == 0)
        self.first_bad += self.steps * bad_now

    def clear(self) -> None:
        for total in (self.loss, self.wrong, self.images):
            total.zero_()


@dataclass
class TrainingState:
    """A run in training: its network, its optimizer, and how far it is."""

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

    @property
    def schedule(self) -> RecordSchedule:
        return RecordSchedule(self.recipe, self.run.experiment.train_images)

    @property
    def next_record(self) -> int:
        """The iteration after which the next record is due."""
        return self.schedule.record_end(self.records + 1)

    @property
    def recorded_at(self) -> int:
        """The iteration up to which records say everything; 0 without one."""
        return self.last_record.iteration if self.last_record else 0

    @property
    def finished(self) -> bool:
        return self.diverged_at is None and self.recorded_at == self.recipe.iterations

    @property
    def active(self) -> bool:
        """Whether something is left to train or to record."""
        return self.diverged_at is None and self.recorded_at < self.recipe.iterations

    def add(self, record: EpochRecord) -> None:
        """Note that `record` was made, and start the sums of the next one."""
        self.totals.clear()
        self.records, self.interval_seconds = self.records + 1, 0.0
        self.last_record = record

    @property
    def record_due(self) -> bool:
        """Whether the record of this iteration is not made yet, or was interrupted."""
        return self.active and self.recorded_at < self.iteration == self.next_record


def new_state(run: Run, device: torch.device) -> TrainingState:
    """The state at iteration 0, with the weights of `run.start` or else the seed's initial ones."""
    experiment = run.experiment
    network = tried_network(experiment, run.seed)
    if run.start is not None:
        network.load_state_dict(torch.load(run.start, weights_only=True))
    # channels_last is what both oneDNN and cuDNN convolve fastest.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = treated_optimizer(network, experiment) or new_optimizer(network, experiment.recipe)
    return TrainingState(run, network.train(), optimizer, Totals.zeros(device), device)


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
