"""Imports point down only: the arrows of the house, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each module may import those in earlier rows, and none of its own row or later.
ROWS = (
    ("resnet_bench", "errors", "datasets", "vision"),
    ("specification",),
    ("experiments",),
    ("sizes", "schedule", "records", "precision", "initialization", "layouts"),
    ("wandb_environment", "wandb_attempts", "downloads", "batches", "networks", "floors"),
    ("sources", "wandb_courier"),
    ("tracking",),
    ("data", "progress", "provenance", "workspaces", "sync"),
    ("evaluation", "dashboards"),
    ("training",),
    ("checkpoints", "captures"),
    ("graphs",),
    ("ceilings", "yardsticks"),
    ("peers", "interleaved"),
    ("runner",),
    ("workers",),
    ("sweep",),
    ("contenders",),
    ("bench", "bench_sweep"),
    ("bench_gpu",),
    ("__main__",),
)
ANALYSIS_MAY_IMPORT = {
    "errors",
    "datasets",
    "specification",
    "experiments",
    "records",
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


MODULES = sorted(ROOT.glob("resnet_bench/*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_down(path: Path) -> None:
    level = {name: index for index, row in enumerate(ROWS) for name in row}
    own = level["resnet_bench" if path.stem == "__init__" else path.stem]
    known = {module.stem for module in MODULES}
    for name in imports(path):
        assert not name.startswith("analysis"), f"{path.stem} imports {name}"
        package, _, module = name.partition(".")
        module = module.partition(".")[0]
        if package == "resnet_bench" and module in known and path.stem != module:
            assert level[module] < own, f"{path.stem} imports {module}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("analysis/*.py")), ids=lambda path: path.stem)
def test_the_analysis_reads_results_only(path: Path) -> None:
    for name in imports(path):
        package, _, module = name.partition(".")
        assert package not in ("torch", "torchvision", "wandb"), f"{path.stem} imports {name}"
        if package == "resnet_bench" and module:
            assert module.partition(".")[0] in ANALYSIS_MAY_IMPORT | {"__version__"}


def test_torchvision_is_imported_through_one_module() -> None:
    users = {
        path.stem for path in MODULES if any(n.startswith("torchvision") for n in imports(path))
    }
    assert users <= {"vision"}
