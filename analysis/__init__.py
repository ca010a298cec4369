"""Figures, tables and verdict from the CSVs of runs; does not import torch.

In a notebook: `from analysis import load; frame = load.runs("results/digits")`, and, while a run
is training, `import analysis; analysis.live("results/digits/plain-56/seed-0")`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def live(path: str | Path, seconds: float = 2.0, until_ended: bool = True) -> "Figure | None":
    """Redraw the curves of a run in a notebook, in place, while another process trains it.

    Training loss (running) and test loss, and the errors, by iteration; above them the run's
    progress, speed and remaining training time. `path` is a run's directory, an experiment's with
    its seeds, or a suite's; it may not exist yet. It is read every `seconds`, until all its runs
    have ended or the cell is interrupted. With `until_ended=False` it is drawn once, outside a
    notebook too, and the figure is returned.

    Raises UserError outside a notebook, or, drawing once, if there is no record yet.
    """
    from analysis.notebook import follow  # here, so that importing the package takes no time

    if not until_ended:
        return follow.once(path)
    follow.follow(path, seconds)
    return None
