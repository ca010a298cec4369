"""What suites say to expect, in the comment that their reports quote: what came out, in words."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.cures.shares import Cures
from analysis.frames import layers, select
from analysis.frames.layers import Layers
from analysis.report import provenance
from analysis.results import SuiteResults
from analysis.signals import shattered
from resnet_bench.suites.suite import load_suite

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@functools.cache
def finals(suite: str) -> pd.DataFrame:
    return select.finals(SuiteResults.of(REFERENCE, suite).frame)


def errors(suite: str, network: str, rate: float | None = None) -> pd.Series:
    """Final training errors in per cent, a row a seed; at the suite's own learning rate."""
    ended = finals(suite)
    name = network.replace("ResNet", "resnet")
    if rate is not None and rate != load_suite(suite).experiments[0].recipe.learning_rate:
        name += f"+learning_rate={rate}"
    found = 100 * ended.loc[ended["network"] == name, "precise_train_error"]
    assert len(found) >= 3, name
    return found


def mean(suite: str, network: str, rate: float | None = None, digits: int = 0) -> str:
    return f"{errors(suite, network, rate).mean():.{digits}f}"


def span(values: pd.Series, digits: int = 0) -> str:
    return f"{values.min():.{digits}f} to {values.max():.{digits}f}"


def of_digits() -> list[str]:
    plain = [f"plain-{n} {mean('digits', f'plain-{n}')}%" for n in (20, 32, 44, 56)]
    residual = []
    for option in "AB":
        means = [errors("digits", f"ResNet-{n}-{option}").mean() for n in (20, 32, 44, 56)]
        residual.append(f"{min(means):.1f}-{max(means):.1f}% ({option})")
    return [*plain, *residual]


def of_cifar10_short() -> list[str]:
    found = {
        name: errors("cifar10-short", name)
        for name in ("plain-20", "plain-56", "ResNet-20-A", "ResNet-56-A")
    }
    told = [f"{name} {span(seeds).replace(' ', '% ', 1)}%" for name, seeds in found.items()]
    deeper, shallower = (
        finals("cifar10-short").query("network == @name").set_index("seed")["precise_train_error"]
        for name in ("resnet-56-A", "resnet-20-A")
    )
    behind = 100 * (deeper - shallower)
    ahead = f"in {(behind < 0).sum()} of {len(behind)} seeds it is ahead, by up to"
    return [*told, f"(up to {behind.max():.0f}; {ahead} {-behind.min():.0f})"]


def of_digits_3x() -> list[str]:
    seeds = finals("digits-3x")["seed"].unique()

    def both(network: str) -> str:
        shorter = finals("digits").query("network == @network")
        shorter = shorter[shorter["seed"].isin(seeds)]
        error = 100 * shorter["precise_train_error"].mean()
        return f"{network} {mean('digits-3x', network)}%, from {error:.0f}%"

    deep = mean("digits-3x", "ResNet-56-A", digits=2)
    return [both("plain-56"), both("plain-44"), f"ResNet-56-A {deep}%"]


def of_digits_lr() -> list[str]:
    rates = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    plain = {rate: errors("digits-lr", "plain-56", rate).mean() for rate in rates}
    best = min(plain, key=lambda rate: plain[rate])
    shallow = min(errors("digits-lr", "plain-20", rate).mean() for rate in rates)
    residual = {rate: errors("digits-lr", "ResNet-56-A", rate).mean() for rate in rates}
    return [
        f"plain-56 between {plain[best]:.0f}% (at {best}) and {max(plain.values()):.0f}%",
        f"plain-20 {shallow:.1f}% at its best",
        f"ResNet-56-A {residual[0.03]:.1f}% at 0.03, {residual[0.3]:.0f}% at 0.3",
    ]


def of_digits_deep() -> list[str]:
    rates = (0.02, 0.005, 0.05)
    plain = pd.concat([errors("digits-deep", "plain-110", rate) for rate in rates])
    residual = [
        f"{mean('digits-deep', 'ResNet-110-A', rate, digits)}% at {rate}"
        for rate, digits in zip(rates, (1, 1, 0), strict=True)
    ]
    return [
        f"plain-110 {span(plain).replace(' ', '% ', 1)}% at every rate, 90% being guessing",
        f"ResNet-110-A {', '.join(residual)}",
    ]


