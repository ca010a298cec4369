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
        if cure.Block:
            # PyTorch's layers draw weights, which are replaced later, from the global stream.
            with blamed(f"cure {cure.name}:", "Block fails"), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                block = partial(cure.Block, options=cure.options)
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
            with _own_random(cure.name, "initialize"), torch.no_grad():
                cure.initialize(network, partial(generator, seed), experiment.spec, cure.options)
    if cures:
        try_out(network, experiment, cures)
    return network


def treated_optimizer(network: nn.Module, experiment: Experiment) -> torch.optim.Optimizer | None:
    """The optimizer that a cure makes; None where none does."""
    for cure in load_cures(experiment.cures):
        if cure.optimizer:
            with _own_random(cure.name, "optimizer"):
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
        stack.enter_context(_own_random(names, "forward"))
        for stage, blocks in enumerate(network.get_submodule("stages").children()):
            channels = experiment.spec.stage_widths[stage] * experiment.spec.expansion
            for place, block in enumerate(blocks.children()):
                check = partial(_check_shape, names, 2 if stage and not place else 1, channels)
                stack.enter_context(block.register_forward_hook(check))
        logits, wanted = network(images), (2, shape.classes)
        if logits.shape != wanted:
            raise UserError(f"cure {names}: logits are {tuple(logits.shape)}, not {wanted}")
        F.cross_entropy(logits, torch.zeros(2, dtype=torch.int64)).backward()
        with torch.no_grad():
            change_gradients(network, experiment)
    network.zero_grad()
    network.load_state_dict(saved)


def _check_shape(
    names: str, stride: int, channels: int, _: nn.Module, inputs: tuple[Tensor, ...], output: Any
) -> None:
    """A forward hook: raises UserError if a block returns another shape than the control's."""
    images, _inputs, height, width = inputs[0].shape
    wanted = (images, channels, -(-height // stride), -(-width // stride))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != wanted:
        raise UserError(f"cure {names}: Block returns {found}, not {wanted}")


@contextmanager
def _own_random(names: str, hook: str) -> Iterator[None]:
    """Raises UserError if the hook fails or draws from a global random stream."""

    def states() -> list[Any]:
        numpy_state = np.random.get_state(legacy=False)
        return [torch.get_rng_state().tolist(), str(numpy_state), random.getstate()]

    before = states()
    with blamed(f"cure {names}:", f"{hook} fails"):
        yield
    if states() != before:
        raise UserError(f"cure {names}: {hook} draws from a global random stream; use `generator`")
