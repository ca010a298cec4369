"""One experiment at several numbers of iterations."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from analysis.figures import budgets as figures_budgets
from analysis.frames import select
from analysis.plotting import style
from analysis.results import SuiteResults, sibling_folders
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.suites.suite import load_suite
from tests.support.legends import labels_of
from tests.support.results import Options, write_suite


def test_budgets_compare_suites_that_differ_in_nothing_else(tmp_path: Path) -> None:
    for suite in ("digits", "digits-3x", "smoke", "cifar10-short"):
        write_suite(tmp_path, suite)
    runs = SuiteResults.of(tmp_path, "digits")
    kept = figures_budgets.at_budgets(runs.wider)
    budgets = [load_suite(suite).recipe.iterations for suite in ("digits", "digits-3x")]
    assert set(kept["recipe.iterations"]) == set(budgets)  # smoke's networks are others
    assert not figures_budgets.has_budgets(runs.frame)
    figure = figures_budgets.draw_budgets(runs.wider)
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == [f"{budget:,}" for budget in budgets]
    deep = select.finished(kept[kept["network"] == "plain-56"]).set_index("suite")
    errors = [100 * deep["precise_train_error"][suite] for suite in ("digits", "digits-3x")]
    (sentence,) = figures_budgets.sentences(runs.wider)
    assert sentence.startswith("Final training error after 360 and 1,080 iterations, over one seed")
    assert f"; plain-56 {errors[0]:.2f}%, {errors[1]:.2f}%; resnet-20-A " in sentence
    assert "plain-32" not in sentence
    assert not figures_budgets.has_budgets(runs.wider)  # shown once, with the larger budget
    longer = SuiteResults.of(tmp_path, "digits-3x")
    assert figures_budgets.has_budgets(longer.wider)
    other = longer.wider.copy()
    other.loc[other["suite"] == "digits", "recipe.momentum"] = 0.5
    assert not figures_budgets.has_budgets(other)
    assert not figures_budgets.has_budgets(
        SuiteResults.of(tmp_path, "smoke").wider
    )  # others' networks


def points(line: Line2D) -> list[list[float]]:
    return np.asarray(line.get_xydata(), dtype=float).tolist()


def points_of(errors: pd.DataFrame) -> list[list[float]]:
    """A setting and, from fractions, per cent."""
    return (errors.to_numpy(dtype=float) * (1, 100)).tolist()


def test_a_dot_a_run_and_a_line_through_their_means(tmp_path: Path) -> None:
    for suite in ("digits", "digits-3x"):
        write_suite(tmp_path, suite, Options(seeds=(0, 1)))
    wider = SuiteResults.of(tmp_path, "digits").wider
    figure = figures_budgets.draw_budgets(wider)
    kinds = ("plain", "residual, option A", "residual, option B")
    assert [axes.get_title() for axes in figure.axes] == [
        f"{kind}: {error}" for error in ("training error", "test error") for kind in kinds
    ]
    assert labels_of(figure) == [f"{depth} layers" for depth in (20, 32, 44, 56)]
    runs = figures_budgets.compared(wider)
    deep = runs[runs["network"] == "plain-56"]
    for axes, error in ((figure.axes[0], "precise_train_error"), (figure.axes[3], "test_error")):
        dots, means = (
            line for line in axes.get_lines() if to_hex(line.get_color()) == style.depth_colour(56)
        )
        assert (dots.get_linestyle(), means.get_marker()) == ("None", "None")
        assert points(dots) == points_of(deep.filter([figures_budgets.BUDGET, error]))
        of_budgets = deep.groupby(figures_budgets.BUDGET)[[error]].mean().reset_index()
        assert points(means) == points_of(of_budgets)
        low, high = axes.get_xlim()
        assert low < of_budgets[figures_budgets.BUDGET].min()
        assert high > of_budgets[figures_budgets.BUDGET].max()


def test_what_of_the_budgets_is_not_drawn_is_noted(tmp_path: Path) -> None:
    odd = Options(seeds=(0, 1), recipes={"plain-56/1": {"learning_rate": 0.5}})
    write_suite(tmp_path, "digits", Options(seeds=(0, 1)))
    write_suite(tmp_path, "digits-3x", odd)
    wider = SuiteResults.of(tmp_path, "digits").wider
    notes = " ".join(text.get_text() for text in figures_budgets.draw_budgets(wider).texts)
    assert "plain-56 seed 1" in " ".join(notes.split())
    drawn = figures_budgets.compared(wider).groupby("network")["seed"].unique()
    assert drawn["plain-56"].tolist() == [0]
    assert drawn["plain-20"].tolist() == [0, 1]


def test_one_run_of_two_suites_counts_once(tmp_path: Path) -> None:
    """`digits-layers` trains some of the networks of `digits`, with the same recipe."""
    for suite in ("digits", "digits-layers", "digits-3x"):
        write_suite(tmp_path, suite)
    ended = select.finished(
        figures_budgets.at_budgets(SuiteResults.of(tmp_path, "digits-layers").wider)
    )
    assert set(ended["network"]) == {"plain-20", "plain-56", "resnet-20-A", "resnet-56-A"}
    assert sorted(ended["suite"]) == ["digits-3x"] * 4 + ["digits-layers"] * 4


def test_budgets_are_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits", Options(seeds=(0, 1, 2, 3)))
    lost = Options(seeds=(1, 2, 3), diverged={"plain-56/3": 0.5})
    write_suite(tmp_path, "digits-3x", lost)
    runs = SuiteResults.of(tmp_path, "digits")
    ended = select.finished(figures_budgets.at_budgets(runs.wider))
    means = {
        (network, suite): 100 * ended.loc[kept, "precise_train_error"].mean()
        for network, seeds in {"plain-20": [1, 2, 3], "plain-56": [1, 2]}.items()
        for suite in ("digits", "digits-3x")
        for kept in [
            (ended["network"] == network) & (ended["suite"] == suite) & ended["seed"].isin(seeds)
        ]
    }
    short, deep = (
        f"{network} {means[network, 'digits']:.2f}%, {means[network, 'digits-3x']:.2f}%"
        for network in ("plain-20", "plain-56")
    )
    (sentence,) = figures_budgets.sentences(runs.wider)
    assert sentence.startswith(
        "Final training error after 360 and 1,080 iterations, over 2 or 3 seeds that ran at each:"
        f" {short}; {deep}; resnet-20-A "
    )


def test_without_a_seed_at_both_budgets_nothing_is_said(tmp_path: Path) -> None:
    for suite, seed in {"digits": 0, "digits-3x": 1}.items():
        write_suite(tmp_path, suite, Options(seeds=(seed,)))
    assert figures_budgets.sentences(SuiteResults.of(tmp_path, "digits").wider) == []


def test_a_mistake_in_another_suites_file_hides_nothing_of_this_one(tmp_path: Path) -> None:
    results, suites = tmp_path / "results", tmp_path / "suites"
    suites.mkdir()
    for name in ("digits", "digits-3x"):
        shutil.copy(SUITES_FOLDER / f"{name}.toml", suites)
        write_suite(results, name)
    assert sibling_folders(results, "digits", suites) == [results / "digits-3x"]
    own = (suites / "digits.toml").read_text()
    (suites / "digits-mine.toml").write_text(own.replace("flip =", "flipp ="))
    (results / "digits-mine/plain-20/seed-0").mkdir(parents=True)
    (results / "digits-mine/plain-20/seed-0/run.json").write_text("{}")
    assert sibling_folders(results, "digits", suites) == [results / "digits-3x"]
