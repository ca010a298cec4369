"""Counts, matched initial weights, and what the blocks compute."""

from typing import Literal, cast

import pytest
import torch
from torch.nn import functional as F

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.errors import UserError
from resnet_bench.networks.cifar import Block, CifarNet, identity
from resnet_bench.networks.initialization import digest, initialize
from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.recipe import Recipe

CIFAR10, DIGITS = DATASETS["cifar10"], DATASETS["digits"]
RECIPE = Recipe(iterations=1)
SHORTCUTS: tuple[Shortcut, ...] = ("none", "A", "B", "C")

# He et al. 2015, section 4.2: 6n+2 layers; counted by hand from the paper's table of stages.
PARAMETERS = {
    20: (269_722, 269_722, 272_474, 283_962),
    32: (464_154, 464_154, 466_906, 489_594),
    44: (658_586, 658_586, 661_338, 695_226),
    56: (853_018, 853_018, 855_770, 900_858),
    110: (1_727_962, 1_727_962, 1_730_714, 1_826_202),
    1202: (19_421_274, 19_421_274, 19_424_026, 20_538_714),
}
MULTIPLY_ADDS = {
    20: (40_551_040, 40_551_040, 40_813_184, 42_648_192),
    32: (68_862_592, 68_862_592, 69_124_736, 72_532_608),
    44: (97_174_144, 97_174_144, 97_436_288, 102_417_024),
    56: (125_485_696, 125_485_696, 125_747_840, 132_301_440),
    110: (252_887_680, 252_887_680, 253_149_824, 266_781_312),
    1202: (2_829_238_912, 2_829_238_912, 2_829_501_056, 2_986_263_168),
}


def build(depth: int, shortcut: Shortcut, seed: int = 0) -> CifarNet:
    network = CifarNet(NetworkSpec(depth=depth, shortcut=shortcut), CIFAR10)
    initialize(network, seed, RECIPE)
    return network


@pytest.mark.parametrize("depth", PARAMETERS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_counts_equal_the_table(depth: int, shortcut: Shortcut) -> None:
    specification = NetworkSpec(depth=depth, shortcut=shortcut)
    column = SHORTCUTS.index(shortcut)
    size = network_size(specification, CIFAR10)
    assert size.parameters == PARAMETERS[depth][column]
    assert size.multiply_adds == MULTIPLY_ADDS[depth][column]
    with torch.device("meta"):
        network = CifarNet(specification, CIFAR10)
    assert sum(p.numel() for p in network.parameters()) == size.parameters


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_multiply_adds_are_those_that_run(shortcut: Shortcut) -> None:
    """The count from the specification equals a count of what the modules really do."""
    network = build(20, shortcut).eval()
    counted = 0

    def count(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(module, torch.nn.Conv2d):
            counted += module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, torch.nn.Linear):
            counted += module.weight.numel()

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    expected = network_size(NetworkSpec(depth=20, shortcut=shortcut), CIFAR10).multiply_adds
    assert counted == expected


def test_plain_and_a_hold_identical_tensors() -> None:
    plain, residual = build(20, "none").state_dict(), build(20, "A").state_dict()
    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


@pytest.mark.parametrize("shortcut", ["B", "C"])
def test_tensors_shared_with_plain_are_equal(shortcut: Shortcut) -> None:
    plain, projected = build(20, "none"), build(20, shortcut)
    theirs = projected.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in plain.state_dict().items())
    assert digest(projected, shared_only=True) == digest(plain)
    assert digest(projected) != digest(plain)


def test_seeds_differ_and_repeat() -> None:
    assert digest(build(20, "A", seed=0)) == digest(build(20, "A", seed=0))
    assert digest(build(20, "A", seed=0)) != digest(build(20, "A", seed=1))


def test_he_initialization_has_its_deviation() -> None:
    network = build(56, "none")
    weight = network.get_submodule("stages.2.4.conv2").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert network.linear.weight.abs().max().item() <= 1 / 8  # PyTorch's uniform, fan-in 64
    wide = CifarNet(NetworkSpec(depth=20, shortcut="none"), CIFAR10)
    initialize(wide, 0, Recipe(iterations=1, initialization="he-fan-out"))
    assert wide.conv.weight.std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.1)


