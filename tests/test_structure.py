"""Imports point down only: the arrows of the house, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each module may import those in earlier rows, and none of its own row or later.
ROWS = (
    ("", "benchmarks", "errors", "datasets", "vision"),
    ("schema", "options", "files", "fetching"),
    ("specification",),
    ("suite_files", "settings"),
    ("experiments",),
    ("sizes", "schedule", "records", "precision", "layouts"),
    ("wandb_environment", "wandb_attempts", "downloads", "batches", "networks", "layer_records"),
    ("sources", "wandb_courier", "initialization", "variants", "imagenet", "layers"),
    ("architectures", "wandb_metrics"),
    ("tracking", "shapes", "listings"),
    ("data", "progress", "provenance", "workspaces", "sync"),
    ("evaluation", "dashboards", "members"),
    ("training",),
    ("checkpoints", "captures", "signals"),
    ("graphs", "run_records", "witness"),
    ("runner", "continuation", "witness_measures"),
    ("workers", "witness_command", "outcome"),
    ("pool",),
    ("sweep",),
    ("benchmarks.floors", "benchmarks.contenders"),
    ("benchmarks.ceilings", "benchmarks.yardsticks"),
    ("benchmarks.peers", "benchmarks.interleaved"),
    ("benchmarks.cpu", "benchmarks.whole_sweep"),
    ("benchmarks.gpu",),
    ("__main__",),
)
ANALYSIS_MAY_IMPORT = {
    "errors",
    "datasets",
    "schema",
    "specification",
    "experiments",
    "settings",
    "files",
    "records",
    "layer_records",
    "sizes",
    "schedule",
}


def imports(path: Path) -> set[str]:
    """The full names of the modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


PACKAGE = ROOT / "resnet_bench"


def name_of(path: Path) -> str:
    """The module's name inside the package: `benchmarks.floors`, or "" for the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    level = {module: index for index, row in enumerate(ROWS) for module in row}
    for imported in imports(MODULES[name]):
        assert not imported.startswith("analysis"), f"{name} imports {imported}"
        module = imported.removeprefix("resnet_bench.")
        if imported.startswith("resnet_bench.") and module in MODULES and module != name:
            assert level[module] < level[name], f"{name} imports {module}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("analysis/*.py")), ids=lambda path: path.stem)
def test_the_analysis_reads_results_only(path: Path) -> None:
    for name in imports(path):
        package, _, module = name.partition(".")
        assert package not in ("torch", "torchvision", "wandb"), f"{path.stem} imports {name}"
        if package == "resnet_bench" and module:
            assert module.partition(".")[0] in ANALYSIS_MAY_IMPORT | {"__version__"}


def test_torchvision_is_imported_through_one_module() -> None:
    users = {
        name
        for name, path in MODULES.items()
        if any(imported.startswith("torchvision") for imported in imports(path))
    }
    assert users <= {"vision"}
