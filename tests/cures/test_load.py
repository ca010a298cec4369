"""A cure's file and what can be wrong with it: each mistake is one line, exit code 2."""

import json
from pathlib import Path

import pytest
import torch

from resnet_bench.cures.treatment import parameters_of, treated_network
from resnet_bench.cures.trial import tried_network
from resnet_bench.errors import UserError
from resnet_bench.suites import cure_file
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.tracking.tracker import config_of
from resnet_bench.training.batches import BatchStream
from tests.support.calls import Call
from tests.support.cures import CURED, SUITE, experiment_of

START = "from torch import nn\nimport torch\n"


@pytest.fixture(autouse=True)
def no_other_cures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may have an `idea` among the shipped ones."""
    monkeypatch.setattr(cure_file, "SUITES_FOLDER", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"mine\.toml: experiments\.cured: cure: unknown cure 'idea'"),
        ("def initialize(:", r"idea\.py cannot be imported: SyntaxError"),
        ("raise ValueError('no\\nway')", r"imported: ValueError: no way \(idea\.py, line 3\)$"),
        ("import sys\nsys.exit(5)", "cannot be imported: SystemExit: 5"),
        ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt"),
        ("x = '\0'", "cannot be imported: SyntaxError"),
        ("optimizer = 'muon'\ndef on_gradients(network, recipe, options): ...", "is no function"),
        ("optimizer = dict", "optimizer is no function"),
        ("x = 1", r"idea\.py: defines none of the hooks initialize, Block, optimizer, on_grad"),
        ("def initialise(network, generator, spec, options): ...", "did you mean initialize?"),
        ("def initialize(network): ...", r"initialize has to take \(network, generator, spec, opt"),
        ("def optimizer(parameters, recipe, options): return 1", "optimizer returns int"),
        (
            "def initialize(network, generator, spec, options):\n"
            "    network.conv.weight.mul_(1e39)",
            "conv.weight is not finite after initialize",
        ),
        (
            "def initialize(network, generator, spec, options):\n    network.conv = None",
            "forward fails: TypeError",
        ),
        (
            "def initialize(network, generator, spec, options):\n"
            "    network.linear.weight = nn.Parameter(torch.zeros(3, 64))\n"
            "    network.linear.bias = None",
            r"logits are \(2, 3\), not \(2, 10\)",
        ),
        (
            "def initialize(network, generator, spec, options):\n    torch.randn(1)",
            "initialize draws from a global random stream; use `generator`",
        ),
        (
            "import numpy as np\ndef initialize(network, generator, spec, options):\n"
            "    np.random.rand()",
            "initialize draws from a global random stream",
        ),
        (
            "class Block(nn.Module):\n"
            "    def __init__(self, inputs, width, stride, spec, options):\n"
            "        super().__init__()\n"
            "        self.conv1 = nn.Conv2d(inputs, width + 1, 3, stride, 1)\n"
            "    def forward(self, x):\n        return self.conv1(x)",
            r"Block returns \(2, 17, 8, 8\), not \(2, 16, 8, 8\)",
        ),
        (
            "from resnet_bench.networks.cifar import Block as Control\n"
            "class Block(Control):\n"
            "    def __init__(self, inputs, width, stride, spec, options):\n"
            "        super().__init__(inputs, width, stride, spec)\n"
            "    def forward(self, x):\n"
            "        return nn.functional.dropout(super().forward(x))",
            "forward draws from a global random stream",
        ),
        (
            "class Block(nn.Module):\n"
            "    def __init__(self, inputs, width, stride, spec, options):\n"
            "        raise ValueError('no')",
            r"cure idea: Block fails: ValueError: no \(idea\.py, line 5\)$",
        ),
    ],
)
def test_a_mistake_in_a_cure_is_one_line(tmp_path: Path, source: str | None, message: str) -> None:
    def new_run() -> None:
        experiment = experiment_of(tmp_path, None if source is None else START + source)
        tried_network(experiment, 0)

    with pytest.raises(UserError, match=message) as raised:
        new_run()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ('cure.idea = { gain = "much" }', r"cure idea: options: gain: Input should be a valid num"),
        ("cure.idea = { gian = 2.0 }", "cure idea: options: gian: unknown key"),
        (
            "cure = { idea = {}, other = {} }",
            "cures idea and other cannot be combined: both define initia",
        ),
        ("cure = 3", r"mine.toml: experiments.cured.cure"),
        ("cure.my-other = {}\ncure.my_other = {}", "cured: cure: one cure under two names"),
        ('cure = "../cures/idea"', r"unknown cure '\.\./cures/idea'"),
        (
            "cure.idea = { gain = 2020-01-01 }",
            "no options of a cure: Object of type date",
        ),
        ("cure.idea = { gain = nan }", "cure: idea: no options of a cure: Out of range"),
    ],
)
def test_options_and_combinations_are_checked(tmp_path: Path, suite: str, message: str) -> None:
    source = (
        "from resnet_bench.cures.hooks import CureOptions\n"
        "class Options(CureOptions):\n    gain: float = 1.0\n"
        "def initialize(network, generator, spec, options):\n"
        "    network.conv.weight.mul_(options.gain)\n"
    )
    (tmp_path / "cures").mkdir()
    (tmp_path / "cures/other.py").write_text(source)
    (tmp_path / "cures/my_other.py").write_text(source)
    table = f'\n[experiments.cured]\nlike = "plain-8"\n{suite}\n'
    with pytest.raises(UserError, match=message):
        treated_network(experiment_of(tmp_path, source, SUITE + table), 0)


def test_options_of_any_shape_stay_what_they_are(tmp_path: Path) -> None:
    """Lists and tables are JSON in run.json, and a resumed run compares with what it reads."""
    source = (
        "from resnet_bench.cures.hooks import CureOptions\n"
        "class Options(CureOptions):\n    rates: list[float]\n    steps: tuple[int, ...]\n"
        "    by: dict[str, int]\n"
        "def on_gradients(network, recipe, options):\n"
        "    assert (options.rates, options.steps, options.by) == ([0.5], (1, 2), {'a': 1})\n"
    )
    options = "cure.idea = { steps = [1, 2], rates = [0.5], by = { a = 1 } }"
    table = f'\n[experiments.cured]\nlike = "plain-8"\n{options}\n'
    experiment = experiment_of(tmp_path, source, SUITE + table)
    tried_network(experiment, 0)
    identity = experiment.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity["cures"]["idea"]["options"] == {"rates": [0.5], "steps": [1, 2], "by": {"a": 1}}


@pytest.mark.parametrize("name", ["a b", "naïve", "../up"])
def test_a_cure_in_a_cross_becomes_part_of_a_folders_name(tmp_path: Path, name: str) -> None:
    treatment = f'\n[treatments."{name}"]\ncure = "idea"\n'
    suite = SUITE.replace("[recipe]", f'cross = [["{name}"]]\n[recipe]') + treatment
    with pytest.raises(UserError, match=f"plain-8-{name}: not a name"):
        experiment_of(tmp_path, "", suite)


def test_no_file_where_a_cures_file_should_be(tmp_path: Path) -> None:
    path = tmp_path / "cures/idea.py"
    path.parent.mkdir()
    path.symlink_to("nowhere")
    with pytest.raises(UserError, match=r"cure: .*idea\.py cannot be read: No such file"):
        experiment_of(tmp_path, None)
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"cure: .*idea\.py cannot be read: Is a directory"):
        experiment_of(tmp_path, None)


def test_two_cures_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "cures").mkdir()
    (tmp_path / "cures/my_idea.py").write_text("")
    (tmp_path / "cures/my-idea.py").write_text("")
    with pytest.raises(UserError, match="two cures of the name 'my-idea'"):
        experiment_of(tmp_path, None, SUITE + CURED.replace('"idea"', '"my-idea"'))


def test_a_changed_file_is_another_experiment(tmp_path: Path) -> None:
    source = "def on_gradients(network, recipe, options): ...\n"
    first = experiment_of(tmp_path, source)
    second = experiment_of(tmp_path, source + "# a comment\n")
    assert first.identity() != second.identity()
    with pytest.raises(UserError, match="has changed since the suite was read"):
        treated_network(first, 0)


def test_a_cure_cannot_change_another_runs_batches_or_weights(tmp_path: Path) -> None:
    source = (
        "def initialize(network, generator, spec, options):\n"
        "    generator('conv.weight').standard_normal(5)\n"
    )
    experiment = experiment_of(tmp_path, source)
    control = load_suite("mine", tmp_path).experiments[0]
    before = treated_network(control, 0).state_dict()
    stream = BatchStream(control.recipe, control.train_images, 0)
    order = stream.draw(1).index.tolist()
    cured = treated_network(experiment, 0).state_dict()
    assert stream.draw(1).index.tolist() == order
    after = treated_network(control, 0).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(before[name], cured[name]) for name in before)  # it changed nothing
    with pytest.raises(UserError, match="its import draws from a global random stream"):
        treated_network(experiment_of(tmp_path, "import torch\ntorch.manual_seed(7)\n" + source), 0)


def test_parameters_are_those_of_the_built_network(tmp_path: Path) -> None:
    source = (
        "import torch\nfrom resnet_bench.networks.cifar import Block as Control\n"
        "class Block(Control):\n"
        "    def __init__(self, inputs, width, stride, spec, options):\n"
        "        super().__init__(inputs, width, stride, spec)\n"
        "        self.factor = torch.nn.Parameter(torch.zeros(5))\n"
        "    def residual(self, x):\n        return self.factor.sum() * super().residual(x)\n"
    )
    experiment = experiment_of(tmp_path, source)
    control = load_suite("mine", tmp_path).experiments[0]
    assert parameters_of(experiment) == parameters_of(control) + 3 * 5


def test_a_sweep_says_it_in_one_line_before_it_trains_anything(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_of(tmp_path, "def initialize(network): ...")
    monkeypatch.setattr("resnet_bench.suites.suite.load_suite.__defaults__", (tmp_path,))
    results = tmp_path / "results"
    answer = call("sweep", "mine", "--results", str(results), "--wandb", "disabled")
    assert answer.code == 2
    assert "idea.py: initialize has to take (network, generator, spec, options)" in answer.errors
    assert answer.errors.count("\n") == 1
    assert not list(results.rglob("run.json"))


def test_dashboards_can_filter_by_cure(tmp_path: Path) -> None:
    suite = SUITE + '\n[experiments.cured]\nlike = "plain-8"\ncure.idea = { gain = 2.0 }\n'
    source = (
        "from resnet_bench.cures.hooks import CureOptions\n"
        "class Options(CureOptions):\n    gain: float = 1.0\n"
        "def on_gradients(network, recipe, options): ...\n"
    )
    experiment = experiment_of(tmp_path, source, suite)
    config = config_of(Run(experiment, 0), experiment.identity())
    assert config["cure"] == "idea(gain=2.0)"
    assert config["cures_idea"]["options"] == {"gain": 2.0}
