"""Draw all figures of a suite's runs, write tables and report, and print the finding."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from analysis import command, formatting
from analysis.cures import sentences as cures_sentences
from analysis.fidelity import table6
from analysis.plotting.figure_spec import FigureSpec
from analysis.plotting.style import as_png
from analysis.report import page
from analysis.results import SuiteResults
from analysis.verdict import finding, verdict
from resnet_bench.paths import make_folder
from resnet_bench.records.files import write_atomically, writing
from resnet_bench.streams import wrapped


def main() -> int:
    """`python -m analysis SUITE`: figures, tables, report; then final errors and the finding."""
    parser = command.parser("analysis", __doc__)
    parser.add_argument("--every-seed", action="store_true", help="figure 6 with a line a seed")
    arguments = parser.parse_args()
    runs = SuiteResults.of(arguments.results, arguments.suite)
    folder = arguments.results / arguments.suite
    figures = runs.draw(arguments.every_seed)
    paths = [
        *save(figures, folder / "figures"),
        *write_tables(runs, folder / "tables"),
        page.write(runs, figures, folder),
    ]
    print(formatting.as_text(table6.rows(table6.final_errors(runs.frame))))
    print("Training error: evaluation mode, precise batch norm; both at the last iteration.")
    if runs.cures:
        print(formatting.as_text(cures_sentences.rows(runs.cures)))
    for notice in runs.notices():
        print(wrapped(notice))
    for path in paths:
        print(path)
    found = [finding.sentence(runs.finals), *cures_sentences.best(runs.cures)]
    print(*map(wrapped, [*runs.sentences(), *found]), *verdict.more_seeds(runs.finals), sep="\n")
    return 0


def save(figures: list[tuple[FigureSpec, Figure]], folder: Path) -> list[Path]:
    """Write figures to `folder` as PNG; returns the files."""
    return write(
        folder,
        {f"{figure_spec.name}.png": as_png(figure, 150) for figure_spec, figure in figures},
    )


def write_tables(runs: SuiteResults, folder: Path) -> list[Path]:
    """Write table 6 as CSV (fractions), Markdown and HTML, and the verdict as JSON."""
    table = table6.final_errors(runs.frame)
    contents = {
        "table-6.csv": table.to_csv(index=False),
        "table-6.md": formatting.as_markdown(table6.rows(table)),
        "table-6.html": page.table(table6.rows(table)),
        "verdict.json": json.dumps(verdict.as_data(runs.finals), indent=2) + "\n",
    }
    return write(folder, {name: text.encode() for name, text in contents.items()})


def write(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files to `folder`, by name; returns them. UserError if it cannot."""
    with writing(folder):
        make_folder(folder)
    for name, data in contents.items():
        write_atomically(folder / name, data)
    return [folder / name for name in contents]


if __name__ == "__main__":
    command.run(main)
