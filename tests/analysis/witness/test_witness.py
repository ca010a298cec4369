"""The witness: read, put into words, drawn beside what SGD finds."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis import load
from analysis.frames.witnesses import CURVE_COLUMNS, POINT_COLUMNS, Witnesses
from analysis.plotting import style
from analysis.report import provenance
from analysis.results import SuiteResults
from analysis.witness import figure as witness_figure
from analysis.witness import nested, sentences
from resnet_bench.records.seals import read_sealed, write_sealed
from tests.support.legends import labels_of
from tests.support.results import Options, frame_of, write_suite
from tests.support.witnesses import write_witness


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke suite with witnesses of 14 layers, at two seeds, and one that is compared with
    nothing."""
    folder = write_suite(tmp_path_factory.mktemp("results"), "smoke", Options(seeds=(0, 1)))
    write_witness(folder, "plain-8-as-14", 0, 0.02, 0.6, {0.001: (0.019, 0.01), 0.1: (0.5, 0.9)})
    write_witness(folder, "plain-8-as-14", 1, 0.04, 0.7, {0.001: (0.02, 0.046), 0.1: (0.5, 0.8)})
    write_witness(folder, "plain-8-as-20", 0, 0.02)
    return folder


@pytest.fixture(scope="module")
def data(suite: Path) -> Witnesses:
    return Witnesses.of(load.runs(suite))


def test_what_is_read(data: Witnesses) -> None:
    assert list(data.points.columns) == list(POINT_COLUMNS)
    assert list(data.curves.columns) == list(CURVE_COLUMNS)
    assert data.points["witness_error"].tolist() == [0.02, 0.04, 0.02]
    curve = data.curves[(data.curves["learning_rate"] == 0.1) & (data.curves["seed"] == 1)]
    assert curve["iteration"].tolist() == [0, 10, 20]
    assert curve["error"].tolist() == [0.04, 0.5, 0.8]
    assert data.pairs() == [("plain-8", "plain-14")]  # nothing to hold plain-20 against


def test_staying_and_drifting_in_words(data: Witnesses) -> None:
    # Seed 1 rises by 0.6 points at 0.001: more than the half point that counts as none.
    assert sentences.sentences(data) == [
        "plain-8 and identity blocks make a plain-14 of the same function (outputs equal bit for"
        " bit on 1,797 images; errors are medians over 2 seeds): with batch norm"
        " re-estimated its training error is 3.00% (plain-8's own: 3.00%), while SGD's plain-14 has"
        " 65.00%. Trained on from there, by learning rate: 0.001: 2.80% after"
        " 20 iterations, 3.30% at most on the way (stays with 1, drifts away with 1 of 2 seeds);"
        " 0.1: 85.00% after 20 iterations, 85.00% at most on the way (drifts away)."
    ]


def test_what_leaves_and_ends_where_it_began_comes_back(data: Witnesses) -> None:
    curves = data.curves.copy()
    at_end = (curves["learning_rate"] == 0.1) & (curves["iteration"] == 20)
    curves.loc[at_end, "error"] = 0.02  # no more than either seed began with
    (sentence,) = sentences.sentences(Witnesses(data.runs, data.points, curves))
    assert "0.1: 2.00% after 20 iterations, 50.00% at most on the way (comes back)." in sentence


def test_a_copy_is_what_the_witness_is_compared_with(data: Witnesses) -> None:
    points = data.points[data.points["deep"] == "plain-14"].assign(deep="plain-8")
    curves = data.curves.assign(deep="plain-8")
    copy = Witnesses(data.runs, points, curves)
    assert sentences.sentences(copy) == [
        "For comparison, plain-8 itself, trained on in the same way (errors are medians over 2"
        " seeds): 0.001: 2.80% after 20 iterations, 3.30% at most on the way (stays with 1,"
        " drifts away with 1 of 2 seeds); 0.1: 85.00% after 20 iterations, 85.00% at most on"
        " the way (drifts away)."
    ]
    both = Witnesses(data.runs, pd.concat([points, data.points]), pd.concat([curves, data.curves]))
    assert [text.partition(" ")[0] for text in sentences.sentences(both)] == ["plain-8", "For"]


