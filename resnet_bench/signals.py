"""The signals inside a network, layer by layer, on a fixed batch. Measuring leaves no trace.

The batch is the first `batch_size` training images, un-augmented, in train mode: batch norm uses
the batch's statistics. What the columns of layers.csv mean:

- A layer's *response* is its output after the batch norm that takes it, before ReLU and addition
  (He et al. 2015, section 4.2, "Analysis of Layer Responses"). Where no batch norm takes it (in
  the variant without, and where a pre-activation block's last convolution is added to the
  shortcut) it is the convolution's output.
- Its *activation* is what leaves it: the next convolution's input; at the end of a block the
  block's output; of the linear layer the logits.
- `activation_gradient_norm`: of the gradient of the mean loss with respect to the response. This
  is the tensor of which Yang et al. 2019 (arXiv 1902.08129) say that in a plain network at
  initialisation its squared norm grows by pi / (pi - 1) a layer towards the input, the norm by
  1.21. In short: the gradient comes back through a convolution, whose weights double its square
  (He's initialisation, fan-in), through a ReLU, which halves it, and through batch norm, which
  divides it by the variance of the convolution's output; and for a ReLU's output x of standard
  normal numbers that variance is 2 Var(x) = 2 (1/2 - 1/(2 pi)) = (pi - 1) / pi.
- `gradient_correlation`: "shattered gradients" (Balduzzi et al. 2017, arXiv 1702.08591). Each
  image x has a neighbour x' = x + NEIGHBOUR_DISTANCE (y - x), y being the next image of the batch;
  both pass through the network in one batch, so that both are normalised alike. Of the logit of
  x's label the gradient at the layer's activation is taken at x and at x'; the correlation is
  their cosine, averaged over the images. The logit, not the loss: so only the network decides.
  A linear map has correlation 1.
- `update_ratio`: the change of the weight that the optimizer would make now, on this batch,
  divided by the weight's norm. A copy of the optimizer makes it.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.data import TrainingData
from resnet_bench.layer_records import INPUT, LINEAR, LayerRecord
from resnet_bench.precision import autocast, executed_precision
from resnet_bench.schedule import learning_rate_at
from resnet_bench.training import Member, forward

NEIGHBOUR_DISTANCE = 0.1  # the part of the way to another image


@dataclass(frozen=True)
class Layer:
    """A weighted layer, and where its activation can be seen: what `side` of which module."""

    name: str
    stage: int | None
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
    stem, linear = (network.get_submodule(name) for name in ("conv", "linear"))
    stages = cast(nn.Sequential, network.get_submodule("stages"))
    layers = [Layer("conv", 0, cast(nn.Conv2d, stem), stages, "input")]
    for index, stage in enumerate(stages):
        for number, block in enumerate(cast(nn.Sequential, stage)):
            prefix = f"stages.{index}.{number}"
            # Direct children: the projection of a shortcut is inside a Sequential.
            convs = [(n, m) for n, m in block.named_children() if isinstance(m, nn.Conv2d)]
            for position, (name, conv) in enumerate(convs, start=1):
                last = position == len(convs)
                seen_at, side = (block, "output") if last else (convs[position][1], "input")
                layers.append(Layer(f"{prefix}.{name}", index + 1, conv, seen_at, side))
    layers.append(Layer("linear", None, cast(nn.Linear, linear), linear, "output"))
    return layers


Passes = dict[nn.Module, list[tuple[Tensor, Tensor]]]  # a module's input and output, a pass each


def measure_layers(member: Member, data: TrainingData) -> list[LayerRecord]:
    """The rows of layers.csv for `member` as it stands: the input, then each weighted layer."""
    layers = weighted_layers(member.network)
    images, labels = next(data.plain_batches(data.train, member.recipe.batch_size))
    correlations = gradient_correlations(member, layers, images, labels)

    weights = [layer.module.weight for layer in layers]
    images = images.requires_grad_()
    with watched(member.network, layers) as seen:
        loss = F.cross_entropy(forward(member, images).float(), labels)
    responses = [responses_of(layer, seen) for layer in layers]
    gradients = list(torch.autograd.grad(loss, [images, *weights, *sum(responses, [])]))
    image_gradient, gradients = gradients[0], gradients[1:]
    weight_gradients, gradients = gradients[: len(weights)], gradients[len(weights) :]

    first = LayerRecord(
        iteration=member.iteration,
        layer=0,
        name=INPUT,
        stage=None,
        kind=INPUT,
        response_deviation=None,
        activation_deviation=deviation([images]),
        activation_gradient_norm=norm([image_gradient]),
        gradient_correlation=correlations[0],
        weight_norm=None,
        weight_gradient_norm=None,
        update_ratio=None,
    )
    records = [first]
    changes = weight_changes(member, weights, weight_gradients)
    for index, layer in enumerate(layers):
        passes = len(responses[index])
        response_gradients, gradients = gradients[:passes], gradients[passes:]
        weight_norm = norm([weights[index]])
        records.append(
            LayerRecord(
                iteration=member.iteration,
                layer=index + 1,
                name=layer.name,
                stage=layer.stage,
                kind=layer.kind,
                response_deviation=deviation(responses[index]),
                activation_deviation=deviation(activations_of(layer, seen)),
                activation_gradient_norm=norm(response_gradients),
                gradient_correlation=correlations[index + 1],
                weight_norm=weight_norm,
                weight_gradient_norm=norm([weight_gradients[index]]),
                update_ratio=norm([changes[index]]) / weight_norm,
            )
        )
    return records


def gradient_correlations(
    member: Member, layers: Sequence[Layer], images: Tensor, labels: Tensor
) -> list[float | None]:
    """`gradient_correlation` at the images and at each of `layers`; None where all are zero."""
    recipe = member.recipe
    together = recipe.batch_norm_images
    size = len(images) if together == "batch" else together
    neighbours = images.lerp(images.roll(1, dims=0), NEIGHBOUR_DISTANCE)
    cosines: list[list[Tensor]] = [[] for _ in range(len(layers) + 1)]
    precision = executed_precision(recipe.precision, member.device)
    for part in range(0, len(images), size):
        chosen = slice(part, part + size)
        pairs = torch.cat([images[chosen], neighbours[chosen]]).requires_grad_()
        with watched(member.network, layers) as seen, autocast(precision, member.device):
            logits = member.network(pairs)
        answer = logits.float().gather(1, labels[chosen].repeat(2)[:, None]).sum()
        activations = [activations_of(layer, seen)[0] for layer in layers]
        for index, gradient in enumerate(torch.autograd.grad(answer, [pairs, *activations])):
            x, neighbour = gradient.double().flatten(1).chunk(2)
            product = (x * neighbour).sum(1)
            cosines[index].append(product / (x.norm(dim=1) * neighbour.norm(dim=1)))
    means = [torch.cat(parts).nanmean().item() for parts in cosines]
    return [None if math.isnan(mean) else mean for mean in means]


def weight_changes(
    member: Member, weights: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[Tensor]:
    """What the optimizer's next step would add to each of `weights`, given their gradients."""
    trial = copy.deepcopy(member.optimizer)
    copies = {}
    for group, other in zip(member.optimizer.param_groups, trial.param_groups, strict=True):
        other["lr"] = learning_rate_at(member.iteration, member.recipe)
        copies.update(zip(map(id, group["params"]), other["params"], strict=True))
    for weight, gradient in zip(weights, gradients, strict=True):
        copies[id(weight)].grad = gradient
    trial.step()
    return [copies[id(weight)].detach() - weight.detach() for weight in weights]


