"""The shares of the degradation that treatments remove, in sentences and as a table."""

import pandas as pd

from analysis import formatting
from analysis.cures.shares import Cures, Share


def sentences(frame: pd.DataFrame) -> list[str]:
    """What each treatment removes, in a sentence each, the best first."""
    cures = Cures.of(frame)
    if cures is None or not cures.shares:
        return []
    shallow, deep = (cures.errors(f"plain-{depth}") for depth in (cures.shallow, cures.deep))
    change = formatting.points(float(deep.mean() - shallow.mean()))
    start = (
        f"From {cures.shallow} to {cures.deep} layers the training error of the plain control"
        f" changes by {change} points. 95% intervals by Fieller's method, not adjusted:"
    )
    return [start, *(_sentence(share) for share in cures.shares)]


def _sentence(share: Share) -> str:
    family = "plain networks" if share.treatment.shortcut == "none" else "residual networks"
    seeds = formatting.counted(share.seeds, "seed")
    if share.diverged:
        seeds += f", {formatting.counted(share.diverged, 'run')} diverged"
    return (
        f"{share.treatment.label} ({family}) removes {share.text} of the degradation, and"
        f" {share.control_text} against the control's shallow network ({seeds}; final training"
        f" errors {formatting.percent(share.shallow_error)}% and"
        f" {formatting.percent(share.deep_error)}%)."
    )


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """The shares as a table for people, the best first; only its header without any."""
    table = [["treatment", "shortcut", "n", "shallow error %", "deep error %", "removes"]]
    table[0] += ["against control's shallow", "parameters added"]
    cures = Cures.of(frame)
    for share in cures.shares if cures else []:
        table.append(
            [
                share.treatment.label,
                share.treatment.shortcut,
                str(share.seeds),
                formatting.percent(share.shallow_error),
                formatting.percent(share.deep_error),
                share.text,
                share.control_text,
                f"{share.added_parameters:,}" if share.added_parameters else "",
            ]
        )
    return table
