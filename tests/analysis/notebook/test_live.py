"""The live view: when it redraws, where it is shown, and what it does without a notebook."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure

import analysis
from analysis.notebook import follow
from resnet_bench.errors import UserError
from tests.support.live_runs import NAME, data_of, write
from tests.support.results import END


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
    follow.follow(directory, 2.0, shown.append, sleep)
    assert changes == []
    assert [content for content in shown if isinstance(content, str)] == [
        f"no run in {directory} yet",
        f"{NAME} seed 0\niteration 0 of {END}, before its first record",
    ]
    figures = [content for content in shown if isinstance(content, Figure)]
    lasts = [data_of(figure)[0][0][0][-1] for figure in figures]
    assert len(lasts) == 4
    assert lasts[0] < lasts[2] < lasts[1] < lasts[3] == END


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    shown: list[Figure | str] = []
    follow.follow(write(tmp_path, 0.5), 2.0, shown.append, interrupted)
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
    follow.follow(tmp_path / NAME / "seed-0", 2.0, sleep=write_all)
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
        import analysis.notebook.follow, matplotlib
        assert not {"IPython", "torch"} & set(sys.modules)
        print(matplotlib.get_backend())
    """
    environment = os.environ | {"MPLBACKEND": "svg"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "svg\n"
