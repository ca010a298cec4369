"""Each gate passes on a CPU, with the stand-in for graphs, and notices the fault it is for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resnet_bench.gpu import casts, evaluation
from resnet_bench.gpu.captured_step import CapturedStep
from resnet_bench.gpu.lockstep import LaneStep
from resnet_bench.gpu_check import fused, gates, plan
from resnet_bench.gpu_check.parts import Part
from resnet_bench.gpu_check.site import GateError, Site
from resnet_bench.suites.recipe import Precision
from resnet_bench.training import checkpoints, data
from resnet_bench.training.evaluation import score_batch
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, eager_step
from tests.support.kernels import DEVICE, needs_triton
from tests.support.recording import record_graph

CPU = torch.device("cpu")
make_step: Callable[..., LaneStep] = partial(LaneStep, capture=record_graph)
PARTS = {part.name: part for part in (*plan.gates(), *plan.gates_of_speedups())}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """The smallest networks, on 8x8 images."""
    monkeypatch.setattr(data, "CPU_IMAGES", 40)  # of 64: a whole batch, and a short one
    monkeypatch.setattr(gates, "FLAT_STEPS", 4)
    monkeypatch.setattr(gates, "FLAT_BLOCK", 2)
    return Site(CPU, "smoke", ("plain-8", "resnet-14-A", "resnet-8-B"), 10, 16, make_step)


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
def test_each_gate_passes(site: Site, part: Part) -> None:
    said = part.work(site)
    assert said
    assert "\n" not in said


@needs_triton
def test_the_gates_of_the_fused_norm(site: Site) -> None:
    """Kernels are interpreted here, and slow: of the gates that train, only what they train."""
    values, *training = plan.gates_of_fused_norm()
    said = values.work(replace(site, batch=4, device=DEVICE))
    assert said.startswith("float32 off by ")

    def norms_of(site: Site, precision: Precision) -> str:
        modules = site.states(site.names, precision)[0].network.modules()
        return str({type(module).__name__ for module in modules if "Norm" in str(type(module))})

    assert [part.work.keywords["gate"] for part in training] == [  # type: ignore[attr-defined]
        gates.graphs_are_eager_steps,
        gates.together_is_alone,
    ]
    (work, *_) = [part.work for part in training]
    assert work(site, gate=norms_of) == "{'FusedBatchNorm'}"  # type: ignore[call-arg]


@needs_triton
def test_a_fused_norm_that_forgets_its_last_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_bench.gpu import norm_operations

    monkeypatch.setattr(norm_operations.Grid, "of_tiles", (1, 1))
    with pytest.raises(GateError, match=r"off by .* in torch.float32, maps \(16, 16, 8, 8\)"):
        fused.fused_norm_is_float64(replace(site, device=DEVICE))


def broken(site: Site, change: Callable[[TrainingState], None]) -> Site:
    """A site whose steps change something in the states, if there are several."""

    class Broken(LaneStep):
        def __call__(self, states: Sequence[TrainingState], batch: Batch) -> None:
            super().__call__(states, batch)
            if len(states) > 1:
                change(states[0])

    return replace(site, make_step=partial(Broken, capture=record_graph))


@torch.no_grad()
def nudge(state: TrainingState) -> None:
    next(state.network.parameters()).mul_(1.001)


def frozen_rate(step: CapturedStep, batch: Batch) -> None:
    step.state.optimizer.param_groups[0]["lr"] = 0.02
    eager_step([step.state], batch)


def test_a_frozen_rate(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CapturedStep, "with_fewer_kernels", frozen_rate)
    with pytest.raises(GateError, match="other losses"):
        gates.graphs_are_eager_steps(site, "tf32")


@pytest.mark.parametrize(
    ("gate", "message"),
    [("casts", "other losses"), ("evaluation", "other losses"), ("speedups", "another test_loss")],
)
def test_a_speedup_that_changes_bits(
    site: Site, monkeypatch: pytest.MonkeyPatch, gate: str, message: str
) -> None:
    """Weights that are cast to something smaller; losses that count twice."""
    copied = casts._copied
    monkeypatch.setattr(casts, "_copied", lambda ts, d: copied(tuple(0.999 * t for t in ts), d))

    def doubled(*batch: Any) -> tuple[Tensor, Tensor]:
        loss, wrong = score_batch(*batch)
        return 2 * loss, wrong

    monkeypatch.setattr(evaluation, "score_batch", doubled)
    (part,) = [part for part in plan.gates_of_speedups() if part.name.endswith(gate)]
    with pytest.raises(GateError, match=message):
        part.work(site)


def test_lanes_that_touch_each_other(site: Site) -> None:
    with pytest.raises(GateError, match="other weights"):
        gates.together_is_alone(broken(site, nudge), "tf32")


def test_a_checkpoint_that_loses_momentum(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    load = checkpoints.load

    def forgetful(state: TrainingState, path: Any) -> None:
        load(state, path)
        for buffers in state.optimizer.state.values():
            buffers["momentum_buffer"].zero_()

    monkeypatch.setattr(checkpoints, "load", forgetful)
    with pytest.raises(GateError, match="other weights"):
        gates.resumed_is_uninterrupted(site, "tf32")


def test_layers_that_leave_a_trace(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "measure_layers", lambda state, _: [nudge(state)])
    with pytest.raises(GateError, match="other weights"):
        gates.measuring_layers_changes_nothing(site, "tf32")


def test_other_pixels(site: Site) -> None:
    site.data.padded_mean.add_(1e-7)
    with pytest.raises(GateError, match="other pixels"):
        gates.batches_are_the_cpus(site)


def test_a_precision_that_is_not_what_it_says(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(states: Sequence[TrainingState], batch: Batch) -> None:
        images, labels = batch
        if images.dtype == torch.float32:
            images = images.bfloat16().float()
        eager_step(states, (images, labels))

    monkeypatch.setattr(gates, "eager_step", coarse)
    with pytest.raises(GateError, match="IEEE is off by"):
        gates.ieee_is_float64(site)


def test_a_batch_norm_that_keeps_its_first_momentum(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            self.momentum = 0.1
            return super().forward(input)

    monkeypatch.setattr(nn, "BatchNorm2d", Stuck)
    with pytest.raises(GateError, match="off by"):
        gates.batch_norm_reads_its_momentum(site)


def test_memory_that_grows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([1.0, 1.5])
    monkeypatch.setattr(gates, "_reserved_gibibytes", lambda _: next(sizes))
    with pytest.raises(GateError, match=r"memory grows: 1\.00, 1\.50 GiB"):
        gates.memory_stays_flat(site, "tf32")
