"""How far runs are, in words, and which suite a make target takes."""

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.commands import listings
from resnet_bench.errors import UserError
from resnet_bench.records.epochs import COLUMNS, EpochRecord
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import Suite, find_experiment, load_suite, suite_names
from tests.support.calls import Call

ROOT = Path(__file__).parents[2]


def begin(results: Path, name: str) -> RunDirectory:
    """The directory of a run of the experiment `name` that has just begun."""
    run = Run(find_experiment(name), 0)
    directory = RunDirectory(run.directory(results))
    directory.create()
    directory.write_description({"identity": run.identity()})
    return directory


def test_status_of_what_is_not_there(call: Call, tmp_path: Path) -> None:
    answer = call("status", "smoke", "--results", str(tmp_path))
    assert answer.output.count("missing") == 6


def test_status_of_seeds_shows_those_that_are_missing_too(call: Call, tmp_path: Path) -> None:
    begin(tmp_path, "smoke/plain-8")
    options = ("--only", "plain-8", "--results", str(tmp_path))
    assert "seed-7" not in call("status", "smoke", *options).output
    lines = call("status", "smoke", *options, "--seeds", "0,7-8,7").output.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["seed-0", "partial"],
        ["seed-7", "missing"],
        ["seed-8", "missing"],
    ]
    assert call("status", "--seeds", "3").errors.startswith("error: --only and --seeds need the")


def test_make_passes_seeds_on_as_they_are() -> None:
    for target in ("sweep", "status"):
        command = ["make", "-n", "-o", ".venv/.ready", target, "SUITE=smoke"]
        for seeds, passed in ((["SEEDS=0,3,7"], ' --seeds "0,3,7" '), ([], "")):
            printed = subprocess.run(
                [*command, *seeds], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
            assert passed in printed
            assert ("--seeds" in printed) == bool(seeds)


def test_status_counts_epochs_and_not_records(call: Call, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "smoke" / "plain-8+records_per_epoch=3" / "seed-1")
    directory.create()
    for epoch, iteration in ((1, 8), (1, 15), (1, 23), (2, 30)):
        record: dict[str, Any] = dict.fromkeys(COLUMNS, 0.5)
        directory.append(EpochRecord(**record | {"epoch": epoch, "iteration": iteration}))
    answer = call("status", "smoke", "--results", str(tmp_path))
    (line,) = [line for line in answer.output.splitlines() if "records_per_epoch" in line]
    assert "seed-1" in line
    assert line.endswith("epoch    2, iteration 30 of 30")


def test_status_of_settings_that_are_lists_and_of_folders_that_are_no_experiments(
    call: Call, tmp_path: Path
) -> None:
    names = ("plain-8+drops=[10,20]", "plain-8+momentum=0.9", "plain-8+of_old=1")
    for seed, name in itertools.product((10, 2), names):
        RunDirectory(tmp_path / "smoke" / name / f"seed-{seed}").create()
    RunDirectory(tmp_path / "smoke" / "plain-14" / "seed-2.old").create()
    lines = call("status", "smoke", "--results", str(tmp_path)).output.splitlines()
    assert lines[1].split() == ["plain-14", "seed-2.old", "is", "no", "seed"]
    assert [line.split()[:3] for line in lines[-6:]] == [
        ["plain-8+drops=[10,20]", "seed-2", "missing"],
        ["plain-8+drops=[10,20]", "seed-10", "missing"],
        ["plain-8+momentum=0.9", "seed-2", "is"],  # what smoke has anyway
        ["plain-8+momentum=0.9", "seed-10", "is"],
        ["plain-8+of_old=1", "seed-2", "is"],
        ["plain-8+of_old=1", "seed-10", "is"],
    ]


def test_status_of_all_suites_counts_runs_by_how_far_they_are(call: Call, tmp_path: Path) -> None:
    answer = call("status", "--results", str(tmp_path))
    assert answer.output == f"no runs in {tmp_path} yet: make sweep trains some\n"
    for suite, network, ended in (
        ("smoke", "plain-8", "finished"),
        ("smoke", "plain-14", "finished"),
        ("smoke", "resnet-8-A", "diverged"),
        ("digits", "plain-56", None),
    ):
        directory = begin(tmp_path, f"{suite}/{network}")
        if ended:
            directory.write_summary(Summary(ended, 30, {}, 1.0))  # type: ignore[arg-type]
    (tmp_path / "no-suite" / "plain-8" / "seed-0").mkdir(parents=True)
    lines = call("status", "--results", str(tmp_path)).output.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["digits", "1 partial"],
        ["smoke", "2 finished, 1 diverged"],
    ]


