"""W&B workspaces as code (extra [dashboards]): a view for each kind of shortcut, and one for all.

A W&B workspace has one set of runs, hence several views. Building them needs no account and no
network connection.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import wandb_workspaces.workspaces as ws
from pydantic import TypeAdapter
from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as wr

from resnet_bench.records.files import find_paths
from resnet_bench.suites.suite import Suite
from resnet_bench.tracking.environment import PROJECT
from resnet_bench.tracking.metrics import (
    AXES,
    GRADIENT_CORRELATION,
    GRADIENT_GROWTH,
    LAYER_COLUMNS_BY_PLACE,
    METRICS,
)

# Okabe and Ito's colours, as in the figures: cool for shallow networks, warm for deep ones.
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9")
FAMILIES = {
    "none": "plain",
    "A": "residual, option A",
    "B": "residual, option B",
    "C": "residual, option C",
    "3x3": "residual, 3x3 projections",
}

OVER_SEEDS: dict[str, Any] = {  # arguments of a panel: one line or bar for each network
    "groupby": wr.Config("network"),
    "groupby_aggfunc": "mean",
    "groupby_rangefunc": "minmax",
}


def build(suite: Suite, results: Path, entity: str) -> list[ws.Workspace]:
    """The views of a suite: one for each of its shortcuts, and one for all its networks."""
    shortcuts = list(dict.fromkeys(e.spec.shortcut for e in suite.experiments))
    layers = bool(find_paths(results / suite.name, "*/seed-*/layers.csv"))
    return [_workspace(suite, shortcut, layers, entity) for shortcut in [*shortcuts, None]]


def _workspace(suite: Suite, shortcut: str | None, layers: bool, entity: str) -> ws.Workspace:
    filters = [expr.Config("suite") == suite.name]
    if shortcut is not None:
        filters.append(expr.Config("shortcut") == shortcut)
    columns = ["config:parameters", "summary:status"]
    columns += [f"summary:{METRICS[field]}" for field in ("precise_train_error", "test_error")]
    return ws.Workspace(
        entity=entity,
        project=os.environ.get("WANDB_PROJECT") or PROJECT,
        name=f"{suite.name}: {FAMILIES[shortcut] if shortcut else 'all networks'}",
        sections=_sections(layers),
        settings=ws.WorkspaceSettings(x_axis=METRICS["iteration"], max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(*filters),
            groupby=[expr.Config("network")],
            group_colors=_colours(suite),
            order=[expr.Ordering(expr.Config("depth"), ascending=True)],
            pinned_columns=columns,
        ),
    )


def _sections(layers: bool) -> list[ws.Section]:
    figure6: list[Any] = [
        _curves("Test error", METRICS["test_error"]),
        _curves("Training error, augmented images", METRICS["train_error"]),
        _curves("Training error, evaluation mode", METRICS["clean_train_error"]),
    ]
    speed: list[Any] = [
        _curves("Images per second", METRICS["images_per_second"]),
        _curves("Seconds between records", METRICS["seconds"]),
    ]
    three_layers = {
        "Deviation of the response, three layers": "response_deviation",
        "Gradient at the response, three layers": "activation_gradient_norm",
        "Update over weight, three layers": "update_ratio",
    }
    by_layer: list[Any] = [
        _curves("Growth of the gradient, a layer, towards the input", GRADIENT_GROWTH),
        _curves("Correlation of neighbours' gradients, at the input", GRADIENT_CORRELATION),
        *(_curves(title, *LAYER_COLUMNS_BY_PLACE[name]) for title, name in three_layers.items()),
    ]
    sections = [
        ws.Section(name="Figure 6", panels=figure6, is_open=True),
        ws.Section(name="Degradation", panels=_degradation(), is_open=True),
        ws.Section(name="Layers", panels=by_layer, is_open=True),
        ws.Section(name="Speed", panels=speed),
    ]
    return [section for section in sections if layers or section.name != "Layers"]


def _degradation() -> list[Any]:
    """Last errors against depth, and their mean and range over seeds.

    All panels of a workspace show the same runs, also unfinished and diverged ones, so the titles
    say "last", not "final".
    """
    last = {
        "test_error": "Last test error",
        "precise_train_error": "Last training error, precise batch norm",
    }
    against_depth = [
        wr.ScatterPlot(
            title=f"{title} against depth",
            x=wr.Config("depth"),
            y=wr.SummaryMetric(METRICS[field]),
        )
        for field, title in last.items()
    ]
    over_seeds = [
        wr.BarPlot(
            title=f"{title}: mean and range over seeds", metrics=[METRICS[field]], **OVER_SEEDS
        )
        for field, title in last.items()
    ]
    return [*against_depth, *over_seeds]


def _curves(title: str, *metrics: str) -> wr.LinePlot:
    """`metrics` by iteration: for each network the mean and range over its seeds."""
    return wr.LinePlot(
        title=title,
        x=next(axis for axis, names in AXES.items() if metrics[0] in names),
        y=list(metrics),
        log_y=len(metrics) > 1,  # three layers may differ by orders of magnitude
        smoothing_type="none",
        **OVER_SEEDS,
    )


def _colours(suite: Suite) -> dict[object, object]:
    """A colour for each network by its depth, the same in every view."""
    depths = sorted({experiment.spec.depth for experiment in suite.experiments})
    return {
        e.network_name: COLOURS[depths.index(e.spec.depth) % len(COLOURS)]
        for e in suite.experiments
    }


def as_json(views: list[ws.Workspace]) -> str:
    adapter = TypeAdapter(ws.Workspace)
    return json.dumps([adapter.dump_python(view, mode="json") for view in views], indent=2)


def save(view: ws.Workspace) -> str:
    """Create the view on W&B's server, or replace the one of this name; returns its address."""
    path = f"{view.entity}/{view.project}"
    digits = int(hashlib.sha256(f"{path}/{view.name}".encode()).hexdigest(), 16)
    key = "".join("0123456789abcdefghijklmnopqrstuvwxyz"[digits // 36**i % 36] for i in range(11))
    view._internal_name = f"nw-{key}-v"  # W&B's form; the same in every call
    try:
        view._internal_id = ws.Workspace.from_url(f"https://wandb.ai/{path}?nw={key}")._internal_id
    except ValueError:
        view._internal_id = ""  # no such view yet
    return view.save().url
