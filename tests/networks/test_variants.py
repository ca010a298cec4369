"""The variants: their counts, what their blocks compute, and that each differs in one field."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.networks.build import build_network
from resnet_bench.networks.cifar import Block, CifarNet, pool
from resnet_bench.networks.initialization import initialize
from resnet_bench.networks.sizes import network_size
from resnet_bench.networks.variants import Bottleneck, PreactivationBlock
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.state import new_state
from resnet_bench.training.step import eager_step

CIFAR10, DIGITS = DATASETS["cifar10"], DATASETS["digits"]
RECIPE = Recipe(iterations=1)
BOTTLENECK_A: dict[str, Any] = {"depth": 164, "shortcut": "A", "block": "bottleneck"}

# Parameters and multiply-adds on CIFAR-10. ResNet-164 with bottlenecks is the 1.7M network of He
# et al. 2016, table 3; with B its projections count. Without batch norm each convolution's
# channels count once (its bias) and not twice: 2,032 fewer at 56 layers, 688 at 20.
COUNTS: list[tuple[dict[str, Any], int, int]] = [
    ({"depth": 56, "shortcut": "none", "activation": "pre"}, 853_018, 125_485_696),
    ({"depth": 110, "shortcut": "A", "activation": "pre"}, 1_727_962, 252_887_680),
    # Projections to 32 and 64 channels have no norm of their own, B's 192 numbers.
    ({"depth": 56, "shortcut": "B", "activation": "pre"}, 855_770 - 192, 125_747_840),
    (
        {"depth": 164, "shortcut": "A", "block": "bottleneck", "activation": "pre"},
        1_661_274,
        242_403_840,
    ),
    (
        {"depth": 164, "shortcut": "B", "block": "bottleneck", "activation": "pre"},
        1_703_258,
        247_646_720,
    ),
    ({"depth": 56, "shortcut": "none", "normalization": "none"}, 853_018 - 2_032, 125_485_696),
    ({"depth": 20, "shortcut": "A", "normalization": "none"}, 269_722 - 688, 40_551_040),
    ({"depth": 56, "shortcut": "A", "block": "bottleneck"}, 548_442, 81_971_712),
    ({"depth": 164, "shortcut": "B", "block": "bottleneck"}, 1_704_154, 247_646_720),
    ({"depth": 14, "shortcut": "3x3"}, 195_738, 28_754_560),
]


@pytest.mark.parametrize(("fields", "parameters", "multiply_adds"), COUNTS)
def test_counts(fields: dict[str, Any], parameters: int, multiply_adds: int) -> None:
    specification = NetworkSpec(**fields)
    size = network_size(specification, CIFAR10)
    assert (size.parameters, size.multiply_adds) == (parameters, multiply_adds)
    with torch.device("meta"):
        network = build_network(specification, CIFAR10)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(("fields", "parameters", "multiply_adds"), COUNTS)
def test_multiply_adds_are_those_that_run(
    fields: dict[str, Any], parameters: int, multiply_adds: int
) -> None:
    network = build_network(NetworkSpec(**fields), CIFAR10).eval()
    counted = 0

    def count(module: torch.nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal counted
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        positions = output.numel() // output.shape[1]
        counted += weight.numel() * positions

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    with torch.device("cpu"), torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert counted == multiply_adds


def test_a_bottleneck_is_three_convolutions_and_the_equation() -> None:
    torch.manual_seed(0)
    specification = NetworkSpec(depth=11, shortcut="A", block="bottleneck")
    block = Bottleneck(16, 8, 2, specification).eval()
    assert [c.kernel_size[0] for c in (block.conv1, block.conv2, block.conv3)] == [1, 3, 1]
    assert block.conv2.stride == (2, 2)  # not the first one's
    x = torch.randn(2, 16, 8, 8).relu()
    y = block(x)
    assert y.shape == (2, 32, 4, 4)
    shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 16))
    torch.testing.assert_close(y, F.relu(block.residual(x) + shortcut), rtol=0, atol=0)


def test_pre_activation_leaves_x_as_it_is() -> None:
    """Where F is zero, x passes all blocks of a stage unchanged: figure 1b, and its equation 4."""
    torch.manual_seed(0)
    specification = NetworkSpec(depth=14, shortcut="A", activation="pre")
    block = PreactivationBlock(16, 16, 1, specification).eval()
    x = torch.randn(2, 16, 8, 8)  # negative values, too
    torch.testing.assert_close(block(x), x + block.residual(x), rtol=0, atol=0)
    by_hand = block.conv2(F.relu(block.bn2(block.conv1(F.relu(block.bn1(x))))))
    torch.testing.assert_close(block.residual(x), by_hand, rtol=0, atol=0)
    block.conv2.weight.data.zero_()
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_projection_of_pre_activation_sees_the_first_norm_and_relu(block: str) -> None:
    torch.manual_seed(0)
    specification = NetworkSpec.model_validate(
        {"depth": 20, "shortcut": "B", "activation": "pre", "block": block}
    )
    module = PreactivationBlock(16, 32, 2, specification).eval()
    x = torch.randn(2, 16, 8, 8)
    (projection,) = cast(torch.nn.Sequential, module.projection)  # a convolution, and no norm
    assert isinstance(projection, torch.nn.Conv2d)
    expected = module.residual(x) + projection(F.relu(module.bn1(x)))
    torch.testing.assert_close(module(x), expected, rtol=0, atol=0)
    assert module(x).shape == (2, 32 * specification.expansion, 4, 4)


@pytest.mark.parametrize("depth", [18, 50])
def test_table_1_with_pre_activation_has_its_twins_numbers_without_those_of_projections(
    depth: int,
) -> None:
    """The exercise of d2l: norm, ReLU, convolution, in its own ResNet-18."""
    sizes = []
    for activation in ("post", "pre"):
        fields = {"architecture": "imagenet", "depth": depth, "shortcut": "B"}
        specification = NetworkSpec.model_validate(fields | {"activation": activation})
        network = build_network(specification, DIGITS)
        sizes.append(sum(parameter.numel() for parameter in network.parameters()))
        assert sizes[-1] == network_size(specification, DIGITS).parameters
        assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    norms = {18: 2 * (128 + 256 + 512), 50: 2 * (256 + 512 + 1024 + 2048)}
    assert sizes[0] - sizes[1] == norms[depth]


@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_without_shortcuts_pre_activation_is_the_same_function(shortcut: Shortcut) -> None:
    """It only moves the border between blocks; with them something else is added."""
    images = torch.rand(8, 1, 8, 8)
    outputs = []
    for activation in ("post", "pre"):
        specification = NetworkSpec.model_validate(
            {"depth": 14, "shortcut": shortcut, "activation": activation}
        )
        network = build_network(specification, DIGITS)
        initialize(network, 0, RECIPE)
        outputs.append(network(images))
    assert torch.equal(*outputs) == (shortcut == "none")


def test_a_pre_activation_network_begins_and_ends_with_norm_and_relu() -> None:
    network = build_network(NetworkSpec(depth=8, shortcut="A", activation="pre"), DIGITS).eval()
    initialize(network, 0, RECIPE)
    stem, stages = network.get_submodule("bn"), network.get_submodule("stages")
    norm, linear = network.get_submodule("final_bn"), network.get_submodule("linear")
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.nn.init.normal_(norm.bias)
    images = torch.rand(2, 1, 8, 8)
    x = F.relu(stem(network.get_submodule("conv")(images)))
    expected = linear(F.relu(norm(stages(x))).mean(dim=(2, 3)))
    torch.testing.assert_close(network(images), expected, rtol=0, atol=0)


def test_a_zero_last_scale_begins_as_the_shortcuts() -> None:
    """Goyal et al. 2017, section 5.1: at first a block passes its input on."""
    network = build_network(NetworkSpec(depth=8, shortcut="A"), DIGITS).eval()
    initialize(network, 0, RECIPE.model_copy(update={"last_scale": "zero"}))
    first = network.get_submodule("stages.0.0")
    assert isinstance(first, Block)
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(first(x), x)
    assert not first.last_norm.weight.any()
    assert torch.equal(network.get_submodule("bn").weight, torch.ones(16))  # type: ignore[arg-type]


def test_without_batch_norm_there_are_biases_that_start_at_zero() -> None:
    specification = NetworkSpec(depth=8, shortcut="none", normalization="none")
    network = build_network(specification, DIGITS)
    initialize(network, 0, RECIPE)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 7
    assert all(c.bias is not None and not c.bias.any() for c in convolutions)
    with_norm = CifarNet(NetworkSpec(depth=8, shortcut="none"), DIGITS)
    initialize(with_norm, 0, RECIPE)
    assert torch.equal(with_norm.conv.weight, convolutions[0].weight)  # still matched


def test_global_max_pooling() -> None:
    x = torch.tensor([[[[1.0, 2.0], [5.0, 4.0]], [[-1.0, -2.0], [-5.0, -4.0]]]])
    assert pool(x, "max").tolist() == [[5, -1]]
    assert pool(x, "average").tolist() == [[3, -3]]
    network = build_network(NetworkSpec(depth=8, shortcut="none", pooling="max"), DIGITS)
    images = torch.rand(2, 1, 8, 8)
    average = build_network(NetworkSpec(depth=8, shortcut="none"), DIGITS)
    average.load_state_dict(network.state_dict())
    assert not torch.equal(network.eval()(images), average.eval()(images))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 22, "shortcut": "A", "block": "bottleneck"}, "22 is not 9n.2"),
        ({"depth": 20, "shortcut": "B", "architecture": "imagenet"}, "20 is none of"),
        (
            {"depth": 34, "shortcut": "B", "architecture": "imagenet", "block": "bottleneck"},
            "not that of 34 layers",
        ),
    ],
)
def test_networks_that_there_are_not(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NetworkSpec(**fields)


@pytest.mark.parametrize("suite", ["digits-variants", "cifar10-variants"])
def test_each_variant_differs_in_one_field(suite: str) -> None:
    experiments = {e.network_name: e for e in load_suite(suite).experiments}
    bases = {name: e for name, e in experiments.items() if name == e.spec.name}
    assert len(bases) == 4
    assert len(experiments) == 16
    for name, variant in experiments.items():
        base = next(b for b in bases if name.startswith(b))
        here, there = variant.identity(), experiments[base].identity()
        differing = [
            key
            for part in ("network", "recipe")
            for key, value in here[part].items()
            if value != there[part][key]
        ]
        assert len(differing) == (name != base), (name, differing)


def test_resnet_1202_takes_a_step() -> None:
    """On the digits and four images; its size on CIFAR-10 is pinned in test_cifar.py."""
    experiment = load_suite("cifar10-1202").experiments[0]
    assert experiment.spec == NetworkSpec(depth=1202, shortcut="A")
    state = new_state(Run(replace(experiment, dataset=DIGITS), 0), torch.device("cpu"))
    before = [p.detach().clone() for p in state.network.parameters()]
    eager_step([state], (torch.rand(4, 1, 8, 8), torch.arange(4)))
    assert torch.isfinite(state.totals.loss)
    changed = [
        not torch.equal(p, b) for p, b in zip(state.network.parameters(), before, strict=True)
    ]
    assert all(changed)
