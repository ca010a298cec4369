"""The witness command: what it prints, what it leaves, and training on from a witness."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_bench import __main__ as command_line
from resnet_bench.commands.witness import make_witness
from resnet_bench.errors import UserError
from resnet_bench.records.epochs import TIME_COLUMNS
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps import group
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.witness.comparison import compare, counted, images_passed
from resnet_bench.witness.construction import (
    build_witness,
    calibrate,
    deeper_experiment,
    trained_state,
)
from resnet_bench.witness.continuation import continuations
from tests.support.results import seal
from tests.support.runs_on_disk import stop_at

BRIEF = "drops=[]+iterations=4+train_images=128"
SHALLOW, DEEP = f"plain-8+{BRIEF}", f"plain-14+{BRIEF}"
RUN = Run(find_experiment(f"smoke/{SHALLOW}"), 0)


pytestmark = pytest.mark.usefixtures("few_images")


@pytest.fixture(scope="module")
def trained(few_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with plain-8 and plain-14, trained for 4 iterations."""
    machine = Machine(tmp_path_factory.mktemp("trained"), "cpu")
    run_group([RUN], machine)
    run_group([Run(find_experiment(f"smoke/{DEEP}"), 0)], machine)
    return machine.results


@pytest.fixture
def machine(machine: Machine, trained: Path) -> Machine:
    shutil.copytree(trained, machine.results)
    return machine


def test_progress_is_told_of_every_image(machine: Machine) -> None:
    device = torch.device("cpu")
    source = trained_state(RUN, machine, device)
    witness = build_witness(source, deeper_experiment(RUN.experiment, 14))
    data = group.training_data(RUN.experiment, None, device)
    told: list[int] = []
    with counted([source, witness], told.append):
        compare(source, witness, data)
    assert sum(told) == images_passed(source, data)
    told.clear()
    compare(source, witness, data)
    assert told == []


def folder(machine: Machine, depth: int = 14) -> Path:
    return machine.results / f"smoke/witness/{SHALLOW}-as-{depth}/seed-0"


