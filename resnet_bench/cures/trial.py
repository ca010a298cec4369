"""A cure's trial, before its run is trained: on two images, and nothing of it stays.

What every run needs is asked of the cure: the same network when it is made again, the control's
shapes, and the same bits after a resume.
"""

import copy
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.cures.blame import blamed, named, own_random
from resnet_bench.cures.treatment import change_gradients, treated_network, treated_optimizer
from resnet_bench.errors import UserError
from resnet_bench.networks.initialization import digest
from resnet_bench.suites.experiment import Experiment


def tried_network(experiment: Experiment, seed: int) -> nn.Module:
    """The treated network, of which nothing is trained; raises UserError if a cure is no good."""
    network = treated_network(experiment, seed)
    if experiment.cures:
        who = named(experiment)
        for name, parameter in network.named_parameters():
            if not parameter.isfinite().all():
                raise UserError(f"{who} {name} is not finite after initialize")
            if not parameter.requires_grad:
                raise UserError(f"{who} {name} is frozen; all parameters are trained")
        again = treated_network(experiment, seed, stream=1)
        _check_equal(network, again, who)
        _check_training(_Trial.of(copy.deepcopy(network), experiment), again)
    return network


def _check_equal(network: nn.Module, again: nn.Module, who: str) -> None:
    others = again.state_dict()
    for name, tensor in network.state_dict().items():
        if name not in others or not torch.equal(tensor, others[name]):
            raise UserError(
                f"{who} {name} differs when it is made again; draw it in initialize, from"
                " `generator`"
            )


@dataclass
class _Trial:
    """A network in training on two images."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    experiment: Experiment

    @classmethod
    def of(cls, network: nn.Module, experiment: Experiment) -> "_Trial":
        rate, momentum = experiment.recipe.learning_rate, experiment.recipe.momentum
        made = treated_optimizer(network, experiment)
        return cls(
            network, made or torch.optim.SGD(network.parameters(), rate, momentum), experiment
        )

    def logits(self) -> Tensor:
        shape = self.experiment.images
        images = torch.linspace(-1, 1, 2 * shape.channels * shape.side**2)
        logits = self.network(images.reshape(2, shape.channels, shape.side, shape.side))
        if logits.shape != (2, shape.classes):
            found, wanted = tuple(logits.shape), (2, shape.classes)
            raise UserError(f"{named(self.experiment)} logits are {found}, not {wanted}")
        return logits

    def train(self, steps: int) -> None:
        who = named(self.experiment)
        for _ in range(steps):
            with own_random(who, "forward"):
                loss = F.cross_entropy(self.logits(), torch.zeros(2, dtype=torch.int64))
                self.optimizer.zero_grad()
                loss.backward()
            with own_random(who, "on_gradients"), torch.no_grad():
                change_gradients(self.network, self.experiment)
            with own_random(who, "optimizer"):
                self.optimizer.step()


def _check_training(trial: _Trial, again: nn.Module) -> None:
    """Train three steps, and the last two of them once more from a checkpoint, on `again`."""
    who = named(trial.experiment)
    tensors = _tensors(trial.network)
    with _checked_shapes(trial.network, trial.experiment):
        trial.train(1)
    checkpoint = io.BytesIO()
    state = [trial.network.state_dict(), trial.optimizer.state_dict()]
    with blamed(who, "a checkpoint fails"):
        torch.save(state, checkpoint)
        checkpoint.seek(0)
        state = torch.load(checkpoint, weights_only=True)
    trial.train(2)
    for name in tensors.keys() | _tensors(trial.network).keys():
        if tensors.get(name) is not _tensors(trial.network).get(name):
            raise UserError(f"{who} {name} is replaced in training; change it in place")
    resumed = _Trial.of(again, trial.experiment)
    with blamed(who, "a checkpoint fails"):
        resumed.network.load_state_dict(state[0])
        resumed.optimizer.load_state_dict(state[1])
    resumed.train(2)
    if digest(resumed.network) != digest(trial.network):
        raise UserError(
            f"{who} a resumed run differs; what a cure remembers belongs into the optimizer's state"
            " or the network's buffers"
        )
    with own_random(who, "forward in evaluation mode"), torch.no_grad():
        trial.network.eval()
        trial.logits()
    with blamed(who, "a copy of the optimizer fails"):  # layers are measured with one
        twin = copy.deepcopy(trial.optimizer)
        for parameter in chain(*(group["params"] for group in twin.param_groups)):
            parameter.grad = torch.ones_like(parameter)
        twin.step()


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return dict(chain(network.named_parameters(), network.named_buffers()))


@contextmanager
def _checked_shapes(network: nn.Module, experiment: Experiment) -> Iterator[None]:
    """Raises UserError if a block within the context returns another shape than the control's."""
    spec, who = experiment.spec, named(experiment)
    with ExitStack() as stack:
        for stage, blocks in enumerate(network.get_submodule("stages").children()):
            channels = spec.stage_widths[stage] * spec.expansion
            for place, block in enumerate(blocks.children()):
                check = partial(_check_shape, who, 2 if stage and not place else 1, channels)
                stack.enter_context(block.register_forward_hook(check))
        yield


def _check_shape(
    who: str, stride: int, channels: int, _: nn.Module, inputs: tuple[Tensor, ...], output: Any
) -> None:
    """A forward hook of a block."""
    images, _inputs, height, width = inputs[0].shape
    wanted = (images, channels, -(-height // stride), -(-width // stride))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != wanted:
        raise UserError(f"{who} Block returns {found}, not {wanted}")
