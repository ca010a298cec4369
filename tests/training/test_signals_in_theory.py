"""What is measured of the layers: as theory says, of networks of which it says something."""

import pytest
from torch import Tensor, nn

from resnet_bench.networks.layers import weighted_layers
from resnet_bench.records.layers import LayerRecord, gradient_growth
from resnet_bench.training import signals
from resnet_bench.training.signals import measure_layers
from tests.support.signal_states import batch_of, state_of


def rows_of(name: str) -> list[LayerRecord]:
    return measure_layers(*state_of(name))


def test_at_initialisation_batch_norm_makes_every_response_deviate_by_one() -> None:
    for row in rows_of("resnet-8-B")[1:-1]:
        assert row.response_deviation == pytest.approx(1, abs=1e-3)


def test_gradients_of_plain_networks_explode_towards_the_input_and_residual_ones_less() -> None:
    plain, residual = (gradient_growth(rows_of(n)) for n in ("plain-14", "resnet-14-A"))
    assert plain is not None
    assert residual is not None
    assert 1.1 < plain < 1.25  # sqrt(pi / (pi - 1)) = 1.21 in the limit of wide networks
    assert 1 < residual < plain


def test_responses_of_preactivation_blocks() -> None:
    """Plain: norm and ReLU only changed blocks. Residual: what is added was not normalised."""
    usual, plain = rows_of("plain-8")[1:], rows_of("plain-8-preactivation")[1:]
    for row, other in zip(plain, usual, strict=True):
        assert row.name == other.name
        for column in ("response_deviation", "activation_gradient_norm", "weight_gradient_norm"):
            assert getattr(row, column) == pytest.approx(getattr(other, column), rel=1e-3)
    residual = rows_of("resnet-14-A-preactivation")
    deviations = {row.name: row.response_deviation for row in residual}
    assert deviations["stages.1.1.conv1"] == pytest.approx(1, abs=1e-3)
    assert deviations["stages.1.1.conv2"] != pytest.approx(1, abs=0.05)
    streams = [row.activation_deviation for row in residual if row.name.endswith("conv2")]
    assert streams[0] < streams[2]  # the sum grows from block to block


def test_without_batch_norm_the_response_is_the_convolutions_output() -> None:
    state, data = state_of("plain-8-no-norm")
    images, _ = batch_of(state, data)
    output = state.network.get_submodule("conv")(images)
    row = measure_layers(state, data)[1]
    assert row.response_deviation == pytest.approx(output.std().item(), rel=1e-3)


def test_nothing_comes_back_through_a_last_scale_of_zero() -> None:
    rows = {row.name: row for row in rows_of("resnet-8-A+last_scale=zero")}
    inner, last = rows["stages.0.0.conv1"], rows["stages.0.0.conv2"]
    assert (inner.weight_gradient_norm, inner.gradient_correlation) == (0, None)
    assert last.response_deviation == 0
    assert last.activation_gradient_norm > 0
    assert last.gradient_correlation is not None


class Linear(nn.Module):
    """Linear throughout: blocks of one convolution, no norm, no ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        block = nn.Module()
        block.conv1 = nn.Conv2d(4, 4, 3, padding=1)
        block.forward = block.conv1.forward
        self.stages = nn.Sequential(nn.Sequential(block))
        self.linear = nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.stages(self.conv(images)).mean(dim=(2, 3)))


def test_a_linear_network_has_correlation_one() -> None:
    state, data = state_of("plain-8")
    network = Linear()
    state.network = network
    images, labels = batch_of(state, data)
    layers = weighted_layers(network)
    assert [layer.name for layer in layers] == ["conv", "stages.0.0.conv1", "linear"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "NEIGHBOUR_DISTANCE", 1.0)
        correlations = signals.gradient_correlations(state, layers, images, labels)
    assert correlations == pytest.approx([1, 1, 1, 1], abs=1e-6)
