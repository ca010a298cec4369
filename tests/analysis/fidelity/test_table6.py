"""Table 6: its numbers, and the same table for terminal, CSV, Markdown and HTML."""

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import formatting
from analysis.fidelity import checks, paper, table6
from analysis.report import page
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.network import NetworkSpec
from tests.support.results import Options, frame_of


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Final test errors of plain-20: 9.5, 9.8 and 10.1%, after 164 epochs."""
    folder = tmp_path_factory.mktemp("results")
    odd = Options(seeds=(0, 1, 2), missing=frozenset({"plain-44/0"}), diverged={"plain-44/1": 0.2})
    frame = frame_of(folder, "cifar10", odd)
    for seed, error in enumerate((0.095, 0.098, 0.101)):
        rows = (frame["network"] == "plain-20") & (frame["seed"] == seed)
        frame.loc[rows & (frame["iteration"] == 64_000), "test_error"] = error
        frame.loc[rows & (frame["iteration"] < 64_000), "test_error"] = 0.01  # better, and ignored
    frame.loc[frame["network"] == "plain-56", "test_error"] = 0.2
    return frame


def test_mean_deviation_n_and_last_epoch_by_hand(cifar10: pd.DataFrame) -> None:
    row = table6.final_errors(cifar10).set_index("network").loc["plain-20"]
    assert (row["n"], row["epoch"], row["parameters"]) == (3, 164, 269_722)
    assert row["test_mean"] == pytest.approx(0.098)
    assert row["test_deviation"] == pytest.approx(0.003)  # n - 1
    assert (row["paper_test"], row["band_low"], row["band_high"]) == (0.097, 0.09, 0.10)
    assert row["in_band"] == "yes"


def test_bands_and_remarks(cifar10: pd.DataFrame) -> None:
    table = table6.final_errors(cifar10).set_index("network")
    assert table.loc["plain-56", "in_band"] == "no"
    assert table.loc["resnet-20-B", "in_band"] == ""  # the paper has none
    assert table.loc["plain-44", "remark"] == "1 diverged (at 12,801), 1 missing"
    assert table.loc["plain-44", "n"] == 1
    assert math.isnan(float(str(table.loc["plain-44", "test_deviation"])))


def test_the_same_cells_everywhere(cifar10: pd.DataFrame) -> None:
    table = table6.final_errors(cifar10)
    rows = table6.rows(table)
    assert rows[1][:4] == ["plain-20", "269,722", "3", "164"]
    assert rows[1][5:] == ["9.80 ± 0.30", "9.70", "9.0-10.0", "yes", ""]
    text = formatting.as_text(rows).splitlines()
    assert len({line.index("parameters") for line in text[:1]}) == 1
    assert text[1].split() == " ".join(rows[1]).split()
    markdown = formatting.as_markdown(rows).splitlines()
    assert markdown[2] == f"| {' | '.join(rows[1])} |"
    assert len({line.count("|") for line in markdown}) == 1
    assert "<td>9.80 ± 0.30</td>" in page.table(rows)
    back = pd.read_csv(io.StringIO(table.to_csv(index=False))).set_index("network")
    assert back.loc["plain-20", "test_mean"] == pytest.approx(0.098)


def test_html_is_escaped() -> None:
    assert "<td>&lt;b&gt;</td>" in page.table([["network"], ["<b>"]])


def test_no_paper_columns_where_there_is_nothing_to_compare(tmp_path: Path) -> None:
    table = table6.final_errors(frame_of(tmp_path, "digits"))
    assert table6.rows(table)[0] == [
        "network", "parameters", "n", "epoch", "train error %", "test error %",
    ]  # fmt: skip
    assert len(table6.reference_rows(table)) == 1  # the header alone


def test_beside_the_paper(cifar10: pd.DataFrame) -> None:
    rows = table6.reference_rows(table6.final_errors(cifar10))
    by_network = {row[0]: row for row in rows[1:]}
    assert list(by_network) == [f"plain-{depth}" for depth in (20, 32, 44, 56)] + [
        f"resnet-{depth}-A" for depth in (20, 32, 44, 56)
    ]
    assert by_network["plain-56"][3:6] == ["13.20", "11.8-14.3", "no"]
    assert by_network["plain-56"][-2:] == ["5.70", "figure 6"]
    assert by_network["resnet-56-A"][-2:] == ["", "table 6"]


def test_a_network_that_nobody_repeated_stands_beside_the_paper_without_a_band(
    tmp_path: Path,
) -> None:
    frame = frame_of(tmp_path, "cifar10-1202")
    frame.loc[frame["iteration"] == 64_000, "test_error"] = 0.08
    table = table6.final_errors(frame)
    assert table6.rows(table)[1][-2:] == ["8.00", "7.93"]
    assert table6.reference_rows(table)[1][:6] == ["resnet-1202-A", "1", "8.00", "7.93", "", ""]
    found = {check.what: check for check in checks.all_checks(frame)}["final test errors"]
    assert found.state == "not compared"
    assert found.found.startswith("resnet-1202-A 8.00%, the paper's 7.93% (table 6); no repeats")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dataset", "digits"),
        ("recipe.iterations", 32_000),
        ("recipe.learning_rate", 0.05),
        ("recipe.batch_size", 64),
        ("recipe.momentum", 0.5),
        ("recipe.train_images", 10_000),
        ("recipe.initialization", "xavier"),
        ("recipe.warmup_iterations", 400),
        ("network.normalization", "none"),
        ("network.architecture", "imagenet"),
        ("variant", "plain-20-mine"),
    ],
)
def test_what_departs_from_the_paper_is_not_held_against_it(
    cifar10: pd.DataFrame, column: str, value: Any
) -> None:
    table = table6.final_errors(cifar10.assign(**{column: value}))
    assert set(table["in_band"]) == {""}
    assert set(table["paper_source"]) == {""}
    assert len(table6.rows(table)[0]) == 7  # with the remark


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("precision", "bf16"),
        ("recipe.train_images", 45_000),
        ("recipe.initialization", "he-fan-out"),
        ("recipe.pad", "before-mean"),
        ("recipe.clean_every", 1),
    ],
)
def test_what_the_paper_leaves_open_does_not_keep_from_comparing(
    cifar10: pd.DataFrame, column: str, value: Any
) -> None:
    table = table6.final_errors(cifar10.assign(**{column: value})).set_index("network")
    assert table.loc["plain-20", "in_band"] == "yes"
    assert table.loc["plain-56", "in_band"] == "no"


def test_only_from_110_layers_on_is_a_warm_up_the_papers(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, "cifar10-deep")
    table = table6.final_errors(frame).set_index("network")
    assert table["in_band"].to_dict() == {
        "plain-20": "",
        "plain-110": "yes",
        "resnet-20-A": "",
        "resnet-110-A": "yes",
    }
    for other in ({"recipe.warmup_iterations": 4_000}, {"recipe.warmup_learning_rate": 0.001}):
        assert set(table6.final_errors(frame.assign(**other))["in_band"]) == {""}


@pytest.mark.parametrize(("shortcut", "depth"), paper.SIZES)
def test_the_sizes_by_hand_are_those_of_the_specification(shortcut: str, depth: int) -> None:
    network = NetworkSpec.model_validate({"depth": depth, "shortcut": shortcut})
    size = network_size(network, DATASETS["cifar10"])
    assert (size.parameters, size.multiply_adds) == paper.SIZES[shortcut, depth]


def test_the_papers_own_errors_are_inside_the_bands() -> None:
    for reference in paper.REFERENCES.values():
        if reference.band and reference.test_error is not None:
            low, high = reference.band
            assert low <= reference.test_error <= high
