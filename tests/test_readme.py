"""README says what the committed results say, and names only what is there."""

import re
from pathlib import Path

import pytest

from analysis import readme
from resnet_bench.errors import UserError
from resnet_bench.experiments import suite_names

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def test_its_numbers_are_recomputed_from_the_committed_results() -> None:
    assert len(readme.BLOCK.findall(TEXT)) >= 2
    assert readme.filled(TEXT) == TEXT, "run: python -m analysis.readme"


def test_a_block_is_really_replaced() -> None:
    broken = re.sub(r"(<!-- table: digits -->\n).*?(<!-- end -->)", r"\1\2", TEXT, flags=re.DOTALL)
    assert broken != TEXT
    assert readme.filled(broken) == TEXT
    with pytest.raises(UserError, match="nowhere"):
        readme.filled("<!-- table: nowhere -->\n<!-- end -->")
    with pytest.raises(UserError, match="figure 'no-such-figure' of digits"):
        readme.filled("<!-- says: digits/no-such-figure -->\n<!-- end -->")


def test_the_files_it_shows_are_there() -> None:
    for path in re.findall(r"\]\(((?!https?:)[^)#]+)\)", TEXT):
        assert (ROOT / path).exists(), path


def test_the_targets_and_suites_it_names_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for target in re.findall(r"^make ([a-z-]+)", TEXT, flags=re.MULTILINE):
        assert target in targets, f"make {target}"
    for suite in re.findall(r"SUITE=([\w-]+)", TEXT):
        assert suite in suite_names()
