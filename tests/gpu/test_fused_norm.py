"""The fused norm beside PyTorch's: on a GPU where there is one, else by Triton's interpreter."""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_bench.errors import UserError
from resnet_bench.gpu import cuda_graphs, norms
from resnet_bench.gpu.norms import use_norm
from resnet_bench.gpu_check.fused import LIMITS, Layer, passed, random_layer, worst
from resnet_bench.networks.build import build_network
from resnet_bench.networks.layers import watched, weighted_layers
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.precision import set_precision
from resnet_bench.training.step import eager_step
from tests.support.kernels import DEVICE, needs_triton
from tests.support.lanes import assert_equal, in_lanes, replays
from tests.support.states import states_of

pytestmark = needs_triton
# One tile; odd sizes; four values a channel; a single channel; more channels than a tile is wide.
SHAPES = ((8, 16, 8, 8), (33, 24, 9, 5), (2, 3, 1, 2), (5, 1, 3, 7), (2, 100, 3, 3), (16, 64, 4, 4))


@pytest.fixture(autouse=True)
def float32() -> None:
    """On a GPU PyTorch convolves in TF32, whose rounding is larger than what is allowed here."""
    set_precision("ieee", DEVICE)


def on_device(layer: Layer) -> Layer:
    return Layer(*(None if tensor is None else tensor.to(DEVICE) for tensor in layer))  # type: ignore[arg-type]


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_float64s_up_to_rounding(
    shape: tuple[int, ...], dtype: torch.dtype, add: bool, relu: bool
) -> None:
    layer = on_device(random_layer(shape, dtype, add))
    exact = passed(layer, "cudnn", torch.float64, relu=relu)
    fused, plain = (passed(layer, norm, dtype, relu=relu) for norm in ("fused", "cudnn"))
    assert fused.keys() == plain.keys() == exact.keys()
    assert len(exact) == 6 + add
    for name, tensor in fused.items():
        assert (tensor.dtype, tensor.shape) == (plain[name].dtype, plain[name].shape)
        assert tensor.dim() == 1 or tensor.is_contiguous(memory_format=torch.channels_last)
        # What a channel has one of is in float32, whatever the maps are.
        limit = LIMITS[torch.float32 if tensor.dim() == 1 else dtype]
        scale = exact[name].abs().max()
        assert (tensor.double() - exact[name]).abs().max() <= limit * scale, name


def test_sums_over_blocks_of_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As maps of large images have: here at most two blocks, of three tiles; one is partial."""
    from resnet_bench.gpu import norm_operations

    layer = on_device(random_layer((21, 16, 8, 8), torch.float32, True))
    exact = passed(layer, "cudnn", torch.float64)
    assert norm_operations.Grid.of(layer.x)[4:] == (1, 6)
    monkeypatch.setattr(norm_operations, "BLOCKS", 2)
    assert norm_operations.Grid.of(layer.x)[4:] == (3, 2)
    assert worst(passed(layer, "fused", torch.float32), exact)[0] < 1e-6


def norm_of(channels: int, kind: str = "fused") -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels).to(DEVICE)
    use_norm(norm, kind)  # type: ignore[arg-type]
    return norm


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(shape, generator=generator) + seed
    return random.to(DEVICE, memory_format=torch.channels_last)


def test_statistics_over_many_batches() -> None:
    """Precise batch norm's average, and PyTorch's own, which momentum None asks for."""
    fused, cumulative = norm_of(16), norm_of(16)
    plain = nn.BatchNorm2d(16, momentum=None).to(DEVICE)
    cumulative.momentum = None
    for number in (1, 2, 3):
        fused.momentum = 1.0 / number
        for norm in (fused, cumulative, plain):
            norm(maps(4, 16, 5, 3, seed=number))
    for norm in (fused, cumulative):
        assert int(norm.num_batches_tracked or 0) == 3
        torch.testing.assert_close(norm.running_mean, plain.running_mean)
        torch.testing.assert_close(norm.running_var, plain.running_var)


def test_without_training_it_is_pytorchs() -> None:
    """In evaluation, and where layers are measured, to the bit."""
    fused, plain, x = norm_of(16), norm_of(16, "cudnn"), maps(4, 16, 5, 3)
    for norm in (fused, plain):
        norm.running_mean = maps(1, 16, 1, 1, seed=1).flatten()
    assert torch.equal(fused.eval()(x), plain.eval()(x))
    network = nn.Sequential(fused.train())
    network.stages, network.linear = nn.Sequential(), nn.Linear(1, 1)
    network.conv = nn.Conv2d(1, 1, 1)
    with watched(network, weighted_layers(network)):
        assert torch.equal(fused(x), plain.train()(x))


def test_one_value_a_channel_is_refused_as_by_pytorch() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm_of(3)(maps(1, 3, 1, 1))


OPERATIONS: dict[str, Callable[[Any, Tensor], Any]] = {
    "leaky ReLU": lambda y, x: F.leaky_relu(y, 0.3),
    "sum, leaky ReLU": lambda y, x: F.leaky_relu(y + x, 0.3),
    "sum of three": lambda y, x: F.relu(y + x + x),
    "sum the other way": lambda y, x: F.relu(x + y),
    "broadcast sum": lambda y, x: F.relu(y + x[:, :, :1, :1]),
    "sum with a number": lambda y, x: F.relu(1 + (y + 0.5)),
    "scaled": lambda y, x: F.relu(0.5 * y * x / 2 - x),
    "negative": lambda y, x: F.relu(x - -y),
    "twice": lambda y, x: F.relu(y) - F.relu(y + x),
    "sum with itself": lambda y, x: F.relu(y + y),
    "methods": lambda y, x: y.mean(dim=(2, 3), keepdim=True) + y[:2].relu().sum() + y.relu(),
    "joined": lambda y, x: torch.cat([y, x]).clamp(min=0.1),
    "in another norm": lambda y, x: F.relu(norm_of(8)(y) + x),
    "in a convolution": lambda y, x: F.conv2d(y, torch.ones(2, 8, 3, 3, device=DEVICE)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_follows_computes_what_it_says(name: str) -> None:
    """Used twice, its gradients add up, and the statistics move once."""
    results = []
    for kind in ("fused", "cudnn"):
        norm, x, other = (
            norm_of(8, kind),
            maps(6, 8, 3, 5).requires_grad_(),
            maps(6, 8, 3, 5, seed=2),
        )
        y = OPERATIONS[name](norm(x), other)
        assert isinstance(y, Tensor)
        y.backward(torch.linspace(-1, 1, y.numel(), device=DEVICE).view(y.shape))
        results.append((y, x.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()))
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)


class Operations(TorchDispatchMode):
    """Counts operations on maps and the norm's own."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(args[0], Tensor) and args[0].dim() == 4:
            self.counts[str(function)] += 1
        return made


