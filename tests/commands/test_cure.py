"""`make cure`: a new cure's file and suite, which work as they are."""

import sys
from pathlib import Path

import pytest

from resnet_bench import __main__ as command_line
from resnet_bench import paths
from resnet_bench.cures.treatment import treated_network, treated_optimizer
from resnet_bench.suites.suite import load_suite


def call(name: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["resnet_bench", "cure", name])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return int(ended.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "experiments/cures").mkdir(parents=True)
    monkeypatch.setattr(paths, "SUITES_FOLDER", tmp_path / "experiments")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path / "experiments"


def test_the_template_is_a_cure_in_a_suite(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("my-idea", monkeypatch) == 0
    assert "make sweep SUITE=my-idea SEEDS=3" in capsys.readouterr().out
    experiments = load_suite("my-idea", folder).experiments
    names = ["plain-20", "plain-56", "plain-20-my-idea", "plain-56-my-idea"]
    assert [experiment.network_name for experiment in experiments] == names
    network = treated_network(experiments[2], 0)
    assert treated_optimizer(network, experiments[2]) is not None
    assert (folder / "cures/my_idea.py").read_text().startswith('"""my-idea: what this cure does')


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Idea", "is no name of a cure"),
        ("x" * 61, "is no name of a cure"),
        ("mirrored", "called 'mirrored' already"),
    ],
)
def test_mistakes_are_one_line(
    folder: Path,
    name: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(name, monkeypatch) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
