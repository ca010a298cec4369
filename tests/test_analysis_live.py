"""The live view: what it reads, says and draws of runs that others train, and when it redraws."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from analysis_results import END, Options, write_changed, write_run, write_suite
from legends import labels_of
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import analysis
from analysis import live_figure, live_view
from analysis.live_runs import LiveRun, Scene, read
from resnet_bench.errors import UserError
from resnet_bench.experiments import find_experiment
from resnet_bench.records import COLUMNS, EpochRecord

NAME = "digits/plain-56"


def write(results: Path, share: float, **options: Any) -> Path:
    """plain-56 of digits, trained to a `share` of its iterations; returns its directory."""
    odd = Options(partial={"plain-56/0": share} if share < 1 else {}, **options)
    write_run(results, find_experiment(NAME), 0, odd)
    return results / NAME / "seed-0"


def run_with(*iterations: int, **changes: Any) -> LiveRun:
    """A run with a record at each of `iterations`, 2 s and a tenth of its error after the other."""
    records = []
    for number, iteration in enumerate(iterations, 1):
        values: dict[str, Any] = dict.fromkeys(COLUMNS, number / 10)
        values |= {"epoch": 1, "iteration": iteration, "seconds": 2.0, "images_per_second": 1402.3}
        records.append(EpochRecord(**values))
    run = LiveRun(
        "digits", "plain-56", 0, "digits", 56, "none", False, 100, (50,), "partial", None,
        tuple(records),
    )  # fmt: skip
    return replace(run, **changes)


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


def data_of(figure: Figure) -> list[list[tuple[list[float], list[float]]]]:
    """(x, y) of each panel's curves, which have more than two points, unlike all else."""
    return [
        [(x, y) for x, y in map(_coordinates, axes.lines) if len(x) > 2] for axes in figure.axes
    ]


def _coordinates(line: Line2D) -> Any:
    return np.asarray(line.get_xydata()).T.tolist()


def test_losses_are_drawn_beside_errors_in_per_cent() -> None:
    run = run_with(10, 20, 30)
    last = replace(run.records[-1], train_loss=1.9, test_loss=6e7, test_error=0.9)
    figure = live_figure.draw(Scene((replace(run, records=(*run.records[:2], last)),)))
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
    figure = live_figure.draw(Scene(runs))
    for axes in figure.axes:
        assert [line.get_xdata() for line in axes.lines if line.get_marker() == "X"] == [[23]]
    assert "diverged" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_row_of_panels_for_each_kind_and_for_what_has_a_name_of_its_own(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    write_changed(tmp_path, "digits/plain-20", "recipe.learning_rate=0.1")
    figure = live_view.once(folder)
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


def test_it_is_redrawn_when_there_is_something_new_and_ends_with_the_run(tmp_path: Path) -> None:
    directory = tmp_path / NAME / "seed-0"

    def torn() -> None:
        with (directory / "epochs.csv").open("a") as file:
            file.write("9,203,0.0")

    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: write(tmp_path, 0.0),  # run.json alone
        lambda: write(tmp_path, 0.3),
        torn,
        lambda: write(tmp_path, 0.6),
        lambda: write(tmp_path, 0.5),  # killed, resumed from its checkpoint
        lambda: write(tmp_path, 1.0),
    ]

    def sleep(_: float) -> None:
        changes.pop(0)()

    shown: list[Figure | str] = []
    live_view.follow(directory, 2.0, shown.append, sleep)
    assert changes == []
    assert [content for content in shown if isinstance(content, str)] == [
        f"no run in {directory} yet",
        f"{NAME} seed 0\ntraining, iteration 0 of {END}, before its first record",
    ]
    figures = [content for content in shown if isinstance(content, Figure)]
    lasts = [data_of(figure)[0][0][0][-1] for figure in figures]
    assert len(lasts) == 4
    assert lasts[0] < lasts[2] < lasts[1] < lasts[3] == END


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    shown: list[Figure | str] = []
    live_view.follow(write(tmp_path, 0.5), 2.0, shown.append, interrupted)
    assert len(shown) == 1


def test_once_draws_what_is_there(tmp_path: Path) -> None:
    assert isinstance(analysis.live(write(tmp_path, 0.5), until_ended=False), Figure)
    with pytest.raises(UserError, match=r"no run in .*nowhere yet"):
        analysis.live(tmp_path / "nowhere", until_ended=False)


def test_outside_a_notebook_it_says_what_there_is_instead(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"notebook.*until_ended=False"):
        analysis.live(tmp_path)


class Notebook:
    """IPython, as far as a kernel shows something in it."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Any]] = []
        self.formatters: dict[type, Any] = {}
        by_format = SimpleNamespace(formatters={"image/png": self})
        self.shell = SimpleNamespace(kernel=object(), display_formatter=by_format)

    def __contains__(self, kind: type) -> bool:
        return kind in self.formatters

    def for_type(self, kind: type, formatter: Any) -> None:
        self.formatters[kind] = formatter

    def display(self, content: Any, display_id: bool) -> Any:
        assert display_id
        self.shown.append(("new", content))
        return SimpleNamespace(update=lambda content: self.shown.append(("update", content)))


def test_in_a_notebook_one_output_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_all(_: float) -> None:
        write(tmp_path, 1.0)

    notebook = Notebook()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.__dict__.update(get_ipython=lambda: notebook.shell, version_info=(9, 0, 0))
    display.__dict__.update(display=notebook.display, Pretty=str)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    live_view.follow(tmp_path / NAME / "seed-0", 2.0, sleep=write_all)
    assert [how for how, _ in notebook.shown] == ["new", "update"]
    message, figure = (content for _, content in notebook.shown)
    assert message.startswith("no run in")
    picture, page = notebook.formatters[Figure](figure)
    assert picture.startswith(b"\x89PNG")
    assert page["width"] == 880


def test_importing_it_takes_no_time_and_leaves_the_notebooks_backend() -> None:
    code = """if True:
        import sys, analysis
        assert not {"pandas", "matplotlib", "IPython", "torch"} & set(sys.modules)
        import analysis.live_view, matplotlib
        assert not {"IPython", "torch"} & set(sys.modules)
        print(matplotlib.get_backend())
    """
    environment = os.environ | {"MPLBACKEND": "svg"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "svg\n"
