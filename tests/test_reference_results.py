"""The committed results: whole, from committed code, and their tables what their CSVs say."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import write_tables
from analysis.fidelity.checks import all_checks
from analysis.frames import select
from analysis.report import readme
from analysis.results import SuiteResults
from resnet_bench.networks.initialization import digest
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import new_state
from tests.support.states import CPU, without_times

REFERENCE = Path(__file__).parent.parent / "results" / "reference"
SUITES = sorted(path.parent.name for path in REFERENCE.glob("*/report.html"))


# Digits that a table rounds to are equal everywhere, but the last of a double's 17 depend on how
# NumPy and SciPy were built.
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]\d+)?|\d+e[+-]\d+")


def taken_apart(text: str) -> tuple[str, list[float]]:
    """A text without its fractional numbers, and they."""
    return NUMBER.sub("#", text), [float(number) for number in NUMBER.findall(text)]


def test_every_committed_folder_is_a_suite_with_its_report() -> None:
    assert "digits" in SUITES
    folders = {path.name for path in REFERENCE.iterdir() if path.is_dir()}
    assert sorted(folders - {"bench"}) == SUITES  # there go bench-gpu's tables


@pytest.mark.parametrize("suite", SUITES)
def test_committed_results_are_what_their_csvs_say(suite: str, tmp_path: Path) -> None:
    runs = SuiteResults.of(REFERENCE, suite)
    finals = select.finals(runs.frame).query("status != 'missing'")  # said to be preliminary
    assert set(finals["problem"]) == {""}
    assert set(finals["status"]) <= {"finished", "diverged"}
    assert not finals["dirty"].any()  # of the code that made them
    off = {check.what for check in all_checks(runs.frame) if check.state == "off"}
    assert off <= {"final test errors"}  # which may come out as they will
    folder = REFERENCE / suite
    for written in write_tables(runs, tmp_path):
        committed = (folder / "tables" / written.name).read_text(encoding="utf-8")
        words, numbers = taken_apart(written.read_text(encoding="utf-8"))
        expected_words, expected = taken_apart(committed)
        assert words == expected_words, f"make reference SUITE={suite}"
        assert numbers == pytest.approx(expected, rel=1e-9), f"make reference SUITE={suite}"
    drawn = {figure_spec.name for figure_spec, _ in runs.figure_specs()}
    assert {path.stem for path in (folder / "figures").glob("*.png")} == drawn


@pytest.mark.parametrize("suite", SUITES)
def test_a_run_of_today_starts_as_the_committed_ones_did(suite: str) -> None:
    """The same batches at every seed, and at seed 0 the same initial weights."""
    seen: set[int] = set()
    for experiment in load_suite(suite).experiments:
        for folder in (REFERENCE / experiment.name).glob("seed-*"):
            identity = json.loads((folder / "run.json").read_text(encoding="utf-8"))["identity"]
            seed, committed = identity["seed"], identity["digests"]
            if seed not in seen:
                stream = BatchStream(experiment.recipe, experiment.train_images, seed)
                assert stream.digest() == committed["batch_stream"], folder
                seen.add(seed)
            if seed == 0 and "learning_rate" not in experiment.name:
                state = new_state(Run(experiment, seed), CPU)
                assert digest(state.network) == committed["initial_weights"], folder
                shared = digest(state.network, shared_only=True)
                assert shared == committed["initial_shared_weights"], folder
    assert seen


def test_every_suite_says_how_it_was_made() -> None:
    """And so whether some of its networks or seeds are still to come."""
    pages = "".join(page.read_text(encoding="utf-8") for page in readme.PAGES)
    assert sorted(set(re.findall(r"<!-- made: ([\w-]+) -->", pages))) == SUITES


def test_the_gpu_page_has_its_measurements() -> None:
    page = (REFERENCE / "gpu.md").read_text(encoding="utf-8")
    steps = pd.read_csv(REFERENCE / "bench" / "h100-steps.csv")
    assert [ms for ms in steps["ms_a_step"] if f" {ms:.2f}" not in page] == []
    rows = [
        pd.read_csv(REFERENCE / "bench" / "cifar10-unfinished" / network / "epochs.csv")
        for network in ("plain-20", "plain-56")
    ]
    for iteration, rate in ((15_625, 0.1), (31_250, 0.1), (46_875, 0.01), (50_000, 0.001)):
        found = [row[row["iteration"] == iteration].iloc[0] for row in rows]
        ends = [f"{100 * r[k]:.2f}" for r in found for k in ("train_error", "test_error")]
        assert f"| {iteration:,} | {rate} | {' | '.join(ends)} |" in page


@pytest.mark.parametrize(
    ("suites", "seeds"),
    [
        (("digits", "digits-layers"), 3),
        (("digits", "digits-variants"), 3),
        (("digits-layers", "digits-variants"), 6),
    ],
)
def test_what_suites_have_in_common_is_the_same_run(suites: tuple[str, str], seeds: int) -> None:
    """As results/reference/README.md says: equal to the bit, at the seeds with one processor."""
    one, two = (REFERENCE / suite for suite in suites)
    folders = [path.relative_to(one) for path in one.glob("*/seed-*")]
    shared = [folder for folder in folders if (two / folder).is_dir()]
    assert len(shared) == 4 * 6  # plain and option A at 20 and 56 layers, six seeds
    pairs = [(RunDirectory(one / folder), RunDirectory(two / folder)) for folder in shared]
    pairs = [pair for pair in pairs if len({processor(each) for each in pair}) == 1]
    assert len(pairs) == 4 * seeds
    for ours, theirs in pairs:
        rows, others = ([without_times(row) for row in each.rows()] for each in (ours, theirs))
        assert rows == others, ours.path


def processor(directory: RunDirectory) -> str:
    (attempt,) = (directory.description() or {})["attempts"]
    return str(attempt["processor"])
