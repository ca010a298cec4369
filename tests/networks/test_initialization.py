"""Initial weights by each of the recipe's ways: their bounds, spread and biases."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from resnet_bench.networks.initialization import initialize
from resnet_bench.suites.recipe import Recipe


def layers(**recipe: Any) -> tuple[nn.Conv2d, nn.Linear]:
    """A convolution of fans 9 * 32 and 9 * 64 and a linear layer of 50 and 40, initialised."""
    conv, linear = nn.Conv2d(32, 64, 3), nn.Linear(50, 40)
    initialize(nn.ModuleDict({"conv": conv, "linear": linear}), 0, Recipe(iterations=1, **recipe))
    return conv, linear


def assert_uniform(values: torch.Tensor, bound: float, tolerance: float = 0.02) -> None:
    assert values.abs().max().item() == pytest.approx(bound, rel=tolerance)
    assert values.abs().max().item() <= bound
    assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=tolerance)


def test_xavier_is_uniform_within_both_fans() -> None:
    conv, linear = layers(initialization="xavier", linear_initialization="xavier")
    assert_uniform(conv.weight, math.sqrt(6 / (9 * 32 + 9 * 64)))
    assert_uniform(linear.weight, math.sqrt(6 / (50 + 40)), 0.05)
    theirs = nn.Conv2d(32, 64, 3)
    nn.init.xavier_uniform_(theirs.weight)
    assert_uniform(theirs.weight, math.sqrt(6 / (9 * 32 + 9 * 64)))  # what the tutorials call


def test_pytorchs_default_is_that_of_its_layers() -> None:
    conv, linear = layers(initialization="pytorch", linear_initialization="pytorch")
    torch.manual_seed(0)
    for ours, theirs in ((conv, nn.Conv2d(32, 64, 3)), (linear, nn.Linear(50, 40))):
        bound = 1 / math.sqrt(ours.weight[0].numel())
        for layer in (ours, theirs):
            assert_uniform(layer.weight, bound, 0.05)
            assert layer.bias is not None
            assert_uniform(layer.bias, bound, 0.25)  # of 64 or 40 draws


@pytest.mark.parametrize(("way", "fan"), [("he-fan-in", 9 * 32), ("he-fan-out", 9 * 64)])
def test_he_is_normal_with_biases_at_zero(way: str, fan: int) -> None:
    conv, linear = layers(initialization=way, linear_initialization="he")
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.02)
    assert conv.weight.abs().max() > 3 * math.sqrt(2 / fan)  # no bound
    assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.05)
    for layer in (conv, linear):
        assert layer.bias is not None
        assert not layer.bias.any()


def test_biases_beside_xavier_are_pytorchs() -> None:
    conv, linear = layers(initialization="xavier", linear_initialization="xavier")
    for layer in (conv, linear):
        assert layer.bias is not None
        assert_uniform(layer.bias, 1 / math.sqrt(layer.weight[0].numel()), 0.25)
