"""What the gates of the fast path rest on: a GPU's own kernels; skipped where there is none."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from resnet_bench.datasets.load import load_dataset
from resnet_bench.networks.initialization import digest
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import executed_precision, set_determinism, set_precision
from resnet_bench.training.state import TrainingState, new_state
from resnet_bench.training.step import eager_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    set_determinism(True, GPU)
    yield
    torch.use_deterministic_algorithms(False)


def trained(name: str, precision: str) -> TrainingState:
    """After ten eager steps of full size, alone on the GPU."""
    run = Run(find_experiment(f"cifar10/{name}+precision={precision}"), 0)
    set_precision(executed_precision(run.experiment.recipe.precision, GPU), GPU)
    state = new_state(run, GPU)
    generator = torch.Generator(GPU).manual_seed(0)
    for _ in range(10):
        images = torch.randn((128, 3, 32, 32), device=GPU, generator=generator)
        labels = torch.randint(10, (128,), device=GPU, generator=generator)
        eager_step([state], (images.to(memory_format=torch.channels_last), labels))
        state.iteration += 1
    return state


@pytest.mark.parametrize("precision", ["ieee", "tf32", "bf16"])
@pytest.mark.parametrize("name", ["plain-56", "resnet-20-B"])
def test_eager_steps_repeat_to_the_bit(name: str, precision: str) -> None:
    """Where this fails a library's kernel is not deterministic, and no gate of graphs can hold."""
    first, second = trained(name, precision), trained(name, precision)
    assert digest(first.network) == digest(second.network)
    assert torch.equal(first.totals.loss, second.totals.loss)


@pytest.mark.parametrize("name", ["digits/resnet-20-A", "digits/resnet-20-B"])
def test_an_ieee_run_is_the_cpus_in_float64(name: str) -> None:
    """Up to rounding; TF32 is not that, so that the names of the precisions are honest."""
    losses = []
    for device, precision in ((CPU, "ieee"), (GPU, "ieee"), (GPU, "tf32")):
        run = Run(find_experiment(f"{name}+drops=[]+iterations=3+precision={precision}"), 0)
        set_precision(executed_precision(run.experiment.recipe.precision, device), device)
        state = new_state(run, device)
        data = TrainingData(run.experiment, *load_dataset(run.experiment.dataset), device)
        if device == CPU:
            state.network.double()
        stream = BatchStream(state.recipe, run.experiment.train_images, 0)
        for iteration in range(3):
            images, labels = data.batch(stream.draw(iteration))
            eager_step([state], (images.double() if device == CPU else images, labels))
            state.iteration += 1
        losses.append(state.totals.loss.item())
    exact, ieee, tf32 = losses
    assert ieee == pytest.approx(exact, rel=1e-5)
    assert tf32 != ieee


def test_batches_are_the_cpus_to_the_bit() -> None:
    experiment = find_experiment("digits/plain-20+padding=2+flip=true")
    images = load_dataset(experiment.dataset)
    draw = BatchStream(experiment.recipe, experiment.train_images, 0).draw(0)
    ours, theirs = (TrainingData(experiment, *images, d).batch(draw) for d in (GPU, CPU))
    assert torch.equal(ours[0].cpu(), theirs[0])
    assert torch.equal(ours[1].cpu(), theirs[1])


def test_batch_norm_reads_its_momentum_at_every_call() -> None:
    """A plan kept from the call before, with its momentum, would spoil the precise statistics."""
    generator = torch.Generator(GPU).manual_seed(0)
    norm = nn.BatchNorm2d(16, device=GPU)
    sums = torch.zeros(16, device=GPU)
    for number, momentum in enumerate((0.1, 1.0, 1 / 2, 1 / 3, 1 / 4)):
        images = torch.randn((128, 16, 32, 32), device=GPU, generator=generator) + number
        norm.momentum = momentum
        norm(images.to(memory_format=torch.channels_last))
        if number > 0:  # the second call, with momentum 1, forgets the first
            sums += images.mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, sums / 4, rtol=1e-4, atol=1e-4)
