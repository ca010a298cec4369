"""A suite's records as one Parquet file with a data card, to be deposited and cited."""

from pathlib import Path

import pandas as pd

from analysis import command, formatting, load
from analysis.frames import notices
from analysis.report import provenance
from analysis.verdict import finding
from resnet_bench.datasets.definitions import ORIGINS
from resnet_bench.errors import UserError
from resnet_bench.paths import make_folder
from resnet_bench.records.files import write_atomically, writing


def deposit(results: Path, suite: str) -> list[Path]:
    """Write runs.parquet and its card README.md to `results`/`suite`/deposit; returns both.

    UserError without runs, without pyarrow, or if the folder cannot be written.
    """
    folder = results / suite
    frame = load.runs(folder)
    below = [str(Path(path).relative_to(folder)) for path in frame["directory"]]
    try:
        table = storable(frame.assign(directory=below)).to_parquet(index=False)
    except ImportError:
        raise UserError("Parquet needs the optional extra: pip install '.[deposit]'") from None
    target = folder / "deposit"
    with writing(target):
        make_folder(target)
    contents = {"runs.parquet": table, "README.md": card(frame).encode()}
    for name, data in contents.items():
        write_atomically(target / name, data)
    return [target / name for name in contents]


def storable(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with one type a column: where there are numbers and words, both as text."""
    mixed = [name for name in load.COLUMNS if frame[name].dropna().map(type).nunique() > 1]
    return frame.assign(**{column: frame[column].astype("string") for column in mixed})


def card(frame: pd.DataFrame) -> str:
    """The data card in Markdown: what it is, where it comes from, and each column."""
    columns = [
        {"column": name, "type": str(storable(frame)[name].dtype), "meaning": meaning}
        for name, meaning in load.COLUMNS.items()
    ]
    words = [
        f"# Records of the suite {frame['suite'].iloc[0]}",
        finding.sentence(frame),
        provenance.sentence(frame),
        *notices.notices(frame),
        "`runs.parquet` has one row a record (an epoch, or a part of one) and run, and one for a"
        " run without any record. Errors are fractions, times seconds. No image is in it.",
        "To cite it, cite resnet_bench at the commit above (CITATION.cff) and the data:",
        *(f"- {ORIGINS[dataset]}" for dataset in frame["dataset"].unique()),
        formatting.as_markdown(formatting.table(columns)).replace("---:", "---"),
    ]
    return "\n\n".join(words)


def main() -> int:
    """`python -m analysis.report.deposit SUITE`"""
    arguments = command.parser("analysis.report.deposit", __doc__).parse_args()
    print(*deposit(arguments.results, arguments.suite), sep="\n")
    return 0


if __name__ == "__main__":
    command.run(main)
