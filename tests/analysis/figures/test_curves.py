"""Experiments with names of their own: never pooled with a network, and shown when alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import catalogue, load
from analysis.fidelity import table6
from analysis.figures import curves, figure6
from analysis.figures import variants as figures_variants
from analysis.frames import notices, select
from analysis.verdict import contrasts, finding
from analysis.verdict import variants as verdict_variants
from resnet_bench.suites.suite import load_suite
from tests.support.legends import labels_of
from tests.support.results import Options, write_suite

VARIANTS = """# Variants beside networks.
dataset = "digits"
recipe = { iterations = 40, batch_size = 64, precision = "ieee" }
networks = { depths = [8, 14], shortcuts = ["none", "A"] }

[experiments.resnet-8-A-preactivation]
like = "resnet-8-A"
network.activation = "pre"

[experiments.resnet-8-A-zero-scale]
like = "resnet-8-A"
recipe.last_scale = "zero"
"""
ALONE = """# Nothing but named experiments, on two data sets.
dataset = "digits"
recipe = { iterations = 40, batch_size = 64, records_per_epoch = 2, precision = "ieee" }

[experiments.twin-residual]
network = { architecture = "imagenet", depth = 18, shortcut = "B" }

[experiments.twin-plain]
like = "twin-residual"
network.shortcut = "none"

