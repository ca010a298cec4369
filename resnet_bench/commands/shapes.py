"""`resnet_bench shapes`: the shapes of an image on its way through a network, or one of its blocks.

Counted on PyTorch's meta device: nothing is computed and no data set is needed. torch is imported
only when the command runs.
"""

import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from resnet_bench.commands.options import ExperimentName, Settings
from resnet_bench.datasets.definitions import InputShape
from resnet_bench.errors import UserError
from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import find_experiment

if TYPE_CHECKING:
    from torch import Tensor, nn


Input = Annotated[
    str | None,
    typer.Option("--input", help="channels x height x width, such as 1x224x224; else its own"),
]
BlockName = Annotated[
    str | None,
    typer.Option("--block", help="stage and block, such as 2.1: the shapes within this block"),
]


@dataclass(frozen=True)
class Stage:
    """A part of a network: what leaves it for one image, and its trainable numbers."""

    name: str
    shape: tuple[int, ...]
    parameters: int

    def __str__(self) -> str:
        return f"{self.name:<12}{'x'.join(map(str, self.shape)):>14}{self.parameters:>14,}"


def shapes(
    experiment: ExperimentName,
    settings: Settings = None,
    images: Input = None,
    block: BlockName = None,
) -> None:
    """Print the shapes through an experiment's network, or through one of its blocks."""
    found = find_experiment(experiment, tuple(settings or ()))
    shape = found.images if images is None else parse_input(images, found.images.classes)
    parts = network_stages(found, shape) if block is None else block_parts(found, shape, block)
    if found.cures:
        typer.echo(f"cure: {' + '.join(map(str, found.cures))}")
    typer.echo(f"{'part':<12}{'output':>14}{'parameters':>14}")
    if block is None:
        typer.echo(Stage("images", (shape.channels, shape.side, shape.side), 0))
    for part in parts:
        typer.echo(part)
    typer.echo(f"{'total':<26}{sum(part.parameters for part in parts):>14,}")


def parse_input(text: str, classes: int) -> InputShape:
    """The images that `text` means, such as 3x32x32; raises UserError for anything else."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x\2", text)
    if not match:
        raise UserError(f"--input {text!r}: write channels x side x side, such as 3x32x32")
    return InputShape(int(match[1]), int(match[2]), classes)


def network_stages(experiment: Experiment, images: InputShape) -> list[Stage]:
    """Stem, stages, global pooling and linear layer of the network, in this order.

    Raises UserError for images that the network cannot take.
    """
    from torch import nn

    module, shapes = _passed(experiment, images)
    children = dict(module.named_children())
    stages, linear = list(cast(nn.Sequential, children.pop("stages"))), children.pop("linear")
    final_norm = children.pop("final_bn", None)  # of pre-activation
    parts = [Stage("stem", shapes[stages[0]][0], _parameters(*children.values()))]
    for number, stage in enumerate(stages, 1):
        parts.append(Stage(f"stage {number}", shapes[stage][1], _parameters(stage)))
    if final_norm is not None:
        parts.append(Stage("norm", parts[-1].shape, _parameters(final_norm)))
    pooled, scores = shapes[linear]
    parts += [Stage("pooling", (*pooled, 1, 1), 0), Stage("flatten", pooled, 0)]
    return [*parts, Stage("linear", scores, _parameters(linear))]


def block_parts(experiment: Experiment, images: InputShape, name: str) -> list[Stage]:
    """The parts of one block, in the order in which they are made, between its input and output.

    `name` is stage and block, from 1 on: 2.1 is the first that halves the maps. Raises UserError
    if there is no such block, or for images that the network cannot take.
    """
    module, shapes = _passed(experiment, images)
    blocks = {
        f"{place}.{index}": block
        for place, blocks in enumerate(cast("nn.Sequential", module.get_submodule("stages")), 1)
        for index, block in enumerate(cast("nn.Sequential", blocks), 1)
    }
    if name not in blocks:
        raise UserError(f"--block {name!r}: stage and block, from 1.1 to {list(blocks)[-1]}")
    before, after = shapes[blocks[name]]
    parts = [Stage("input", before, 0)]
    for child_name, child in blocks[name].named_children():
        parts.append(Stage(child_name, shapes[child][1], _parameters(child)))
    return [*parts, Stage("output", after, 0)]


def _passed(
    experiment: Experiment, images: InputShape
) -> "tuple[nn.Module, dict[nn.Module, tuple[tuple[int, ...], tuple[int, ...]]]]":
    """The network, and for each of its modules the shapes before and after it, of one image."""
    import torch

    from resnet_bench.cures.blame import blamed, named
    from resnet_bench.cures.treatment import built_network

    # A cure's Block may compute numbers when it is made, which nothing on the meta device has.
    module = built_network(experiment, images).eval().to("meta")
    batch = torch.empty(1, images.channels, images.side, images.side, device="meta")
    shapes: dict[nn.Module, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def note(part: "nn.Module", inputs: "tuple[Tensor, ...]", output: "Tensor") -> None:
        shapes[part] = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])

    for part in module.modules():
        part.register_forward_hook(note)
    with blamed(named(experiment), "forward fails") if experiment.cures else nullcontext():
        module(batch)
    return module, shapes


def _parameters(*modules: "nn.Module") -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())
