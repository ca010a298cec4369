"""One experiment at several numbers of iterations."""

import shutil
from pathlib import Path

from analysis_results import Options, write_suite

from analysis import select, sensitivity
from analysis.runs import Runs, sibling_folders
from resnet_bench.experiments import SUITES_FOLDER, load_suite


def test_budgets_compare_suites_that_differ_in_nothing_else(tmp_path: Path) -> None:
    for suite in ("digits", "digits-3x", "smoke", "cifar10-short"):
        write_suite(tmp_path, suite)
    runs = Runs.of(tmp_path, "digits")
    kept = sensitivity.at_budgets(runs.wider)
    budgets = [load_suite(suite).recipe.iterations for suite in ("digits", "digits-3x")]
    assert set(kept["recipe.iterations"]) == set(budgets)  # smoke's networks are others
    assert not sensitivity.has_budgets(runs.frame)
    figure = sensitivity.draw_budgets(runs.wider)
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == [f"{budget:,}" for budget in budgets]
    deep = select.finished(kept[kept["network"] == "plain-56"]).set_index("suite")
    errors = [100 * deep["precise_train_error"][suite] for suite in ("digits", "digits-3x")]
    (sentence,) = sensitivity.sentences(runs.wider)
    assert sentence.startswith("Final training error after 360 and 1,080 iterations, over one seed")
    assert f"; plain-56 {errors[0]:.2f}%, {errors[1]:.2f}%; resnet-20-A " in sentence
    assert "plain-32" not in sentence
    other = runs.wider.copy()
    other.loc[other["suite"] == "digits-3x", "recipe.momentum"] = 0.5
    assert not sensitivity.has_budgets(other)
    assert not sensitivity.has_budgets(Runs.of(tmp_path, "smoke").wider)  # others' networks


def test_one_run_of_two_suites_counts_once(tmp_path: Path) -> None:
    """`digits-layers` trains some of the networks of `digits`, with the same recipe."""
    for suite in ("digits", "digits-layers", "digits-3x"):
        write_suite(tmp_path, suite)
    ended = select.finished(sensitivity.at_budgets(Runs.of(tmp_path, "digits-layers").wider))
    assert set(ended["network"]) == {"plain-20", "plain-56", "resnet-20-A", "resnet-56-A"}
    assert sorted(ended["suite"]) == ["digits-3x"] * 4 + ["digits-layers"] * 4


def test_budgets_are_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    write_suite(tmp_path, "digits", Options(seeds=(0, 1, 2, 3)))
    lost = Options(seeds=(1, 2, 3), diverged={"plain-56/3": 0.5})
    write_suite(tmp_path, "digits-3x", lost)
    runs = Runs.of(tmp_path, "digits")
    ended = select.finished(sensitivity.at_budgets(runs.wider))
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
    (sentence,) = sensitivity.sentences(runs.wider)
    assert sentence.startswith(
        "Final training error after 360 and 1,080 iterations, over 2 or 3 seeds that ran at each:"
        f" {short}; {deep}; resnet-20-A "
    )


def test_without_a_seed_at_both_budgets_nothing_is_said(tmp_path: Path) -> None:
    for suite, seed in {"digits": 0, "digits-3x": 1}.items():
        write_suite(tmp_path, suite, Options(seeds=(seed,)))
    assert sensitivity.sentences(Runs.of(tmp_path, "digits").wider) == []


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