def of_digits_variants() -> list[str]:
    def of(network: str, digits: int = 0) -> str:
        return mean("digits-variants", network, digits=digits)

    narrow = [errors("digits-variants", f"ResNet-{n}-A-bottleneck").mean() for n in (20, 56)]
    return [
        f"({of('plain-20-no-norm')}%, and {of('plain-56-no-norm')}% at 56 layers)",
        f"({of('ResNet-20-A-zero-scale')}% and {of('ResNet-56-A-zero-scale')}% at 20 and 56",
        f"(ResNet-56 {of('ResNet-56-A-preactivation', 1)}%)",
        f"fails as without ({of('plain-56-bottleneck')}%)",
        f"ResNet-56 has {narrow[1]:.1f}%, {narrow[1] - narrow[0]:.1f} points more than",
    ]


def of_digits_readings() -> list[str]:
    """What depth does, in points, with each reading and with the suite's own."""

    def change(kind: str, reading: str) -> float:
        deep, shallow = (errors("digits-readings", kind.format(n) + reading) for n in (56, 20))
        return deep.mean() - shallow.mean()

    both = ("", "-padded-first", "-half-batch-norm")
    plain = pd.Series([change("plain-{}", reading) for reading in both])
    residual = [change("ResNet-{}-A", reading) for reading in (*both, "-zeros-on-both-sides")]
    return [
        f"degrade by {span(plain, 1)} points",
        f"option A by {span(pd.Series(residual), 1)}.",
    ]


def of_digits_cures() -> list[str]:
    found = Cures.of(SuiteResults.of(REFERENCE, "digits-cures").frame)
    assert found is not None
    removed = {s.treatment.label: f"{100 * s.own.mean:.0f}%" for s in found.shares}
    return [
        f"shaped activations {removed['shaped-activation']}, identity weights",
        f"{removed['identity']}, mirrored ones {removed['mirrored']} (orthogonal) and",
        f"{removed['mirrored-gaussian']} (Gaussian), a decaying shortcut",
        f"{removed['decaying-shortcut']}, Dirac kernels {removed['dirac']}; LARS",
        f"{removed['lars']}, clipped updates {removed['update-clip']}, Muon",
        f"{removed['muon']}, a warm-up {removed['warm-up']}; Adam {removed['adam']},",
        f"delta-orthogonal weights {removed['delta-orthogonal']}.",
    ]


def of_cifar10_short_cures() -> list[str]:
    suite = "cifar10-short-cures"
    found = Cures.of(SuiteResults.of(REFERENCE, suite).frame)
    assert found is not None
    names = {
        "plain": "plain-{}",
        "mirrored": "plain-{}-mirrored",
        "identity": "plain-{}-identity",
        "option A": "ResNet-{}-A",
    }
    ends = [
        f"{name} {mean(suite, network.format(20))}% and {mean(suite, network.format(56))}%"
        for name, network in names.items()
    ]
    removed = [
        f"{share.treatment.label} {100 * share.own.mean:.0f}% "
        f"({100 * share.own.low:.0f} to {100 * share.own.high:.0f})"
        for share in found.shares
    ]
    return ends + removed


def of_digits_layers() -> list[str]:
    data = Layers.of(SuiteResults.of(REFERENCE, "digits-layers").frame)
    summaries = layers.summaries(data.table)
    start = summaries[summaries["iteration"] == 0]
    growth = start.groupby("network")["growth"].mean()
    after_10 = summaries[summaries["iteration"] == 10].set_index("network")["growth"]
    high = summaries[summaries["iteration"] == 360].set_index("network")["forward_high"]
    correlation = shattered.at_the_images(data).groupby("network")["value"].mean()
    plain, residual = [
        [correlation[name.format(depth)] for depth in (20, 56, 110)]
        for name in ("plain-{}", "resnet-{}-A")
    ]
    thousands = (high["plain-110"] / 1000).round() * 1000
    in_plain = start[start["shortcut"] == "none"]["growth"].mean()
    in_residual = [f"{growth[f'resnet-{depth}-A']:.2f}" for depth in (20, 56, 110)]
    return [
        f"by {in_plain:.2f} a layer in plain networks (1.21 is the limit",
        f"by {in_residual[0]}, {in_residual[1]} and {in_residual[2]} in ResNet-20, 56 and 110",
        f"in plain-56 the factor is {span(after_10['plain-56'], 2)};",
        f"in plain-110 it is {span(after_10['plain-110'], 2)},",
        f"plain {plain[0]:.1f}, {round(plain[1])} and {round(plain[2])};",
        f"residual {residual[0]:.1f}, {residual[1]:.1f} and {residual[2]:.1f}.",
        f"grow to {span(high['plain-56'])} in plain-56",
        f"to {thousands.min():,.0f} to {thousands.max():,.0f} in plain-110",
    ]


