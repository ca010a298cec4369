"""Does depth hurt plain networks, and not residual ones? The answer, with its uncertainty."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import formatting
from analysis.frames import notices, select
from analysis.verdict import best_rates, contrasts, finding, statistics
from analysis.verdict.contrasts import TOLERANCE, Contrast
from resnet_bench.streams import wrapped

ALPHA = 0.05
METHOD = (
    "Primary endpoint: training error in evaluation mode with precise batch norm, at the last"
    " iteration; differences in percentage points, paired by seed (same batches, same shared"
    " initial weights). Intervals: Student's for paired differences, at the levels of Holm's"
    f" procedure over the three, which keeps the chance of any false claim of a difference at"
    f" {ALPHA:.0%} at most."
    " degrades: the interval lies above 0, by however little; does not degrade: it does not lie"
    f" above 0, and ends below {100 * TOLERANCE:+g} points; undecided: neither. The standard"
    " deviation of the differences is taken as one image at least."
)


def holds(primary: list[Contrast]) -> bool:
    """Whether plain degrades, residual does not, and their difference is positive."""
    words = [contrast.word for contrast in primary]
    return words == ["degrades", "does not degrade", "positive"]


def as_data(frame: pd.DataFrame) -> dict[str, Any]:
    """The verdict as JSON data: errors and differences as fractions."""
    runs = select.declared(frame)
    primary = contrasts.primary(frame, ALPHA)
    return {
        "suite": runs["suite"].iloc[0],
        "datasets": runs["dataset"].unique().tolist(),
        "iterations": sorted(map(int, runs["recipe.iterations"].unique())),
        "endpoint": contrasts.ENDPOINT,
        "alpha": ALPHA,
        "tolerance": TOLERANCE,
        "holds": holds(primary),
        "primary": [_contrast_data(contrast) for contrast in primary],
        "secondary": [_contrast_data(contrast) for contrast in contrasts.secondary(frame)],
        "best_learning_rates": _best_rates_data(frame),
        "finding": finding.sentence(frame),
        "notices": notices.notices(frame),
    }


def _best_rates_data(frame: pd.DataFrame) -> dict[str, Any] | None:
    """The verdict with each network at its best learning rate; None where there is no choice."""
    if not best_rates.can_choose(frame):
        return None
    found = best_rates.primary(frame, ALPHA)
    return {
        "chosen": best_rates.best(frame).to_dict("records"),
        "holds": holds(found),
        "primary": [_contrast_data(contrast) for contrast in found],
    }


def _contrast_data(contrast: Contrast) -> dict[str, Any]:
    names = ("name", "endpoint", "primary", "seeds", "values", "lost", "resolution", "interval")
    data = {name: getattr(contrast, name) for name in (*names, "p_value", "word", "n", "mean")}
    data["lost"] = [run.text for run in contrast.lost]
    data["interval"] = contrast.interval and dataclasses.asdict(contrast.interval)
    data["word"] = contrast.word if contrast.primary else None  # secondary ones have no verdict
    if contrast.values:
        data["sign_flip_p"] = statistics.sign_flip_p_value(np.array(contrast.values))
        data["sign_flip_floor"] = statistics.sign_flip_floor(contrast.n)
    return data


def primary_rows(primary: list[Contrast]) -> list[list[str]]:
    """The table of the three primary contrasts; the first row is the header."""
    found = []
    for contrast in primary:
        word = "none" if contrast.interval is None else contrast.word
        row = {
            "contrast": contrast.name,
            "verdict": word + (" (a run diverged)" if contrast.diverged else ""),
            **_estimate(contrast),
            "p (t)": "",
            "p (sign flips)": "",
        }
        if contrast.p_value is not None:
            sign_flip = statistics.sign_flip_p_value(np.array(contrast.values))
            row |= {"p (t)": f"{contrast.p_value:.2g}", "p (sign flips)": f"{sign_flip:.2g}"}
        found.append(row)
    return formatting.table(found)


def secondary_rows(secondary: list[Contrast]) -> list[list[str]]:
    """The table of the secondary contrasts, without a verdict; the first row is the header."""
    return formatting.table(
        [
            {
                "secondary contrast": contrast.name,
                "of": select.ERRORS[contrast.endpoint],
                **_estimate(contrast),
            }
            for contrast in secondary
        ]
    )


def by_seed_rows(primary: list[Contrast]) -> list[list[str]]:
    """The primary differences of every seed in points; the first row is the header."""
    seeds = sorted({seed for contrast in primary for seed in contrast.seeds})
    found = []
    for contrast in primary:
        points = dict(zip(contrast.seeds, map(formatting.points, contrast.values), strict=True))
        of_seeds = {f"seed {seed}": points.get(seed, "") for seed in seeds}
        found.append({"difference in points": contrast.name} | of_seeds)
    return formatting.table(found)


def limits(primary: list[Contrast]) -> list[str]:
    """What tests of this number of pairs can and cannot show: a sentence or two."""
    counts = sorted({contrast.n for contrast in primary if contrast.n})
    if not counts or counts[-1] < 2:
        return [f"{'One seed carries' if counts else 'No pair of runs: there is'} no verdict."]
    n = counts[0]  # the fewest
    floor = statistics.sign_flip_floor(n)
    needed = next(pairs for pairs in range(1, 64) if statistics.sign_flip_floor(pairs) <= ALPHA / 3)
    return [
        f"n = {formatting.listed(counts, 'or')} pairs. An exact sign-flip test of {n} pairs"
        f"{' (the fewest here)' if len(counts) > 1 else ''} cannot give a one-sided p under"
        f" {floor:.3g} ({2 * floor:.3g} two-sided); to reject under Holm with three contrasts it"
        f" needs {needed} pairs or more. The t intervals assume normal differences; p (t) is"
        " two-sided, p (sign flips) one-sided: that the mean is above 0."
    ]


def lost(primary: list[Contrast]) -> list[str]:
    """The runs missing from the primary contrasts: one sentence, or none."""
    runs = contrasts.lost_runs(primary)
    return [f"Not in the primary contrasts: {', '.join(runs)}."] if runs else []


def more_seeds(frame: pd.DataFrame) -> list[str]:
    """The command that adds seeds where one seed carries no verdict: one sentence, or none."""
    if max((contrast.n for contrast in contrasts.primary(frame, ALPHA)), default=0) != 1:
        return []
    first = select.declared(frame).iloc[0]
    command = f"SUITE={first['suite']} SEEDS=3"
    command += formatting.results_setting(Path(first["directory"]).parents[2])
    return [f"For a verdict: make sweep {command} keeps finished runs and adds what is missing."]


def _estimate(contrast: Contrast) -> dict[str, str]:
    """The cells of a contrast's numbers: mean and interval in points, level in per cent."""
    interval = contrast.interval
    return {
        "n": str(contrast.n),
        "mean": "" if contrast.mean is None else formatting.points(contrast.mean),
        "interval": finding.ends(interval) if interval else "",
        "level": f"{100 * interval.level:.1f}%" if interval else "",
    }


def as_text(frame: pd.DataFrame) -> str:
    """The verdict for a terminal."""
    primary, secondary = contrasts.primary(frame, ALPHA), contrasts.secondary(frame)
    suite = select.declared(frame)["suite"].iloc[0]
    parts = [f"Verdict of {suite}, after {finding.budget(frame)}"]
    if primary:
        parts += [
            wrapped(METHOD),
            formatting.as_text(primary_rows(primary)),
            formatting.as_text(by_seed_rows(primary)),
            *map(wrapped, limits(primary) + lost(primary)),
        ]
    else:
        parts.append("No two depths are compared here, so there is no verdict.")
    if secondary:
        parts.append(
            "Secondary: for looking, not for deciding; intervals not adjusted, no verdicts.\n"
            + formatting.as_text(secondary_rows(secondary))
        )
    if best_rates.can_choose(frame):
        parts += [
            "At each network's best learning rate",
            formatting.as_text(best_rates.rows(frame)),
            formatting.as_text(primary_rows(best_rates.primary(frame, ALPHA))),
            *map(wrapped, best_rates.sentences(frame)),
        ]
    parts += map(wrapped, notices.notices(frame))
    return "\n\n".join([*parts, wrapped(finding.sentence(frame))])
