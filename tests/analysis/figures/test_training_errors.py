"""The three training errors told apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.figures import figure6, training_errors
from analysis.frames import select
from analysis.plotting import style
from tests.support.results import Options, frame_of


def test_three_markers_a_depth_and_the_one_that_lags(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke", Options(seeds=(0, 1)))
    for seed, (running, clean, precise) in enumerate([(0.4, 0.9, 0.5), (0.6, 0.7, 0.5)]):
        run = (frame["network"] == "plain-14") & (frame["seed"] == seed)
        frame.loc[run, list(training_errors.MARKERS)] = [running, clean, precise]
    axes = training_errors.draw(frame).axes[0]
    means = {
        str(line.get_marker()): float(np.asarray(line.get_ydata())[0])
        for line in axes.get_lines()
        if np.asarray(line.get_xdata())[0] > 0.5 and line.get_marker() != "."
    }
    assert {marker: round(value, 6) for marker, value in means.items()} == {
        "o": 50,
        "s": 80,
        "D": 50,
    }
    assert training_errors.sentences(frame) == [
        "Training errors of the network in which clean and precise differ most, plain-14: running"
        " 50.00% (over the last epoch), clean 80.00%, precise 50.00%."
    ]


def test_the_running_error_at_the_end_is_over_an_epoch(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "digits-3x")
    of_run = frame[frame["network"] == "plain-56"]
    before, last = of_run.index[-2:]
    assert of_run["iteration"].tolist()[-3:] == [1056, 1078, 1080]  # an epoch is 22 or 23
    frame.loc[before, "train_error"] = 0.6
    frame.loc[last, list(training_errors.MARKERS)] = [0.0, 0.9, 0.1]
    running = 100 * (22 * 0.6 + 2 * 0.0) / 24
    (sentence,) = training_errors.sentences(frame)
    assert sentence.endswith(
        f" plain-56: running {running:.2f}% (over the last epoch), clean 90.00%, precise 10.00%."
    )
    *_, marker = (
        line for line in training_errors.draw(frame).axes[0].get_lines() if line.get_marker() == "o"
    )
    curve = next(
        line
        for line in figure6.draw(frame).axes[0].get_lines()
        if to_hex(line.get_color()) == style.depth_colour(56)
    )
    for line in (marker, curve):
        assert np.asarray(line.get_ydata())[-1] == pytest.approx(running)
    assert select.finished(frame)["train_error"][last] == 0  # the column and the tables' number


def test_an_epoch_of_several_records_and_a_run_that_has_not_ended() -> None:
    """Records that cover 12, 11, 11, 11 and 2 iterations: the last three make up an epoch."""
    finished = {
        "directory": "a",
        "status": "finished",
        "epoch": [1, 1, 2, 2, 3],
        "iteration": [12, 23, 34, 45, 47],
        "train_error": [0.9, 0.8, 0.4, 0.2, 0.0],
    }
    run = pd.DataFrame(finished)
    frame = pd.concat([run, run.assign(directory="b", status="partial")], ignore_index=True)
    found = select.over_last_epoch(frame)["train_error"].to_list()
    mean = (11 * 0.4 + 11 * 0.2) / 24
    assert found == pytest.approx([0.9, 0.8, 0.4, 0.2, mean, 0.9, 0.8, 0.4, 0.2, 0.0])


def test_nothing_before_a_run_is_finished(tmp_path: Path) -> None:
    names = ["plain-8", "plain-14", "resnet-8-A", "resnet-14-A", "resnet-8-B", "resnet-14-B"]
    partial = Options(partial={f"{name}/0": 0.5 for name in names})
    frame = frame_of(tmp_path, "smoke", partial)
    assert not training_errors.applies(frame)
