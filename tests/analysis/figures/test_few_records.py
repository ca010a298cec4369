"""Figures of little: one record, no drop, no finished run, panels alike."""

from pathlib import Path

from matplotlib.axes import Axes

from analysis.figures import budgets, curves, degradation, figure6
from analysis.results import SuiteResults
from resnet_bench.suites.suite import load_suite
from tests.support.legends import labels_of
from tests.support.results import Options, frame_of, write_suite


def test_a_single_record_is_a_dot(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke", Options(seeds=(0, 1)))
    once = frame[frame["iteration"] == frame["iteration"].max()]
    for axes in figure6.draw(once).axes:
        assert markers(axes) == ["_", "_", "o", "o"]  # two depths, two errors
    for axes in figure6.draw(frame).axes:
        assert markers(axes) == []
    errors, losses = curves.draw(once).axes[:2]
    assert set(markers(errors)) == {"_", "o"}
    assert set(markers(losses)) == {"_", "o"}


def markers(axes: Axes) -> list[str]:
    return sorted(
        str(line.get_marker()) for line in axes.get_lines() if line.get_marker() != "None"
    )


def test_the_legend_has_drops_only_where_there_are_any(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke")
    assert "learning rate drops" in labels_of(figure6.draw(frame))
    frame["recipe.drops"] = [()] * len(frame)
    assert "learning rate drops" not in labels_of(figure6.draw(frame))


def test_where_every_run_diverged_the_axis_reaches_to_all_errors(tmp_path: Path) -> None:
    names = [experiment.network_name for experiment in load_suite("smoke").experiments]
    odd = Options(diverged={f"{name}/0": 0.5 for name in names})
    for axes in degradation.draw(frame_of(tmp_path, "smoke", odd)).axes:
        assert axes.get_ylim()[1] == 100


def test_panels_of_one_length_say_what_tells_them_apart(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "smoke")
    other = frame["network"] == "plain-8"
    frame.loc[other, "recipe.batch_size"] = 32
    titles = [axes.get_title() for axes in curves.draw(frame).axes[::2]]
    assert titles == [
        "plain: digits, 30 iterations\nbatch_size: 32",
        "plain: digits, 30 iterations\nbatch_size: 64",
        "residual, option A: digits, 30 iterations",
        "residual, option B: digits, 30 iterations",
    ]


def test_budgets_with_drops_elsewhere_are_another_experiment(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits")
    write_suite(tmp_path, "digits-3x")
    assert not budgets.has_budgets(SuiteResults.of(tmp_path, "digits").wider)  # drawn once
    wider = SuiteResults.of(tmp_path, "digits-3x").wider
    assert budgets.has_budgets(wider)
    longer = wider["suite"] == "digits-3x"
    drops = zip(longer, wider["recipe.drops"], strict=True)
    wider["recipe.drops"] = [(100, 810) if long else own for long, own in drops]
    assert not budgets.has_budgets(wider)
    short = budgets.drop_fractions((180, 270), 360)
    assert short == budgets.drop_fractions((540, 810), 1080)
