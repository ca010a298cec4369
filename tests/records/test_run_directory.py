"""The files of a run: what is written is what is read, whatever moment a kill chose."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.epochs import COLUMNS, EpochRecord
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe


def record(epoch: int, **changes: Any) -> EpochRecord:
    values: dict[str, Any] = dict.fromkeys(COLUMNS, 1 / (epoch + 2))
    values |= {"epoch": epoch, "iteration": 10 * epoch, "validation_loss": None}
    return EpochRecord(**values | changes)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    return directory


def test_rows_are_read_back_bit_for_bit(directory: RunDirectory) -> None:
    rows = [
        record(1, train_loss=0.1 + 0.2, test_loss=float("inf")),
        record(2, precise_test_error=None, test_error=1e-300),
    ]
    for row in rows:
        directory.append(row)
    assert directory.rows() == rows
    header = directory.epochs_csv.read_text().splitlines()[0]
    assert header.split(",")[:3] == ["epoch", "iteration", "learning_rate"]


def test_a_torn_last_line_is_no_row_and_is_cut(directory: RunDirectory) -> None:
    directory.append(record(1))
    directory.append(record(2))
    whole = directory.epochs_csv.read_text()
    directory.epochs_csv.write_text(whole[:-7])
    assert directory.rows() == [record(1)]
    assert directory.keep_rows(2) == [record(1)]
    directory.append(record(2))
    assert directory.epochs_csv.read_text() == whole


def test_rows_past_the_checkpoint_are_cut(directory: RunDirectory) -> None:
    for epoch in (1, 2, 3):
        directory.append(record(epoch))
    assert directory.keep_rows(2) == [record(1), record(2)]
    assert directory.rows() == [record(1), record(2)]


def test_status_goes_from_missing_to_finished(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    assert directory.status() == "missing"
    directory.create()
    assert directory.status() == "missing"
    directory.write_description({"identity": {}})
    assert directory.status() == "partial"
    summary = Summary("diverged", 7, {"train_loss": 2.0}, 1.5)
    directory.write_summary(summary)
    assert directory.status() == "diverged"
    assert directory.summary() == summary


def test_another_identity_is_named_key_by_key(directory: RunDirectory) -> None:
    recipe = Recipe(iterations=9).model_dump(mode="json")
    identity = {"seed": 0, "recipe": recipe, "threads": 1}
    directory.write_description({"identity": identity})
    directory.check_identity(identity)
    directory.check_identity({"seed": 0})  # a part of it
    other = {"seed": 0, "recipe": {**recipe, "learning_rate": 0.2}, "threads": 1}
    with pytest.raises(UserError, match=r"recipe.learning_rate is 0.1 there, 0.2 now"):
        directory.check_identity(other)
    with pytest.raises(UserError, match=r"recipe.unheard_of is None there, 9 now"):
        directory.check_identity({"recipe": {**recipe, "unheard_of": 9}})


def test_fields_that_came_later_have_their_defaults(directory: RunDirectory) -> None:
    earlier = {"network": {"depth": 8, "shortcut": "A"}, "recipe": {"iterations": 9, "drops": [4]}}
    directory.write_description({"identity": earlier})
    now = {
        "network": NetworkSpec(depth=8, shortcut="A").model_dump(mode="json"),
        "recipe": Recipe(iterations=9, drops=(4,)).model_dump(mode="json"),
        "cures": {},
    }
    description = directory.description()
    assert description is not None
    assert description["identity"] == now
    directory.check_identity(now)
    with pytest.raises(UserError, match=r"recipe.flip is True there, False now"):
        directory.check_identity({**now, "recipe": {**now["recipe"], "flip": False}})


def summary_with(**changed: Any) -> str:
    whole = {"status": "finished", "iteration": 1, "final": {}, "seconds": 1.0}
    return json.dumps(whole | changed)


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("{", "Expecting"),
        ("null", "not an object"),
        ("[]", "not an object"),
        ("{}", "status: Field required; iteration: Field required"),
        (summary_with(status="done"), "status: Input should be 'finished' or 'diverged'"),
        (summary_with(final=None), "final: Input should be a valid dictionary"),
        (summary_with(seconds=None), "seconds: Input should be a valid number"),
        (summary_with(best=0.1), "best: Unexpected keyword argument"),
    ],
)
def test_a_damaged_summary_is_refused(directory: RunDirectory, summary: str, said: str) -> None:
    directory.summary_json.write_text(summary)
    with pytest.raises(UserError, match=f"summary.json: damaged: {said}"):
        directory.summary()


@pytest.mark.parametrize("part", ["identity", "attempts"])
def test_a_run_without_description_is_refused(directory: RunDirectory, part: str) -> None:
    for damaged in (None, "there", [None]):
        directory.write_description({"identity": {}, "attempts": [{}], part: damaged})
        with pytest.raises(UserError, match=r"run.json: damaged: not a run's description"):
            directory.description()


ONES = ["1"] * len(COLUMNS)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["x", *ONES[1:]], "epoch: 'x' is not a number"),
        (["", *ONES[1:]], "epoch: '' is not a number"),
        (ONES[1:], "damaged: not 14 cells"),
        ([*ONES, "1"], "damaged: not 14 cells"),
    ],
)
def test_a_damaged_row_is_refused(directory: RunDirectory, cells: list[str], said: str) -> None:
    rows = [COLUMNS, ONES, cells]
    directory.epochs_csv.write_text("".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=f"epochs.csv: row 2: {said}"):
        directory.rows()


@pytest.mark.parametrize(
    "values",
    [
        {"test_error": -5.0},
        {"train_error": float("nan")},
        {"clean_train_error": 1.5},
        {"train_loss": 1e308},
        {"train_loss": float("inf")},
        {"test_loss": -1.0},
        {"test_loss": float("-inf")},
        {"seconds": float("nan")},
        {"iteration": 0},
        {"learning_rate": float("inf")},
    ],
)
def test_a_value_that_no_run_can_have_is_damage(
    directory: RunDirectory, values: dict[str, Any]
) -> None:
    (column,) = values
    with pytest.raises(ValueError, match=f"{column}: .* is impossible"):
        record(1, **values)
    directory.append(record(1))
    text = directory.epochs_csv.read_text()
    cells = dict(zip(COLUMNS, text.splitlines()[1].split(","), strict=True))
    cells |= {column: str(value) for column, value in values.items()}
    directory.epochs_csv.write_text(f"{text.splitlines()[0]}\n{','.join(cells.values())}\n")
    with pytest.raises(UserError, match=f"epochs.csv: row 1: damaged: {column}: .* is impossible"):
        directory.rows()


def test_records_twice_are_damage(directory: RunDirectory) -> None:
    for epoch in (1, 2, 2):
        directory.append(record(epoch))
    with pytest.raises(UserError, match=r"epochs.csv: damaged: iteration 20 after 20"):
        directory.rows()


def test_another_table_is_refused(directory: RunDirectory) -> None:
    directory.epochs_csv.write_text("epoch,loss\n1,2\n")
    with pytest.raises(UserError, match=r"epochs.csv: its columns are not those of this version"):
        directory.rows()
    directory.epochs_csv.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"epochs.csv: damaged: 'utf-8' codec"):
        directory.rows()
    directory.epochs_csv.unlink()
    assert directory.rows() == []
    directory.epochs_csv.mkdir()
    with pytest.raises(UserError, match=r"epochs.csv: cannot be read: Is a directory"):
        directory.rows()


def test_a_run_is_trained_by_one_process_at_a_time(directory: RunDirectory) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from resnet_bench.records.lock import locked\n"
        "from resnet_bench.records.run_directory import RunDirectory\n"
        "with locked(RunDirectory(Path(sys.argv[1]))): print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(directory.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        message = f"{directory.path}: another process is training this run"
        with pytest.raises(UserError, match=message), locked(directory):
            pass
        process.kill()
    with locked(directory):  # a killed process leaves no lock
        pass


def test_a_csv_that_a_spreadsheet_saved_is_called_that(directory: RunDirectory) -> None:
    text = "".join(",".join(row) + "\n" for row in (COLUMNS, ONES))
    one_point = text.replace("\n1,", "\n1.0,")
    for resaved in ("\ufeff" + text, text.replace(",", ";"), one_point):
        directory.epochs_csv.write_text(resaved)
        with pytest.raises(UserError, match=r"epochs\.csv: .*saved anew by another program"):
            directory.rows()