def of_digits_few() -> list[str]:
    ended = finals("digits-few").groupby("depth")[["precise_train_error", "test_error"]].mean()
    tested = ", ".join(f"{100 * error:.0f}%" for error in ended["test_error"])
    return [f"error {100 * ended['precise_train_error'].max():.2f}% throughout", tested]


def of_digits_mechanism() -> list[str]:
    rules = ("", "-update-clip", "-warm-up", "-adam")

    def means(network: str) -> pd.Series:
        return pd.Series([errors("digits-mechanism", network + rule).mean() for rule in rules])

    told = []
    for depth in (56, 110):
        kinds = {"He": "", "mirrored": "-mirrored", "identity": "-identity"}
        for name, weights in kinds.items():
            seeds = span(means(f"plain-{depth}{weights}")).replace(" ", "% ", 1)
            told.append(f"{name} {seeds}%")
        told.append(f"residual at most {means(f'ResNet-{depth}-A').max():.1f}%")
    return told


SAID: dict[str, Callable[[], list[str]]] = {
    "digits": of_digits,
    "digits-3x": of_digits_3x,
    "digits-lr": of_digits_lr,
    "digits-layers": of_digits_layers,
    "digits-deep": of_digits_deep,
    "digits-variants": of_digits_variants,
    "digits-readings": of_digits_readings,
    "digits-cures": of_digits_cures,
    "digits-mechanism": of_digits_mechanism,
    "digits-few": of_digits_few,
    "cifar10-short": of_cifar10_short,
    "cifar10-short-cures": of_cifar10_short_cures,
}


def test_pages_say_what_came_out_on_cifar10() -> None:
    """README the shares; the predictions also errors and gaps, to a tenth."""
    suite = "cifar10-short-cures"
    shares = of_cifar10_short_cures()[4:]
    readme = (REFERENCE.parents[1] / "README.md").read_text(encoding="utf-8")
    page = (REFERENCE / "predictions.md").read_text(encoding="utf-8")
    page = page.partition("**What came out** (3 seeds)")[2].partition("\n## ")[0]
    for share in shares:
        assert share in " ".join(readme.split())
    residual = errors(suite, "ResNet-56-A").mean()
    for name, share in (("identity", shares[1]), ("mirrored", shares[2])):
        deep, shallow = (errors(suite, f"plain-{depth}-{name}") for depth in (56, 20))
        gap = deep.mean() - shallow.mean()
        said = f"{deep.mean():.1f}% at 56 layers, {shallow.mean():.1f}% at 20: {gap:.1f} points"
        assert f"| {name}, depth | {said} above; " in page
        assert f"| {name}, share | it removes {share.removeprefix(name + ' ')} |" in page
    gap = errors(suite, "plain-56-mirrored").mean() - residual
    assert f"ends at {residual:.1f}%, {gap:.1f} points below mirrored plain-56" in page


def test_every_suite_with_whole_results_is_held() -> None:
    committed = [path.parent.name for path in REFERENCE.glob("*/report.html")]
    told = {name: provenance.sentence(SuiteResults.of(REFERENCE, name).frame) for name in committed}
    whole = {name for name, sentence in told.items() if not sentence.startswith("Preliminary: ")}
    assert set(SAID) == whole


@pytest.mark.parametrize("suite", SAID)
def test_what_a_suite_expects_is_what_came_out(suite: str) -> None:
    """Every per cent and every factor; how many seeds; and nothing beyond."""
    description = load_suite(suite).description
    # What was expected before the first run stays as it was; what came out is then apart.
    begin = "Found" if "Found" in description else "Expect"
    text = " ".join(description.partition(begin)[2].split())
    text = text.partition("Time:")[0]
    seeds = finals(suite)["seed"].nunique()
    for said in (f"({seeds} seeds, results/reference/{suite})", *SAID[suite]()):
        assert said in text
        text = text.replace(said, "", 1)
    assert re.findall(r"[\d.,]+%|\d+\.\d+", text) == []
