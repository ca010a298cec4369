"""Check that runs are as declared and matched, and compare them with the paper."""

import pandas as pd

from analysis import command, formatting
from analysis.fidelity import checks, deviations, table6
from analysis.frames import notices, select


def as_text(frame: pd.DataFrame, found: list[checks.Check]) -> str:
    """The fidelity report for a terminal."""
    finals = select.finals(frame)
    suite = select.declared(finals)["suite"].iloc[0]
    lines = [f"Fidelity of {suite}", ""]
    lines += [f"{check.state:>12}  {check.what}: {check.found}" for check in found]
    for title, sentences in (
        ("Deviations from the paper, by the recipe", deviations.from_paper(finals)),
        ("Left open by the paper, settled by the recipe", deviations.open_points(finals)),
        ("To know about the runs", notices.notices(finals)),
    ):
        if sentences:
            lines += ["", title, *(f"  - {sentence}" for sentence in sentences)]
    if any(check.what == "final test errors" and check.state != "not compared" for check in found):
        lines += ["", formatting.as_text(table6.reference_rows(table6.final_errors(frame)))]
    off = [check.what for check in found if check.state == "off"]
    return "\n".join([*lines, "", f"Off: {', '.join(off)}." if off else "Nothing is off."])


def main() -> int:
    """`python -m analysis.verify SUITE`; exit code 1 if anything is off."""
    arguments = command.parser("analysis.verify", __doc__).parse_args()
    frame = command.runs_of(arguments)
    found = checks.all_checks(frame)
    print(as_text(frame, found))
    return int(any(check.state == "off" for check in found))


if __name__ == "__main__":
    command.run(main)
