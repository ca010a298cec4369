"""Numbers, lists and tables as text and Markdown."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from resnet_bench.paths import RESULTS


def points(difference: float) -> str:
    """A difference of errors in percentage points: "+62.20"."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"  # + 0.0: never "-0.00"


def listed(values: Iterable[object], conjunction: str = "and") -> str:
    """ "a", "a and b" or "a, b and c" """
    *others, last = map(str, values)
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def counted(count: int, noun: str) -> str:
    """ "1 seed", "3 seeds" """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def results_setting(folder: Path) -> str:
    """The setting that make needs for results in another folder than its default, or ""."""
    return "" if folder.resolve() == RESULTS.resolve() else f" RESULTS={shlex.quote(str(folder))}"


def rounded_time(seconds: float) -> str:
    """ "36 s", "26 minutes", "3.1 hours" """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def duration(seconds: float) -> str:
    """ "1:02:03", or "2:03" under an hour"""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def percent(error: float | None) -> str:
    """ "9.80", of the fraction 0.098; "" for None or NaN"""
    return "" if error is None or pd.isna(error) else f"{100 * error:.2f}"


def percent_range(low: float, high: float) -> str:
    """ "9.0-10.0", of 0.09 and 0.1; "" if there is none"""
    return "" if pd.isna(low) else f"{100 * low:.1f}-{100 * high:.1f}"


def mean_and_deviation(mean: float, deviation: float) -> str:
    """ "9.80 ± 0.12", of fractions; without a deviation the mean alone"""
    spread = "" if pd.isna(deviation) else f" ± {100 * deviation:.2f}"
    return percent(mean) + spread


def two_digits(value: float) -> str:
    """Two significant digits: "31", "8,800,000", "0.19" or "4.7e-13"."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def setting(value: Any) -> str:
    """A value of a recipe or network: "32,000, 48,000", "none" (no values), "yes" or "0.1"."""
    if isinstance(value, tuple):
        return ", ".join(f"{part:,}" for part in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,g}" if isinstance(value, int | float) else str(value)


def table(records: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """A table for `as_text`, `as_markdown` and the report: the header, then a row a record.

    A cell that a record does not have is empty; a column without any text is left out, and without
    records the header, too.
    """
    columns = dict.fromkeys(column for record in records for column in record)
    header = [column for column in columns if any(record.get(column) for record in records)]
    rows = [[record.get(column, "") for column in header] for record in records]
    return [header, *rows] if rows else []


def as_text(rows: list[list[str]]) -> str:
    """Aligned columns for a terminal: the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        right = map(str.rjust, others, widths[1:])
        lines.append("  ".join([first.ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)


def as_markdown(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is the header."""
    header, *body = rows
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body]) + "\n"
