"""Where legends stand, measured by matplotlib once they are drawn."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from analysis.plotting import layout, style
from tests.support.legends import rows_of

DEPTHS = ["20 layers", "32 layers", "44 layers", "56 layers"]
CURVES = ["training error (running)", "test error", "learning rate drops"]


def legend_of(labels: list[str], panels: int) -> Legend:
    """The legend of a figure of so many panels, drawn."""
    with style.theme():
        figure, _ = layout.panels(panels, 4, 3.4)
        layout.write_around(figure, [Line2D([], [], label=label) for label in labels], [])
        FigureCanvasAgg(figure).draw()
        return figure.legends[0]


@pytest.mark.parametrize(
    ("labels", "panels", "rows"),
    [
        (DEPTHS + CURVES, 3, [DEPTHS + CURVES]),
        ([DEPTHS[0], DEPTHS[3], *CURVES], 2, [[DEPTHS[0], DEPTHS[3], *CURVES]]),
        (DEPTHS[:3] + CURVES, 2, [DEPTHS[:3], CURVES]),
        (["20 layers", *CURVES], 1, [["20 layers", CURVES[0]], CURVES[1:]]),
        (["iiiiiiiii"] * 8, 2, [["iiiiiiiii"] * 8]),
        (["W" * 40, "W" * 40], 2, [["W" * 40], ["W" * 40]]),
    ],
)
def test_a_legend_is_read_in_rows_that_fit(
    labels: list[str], panels: int, rows: list[list[str]]
) -> None:
    legend = legend_of(labels, panels)
    assert rows_of(legend) == rows
    box, figure = legend.get_window_extent(), legend.get_figure(root=True)
    assert figure is not None
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(title.y1 < box.y0 for title in titles)


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_panels_without_a_number_of_columns_are_at_most_four_abreast(
    count: int, shape: tuple[int, int]
) -> None:
    figure, axes = layout.panels(count, 4.0, 3.6)
    grid = axes[0].get_gridspec()
    assert grid is not None
    assert (len(axes), grid.nrows, grid.ncols) == (count, *shape)
    assert tuple(figure.get_size_inches()) == (4.0 * shape[1], 3.6 * shape[0])
