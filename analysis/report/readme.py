"""Write the numbers of the committed results into marked blocks of the READMEs."""

import re
from pathlib import Path

from analysis import formatting, load
from analysis.cures import sentences as cures_sentences
from analysis.fidelity import table6
from analysis.report import provenance
from analysis.results import SuiteResults
from analysis.verdict import finding
from resnet_bench.errors import UserError
from resnet_bench.paths import REFERENCE, ROOT
from resnet_bench.records.files import write_atomically

PAGES = (ROOT / "README.md", REFERENCE / "README.md")
BLOCK = re.compile(
    r"<!-- (finding|others|table|shares|made|says): ([\w-]+)/?([\w-]*) -->\n.*?<!-- end -->",
    re.DOTALL,
)


def filled(text: str, results: Path = REFERENCE) -> str:
    """`text` with every block rewritten: `<!-- table: digits -->` up to `<!-- end -->`.

    `shares: digits-cures` is the table of cures, `others: digits` is about the options that the
    finding leaves out, `made: digits` says how the runs were made, `made: digits/witness` the
    witnesses, and `says: digits/witness` what the figure `witness` shows. Raises UserError for a
    suite without committed results, or a figure that it does not have.
    """

    def block(match: re.Match[str]) -> str:
        what, suite, figure = match.groups()
        if not (results / suite).is_dir():
            raise UserError(f"a page names results of {suite}, but {results.name} has none")
        name = f"{suite}/{figure}" if figure else suite
        return (
            f"<!-- {what}: {name} -->\n{_body(what, results, suite, figure).strip()}\n<!-- end -->"
        )

    return BLOCK.sub(block, text)


def _body(what: str, results: Path, suite: str, figure: str) -> str:
    if what == "says":
        return SuiteResults.of(results, suite).says(figure)
    if what == "made" and figure == "witness":
        return provenance.of_witnesses(SuiteResults.of(results, suite).witnesses)
    if what == "shares":
        return formatting.as_markdown(cures_sentences.rows(SuiteResults.of(results, suite).cures))
    frame = load.runs(results / suite)
    if what == "finding":
        return finding.sentence(frame)
    if what == "others":
        return finding.of_other_options(frame)
    if what == "made":
        return provenance.sentence(frame)
    return formatting.as_markdown(table6.rows(table6.final_errors(frame)))


def main() -> None:
    """`python -m analysis.report.readme`: write both pages with their blocks filled."""
    for page in PAGES:
        write_atomically(page, filled(page.read_text(encoding="utf-8")).encode())
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
