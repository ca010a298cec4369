"""The curves of runs that are training, redrawn in a notebook as new records come in."""

import io
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.notebook import figure as notebook_figure
from analysis.notebook.runs import Scene, read
from resnet_bench.errors import UserError

Show = Callable[[Figure | str], None]  # in place of what was shown before

DPI = 100


def once(path: str | Path) -> Figure:
    """The runs at `path` as they stand; raises UserError if there is no record yet."""
    scene = read(Path(path))
    if not scene.begun:
        raise UserError(_waiting(Path(path), scene))
    if shell := _notebook():
        _have_figures_shown(shell)
    return notebook_figure.draw(scene)


def follow(
    path: str | Path,
    seconds: float,
    show: Show | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the runs at `path`, anew whenever a look each `seconds` finds something new.

    Returns when nothing more will come, or on KeyboardInterrupt. Raises UserError where there is
    no notebook and nothing else to `show` with.
    """
    show = show or _in_notebook()
    shown = None
    try:
        while shown is None or not shown.ended:
            scene = read(Path(path))
            if scene != shown:
                show(notebook_figure.draw(scene) if scene.begun else _waiting(Path(path), scene))
            shown = scene
            if not scene.ended:
                sleep(seconds)
    except KeyboardInterrupt:
        return


def _waiting(path: Path, scene: Scene) -> str:
    """Why there is nothing to draw."""
    if not scene.runs:
        return f"no run in {path.absolute()} yet"
    return "\n".join(scene.in_words())


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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * DPI)
    width, height = figure.get_size_inches()
    return buffer.getvalue(), {"width": round(width * DPI), "height": round(height * DPI)}
