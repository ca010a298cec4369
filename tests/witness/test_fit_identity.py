"""Whether blocks can learn to hand on what they get, and the figure of it."""

from pathlib import Path

import pytest

from analysis.witness import fit_identity as figure
from resnet_bench.errors import UserError
from resnet_bench.paths import REFERENCE
from resnet_bench.witness import fit_identity


def test_two_layers_with_a_shortcut_come_nearer_to_the_identity(tmp_path: Path) -> None:
    lines = fit_identity.rows(iterations=20, seeds=1)
    (tmp_path / "fit-identity.csv").write_text("\n".join(lines) + "\n")
    table = figure.read(tmp_path)
    assert len(table) == len(fit_identity.BLOCKS) * len(fit_identity.SHORTCUTS) * 3
    ends = table[table["iteration"] == 20].set_index(["shortcut", "blocks"])["error"]
    assert ends["A", 1] < ends["none", 1]
    panels = figure.draw(table).axes
    assert [axes.get_title() for axes in panels] == ["plain", "residual, option A"]
    assert figure.sentence(table).startswith("After 20 iterations blocks of 2, 4, 8 layers")


def test_without_its_csv_it_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fit_identity writes it"):
        figure.read(tmp_path)


def test_the_committed_errors_are_those_of_today() -> None:
    """Of the first iterations, in which rounding on another processor hardly grows."""
    table = figure.read(REFERENCE).query("blocks == 1 and seed == 0 and iteration <= 20")
    for shortcut in fit_identity.SHORTCUTS:
        committed = table[table["shortcut"] == shortcut]["error"]
        today = [error for _, error in fit_identity.fit(1, shortcut, 0, 20)]
        assert today == pytest.approx(list(committed), rel=1e-3)
    assert not table["commit"].str.contains("changes").any()
