"""Keep README's numbers what the committed results say: fills its marked blocks from the CSVs."""

import re
from pathlib import Path

from analysis import finding, load, tables
from resnet_bench.errors import UserError
from resnet_bench.records import write_atomically

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results" / "reference"
BLOCK = re.compile(r"<!-- (finding|table): ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str, results: Path = REFERENCE) -> str:
    """`text` with every block made anew: `<!-- table: digits -->` up to `<!-- end -->`.

    Raises UserError where a block names a suite without committed results.
    """

    def block(match: re.Match[str]) -> str:
        what, suite = match[1], match[2]
        if not (results / suite).is_dir():
            raise UserError(f"README names results of {suite}, but {results.name} has none")
        frame = load.runs(results / suite)
        if what == "finding":
            body = finding.sentence(frame)
        else:
            body = tables.as_markdown(tables.cells(tables.final_errors(frame)))
        return f"<!-- {what}: {suite} -->\n{body.strip()}\n<!-- end -->"

    return BLOCK.sub(block, text)


def main() -> None:
    """`python -m analysis.readme`: write README.md with its blocks filled."""
    path = ROOT / "README.md"
    write_atomically(path, filled(path.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()
