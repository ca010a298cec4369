"""The shipped cures: each has the property that its source defines it by, and trains in a group."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.cures.treatment import change_gradients, treated_network, treated_optimizer
from resnet_bench.networks.cifar import Block, CifarNet
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.suites.cure_file import cure_files, find_cure
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import find_experiment, load_suite
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from tests.support.runs_on_disk import assert_same, stop_at

RESIDUAL = {"rezero", "skipinit", "scaled-branch", "fixup"}
# Not every file in experiments/cures: a user may have added some.
SHIPPED = sorted({cure.name for e in load_suite("digits-cures").experiments for cure in e.cures})


def cured(name: str, network: str = "plain-14", **options: Any) -> Experiment:
    """An experiment of the smoke suite with a shipped cure."""
    spec = find_cure(name, options, SUITES_FOLDER, "test")
    return replace(find_experiment(f"smoke/{network}"), cures=(spec,))


def network_of(name: str, network: str = "plain-14", **options: Any) -> CifarNet:
    built = treated_network(cured(name, network, **options), 0)
    assert isinstance(built, CifarNet)
    return built


def blocks_of(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, Block)]


def images(count: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def watched_blocks(network: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Input and output of every block."""
    seen: list[tuple[Tensor, Tensor]] = []
    handles = [
        block.register_forward_hook(lambda _, i, o: seen.append((i[0].detach(), o.detach())))
        for block in blocks_of(network)
    ]
    network(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_mirrored_weights_make_a_plain_network_linear(weights: str) -> None:
    """In evaluation mode, where batch norm is a fixed linear map; other weights do not."""
    for name, linear in (("mirrored", True), ("delta-orthogonal", False)):
        options = {"weights": weights} if linear else {}
        net = network_of(name, **options).eval().double()
        x, y = images(seed=1).double(), images(seed=2).double()
        zero = net(torch.zeros_like(x))
        together, apart = net(x + 2 * y) - zero, (net(x) - zero) + 2 * (net(y) - zero)
        assert torch.allclose(together, apart, atol=1e-8) == linear


def test_mirrored_weights_stay_mirrored_through_batch_norm_in_train_mode() -> None:
    net = network_of("mirrored").train()
    x = net.bn(net.conv(images()))
    half = x.shape[1] // 2
    assert torch.allclose(x[:, :half], -x[:, half:], atol=1e-5)


def test_mirrored_orthogonal_weights_are_orthogonal() -> None:
    weight = blocks_of(network_of("mirrored", gain=3.0))[0].conv1.weight
    half = weight[:8, :8].flatten(1)
    assert torch.allclose(half @ half.T, 9 * torch.eye(8), atol=1e-4)


@pytest.mark.parametrize(("network", "tolerance"), [("plain-14", 0.02), ("resnet-14-A", 1e-5)])
def test_added_blocks_begin_as_identities(network: str, tolerance: float) -> None:
    """On what such a block receives: the ReLU of batch norm's output, normal in a wide network."""
    net = network_of("identity", network, shallow=8).train()
    pairs = watched_blocks(net, images(256))
    for number, (x, y) in enumerate(pairs):
        is_added = number % 2 == 1  # of two blocks in each stage one is added
        error = (x - y).square().mean() / x.var() if x.shape == y.shape else torch.tensor(2.0)
        near = error.item() < tolerance
        assert near == is_added


def test_dirac_kernels_are_a_multiple_of_the_identity_plus_rows_of_a_fixed_norm() -> None:
    convolution = blocks_of(network_of("dirac", identity=2.0, free=0.5))[1].conv2
    dirac = nn.init.dirac_(torch.zeros_like(convolution.weight))
    free = (convolution.kernel() - 2 * dirac).flatten(1)
    assert torch.allclose(free.norm(dim=1), torch.full((16,), 0.5), atol=1e-5)
    assert torch.allclose(F.normalize(free), F.normalize(convolution.weight.flatten(1)), atol=1e-5)


def test_delta_orthogonal_convolutions_keep_the_norm() -> None:
    net = network_of("delta-orthogonal", gain=1.0)
    x = torch.randn(4, 16, 8, 8)
    y = blocks_of(net)[0].conv1(x)
    assert torch.allclose(x.norm(), y.norm(), rtol=1e-4)


@pytest.mark.parametrize("name", ["rezero", "skipinit"])
def test_a_zero_factor_makes_a_block_its_shortcut(name: str) -> None:
    net = network_of(name, "resnet-14-A").train()
    for block, (x, y) in zip(blocks_of(net), watched_blocks(net, images()), strict=True):
        assert torch.equal(y, block.shortcut(x))
        assert block.factor.shape == ()
    has_norm = any(isinstance(m, nn.BatchNorm2d) for m in blocks_of(net)[0].modules())
    assert has_norm == (name == "rezero")


def test_scaled_branches_add_up_to_one() -> None:
    factors = [block.factor for block in blocks_of(network_of("scaled-branch", "resnet-14-A"))]
    assert sum(factor**2 for factor in factors) == pytest.approx(1)


def test_fixup_begins_with_zero_logits_and_scaled_weights() -> None:
    net = network_of("fixup", "resnet-14-A")
    control = treated_network(find_experiment("smoke/resnet-14-A"), 0)
    assert torch.equal(net(images()), torch.zeros(16, 10))
    ours, theirs = (blocks_of(n)[0].conv1.weight for n in (net, control))
    assert torch.allclose(ours * math.sqrt(6), theirs)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.stages.modules())


