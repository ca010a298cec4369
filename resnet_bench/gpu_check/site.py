"""Where the gates are tried: a device, networks of a suite, few random images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from resnet_bench.benchmarks.yardsticks import Setting, synthetic_images
from resnet_bench.datasets.load import Images
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu.norms import use_norm
from resnet_bench.gpu.setting import Norm, Speedup
from resnet_bench.networks.initialization import digest
from resnet_bench.records.epochs import TIME_COLUMNS
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.recipe import Precision
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.loop import train
from resnet_bench.training.precision import executed_precision, set_determinism, set_precision
from resnet_bench.training.state import TrainingState, new_state

States = Sequence[TrainingState]


class GateError(Exception):
    """The GPU, or a library, does not compute what it must; says what differs."""


@dataclass(frozen=True)
class Site:
    """The networks of `suite` at full size, on random images: values do not matter here."""

    device: torch.device
    suite: str = "cifar10"
    names: tuple[str, ...] = ("plain-56", "resnet-20-A", "resnet-56-B")  # of gates with few
    steps: int = 50
    batch: int = 128
    make_step: Callable[..., LaneStep] = field(default=LaneStep)
    norm: Norm = "cudnn"
    speedups: tuple[Speedup, ...] = ()

    @property
    def drop(self) -> int:
        """When the learning rate drops: in the life of a graph."""
        return self.steps // 2

    @property
    def train_images(self) -> int:
        """Two and a half epochs of training: two records are made in mid-run."""
        return self.batch * self.steps * 2 // 5

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """Of all networks, by name, in training of `steps` iterations on few images."""
        suite = load_suite(self.suite)
        train, test = self.train_images, 4 * self.batch
        few = replace(suite.dataset, train_images=train, test_images=test)
        short = {"iterations": self.steps, "drops": (self.drop,), "batch_size": self.batch}
        recipe = suite.recipe.model_copy(update=short | {"clean_every": 1})
        return {e.network_name: replace(e, dataset=few, recipe=recipe) for e in suite.experiments}

    @cached_property
    def images(self) -> tuple[Images, Images]:
        return synthetic_images(next(iter(self.experiments.values())).dataset)

    @cached_property
    def data(self) -> TrainingData:
        return TrainingData(next(iter(self.experiments.values())), *self.images, self.device)

    @property
    def stream(self) -> BatchStream:
        return BatchStream(next(iter(self.experiments.values())).recipe, self.train_images, 0)

    @property
    def full(self) -> Setting:
        """The suite's own experiments on as many random images as it has."""
        suite = load_suite(self.suite)
        return Setting(suite.experiments, synthetic_images(suite.dataset), self.device)

    def states(self, names: Sequence[str], precision: Precision) -> list[TrainingState]:
        """New states; sets this process to their precision."""
        set_determinism(True, self.device)
        set_precision(executed_precision(precision, self.device), self.device)
        change = {"precision": precision}
        chosen = [self.experiments[name] for name in names]
        states = [
            new_state(Run(replace(e, recipe=e.recipe.model_copy(update=change)), 0), self.device)
            for e in chosen
        ]
        for state in states:
            use_norm(state.network, self.norm)
        return states

    def step_of(self, states: States, **options: object) -> LaneStep:
        return self.make_step(states, speedups=self.speedups, **options)

    def train(
        self,
        states: States,
        step: LaneStep | None = None,
        should_continue: Callable[[], bool] | None = None,
        **options: object,
    ) -> list[float]:
        """Train the group to its end, or as far as `should_continue` says; its records' losses."""
        made = step or self.step_of(states, **options)
        functions = {"step": made, "measure": made.measure, "should_continue": should_continue}
        try:
            rows = train(states, self.stream, self.data, **functions)  # type: ignore[arg-type]
            return [loss for _, row in rows for loss in (row.train_loss, row.test_loss)]
        finally:
            made.close()


def require_equal(states: States, others: States) -> None:
    """Raises GateError unless weights, optimizers' state, totals and last records are equal."""
    for state, other in zip(states, others, strict=True):
        name = state.run.experiment.network_name
        if digest(state.network) != digest(other.network):
            raise GateError(f"{name}: other weights or statistics")
        pairs = zip(
            state.optimizer.state_dict()["state"].values(),
            other.optimizer.state_dict()["state"].values(),
            strict=True,
        )
        for ours, theirs in pairs:
            if not all(torch.equal(ours[key], theirs[key]) for key in theirs):
                raise GateError(f"{name}: another state of the optimizer")
        for key, total in vars(other.totals).items():
            if not torch.equal(getattr(state.totals, key), total):
                raise GateError(f"{name}: another total: {key}")
        found = _recorded(state)
        for key, text in _recorded(other).items():
            if found.get(key) != text:
                raise GateError(f"{name}: another {key}")


def _recorded(state: TrainingState) -> dict[str, str]:
    """The last record without its times; as text, in which NaN equals itself."""
    columns = vars(state.last_record) if state.last_record else {}
    return {key: str(value) for key, value in columns.items() if key not in TIME_COLUMNS}
