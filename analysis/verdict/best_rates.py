"""Learning rates compared: each network at its best one of those that were tried."""

import pandas as pd

from analysis import formatting
from analysis.frames import select
from analysis.verdict import contrasts, finding
from analysis.verdict.contrasts import Contrast

RATE, CHOICE = "recipe.learning_rate", "validation_error"


def applies(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one network at two learning rates."""
    return len(select.finished(at_rates(frame))[RATE].unique()) > 1


def can_choose(frame: pd.DataFrame) -> bool:
    """Whether there is a choice, and validation errors to make it by."""
    return applies(frame) and not best(frame).empty


def at_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """The first suite's runs of networks that ran at several learning rates, all else equal."""
    runs = frame[(frame["problem"] == "") & (frame["suite"] == frame["suite"].iloc[0])]
    only_rate = runs["changed"].str.fullmatch(r"(learning_rate=[^+]*)?")
    return select.varied(runs[only_rate & (runs["variant"] == "")], RATE)


def best(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network: the rate with the lowest mean validation error at the last iteration.

    Columns shortcut, depth, rate, name, n (seeds), rates (how many were complete), end ("lowest" or
    "highest" of all that were tried, else ""), and the means validation_error, precise_train_error
    and test_error. A rate at which any of the network's seeds diverged, has not finished yet or was
    not begun is not chosen: rates are compared over the same seeds. Of equals the lower one is.
    """
    rows = []
    for _, of_network in at_rates(frame).groupby(["shortcut", "depth"], sort=False):
        first = of_network.iloc[0]
        ended = select.finals(of_network)
        ended = ended.assign(done=ended["status"] == "finished")
        seeds = ended["seed"].nunique()
        all_done = ended.groupby(RATE)["done"].transform("sum") == seeds
        complete = ended[all_done].groupby(RATE)
        means = complete[[CHOICE, *select.ERRORS]].mean().assign(n=complete.size())
        means = means.dropna().reset_index(names="rate").assign(rates=len(means))
        means = means.assign(**first[["shortcut", "depth"]])
        means = means.assign(name=first["network"].partition("+")[0])
        lowest = means.sort_values(CHOICE, kind="stable").head(1)  # of equals the lower rate
        ends = {ended[RATE].max(): "highest", ended[RATE].min(): "lowest"}
        rows.append(lowest.assign(end=lowest["rate"].map(ends).fillna("")))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def without_best(frame: pd.DataFrame) -> list[str]:
    """The networks that have no rate at which every seed finished."""
    names = at_rates(frame)["network"].str.partition("+")[0]
    chosen = best(frame)
    return [name for name in names.unique() if chosen.empty or name not in set(chosen["name"])]


def at_best(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network at its best rate."""
    runs = at_rates(frame)
    chosen = best(frame).set_index(["shortcut", "depth"])["rate"].to_dict()
    places = zip(runs["shortcut"], runs["depth"], runs[RATE], strict=True)
    return runs[[chosen.get((shortcut, depth)) == rate for shortcut, depth, rate in places]]


def primary(frame: pd.DataFrame, alpha: float = 0.05) -> list[Contrast]:
    """The three primary contrasts, with each network at its best rate."""
    return contrasts.primary_of(at_best(frame), alpha)


def sentences(frame: pd.DataFrame) -> list[str]:
    """The finding at each network's best rate, where one can be chosen, and the errors at all."""
    chosen = best(frame)
    if chosen.empty:
        return [_by_rate(frame)]
    rates = ", ".join(f"{row['name']} {row['rate']:g}" for row in chosen.to_dict("records"))
    names = at_rates(frame)["network"].str.partition("+")[0]
    tried = at_rates(frame).groupby(names)[RATE].nunique()
    for row in chosen[chosen["rates"] < chosen["name"].map(tried)].to_dict("records"):
        of_all = f"{row['rates']} of {tried[row['name']]} rates"
        rates += f"; {row['name']} among the {of_all} at which every seed finished"
    if lost := without_best(frame):
        rates += f"; none for {' and '.join(lost)}: at none did every seed finish"
    return [
        "With each network at its best learning rate, chosen on held-out training images"
        f" ({rates}), {finding.of_contrasts(primary(frame))}"
        + "".join(
            f" {row['name']} may be better still: its best rate is the {row['end']} that was tried."
            for row in chosen[chosen["end"] != ""].to_dict("records")
        ),
        _by_rate(frame),
    ]


def _by_rate(frame: pd.DataFrame) -> str:
    """The final training error of every network at every rate: none is to be passed over."""
    ended = select.finished(at_rates(frame))
    ended = ended.assign(name=ended["network"].str.partition("+")[0])
    by_rate = ended.groupby(["name", RATE], sort=False)["precise_train_error"]
    found = by_rate.agg(["mean", "size"])
    seeds = ended["seed"].nunique()
    few = found["size"].map(lambda n: "" if n == seeds else f" ({n} seed{'s' if n > 1 else ''})")
    cells = (found["mean"].map(lambda error: formatting.percent(error) + "%") + few).unstack()
    rates = sorted(cells.columns)
    cells = cells[rates].fillna("-")
    of_networks = [f"{name} {', '.join(errors)}" for name, errors in cells.iterrows()]
    return (
        f"Final training error at {', '.join(f'{rate:g}' for rate in rates)}, means over finished"
        f" runs: {'; '.join(of_networks)}."
    )


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """The chosen rates, for people: errors in per cent, means over seeds."""
    header = ["network", "best rate", "of rates", "n", "held-out error %", "train error %"]
    rows = [[*header, "test error %"]]
    for row in best(frame).to_dict("records"):
        errors = [row[error] for error in (CHOICE, *select.ERRORS)]
        line = [row["name"], f"{row['rate']:g}", str(row["rates"]), str(row["n"])]
        rows.append(line + [formatting.percent(error) for error in errors])
    return rows
