"""`python -m analysis` as a user runs it: what it prints and writes."""

import sys
from pathlib import Path

import pytest

from analysis import __main__ as draw
from analysis import catalogue, command, load
from analysis.fidelity import checks
from analysis.verdict import verdict
from tests.support.results import END, Options, write_suite


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["analysis", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.run(draw.main)
    return int(str(exit_.value.code))


def test_figures_tables_report_and_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    two = [each for each in catalogue.FIGURES if each.name in ("figure-6", "degradation")]
    monkeypatch.setattr(catalogue, "FIGURES", two)  # the report's test draws them all
    folder = write_suite(tmp_path, "digits", Options(seeds=(0, 1, 2)))
    assert run(monkeypatch, "digits", "--results", str(tmp_path), "--every-seed") == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.partition("report.html")[2].splitlines())) <= 60  # the terminal's
    lines = printed.splitlines()
    assert lines[0].split()[:4] == ["network", "parameters", "n", "epoch"]
    paths = [
        folder / "figures" / "figure-6.png",
        folder / "figures" / "degradation.png",
        *(folder / "tables" / f"table-6.{kind}" for kind in ("csv", "md", "html")),
        folder / "tables" / "verdict.json",
        folder / "report.html",
    ]
    first = lines.index(str(paths[0]))
    assert lines[first : first + len(paths)] == [str(path) for path in paths]
    assert all(path.stat().st_size > 200 for path in paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    sentence = " ".join(lines[first + len(paths) :])
    assert sentence.startswith(
        f"After {END:,} iterations on digits, going from 20 to 56 layers, plain networks degrade"
    )
    assert "residual networks (option A) do not degrade" in sentence


def test_one_seed_says_how_to_come_to_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "FIGURES", ())
    folder = write_suite(tmp_path, "digits", Options(seeds=(0,)))
    assert run(monkeypatch, "digits", "--results", str(tmp_path)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    *_, hint = printed.partition("a single seed carries no verdict. ")
    assert hint.startswith("For a verdict: make sweep SUITE=digits SEEDS=3")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.index("<h2>Figures") < page.index("<h2>Final errors") < page.index("<h2>Verdict")
    assert "<th>mean</th>" in page
    assert "<th>interval</th>" not in page  # of one seed there is none


def test_a_suite_of_named_experiments_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of `tutorials` claims a contrast of depths; its figure has a test of its own."""
    monkeypatch.setattr(catalogue, "FIGURES", ())
    odd = Options(diverged={"d2l-resnet18-momentum/0": 0.2})
    folder = write_suite(tmp_path, "tutorials", odd)
    assert run(monkeypatch, "tutorials", "--results", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["d2l-resnet18", "11,178,378", "1", "10"]
    assert "1 diverged (at 471)" in lines[3]
    everything = " ".join(lines)
    assert "Final test errors, means over finished seeds: on fashion d2l-" in everything
    frame = load.runs(folder)
    for text in (verdict.as_text(frame), (folder / "report.html").read_text(encoding="utf-8")):
        assert "No two depths are compared here" in text
        assert "degrade" not in text
    assert {check.what for check in checks.all_checks(frame) if check.state == "off"} == {
        "all runs finished"
    }


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("digts", "error: unknown suite 'digts'; did you mean digits?"),
        ("digits", "error: no runs in "),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    suite: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, suite, "--results", str(tmp_path)) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_ctrl_c_is_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        command.run(interrupted)
    assert ended.value.code == 130
    assert capsys.readouterr().err == ""
