"""One page with everything: finding, verdict, figures, tables, fidelity, provenance."""

from analysis import command
from analysis.report.page import write
from analysis.results import SuiteResults


def main() -> int:
    """`python -m analysis.report SUITE` writes results/SUITE/report.html."""
    arguments = command.parser("analysis.report", __doc__).parse_args()
    runs = SuiteResults.of(arguments.results, arguments.suite)
    print(write(runs, runs.draw(), arguments.results / arguments.suite))
    return 0


if __name__ == "__main__":
    command.run(main)