def step_of(name: str, **options: Any) -> tuple[dict[str, Tensor], dict[str, Tensor], nn.Module]:
    """Weights before and after one large step, and the network."""
    experiment = cured(name, **options)
    net = treated_network(experiment, 0).train()
    optimizer = treated_optimizer(net, experiment)
    assert optimizer is not None
    before = {key: p.detach().clone() for key, p in net.named_parameters()}
    F.cross_entropy(1000 * net(images()), torch.arange(16) % 10).backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    return before, {key: p.detach() for key, p in net.named_parameters()}, net


def test_a_clipped_update_is_at_most_its_share() -> None:
    before, after, _ = step_of("update-clip", share=0.01)
    for name, old in before.items():
        if old.ndim > 1:
            share = ((after[name] - old).norm() / old.norm()).item()
            assert share <= 0.01 * 1.001
    assert share == pytest.approx(0.01, rel=1e-3)  # the linear layer's was larger


def test_lars_moves_every_weight_by_the_same_share() -> None:
    before, after, _ = step_of("lars", trust=0.02)
    shares = [
        ((after[name] - old).norm() / old.norm()).item()
        for name, old in before.items()
        if old.ndim > 1
    ]
    assert shares == pytest.approx([0.1 * 0.02] * len(shares), rel=1e-3)


def test_muons_steps_are_orthogonal() -> None:
    before, after, _ = step_of("muon")
    name = "stages.0.0.conv1.weight"
    change = (after[name] - before[name] * (1 - 0.1 * 1e-4)).detach().flatten(1)
    singular = torch.linalg.svdvals(change)
    assert singular.max() / singular.min() < 2  # five steps bring them to 0.7 to 1.2
    assert singular.mean() == pytest.approx(0.1, rel=0.2)


def test_shaped_activations_map_unrelated_inputs_to_the_correlation_asked_for() -> None:
    block = blocks_of(network_of("shaped-activation", correlation=0.5))[0]
    assert 0 < block.slope < 1
    numbers = torch.randn(10**6, dtype=torch.float64)
    assert block.activation(numbers).square().mean() == pytest.approx(1, abs=0.01)
    module = sys.modules["cure_shaped_activation"]
    assert module.mapped(14, block.slope) == pytest.approx(0.5, abs=1e-6)


def test_a_decaying_shortcut_is_gone_when_it_says() -> None:
    experiment = cured("decaying-shortcut", until=0.5)
    net = treated_network(experiment, 0)
    strengths = [float(blocks_of(net)[0].strength)]
    for _ in range(20):
        change_gradients(net, experiment)
        strengths.append(float(blocks_of(net)[0].strength))
    assert strengths[0] == 1
    assert strengths[5] == pytest.approx(1 - 5 / 15)  # of 30 iterations the first half
    assert strengths[15] == pytest.approx(0, abs=1e-6)
    assert strengths[-1] == 0
    (x, y) = watched_blocks(net, images())[0]
    assert torch.equal(y, F.relu(blocks_of(net)[0].residual(x)))


def test_the_suite_of_cures_has_all_that_are_shipped() -> None:
    assert len(SHIPPED) == 13
    assert set(SHIPPED) <= cure_files(SUITES_FOLDER).keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_cured_run_resumes_to_the_same_bits_beside_its_control(name: str, tmp_path: Path) -> None:
    network = "resnet-8-A" if name in RESIDUAL else "plain-8"
    runs = [Run(cured(name, network), 0), Run(find_experiment("smoke/plain-14"), 0)]
    recipe = runs[0].experiment.recipe.model_copy(update={"layers_at": (0, 3)})
    named = replace(runs[0].experiment, network_name=f"{network}-{name}", recipe=recipe)
    runs[0] = Run(named, 0)
    whole, pieces = (Machine(tmp_path / part, "cpu") for part in ("whole", "pieces"))
    assert {end.status for end in run_group(runs, whole)} == {"finished"}
    run_group(runs, pieces, stop_at(7))
    run_group(runs, pieces)
    for run in runs:
        assert_same(run, pieces, whole)
