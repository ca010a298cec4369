"""Take a suite's ended runs and witnesses into the committed results."""

from pathlib import Path

from analysis import command
from resnet_bench.errors import UserError
from resnet_bench.paths import REFERENCE
from resnet_bench.records.merge import ended_folders, take


def publish(source: Path, target: Path) -> int:
    """Copy what every ended run in the suite's folder `source` has recorded; returns their number.

    Checkpoints stay. Raises UserError if no run has ended, if something cannot be read or written,
    if a run is damaged, or if `target` has it with other contents: evidence is never replaced.
    """
    ended = ended_folders(source)
    if not ended:
        raise UserError(f"no ended run in {source}")
    for folder in ended:
        take(folder, target / folder.relative_to(source), checkpoint=False)
    return len(ended)


def main() -> int:
    """`python -m analysis.report.publish SUITE`: into results/reference/SUITE."""
    arguments = command.parser("analysis.report.publish", __doc__).parse_args()
    count = publish(arguments.results / arguments.suite, REFERENCE / arguments.suite)
    print(f"{count} ended, all in {REFERENCE / arguments.suite}")
    return 0


if __name__ == "__main__":
    command.run(main)
