"""What the figures show, read back from matplotlib's own objects."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from analysis_results import PLAIN_SWEEP, Options, write_suite
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import degradation, figure6, load, style


def frame_of(results: Path, suite: str, options: Options = PLAIN_SWEEP) -> pd.DataFrame:
    return load.runs(write_suite(results, suite, options))


def words(figure: Figure) -> str:
    """What is written under a figure, on one line."""
    label = figure.get_supxlabel()
    return " ".join(label.split())


def lines_of(axes: Axes, depth: int) -> list[Line2D]:
    return [
        line
        for line in axes.get_lines()
        if to_hex(line.get_color()) == style.depth_colour(depth) and len(line.get_xdata()) > 1  # type: ignore[arg-type]
    ]


def band_heights(axes: Axes, depth: int) -> npt.NDArray[np.float64]:
    """The y of every corner of the bands in a depth's colour."""
    bands = [
        band
        for band in axes.collections
        if to_hex(np.asarray(band.get_facecolor())[0]) == style.depth_colour(depth)
    ]
    return np.concatenate([np.asarray(band.get_paths()[0].vertices)[:, 1] for band in bands])


def test_figure_6_has_a_panel_a_shortcut_with_means_over_seeds(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "digits", Options(seeds=(0, 1, 2)))
    figure = figure6.draw(frame)
    assert [axes.get_title() for axes in figure.axes] == [
        style.NAMES[shortcut] for shortcut in ("none", "A", "B")
    ]
    train, test = lines_of(figure.axes[0], 56)
    of_network = frame[frame["network"] == "plain-56"]
    expected = 100 * of_network.groupby("iteration")[["train_error", "test_error"]].mean()
    np.testing.assert_allclose(np.asarray(train.get_ydata()), expected["train_error"])
    np.testing.assert_allclose(np.asarray(test.get_ydata()), expected["test_error"])
    assert (train.get_linestyle(), test.get_linestyle()) == ("--", "-")
    heights = band_heights(figure.axes[0], 56)
    errors = 100 * of_network[["train_error", "test_error"]].to_numpy()
    assert (heights.min(), heights.max()) == pytest.approx((errors.min(), errors.max()))
    assert words(figure) == ""


def test_every_seed_is_drawn_on_request(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "digits", Options(seeds=(0, 1, 2)))
    assert len(lines_of(figure6.draw(frame).axes[0], 56)) == 2
    assert len(lines_of(figure6.draw(frame, every_seed=True).axes[0], 56)) == 2 + 3 * 2


def test_the_paper_axes_and_drops_for_the_paper_suite_only(tmp_path: Path) -> None:
    for suite, drops in (("cifar10", {32.0, 48.0}), ("digits", {225.0, 338.0})):
        axes = figure6.draw(frame_of(tmp_path, suite)).axes[0]
        dotted = {line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"}  # type: ignore[index]
        assert dotted == drops
        assert (axes.get_ylim() == (0.0, 20.0)) == (suite == "cifar10")
    assert axes.get_xlabel() == "iteration"


def test_a_curve_that_leaves_the_axis_is_named(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "cifar10")
    is_deep = frame["network"] == "plain-56"
    frame.loc[is_deep, ["train_error", "test_error"]] = [0.68, 0.701]
    for figure in (figure6.draw(frame), degradation.draw(frame)):
        assert words(figure) == "plain-56 ends above the axis: train 68.0%, test 70.1%."


def test_diverged_and_missing_runs_are_shown_as_such(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1),
        missing=frozenset({"resnet-56-B/1"}),
        diverged={"plain-56/1": 0.5},
    )
    frame = frame_of(tmp_path, "digits", odd)
    figure = figure6.draw(frame)
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "X"]
    assert [line.get_xdata()[0] for line in crosses] == [225]  # type: ignore[index]
    for drawn in (figure, degradation.draw(frame)):
        assert "Diverged: plain-56 seed 1 at iteration 226." in words(drawn)
        assert "Missing: resnet-56-B seed 1." in words(drawn)


def test_depth_colours_are_told_apart() -> None:
    colours = [style.depth_colour(depth) for depth in (20, 32, 44, 56, 110)]
    assert len(set(colours)) == 5
    assert style.depth_colour(62) == style.depth_colour(56)


def test_drawing_leaves_the_readers_settings_alone(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figure6.draw(frame_of(tmp_path, "smoke"))
    assert dict(mpl.rcParams) == before
