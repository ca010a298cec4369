"""The Parquet file and its data card."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import load
from analysis.report.deposit import card, deposit, storable
from resnet_bench.datasets.definitions import DATASETS, ORIGINS
from tests.support.results import write_changed, write_suite


def mixed(results: Path) -> pd.DataFrame:
    """Runs with both "all" and a number of training images."""
    folder = write_suite(results, "digits")
    write_changed(results, "digits/plain-20", "recipe.train_images=100")
    return load.runs(folder)


def test_the_card_describes_every_column_and_names_the_data_and_the_commit(tmp_path: Path) -> None:
    frame = mixed(tmp_path)
    text = card(frame)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {name}" for name in frame.columns]
    assert ORIGINS["digits"] in text
    assert frame["commit"].iloc[0] in text
    assert "After 360 iterations" in text or "iterations on digits" in text
    assert ORIGINS.keys() == DATASETS.keys()


def test_a_column_has_one_type(tmp_path: Path) -> None:
    frame = mixed(tmp_path)
    assert frame["recipe.train_images"].map(type).nunique() == 2
    stored = storable(frame)
    assert set(stored["recipe.train_images"]) == {"all", "100"}
    assert stored["test_error"].equals(frame["test_error"])


def test_what_is_read_back_is_what_the_runs_say(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra [deposit] is not installed")
    frame = mixed(tmp_path)
    table, _ = deposit(tmp_path, "digits")
    read = pd.read_parquet(table)
    pd.testing.assert_series_equal(read["test_error"], frame["test_error"])
    assert read["directory"].iloc[0] == "plain-20/seed-0"  # nobody's home folder
    assert list(read.columns) == list(frame.columns)