@pytest.mark.parametrize("target", ["sweep", "figures", "verdict", "verify", "report", "sync"])
def test_without_a_suite_a_target_takes_the_one_that_sweep_does(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\n[ \"$*\" = '-m resnet_bench default-suite' ] && echo chosen\n")
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    # Without what a `make test SUITE=...` hands on.
    handed_on = ("SUITE", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in handed_on}
    for given, taken in (([], "chosen"), (["SUITE=smoke"], "smoke")):
        command = ["make", "--dry-run", target, f"VENV={tmp_path}", *given]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert f'"{taken}"' in done.stdout


def test_an_invalid_suite_does_not_hide_the_others(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Suite:
        if name == "digits":
            raise UserError("digits.toml: not valid TOML")
        return load_suite(name)

    monkeypatch.setattr(listings, "load_suite", load)
    told = (line.partition(" ") for line in call("list").output.splitlines())
    lines = {name: question.strip() for name, _, question in told}
    assert lines["digits"] == "invalid: digits.toml: not valid TOML"
    assert lines["smoke"] == load_suite("smoke").question
    assert len(lines) == len(suite_names())


def test_a_damaged_run_does_not_hide_the_others(call: Call, tmp_path: Path) -> None:
    begin(tmp_path, "smoke/plain-14")
    begin(tmp_path, "smoke/plain-8").summary_json.write_text("[]")
    lines = call("status", "smoke", "--results", str(tmp_path)).output.splitlines()
    assert len(lines) == 6
    (damaged,) = [line for line in lines if line.startswith("plain-8 ")]
    assert damaged.endswith("summary.json: damaged: not an object")
    (line,) = call("status", "--results", str(tmp_path)).output.splitlines()
    assert line.split(maxsplit=1)[1] in {
        f"{one}, {other} (make status SUITE=smoke says why)"
        for one, other in itertools.permutations(("1 left out", "1 partial"))
    }


def test_runs_of_another_recipe_and_of_no_experiment_count_as_left_out(
    call: Call, tmp_path: Path
) -> None:
    finished = Summary("finished", 30, {}, 1.0)
    for network in ("plain-8", "plain-14", "resnet-8-A"):
        begin(tmp_path, f"smoke/{network}").write_summary(finished)
    other = RunDirectory(tmp_path / "smoke" / "plain-14" / "seed-0")
    description = other.description()
    assert description is not None
    description["identity"]["recipe"]["momentum"] = 0.8
    other.write_description(description)
    other.write_summary(finished)
    (tmp_path / "smoke" / "resnet-8-A").rename(tmp_path / "smoke" / "resnet-98-A")
    assert call("status", "--results", str(tmp_path)).output.split(maxsplit=1)[1] == (
        "2 left out, 1 finished (make status SUITE=smoke says why)\n"
    )
    lines = call("status", "smoke", "--results", str(tmp_path)).output.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines)
    assert told["plain-8"].startswith("seed-0    finished")
    assert "recipe.momentum is 0.8 there, 0.9 now" in told["plain-14"]
    assert told["resnet-8-A"].startswith("seed-0    missing")
    assert told["resnet-98-A"] == "seed-0    is no experiment of smoke.toml"


def test_names_of_folders_do_not_reach_the_terminal_raw(call: Call, tmp_path: Path) -> None:
    """Neither escape codes, which a terminal obeys, nor bytes that are no text."""
    for name in (b"\x1b[31mred", b"\xff\xfe"):
        (Path(os.fsdecode(os.fsencode(tmp_path / "smoke") + b"/" + name)) / "seed-0").mkdir(
            parents=True
        )
    lines = call("status", "smoke", "--results", str(tmp_path)).output.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == [r"\x1b[31mred", r"\udcff\udcfe"]
    assert all(line.isprintable() for line in lines)


def test_status_says_where_a_run_diverged(call: Call, tmp_path: Path) -> None:
    begin(tmp_path, "smoke/plain-8").write_summary(Summary("diverged", 17, {}, 1.0))
    lines = call("status", "smoke", "--results", str(tmp_path)).output.splitlines()
    (line,) = [line for line in lines if line.startswith("plain-8 ")]
    assert line.split()[1:] == ["seed-0", "diverged", "epoch", "0,", "iteration", "17", "of", "30"]
