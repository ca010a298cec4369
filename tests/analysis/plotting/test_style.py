"""Pictures are the same whatever matplotlibrc, notebook or backend surrounds the command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.plotting.style import as_png
from analysis.results import SuiteResults
from resnet_bench.paths import ROOT
from tests.support.results import write_suite

HOSTILE = """
{layout}: True
savefig.facecolor: black
savefig.bbox: tight
text.usetex: True
text.color: white
font.family: serif
font.size: 20
xtick.direction: in
xtick.major.size: 12
lines.linewidth: 7
path.sketch: 1, 100, 2
legend.fontsize: 20
"""


@pytest.mark.parametrize("layout", ["figure.autolayout", "figure.constrained_layout.use"])
def test_no_matplotlibrc_and_no_backend_of_a_notebook_changes_a_picture(
    layout: str, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path, "smoke")
    expected = {
        f"{figure_spec.name}.png": as_png(figure, 150)
        for figure_spec, figure in SuiteResults.of(tmp_path, "smoke").draw()
    }
    (tmp_path / "matplotlibrc").write_text(HOSTILE.format(layout=layout))
    hostile = {"MATPLOTLIBRC": str(tmp_path), "MPLBACKEND": "module://no_such_module.backend"}
    command = [sys.executable, "-m", "analysis", "smoke", "--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=os.environ | hostile, check=True, capture_output=True)
    drawn = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert len(drawn) > 2
    assert drawn == expected


def test_the_verdict_imports_nothing_that_draws() -> None:
    code = "import sys, analysis.verdict.__main__; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "False\n"
