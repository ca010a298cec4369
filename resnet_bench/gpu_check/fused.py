"""The first gate of the fused norm: right values."""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.gpu.norms import use_norm
from resnet_bench.gpu.setting import Norm
from resnet_bench.gpu_check.site import GateError, Site

# The largest difference over the largest value; numbers in bfloat16 have 8 bits.
LIMITS = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
# No gradient where an output is nearer to 0 than this: there rounding opens or closes the ReLU.
MARGIN = 0.1


class Layer(NamedTuple):
    """What passes a norm with the addition and ReLU that follow it, forward and backward."""

    x: Tensor
    added: Tensor | None
    gradient: Tensor
    weight: Tensor
    bias: Tensor


def random_layer(shape: tuple[int, ...], dtype: torch.dtype, add: bool, seed: int = 0) -> Layer:
    """Maps with means that are no small part of their deviations, in channels_last order."""
    generator = torch.Generator().manual_seed(seed)
    x, added, gradient = (
        torch.randn(shape, generator=generator).to(dtype, memory_format=torch.channels_last)
        for _ in range(3)
    )
    weight, bias = torch.rand(2, shape[1], generator=generator).unbind()
    layer = Layer(2 * x + 3, added if add else None, gradient, weight, bias)
    output = passed(layer, "cudnn", torch.float64, relu=False)["output"]
    return layer._replace(gradient=gradient * (output.abs() > MARGIN).to(dtype))


def passed(layer: Layer, norm: Norm, dtype: torch.dtype, *, relu: bool = True) -> dict[str, Tensor]:
    """Output, gradients and running statistics, computed by `norm` on maps in `dtype`."""
    module = nn.BatchNorm2d(layer.x.shape[1]).to(layer.x.device)
    module.load_state_dict({"weight": layer.weight, "bias": layer.bias}, strict=False)
    use_norm(module, norm)
    if dtype == torch.float64:
        module.double()
    # As a convolution's output: it is no leaf, and keeps its order.
    leaves = [
        t.to(dtype).detach().requires_grad_() for t in (layer.x, layer.added) if t is not None
    ]
    y = module(leaves[0])
    for added in leaves[1:]:
        y = y + added
    y = F.relu(y) if relu else y.clone()
    y.backward(layer.gradient.to(dtype))
    names = ("x", "added")
    return {
        "output": y.detach(),
        **{f"gradient of {n}": cast(Tensor, t.grad) for n, t in zip(names, leaves, strict=False)},
        **{f"gradient of {n}": cast(Tensor, p.grad) for n, p in module.named_parameters()},
        **{n: b for n, b in module.named_buffers() if n != "num_batches_tracked"},
    }


def worst(found: dict[str, Tensor], exact: dict[str, Tensor]) -> tuple[float, str]:
    """The largest difference relative to its tensor's largest value, and that tensor's name."""
    return max(
        (((found[n].double() - t).abs().max() / t.abs().max()).item(), n) for n, t in exact.items()
    )


def shapes_of(site: Site) -> Iterator[tuple[int, int, int, int]]:
    """The maps of each stage, and odd ones."""
    first = next(iter(site.experiments.values()))
    for stage, width in enumerate(first.spec.stage_widths):
        yield site.batch, width, first.images.side >> stage, first.images.side >> stage
    yield 33, 24, 9, 5


def fused_norm_is_float64(site: Site) -> str:
    """Batch norm, addition and ReLU as PyTorch's in float64, up to rounding."""
    found = []
    for dtype, limit in LIMITS.items():
        offs: list[tuple[float, float]] = []
        for shape in shapes_of(site):
            for add in (False, True):
                layer = random_layer(shape, dtype, add)
                layer = Layer(*(None if t is None else t.to(site.device) for t in layer))  # type: ignore[arg-type]
                exact = passed(layer, "cudnn", torch.float64)
                off, name = worst(passed(layer, "fused", dtype), exact)
                if not off < limit:
                    raise GateError(f"{name} is off by {off:.1e} in {dtype}, maps {shape}")
                offs.append((off, worst(passed(layer, "cudnn", dtype), exact)[0]))
        ours, plain = (max(column) for column in zip(*offs, strict=True))
        found.append(f"{str(dtype).removeprefix('torch.')} off by {ours:.0e} (cudnn {plain:.0e})")
    return ", ".join(found)
