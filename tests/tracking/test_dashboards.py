"""Workspaces as code: what they hold, that it is logged, and how they are saved."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.errors import UserError
from resnet_bench.suites.suite import load_suite
from resnet_bench.tracking.dashboard import dashboard
from resnet_bench.tracking.metrics import LAYER_METRICS, LAYERS_ITERATION, METRICS
from resnet_bench.tracking.tracker import config_of
from tests.support.wandb_runs import run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY, Stub

pytestmark = pytest.mark.usefixtures("wandb_environment")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with Stub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield stub


def dry_run(results: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    dashboard(load_suite("smoke"), results, dry_run=True)
    return {view["name"]: view for view in json.loads(capsys.readouterr().out)}


def panels(view: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for section in view["sections"] for panel in section["panels"]]


def test_a_view_a_family_and_one_for_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = dry_run(tmp_path, capsys)
    assert list(views) == [
        "smoke: plain",
        "smoke: residual, option A",
        "smoke: residual, option B",
        "smoke: all networks",
    ]
    filters = {name: view["runset_settings"]["filters"] for name, view in views.items()}
    everything = filters["smoke: all networks"]
    assert "suite" in everything
    assert "smoke" in everything
    assert "shortcut" not in everything
    assert "'B'" in filters["smoke: residual, option B"]
    for view in views.values():
        assert [section["name"] for section in view["sections"]] == [
            "Figure 6",
            "Degradation",
            "Speed",
        ]
        assert view["runset_settings"]["groupby"] == [{"name": "network"}]
        for curve in view["sections"][0]["panels"]:
            assert curve["x"] == "iteration"
            assert curve["groupby"] == {"name": "network"}
            assert (curve["groupby_aggfunc"], curve["groupby_rangefunc"]) == ("mean", "minmax")


def test_every_metric_and_key_they_name_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("plain-8")
    logged = set(METRICS.values())
    config = set(config_of(run, run.experiment.identity()))
    metrics: set[str] = set()
    keys: set[str] = set()
    for view in dry_run(tmp_path, capsys).values():
        for column in view["runset_settings"]["pinned_columns"]:
            section, _, name = column.partition(":")
            {"summary": metrics, "config": keys, "run": set()}[section].add(name)
        for panel in panels(view):
            if isinstance(panel.get("x"), dict):  # a scatter plot
                keys.add(panel["x"]["name"])
                metrics.add(panel["y"]["name"])
            else:
                metrics |= {*panel.get("y", ()), *panel.get("metrics", ())}
                metrics |= {panel["x"]} if "x" in panel else set()
                keys.add(panel["groupby"]["name"])
    assert {"error/test", "error/train", "speed/images_per_second"} <= metrics
    assert metrics - {"status"} <= logged  # the status is in the summary
    assert {"depth", "network"} <= keys <= config


def test_last_errors_are_the_headlines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for view in dry_run(tmp_path, capsys).values():
        pinned = view["runset_settings"]["pinned_columns"]
        assert pinned[-2:] == ["summary:error/train_precise", "summary:error/test"]
        titles = [panel["title"] for panel in view["sections"][1]["panels"]]
        assert titles[:2] == [
            "Last test error against depth",
            "Last training error, precise batch norm against depth",
        ]
        shown = [panel["metrics"] for panel in view["sections"][1]["panels"][2:]]
        assert shown == [["error/test"], ["error/train_precise"]]


def test_layers_are_shown_where_they_are_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = run_of("plain-8").directory(tmp_path)
    directory.mkdir(parents=True)
    (directory / "layers.csv").touch()
    for view in dry_run(tmp_path, capsys).values():
        section = view["sections"][2]
        assert section["name"] == "Layers"
        assert {panel["x"] for panel in section["panels"]} == {LAYERS_ITERATION}
        assert {name for panel in section["panels"] for name in panel["y"]} == {*LAYER_METRICS}


def test_workspaces_are_created_and_then_replaced(
    stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = load_suite("smoke")
    dashboard(suite, tmp_path, dry_run=False)
    first = capsys.readouterr().out
    assert [line.partition(": http")[0] for line in first.splitlines()] == [
        "smoke: plain",
        "smoke: residual, option A",
        "smoke: residual, option B",
        "smoke: all networks",
    ]
    assert "/tester/resnet_bench?nw=" in first
    ids = {name: view["id"] for name, view in stub.views.items()}
    dashboard(suite, tmp_path, dry_run=False)
    assert capsys.readouterr().out == first
    assert {name: view["id"] for name, view in stub.views.items()} == ids
    assert len(ids) == 4


def test_a_server_that_refuses_is_one_line(stub: Stub, tmp_path: Path) -> None:
    stub.trouble = "refuse"
    with pytest.raises(UserError, match="did not save") as error:
        dashboard(load_suite("smoke"), tmp_path, dry_run=False)
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)


def test_without_an_account_the_terminal_dashboard_opens_on_the_suites_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite("smoke")
    with pytest.raises(UserError, match="no W&B runs in"):
        dashboard(suite, tmp_path, dry_run=False)
    start(run_of("plain-8"), tmp_path / "smoke", "plain-8-s0-0123abcd").finish(summary())
    with pytest.raises(UserError, match="needs a terminal"):
        dashboard(suite, tmp_path, dry_run=False)

    seen, python = tmp_path / "seen", tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = \'-m wandb leet\' ] && ls -d "$4"/*/* > {seen}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    dashboard(suite, tmp_path, dry_run=False)
    # A narrow list shows the network; W&B takes the run's file from the rest of the name.
    (attempt,) = (tmp_path / "smoke" / "wandb").glob("offline-run-*")
    assert f"run-plain-8-s0-{attempt.name}" in seen.read_text()
    assert "run-plain-8-s0-0123abcd.wandb" in seen.read_text()


@pytest.mark.parametrize(
    ("mode", "dry_run", "says"),
    [
        ("online", False, "pip install -e '.[dashboards]'"),
        ("offline", True, "pip install -e '.[dashboards]'"),
        ("offline", False, "no W&B runs in"),  # W&B's terminal dashboard comes with W&B
    ],
)
def test_a_missing_extra_is_one_line_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, dry_run: bool, says: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    code = f"""if True:
        import sys
        sys.modules["wandb_workspaces"] = None
        from pathlib import Path
        from resnet_bench.tracking.dashboard import dashboard
        from resnet_bench.errors import UserError
        from resnet_bench.suites.suite import load_suite
        try:
            dashboard(load_suite("smoke"), Path({str(tmp_path)!r}), dry_run={dry_run})
        except UserError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert says in result.stdout
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""
