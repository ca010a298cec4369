"""What counts as evidence: damaged, copied and resumed runs, and those of every setting."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import load
from analysis.fidelity import checks, table6
from analysis.frames import notices, select
from analysis.report import page as report_page
from analysis.results import SuiteResults
from analysis.verdict import contrasts
from resnet_bench.records.run_directory import RunDirectory
from tests.support.results import END, Options, frame_of, seal, write_changed, write_suite


def cut(directory: RunDirectory) -> None:
    directory.keep_rows(2)


def strip(directory: RunDirectory) -> None:
    directory.epochs_csv.write_text(directory.epochs_csv.read_text().rstrip("\n"))


def remove(directory: RunDirectory) -> None:
    directory.epochs_csv.unlink()


def change(directory: RunDirectory) -> None:
    *rows, last = directory.epochs_csv.read_text().splitlines()
    cells = last.split(",")
    cells[6] = "0.001"  # precise_train_error
    directory.epochs_csv.write_text("\n".join([*rows, ",".join(cells)]) + "\n")


@pytest.mark.parametrize("resealed", [False, True])
@pytest.mark.parametrize("damage", [cut, strip, remove, change])
def test_a_run_whose_records_are_not_those_it_ended_with_is_refused(
    tmp_path: Path, damage: Callable[[RunDirectory], None], resealed: bool
) -> None:
    folder = write_suite(tmp_path, "digits", Options(seeds=(0, 1)))
    damage(RunDirectory(folder / "plain-56" / "seed-1"))
    if resealed:
        seal(folder / "plain-56" / "seed-1")
    frame = load.runs(folder)
    (refused,) = frame[frame["problem"] != ""].drop_duplicates("directory").to_dict("records")
    assert (refused["network"], refused["seed"]) == ("plain-56", 1)
    assert refused["status"] == "damaged"
    said = f") is not that of its summary.json (iteration {END}); move" if resealed else "damaged: "
    assert refused["problem"].startswith("epochs.csv: its last record (" if resealed else said)
    assert said in refused["problem"]
    assert table6.final_errors(frame).set_index("network").loc["plain-56", "n"] == 1
    (notice,) = notices.notices(frame)
    assert notice == f"Refused, in no figure or table: plain-56 seed 1: {refused['problem']}."


def test_a_diverged_run_ends_with_its_last_record_or_none(tmp_path: Path) -> None:
    odd = Options(diverged={"plain-44/0": 0.0, "plain-56/0": 0.5})
    assert set(frame_of(tmp_path, "digits", odd)["problem"]) == {""}


def test_a_copy_of_a_run_is_nobodys_evidence(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits", Options(seeds=(0, 1)))
    alone = load.runs(folder)
    for place in ("plain-56.old/seed-0", "plain-56/seed-7", "resnet-56-A/seed-2"):
        shutil.copytree(folder / "plain-56" / "seed-0", folder / place)
    frame = load.runs(folder)
    refused = select.finals(frame[frame["problem"] != ""])
    assert sorted(refused["problem"]) == [
        "lies in the folder plain-56.old/seed-0",
        "lies in the folder plain-56/seed-7",
        "lies in the folder resnet-56-A/seed-2",
    ]
    assert len([each for each in notices.notices(frame) if each.startswith("Refused")]) == 3
    assert table6.final_errors(frame).equals(table6.final_errors(alone))
    assert contrasts.primary(frame) == contrasts.primary(alone)


def test_a_suites_folder_may_be_the_one_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_suite(tmp_path, "digits", Options(seeds=(0,), missing=frozenset({"plain-56/0"})))
    there = load.runs(folder)["status"].tolist()
    assert "missing" in there
    monkeypatch.chdir(folder)
    assert load.runs(".")["status"].tolist() == there
    monkeypatch.chdir(folder / "plain-20")
    assert load.runs("..")["status"].tolist() == there


def test_runs_that_went_on_at_another_commit_are_named(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    assert "git checkout 0123456789\n" in page_of(tmp_path)
    for run_json in folder.glob("*/seed-*/run.json"):
        description = json.loads(run_json.read_text())
        (attempt,) = description["attempts"]
        description["attempts"].append(attempt | {"commit": "fedcba9876543210"})
        run_json.write_text(json.dumps(description))
        seal(run_json.parent)
    (notice,) = notices.notices(load.runs(folder))
    assert notice.startswith("Different commits: 0123456789 then fedcba9876 (")
    page = page_of(tmp_path)
    assert "git checkout" not in page
    assert notice in page


def page_of(results: Path) -> str:
    runs = SuiteResults.of(results, "smoke")
    return report_page.build(runs, runs.draw())


def test_the_running_error_is_over_an_epoch_whatever_the_last_record_covers(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "digits-3x")
    of_run = frame[frame["network"] == "plain-44"]
    covered = of_run["iteration"].diff().iloc[-1]
    assert covered < 10  # of 11.2 iterations an epoch: a few batches
    end = frame["iteration"] == of_run["iteration"].max()
    frame.loc[(frame["network"] == "plain-44") & end, "train_error"] = 0.9
    mean = table6.final_errors(frame).set_index("network").loc["plain-44", "running_mean"]
    weights = of_run["iteration"].diff().iloc[-2:].astype(float)
    expected = np.average([of_run["train_error"].iloc[-2], 0.9], weights=weights)
    assert mean == pytest.approx(expected)


def test_verify_looks_at_every_run_that_the_suite_declares(tmp_path: Path) -> None:
    name = "plain-56+learning_rate=0.3/0"
    odd = Options(diverged={name: 0.5}, digests={"plain-20+learning_rate=0.3/0": "forged"})
    folder = write_suite(tmp_path, "digits-lr", odd)
    write_changed(tmp_path, "digits-lr/plain-20", "recipe.momentum=0.5", Options())
    RunDirectory(folder / "plain-20+momentum=0.5" / "seed-0").summary_json.unlink()  # one's own
    found = {
        check.what: (check.state, check.found) for check in checks.all_checks(load.runs(folder))
    }
    assert found["all runs finished"] == ("off", "diverged: plain-56+learning_rate=0.3 seed 0")
    assert found["batch stream"][0] == "off"
    shutil.rmtree(folder / "plain-56+learning_rate=0.3")
    found = {
        check.what: (check.state, check.found) for check in checks.all_checks(load.runs(folder))
    }
    assert found["all runs finished"] == ("not compared", "1 partial or missing")


def checked(folder: Path) -> dict[str, tuple[str, str]]:
    checks_of = checks.all_checks(load.runs(folder))
    return {check.what: (check.state, check.found) for check in checks_of}
