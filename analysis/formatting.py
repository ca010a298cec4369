"""Numbers, lists and tables as text and Markdown."""

import shlex
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from resnet_bench.paths import RESULTS


def wrapped(sentence: str) -> str:
    """A sentence in lines that a terminal of 100 columns holds."""
    return textwrap.fill(sentence, 100)


def points(difference: float) -> str:
    """A difference of errors in percentage points: "+62.20"."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"  # + 0.0: never "-0.00"


def listed(words: Iterable[str]) -> str:
    """ "a", "a and b" or "a, b and c" """
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def results_setting(folder: Path) -> str:
    """What make must be told where results are not in its own folder: " RESULTS=elsewhere"."""
    return "" if folder.resolve() == RESULTS.resolve() else f" RESULTS={shlex.quote(str(folder))}"


def duration(seconds: float) -> str:
    """ "1:02:03", or "2:03" under an hour"""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def percent(error: float | None) -> str:
    """ "9.80", of 0.098; "" for none"""
    return "" if error is None or pd.isna(error) else f"{100 * error:.2f}"


def _mean(mean: float, deviation: float) -> str:
    spread = "" if pd.isna(deviation) else f" ± {100 * deviation:.2f}"
    return percent(mean) + spread


def as_text(rows: list[list[str]]) -> str:
    """Aligned columns for a terminal: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *rest = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def as_markdown(rows: list[list[str]]) -> str:
    header, *body = rows
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body]) + "\n"
