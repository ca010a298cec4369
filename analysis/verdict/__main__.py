"""Does depth hurt plain networks, and not residual ones? The answer, with its uncertainty."""

import json

from analysis import command as analysis_command
from analysis.frames import select
from analysis.verdict import contrasts
from analysis.verdict.verdict import as_data, as_text, holds


def main() -> int:
    """`python -m analysis.verdict SUITE [--check] [--json]`."""
    parser = analysis_command.parser("analysis.verdict", __doc__)
    parser.add_argument("--json", action="store_true", help="for machines; errors as fractions")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit 1 unless plain networks degrade and residual ones do not",
    )
    arguments = parser.parse_args()
    frame = select.finals(analysis_command.runs_of(arguments))
    print(json.dumps(as_data(frame), indent=2) if arguments.json else as_text(frame))
    return 0 if not arguments.check or holds(contrasts.primary(frame)) else 1


if __name__ == "__main__":
    analysis_command.run(main)
