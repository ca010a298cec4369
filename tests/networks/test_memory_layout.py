"""All that a training step makes of the images is in channels_last order, in every network."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import load_suite, suite_names
from resnet_bench.training.state import new_state
from resnet_bench.training.step import eager_step

IMAGES = 7  # no width of a network


class OtherOrders(TorchDispatchMode):
    """Counts the operations that make 4-d tensors of the images in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.dim() == 4 and len(tensor) == IMAGES:
                ordered = tensor.is_contiguous(memory_format=torch.channels_last)
                self.operations[str(function)] += not ordered
        return made


def shallowest() -> dict[object, Experiment]:
    """Of each kind of network in the shipped suites, without cures, the one of least depth."""
    found: dict[object, Experiment] = {}
    for experiment in (e for name in suite_names() for e in load_suite(name).experiments):
        kind = experiment.spec.model_dump_json(exclude={"depth"})
        if not experiment.cures and (
            kind not in found or experiment.spec.depth < found[kind].spec.depth
        ):
            found[kind] = experiment
    return found


def test_every_tensor_of_a_step_is_channels_last() -> None:
    """A GPU's kernels read mixed orders slowly; cuDNN's fast convolutions take this one alone."""
    for experiment in shallowest().values():
        state, shape = new_state(Run(experiment, 0), torch.device("cpu")), experiment.images
        images = torch.randn(IMAGES, shape.channels, shape.side, shape.side)
        labels = torch.randint(shape.classes, (IMAGES,))
        with OtherOrders() as other:
            eager_step([state], (images.to(memory_format=torch.channels_last), labels))
        # The gradient of global pooling: made once, small, and read by the last ReLU alone.
        of_pooling = {"aten.expand.default": 1, "aten.div.Scalar": 1}
        assert +other.operations in ({}, of_pooling), experiment.name
