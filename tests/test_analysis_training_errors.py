"""The three training errors told apart."""

from pathlib import Path

import numpy as np
from analysis_results import Options, write_suite
from matplotlib.colors import to_hex

from analysis import load, style, training_errors


def test_three_markers_a_depth_and_the_one_that_lags(tmp_path: Path) -> None:
    frame = load.runs(write_suite(tmp_path, "smoke", Options(seeds=(0, 1))))
    for seed, (running, clean, precise) in enumerate([(0.4, 0.9, 0.5), (0.6, 0.7, 0.5)]):
        run = (frame["network"] == "plain-14") & (frame["seed"] == seed)
        frame.loc[run, list(training_errors.MARKERS)] = [running, clean, precise]
    axes = training_errors.draw(frame).axes[0]
    colour = style.depth_colour(14)
    means = {
        str(line.get_marker()): float(np.asarray(line.get_ydata())[0])
        for line in axes.get_lines()
        if to_hex(line.get_color()) == colour and line.get_marker() != "."
    }
    assert {marker: round(value, 6) for marker, value in means.items()} == {
        "o": 50,
        "s": 80,
        "D": 50,
    }
    assert training_errors.sentences(frame) == [
        "Training errors of the network in which clean and precise differ most, plain-14: running"
        " 50.00%, clean 80.00%, precise 50.00%."
    ]


def test_nothing_before_a_run_is_finished(tmp_path: Path) -> None:
    names = ["plain-8", "plain-14", "resnet-8-A", "resnet-14-A", "resnet-8-B", "resnet-14-B"]
    partial = Options(partial={f"{name}/0": 0.5 for name in names})
    frame = load.runs(write_suite(tmp_path, "smoke", partial))
    assert not training_errors.applies(frame)