def test_one_seed_has_no_median(data: Witnesses) -> None:
    one = Witnesses(
        data.runs, data.points[data.points["seed"] == 0], data.curves[data.curves["seed"] == 0]
    )
    assert (
        " on 1,797 images; one seed): with batch norm re-estimated its training error is 2.00%"
        in (sentences.sentences(one)[0])
    )


def test_a_median_over_fewer_seeds_says_so(data: Witnesses) -> None:
    points, curves = data.points.copy(), data.curves
    points.loc[points["seed"] == 1, "trained_error"] = float("nan")
    cut = curves[(curves["seed"] == 0) | (curves["learning_rate"] != 0.1)]
    (sentence,) = sentences.sentences(Witnesses(data.runs, points, cut))
    assert "errors are medians over 2 seeds)" in sentence
    assert "while SGD's plain-14 has 60.00% (1 seed)." in sentence
    assert "0.1: 90.00% (1 seed) after 20 iterations, 90.00% (1 seed) at most on" in sentence


def test_the_figure_shows_source_witness_sgd_and_training_on(data: Witnesses) -> None:
    figure = witness_figure.draw(data)
    (axes,) = figure.axes
    assert axes.get_title() == "plain-14 (2 seeds)"
    lines = axes.get_lines()
    source = next(line for line in lines if line.get_linestyle() == "--")
    assert np.asarray(source.get_ydata()).tolist() == [3.0, 3.0]
    star = next(line for line in lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0, 3.0)  # type: ignore[index]
    of_sgd = [line for line in lines if to_hex(line.get_color()) == style.depth_colour(14)]
    runs = data.runs[data.runs["network"] == "plain-14"]
    medians = runs.groupby("iteration")["precise_train_error"].median().dropna()
    np.testing.assert_allclose(np.asarray(of_sgd[0].get_ydata()), 100 * medians)
    assert len(np.asarray(of_sgd[1].get_ydata())) == 2  # a dot a seed
    on = [line for line in lines if to_hex(line.get_color()) in style.shades(2)]
    np.testing.assert_allclose(np.asarray(on[1].get_ydata()), [3, 50, 85])
    assert labels_of(figure) == [
        "8 layers, the source, at its end",
        "14 layers, by SGD",
        "the witness",
        "trained on from it at 0.001",
        "trained on from it at 0.1",
    ]


def test_notes_are_of_the_runs_that_are_drawn(data: Witnesses) -> None:
    runs = data.runs.copy()
    runs.loc[(runs["network"] == "plain-14") & (runs["seed"] == 1), "problem"] = "odd"
    heading, note = witness_figure.draw(Witnesses(runs, data.points, data.curves)).texts
    assert heading.get_text() == f"{runs['recipe.iterations'].iloc[0]} iterations on digits"
    assert note.get_text() == "Refused, in no figure or table: plain-14 seed 1: odd."
    one = data.points[data.points["seed"] == 0]
    runs.loc[runs["network"] == "resnet-8-A", "problem"] = "odd"  # of no witness
    runs.loc[runs["network"] == "plain-8", "processor"] = "another"  # stands in the report
    assert len(witness_figure.draw(Witnesses(runs, one, data.curves[:0])).texts) == 1


