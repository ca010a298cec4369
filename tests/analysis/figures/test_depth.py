"""The figures over depth, read back from matplotlib's own objects."""

from pathlib import Path

import numpy as np
import pytest

from analysis.figures import convergence, degradation, shortcuts
from analysis.plotting import style
from tests.support.results import END, Options, frame_of


def test_degradation_draws_final_means_intervals_and_the_papers_points(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "cifar10", Options(seeds=(0, 1, 2)))
    figure = degradation.draw(frame)
    train, test = figure.axes
    ended = frame[(frame["iteration"] == 64_000) & (frame["shortcut"] == "none")]
    means = 100 * ended.groupby("depth")["precise_train_error"].mean()
    plain = train.get_lines()[0]
    np.testing.assert_allclose(np.asarray(plain.get_ydata()), means)
    papers = [
        line
        for line in test.get_lines()
        if line.get_markerfacecolor() == "none" and line.get_marker() == "o"
    ]
    assert [float(np.asarray(line.get_ydata())[0]) for line in papers] == pytest.approx(
        [9.7, 10.0, 11.4, 13.2]
    )
    assert all(
        line.get_markerfacecolor() != "none"
        for line in degradation.draw(frame_of(tmp_path, "digits")).axes[0].get_lines()
    )


def test_residual_networks_are_drawn_once_more_where_plain_ones_flatten_them(
    tmp_path: Path,
) -> None:
    frame = frame_of(tmp_path, "digits", Options(seeds=(0, 1)))
    for axes, error in zip(degradation.draw(frame).axes, degradation.PANELS, strict=True):
        (inset,) = axes.child_axes
        ended = frame[(frame["iteration"] == END) & (frame["shortcut"] == "A")]
        means = 100 * ended.groupby("depth")[error].mean()
        drawn = [np.asarray(line.get_ydata()) for line in inset.get_lines()]
        assert any(len(line) == 4 and np.allclose(line, means) for line in drawn)
        dots = np.concatenate([dots.get_offsets() for dots in inset.collections[:1]])
        assert len(dots) == 2 * 2 * 4  # A and B, not plain
        assert inset.get_ylim()[1] < axes.get_ylim()[1] / 8


@pytest.mark.parametrize(("network", "error"), [("plain-20", 0.6), ("resnet-56-A", 0.3)])
def test_but_not_where_plain_ones_stand_or_they_can_be_read(
    network: str, error: float, tmp_path: Path
) -> None:
    frame = frame_of(tmp_path, "digits")
    frame.loc[frame["network"] == network, list(degradation.PANELS)] = error
    assert [axes.child_axes for axes in degradation.draw(frame).axes] == [[], []]


def test_options_are_compared_by_seed_and_depth(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1), missing=frozenset({"resnet-44-B/1", "resnet-32-A/0"}))
    frame = frame_of(tmp_path, "digits", odd)
    found = shortcuts.differences(frame, "test_error").set_index(["depth", "shortcut", "seed"])
    pairs = {(depth, "B", seed) for depth in (20, 32, 44, 56) for seed in (0, 1)}
    assert set(found.index) == pairs - {(44, "B", 1), (32, "B", 0)}
    of_seed = frame[(frame["seed"] == 1) & (frame["iteration"] == END)].set_index("network")
    by_hand = of_seed["test_error"]["resnet-56-B"] - of_seed["test_error"]["resnet-56-A"]
    assert found["value"][(56, "B", 1)] == pytest.approx(by_hand)
    assert shortcuts.applies(frame)
    assert not shortcuts.applies(frame_of(tmp_path, "cifar10-short"))


def test_a_median_between_a_seed_and_never_is_never(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke", Options(seeds=(0, 1))).assign(train_error=0.4)
    lost = (frame["network"] == "plain-8") & (frame["seed"] == 1)
    frame.loc[lost, "train_error"] = 0.9
    axes = convergence.draw(frame).axes[0]
    never = axes.get_yticks()[-1]
    assert axes.get_yticklabels()[-1].get_text() == "never"
    (plain,) = [line for line in axes.get_lines() if line.get_marker() == style.MARKERS["none"]]
    first = frame[frame["network"] == "plain-14"]["iteration"].min()
    np.testing.assert_allclose(np.asarray(plain.get_ydata()), [never, first])


def test_never_is_above_the_budget_in_thousands(tmp_path: Path) -> None:
    axes = convergence.draw(frame_of(tmp_path, "cifar10")).axes[0]
    budget = axes.get_lines()[0]
    assert list(np.asarray(budget.get_ydata())) == [64, 64]
    *ticks, never = axes.get_yticks()
    assert ticks[0] == 0
    assert 30 < ticks[-1] <= 64 < never < axes.get_ylim()[1] < 80


def test_iterations_to_a_training_error_by_hand(tmp_path: Path) -> None:
    odd = Options(partial={"plain-32/0": 0.1}, diverged={"resnet-32-A/0": 0})
    frame = frame_of(tmp_path, "digits", odd)
    first, second, third, fourth = frame[frame["network"] == "plain-20"]["iteration"].iloc[:4]
    for iteration, error in ((first, 0.9), (second, 0.5), (third, 0.2), (fourth, 0.3)):
        rows = (frame["network"] == "plain-20") & (frame["iteration"] == iteration)
        frame.loc[rows, "train_error"] = error
    frame.loc[frame["network"] == "plain-56", "train_error"] = 0.6

    def reached(threshold: float) -> dict[tuple[str, int], float]:
        table = convergence.iterations_to(frame, threshold)
        return dict(
            zip(zip(table["shortcut"], table["depth"], strict=True), table["value"], strict=True)
        )

    assert reached(0.5)["none", 20] == second  # at or below
    assert reached(0.2)["none", 20] == third  # first, though it rises again
    assert reached(0.5)["none", 56] == np.inf
    assert reached(0.5)["A", 32] == np.inf  # diverged
    assert ("none", 32) not in reached(0.1)  # partial: it may still get there
    figure = convergence.draw(frame)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][-1] == "never"
