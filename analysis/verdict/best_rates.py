"""Each network at the best of the learning rates that were tried."""

import pandas as pd

from analysis import formatting
from analysis.frames import select
from analysis.verdict import contrasts, finding, samples
from analysis.verdict.contrasts import Contrast

RATE, CHOICE = "recipe.learning_rate", "validation_error"


def applies(frame: pd.DataFrame) -> bool:
    """Whether there are finished runs of one network at two learning rates."""
    return len(select.finished(at_rates(frame))[RATE].unique()) > 1


def can_choose(frame: pd.DataFrame) -> bool:
    """Whether there are several rates, and validation errors to choose by."""
    return applies(frame) and not best(frame).empty


def at_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of networks that ran at several learning rates, all else equal; first suite only.

    A further column name: the network's without the rate.
    """
    runs = frame[(frame["problem"] == "") & (frame["suite"] == frame["suite"].iloc[0])]
    only_rate = runs["changed"].str.fullmatch(r"(learning_rate=[^+]*)?")
    runs = select.varied(runs[only_rate & (runs["variant"] == "")], RATE)
    return runs.assign(name=runs["network"].str.split("+").str[0])


def best(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network: the rate with the lowest mean validation error at the last iteration.

    Columns shortcut, depth, rate, name, n (seeds), rates (number of complete ones), end ("lowest"
    or "highest" if the rate is at an end of those tried, else ""), and the means validation_error,
    precise_train_error and test_error (fractions). Only rates at which every seed of the network
    finished are compared, so that all are over the same seeds; and only those at which the shallow
    network of the same shortcut has trained: at the others depth is not what fails. Ties go to the
    lower rate.
    """
    rows: list[pd.DataFrame] = []
    for _, of_shortcut in at_rates(frame).groupby("shortcut", sort=False):
        trained = None  # rates at which the shallowest has
        for depth, of_network in of_shortcut.groupby("depth"):
            means = _means(of_network)
            means = means.assign(rates=len(means), **of_network.iloc[0][["shortcut", "name"]])
            if trained is None:
                trained = _trained(means, samples.guessing(of_network))
            compared = means[means["rate"].isin(trained)].assign(depth=depth)
            lowest = compared.sort_values(CHOICE, kind="stable").head(1)
            tried = of_network[RATE]
            ends = {tried.max(): "highest", tried.min(): "lowest"}
            rows.append(lowest.assign(end=lowest["rate"].map(ends).fillna("")))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _means(of_network: pd.DataFrame) -> pd.DataFrame:
    """Mean final errors of one network, a row a rate at which each of its seeds finished."""
    finals = select.finals(of_network)
    finals = finals.assign(finished=finals["status"] == "finished")
    all_finished = finals.groupby(RATE)["finished"].transform("sum") == finals["seed"].nunique()
    complete = finals[all_finished].groupby(RATE)
    means = complete[[CHOICE, *select.ERRORS]].mean().assign(n=complete.size())
    return means.dropna().reset_index(names="rate")


def _trained(means: pd.DataFrame, guessing: float) -> list[float]:
    """The rates at which the error is nearer, as a ratio, to the lowest than to guessing."""
    limit = (means[CHOICE].min() * guessing) ** 0.5
    return means.loc[means[CHOICE] <= limit, "rate"].tolist()


def without_best(frame: pd.DataFrame) -> list[str]:
    """The networks that have no rate at which every seed finished."""
    chosen = set(best(frame).get("name", []))
    return [name for name in at_rates(frame)["name"].unique() if name not in chosen]


def at_best(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network at its best rate."""
    runs = at_rates(frame)
    chosen = best(frame).set_index(["shortcut", "depth"])["rate"].to_dict()
    keys = zip(runs["shortcut"], runs["depth"], runs[RATE], strict=True)
    return runs[[chosen.get((shortcut, depth)) == rate for shortcut, depth, rate in keys]]


def primary(frame: pd.DataFrame) -> list[Contrast]:
    """The primary contrasts, with each network at its best rate."""
    return contrasts.primary_of(at_best(frame))


def sentences(frame: pd.DataFrame) -> list[str]:
    """The finding at each network's best rate, if one can be chosen, and the errors at all."""
    chosen = best(frame)
    if chosen.empty:
        return [_by_rate(frame)]
    rates = ", ".join(f"{row['name']} {row['rate']:g}" for row in chosen.to_dict("records"))
    tried = at_rates(frame).groupby("name")[RATE].nunique()
    for row in chosen[chosen["rates"] < chosen["name"].map(tried)].to_dict("records"):
        of_all = f"{row['rates']} of {tried[row['name']]} rates"
        rates += f"; {row['name']} among the {of_all} at which every seed finished"
    if unfinished := without_best(frame):
        rates += (
            f"; none for {formatting.listed(unfinished)}: at none of these did every seed finish"
        )
    return [
        f"After {finding.budget(frame)}, the only budget tried, with each network at its best"
        " learning rate, chosen on held-out training images among the rates at which the shallow"
        f" network trains ({rates}), {finding.of_contrasts(primary(frame))}"
        + "".join(
            f" {row['name']} may be better still: its best rate is the {row['end']} that was tried."
            for row in chosen[chosen["end"] != ""].to_dict("records")
        ),
        _by_rate(frame),
    ]


def _by_rate(frame: pd.DataFrame) -> str:
    """The final training error of every network at every rate: a sentence."""
    finals = select.finished(at_rates(frame))
    by_rate = finals.groupby(["name", RATE], sort=False)["precise_train_error"]
    means = by_rate.agg(["mean", "size"])
    seeds = finals["seed"].nunique()
    few = means["size"].map(lambda n: "" if n == seeds else f" ({formatting.counted(n, 'seed')})")
    errors = (means["mean"].map(lambda error: formatting.percent(error) + "%") + few).unstack()
    rates = sorted(errors.columns)
    errors = errors[rates].fillna("-")
    of_networks = [f"{name} {', '.join(its_errors)}" for name, its_errors in errors.iterrows()]
    return (
        f"Final training error at {', '.join(f'{rate:g}' for rate in rates)}, means over finished"
        f" runs: {'; '.join(of_networks)}."
    )


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """The table of the chosen rates: errors in per cent, means over seeds; with a header."""
    return formatting.table(
        [
            {
                "network": row["name"],
                "best rate": f"{row['rate']:g}",
                "of rates": str(row["rates"]),
                "n": str(row["n"]),
                "held-out error %": formatting.percent(row[CHOICE]),
                "train error %": formatting.percent(row[contrasts.ENDPOINT]),
                "test error %": formatting.percent(row["test_error"]),
            }
            for row in best(frame).to_dict("records")
        ]
    )