[experiments.other]
dataset = "fashion"
network = { depth = 8, shortcut = "A" }
recipe = { batch_size = 256, learning_rate = 0.3, iterations = 500 }
"""


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "variants.toml").write_text(VARIANTS)
    (folder / "alone.toml").write_text(ALONE)
    return folder


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory, suites: Path) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("results")
    return load.runs(write_suite(folder, "variants", Options(seeds=(0, 1)), suites), suites=suites)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, suites: Path) -> pd.DataFrame:
    """`twin-plain` diverges at 21 with seed 0; `other` at once, with both."""
    odd = Options(seeds=(0, 1), diverged={"twin-plain/0": 0.5, "other/0": 0.0, "other/1": 0.0})
    folder = write_suite(tmp_path_factory.mktemp("results"), "alone", odd, suites)
    return load.runs(folder, suites=suites)


def test_a_variant_is_named_and_kept_apart(variants: pd.DataFrame) -> None:
    by_network = variants.groupby("network", sort=False)["variant"].first().to_dict()
    assert by_network == {
        "plain-8": "",
        "plain-14": "",
        "resnet-8-A": "",
        "resnet-14-A": "",
        "resnet-8-A-preactivation": "resnet-8-A-preactivation",
        "resnet-8-A-zero-scale": "resnet-8-A-zero-scale",
    }
    assert (variants["problem"] == "").all()
    assert not select.grid_networks(variants)["variant"].any()
    first = variants[variants["variant"] == "resnet-8-A-preactivation"].iloc[0]
    assert (first["depth"], first["shortcut"], first["network.activation"]) == (8, "A", "pre")


def test_no_figure_pools_a_variant_with_its_network(variants: pd.DataFrame) -> None:
    changed = variants.copy()
    changed.loc[changed["variant"] != "", ["train_error", "precise_train_error"]] = 0.77
    assert contrasts.primary(changed)[1].samples == contrasts.primary(variants)[1].samples
    drawn = np.asarray(figure6.draw(changed).axes[1].get_lines()[0].get_ydata())
    of_network = select.over_last_epoch(variants[variants["network"] == "resnet-8-A"])
    np.testing.assert_allclose(drawn, 100 * of_network.groupby("iteration")["train_error"].mean())
    assert finding.budget(changed) == "40 iterations on digits"
    table = table6.final_errors(changed).set_index("network")
    assert table.loc["resnet-8-A-zero-scale", "train_mean"] == pytest.approx(0.77)


def test_a_variant_is_held_against_the_network_it_differs_from_least(
    variants: pd.DataFrame,
) -> None:
    found = verdict_variants.pairs(variants)
    assert found[["network", "base", "differs"]].to_numpy().tolist() == [
        ["resnet-8-A-preactivation", "resnet-8-A", "activation: pre"],
        ["resnet-8-A-zero-scale", "resnet-8-A", "last_scale: zero"],
    ]
    assert verdict_variants.pairs(
        variants[variants["variant"] != ""]
    ).empty  # nothing to hold it against


def test_variants_and_networks_are_paired_by_seed(variants: pd.DataFrame) -> None:
    frame = variants.copy()
    ends = {"resnet-8-A": (0.1, 0.2), "resnet-8-A-zero-scale": (0.15, 0.35)}
    for network, errors in ends.items():
        for seed, error in enumerate(errors):
            run = (frame["network"] == network) & (frame["seed"] == seed)
            frame.loc[run, "precise_train_error"] = error
    frame.loc[(frame["network"] == "resnet-8-A-preactivation"), "status"] = "diverged"
    table = verdict_variants.differences(frame, "precise_train_error").set_index("network")
    row = table.loc["resnet-8-A-zero-scale"]
    assert row["n"] == 2
    assert row["difference"] == pytest.approx((0.05 + 0.15) / 2)
    assert table.loc["resnet-8-A-preactivation", "n"] == 0
    assert verdict_variants.sentences(frame) == [
        "With activation: pre the training error changes, in points and mean over 2 seeds:"
        " resnet-8-A not comparable (2 runs diverged).",
        "With last_scale: zero the training error changes, in points and mean over 2 seeds:"
        " resnet-8-A +10.00 (to 25.00%).",
    ]
    assert verdict_variants.rows(frame)[2][:6] == [
        "resnet-8-A-zero-scale", "last_scale: zero", "2", "25.00", "15.00", "+10.00",
    ]  # fmt: skip
    of_norm, of_scale = figures_variants.draw(frame).axes[:2]
    assert [axes.get_title() for axes in (of_norm, of_scale)] == [
        "pre-activation", "last scale begins at zero",
    ]  # fmt: skip
    link = of_scale.get_lines()[0]
    np.testing.assert_allclose(np.asarray(link.get_ydata()), [15, 25])
    assert [line.get_marker() for line in of_norm.get_lines()].count("X") == 1


def test_networks_of_different_recipes_need_not_share_batches(variants: pd.DataFrame) -> None:
    assert notices.notices(variants) == []
    odd = variants.copy()
    odd.loc[odd["network"] == "resnet-8-A-zero-scale", "batch_stream"] = "another recipe's"
    assert notices.notices(odd) == []
    odd.loc[odd["network"] == "resnet-8-A-preactivation", "batch_stream"] = "not its recipe's"
    assert notices.notices(odd) == [
        f"Not matched: networks saw different batches at seed {seed}." for seed in (0, 1)
    ]


def test_a_suite_of_named_experiments_alone(alone: pd.DataFrame) -> None:
    assert not select.has_own(alone)
    assert select.grid_networks(alone).empty
    assert contrasts.primary(alone) == []
    assert contrasts.secondary(alone) == []
    ends = alone[alone["status"] == "finished"].groupby("network")["test_error"].last()
    residual = 100 * select.finished(alone).query("network == 'twin-residual'")["test_error"].mean()
    plain = 100 * ends["twin-plain"]
    assert finding.sentence(alone) == (
        f"Final test errors, means over finished seeds: on digits twin-residual {residual:.2f}%,"
        f" twin-plain {plain:.2f}%, a seed diverged at iteration 21; on fashion other diverged at"
        " iteration 1."
    )
    assert finding.budget(alone) == "40 iterations on digits and 500 iterations on fashion"
    table = table6.final_errors(alone).set_index("network")
    assert table.loc["other", "remark"] == "2 diverged (at 1, 1)"
    assert table.loc["twin-residual", "parameters"] == 11_175_370


def test_several_records_an_epoch_are_told_apart_by_iteration(alone: pd.DataFrame) -> None:
    run = alone[(alone["network"] == "twin-residual") & (alone["seed"] == 0)]
    assert run["epoch"].tolist() == [1, 1, 2, 2]
    assert run["iteration"].tolist() == [12, 23, 34, 40]


def test_their_curves_have_two_panels_a_recipe(alone: pd.DataFrame, suites: Path) -> None:
    figure = curves.draw(alone)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["digits, 40 iterations"] * 2 + ["fashion, 500 iterations"] * 2
    errors, losses = figure.axes[:2]
    residual = alone[alone["network"] == "twin-residual"]
    drawn = losses.get_lines()[0]
    np.testing.assert_allclose(
        np.asarray(drawn.get_ydata()), residual.groupby("iteration")["train_loss"].mean()
    )
    crosses = [line for line in errors.get_lines() if line.get_marker() == "X"]
    ended = alone[(alone["status"] == "diverged") & alone["iteration"].notna()]
    ends = ended.groupby("directory")["ended_at"].first()
    assert [line.get_xdata()[0] for line in crosses] == ends.tolist()  # type: ignore[index]
    assert labels_of(figure)[:3] == [
        experiment.network_name for experiment in load_suite("alone", suites).experiments
    ]


def test_only_what_fits_is_drawn(alone: pd.DataFrame, variants: pd.DataFrame) -> None:
    drawn = {
        figure_spec.name
        for figure_spec in catalogue.FIGURES
        if figure_spec.data == "frame" and figure_spec.applies(alone)
    }
    assert drawn == {"curves"}
    assert not curves.applies(variants)
    assert verdict_variants.applies(variants)
