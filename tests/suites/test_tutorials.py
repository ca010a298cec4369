"""The tutorials' experiments: their schedules, their plain twins, and a run of each kind."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resnet_bench import __main__ as command_line
from resnet_bench.networks.build import build_network
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.schedule import RecordSchedule, learning_rate_at

ROOT = Path(__file__).parents[2]
TWINS = {
    "d2l-resnet18": "d2l-plain18",
    "d2l-resnet18-momentum": "d2l-plain18-momentum",
    "d2l-resnet18-maxpool": "d2l-plain18-maxpool",
    "cifar10-tutorial": "cifar10-tutorial-plain",
}


def experiments_of(suite: str) -> dict[str, Experiment]:
    return {experiment.network_name: experiment for experiment in load_suite(suite).experiments}


TUTORIALS = experiments_of("tutorials")


@pytest.mark.parametrize(
    ("name", "epochs", "iterations_per_epoch"),
    [
        ("d2l-resnet18", 10, 235),  # ceil(60,000 / 256)
        ("d2l-resnet18-momentum", 10, 235),
        ("d2l-resnet18-maxpool", 2, 469),  # ceil(60,000 / 128)
        ("cifar10-tutorial", 80, 500),
    ],
)
def test_they_train_for_as_many_epochs_as_taught(
    name: str, epochs: int, iterations_per_epoch: int
) -> None:
    experiment = TUTORIALS[name]
    schedule = RecordSchedule(experiment.recipe, experiment.train_images)
    assert schedule.iterations_per_epoch() == iterations_per_epoch
    assert schedule.epoch_end(epochs) == experiment.recipe.iterations


def test_the_last_batch_of_an_epoch_is_short() -> None:
    experiment = TUTORIALS["d2l-resnet18"]
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    assert [len(stream.draw(iteration).index) for iteration in (0, 234, 235)] == [256, 96, 256]


def test_adam_is_divided_by_3_every_20_epochs() -> None:
    recipe = TUTORIALS["cifar10-tutorial"].recipe
    rates = [learning_rate_at(epoch * 500, recipe) for epoch in (0, 19, 20, 40, 60, 79)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 / 3, 1e-3 / 9, 1e-3 / 27, 1e-3 / 27])
    assert recipe.optimizer == "adam"
    assert recipe.weight_decay == 0


def test_each_has_a_plain_twin_that_differs_in_the_shortcut_alone() -> None:
    assert set(TUTORIALS) == {*TWINS, *TWINS.values()}
    for name, plain in TWINS.items():
        taught, twin = TUTORIALS[name], TUTORIALS[plain]
        assert taught.spec.shortcut != "none"
        assert twin.spec == taught.spec.model_copy(update={"shortcut": "none"})
        assert replace(twin, network_name=name, spec=taught.spec) == taught


def test_the_smoke_suite_differs_in_data_and_sizes_alone() -> None:
    smoke = experiments_of("tutorials-smoke")
    sizes = {"iterations", "batch_size", "drops", "resize", "padding"}
    sizes |= {"train_images", "precise_batches", "records_per_epoch"}
    assert list(smoke) == list(TUTORIALS)
    for name, experiment in smoke.items():
        assert experiment.spec == TUTORIALS[name].spec
        ours, theirs = experiment.recipe.model_dump(), TUTORIALS[name].recipe.model_dump()
        assert {key for key in ours if ours[key] != theirs[key]} <= sizes, name


def test_no_module_knows_a_tutorial_by_name() -> None:
    """Their recipes are data: in no expression of the code does one of their names stand."""
    names = {*TUTORIALS, "tutorials", "tutorials-smoke"}
    for path in [*ROOT.glob("resnet_bench/**/*.py"), *ROOT.glob("analysis/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in names, path


def test_a_pair_runs_and_its_weights_are_exported(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The smallest pair; CI sweeps the whole smoke suite."""
    smoke, name = experiments_of("tutorials-smoke"), "cifar10-tutorial"
    runs = [Run(smoke[each], 0) for each in (name, TWINS[name])]
    assert [end.status for end in run_group(runs, machine)] == ["finished", "finished"]
    directory = RunDirectory(runs[0].directory(machine.results))
    weights = directory.path / "weights.pt"
    command = ["export", runs[0].experiment.name, "--results", str(machine.results)]
    monkeypatch.setattr(sys, "argv", ["resnet_bench", *command])
    with pytest.raises(SystemExit):
        command_line.main()
    iterations = runs[0].experiment.recipe.iterations
    accuracy = 1 - directory.rows()[-1].test_error
    assert capsys.readouterr().out.splitlines() == [
        f"{weights}: the weights after {iterations} iterations",
        f"test accuracy {accuracy:.2%}, measured after {iterations}",
    ]
    network = build_network(runs[0].experiment.spec, runs[0].experiment.images)
    network.load_state_dict(torch.load(weights, weights_only=True))
