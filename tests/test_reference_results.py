"""The committed results: whole, from committed code, and their tables what their CSVs say."""

import re
from pathlib import Path

import pytest

from analysis import select
from analysis.__main__ import write_tables
from analysis.fidelity import all_checks
from analysis.runs import Runs
from resnet_bench.experiments import load_suite

REFERENCE = Path(__file__).parent.parent / "results" / "reference"
PRECISE = "precise_train_error"
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


@pytest.mark.parametrize(("suite", "count"), [("digits", 4), ("cifar10-short", 4)])
def test_what_a_suite_expects_is_what_came_out(suite: str, count: int) -> None:
    """Its comment, which the report quotes: means over seeds, or the range that seeds have."""
    said = re.findall(r"(plain-\d+|ResNet-\d+-[AB])\s(\d+)%(?: to (\d+)%)?", expected(suite))
    assert len(said) == count
    finals = select.finals(Runs.of(REFERENCE, suite).frame)
    for name, low, high in said:
        errors = 100 * finals[finals["network"] == name.lower().replace("-a", "-A")][PRECISE]
        ends = (errors.min(), errors.max()) if high else (errors.mean(),) * 2
        assert [round(end) for end in ends] == [int(low), int(high or low)], name


def expected(suite: str) -> str:
    """The paragraph of the suite's comment that says what to expect."""
    text = load_suite(suite).description.partition("Expect")[2].partition("Time:")[0]
    return " ".join(text.split())


@pytest.mark.parametrize("suite", SUITES)
def test_committed_results_are_what_their_csvs_say(suite: str, tmp_path: Path) -> None:
    runs = Runs.of(REFERENCE, suite)
    finals = select.finals(runs.frame)
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
    drawn = {plate.name for plate, _ in runs.plates()}
    assert {path.stem for path in (folder / "figures").glob("*.png")} == drawn
