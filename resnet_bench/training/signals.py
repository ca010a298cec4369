"""The signals inside a network, layer by layer, on a fixed batch. Measuring leaves no trace.

The batch is the first `batch_size` training images, un-augmented, in train mode: batch norm uses
the batch's statistics. networks/layers.py says what a response and an activation are. Of the
columns of layers.csv,

- `activation_gradient_norm` is that of the gradient of the mean loss with respect to the response.
  This is the tensor of which Yang et al. 2019 (arXiv 1902.08129) say that in a plain network at
  initialisation its squared norm grows by pi / (pi - 1) a layer towards the input, the norm by
  1.21. In short: on its way back the gradient passes a convolution, whose weights double its
  square (He's initialisation, fan-in), a ReLU, which halves it, and batch norm, which divides it
  by the variance of the convolution's output. That output has 2 Var(x), x being the ReLU of a
  standard normal number: 2 (1/2 - 1/(2 pi)) = (pi - 1) / pi. This is the limit of wide networks.
- `gradient_correlation` is about shattered gradients (Balduzzi et al. 2017, arXiv 1702.08591).
  Each image x has a neighbour x' = x + NEIGHBOUR_DISTANCE (y - x), y being the image before it in
  the batch (before the first, the last). All pass through the network in one batch, so that x and
  x' are normalised alike. Of the logit of x's label, summed over the batch, the gradient at the
  layer's activation is taken at x and at x'; the correlation is their cosine, averaged over the
  images. Of the logit, not the loss, so that only the network decides: a linear one has
  correlation 1.
- `response_rank` is the effective rank of Roy and Vetterli 2007 (EUSIPCO, definition 1): the
  exponential of the entropy of the singular values, which sum to 1, of the matrix with a row for
  each image's response. It is 1 if all images give the same response but for a factor.
- `update_ratio` is the norm of the change that the optimizer would make to the weight now, on this
  batch, over the norm of the weight. A copy of the optimizer makes it.
"""

import copy
import math
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_bench.networks.layers import Layer, watched, weighted_layers
from resnet_bench.records.layers import INPUT, LayerRecord
from resnet_bench.training.data import TrainingData
from resnet_bench.training.precision import (
    as_float64,
    autocast,
    executed_precision,
    float64_device,
    wait_for,
)
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import forward

# The part of the way to another image. On the digits, at initialisation, it tells most: correlation
# at the input of plain networks of 8, 20 and 56 layers 0.95, 0.62 and 0, of residual ones 0.97,
# 0.92 and 0.82. At 0.001 plain-20 has 0.95, at 0.1 even plain-8 has only 0.62.
NEIGHBOUR_DISTANCE = 0.01


def measure_layers(state: TrainingState, data: TrainingData) -> list[LayerRecord]:
    """The rows of layers.csv at the present iteration: the input, then each weighted layer."""
    wait_for(state.device)
    layers = weighted_layers(state.network)
    weights = [layer.module.weight for layer in layers]
    images, labels = next(data.plain_batches(data.train, state.recipe.batch_size))
    correlations = gradient_correlations(state, layers, images, labels)

    images = images.requires_grad_()
    with watched(state.network, layers) as passages:
        loss = F.cross_entropy(forward(state, images).float(), labels)
    responses = [passages.responses(layer) for layer in layers]
    at_images, of_weights, *at_responses = gradients(loss, [[images], weights, *responses])
    ratios = update_ratios(state, weights, of_weights)
    first = LayerRecord(
        iteration=state.iteration,
        layer=0,
        name=INPUT,
        kind=INPUT,
        activation_deviation=deviation([images]),
        activation_gradient_norm=l2_norm(at_images),
        gradient_correlation=correlations[0],
    )
    return [first] + [
        LayerRecord(
            iteration=state.iteration,
            layer=index + 1,
            name=layer.name,
            stage=layer.stage,
            kind=layer.kind,
            response_deviation=deviation(responses[index]),
            activation_deviation=deviation(passages.activations(layer)),
            activation_gradient_norm=l2_norm(at_responses[index]),
            gradient_correlation=correlations[index + 1],
            weight_norm=l2_norm([weights[index]]),
            weight_gradient_norm=l2_norm([of_weights[index]]),
            update_ratio=ratios[index],
            response_rank=effective_rank(responses[index]),
        )
        for index, layer in enumerate(layers)
    ]


