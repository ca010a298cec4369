"""The weighted layers of a network, and their responses and activations as they pass.

- A layer's *response* is its output after the batch norm that takes it, before ReLU and addition
  (He et al. 2015, section 4.2, "Analysis of Layer Responses"). Where no batch norm takes it (in
  the variant without, and where a pre-activation block adds its last convolution to the shortcut)
  it is the convolution's output.
- Its *activation* is what leaves it: the next convolution's input; at the end of a block the
  block's output, after addition and ReLU; of the linear layer the logits.

Found by the names that all networks of this benchmark share: conv, stages, linear, and in the
blocks conv1, conv2, conv3.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn

from resnet_bench.records.layers import LINEAR


@dataclass(frozen=True)
class Layer:
    """A weighted layer, and where its activation can be seen: at which side of which module."""

    name: str
    stage: int | None  # 0 is the stem; None for the linear layer
    module: nn.Conv2d | nn.Linear
    seen_at: nn.Module
    side: Literal["input", "output"]

    @property
    def kind(self) -> str:
        if isinstance(self.module, nn.Linear):
            return LINEAR
        return "conv{}x{}".format(*self.module.kernel_size)


def weighted_layers(network: nn.Module) -> list[Layer]:
    """The layers that the depth counts, from the input to the output."""
    stages = cast(nn.Sequential, network.get_submodule("stages"))
    linear = cast(nn.Linear, network.get_submodule("linear"))
    stem = cast(nn.Conv2d, network.get_submodule("conv"))
    layers = [Layer("conv", 0, stem, stages, "input")]
    for index, stage in enumerate(stages):
        for number, block in enumerate(cast(nn.Sequential, stage)):
            layers += _layers_of(block, f"stages.{index}.{number}", index + 1)
    return [*layers, Layer("linear", None, linear, linear, "output")]


def _layers_of(block: nn.Module, prefix: str, stage: int) -> list[Layer]:
    """The convolutions of the residual branch: a projection is no direct child of its block."""
    named = [(name, m) for name, m in block.named_children() if isinstance(m, nn.Conv2d)]
    followers = [conv for _, conv in named[1:]]
    inner = [
        Layer(f"{prefix}.{name}", stage, conv, follower, "input")
        for (name, conv), follower in zip(named, followers, strict=False)
    ]
    name, last = named[-1]
    return [*inner, Layer(f"{prefix}.{name}", stage, last, block, "output")]


class Passages:
    """What passed through a network's layers, one tensor a forward pass."""

    def __init__(self) -> None:
        self._noted: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}  # input, output

    def note(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """A forward hook."""
        self._noted.setdefault(module, []).append((inputs[0], output))

    def responses(self, layer: Layer) -> list[Tensor]:
        norms = [p for module, p in self._noted.items() if isinstance(module, nn.BatchNorm2d)]
        normed = {id(taken): made for passages in norms for taken, made in passages}
        return [normed.get(id(output), output) for _, output in self._noted[layer.module]]

    def activations(self, layer: Layer) -> list[Tensor]:
        noted = self._noted[layer.seen_at]
        return [taken if layer.side == "input" else made for taken, made in noted]


@contextmanager
def watched(network: nn.Module, layers: Sequence[Layer]) -> Iterator[Passages]:
    """Within the context, what passes the `layers` in train mode is noted.

    Batch norm uses the batch's statistics, as in training, and leaves its running ones alone.
    """
    passages = Passages()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    modules = {*norms, *(layer.module for layer in layers), *(layer.seen_at for layer in layers)}
    hooks = [module.register_forward_hook(passages.note) for module in modules]
    training = network.training
    try:
        network.train()
        for norm in norms:
            norm.track_running_stats = False
        yield passages
    finally:
        for norm in norms:
            norm.track_running_stats = True
        network.train(training)
        for hook in hooks:
            hook.remove()