def test_residual_block_is_the_equation() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8)
    plain = Block(16, 16, 1, NetworkSpec(depth=8, shortcut="none")).eval()
    residual = Block(16, 16, 1, NetworkSpec(depth=8, shortcut="A")).eval()
    residual.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(x), F.relu(plain.residual(x)), rtol=0, atol=0)
    torch.testing.assert_close(residual(x), F.relu(plain.residual(x) + x), rtol=0, atol=0)


def test_option_a_subsamples_and_pads_with_zeros() -> None:
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    end = identity(x, 2, (0, 2))
    assert end.shape == (1, 4, 2, 2)
    assert torch.equal(end[:, :2], x[:, :, [0, 2]][:, :, :, [0, 2]])  # no averaging
    assert not end[:, 2:].any()
    both = identity(x, 2, (1, 1))
    assert torch.equal(both[:, 1:3], end[:, :2])
    assert not both[:, [0, 3]].any()


@pytest.mark.parametrize(("where", "first"), [("end", 0), ("both", 2)])
def test_a_block_puts_zero_channels_where_the_suite_says(
    where: Literal["end", "both"], first: int
) -> None:
    """What the paper leaves open; a block whose F is zero hands on its identity."""
    block = Block(4, 8, 2, NetworkSpec(depth=8, shortcut="A", zero_channels=where)).eval()
    torch.nn.init.zeros_(block.last_norm.weight)
    x = torch.rand(3, 4, 6, 6)
    output = block(x)
    assert torch.equal(output[:, first : first + 4], x[:, :, ::2, ::2])
    assert output.count_nonzero() == x[:, :, ::2, ::2].count_nonzero()
    same_width = Block(4, 4, 1, NetworkSpec(depth=8, shortcut="A", zero_channels=where))
    assert same_width.padding_channels == (0, 0)


def test_option_a_adds_no_tensor_and_b_only_where_the_shape_changes() -> None:
    names = {s: set(build(20, s).state_dict()) for s in SHORTCUTS}
    assert names["A"] == names["none"]
    blocks = {name.split(".projection")[0] for name in names["B"] - names["none"]}
    assert blocks == {"stages.1.0", "stages.2.0"}
    assert len({n.split(".projection")[0] for n in names["C"] - names["none"]}) == 9


@pytest.mark.parametrize("side", [4, 8, 28])
def test_any_side_and_channels_that_the_stages_can_halve(side: int) -> None:
    from dataclasses import replace

    dataset = replace(DIGITS, side=side, channels=2, classes=7)
    network = CifarNet(NetworkSpec(depth=8, shortcut="B"), dataset)
    assert network(torch.zeros(3, 2, side, side)).shape == (3, 7)
    with pytest.raises(UserError, match="30 pixels"):
        CifarNet(NetworkSpec(depth=8, shortcut="B"), replace(DIGITS, side=30))


@pytest.mark.parametrize("shortcut", ["none", "A", "B", "C"])
def test_a_block_contains_the_identity_after_a_relu_and_not_before_one(shortcut: Shortcut) -> None:
    """relu(0 + x) = x and relu(x) = x where no x is negative, as after a ReLU; so classes nest."""
    torch.manual_seed(0)
    block = Block(4, 4, 1, NetworkSpec(depth=20, shortcut=shortcut)).eval()
    on_the_way = [block.conv1, block.conv2]  # of x, each of which must be the identity
    if block.has_shortcut:
        torch.nn.init.zeros_(block.last_norm.weight)
        on_the_way = []
    if block.projection is not None:
        on_the_way = [cast(torch.nn.Conv2d, block.projection.get_submodule("0"))]
    for convolution in on_the_way:
        torch.nn.init.dirac_(convolution.weight)
    for norm in (module for module in block.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        assert norm.running_var is not None
        norm.running_var.sub_(norm.eps)  # the variance that it divides by is then exactly 1
    x = torch.randn(4, 4, 6, 6)
    assert torch.equal(block(x.relu()), x.relu())
    assert torch.equal(block(x), x.relu())  # not x


def test_a_block_with_a_projection_and_stride_2_halves_the_maps() -> None:
    block = Block(3, 3, 2, NetworkSpec(depth=20, shortcut="B"))
    assert block.projection is not None
    assert block(torch.rand(4, 3, 6, 6)).shape == (4, 3, 3, 3)