def gradient_correlations(
    state: TrainingState, layers: Sequence[Layer], images: Tensor, labels: Tensor
) -> list[float | None]:
    """`gradient_correlation` at the images and at each of `layers`; None where all are zero."""
    recipe = state.recipe
    together = recipe.batch_norm_images
    size = len(images) if together == "batch" else together
    precision = executed_precision(recipe.precision, state.device)
    neighbours = images.lerp(images.roll(1, dims=0), NEIGHBOUR_DISTANCE)
    cosines: list[list[Tensor]] = [[] for _ in range(len(layers) + 1)]
    for x, other, label in zip(*(t.split(size) for t in (images, neighbours, labels)), strict=True):
        pairs = torch.cat([x, other]).requires_grad_()
        with watched(state.network, layers) as passages, autocast(precision, state.device):
            logits = state.network(pairs)
        chosen = logits.float().gather(1, label.repeat(2)[:, None]).sum()
        activations = [passages.activations(layer) for layer in layers]
        for index, (gradient,) in enumerate(gradients(chosen, [[pairs], *activations])):
            at_x, at_other = as_float64(gradient).flatten(1).chunk(2)
            lengths = at_x.norm(dim=1) * at_other.norm(dim=1)
            cosines[index].append((at_x * at_other).sum(1) / lengths)
    means = [torch.cat(parts).nanmean().item() for parts in cosines]
    return [None if math.isnan(mean) else mean for mean in means]


def update_ratios(
    state: TrainingState, weights: Sequence[Tensor], of_weights: Sequence[Tensor]
) -> list[float | None]:
    """`update_ratio` of each of `weights`, given the gradients of the loss; None for zeros."""
    trial = copy.deepcopy(state.optimizer)
    copies: dict[int, Tensor] = {}
    for group, other in zip(state.optimizer.param_groups, trial.param_groups, strict=True):
        other["lr"] = learning_rate_at(state.iteration, state.recipe)
        if "capturable" in other:  # Adam's; this step is none of a graph
            other["capturable"] = False
        copies |= zip(map(id, group["params"]), other["params"], strict=True)
    for weight, gradient in zip(weights, of_weights, strict=True):
        copies[id(weight)].grad = gradient
    trial.step()
    changes = [l2_norm([copies[id(weight)].detach() - weight.detach()]) for weight in weights]
    norms = [l2_norm([weight]) for weight in weights]
    return [
        change / norm if norm > 0 else None for change, norm in zip(changes, norms, strict=True)
    ]


def gradients(number: Tensor, groups: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Those of `number` with respect to each tensor, in the same groups; no .grad is touched."""
    flat = iter(torch.autograd.grad(number, list(chain(*groups))))
    return [[next(flat) for _ in group] for group in groups]


def l2_norm(tensors: Sequence[Tensor]) -> float:
    """The L2 norm of all numbers in `tensors`."""
    there = [tensor.detach().to(float64_device(tensor.device)) for tensor in tensors]
    squares = [torch.linalg.vector_norm(tensor, dtype=torch.float64) ** 2 for tensor in there]
    return torch.stack(squares).sum().sqrt().item()


def effective_rank(tensors: Sequence[Tensor]) -> float | None:
    """`response_rank` of responses (N, ...) in one or more parts; None if they are not finite."""
    rows = as_float64(torch.cat([tensor.detach().flatten(1) for tensor in tensors]))
    squares = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0) if rows.isfinite().all() else None
    if squares is None or not squares.sum() > 0:
        return None
    shares = squares.sqrt() / squares.sqrt().sum()
    return torch.special.entr(shares).sum().exp().item()


def deviation(tensors: Sequence[Tensor]) -> float:
    """The standard deviation of all numbers in `tensors`."""
    numbers = torch.cat([tensor.detach().flatten() for tensor in tensors])
    return as_float64(numbers).std(correction=0).item()