@contextmanager
def watched(network: nn.Module, layers: Sequence[Layer]) -> Iterator[Passes]:
    """Within the context, what passes the layers in train mode is noted.

    Batch norm then uses the batch's statistics and leaves its running ones as they are.
    """
    seen: Passes = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.setdefault(module, []).append((inputs[0], output))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    modules = {*norms, *(layer.module for layer in layers), *(layer.seen_at for layer in layers)}
    hooks = [module.register_forward_hook(note) for module in modules]
    training = network.training
    try:
        network.train()
        for batch_norm in norms:
            batch_norm.track_running_stats = False
        yield seen
    finally:
        for batch_norm in norms:
            batch_norm.track_running_stats = True
        for hook in hooks:
            hook.remove()
        network.train(training)


def responses_of(layer: Layer, seen: Passes) -> list[Tensor]:
    """The layer's response in each pass: what the batch norm that took its output made of it."""
    norms = [passes for module, passes in seen.items() if isinstance(module, nn.BatchNorm2d)]
    normed = {id(taken): made for passes in norms for taken, made in passes}
    return [normed.get(id(output), output) for _, output in seen[layer.module]]


def activations_of(layer: Layer, seen: Passes) -> list[Tensor]:
    """The layer's activation in each pass."""
    return [taken if layer.side == "input" else made for taken, made in seen[layer.seen_at]]


def norm(tensors: Sequence[Tensor]) -> float:
    """The L2 norm of all numbers in `tensors`."""
    squares = [torch.linalg.vector_norm(t, dtype=torch.float64) ** 2 for t in tensors]
    return torch.stack(squares).sum().sqrt().item()


def deviation(tensors: Sequence[Tensor]) -> float:
    """The standard deviation of all numbers in `tensors`."""
    numbers = torch.cat([tensor.detach().flatten() for tensor in tensors])
    return numbers.double().std(correction=0).item()
