"""Figures, tables and verdict from the CSVs that runs leave behind; reads results, never torch.

In a notebook: `from analysis import load; frame = load.runs("results/digits")`, and, while a run
is training, `import analysis; analysis.live("results/digits/plain-56/seed-0")`.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import resnet_bench  # noqa: F401 - a Ctrl-C while the others are imported is no traceback

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A notebook's kernel hands its backend down to the commands below it, whose environment may lack
# it: matplotlib could not be imported. Pictures in files need none.
_kind, _, _backend = os.environ.get("MPLBACKEND", "").partition("://")
if _kind == "module" and find_spec(_backend.partition(".")[0]) is None:
    del os.environ["MPLBACKEND"]


def live(path: str | Path, seconds: float = 2.0, until_ended: bool = True) -> "Figure | None":
    """Redraw the curves of a run in a notebook, in place, while another process trains it.

    Running training errors and test errors, and the losses, by iteration; above them the iteration
    of the run, its speed and the training time that is left. `path` is the folder of a run, of an
    experiment or of a suite. It is read every `seconds`, also before a run has begun. Ends when all
    runs there have ended, or when the cell is interrupted. With `until_ended=False` it draws once,
    anywhere, and returns the figure.

    Raises UserError outside a notebook, or, drawing once, if there is no record yet.
    """
    from analysis.notebook import follow  # here, so that `import analysis` is fast

    if not until_ended:
        return follow.once(path)
    follow.follow(path, seconds)
    return None
