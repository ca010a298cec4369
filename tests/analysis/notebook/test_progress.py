"""What the live view reads, says and draws of runs in training."""

import os
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import curves
from analysis.notebook import follow, progress
from analysis.plotting import style
from tests.support.legends import labels_of
from tests.support.live_runs import NAME, data_of, rows_of, write
from tests.support.results import END, Options, write_changed, write_suite


class StillOpenError(Exception):
    """The live view is about to read the runs a second time."""


def ended(path: Path) -> bool:
    """Whether the live view returns after it has read the runs once."""

    def sleep(_: float) -> None:
        raise StillOpenError

    try:
        follow.follow(path, 2.0, lambda _: None, sleep)
    except StillOpenError:
        return False
    return True


def heading_of(path: Path) -> list[str]:
    """The lines above the figure, each up to its first comma."""
    return [text.get_text().partition(",")[0] for text in follow.once(path).texts]


def test_a_run_says_how_far_it_is_and_how_long_it_will_take(tmp_path: Path) -> None:
    directory = write(tmp_path, 0.5)
    os.utime(directory / "epochs.csv", (1e9, 1e9))  # so old: it is no longer trained
    runs = rows_of(directory).assign(train_loss=0.2, train_error=0.2, test_error=0.25)
    *_, sixth_last, _, _, _, _, last = runs["iteration"]
    left = 5 * 1.5 / (last - sixth_last) * (END - last)  # five records, 1.5 s each
    name, state, latest = progress.heading(runs)
    assert name == f"{NAME} seed 0"
    assert state.startswith(
        f"iteration {last} of {END}, 1,000 images/s, about 0:{left:02.0f} left,"
        " last record 2001-09-"
    )
    epoch = runs["epoch"].iloc[-1]
    assert latest == (f"epoch {epoch}: training loss 0.2, training error 20.0%, test error 25.0%")


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Options(partial={"plain-56/0": 0.0}), f"iteration 0 of {END}, before its first record"),
        (Options(diverged={"plain-56/0": 0.0}), f"diverged at iteration 1 of {END}"),
        (Options(), f"finished at iteration {END} of {END}, 1,000 images/s"),
    ],
)
def test_other_runs_say_what_they_are(tmp_path: Path, odd: Options, words: str) -> None:
    folder = write_suite(tmp_path, "digits", odd)
    assert progress.heading(rows_of(folder / "plain-56" / "seed-0"))[1] == words


def test_runs_are_found_by_directory_experiment_and_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Options(
        seeds=(0, 1), missing=frozenset({"plain-20/1"}), partial={"plain-56/1": 0.5},
        diverged={"plain-44/0": 0.1},
    )  # fmt: skip
    folder = write_suite(tmp_path, "digits", odd)
    assert heading_of(folder / "plain-56" / "seed-1")[0] == f"{NAME} seed 1"
    assert ended(folder / "plain-56" / "seed-0")
    assert heading_of(folder / "plain-56") == [
        f"{NAME}: 1 finished", f"plain-56 seed 1: iteration {END // 2} of {END}",
    ]  # fmt: skip
    assert not ended(folder / "plain-56")
    assert ended(folder / "plain-20")  # seed 1 is not there
    at = f"plain-44 seed 0: diverged at iteration {END // 10 + 1} of {END}"
    assert [text.get_text() for text in follow.once(folder).texts][:2] == [
        "digits: 21 finished, 1 diverged, 1 partial, 1 missing", f"{at}, 1,000 images/s",
    ]  # fmt: skip
    monkeypatch.chdir(folder / "plain-56")
    assert heading_of(Path("seed-1"))[0] == f"{NAME} seed 1"
    assert heading_of(Path())[0] == f"{NAME}: 1 finished"


def test_a_suite_has_ended_only_when_all_it_declares_has(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits", Options(missing=frozenset({"resnet-56-B/0"})))
    assert not ended(folder)
    write_suite(tmp_path, "digits")
    assert ended(folder)


def test_at_most_six_runs_have_a_line_each(tmp_path: Path) -> None:
    odd = Options(seeds=tuple(range(8)), partial={f"plain-56/{seed}": 0.5 for seed in range(8)})
    folder = write_suite(tmp_path, "digits", odd)
    lines = heading_of(folder / "plain-56")
    assert len(lines) == 7
    assert lines[-1] == "and 3 more"


def test_losses_are_drawn_beside_errors_in_per_cent(tmp_path: Path) -> None:
    runs = rows_of(write(tmp_path, 0.5)).copy()
    last = runs.index[-1]
    runs.loc[last, ["train_loss", "test_loss", "test_error"]] = (1.9, 6e7, 0.9)
    figure = curves.draw_runs(runs, ["A note."], ["A heading."])
    (train_error, test_error), (train_loss, test_loss) = data_of(figure)
    for line, column, scale in (
        (train_loss, "train_loss", 1),
        (test_loss, "test_loss", 1),
        (train_error, "train_error", 100),
        (test_error, "test_error", 100),
    ):
        assert line[0] == runs["iteration"].to_list()
        np.testing.assert_allclose(line[1], scale * runs[column])
    errors, losses = figure.axes
    assert losses.get_ylim()[1] == pytest.approx(2 * 2.302585)  # of guessing among ten
    assert errors.get_ylim()[1] > 90
    assert losses.get_xlim() == (0, END)
    assert figure.texts[0].get_text() == "A heading."
    assert figure.get_supxlabel() == "Test losses of up to 6e+07 are above the axis.\nA note."


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_cross_shows_where_a_run_diverged(tmp_path: Path, share: float) -> None:
    odd = Options(seeds=(0, 1), diverged={"plain-56/0": share})
    folder = write_suite(tmp_path, "digits", odd)
    figure = follow.once(folder / "plain-56")
    for axes in figure.axes:
        crosses = [line.get_xdata() for line in axes.lines if line.get_marker() == "X"]
        assert crosses == [[int(share * END) + 1]]
    assert "diverged" in labels_of(figure)


def test_a_row_of_panels_for_each_kind_and_for_what_has_a_name_of_its_own(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "digits")
    write_changed(tmp_path, "digits/plain-20", "recipe.learning_rate=0.1")
    figure = follow.once(folder)
    length = f"digits, {END} iterations"
    kinds = ("plain", "residual, option A", "residual, option B")
    assert [axes.get_title() for axes in figure.axes[::2]] == [
        *(f"{kind}: {length}" for kind in kinds), length,
    ]  # fmt: skip
    assert labels_of(figure)[:5] == [
        "20 layers", "32 layers", "44 layers", "56 layers", "plain-20+learning_rate=0.1",
    ]  # fmt: skip
    colours = [line.get_color() for line in figure.legends[0].get_lines()]
    assert len({colour for colour in colours if colour != style.INK}) == 6  # drops are grey
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_the_lines_above_a_figure_are_inside_it(tmp_path: Path) -> None:
    runs = rows_of(write(tmp_path, 0.5))
    heading = [
        "digits",
        f"resnet-56-A-preactivation seed 0: {progress.state(runs)}" + 10 * " words",
    ]
    figure = curves.draw_runs(runs, [], heading)
    figure.draw_without_rendering()
    for text in figure.texts:
        assert text.get_window_extent().x1 <= figure.bbox.width