def record_of(machine: Machine) -> dict[str, Any]:
    return json.loads((folder(machine) / "witness.json").read_text())


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows in `path` without their times."""
    return [
        {name: value for name, value in vars(row).items() if name not in TIME_COLUMNS}
        for row in RunDirectory(path).rows()
    ]


def test_a_witness_has_its_sources_errors_and_stands_beside_the_trained_network(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_witness(RUN, 14, machine, ())
    record = record_of(machine)
    assert list(record) == [
        "suite",
        "source",
        "deep",
        "family",
        "shortcut",
        "source_depth",
        "depth",
        "seed",
        "max_difference",
        "images",
        "errors",
        "calibration",
        "provenance",
        "continued",
        "seal",
    ]
    assert (record["source"], record["deep"]) == (SHALLOW, DEEP)
    assert (record["source_depth"], record["depth"], record["seed"]) == (8, 14, 0)
    assert (record["max_difference"], record["continued"]) == (0, [])
    assert record["images"] == {"train": 128, "test": 72}
    errors = record["errors"]
    for name in ("clean_train_error", "test_error"):
        assert errors["witness"][name] == errors["source"][name]
    for key, network in (("source", SHALLOW), ("trained", DEEP)):
        last = RunDirectory(machine.results / "smoke" / network / "seed-0").rows()[-1]
        assert errors[key] == {name: getattr(last, name) for name in errors[key]}
    assert errors["trained"] != errors["source"]
    output = capsys.readouterr().out
    assert f"{DEEP}, {SHALLOW} and identity blocks" in output
    assert "128 training and 72 test images: none, bit for bit" in " ".join(output.split())


def test_training_on_starts_at_the_witness_and_is_recorded(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_witness(RUN, 14, machine, [1e-9, 0.1])
    record = record_of(machine)
    assert record["continued"] == ["learning_rate=1e-09", "learning_rate=0.1"]
    due, moving = (rows(folder(machine) / name) for name in record["continued"])
    for row, rate in ((due[-1], 1e-9), (moving[-1], 0.1)):
        assert (row["iteration"], row["learning_rate"]) == (4, rate)
    start = record["errors"]["witness"]["precise_train_error"]
    assert due[-1]["precise_train_error"] == pytest.approx(start, abs=0.003)
    assert abs(moving[-1]["precise_train_error"] - start) > 0.01
    near = record["calibration"]
    assert near["train_mode_loss"] == pytest.approx(near["source_train_mode_loss"], abs=0.05)
    description = RunDirectory(folder(machine) / "learning_rate=0.1").description()
    assert description is not None
    assert description["identity"]["network"]["depth"] == 14
    assert description["identity"]["source"]["experiment"] == f"smoke/{SHALLOW}"
    output = capsys.readouterr().out
    assert "learning rate 1e-09" in output
    assert "after 4 iterations" in output
    assert "stays" in output


def test_what_has_ended_is_skipped_and_what_was_stopped_goes_on(machine: Machine) -> None:
    make_witness(RUN, 14, machine, [0.01, 0.02])
    kept, broken = (folder(machine) / f"learning_rate={rate}" for rate in (0.01, 0.02))
    first, expected = (kept / "epochs.csv").read_bytes(), rows(broken)
    (broken / "summary.json").unlink()
    make_witness(RUN, 14, machine, [0.01, 0.02])
    assert (kept / "epochs.csv").read_bytes() == first  # times and all
    assert rows(broken) == expected
    assert RunDirectory(broken).status() == "finished"
    assert record_of(machine)["continued"] == ["learning_rate=0.01", "learning_rate=0.02"]


def test_a_stopped_continuation_is_resumed_to_the_same_bits(machine: Machine) -> None:
    make_witness(RUN, 14, machine, [0.01])
    whole, expected = (
        folder(machine) / "learning_rate=0.01",
        rows(folder(machine) / "learning_rate=0.01"),
    )
    shutil.rmtree(whole)
    device = torch.device("cpu")
    source = trained_state(RUN, machine, device)
    witness = build_witness(source, deeper_experiment(RUN.experiment, 14))
    calibrate(witness, source, group.training_data(RUN.experiment, None, device))
    (run,) = continuations(witness, source, [0.01], folder(machine))
    run_group([run], machine, stop_at(2))
    assert RunDirectory(whole).status() == "partial"
    make_witness(RUN, 14, machine, [0.01])
    assert rows(whole) == expected
    description = RunDirectory(whole).description()
    assert description is not None
    assert [attempt["first_iteration"] for attempt in description["attempts"]] == [0, 2]


def test_a_continuation_measures_precise_errors_in_every_epoch(machine: Machine) -> None:
    """Whatever its suite asks for: they are what the continuation is about."""
    rarely = Run(find_experiment(f"smoke/{SHALLOW}+clean_every=9"), 0)
    run_group([rarely], machine)
    first, last = RunDirectory(rarely.directory(machine.results)).rows()
    assert (first.precise_train_error is None, last.precise_train_error is None) == (True, False)
    make_witness(rarely, 14, machine, [0.01])
    path = machine.results / f"smoke/witness/{rarely.experiment.network_name}-as-14/seed-0"
    measured = RunDirectory(path / "learning_rate=0.01").rows()
    assert [row.precise_train_error is None for row in measured] == [False, False]


def test_another_sources_continuation_is_not_taken_for_this_ones(machine: Machine) -> None:
    make_witness(RUN, 14, machine, [0.01])
    path = folder(machine) / "learning_rate=0.01/run.json"
    path.write_text(path.read_text().replace('"weights": "', '"weights": "0'))
    seal(path.parent)
    with pytest.raises(UserError, match="belongs to another run"):
        make_witness(RUN, 14, machine, [0.01])


def test_a_continuation_that_diverges_says_so(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_witness(RUN, 14, machine, [1e30])
    directory = RunDirectory(folder(machine) / "learning_rate=1e+30")
    assert directory.status() == "diverged"
    assert record_of(machine)["continued"] == ["learning_rate=1e+30"]
    summary = directory.summary()
    assert summary is not None
    assert f"diverges at iteration {summary.iteration}" in capsys.readouterr().out


def test_nothing_else_takes_witnesses_for_runs(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from analysis import load

    def seen() -> tuple[int, str]:
        monkeypatch.setattr(
            sys, "argv", ["resnet_bench", "status", "smoke", "--results", str(machine.results)]
        )
        with pytest.raises(SystemExit):
            command_line.main()
        return len(load.runs(machine.results / "smoke")), capsys.readouterr().out

    before = seen()
    make_witness(RUN, 14, machine, [0.01])
    capsys.readouterr()
    assert seen() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "7", "--depth", "14"], "seed-7 is missing; train it: python -m resnet_bench"),
        (["--depth", "15"], "depth 15 is not 6n+2"),
        (["--depth", "14", "--learning-rate", "0.1"], "give --continue too"),
        (["--depth", "14", "--continue", "--learning-rate", "0"], "should be greater than 0"),
    ],
)
def test_mistakes_are_one_line(
    trained: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ["witness", f"smoke/{SHALLOW}", "--results", str(trained), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["resnet_bench", *command, *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_a_run_that_has_not_finished_is_refused(machine: Machine) -> None:
    (RUN.directory(machine.results) / "summary.json").unlink()
    with pytest.raises(UserError, match="seed-0 is partial; train it"):
        make_witness(RUN, 14, machine, ())
    lost = replace(RUN, seed=3)
    with pytest.raises(UserError, match="seed-3 is missing; train it"):
        make_witness(lost, 14, machine, ())


def test_the_usual_rates_are_three_and_the_recipes_own(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, list[float]]] = []
    monkeypatch.setattr(
        "resnet_bench.commands.witness.make_witness",
        lambda run, depth, machine, rates: asked.append((depth, list(rates))),
    )
    command = ["witness", f"smoke/{SHALLOW}", "--depth", "14", "--depth", "20", "--continue"]
    monkeypatch.setattr(sys, "argv", ["resnet_bench", *command, "--results", str(trained)])
    with pytest.raises(SystemExit):
        command_line.main()
    assert asked == [(14, [0.001, 0.01, 0.02, 0.1]), (20, [0.001, 0.01, 0.02, 0.1])]


def test_a_witness_of_its_own_depth_is_a_copy(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    make_witness(RUN, 8, machine, ())
    output = capsys.readouterr().out
    assert f"{SHALLOW}, a copy of it" in output
    assert "from scratch" not in output
    assert "bit for bit" in output
