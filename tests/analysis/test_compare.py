"""Two folders side by side: what one lacks is empty, differences are in points."""

from pathlib import Path

import pytest

from analysis import compare, load
from tests.support.results import Options, write_suite


def test_final_errors_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = (
        write_suite(tmp_path / name, "digits", Options(seeds=(0, 1))) for name in ("mine", "theirs")
    )
    first, second = load.runs(mine), load.runs(theirs)
    second = second[second["network"] != "plain-32"]
    second.loc[second["network"] == "plain-20", "precise_train_error"] += 0.015
    header, *body = compare.rows(first, second)
    found = {row[0]: dict(zip(header, row, strict=True)) for row in body}
    assert len(found) == 12
    assert (found["plain-20"]["n A"], found["plain-20"]["n B"]) == ("2", "2")
    assert found["plain-20"]["train B - A"] == "+1.50"
    assert found["plain-20"]["test B - A"] == "+0.00"
    assert found["plain-32"]["n A"] == "2"
    assert found["plain-32"]["n B"] == found["plain-32"]["train B - A"] == ""
    monkeypatch.setattr("sys.argv", ["compare", str(mine), str(theirs)])
    assert compare.main() == 0
    assert "resnet-56-B" in capsys.readouterr().out
