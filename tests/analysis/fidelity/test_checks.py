"""Fidelity: every check passes on faithful runs, and names what is off on others."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import command, load, verify
from analysis.fidelity import checks as fidelity_checks
from analysis.fidelity import deviations
from analysis.fidelity.schedule import record_due
from resnet_bench.suites.suite import find_experiment
from resnet_bench.training.schedule import RecordSchedule
from tests.support.results import END, Options, frame_of, write_suite


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_suite(folder, "cifar10", Options(seeds=(0, 1)))
    write_suite(folder, "digits", Options(seeds=(0, 1)))
    return folder


@pytest.fixture(scope="module")
def cifar10(results: Path) -> pd.DataFrame:
    return load.runs(results / "cifar10")


def off(frame: pd.DataFrame) -> dict[str, str]:
    return {
        check.what: check.found
        for check in fidelity_checks.all_checks(frame)
        if check.state == "off"
    }


def test_faithful_runs_pass_every_check(cifar10: pd.DataFrame) -> None:
    found = fidelity_checks.all_checks(cifar10)
    assert {check.state for check in found} == {"ok"}
    said = {check.what: check.found for check in found}
    assert said["initial weights"] == "matched in 8 groups of one depth and seed"
    assert said["batch stream"] == "one for all networks of a recipe, at seeds 0, 1"
    assert said["final test errors"] == "8 networks inside their bands"


def test_what_is_not_there_yet_is_not_compared(tmp_path: Path) -> None:
    odd = Options(partial={"plain-56/0": 0.5}, missing=frozenset({"resnet-56-A/0"}))
    found = {
        check.what: check for check in fidelity_checks.all_checks(frame_of(tmp_path, "digits", odd))
    }
    assert found["all runs finished"].state == "not compared"
    assert found["all runs finished"].found == "2 partial or missing"
    assert found["final test errors"].found == (
        "the paper's are for its recipe of 64,000 iterations on cifar10, and finished runs of its"
        " networks"
    )


@pytest.mark.parametrize("per_epoch", [1, 3])
@pytest.mark.parametrize("policy", ["run-on", "short", "drop"])
def test_records_are_due_where_the_training_makes_them(policy: str, per_epoch: int) -> None:
    """The check has a formula of its own, which is to give what the schedule does."""
    settings = (f"recipe.last_batch={policy}", f"recipe.records_per_epoch={per_epoch}")
    experiment = find_experiment("digits/plain-20", settings)
    schedule = RecordSchedule(experiment.recipe, experiment.train_images)
    for number in range(1, schedule.records()):
        due = record_due(number, experiment)
        assert due == schedule.record_end(number)


def test_what_the_paper_has_not_is_not_compared(results: Path) -> None:
    states = {
        check.what: check.state
        for check in fidelity_checks.all_checks(load.runs(results / "digits"))
    }
    assert states["final test errors"] == "not compared"
    assert states["parameters and multiply-adds"] == "not compared"
    assert set(states.values()) == {"ok", "not compared"}


@pytest.mark.parametrize(
    ("column", "iteration", "value", "what", "found"),
    [
        (
            "learning_rate", 32032, 0.1, "learning rate really used",
            "plain-56 seed 1: 0.1 at 32032, not 0.01",
        ),
        (
            "iteration", 391, 390, "records at the ends of epochs",
            "plain-56 seed 1: record 1 at 390, not 391",
        ),
        (
            "parameters", None, 860_000, "parameters and multiply-adds",
            "plain-56 has 860,000 and 125,485,696, not 853,018, 125,485,696",
        ),
        ("multiply_adds", None, 1, "plain and option A alike", "plain-56 and resnet-56-A differ"),
        ("batch_stream", None, "x", "batch stream", "networks of seed 1 differ"),
        (
            "initial_weights", None, "x", "initial weights",
            "plain and option A differ at 56 layers, seed 1",
        ),
        (
            "initial_shared_weights", None, "x", "initial weights",
            "shared ones differ at 56 layers, seed 1",
        ),
        ("test_error", 64000, 0.3, "final test errors", "is outside 11.8-14.3%"),
    ],
)  # fmt: skip
def test_anything_off_is_named(
    cifar10: pd.DataFrame, column: str, iteration: int | None, value: Any, what: str, found: str
) -> None:
    """Each case changes one value of one run, plain-56 at seed 1."""
    frame = cifar10.copy()
    rows = (frame["network"] == "plain-56") & (frame["seed"] == 1)
    if column in ("parameters", "multiply_adds"):
        rows = frame["network"] == "plain-56"
    if iteration is not None:
        rows &= frame["iteration"] == iteration
    assert rows.any()
    frame.loc[rows, column] = value
    assert found in off(frame)[what]


def test_seeds_that_share_their_batches_are_off(cifar10: pd.DataFrame) -> None:
    assert off(cifar10.assign(batch_stream="x")) == {"batch stream": "two seeds share one"}


def test_refused_and_diverged_runs_are_off(tmp_path: Path) -> None:
    odd = Options(recipes={"plain-20/0": {"momentum": 0.5}}, diverged={"plain-56/0": 0.3})
    found = off(frame_of(tmp_path, "digits", odd))
    assert found == {
        "runs as the suite file declares": (
            "plain-20 seed 0: recipe.momentum is 0.5, the suite file says 0.9"
        ),
        "all runs finished": "diverged: plain-56 seed 0",
    }


def test_the_deviations_are_read_off_the_recipe(cifar10: pd.DataFrame) -> None:
    of_b = "networks with option B: the paper has option A alone on cifar10"
    assert deviations.from_paper(cifar10) == [of_b]
    changed = cifar10.assign(**{"recipe.weight_decay": 5e-4}).assign(precision="tf32")
    assert deviations.from_paper(changed) == [
        "weight_decay: 0.0005, the paper's is 0.0001",
        "precision: tf32; the paper's time knew float32 alone",
        of_b,
    ]
    deep = cifar10.assign(depth=cifar10["depth"].replace(56, 110))
    assert "no warm-up at 110 layers or more" in deviations.from_paper(deep)
    warm = deep.assign(**{"recipe.warmup_iterations": 400})
    assert "warm-up of 400 iterations; the paper has none below 110" in deviations.from_paper(warm)
    assert any("400 iterations at 0.01, fixed" in found for found in deviations.from_paper(warm))


def test_the_networks_of_table_1_are_compared_with_table_1(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "fashion")
    found = deviations.from_paper(frame)
    assert "architecture: imagenet, table 1's for ImageNet; section 4.2's is cifar" in found
    assert not any("depths" in words or "option" in words for words in found)
    other = frame.assign(shortcut="3x3", depth=frame["depth"].replace(34, 26))
    assert deviations.from_paper(other)[-2:] == [
        "networks with option 3x3: the paper has options A, B and C on ImageNet",
        "depths the paper has not: 26",
    ]


def test_depths_are_those_of_the_architecture(cifar10: pd.DataFrame) -> None:
    found = deviations.from_paper(cifar10.assign(depth=cifar10["depth"].replace(32, 34)))
    assert "depths the paper has not: 34" in found
    on_table_1 = cifar10.assign(**{"network.architecture": "imagenet"})
    checks = {check.what: check.state for check in fidelity_checks.all_checks(on_table_1)}
    assert checks["parameters and multiply-adds"] == "not compared"


def test_blocks_that_section_4_2_has_not_are_named(cifar10: pd.DataFrame) -> None:
    other = cifar10.assign(**{"network.normalization": "none"})
    found = deviations.from_paper(other.assign(**{"network.conv_bias": True}))
    assert "normalization: none, the paper's is batch" in found
    assert "conv_bias: yes, the paper's is no" in found


@pytest.mark.parametrize("initialization", ["xavier", "pytorch"])
def test_an_initialization_that_is_not_hes_is_a_deviation(
    cifar10: pd.DataFrame, initialization: str
) -> None:
    frame = cifar10.assign(**{"recipe.initialization": initialization})
    words = f"initialization: {initialization}, the paper's is he-fan-in or he-fan-out"
    assert words in deviations.from_paper(frame)
    assert not any("recipe.initialization" in point for point in deviations.open_points(frame))


def test_open_points_follow_the_recipe(cifar10: pd.DataFrame) -> None:
    held_out = cifar10.assign(**{"recipe.train_images": 45_000})
    points = deviations.open_points(held_out)
    question = "50k or 45k images for the final networks"
    assert f"{question}: recipe.train_images = 45,000" in points
    assert len(points) == 7


@pytest.mark.parametrize(("suite", "code"), [("cifar10", 0), ("digits", 0)])
def test_the_command(
    results: Path,
    suite: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["analysis.verify", suite, "--results", str(results)])
    with pytest.raises(SystemExit) as exit_:
        command.run(verify.main)
    text = capsys.readouterr().out
    assert exit_.value.code == code
    assert "Nothing is off." in text
    assert ("figure 6" in text) == (suite == "cifar10")
    assert (f"iterations: {END:,}, the paper's is 64,000" in text) == (suite == "digits")


def test_the_command_fails_where_something_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_suite(tmp_path, "digits", Options(digests={"plain-20/0": "other batches"}))
    monkeypatch.setattr(sys, "argv", ["analysis.verify", "digits", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as exit_:
        command.run(verify.main)
    assert exit_.value.code == 1
    assert capsys.readouterr().out.endswith("Off: batch stream.\n")
