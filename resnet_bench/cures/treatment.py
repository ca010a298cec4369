"""A network with its cures: built, initialised, tried once before anything is trained."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.cures.load import Cure, blamed, load_cures
from resnet_bench.datasets.definitions import InputShape
from resnet_bench.errors import UserError
from resnet_bench.networks.build import build_network
from resnet_bench.networks.initialization import generator, initialize
from resnet_bench.suites.experiment import Experiment


def built_network(experiment: Experiment, images: InputShape | None = None) -> nn.Module:
    """The network of `experiment`, with a cure's blocks if it has one; its weights are not set.

    `images` replaces those of the experiment. Raises UserError if a cure's Block fails.
    """
    images = images or experiment.images
    for cure in load_cures(experiment.cures):
        if cure.block:
            # PyTorch's layers draw weights, which are replaced later, from the global stream.
            with blamed(f"cure {cure.name}:", "Block fails"), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                block = partial(cure.block, options=cure.options)
                return build_network(experiment.spec, images, block)
    return build_network(experiment.spec, images)


def parameters_of(experiment: Experiment) -> int:
    """Trainable numbers of the network, counted from the built one; nothing is computed."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in built_network(experiment).parameters())


def treated_network(experiment: Experiment, seed: int) -> nn.Module:
    """The network of `experiment` with the initial weights of `seed` and of its cures.

    Raises UserError for a cure that cannot be used: see `try_out`.
    """
    network = built_network(experiment)
    initialize(network, seed, experiment.recipe)
    cures = load_cures(experiment.cures)
    for cure in cures:
        if cure.initialize:
            with _own_random(cure, "initialize"), torch.no_grad():
                cure.initialize(network, partial(generator, seed), experiment.spec, cure.options)
    if cures:
        try_out(network, experiment, cures)
    return network


def treated_optimizer(network: nn.Module, experiment: Experiment) -> torch.optim.Optimizer | None:
    """The optimizer that a cure makes; None where none does."""
    for cure in load_cures(experiment.cures):
        if cure.optimizer:
            with _own_random(cure, "optimizer"):
                made = cure.optimizer(list(network.parameters()), experiment.recipe, cure.options)
            if not isinstance(made, torch.optim.Optimizer):
                raise UserError(f"cure {cure.name}: optimizer returns {type(made).__name__}")
            return made
    return None


def change_gradients(network: nn.Module, experiment: Experiment) -> None:
    """Call the cures' `on_gradients`."""
    for cure in load_cures(experiment.cures):
        if cure.on_gradients:
            cure.on_gradients(network, experiment.recipe, cure.options)


def try_out(network: nn.Module, experiment: Experiment, cures: Sequence[Cure]) -> None:
    """Pass two images forward and back, and leave `network` as it was.

    Raises UserError if weights are not finite, a block or the network returns another shape than
    its control, or the cure uses a global random stream.
    """
    names = " and ".join(cure.name for cure in cures)
    for name, tensor in network.named_parameters():
        if not tensor.isfinite().all():
            raise UserError(f"cure {names}: {name} is not finite after initialize")
    shape, saved = experiment.images, {k: v.clone() for k, v in network.state_dict().items()}
    images = torch.linspace(-1, 1, 2 * shape.channels * shape.side**2)
    images = images.reshape(2, shape.channels, shape.side, shape.side)
    with ExitStack() as stack:
        stack.enter_context(_own_random(cures[0], "forward", names))
        stack.enter_context(_checked_shapes(network, experiment, names))
        logits = network(images)
        if logits.shape != (2, shape.classes):
            wanted = (2, shape.classes)
            raise UserError(f"cure {names}: logits are {tuple(logits.shape)}, not {wanted}")
        F.cross_entropy(logits, torch.zeros(2, dtype=torch.int64)).backward()
        with torch.no_grad():
            change_gradients(network, experiment)
    network.zero_grad()
    network.load_state_dict(saved)


@contextmanager
def _checked_shapes(network: nn.Module, experiment: Experiment, names: str) -> Iterator[None]:
    """Raises UserError if a block within the context returns another shape than the control's."""
    spec, stages = experiment.spec, network.get_submodule("stages")
    handles = []
    for index, stage in enumerate(stages.children()):
        for place, block in enumerate(stage.children()):
            stride = 2 if index and not place else 1
            channels = spec.stage_widths[index] * spec.expansion
            check = partial(_check_shape, names, stride, channels)
            handles.append(block.register_forward_hook(check))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_shape(
    names: str, stride: int, channels: int, _: nn.Module, inputs: tuple[Tensor, ...], output: Any
) -> None:
    """A forward hook of a block."""
    images, _inputs, height, width = inputs[0].shape
    wanted = (images, channels, -(-height // stride), -(-width // stride))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != wanted:
        raise UserError(f"cure {names}: Block returns {found}, not {wanted}")


@contextmanager
def _own_random(cure: Cure, hook: str, names: str = "") -> Iterator[None]:
    """Raises UserError if the hook fails or draws from a global random stream."""

    def states() -> list[Any]:
        numpy_state = np.random.get_state(legacy=False)
        return [torch.get_rng_state().tolist(), str(numpy_state), random.getstate()]

    before = states()
    with blamed(f"cure {names or cure.name}:", f"{hook} fails"):
        yield
    if states() != before:
        raise UserError(
            f"cure {names or cure.name}: {hook} draws from a global random stream; use `generator`"
        )
