"""The pages say what the committed results say, and name only what is there."""

import re
from pathlib import Path

import pytest
import typer

from analysis.report import readme
from resnet_bench.__main__ import app
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.errors import UserError
from resnet_bench.suites.suite import find_experiment, suite_names

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
ALL_PAGES = (*readme.PAGES, ROOT / "experiments" / "README.md")


@pytest.mark.parametrize("page", readme.PAGES, ids=["README", "results"])
def test_its_numbers_are_recomputed_from_the_committed_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(readme.BLOCK.findall(text)) >= 2
    assert readme.filled(text) == text, "run: python -m analysis.report.readme"


def test_a_block_is_really_replaced() -> None:
    broken = re.sub(r"(<!-- table: digits -->\n).*?(<!-- end -->)", r"\1\2", TEXT, flags=re.DOTALL)
    assert broken != TEXT
    assert readme.filled(broken) == TEXT
    with pytest.raises(UserError, match="nowhere"):
        readme.filled("<!-- table: nowhere -->\n<!-- end -->")
    with pytest.raises(UserError, match="digits has no figure 'no-such-figure'"):
        readme.filled("<!-- says: digits/no-such-figure -->\n<!-- end -->")


@pytest.mark.parametrize("page", ALL_PAGES, ids=["README", "results", "experiments"])
def test_the_files_it_shows_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"\]\(((?!https?:)[^)#]+)\)", text):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize("page", ALL_PAGES, ids=["README", "results", "experiments"])
def test_the_targets_and_suites_it_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE)
    assert named
    for target in named:
        assert target in targets, f"make {target}"
    for suite in re.findall(r"SUITE=([\w-]+)", text) + re.findall(r"^\| `([\w-]+)`", text, re.M):
        assert suite in [*suite_names(), "my-idea"]  # which `make cure` writes


@pytest.mark.parametrize("page", ALL_PAGES, ids=["README", "results", "experiments"])
def test_the_experiments_data_sets_and_anchors_it_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"EXP=(\S+?/[\w-]+)", text)
    named += re.findall(r"^python -m resnet_bench (?:run|export) (\S+)", text, flags=re.MULTILINE)
    assert named
    for name in named:
        assert find_experiment(name).name == name
    for dataset in re.findall(r"DATASET=(\w+)", text):
        assert dataset in DATASETS
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors


def test_the_commands_it_shows_take_the_options_that_it_names() -> None:
    """Of every `python -m resnet_bench` line, in the help of its command."""
    for line in re.findall(r"^python -m resnet_bench (.*)$", TEXT, flags=re.MULTILINE):
        command, *words = line.partition("#")[0].split()
        known = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
        options = {option for parameter in known for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options
