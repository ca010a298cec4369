"""`make cure`: a new cure's file and suite, which work as they are."""

from pathlib import Path

import pytest
import torch

from resnet_bench import paths
from resnet_bench.suites import cure_file
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.state import new_state
from tests.support.calls import Call
from tests.support.states import CPU, run_all


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "experiments/cures").mkdir(parents=True)
    (tmp_path / "experiments/cures/mirrored.py").touch()
    for module in (paths, cure_file):
        monkeypatch.setattr(module, "SUITES_FOLDER", tmp_path / "experiments")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path / "experiments"


def test_the_template_is_a_cure_that_changes_nothing(folder: Path, call: Call) -> None:
    answer = call("cure", "my-idea")
    assert answer.code == 0
    assert "make sweep SUITE=my-idea SEEDS=3" in answer.output
    experiments = load_suite("my-idea", folder).experiments
    names = ["plain-20", "plain-56", "plain-20-my-idea", "plain-56-my-idea"]
    assert [experiment.network_name for experiment in experiments] == names
    control, cured = states = [new_state(Run(experiments[i], 0), CPU) for i in (0, 2)]
    run_all(states, iterations=3)
    trained = cured.network.state_dict()
    assert all(torch.equal(w, trained[name]) for name, w in control.network.state_dict().items())
    assert (folder / "cures/my_idea.py").read_text().startswith('"""my-idea: what this cure does')


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Idea", "is no name of a cure"),
        ("x" * 61, "is no name of a cure"),
        ("mirrored", "called 'mirrored' already"),
    ],
)
def test_mistakes_are_one_line(folder: Path, name: str, message: str, call: Call) -> None:
    answer = call("cure", name)
    assert answer.code == 2
    assert message in answer.errors
    assert answer.errors.count("\n") == 1
