"""What the figures show, read back from matplotlib's own objects."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import catalogue
from analysis.figures import convergence, degradation, figure6, training_errors
from analysis.plotting import style
from analysis.results import SuiteResults
from resnet_bench.errors import UserError
from tests.support.results import (
    DIGITS_RECIPE,
    END,
    Options,
    frame_of,
)


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
    for suite, drops in (("cifar10", {32.0, 48.0}), ("digits", set(DIGITS_RECIPE.drops))):
        axes = figure6.draw(frame_of(tmp_path, suite)).axes[0]
        dotted = {line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"}  # type: ignore[index]
        assert dotted == drops
        assert (axes.get_ylim() == (0.0, 20.0)) == (suite == "cifar10")
    assert axes.get_xlabel() == "iteration"


def test_a_curve_that_leaves_the_axis_is_named(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "cifar10")
    is_deep = frame["network"] == "plain-56"
    errors = ["train_error", "test_error", "precise_train_error"]
    frame.loc[is_deep, errors] = [0.68, 0.701, 0.66]
    for figure, train in ((figure6.draw(frame), "68.0"), (degradation.draw(frame), "66.0")):
        assert words(figure) == f"plain-56 ends above the axis: train {train}%, test 70.1%."


def test_diverged_and_missing_runs_are_shown_as_such(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1),
        missing=frozenset({"resnet-56-B/1"}),
        diverged={"plain-56/1": 0.5},
    )
    frame = frame_of(tmp_path, "digits", odd)
    figure = figure6.draw(frame)
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "X"]
    error = frame[(frame["network"] == "plain-56") & (frame["seed"] == 1)]["train_error"].iloc[-1]
    assert [line.get_xydata().tolist() for line in crosses] == [[[END // 2 + 1, 100 * error]]]  # type: ignore[union-attr]
    for drawn in (figure, degradation.draw(frame)):
        assert f"Diverged: plain-56 seed 1 at iteration {END // 2 + 1}." in words(drawn)
        assert "Missing: resnet-56-B seed 1." in words(drawn)


@pytest.mark.parametrize(("suite", "top"), [("digits", 90.0), ("cifar10", 20.0)])
def test_a_run_that_diverges_at_once_has_a_cross(tmp_path: Path, suite: str, top: float) -> None:
    """At chance's error, or the upper edge of the paper's axis."""
    frame = frame_of(tmp_path, suite, Options(diverged={"resnet-56-A/0": 0.0}))
    axes = figure6.draw(frame).axes[1]
    (cross,) = [line for line in axes.get_lines() if line.get_marker() == "X"]
    unit, _ = style.iteration_unit(int(frame["recipe.iterations"].max()))
    np.testing.assert_allclose(np.asarray(cross.get_xydata()), [[1 / unit, top]])


def test_depth_colours_are_told_apart() -> None:
    papers = (20, 32, 44, 56, 110, 1202)
    own = {depth: style.depth_colour(depth) for depth in papers}
    assert style.depth_colours(papers) == own
    assert len(set(own.values())) == 6
    assert style.depth_colour(62) == style.depth_colour(56)
    for others in ((26, 38), (34, 50), (62, 68), (80, 1001)):
        colours = style.depth_colours(sorted({*papers, *others}))
        assert {depth: colours[depth] for depth in papers} == own
        assert len(set(colours.values())) == 8
    many = range(8, 8 + 6 * 20, 6)
    assert len(set(style.depth_colours(many).values())) == 20


def test_depths_that_would_share_a_colour_do_not_in_one_figure(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke").replace({"depth": {8: 44, 14: 50}})
    first, second = style.depth_colours((44, 50)).values()
    assert style.depth_colour(50) == first != second
    drawn = {
        str(line.get_label()): to_hex(line.get_color())
        for line in figure6.draw(frame).legends[0].get_lines()
    }
    assert (drawn["44 layers"], drawn["50 layers"]) == (first, second)
    colours = {to_hex(line.get_color()) for line in figure6.draw(frame).axes[0].get_lines()}
    assert {first, second} <= colours


def test_where_families_are_compared_a_colour_is_a_family(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke")
    families = {style.SHORTCUT_COLOURS[kind] for kind in ("none", "A", "B")}
    for axes in (convergence.draw(frame).axes[0], degradation.draw(frame).axes[0]):
        dots = axes.collections[0]
        assert {to_hex(colour) for colour in np.asarray(dots.get_facecolor())} == families
    for axes, kind in zip(training_errors.draw(frame).axes, ("none", "A", "B"), strict=True):
        drawn = {to_hex(line.get_color()) for line in axes.get_lines()}
        assert drawn == {style.SHORTCUT_COLOURS[kind]}


def test_what_plain_networks_would_flatten_has_an_axis_or_an_inset_of_its_own(
    tmp_path: Path,
) -> None:
    frame = frame_of(tmp_path, "digits")
    errors = ["train_error", "clean_train_error", "precise_train_error", "test_error"]
    frame[errors] = frame[errors].where(frame["shortcut"] == "none", 0.02)
    frame.loc[frame["network"] == "plain-56", errors] = 0.8
    plain, residual, _ = training_errors.draw(frame).axes
    assert plain.get_ylim()[1] > 80 > 5 > residual.get_ylim()[1]
    assert (plain.get_ylabel(), residual.get_ylabel()) == (
        "training error",
        "training error (own axis)",
    )
    insets = [axes.child_axes for axes in figure6.draw(frame).axes]
    assert [len(of_panel) for of_panel in insets] == [0, 1, 1]
    assert insets[1][0].get_xlim() == (180, 360)


def test_thresholds_are_what_every_network_reaches_and_what_the_best_does(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke")
    frame["train_error"] = 0.031
    frame.loc[frame["network"] == "plain-14", "train_error"] = 0.62
    assert convergence.thresholds(frame) == [0.65, 0.2, 0.05]
    frame["train_error"] = float("nan")
    assert len(convergence.thresholds(frame)) == 1


def test_drawing_leaves_the_readers_settings_alone(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figure6.draw(frame_of(tmp_path, "smoke"))
    assert dict(mpl.rcParams) == before


def test_another_recipes_figures_have_neither_the_papers_axis_nor_its_points(
    tmp_path: Path,
) -> None:
    frame = frame_of(tmp_path, "cifar10").assign(**{"recipe.learning_rate": 0.05})
    assert figure6.axis_top(frame) is None
    for axes in degradation.draw(frame).axes:
        assert not [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]


@pytest.mark.parametrize("name", [figure_spec.name for figure_spec in catalogue.FIGURES])
def test_a_sweep_that_has_just_begun_can_be_drawn(tmp_path: Path, name: str) -> None:
    """One run with a record or two, another without any, the rest missing."""
    networks = ("plain-20", "plain-32", "plain-44", "plain-56")
    names = [*networks] + [f"resnet-{n[6:]}-{option}" for n in networks for option in "AB"]
    begun = {"plain-56/0": 0.1, "resnet-56-B/0": 0.0}
    missing = frozenset(f"{network}/0" for network in names) - set(begun)
    frame = frame_of(tmp_path, "digits", Options(partial=begun, missing=missing))
    done = frame[frame["network"] == "plain-56"]["iteration"].max()
    figure_spec = next(figure_spec for figure_spec in catalogue.FIGURES if figure_spec.name == name)
    data = SuiteResults(frame, frame).data_of(figure_spec)
    if figure_spec.applies(data):
        figure = figure_spec.draw(data)
        figure.savefig(tmp_path / "figure.png")
        assert f"Partial: plain-56 seed 0 ({done} of {END} iterations)" in words(figure)


def test_nothing_but_refused_runs_is_the_users_mistake(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke").assign(problem="is another's")
    with pytest.raises(UserError, match="no run of the suite itself to show"):
        figure6.draw(frame)
