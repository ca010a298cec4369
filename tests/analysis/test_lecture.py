"""The lecture's notebook runs from its first cell to its last, and says what the runs say."""

import json
from typing import Any

import pytest

from resnet_bench.paths import ROOT

CELLS = json.loads((ROOT / "analysis" / "lecture.ipynb").read_text(encoding="utf-8"))["cells"]


def test_the_notebook_runs_and_its_sentences_are_those_of_the_committed_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sweep of smoke is trained, as in the lecture; every figure is drawn."""
    scope: dict[str, Any] = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec("".join(line for line in cell["source"] if line[0] != "%"), scope)
            printed = capsys.readouterr().out
            texts = [output for output in cell["outputs"] if output["output_type"] == "stream"]
            assert printed == "".join("".join(output["text"]) for output in texts)


def test_the_notebook_has_its_figures() -> None:
    pictures = [
        output
        for cell in CELLS
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    drawn = [cell for cell in CELLS if ".figure(" in "".join(cell["source"])]
    assert len(pictures) >= len(drawn)
