"""The same networks at several learning rates, and the finding at each one's best."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load
from analysis.figures import learning_rates
from analysis.verdict import best_rates, contrasts, verdict
from resnet_bench.suites.suite import load_suite
from tests.support.results import DIGITS_RECIPE, END, Options, frame_of, write_changed, write_suite

RATES = sorted(
    {experiment.recipe.learning_rate for experiment in load_suite("digits-lr").experiments}
)
BASE = load_suite("digits-lr").recipe.learning_rate
BEST = {"plain-20": 0.1, "plain-56": 0.003, "resnet-20-A": BASE, "resnet-56-A": BASE}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Six rates; plain-56 would be best at 0.003, but diverges with one seed there and below."""
    lost = {f"plain-56+learning_rate={rate:g}/1": 0.5 for rate in RATES[:2]}
    odd = Options(seeds=(0, 1, 2), best_rates=BEST, diverged=lost)
    return frame_of(tmp_path_factory.mktemp("results"), "digits-lr", odd)


def test_the_rates_of_the_networks_that_have_several(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    assert not best_rates.applies(load.runs(folder))
    write_changed(tmp_path, "digits/plain-56", "recipe.learning_rate=0.1")
    write_changed(tmp_path, "digits/plain-20", "recipe.momentum=0.5")
    frame = load.runs(folder)
    kept = best_rates.at_rates(frame)
    assert set(zip(kept["network"], kept["recipe.learning_rate"], strict=True)) == {
        ("plain-56", DIGITS_RECIPE.learning_rate),
        ("plain-56+learning_rate=0.1", 0.1),
    }
    assert len(learning_rates.draw(frame).axes) == 2  # training and test error of plain networks
    assert best_rates.best(frame).empty  # no held-out images
    assert not best_rates.can_choose(frame)
    ended = frame[frame["iteration"] == END].set_index("network")["precise_train_error"]
    base, higher = (
        f"{100 * ended[name]:.2f}%" for name in ("plain-56", "plain-56+learning_rate=0.1")
    )
    assert best_rates.sentences(frame) == [
        f"Final training error at {DIGITS_RECIPE.learning_rate:g}, 0.1, means over finished runs:"
        f" plain-56 {base}, {higher}."
    ]


def test_the_best_rate_is_chosen_on_held_out_images(frame: pd.DataFrame) -> None:
    chosen = best_rates.best(frame).set_index("name")
    assert chosen["rate"].to_dict() == BEST | {"plain-56": 0.01}  # at 0.003 a seed diverged
    assert chosen["rates"].to_dict() == dict.fromkeys(BEST, 6) | {"plain-56": 4}
    at_best = frame[frame["network"] == "plain-56+learning_rate=0.01"]
    ended = at_best[at_best["iteration"] == END]
    assert chosen.loc["plain-56", "validation_error"] == ended["validation_error"].mean()
    better_on_test = frame.copy()
    elsewhere = frame["network"] == "plain-20+learning_rate=0.3"
    better_on_test.loc[elsewhere, ["test_error", "precise_train_error"]] = 0.0
    again = best_rates.best(better_on_test).set_index("name")
    assert again["rate"].to_dict() == chosen["rate"].to_dict()


def test_a_rate_that_is_not_complete_is_not_chosen(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1),
        best_rates=BEST | {"plain-56": RATES[0]},
        missing=frozenset({"plain-20+learning_rate=0.1/0"}),
        partial={"resnet-20-A/1": 0.5},
    )
    frame = frame_of(tmp_path, "digits-lr", odd)
    chosen = best_rates.best(frame)
    rates = chosen.set_index("name")["rate"].to_dict()
    assert rates["plain-20"] in (BASE, 0.3)
    assert chosen.set_index("name")["end"].to_dict()["plain-56"] == "lowest"
    assert best_rates.sentences(frame)[0].endswith(
        " plain-56 may be better still: its best rate is the lowest that was tried."
    )
    assert rates["resnet-20-A"] in (0.01, 0.1)


def test_the_contrasts_are_those_of_the_best_rates(frame: pd.DataFrame) -> None:
    def error(network: str, seed: int) -> float:
        run = frame[(frame["network"] == network) & (frame["seed"] == seed)]
        return float(run["precise_train_error"].iloc[-1])

    plain, residual = best_rates.primary(frame)
    for network, rate in (("plain-56", 0.01), ("plain-20", 0.1)):
        at_best = {seed: error(f"{network}+learning_rate={rate}", seed) for seed in (0, 1, 2)}
        assert plain.samples[network].finished == pytest.approx(at_best)
    assert residual.samples == contrasts.primary(frame)[1].samples  # best at the suite's own
    assert not plain.lost  # the run that diverged is at another rate
    assert plain.word == "degrades"


def test_a_rate_at_which_the_shallow_network_fails_is_not_chosen(frame: pd.DataFrame) -> None:
    frame = frame.copy()
    frame.loc[frame["network"] == "plain-20+learning_rate=0.01", "validation_error"] = 0.5
    chosen = best_rates.best(frame).set_index("name")["rate"]
    before = best_rates.best(frame[frame["shortcut"] == "A"]).set_index("name")["rate"]
    assert chosen["plain-56"] != 0.01
    assert chosen["resnet-56-A"] == before["resnet-56-A"]


def test_in_words(frame: pd.DataFrame) -> None:
    sentence, at_all = best_rates.sentences(frame)
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    assert at_all.startswith(f"Final training error at {rates}, means over finished runs: plain-20")
    assert sentence.startswith(
        f"After {END:,} iterations on digits, the only budget tried, with each network at its best"
        " learning rate, chosen on held-out training images among the rates at which the shallow"
        f" network trains (plain-20 0.1, plain-56 0.01, resnet-20-A {BASE:g}, resnet-56-A"
        f" {BASE:g}; plain-56 among the 4 of 6 rates at which every seed finished), going from 20"
        " to 56 layers, plain networks degrade (training error +"
    )
    text = " ".join(verdict.as_text(frame).split())
    assert sentence in text
    assert "network best rate of rates n held-out error % train error % test error %" in text
    data = verdict.as_data(frame)["best_learning_rates"]
    assert data["holds"] is True
    assert [row["rate"] for row in data["chosen"]] == [0.1, 0.01, BASE, BASE]


def test_the_figure_rings_the_choice_and_crosses_what_diverged(frame: pd.DataFrame) -> None:
    figure = learning_rates.draw(frame)
    titles = [axes.get_title() for axes in figure.axes]
    errors = ("error on held-out images", "training error", "test error")
    assert titles[::2] == [f"plain: {error}" for error in errors]
    plain = figure.axes[0]
    rings = [line for line in plain.get_lines() if line.get_markerfacecolor() == "none"]
    assert [np.asarray(line.get_xdata())[0] for line in rings] == [0.1, 0.01]
    crosses = [line for line in plain.get_lines() if line.get_marker() == "X"]
    assert [np.asarray(line.get_xdata())[0] for line in crosses] == RATES[:2]
    assert [tick.get_text() for tick in plain.get_xticklabels()] == [f"{rate:g}" for rate in RATES]
