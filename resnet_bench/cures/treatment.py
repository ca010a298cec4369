"""A network with its cures: built, initialised, and given their optimizer."""

from functools import partial

import torch
from torch import nn

from resnet_bench.cures.blame import own_random
from resnet_bench.cures.load import Cure, load_cures
from resnet_bench.datasets.definitions import InputShape
from resnet_bench.errors import UserError
from resnet_bench.networks.build import build_network
from resnet_bench.networks.initialization import generator, initialize
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.network import NetworkSpec


def built_network(
    experiment: Experiment, images: InputShape | None = None, stream: int = 0
) -> nn.Module:
    """The network of `experiment`, with a cure's blocks if it has one; its weights are not set.

    `images` replaces those of the experiment. PyTorch's layers draw weights, which are replaced
    later, from the global stream: it is that of the number `stream`. Raises UserError if a cure's
    Block fails.
    """
    images = images or experiment.images
    for cure in load_cures(experiment.cures):
        if cure.Block:
            with own_random(f"cure {cure.name}:", "Block"), torch.random.fork_rng(devices=[]):
                torch.manual_seed(stream)
                return build_network(experiment.spec, images, partial(_block, cure))
    return build_network(experiment.spec, images)


def _block(cure: Cure, inputs: int, width: int, stride: int, spec: NetworkSpec) -> nn.Module:
    assert cure.Block is not None
    return cure.Block(inputs, width, stride, spec, cure.options)


def parameters_of(experiment: Experiment) -> int:
    """Trainable numbers of the network, counted from the built one."""
    return sum(parameter.numel() for parameter in built_network(experiment).parameters())


def treated_network(experiment: Experiment, seed: int, stream: int = 0) -> nn.Module:
    """The network of `experiment` with the initial weights of `seed` and of its cures.

    `stream` must not matter: see `built_network`. Raises UserError if a cure fails.
    """
    network = built_network(experiment, stream=stream)
    initialize(network, seed, experiment.recipe)
    for cure in load_cures(experiment.cures):
        if cure.initialize:
            who, random = f"cure {cure.name}:", partial(generator, seed)
            with own_random(who, "initialize"), torch.no_grad():
                made: object = cure.initialize(network, random, experiment.spec, cure.options)
            _check_nothing(made, f"{who} initialize")
    return network


def treated_optimizer(network: nn.Module, experiment: Experiment) -> torch.optim.Optimizer | None:
    """The optimizer that a cure makes; None where none does. Raises UserError if it is no good."""
    for cure in load_cures(experiment.cures):
        if cure.optimizer:
            who, parameters = f"cure {cure.name}: optimizer", list(network.parameters())
            with own_random(f"cure {cure.name}:", "optimizer"):
                made = cure.optimizer(list(parameters), experiment.recipe, cure.options)
            if not isinstance(made, torch.optim.Optimizer):
                raise UserError(f"{who} returns {type(made).__name__}")
            held = [id(tensor) for group in made.param_groups for tensor in group["params"]]
            if sorted(held) != sorted(map(id, parameters)):
                raise UserError(f"{who} does not have every parameter once")
            rate = experiment.recipe.learning_rate
            if any(group.get("lr", rate) != rate for group in made.param_groups):
                raise UserError(
                    f"{who} has a learning rate of its own, which the schedule would replace; keep"
                    " a factor in its groups"
                )
            return made
    return None


def change_gradients(network: nn.Module, experiment: Experiment) -> None:
    """Call the cures' `on_gradients`."""
    for cure in load_cures(experiment.cures):
        if cure.on_gradients:
            made: object = cure.on_gradients(network, experiment.recipe, cure.options)
            _check_nothing(made, f"cure {cure.name}: on_gradients")


def _check_nothing(made: object, what: str) -> None:
    """Raises UserError for what a hook returns that works in place: it would be lost."""
    if made is not None:
        raise UserError(f"{what} returns {type(made).__name__}; it has to work in place")
