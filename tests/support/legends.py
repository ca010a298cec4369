"""A figure's legend as it is read."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend


def rows_of(legend: Legend) -> list[list[str]]:
    """The labels of a legend that is drawn, row by row."""
    rows: dict[int, list[tuple[float, str]]] = {}
    for text in legend.get_texts():
        box = text.get_window_extent()
        rows.setdefault(-round(box.y0 / 5), []).append((box.x0, text.get_text()))
    return [[label for _, label in sorted(rows[y])] for y in sorted(rows)]


def labels_of(figure: Figure) -> list[str]:
    """The labels of a figure's legend in the order in which they are read."""
    FigureCanvasAgg(figure).draw()
    return [label for row in rows_of(figure.legends[0]) for label in row]
