"""Reading runs into a frame, and telling which of them belong together."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import load
from analysis.frames import notices, select
from resnet_bench.errors import UserError
from resnet_bench.records import epochs
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import load_suite
from tests.support.results import (
    DIGITS_RECIPE,
    END,
    Options,
    edit_description,
    frame_of,
    seal,
    write_changed,
    write_suite,
)


def test_a_row_a_record_with_the_values_of_the_csv(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits", Options(seeds=(0, 1)))
    frame = load.runs(str(folder))
    rows = RunDirectory(folder / "plain-32" / "seed-1").rows()
    of_run = frame[(frame["network"] == "plain-32") & (frame["seed"] == 1)]
    assert len(frame) == 12 * 2 * len(rows)
    assert of_run["iteration"].tolist() == [row.iteration for row in rows]
    assert of_run["test_error"].tolist() == [row.test_error for row in rows]  # bit for bit
    assert of_run["precise_train_error"].notna().tolist() == [
        row.precise_train_error is not None for row in rows
    ]
    first = of_run.iloc[0]
    assert (first["family"], first["depth"], first["shortcut"]) == ("plain", 32, "none")
    assert first["parameters"] == 463_866
    assert first["recipe.drops"] == DIGITS_RECIPE.drops
    assert (first["status"], first["problem"], first["commit"]) == ("finished", "", "0123456789")


def test_every_column_is_documented(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke")
    assert list(frame.columns) == list(load.COLUMNS)
    assert set(epochs.COLUMNS) <= set(load.COLUMNS)
    assert {f"recipe.{key}" for key in Recipe.model_fields} <= set(load.COLUMNS)


def test_what_has_no_record_is_in_the_frame_all_the_same(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1),
        missing=frozenset({"plain-20/1"}),
        partial={"plain-32/0": 0.5},
        diverged={"plain-56/0": 0, "plain-56/1": 0.4},
    )
    frame = frame_of(tmp_path, "digits", odd)
    last = select.finals(frame).set_index(["network", "seed"])
    assert len(last) == 24
    assert last.loc[("plain-20", 1), "status"] == "missing"
    assert last["iteration"].isna().sum() == 2  # the missing one, and the one that diverged at once
    assert last.loc[("plain-32", 0), "status"] == "partial"
    done = RunDirectory(tmp_path / "digits" / "plain-32" / "seed-0").rows()[-1].iteration
    assert last.loc[("plain-32", 0), "iteration"] == done
    assert done in range(END // 4, END // 2 + 1)
    assert last.loc[("plain-56", 0), "ended_at"] == 1
    assert last.loc[("plain-56", 1), "ended_at"] == int(0.4 * END) + 1
    assert len(select.finished(frame)) == 20
    assert notices.of_runs(frame) == [
        "Diverged: plain-56 seed 0 at iteration 1, plain-56 seed 1 at iteration"
        f" {int(0.4 * END) + 1}.",
        f"Partial: plain-32 seed 0 ({done} of {END} iterations).",
        "Missing: plain-20 seed 1.",
    ]


def test_a_run_that_is_not_what_its_suite_file_declares_is_refused(tmp_path: Path) -> None:
    odd = Options(
        recipes={"plain-20/0": {"learning_rate": 0.5}},
        precisions={"plain-32/0": "bf16"},
    )
    folder = write_suite(tmp_path, "digits", odd)
    edit_description(folder / "plain-44" / "seed-0", suite="smoke")
    frame = load.runs(folder)
    problems = frame.groupby("network")["problem"].first()
    assert problems["plain-20"] == (
        f"recipe.learning_rate is 0.5, the suite file says {DIGITS_RECIPE.learning_rate}"
    )
    assert problems["plain-32"] == "ran in bf16, the suite file says ieee"
    assert problems["plain-44"] == "belongs to the suite smoke"
    assert problems["plain-56"] == ""
    assert not set(select.grid_networks(frame)["network"]) & {"plain-20", "plain-32", "plain-44"}
    assert sum(notice.startswith("Refused") for notice in notices.of_runs(frame)) == 3


@pytest.mark.parametrize(("device", "refused"), [("cpu", False), ("cuda", True)])
def test_tf32_runs_as_ieee_on_a_cpu_only(tmp_path: Path, device: str, refused: bool) -> None:
    odd = Options(devices={"plain-20/0": device}, precisions={"plain-20/0": "ieee"})
    frame = frame_of(tmp_path, "cifar10", odd)
    assert (frame[frame["network"] == "plain-20"]["problem"] != "").all() == refused


def test_differences_of_provenance_are_named(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1),
        commits={"plain-20/0": "feedfacefeedface"},
        devices={"plain-20/1": "cuda"},
        digests={"plain-32/1": "another stream"},
        dirty=True,
    )
    found = notices.notices(frame_of(tmp_path, "smoke", odd))
    assert found == ["Uncommitted changes in code or suites of 12 of 12 runs."]  # no such networks
    found = notices.notices(frame_of(tmp_path, "digits", odd))
    assert found == [
        "Not matched: networks saw different batches at seed 1.",
        "Different commits: feedfacefe (1 run), 0123456789 (23 runs).",
        "Different devices: cpu (23 runs), cuda (1 run).",
        "Uncommitted changes in code or suites of 24 of 24 runs.",
    ]


def test_a_changed_setting_is_another_experiment(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    write_changed(tmp_path, "digits/plain-20", "recipe.learning_rate=0.1")
    frame = load.runs(folder)
    changed = frame[frame["changed"] != ""]
    assert changed["network"].unique().tolist() == ["plain-20+learning_rate=0.1"]
    assert changed["changed"].unique().tolist() == ["learning_rate=0.1"]
    assert (changed["problem"] == "").all()
    assert (
        select.grid_networks(frame)["recipe.learning_rate"] == DIGITS_RECIPE.learning_rate
    ).all()


def test_another_name_of_an_experiment_is_refused(tmp_path: Path) -> None:
    """Settings that change nothing are not in a name any more; old folders would count twice."""
    folder = write_suite(tmp_path, "digits")
    name = f"plain-20+learning_rate={DIGITS_RECIPE.learning_rate}"
    shutil.copytree(folder / "plain-20", folder / name)
    edit_description(folder / name / "seed-0", experiment=f"digits/{name}")
    frame = load.runs(folder)
    assert frame.loc[frame["network"] == name, "problem"].unique().tolist() == [
        "is no experiment of the suite file digits.toml"
    ]


def test_several_suites_in_one_frame(tmp_path: Path) -> None:
    folders = [write_suite(tmp_path, suite) for suite in ("digits", "digits-3x")]
    frame = load.runs(*folders)
    assert frame.groupby("suite")["recipe.iterations"].first().to_dict() == {
        "digits": END,
        "digits-3x": load_suite("digits-3x").recipe.iterations,
    }
    assert len(select.finals(frame)) == 24


def test_results_without_a_suite_file_can_be_read(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "a", "smoke")
    folder.rename(tmp_path / "elsewhere")
    frame = load.runs(tmp_path / "elsewhere")
    assert (frame["problem"] == "").all()
    assert (frame["status"] == "finished").all()


def test_no_runs_and_damaged_runs_are_the_users_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no runs in .*digits"):
        load.runs(tmp_path / "digits")
    folder = write_suite(tmp_path, "digits")
    damaged = folder / "plain-20" / "seed-0"
    (damaged / "run.json").write_text('{"identity": {}}')
    seal(damaged)
    (problem,) = set(load.runs(folder)["problem"]) - {""}
    assert problem.startswith("run.json: not a run's description: identity.suite: ")
    shutil.copytree(damaged, folder / "plain-20.old" / "seed-0")  # nobody knows what it was
    shutil.copytree(damaged, folder / "plain-20" / "seed-x")
    frame = load.runs(folder)
    assert set(frame[frame["status"] == "damaged"]["network"]) == {"plain-20", "plain-20.old"}
    assert sum("not a run's description" in notice for notice in notices.of_runs(frame)) == 3
    assert len(select.finished(select.declared(frame))) == 11
    with pytest.raises(UserError, match=r"plain-20 is an experiment's folder; .* is .*digits$"):
        load.runs(folder / "plain-20")


def test_a_description_with_an_unknown_key_names_its_file(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    path = folder / "plain-20" / "seed-0" / "run.json"
    description = json.loads(path.read_text())
    description["identity"]["network"]["width"] = 2
    path.write_text(json.dumps(description))
    seal(path.parent)
    (problem,) = set(load.runs(folder)["problem"]) - {""}
    assert problem.startswith("run.json: network: width: unknown key")


def test_the_analysis_imports_no_torch() -> None:
    code = (
        "import sys; import analysis.__main__; "
        "sys.exit(bool({'torch', 'wandb', 'torchvision'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_in_two_folders_is_no_two_seeds(tmp_path: Path) -> None:
    mine, theirs = (write_suite(tmp_path / name, "digits") for name in ("mine", "theirs"))
    with pytest.raises(UserError, match="are the same run: load the folders apart"):
        load.runs(mine, theirs)


def test_a_network_tried_alone_at_a_seed_leaves_no_others_missing(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits", Options(seeds=(0, 7)))
    for path in folder.glob("*/seed-7"):
        if path.parent.name != "plain-56":
            shutil.rmtree(path)
    runs = select.finals(load.runs(folder))
    assert set(runs["status"]) == {"finished"}
    assert runs.loc[runs["seed"] == 7, "network"].tolist() == ["plain-56"]
