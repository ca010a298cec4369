"""What a trial is, and the table of all of them."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


class FoundError(Exception):
    """Something that a user should never see."""


@dataclass
class Row:
    """One line of the table: a kind of trial, and how the trials ended."""

    what: str
    ends: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)


Trials = Iterator[tuple[str, str, str]]  # (kind, how it ended, what was found, or "")


def run_for(seconds: float, trials: Trials, table: dict[str, Row]) -> None:
    """Run trials until they end or the time is over; each is counted in its row of `table`."""
    until = time.monotonic() + seconds
    for what, end, found in trials:
        row = table.setdefault(what, Row(what))
        row.ends[end] += 1
        if found:
            row.found.append(found)
            print(f"FOUND {what}: {found}", flush=True)
        if time.monotonic() > until:
            return


def in_markdown(table: dict[str, Row]) -> str:
    """The table of results/reference/torture.md."""
    lines = ["| tried | times | how it ended | found |", "| --- | ---: | --- | --- |"]
    for row in table.values():
        ends = ", ".join(f"{count} {end}" for end, count in row.ends.most_common())
        found = f"{len(row.found)}" if row.found else "nothing"
        lines.append(f"| {row.what} | {row.ends.total()} | {ends} | {found} |")
    return "\n".join(lines)


def fresh(folder: Path, number: int) -> Path:
    """A new, empty folder for a trial."""
    place = folder / str(number)
    place.mkdir(parents=True)
    return place
