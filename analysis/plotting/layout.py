"""The places of panels, legend and notes in inches; panels are equally large in all figures."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from analysis.frames import notices
from analysis.plotting.style import INK, MUTED
from analysis.verdict import finding

# Inches around a panel, at the sizes of type below: tick labels and the axis' name to the left,
# the title above, tick labels and the axis' name below; to the right half a label of four digits.
LEFT, RIGHT, TITLE, FOOT = 0.76, 0.24, 0.32, 0.56
LEGEND_LINE = 0.22  # height of a line
LEGEND_LOOK = 0.58  # width of an entry's line and gaps beside its label
LETTER, NOTE_LINE = 0.075, 0.165  # of the notes below: a letter's width, a line's height
HEADING_LETTER, HEADING_LINE = 0.077, 0.22


def panels(
    count: int, width: float, height: float, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of width x height inches, in `columns` (up to four if None).

    Call `finish` when they are drawn: it adds legend and notes, and makes room for them.
    """
    columns = min(columns or math.ceil(count / math.ceil(count / 4)), count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def finish(
    figure: Figure, handles: list[Line2D], frame: pd.DataFrame, notes: Sequence[str] = ()
) -> None:
    """Add a legend, the data set and iterations of `frame`, `notes`, and what its runs lack.

    How runs were made is not said here: the report has room for it.
    """
    write_around(figure, handles, [*notes, *notices.of_runs(frame)], [finding.budget(frame)])


def write_around(
    figure: Figure, handles: list[Line2D], sentences: list[str], heading: Sequence[str] = ()
) -> None:
    """Add the `heading` lines, a legend above the panels and `sentences` as notes below them.

    The figure grows by their height, so that panels are equally large in every figure. Places are
    set in inches: matplotlib's own layout engines take as long as all the drawing.
    """
    width, height = figure.get_size_inches()
    columns = _legend_columns(handles, width)
    # matplotlib fills a legend column by column; this order reads row by row.
    by_column = [handle for column in range(columns) for handle in handles[column::columns]]
    letters = int(width / LETTER)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, letters)]
    letters = int(width / HEADING_LETTER)
    heading = [line for words in heading for line in textwrap.wrap(words, letters)]
    head = HEADING_LINE * len(heading)
    above = head + LEGEND_LINE * math.ceil(len(handles) / columns) + 0.12
    below = NOTE_LINE * len(lines) + (0.08 if lines else 0)
    total = height + above + below
    figure.set_size_inches(width, total)
    _place_panels(figure, width, height, above, below)
    figure.legend(
        handles=by_column, loc="upper center", bbox_to_anchor=(0.5, 1 - (0.1 + head) / total),
        ncols=columns, columnspacing=1.4, handlelength=2.4, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    for number, line in enumerate(heading):
        y = 1 - (0.08 + HEADING_LINE * number) / total
        size, colour = (10.5, INK) if number == 0 else (9, MUTED)
        figure.text(0.12 / width, y, line, va="top", fontsize=size, color=colour)
    if lines:
        y = (below - 0.02) / total
        look: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 8.5, "color": MUTED}
        figure.supxlabel("\n".join(lines), x=0.12 / width, y=y, linespacing=1.25, **look)


def _legend_columns(handles: list[Line2D], width: float) -> int:
    """The number of columns of a legend in the fewest rows that fit in `width` inches."""
    for rows in range(1, len(handles)):
        columns = math.ceil(len(handles) / rows)
        if _legend_width(handles, columns) <= width:
            return columns
    return 1


def _legend_width(handles: list[Line2D], columns: int) -> float:
    """The width in inches of a legend in `columns`, each as wide as its longest label."""
    font = FontProperties(size=mpl.rcParams["legend.fontsize"])
    widths = [
        text_to_path.get_text_width_height_descent(str(handle.get_label()), font, ismath=False)[0]
        for handle in handles
    ]
    points = sum(max(widths[column::columns]) for column in range(columns))
    return LEGEND_LOOK * columns + points / 72


def _place_panels(figure: Figure, width: float, height: float, above: float, below: float) -> None:
    """Panels `height` inches high in all, with room for titles, ticks and labels around each."""
    grid = figure.axes[0].get_gridspec()
    assert grid is not None  # `panels` made a grid
    rows, columns = grid.nrows, grid.ncols
    panel_width = (width - LEFT - RIGHT) / columns - (LEFT * (columns - 1)) / columns
    panel_height = height / rows - TITLE - FOOT
    total = height + above + below
    figure.subplots_adjust(
        left=LEFT / width,
        right=1 - RIGHT / width,
        bottom=(below + FOOT) / total,
        top=1 - (above + TITLE) / total,
        wspace=LEFT / panel_width,
        hspace=(TITLE + FOOT) / panel_height,
    )
