"""What the trial of a cure finds before anything is trained; each is one line."""

from pathlib import Path

import pytest
import torch

from resnet_bench.commands.shapes import network_stages
from resnet_bench.cures.treatment import parameters_of
from resnet_bench.cures.trial import tried_network
from resnet_bench.errors import UserError
from tests.support.cures import BLOCK, ON_GRADIENTS, experiment_of

START = "import copy, functools, fractions, numpy as np, torch\nfrom torch import nn\n"
INITIALIZE = "def initialize(network, generator, spec, options):\n    "
OPTIMIZER = (
    "    def step(self, closure=None):\n        {step}\n        super().step()\n"
    "def optimizer(parameters, recipe, options):\n"
    "    return SGD(parameters, recipe.learning_rate)\n"
)


def sgd(step: str) -> str:
    return "class SGD(torch.optim.SGD):\n" + OPTIMIZER.format(step=step)


def returned(optimizer: str) -> str:
    return f"def optimizer(parameters, recipe, options):\n    return torch.optim.SGD({optimizer})\n"


RESUMED = "a resumed run differs"
FAULTS = {
    "endless recursion": (
        INITIALIZE + "initialize(network, generator, spec, options)",
        "initialize fails: RecursionError",
    ),
    "an exit": (ON_GRADIENTS + "raise SystemExit(7)", "on_gradients fails: SystemExit: 7"),
    "an interrupt": (sgd("raise KeyboardInterrupt"), "optimizer fails: KeyboardInterrupt"),
    "a frozen parameter": (
        INITIALIZE + "network.linear.weight.requires_grad_(False)",
        "linear.weight is frozen",
    ),
    "a new network": (
        INITIALIZE + "return copy.deepcopy(network)",
        "initialize returns CifarNet; it has to work in place",
    ),
    "a generator function": (
        ON_GRADIENTS + "yield",
        "on_gradients returns generator; it has to work in place",
    ),
    "a parameter replaced in training": (
        ON_GRADIENTS + "network.linear.weight = nn.Parameter(network.linear.weight.clone())",
        "linear.weight is replaced in training",
    ),
    "a random stream without a seed": (
        INITIALIZE + "network.linear.bias.add_(np.random.default_rng().standard_normal())",
        "linear.bias differs when it is made again; draw it in initialize, from `generator`",
    ),
    "a Block's parameter from torch's stream": (
        BLOCK + "        self.factor = nn.Parameter(torch.randn(1))",
        "stages.0.0.factor differs when it is made again",
    ),
    "a Block's parameter from numpy's stream": (
        BLOCK + "        self.factor = nn.Parameter(torch.ones(1) * np.random.rand())",
        "Block draws from a global random stream",
    ),
    "noise in the optimizer": (sgd("torch.randn(1)"), "optimizer draws from a global random"),
    "a Block that is no class": (
        "def make(*_):\n    raise ValueError('used')\nBlock = functools.partial(make)",
        "Block fails: ValueError: used",
    ),
    "evaluation": (
        BLOCK + "    def forward(self, x):\n        assert self.training\n"
        "        return super().forward(x)",
        "forward in evaluation mode fails: AssertionError",
    ),
    "missing parameters": (
        returned("parameters[1:], recipe.learning_rate"),
        "optimizer does not have every parameter once",
    ),
    "a parameter twice": (
        returned("[*parameters, parameters[0]], recipe.learning_rate"),
        "optimizer does not have every parameter once",
    ),
    "rates of its own": (returned("parameters, 0.5"), "optimizer has a learning rate of its own"),
    "a closure": (
        "def optimizer(parameters, recipe, options):\n"
        "    return torch.optim.LBFGS(parameters, recipe.learning_rate)\n",
        "optimizer fails: TypeError",
    ),
    "memory beside the optimizer's state": (
        "memory = []\n" + sgd("memory.append(1); self.param_groups[0]['lr'] = 0.01 * len(memory)"),
        RESUMED,
    ),
    "an attribute of the optimizer": (
        sgd("self.n = 1 + getattr(self, 'n', 0); self.param_groups[0]['lr'] = 0.1 / self.n"),
        RESUMED,
    ),
    "a setting beside the optimizer's groups": (
        "class SGD(torch.optim.SGD):\n    def __init__(self, *settings):\n"
        "        super().__init__(*settings)\n        self.share = 1.0\n"
        + OPTIMIZER.format(step="self.share"),
        "a copy of the optimizer fails: AttributeError",
    ),
    "what no checkpoint holds": (
        sgd("self.param_groups[0]['third'] = fractions.Fraction(1, 3)"),
        "a checkpoint fails: UnpicklingError",
    ),
    "a counter of the module": (
        "calls = []\n" + ON_GRADIENTS + "calls.append(1)\n"
        "    for parameter in network.parameters():\n        parameter.grad.div_(len(calls))",
        RESUMED,
    ),
    "an attribute of a block": (
        BLOCK + "        self.calls = 0\n    def forward(self, x):\n        self.calls += 1\n"
        "        return super().forward(x) / self.calls",
        RESUMED,
    ),
}


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_before_anything_is_trained(tmp_path: Path, fault: str) -> None:
    source, message = FAULTS[fault]
    experiment = experiment_of(tmp_path, START + source)
    with pytest.raises(UserError, match=message) as raised:
        tried_network(experiment, 0)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("cure idea: ")
    assert len(str(raised.value)) < 400


def test_nothing_of_the_trial_stays(tmp_path: Path) -> None:
    """Its steps change weights, statistics and buffers of copies alone."""
    source = (
        "import torch\n" + BLOCK + "        self.register_buffer('steps', torch.zeros(()))\n"
        "    def residual(self, x):\n        return (1 + self.steps) * super().residual(x)\n"
        + ON_GRADIENTS
        + "for stage in network.stages:\n        stage[0].steps.add_(1)\n"
    )
    network = tried_network(experiment_of(tmp_path, source), 0)
    assert int(network.state_dict()["bn.num_batches_tracked"]) == 0
    assert float(network.state_dict()["stages.0.0.steps"]) == 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(network.state_dict()["bn.weight"], torch.ones(16))


def test_what_a_block_computes_when_it_is_made_is_counted(tmp_path: Path) -> None:
    """Not so on PyTorch's meta device, which has no numbers."""
    source = (
        "import torch\n" + BLOCK + "        gain = float(torch.tensor(2.0).sqrt())\n"
        "        self.factor = torch.nn.Parameter(torch.full((5,), gain))\n"
    )
    experiment = experiment_of(tmp_path, source)
    stages = network_stages(experiment, experiment.images)
    assert sum(stage.parameters for stage in stages) == parameters_of(experiment)


def test_shapes_of_a_block_that_fails_are_one_line(tmp_path: Path) -> None:
    source = BLOCK + "    def forward(self, x):\n        return self.conv1(self.conv1(x))\n"
    experiment = experiment_of(tmp_path, source)
    with pytest.raises(UserError, match="cure idea: forward fails: RuntimeError"):
        network_stages(experiment, experiment.images)
