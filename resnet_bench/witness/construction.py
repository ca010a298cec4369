"""The identity witness: a deeper network that computes what a trained shallower one does.

Section 1: "There exists a solution by construction to the deeper model: the added layers are
identity mapping, and the other layers are copied from the learned shallower model. The existence
of this constructed solution indicates that a deeper model should produce no higher training
error than its shallower counterpart." Here it is constructed: identity blocks at each stage's end.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from resnet_bench.cures.load import load_cures
from resnet_bench.errors import UserError
from resnet_bench.networks.cifar import Block, CifarNet
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.validation import one_line
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import finished
from resnet_bench.training import checkpoints
from resnet_bench.training.data import TrainingData
from resnet_bench.training.evaluation import precise_batch_norm
from resnet_bench.training.precision import as_float64
from resnet_bench.training.state import TrainingState, new_state


def deeper_experiment(experiment: Experiment, depth: int) -> Experiment:
    """`experiment` with a network of `depth` layers, under the name that it has in its suite.

    Raises UserError for an impossible depth, and for networks without a witness: only basic blocks
    with batch norm before the last ReLU can be made an identity here.
    """
    spec = experiment.spec
    if (
        (spec.architecture, spec.block) != ("cifar", "basic")
        or (spec.activation, spec.normalization) != ("post", "batch")
        or spec.conv_bias
        or (spec.shortcut == "C" and not spec.projection_norm)
        or any(cure.Block for cure in load_cures(experiment.cures))
    ):
        raise UserError(
            f"{experiment.name}: a witness is made of basic blocks of section 4.2 only: batch norm"
            " after each convolution, no bias, ReLU last"
        )
    if depth < spec.depth:
        raise UserError(f"{experiment.name}: a depth of {depth} is less than its {spec.depth}")
    try:
        deep = NetworkSpec.model_validate({**spec.model_dump(), "depth": depth})
    except ValidationError as error:
        raise UserError(f"{experiment.name}: {one_line(error)}") from error
    base, plus, changes = experiment.network_name.partition("+")
    name = deep.name if base == spec.name else f"{base}-as-{depth}"
    name += plus + changes
    return replace(experiment, network_name=name, spec=deep)


def trained_state(run: Run, machine: Machine, device: torch.device) -> TrainingState:
    """The state at the end of `run`; raises UserError if it has not finished."""
    directory = RunDirectory(run.directory(machine.results))
    progress = finished(run, machine)
    if progress is None or progress.status != "finished" or not directory.checkpoint.exists():
        status = progress.status if progress else directory.status()
        there = "without its checkpoint" if status == "finished" else status
        raise UserError(
            f"{directory.path} is {there}; train it: python -m resnet_bench run"
            f" '{run.experiment.name}' --seed {run.seed} --results {machine.results}"
        )
    state = new_state(run, device)
    checkpoints.load(state, directory.checkpoint)
    return state


def build_witness(source: TrainingState, deep: Experiment) -> TrainingState:
    """A state of `deep`, at iteration 0, whose outputs in evaluation mode are those of `source`.

    On a CPU they are equal bit for bit. The inner layers of added residual blocks are neither
    copied nor made an identity: they hold the initial weights of the seed.
    """
    witness = new_state(Run(deep, source.run.seed), source.device)
    insert_identities(cast(CifarNet, source.network), cast(CifarNet, witness.network))
    return witness


@torch.no_grad()
def insert_identities(source: CifarNet, deep: CifarNet) -> None:
    """Copy `source` into `deep` and make what `deep` has more of compute the identity.

    With a shortcut a zero last scale is enough: x is the output of a ReLU, so relu(0 + x) = x.
    Without one x goes through two layers, each of which must be the identity.
    """
    unexpected = deep.load_state_dict(source.state_dict(), strict=False).unexpected_keys
    assert not unexpected, unexpected  # a stage's first blocks have the same names in both
    for _, block in added_blocks(source, deep):
        if block.has_shortcut:
            block.last_norm.weight.zero_()
            block.last_norm.bias.zero_()
        for convolution, norm in layers_on_the_way(block):
            nn.init.dirac_(convolution.weight)
            norm.reset_parameters()  # scale 1, shift 0, mean 0, variance 1
            assert norm.running_var is not None
            norm.running_var.sub_(norm.eps)  # then variance + eps is 1, exactly, and x / 1 is x


def added_blocks(source: CifarNet, deep: CifarNet) -> Iterator[tuple[int, Block]]:
    """(stage, block) of each block that `deep` has and `source` has not: the last of a stage."""
    for number, (short, long) in enumerate(zip(source.stages, deep.stages, strict=True)):
        blocks = list(cast(nn.Sequential, long))[len(cast(nn.Sequential, short)) :]
        yield from ((number, cast(Block, block)) for block in blocks)


def layers_on_the_way(block: Block) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The layers that x passes on its way through an added block.

    Without a shortcut both convolutions; with a projection the projection; else none.
    """
    layers: list[nn.Module] = []
    if not block.has_shortcut:
        layers = [block.conv1, block.bn1, block.conv2, block.bn2]
    elif block.projection is not None:
        layers = list(block.projection.children())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


@torch.no_grad()
def calibrate(witness: TrainingState, source: TrainingState, data: TrainingData) -> None:
    """Make the added layers nearly the identity in train mode as well, in place.

    There batch norm divides by the deviation of the batch and subtracts its mean; a scale equal
    to the deviation and a shift equal to the mean undo both on average (Net2Net, arXiv
    1511.05641, section 2.2). Every added layer of a stage sees the maps that leave the stage.
    """
    statistics = stage_statistics(source, data)
    short, deep = cast(CifarNet, source.network), cast(CifarNet, witness.network)
    for stage, block in added_blocks(short, deep):
        mean, variance = statistics[stage]
        for _, norm in layers_on_the_way(block):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(mean)


def stage_statistics(state: TrainingState, data: TrainingData) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance (C,) of each stage's output in train mode, averaged over batches.

    The batches are those that precise batch norm is estimated on, un-augmented.
    """
    seen: list[list[tuple[Tensor, Tensor]]] = []
    hooks = []
    for stage in cast(CifarNet, state.network).stages:
        batches: list[tuple[Tensor, Tensor]] = []

        def note(_: nn.Module, __: object, maps: Tensor, batches: list = batches) -> None:
            variance, mean = torch.var_mean(as_float64(maps), dim=(0, 2, 3), correction=0)
            batches.append((mean, variance))

        hooks.append(stage.register_forward_hook(note))
        seen.append(batches)
    with precise_batch_norm(state.network, data, state.recipe, "ieee"):
        for hook in hooks:
            hook.remove()
    return [
        (
            torch.stack([mean for mean, _ in batches]).mean(dim=0).float(),
            torch.stack([variance for _, variance in batches]).mean(dim=0).float(),
        )
        for batches in seen
    ]
