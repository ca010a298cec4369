"""What is inside the networks: read, summed up, put into words, drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from analysis import catalogue, load
from analysis.frames import layers, select
from analysis.frames.layers import YANG, Layers
from analysis.plotting import style
from analysis.signals import figure as signals_figure
from analysis.signals import figure7, shattered, vanishing
from resnet_bench.records.layers import LAYER_COLUMNS, LayersFile
from resnet_bench.records.run_directory import RunDirectory
from tests.support.layers import GROWTH, MEASURED, layers_at, write_layers
from tests.support.legends import labels_of
from tests.support.results import Options, seal, write_changed, write_suite

SEEDS = (0, 1, 2)
OF_LAYERS = [figure_spec for figure_spec in catalogue.FIGURES if figure_spec.data == "layers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke suite, plain, A and B at 8 and 14 layers, with layers."""
    results = tmp_path_factory.mktemp("results")
    write_suite(results, "smoke", Options(seeds=SEEDS))
    write_layers(results, "smoke", SEEDS)
    return results / "smoke"


@pytest.fixture(scope="module")
def data(folder: Path) -> Layers:
    return Layers.of(load.runs(folder))


def line(axes: Axes, depth: int) -> np.ndarray:
    """The y of the line in a depth's colour."""
    colour = style.depth_colour(depth)
    return next(
        np.asarray(drawn.get_ydata(), dtype=float)
        for drawn in axes.get_lines()
        if to_hex(drawn.get_color()) == colour and len(np.asarray(drawn.get_ydata())) > 1
    )


def test_a_row_a_layer_and_iteration_with_the_values_of_the_csv(folder: Path, data: Layers) -> None:
    assert list(data.table.columns) == list(layers.COLUMNS)
    assert set(LAYER_COLUMNS) <= set(layers.COLUMNS)
    assert len(data.table) == 3 * len(SEEDS) * len(MEASURED) * (9 + 15)
    rows = LayersFile(RunDirectory(folder / "plain-8" / "seed-1").layers_csv).rows()
    run = data.table[(data.table["network"] == "plain-8") & (data.table["seed"] == 1)]
    assert run["response_deviation"].isna().sum() == 2 * len(MEASURED)  # input and linear
    gradients = [row.activation_gradient_norm for row in rows]
    assert run["activation_gradient_norm"].tolist() == gradients
    assert run["family"].unique().tolist() == ["plain"]


def test_without_layers_nothing_is_drawn_or_said(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    write_changed(tmp_path, "smoke/plain-8", "recipe.learning_rate=0.5")
    changed = folder / "plain-8+learning_rate=0.5" / "seed-0" / "layers.csv"
    LayersFile(changed).append(layers_at(0, 8, 1.0))  # of a changed setting: not the suite's own
    data = Layers.of(load.runs(folder))
    assert data.table.empty
    assert not any(figure_spec.applies(data) for figure_spec in OF_LAYERS)


def test_a_run_with_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    (folder / "plain-8" / "seed-0" / "layers.csv").write_text("iteration,layer\n0,1\n")
    seal(folder / "plain-8" / "seed-0")
    frame = load.runs(folder)
    assert "plain-8" not in set(select.declared(frame)["network"])
    (problem,) = set(frame["problem"]) - {""}
    assert problem == "layers.csv: its columns are not those of this version"


def test_summaries_by_hand(data: Layers) -> None:
    table = layers.summaries(data.table).set_index(["network", "seed", "iteration"])
    of_run = table.xs("plain-14").xs(1)
    start, end = of_run.loc[0], of_run.loc[30]
    # 13 convolutions: the first is 12 layers before the last.
    assert start["growth"] == pytest.approx(GROWTH)
    assert start["backward"] == pytest.approx(GROWTH**12)
    assert (start["forward_low"], start["forward_high"]) == (1, 1)
    assert end["growth"] == pytest.approx(1 / GROWTH)
    assert (end["backward_low"], end["backward_high"]) == pytest.approx((GROWTH**-12, 1))
    assert (end["forward_low"], end["forward_high"]) == pytest.approx((0.11, 1.31))
    assert end["update_high"] == pytest.approx(0.013)
    assert table.xs("resnet-14-A")["growth"].tolist() == pytest.approx([1] * 9)


def test_the_factor_of_yang_et_al() -> None:
    assert pytest.approx(1.2112, abs=1e-4) == YANG


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.02, 50.0, "hold"),
        (0.01, 100.0, "hold"),  # by the factor is not beyond it
        (0.009, 100.0, "vanish"),
        (0.009, 1.0, "vanish"),
        (1.0, 101.0, "explode"),
        (1e-9, 1e9, "vanish and explode"),
    ],
)
def test_fates(low: float, high: float, expected: str) -> None:
    assert vanishing.regime(low, high) == expected


def test_the_papers_claim_is_held_against_every_plain_network(data: Layers) -> None:
    claim, plain, of_a, _ = vanishing.sentences(data)
    # plain-8: 6 layers of a factor 2 are 64, under 100; plain-14: 12 are 4,096.
    assert claim == (
        '"Neither forward nor backward signals vanish" (He et al. 2015, section 4.1, of 34'
        " layers on ImageNet): here, if to vanish is to shrink by a factor of 100 (a limit set"
        " after a look at the data), they do not in plain-8, and do in plain-14. At"
        " initialisation they explode in plain-14. They hold throughout in resnet-8-A,"
        " resnet-14-A, resnet-8-B and resnet-14-B."
    )
    assert plain == (
        "plain-14 (medians of 3 seeds): at initialisation responses hold (deviations 1 to 1),"
        " gradients explode (the first layer's is 4,100 times the last one's, a factor of 2.000 a"
        " layer; Yang et al. expect 1.211), and an update changes a layer's weights by up to 0.013"
        " times their norm; after 30 iterations responses hold (deviations 0.11 to 1.3), gradients"
        " vanish (the first layer's is 0.00024 times the last one's, a factor of 0.500 a layer),"
        " and an update changes a layer's weights by up to 0.013 times their norm."
    )
    assert of_a.startswith("resnet-14-A (medians of 3 seeds): at initialisation responses hold")
    assert "a factor of 1.000 a layer)" in of_a


