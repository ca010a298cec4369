"""Take a suite's ended runs and witnesses into the committed results."""

from pathlib import Path

from analysis import command
from resnet_bench.errors import UserError
from resnet_bench.paths import REFERENCE, make_folder
from resnet_bench.records.files import find_paths, write_atomically, writing

FOLDERS = ("*/seed-*", "witness/*/seed-*", "witness/*/seed-*/learning_rate=*")
ENDED = ("summary.json", "witness.json")
FILES = ("run.json", "epochs.csv", "layers.csv", *ENDED)


def publish(source: Path, target: Path) -> int:
    """Copy what every ended run in the suite's folder `source` has recorded; returns their number.

    Follows links. Raises UserError if something cannot be read or written, or if no run has ended.
    """
    ended = [
        folder
        for pattern in FOLDERS
        for folder in find_paths(source, pattern)
        if any(find_paths(folder, name) for name in ENDED)
    ]
    if not ended:
        raise UserError(f"no ended run in {source}")
    for folder in ended:
        copy = target / folder.relative_to(source)
        with writing(copy):
            make_folder(copy)
        for path in (path for name in FILES for path in find_paths(folder, name)):
            try:
                contents = path.read_bytes()
            except OSError as error:
                raise UserError(f"{path}: cannot be read: {error.strerror}") from error
            write_atomically(copy / path.name, contents)
    return len(ended)


def main() -> int:
    """`python -m analysis.report.publish SUITE`: into results/reference/SUITE."""
    arguments = command.parser("analysis.report.publish", __doc__).parse_args()
    count = publish(arguments.results / arguments.suite, REFERENCE / arguments.suite)
    print(f"{count} taken into {REFERENCE / arguments.suite}")
    return 0


if __name__ == "__main__":
    command.run(main)
