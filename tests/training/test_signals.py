"""What is measured of the layers: against a direct computation, and without a trace."""

import copy
import gc
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.networks.cifar import Block
from resnet_bench.networks.initialization import digest
from resnet_bench.networks.layers import watched, weighted_layers
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.signals import NEIGHBOUR_DISTANCE, effective_rank, measure_layers
from resnet_bench.training.step import eager_step
from tests.support.signal_states import VARIANTS, batch_of, state_of


@pytest.mark.parametrize("name", VARIANTS)
def test_layers_are_counted_as_in_the_paper_and_all_cells_are_filled(name: str) -> None:
    state, data = state_of(name)
    depth = state.run.experiment.spec.depth
    first, *layers = measure_layers(state, data)
    assert [row.layer for row in layers] == list(range(1, depth + 1))
    assert (first.layer, first.name, first.stage, first.kind) == (0, "input", None, "input")
    assert first.response_deviation is first.weight_norm is first.update_ratio is None
    assert all("projection" not in row.name for row in layers)
    assert (layers[0].name, layers[0].stage) == ("conv", 0)
    assert (layers[-1].name, layers[-1].stage, layers[-1].kind) == ("linear", None, "linear")
    per_stage = (depth - 2) // 3
    assert [row.stage for row in layers[1:-1]] == [s for s in (1, 2, 3) for _ in range(per_stage)]
    kinds = ["conv1x1", "conv3x3", "conv1x1"] if "bottleneck" in name else ["conv3x3"]
    assert [row.kind for row in layers[1:-1]] == kinds * ((depth - 2) // len(kinds))
    for row in layers:
        values = [value for value in vars(row).values() if isinstance(value, float)]
        assert all(math.isfinite(value) for value in values)
        assert row.weight_norm == pytest.approx(
            state.network.get_submodule(row.name).get_parameter("weight").norm().item()
        )
        assert row.gradient_correlation is not None


@pytest.mark.parametrize(
    ("name", "steps"),
    [("plain-8", 0), ("plain-8", 2), ("resnet-8-B", 2), ("resnet-14-A-preactivation", 2)],
)
def test_measuring_leaves_no_trace(name: str, steps: int) -> None:
    state, data = state_of(name, steps)
    optimizer = copy.deepcopy(state.optimizer.state_dict())
    weights, random = digest(state.network), torch.get_rng_state()
    gradients = [parameter.grad for parameter in state.network.parameters()]
    before = [None if gradient is None else gradient.clone() for gradient in gradients]
    state.network.eval()
    gc.disable()
    try:
        first = measure_layers(state, data)
        # Nodes of autograd remember the stream they were made on: left alive, they would enter a
        # capture on another one.
        assert not [o for o in gc.get_objects() if type(o) is Tensor and o.grad_fn is not None]
    finally:
        gc.enable()
    assert not state.network.training
    state.network.train()
    assert digest(state.network) == weights
    assert torch.equal(torch.get_rng_state(), random)
    for parameter, gradient, value in zip(
        state.network.parameters(), gradients, before, strict=True
    ):
        assert parameter.grad is gradient
        assert gradient is None or torch.equal(gradient, value)  # type: ignore[arg-type]
    assert_same(state.optimizer.state_dict(), optimizer)
    for module in state.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not isinstance(module, nn.BatchNorm2d) or module.track_running_stats
    assert measure_layers(state, data) == first


def assert_same(state: Any, other: Any) -> None:
    """Nested dictionaries and lists with the same tensors and numbers."""
    if isinstance(other, dict):
        assert state.keys() == other.keys()
        for key in other:
            assert_same(state[key], other[key])
    elif isinstance(other, Tensor):
        assert torch.equal(state, other)
    else:
        assert state == other


def test_plain_8_by_hand() -> None:
    """The second convolution of the second stage, with the network written out around it."""
    state, data = state_of("plain-8", steps=3)
    row = measure_layers(state, data)[5]
    assert (row.name, row.stage, row.iteration) == ("stages.1.0.conv2", 2, 3)
    network = copy.deepcopy(state.network).train()
    images, labels = batch_of(state, data)
    part = network.get_submodule
    x = F.relu(part("bn")(part("conv")(images)))
    x = part("stages.0")(x)
    x = F.relu(part("stages.1.0.bn1")(part("stages.1.0.conv1")(x)))
    response = part("stages.1.0.bn2")(part("stages.1.0.conv2")(x))
    activation = F.relu(response)
    logits = part("linear")(part("stages.2")(activation).mean(dim=(2, 3)))
    loss = -logits.log_softmax(dim=1)[torch.arange(len(labels)), labels].mean()
    weight = part("stages.1.0.conv2").get_parameter("weight")
    at_response, of_weight = torch.autograd.grad(loss, [response, weight])
    assert row.response_deviation == pytest.approx(response.std().item(), rel=1e-3)
    assert row.activation_deviation == pytest.approx(activation.std().item(), rel=1e-3)
    assert row.activation_gradient_norm == pytest.approx(at_response.norm().item(), rel=1e-5)
    assert row.weight_gradient_norm == pytest.approx(of_weight.norm().item(), rel=1e-5)
    assert row.weight_norm == pytest.approx(weight.norm().item(), rel=1e-5)


def test_the_input_by_hand() -> None:
    state, data = state_of("resnet-8-B")
    row = measure_layers(state, data)[0]
    images, labels = batch_of(state, data)
    network = copy.deepcopy(state.network)
    images.requires_grad_()
    F.cross_entropy(network(images), labels).backward()
    assert images.grad is not None
    assert row.activation_gradient_norm == pytest.approx(images.grad.norm().item(), rel=1e-5)
    assert row.activation_deviation == pytest.approx(images.std().item(), rel=1e-3)

    neighbours = images + NEIGHBOUR_DISTANCE * (torch.roll(images, 1, 0) - images)
    pairs = torch.cat([images, neighbours]).detach().requires_grad_()
    logits = network(pairs)
    answer = sum(logits[i, labels[i % len(labels)]] for i in range(len(logits)))
    (gradient,) = torch.autograd.grad(answer, [pairs])
    half = len(images)
    cosines = [
        F.cosine_similarity(gradient[i].flatten(), gradient[i + half].flatten(), dim=0).item()
        for i in range(half)
    ]
    assert row.gradient_correlation == pytest.approx(sum(cosines) / half, abs=1e-5)
    assert 0.5 < sum(cosines) / half < 0.999


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_update_is_what_the_optimizer_then_does(momentum: float, optimizer: str) -> None:
    changes = f"+momentum={momentum}+optimizer={optimizer}+drops=[2]+weight_decay=0.1"
    state, data = state_of(f"plain-8{changes}", steps=2)
    rows = {row.name: row for row in measure_layers(state, data)[1:]}
    before = copy.deepcopy(state.network)
    eager_step([state], batch_of(state, data))
    assert state.optimizer.param_groups[0]["lr"] == learning_rate_at(2, state.recipe) == 0.002
    for name, row in rows.items():
        networks = before, state.network
        old, new = (n.get_submodule(name).get_parameter("weight") for n in networks)
        change = (new - old).norm().item()
        assert change > 0
        assert row.update_ratio == pytest.approx(change / old.norm().item(), rel=1e-5)


def test_without_weight_decay_the_first_update_is_the_rate_times_the_gradient() -> None:
    state, data = state_of("plain-8+weight_decay=0.0")
    for row in measure_layers(state, data)[1:]:
        assert row.weight_gradient_norm is not None
        assert row.weight_norm is not None
        expected = 0.02 * row.weight_gradient_norm / row.weight_norm
        assert row.update_ratio == pytest.approx(expected, rel=1e-3)


def test_batch_norm_over_part_of_a_batch() -> None:
    state, data = state_of("plain-8+batch_norm_images=32")
    rows = measure_layers(state, data)
    images, labels = batch_of(state, data)
    network = copy.deepcopy(state.network)
    images.requires_grad_()
    logits = torch.cat([network(images[:32]), network(images[32:])])
    F.cross_entropy(logits, labels).backward()
    assert images.grad is not None
    assert rows[0].activation_gradient_norm == pytest.approx(images.grad.norm().item(), rel=1e-5)
    assert rows[-1].response_deviation == pytest.approx(logits.std().item(), rel=1e-3)


def test_watching_ends_with_an_error_too() -> None:
    state, _ = state_of("plain-8")
    with pytest.raises(KeyError), watched(state.network, weighted_layers(state.network)):
        raise KeyError
    block = next(m for m in state.network.modules() if isinstance(m, Block))
    assert not block.conv1._forward_hooks
    assert block.last_norm.track_running_stats


def test_the_effective_rank_is_that_of_roy_and_vetterli() -> None:
    equal = torch.eye(4, 6)  # four orthogonal responses of one length
    assert effective_rank([equal]) == pytest.approx(4)
    assert effective_rank([equal[:2], 3 * equal[2:]]) == pytest.approx(
        math.exp(-2 / 8 * math.log(1 / 8) - 6 / 8 * math.log(3 / 8))  # shares 1, 1, 3, 3 of 8
    )
    alike = torch.tensor([[1.0], [2.0], [-3.0]]) * torch.ones(5)
    assert effective_rank([alike]) == pytest.approx(1, abs=1e-3)
    assert effective_rank([torch.zeros(3, 2)]) is None
    assert effective_rank([torch.full((3, 2), math.inf)]) is None