def test_a_diverged_and_a_partial_continuation(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    write_witness(folder, "plain-8-as-14", 0, 0.02, None, {1.0: (0.5, 0.9)}, ends="diverged")
    write_witness(folder, "plain-8-as-14", 1, 0.02, None, {1.0: (0.5,)}, ends="partial")
    data = Witnesses.of(load.runs(folder))
    assert sentences.sentences(data)[0].endswith("by learning rate: 1: 1 diverged, 1 partial.")
    lines = witness_figure.draw(data).axes[0].get_lines()
    crosses = [line.get_xdata()[0] for line in lines if line.get_marker() == "X"]  # type: ignore[index]
    assert crosses == [20]


def test_a_copy_that_is_trained_on_has_a_panel_and_a_sentence(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    write_witness(folder, "plain-8-as-8", 0, 0.02, 0.02, {0.1: (0.5, 0.9)})
    data = Witnesses.of(load.runs(folder))
    (sentence,) = sentences.sentences(data)
    assert sentence.startswith(
        "For comparison, plain-8 itself, trained on in the same way (one seed): 0.1: 90"
    )
    assert witness_figure.draw(data).axes[0].get_title() == (
        "plain-8 itself, trained on (one seed)"
    )


@pytest.mark.parametrize(
    ("curves", "said"),
    [
        ({}, "1 witness, at commit feedfacefe."),
        ({0.01: (0.1,)}, "1 witness, trained on once, at commit feedfacefe."),
        ({0.01: (0.1,), 0.1: (0.1,)}, "1 witness, trained on 2 times in all, at commit feedfac"),
    ],
)
def test_how_witnesses_were_made(
    tmp_path: Path, curves: dict[float, tuple[float, ...]], said: str
) -> None:
    folder = write_suite(tmp_path, "smoke")
    write_witness(folder, "plain-8-as-14", 0, 0.1, 0.2, curves)
    assert provenance.of_witnesses(Witnesses.of(load.runs(folder))).startswith(said)
    write_witness(folder, "plain-8-as-14", 1, 0.1)
    assert provenance.of_witnesses(Witnesses.of(load.runs(folder))).startswith("2 witnesses")


def test_without_witnesses_nothing_applies(tmp_path: Path) -> None:
    assert not witness_figure.applies(Witnesses.of(frame_of(tmp_path, "smoke")))


def test_a_damaged_witness_is_named_and_left_out(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    good, other, moved, sealed = (
        write_witness(folder, "plain-8-as-14", seed, 0.02, 0.3, {0.1: (0.5, 0.9), 0.01: (0.1,)})
        for seed in range(4)
    )
    (other / "witness.json").write_text('{"source": "plain-8"}')
    shutil.copy(good / "witness.json", moved)
    contents, _ = read_sealed(sealed / "witness.json")
    write_sealed(sealed / "witness.json", contents)
    assert read_sealed(sealed / "witness.json") == (contents, True)
    text = (sealed / "witness.json").read_text()
    (sealed / "witness.json").write_text(text.replace("0.02", "0.03", 1))
    (good / "learning_rate=0.1" / "epochs.csv").write_text("")
    shutil.copytree(good / "learning_rate=0.01", good / "learning_rate=0.02")
    data = Witnesses.of(load.runs(folder))
    assert data.points["seed"].tolist() == [0]
    assert set(data.curves["learning_rate"]) == {0.01}
    said = ["is that of plain-14+learning_rate=0.01", "its last record", "not a witness's"]
    said += ["is that of plain-8-as-14/seed-0", "witness.json: damaged: not what was written"]
    assert len(data.problems) == len(said)
    for words, problem in zip(said, data.problems, strict=True):
        assert words in problem
    assert data.problems[-1] in SuiteResults.of(tmp_path, "smoke").notices()


def test_the_deep_class_contains_the_shallow_function_below_what_sgd_finds(data: Witnesses) -> None:
    (axes,) = nested.draw(data).axes
    assert axes.get_title() == "plain"
    star = next(line for line in axes.get_lines() if line.get_marker() == "*")
    assert star.get_xydata().tolist() == [[1.0, 3.0]]  # type: ignore[union-attr]
    (sentence,) = nested.sentences(data)
    assert sentence.startswith(
        "The networks of 14 layers (plain) contain the function of plain-8, with 3.00% training"
    )
