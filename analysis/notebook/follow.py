"""The curves of runs that are training, redrawn in a notebook as new records come in."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import curves
from analysis.frames import select
from analysis.load import runs as load_runs
from analysis.notebook import progress
from analysis.plotting.style import as_png
from resnet_bench.errors import UserError
from resnet_bench.records.files import find_paths

Show = Callable[[Figure | str], None]  # in place of what was shown before

DPI = 100


def once(path: str | Path) -> Figure:
    """The figure of the runs at `path`; raises UserError if there is no record yet."""
    runs = _runs(Path(path))
    drawn = _drawn(Path(path), runs)
    if isinstance(drawn, str):
        raise UserError(drawn)
    if shell := _notebook():
        _have_figures_shown(shell)
    return drawn


def follow(
    path: str | Path,
    seconds: float,
    show: Show | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the runs at `path`, and again whenever they have changed; reads every `seconds`.

    Returns when all have ended, or on KeyboardInterrupt. Raises UserError where there is no
    notebook and no `show`.
    """
    show = show or _in_notebook()
    shown = None
    try:
        while True:
            runs = _runs(Path(path))
            if shown is None or not runs.equals(shown):
                show(_drawn(Path(path), runs))
            shown = runs
            if not runs.empty and runs["status"].isin(["finished", "diverged"]).all():
                return
            sleep(seconds)
    except KeyboardInterrupt:
        return


def _runs(path: Path) -> pd.DataFrame:
    """The rows as from `load.runs` of a run's folder, an experiment's or a suite's.

    Of a suite, with its missing runs. Empty while no run is there.
    """
    path = path.resolve()
    patterns = ("*/seed-*/run.json", "seed-*/run.json", "run.json")
    for suite, pattern in zip([path, *path.parents], patterns, strict=False):
        if find_paths(path, pattern):
            runs = load_runs(suite)
            if suite == path:
                return runs
            below = runs["directory"].map(lambda directory: Path(directory).is_relative_to(path))
            return runs[below & (runs["status"] != "missing")]
    return pd.DataFrame()


def _drawn(path: Path, runs: pd.DataFrame) -> Figure | str:
    """The figure of `runs`, or why there is none."""
    if runs.empty:
        return f"no run in {path.absolute()} yet"
    heading = progress.heading(runs)
    if runs["iteration"].isna().all():
        return "\n".join(heading)
    return curves.draw_runs(runs[~runs["status"].isin(select.UNREAD)], [], heading)


def _notebook() -> Any:
    """IPython's shell where a notebook's kernel runs this; None elsewhere."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = ipython.get_ipython() if ipython else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _in_notebook() -> Show:
    """Shows in one output below the running cell."""
    shell = _notebook()
    if shell is None:
        raise UserError(
            "live() redraws in a Jupyter notebook, and this is none; elsewhere"
            " live(path, until_ended=False).savefig('live.png') draws once"
        )
    _have_figures_shown(shell)
    display = import_module("IPython.display")
    output: Any = None

    def show(content: Figure | str) -> None:
        nonlocal output
        shown = display.Pretty(content) if isinstance(content, str) else content
        if output is None:
            output = display.display(shown, display_id=True)
        else:
            output.update(shown)

    return show


def _have_figures_shown(shell: Any) -> None:
    """A kernel shows figures as text until pyplot has drawn one."""
    formatter = shell.display_formatter.formatters["image/png"]
    if Figure not in formatter:
        formatter.for_type(Figure, _as_png)


def _as_png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """The picture, at twice the resolution, and its width and height in the page's pixels."""
    width, height = figure.get_size_inches()
    return as_png(figure, 2 * DPI), {"width": round(width * DPI), "height": round(height * DPI)}
