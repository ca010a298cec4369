"""The shares of the degradation that treatments remove, in a sentence and as a table."""

import math

from analysis import formatting
from analysis.cures.shares import Cures
from analysis.verdict import finding


def best(cures: Cures | None) -> list[str]:
    """What the best treatment of plain networks removes, in a sentence; none without any."""
    share = cures.best if cures else None
    if cures is None or share is None:
        return []
    return [
        f"The cure {share.treatment.label} removes {finding.share(share.own)} of the degradation"
        f" from {cures.shallow} to {cures.deep} layers; with the control's {cures.shallow} layers"
        f" in place of its own, {finding.share(share.control)}."
    ]


def of_depth(cures: Cures) -> list[str]:
    """Errors of the deepest networks that the figure shows, and `best`."""
    if cures.best is None:
        return []
    ends, counts = [], []
    for label, networks in lines(cures).items():
        errors = cures.errors(networks[cures.deep])
        if len(errors):
            deviation = errors.std(ddof=1) if len(errors) > 1 else math.nan
            counts.append(len(errors))
            ends.append(f"{label} {formatting.mean_and_deviation(errors.mean(), deviation)}%")
    return [
        f"After {finding.budget(cures.frame)}, training errors at {cures.deep} layers are: "
        f"{', '.join(ends)} ({finding.seeds(min(counts), max(counts))}). {best(cures)[0]}"
    ]


def lines(cures: Cures) -> dict[str, dict[int, str]]:
    """The networks, by depth, of the control, its best cure, and the first residual option."""
    found = {"plain": cures.control.networks}
    if cures.best:
        found[f"plain with {cures.best.treatment.label}"] = cures.best.treatment.networks
    for one in cures.grid:
        if one.shortcut != "none" and len(found) < 3:
            found[f"residual ({one.label})"] = one.networks
    return found


def rows(cures: Cures | None) -> list[list[str]]:
    """The shares as a table for people, the best first; empty without any."""
    if cures is None:
        return []
    shallow, deep = cures.shallow, cures.deep
    return formatting.table(
        [
            {
                "treatment": share.treatment.label,
                "shortcut": share.treatment.shortcut,
                "n": f"{share.seeds}" + (f" ({share.diverged} diverged)" if share.diverged else ""),
                f"train error % at {shallow}": formatting.percent(share.shallow_error),
                f"at {deep}": formatting.percent(share.deep_error),
                "removes": finding.share(share.own),
                f"with the control's {shallow} layers": finding.share(share.control),
                "parameters added": f"{share.added_parameters:,}" if share.added_parameters else "",
            }
            for share in cures.shares
        ]
    )