def gradients_of(spec: NetworkSpec, kind: str) -> tuple[dict[str, Tensor], Counter[str]]:
    """Of four images: logits, gradients and statistics by name, and the operations on maps."""
    torch.manual_seed(0)
    network = build_network(spec, find_experiment("smoke/plain-8").images)
    network = network.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_norm(network, kind)  # type: ignore[arg-type]
    with Operations() as operations:
        logits = network(maps(4, 1, 8, 8))
        F.cross_entropy(logits, torch.arange(4, device=DEVICE)).backward()
    found = {name: cast(Tensor, each.grad) for name, each in network.named_parameters()}
    return found | dict(network.named_buffers()) | {"logits": logits}, operations.counts


@pytest.mark.parametrize(
    ("network", "norms", "additions"),
    [
        ({"shortcut": "none"}, 7, 0),
        ({"shortcut": "A"}, 7, 3),
        ({"shortcut": "B"}, 9, 3),
        ({"shortcut": "A", "activation": "pre"}, 7, 0),  # an addition, and no ReLU after it
        ({"shortcut": "B", "block": "bottleneck", "depth": 11}, 13, 3),
    ],
)
def test_the_networks_as_they_are_run_on_the_fused_norm(
    network: dict[str, Any], norms: int, additions: int
) -> None:
    """Every norm, ReLU and addition but those of gradients is the fused norm's."""
    spec = NetworkSpec(**{"depth": 8} | network)
    (fused, ours), (plain, theirs) = gradients_of(spec, "fused"), gradients_of(spec, "cudnn")
    for operation in ("norm_statistics", "norm_maps", "norm_gradients"):
        assert ours[f"resnet_bench.{operation}.default"] == norms
    # The first pre-activation block applies ReLU to what the stem's ReLU has made.
    again = int(spec.activation == "pre")
    for operation, count in {
        "relu": again,
        "threshold_backward": again,
        "native_batch_norm": 0,
    }.items():
        assert ours[f"aten.{operation}.default"] == count
    assert theirs["aten.relu.default"] > 0
    assert theirs["aten.add.Tensor"] - ours["aten.add.Tensor"] == additions
    for name, value in fused.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.skipif(DEVICE.type == "cuda", reason="gpu-check's gates ask it of real graphs")
def test_in_lanes_as_graphs_it_is_what_it_is_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "WARM_UP_STEPS", 1)  # interpreted kernels are slow
    name = "smoke/resnet-8-B+batch_size=8+learning_rate=0.03125"
    group, reference = states_of(name), states_of(name)
    for state in (*group, *reference):
        use_norm(state.network, "fused")
    lanes = in_lanes(group)
    for seed in (1, 2):
        batch = maps(8, 1, 8, 8, seed=seed), torch.arange(8)
        lanes(group, batch)
        eager_step(reference, batch)
    assert_equal(group, reference)
    assert replays(lanes) == {"resnet-8-B": 2}


def test_without_triton_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norms, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="--norm fused needs Triton"):
        use_norm(nn.BatchNorm2d(3), "fused")
