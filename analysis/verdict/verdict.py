"""Does depth hurt plain networks, and not residual ones? The answer, with its uncertainty."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import formatting
from analysis.frames import notices, select
from analysis.verdict import best_rates, contrasts, finding
from analysis.verdict.contrasts import LEVEL, Contrast
from analysis.verdict.words import TENTH, TOLERANCE
from resnet_bench.streams import wrapped

METHOD = (
    "Primary endpoint: training error in evaluation mode with precise batch norm, at the last"
    " iteration; differences of means in percentage points. A diverged run counts with the error"
    " of guessing; where only some do, an interval tells the direction and not the size."
    " Intervals: Welch's, each at"
    f" {LEVEL:.1%}, so that both verdicts hold together with 95%."
    f" The margin is {100 * TOLERANCE:g} points or {TENTH:.0%} of what plain networks lose, if that"
    " is more. degrades: the interval lies above the margin; rises: above 0 and below the margin;"
    " does not degrade: it includes 0 or less and ends below the margin; undecided: none of these."
    " removes: the share of plain's degradation that residual networks do not have, with Fieller's"
    " interval. A network's standard deviation is taken as one image at least."
)


def holds(primary: list[Contrast]) -> bool:
    """Whether plain networks degrade and residual ones do not."""
    return [contrast.word for contrast in primary] == ["degrades", "does not degrade"]


def as_data(frame: pd.DataFrame) -> dict[str, Any]:
    """The verdict as JSON data: errors and differences as fractions."""
    runs = select.declared(frame)
    primary = contrasts.primary(frame)
    return {
        "suite": runs["suite"].iloc[0],
        "datasets": runs["dataset"].unique().tolist(),
        "iterations": sorted(map(int, runs["recipe.iterations"].unique())),
        "endpoint": contrasts.ENDPOINT,
        "margin": {"points": TOLERANCE, "of_plain": TENTH},
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
    found = best_rates.primary(frame)
    return {
        "chosen": best_rates.best(frame).to_dict("records"),
        "holds": holds(found),
        "primary": [_contrast_data(contrast) for contrast in found],
    }


def _contrast_data(contrast: Contrast) -> dict[str, Any]:
    names = ("name", "endpoint", "mean", "word")
    data = {name: getattr(contrast, name) for name in names}
    data["errors"] = {
        network: {"finished": sample.finished, "diverged": sample.diverged}
        for network, sample in contrast.samples.items()
    }
    data["lost"] = [run.text for run in contrast.lost]
    for name in ("interval", "removed"):
        interval = getattr(contrast, name)
        data[name] = interval and dataclasses.asdict(interval)
    return data


def primary_rows(primary: list[Contrast]) -> list[list[str]]:
    """The table of the primary contrasts; the first row is the header."""
    return formatting.table(
        [
            {
                "contrast": contrast.name,
                "verdict": (contrast.word or "") if contrast.interval else "none",
                **_estimate(contrast),
                "diverged": str(sum(len(sample.diverged) for sample in contrast.samples.values())),
                "removes": finding.share(contrast.removed) if contrast.removed else "",
            }
            for contrast in primary
        ]
    )


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
    """The final training errors behind the contrasts; the first row is the header."""
    samples = {network: one for contrast in primary for network, one in contrast.samples.items()}
    cells = {
        network: {seed: formatting.percent(error) for seed, error in sample.finished.items()}
        | dict.fromkeys(sample.diverged, "diverged")
        for network, sample in samples.items()
    }
    seeds = sorted({seed for of_network in cells.values() for seed in of_network})
    return formatting.table(
        [
            {"train error %": network} | {f"seed {seed}": found.get(seed, "") for seed in seeds}
            for network, found in cells.items()
        ]
    )


def limits(frame: pd.DataFrame) -> list[str]:
    """What these runs cannot show, and why their seeds are not paired: a sentence each."""
    counts = [contrast.counts[0] for contrast in contrasts.primary(frame)]
    found = []
    if max(counts, default=0) < 2:
        found.append("One seed carries no verdict." if any(counts) else "No pair of runs yet.")
    finals = select.finished(select.grid_networks(frame))
    errors = finals.pivot(index="seed", columns="network", values=contrasts.ENDPOINT)
    pairs = errors.corr(min_periods=3).to_numpy()[np.triu_indices(errors.shape[1], 1)]
    if (known := np.isfinite(pairs)).any():
        found.append(
            f"Over seeds the final errors of two networks have a correlation of"
            f" {pairs[known].mean():+.2f}, mean of {known.sum()} pairs of networks: runs are"
            " matched by seed, but not paired in the statistics."
        )
    return found


def lost(primary: list[Contrast]) -> list[str]:
    """The runs missing from the primary contrasts: one sentence, or none."""
    runs = contrasts.lost_runs(primary)
    return [f"Not in the primary contrasts: {', '.join(runs)}."] if runs else []


def more_seeds(frame: pd.DataFrame) -> list[str]:
    """The command that adds seeds where one seed carries no verdict: one sentence, or none."""
    if max((one.counts[0] for one in contrasts.primary(frame)), default=0) != 1:
        return []
    first = select.declared(frame).iloc[0]
    command = f"SUITE={first['suite']} SEEDS=3"
    command += formatting.results_setting(Path(first["directory"]).parents[2])
    return [f"For a verdict: make sweep {command} keeps finished runs and adds what is missing."]


def _estimate(contrast: Contrast) -> dict[str, str]:
    """The cells of a contrast's numbers: mean and interval in points, level in per cent."""
    interval = contrast.interval
    return {
        "n": " to ".join(map(str, sorted(set(contrast.counts)))),
        "mean": "" if contrast.mean is None else formatting.points(contrast.mean),
        "interval": finding.ends(interval) if interval else "",
        "level": f"{100 * interval.level:.1f}%" if interval else "",
    }


def as_text(frame: pd.DataFrame) -> str:
    """The verdict for a terminal."""
    primary, secondary = contrasts.primary(frame), contrasts.secondary(frame)
    suite = select.declared(frame)["suite"].iloc[0]
    parts = [f"Verdict of {suite}, after {finding.budget(frame)}"]
    if primary:
        parts += [
            wrapped(METHOD),
            formatting.as_text(primary_rows(primary)),
            formatting.as_text(by_seed_rows(primary)),
            *map(wrapped, limits(frame) + lost(primary)),
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
            formatting.as_text(primary_rows(best_rates.primary(frame))),
            *map(wrapped, best_rates.sentences(frame)),
        ]
    parts += map(wrapped, notices.notices(frame))
    return "\n\n".join([*parts, wrapped(finding.sentence(frame))])
