"""What the gates of the fast path rest on: a GPU's own kernels; skipped where there is none."""

from collections.abc import Iterator

import pytest
import torch

from resnet_bench.networks.initialization import digest
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
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
