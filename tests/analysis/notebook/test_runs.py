"""What the live view reads, says and draws of runs that others train."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.notebook import figure as notebook_figure
from analysis.notebook import follow
from analysis.notebook.runs import Scene, read
from tests.support.legends import labels_of
from tests.support.live_runs import NAME, data_of, run_with, write
from tests.support.results import END, Options, write_changed, write_suite


def test_a_run_says_how_far_it_is_and_how_long_it_will_take() -> None:
    assert run_with(5, 10, 20, 30, 40, 50).state() == (
        "training, iteration 50 of 100, 1,402 images/s, about 0:11 of training left"
    )  # five records from 5 to 50 took 10 s; 50 iterations more take 11.1
    assert run_with(10, 20).latest() == (
        "epoch 1: training loss 0.2, training error 20.0%, test error 20.0%"
    )
    assert run_with().state() == "training, iteration 0 of 100, before its first record"
    diverged = run_with(10, status="diverged", ended_at=17)
    assert diverged.state() == "diverged at iteration 17 of 100, 1,402 images/s"
    assert Scene((diverged,)).ended


def test_runs_are_found_by_directory_experiment_and_suite(tmp_path: Path) -> None:
    odd = Options(
        seeds=(0, 1), missing=frozenset({"plain-20/1"}), partial={"plain-56/1": 0.5},
        diverged={"plain-44/0": 0.0},
    )  # fmt: skip
    folder = write_suite(tmp_path, "digits", odd)
    assert [run.name for run in read(folder / "plain-56" / "seed-1").runs] == [f"{NAME} seed 1"]
    assert read(folder / "plain-56" / "seed-0").ended
    seeds = read(folder / "plain-56")
    assert [run.seed for run in seeds.runs] == [0, 1]
    assert not seeds.ended
    suite = read(folder)
    assert (len(suite.runs), suite.to_come) == (23, 1)
    assert suite.in_words()[0] == "digits: 21 finished, 1 diverged, 1 in training, 1 not begun"
    assert [line.partition(",")[0] for line in suite.in_words()[1:]] == [
        f"plain-44 seed 0: diverged at iteration 1 of {END}",
        "plain-56 seed 1: training",
    ]
    assert read(tmp_path / "nowhere") == Scene(())


def test_a_suite_has_ended_only_when_all_it_declares_has(tmp_path: Path) -> None:
    write_changed(tmp_path, "digits/plain-20", "recipe.learning_rate=0.1")
    assert not read(tmp_path / "digits").ended
    folder = write_suite(tmp_path, "digits", Options(missing=frozenset({"resnet-56-B/0"})))
    assert not read(folder).ended
    write_suite(tmp_path, "digits")
    assert read(folder).ended


def test_a_torn_line_is_no_record_and_a_run_that_is_not_written_is_quiet(tmp_path: Path) -> None:
    directory = write(tmp_path, 0.5)
    before = read(directory)
    assert before.runs[0].training
    with (directory / "epochs.csv").open("a") as file:
        file.write("9,203,0.0")
    assert read(directory) == before
    for name in ("run.json", "epochs.csv"):
        os.utime(directory / name, (1e9, 1e9))
    (quiet,) = read(directory).runs
    assert not quiet.training
    assert "2001" in quiet.state()
    assert read(directory).in_words()[1].startswith("quiet, ")


def test_losses_are_drawn_beside_errors_in_per_cent() -> None:
    run = run_with(10, 20, 30)
    last = replace(run.records[-1], train_loss=1.9, test_loss=6e7, test_error=0.9)
    figure = notebook_figure.draw(Scene((replace(run, records=(*run.records[:2], last)),)))
    (train_loss, test_loss), (train_error, test_error) = data_of(figure)
    assert train_loss == ([10, 20, 30], [0.1, 0.2, 1.9])
    assert test_loss == ([10, 20, 30], [0.1, 0.2, 6e7])
    assert train_error[1] == pytest.approx([10, 20, 30])
    assert test_error[1] == pytest.approx([10, 20, 90])
    losses, errors = figure.axes
    assert losses.get_ylim()[1] == pytest.approx(2 * 2.302585)  # of guessing among ten
    assert errors.get_ylim()[1] > 90
    assert losses.get_xlim() == (0, 100)
    words = [text.get_text() for text in figure.texts]
    assert "digits/plain-56 seed 0" in words
    assert figure.get_supxlabel() == "Test losses of up to 6e+07 are above the axis."


def test_a_cross_shows_where_a_run_diverged() -> None:
    runs = (run_with(10, 20, status="diverged", ended_at=23), run_with(seed=1))
    figure = notebook_figure.draw(Scene(runs))
    for axes in figure.axes:
        assert [line.get_xdata() for line in axes.lines if line.get_marker() == "X"] == [[23]]
    assert "diverged" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_row_of_panels_for_each_kind_and_for_what_has_a_name_of_its_own(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    write_changed(tmp_path, "digits/plain-20", "recipe.learning_rate=0.1")
    figure = follow.once(folder)
    assert [axes.get_title() for axes in figure.axes[::2]] == [
        "plain", "residual, option A", "residual, option B", f"digits, {END} iterations",
    ]  # fmt: skip
    assert labels_of(figure)[:5] == [
        "20 layers", "32 layers", "44 layers", "56 layers", "plain-20+learning_rate=0.1",
    ]  # fmt: skip
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
