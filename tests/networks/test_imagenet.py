"""Table 1's networks: torchvision's weights, outputs and counts, and what tutorials change."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_bench.commands.shapes import network_stages
from resnet_bench.datasets.definitions import InputShape
from resnet_bench.datasets.vision import models
from resnet_bench.networks.build import build_network
from resnet_bench.networks.cifar import Block
from resnet_bench.networks.initialization import digest, initialize
from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import find_experiment

IMAGENET = InputShape(channels=3, side=224, classes=1000)
FASHION = InputShape(channels=1, side=96, classes=10)

# Parameters and multiply-adds of one 3x224x224 image. B's are torchvision's, whose tables print
# 1.81, 3.66, 4.09, 7.80 and 11.51 billion multiply-adds; A has what is left without projections.
COUNTS = {
    18: {"B": (11_689_512, 1_814_073_344), "A": (11_515_688, 1_794_805_760)},
    34: {"B": (21_797_672, 3_663_761_408), "A": (21_623_848, 3_644_493_824)},
    50: {"B": (25_557_032, 4_089_184_256), "A": (22_780_456, 3_729_522_688)},
    101: {"B": (44_549_160, 7_801_405_440), "A": (41_772_584, 7_441_743_872)},
    152: {"B": (60_192_808, 11_513_626_624), "A": (57_416_232, 11_153_965_056)},
}


def imagenet(depth: int = 18, shortcut: str = "B", **fields: Any) -> NetworkSpec:
    return NetworkSpec(architecture="imagenet", depth=depth, shortcut=shortcut, **fields)  # type: ignore[arg-type]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def our_name(theirs: str) -> str:
    """The name here of a tensor of torchvision's: layer1 is stages.0, fc is linear."""
    part, _, rest = theirs.partition(".")
    if part.startswith("layer"):
        part = f"stages.{int(part.removeprefix('layer')) - 1}"
    part = {"conv1": "conv", "bn1": "bn", "fc": "linear"}.get(part, part)
    return f"{part}.{rest.replace('downsample', 'projection')}"


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_with_torchvisions_weights_the_outputs_are_torchvisions(depth: int) -> None:
    torch.manual_seed(depth)
    theirs = getattr(models, f"resnet{depth}")()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics and affine maps of some training
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    ours = build_network(imagenet(depth), IMAGENET)
    ours.load_state_dict({our_name(name): value for name, value in theirs.state_dict().items()})
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("depth", COUNTS)
def test_counts_equal_the_table_and_torchvisions(depth: int) -> None:
    with torch.device("meta"):
        assert parameters(getattr(models, f"resnet{depth}")()) == COUNTS[depth]["B"][0]
    for shortcut in ("A", "B", "none"):
        specification = imagenet(depth, shortcut)
        expected = COUNTS[depth]["A" if shortcut == "none" else shortcut]
        size = network_size(specification, IMAGENET)
        assert (size.parameters, size.multiply_adds) == expected
        with torch.device("meta"):
            assert parameters(build_network(specification, IMAGENET)) == size.parameters


@pytest.mark.parametrize(
    ("fields", "images"),
    [
        ({"shortcut": "B"}, InputShape(3, 33, 7)),
        ({"shortcut": "C", "depth": 50}, InputShape(2, 224, 10)),
        ({"conv_bias": True, "projection_norm": False}, FASHION),
        ({"shortcut": "3x3", "pooling": "max"}, InputShape(1, 28, 10)),
        ({"shortcut": "A", "depth": 34, "zero_channels": "both"}, InputShape(1, 32, 10)),
    ],
)
def test_sizes_are_those_of_what_runs(fields: dict[str, Any], images: InputShape) -> None:
    """On images of any side and any number of channels and classes."""
    specification = imagenet(**fields)
    with torch.device("meta"):
        network = build_network(specification, images).eval()
        batch = torch.empty(2, images.channels, images.side, images.side)
    counted = 0

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight.numel() * output[0, 0].numel()  # type: ignore[operator]

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    assert network(batch).shape == (2, images.classes)
    size = network_size(specification, images)
    assert (size.parameters, size.multiply_adds) == (parameters(network), counted)


def test_the_d2l_books_resnet_18() -> None:
    """Its shapes for a 224x224 image, as the book prints them, and its parameters.

    Beside torchvision's: two input channels fewer in the stem (6,272 weights), 4,800 biases and
    no batch norm on the projections (1,792), and 10 classes for 1,000.
    """
    specification = imagenet(conv_bias=True, projection_norm=False)
    experiment = replace(find_experiment("fashion/resnet-18-B"), spec=specification)
    parts = network_stages(experiment, InputShape(1, 224, 10))
    assert [part.shape for part in parts] == [
        (64, 56, 56),
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
        (512, 1, 1),
        (512,),
        (10,),
    ]
    biases = 64 + 4 * 64 + 5 * (128 + 256 + 512)
    expected = 11_689_512 - 6_272 + biases - 2 * (128 + 256 + 512) - 513 * 990
    assert sum(part.parameters for part in parts) == expected == 11_178_378


def test_a_projection_without_norm_is_its_convolution() -> None:
    torch.manual_seed(0)
    block = Block(4, 8, 2, imagenet(conv_bias=True, projection_norm=False)).eval()
    assert block.projection is not None
    assert [type(module) for module in block.projection.modules()][1:] == [nn.Conv2d]
    project = block.projection.get_submodule("0")
    assert isinstance(project, nn.Conv2d)
    x = torch.randn(2, 4, 8, 8)
    shortcut = F.conv2d(x, project.weight, project.bias, stride=2)
    torch.testing.assert_close(block(x), F.relu(block.residual(x) + shortcut), rtol=0, atol=0)


def test_twins_share_their_initial_weights() -> None:
    recipe = Recipe(iterations=1, initialization="xavier", linear_initialization="xavier")
    fields: dict[str, Any] = {"conv_bias": True, "projection_norm": False}
    plain, residual = (
        build_network(imagenet(18, shortcut, **fields), FASHION) for shortcut in ("none", "B")
    )
    for network in (plain, residual):
        initialize(network, 3, recipe)
    assert digest(plain) == digest(residual, shared_only=True) != digest(residual)