def of_rows(data: Layers, kept: pd.Series) -> list[str]:
    return vanishing.sentences(replace(data, table=data.table[kept]))


def test_the_claim_where_networks_are_of_one_kind_or_fate(
    data: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    shallow, plain = data.table["depth"] == 8, data.table["shortcut"] == "none"
    assert of_rows(data, shallow & plain)[0].endswith(" they do not in plain-8.")
    assert of_rows(data, ~shallow & plain)[0].endswith(
        " they do in plain-14. At initialisation they explode in plain-14."
    )
    assert of_rows(data, ~plain) == []
    monkeypatch.setattr(vanishing, "FACTOR", 10.0)
    assert of_rows(data, plain)[0].endswith(
        " they do in plain-8 and plain-14. At initialisation they explode in plain-8 and plain-14."
    )


def test_layers_that_fare_otherwise_than_the_first_are_said_too(data: Layers) -> None:
    table = data.table.copy()
    middle = (table["network"] == "plain-14") & (table["iteration"] == 30) & (table["layer"] == 7)
    table.loc[middle, "activation_gradient_norm"] = 5.0  # the last one's is 0.01
    claim, plain, *_ = vanishing.sentences(replace(data, table=table))
    assert "do in plain-14." in claim
    assert "gradients explode (the first layer's is 4,100 times the last one's, a factor" in plain
    assert (
        "gradients vanish and explode (0.00024 to 500 times the last one's, the first layer's is"
        " 0.00024 times the last one's, a factor of "
    ) in plain


def test_signals_at_initialisation(data: Layers) -> None:
    figure = signals_figure.draw(data)
    handed_on, _, _, plain, residual, _ = figure.axes
    assert plain.get_title() == "plain: norm of the gradient"
    np.testing.assert_allclose(line(plain, 14), 0.01 * GROWTH ** np.arange(12.0, -1, -1))
    np.testing.assert_allclose(line(residual, 14), np.full(13, 0.01))
    # The first convolution and the second of each of six blocks.
    np.testing.assert_allclose(line(handed_on, 14), 0.5 + np.arange(1, 14, 2) / 100)
    theory = next(drawn for drawn in plain.get_lines() if drawn.get_linestyle() == ":")
    steps = np.asarray(theory.get_ydata(), dtype=float)
    np.testing.assert_allclose(steps[:-1] / steps[1:], YANG)


def test_signals_in_training_are_the_deepest_networks(data: Layers) -> None:
    figure = signals_figure.draw_in_training(data)
    assert figure.axes[0].get_title() == "plain-14: deviation of responses"
    assert len(figure.axes) == 3 * 3
    assert len(figure.axes[0].get_lines()) == len(MEASURED)
    assert labels_of(figure) == [f"iteration {iteration}" for iteration in MEASURED]


def test_figure_7_in_order_and_sorted(data: Layers) -> None:
    in_order, by_size = figure7.draw(data).axes
    middle = np.arange(1, 14) / 10 + 0.01  # of three seeds, shifted by 0, 0.01 and 0.02
    moved = abs(middle - 1)
    np.testing.assert_allclose(line(in_order, 14), moved)
    assert line(by_size, 14)[0] == moved.max()
    assert in_order.get_yscale() == "log"
    assert len(in_order.get_lines()) == 4  # plain and A, at two depths
    assert figure7.sentences(data)[0].startswith(
        "Responses of 3x3 layers after 30 iterations, median layer (lowest to highest): plain-8"
        " 0.41 (0.11 to 0.71), plain-14 0.71 (0.11 to 1.31)"
    )


def test_figure_7_is_of_finished_runs_at_their_end(tmp_path: Path) -> None:
    odd = Options(partial={"plain-8/0": 0.5}, diverged={"plain-14/0": 0.5})
    write_suite(tmp_path, "smoke", odd)
    write_layers(tmp_path, "smoke")
    table = figure7.responses(Layers.of(load.runs(tmp_path / "smoke")).table)
    assert set(table["network"]) == {"resnet-8-A", "resnet-14-A"}
    assert set(table["iteration"]) == {30}


def test_plain_110_is_not_in_figure_7(data: Layers) -> None:
    deep = data.table.assign(depth=data.table["depth"].replace(14, 110))
    assert set(figure7.responses(deep)["network"]) == {"plain-8", "resnet-8-A", "resnet-14-A"}


def test_shattered_gradients(data: Layers) -> None:
    figure = shattered.draw(data)
    means = np.asarray(figure.axes[0].get_lines()[0].get_ydata(), dtype=float)
    np.testing.assert_allclose(means, [0.5, 0.5])  # at the images, by construction
    np.testing.assert_allclose(line(figure.axes[1], 14), 0.5 + np.arange(14) / 28)
    assert shattered.sentences(data)[0].endswith("plain-8 0.50, plain-14 0.50, resnet-8-A 0.50,"
        " resnet-14-A 0.50, resnet-8-B 0.50, resnet-14-B 0.50.")  # fmt: skip
