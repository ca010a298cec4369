"""Draw everything there is to see of a suite's runs, and say what they show."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import checks, command, degradation, figure6, finding, tables
from resnet_bench.errors import UserError

FIGURES: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "figure-6": figure6.draw,
    "degradation": degradation.draw,
}


def main() -> int:
    """`python -m analysis SUITE`: figures, the table of final errors, and the finding."""
    parser = command.parser("analysis", __doc__)
    arguments = parser.parse_args()
    frame = command.runs_of(arguments)
    paths = draw_all(frame, arguments.results / arguments.suite / "figures")
    print(tables.as_text(tables.cells(tables.final_errors(frame))))
    print("Training error: evaluation mode, precise batch norm; both at the last iteration.")
    for notice in checks.notices(frame):
        print(notice)
    for path in paths:
        print(path)
    print(finding.sentence(frame))
    return 0


def draw_all(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write every figure to `folder` as PNG; returns the files. UserError if it cannot."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in FIGURES.items():
            path = folder / f"{name}.png"
            draw(frame).savefig(path, dpi=150)
            paths.append(path)
    except OSError as error:
        raise UserError(f"cannot write figures to {folder}: {error.strerror}") from error
    return paths


if __name__ == "__main__":
    command.run(main)
