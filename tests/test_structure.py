"""Imports point down only, between the packages and within them; read from the source."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from resnet_bench.paths import ROOT

# A package or module may import those in earlier rows; within a package no circle is allowed.
RESNET_BENCH = (
    ("", "errors"),
    ("paths", "locks", "streams"),
    ("datasets",),
    ("suites",),
    ("records",),
    ("networks",),
    ("cures",),
    ("training", "tracking"),
    ("gpu",),
    ("sweeps",),
    ("launchers",),
    ("witness", "benchmarks"),
    ("gpu_check",),
    ("commands",),
    ("__main__",),
)
ANALYSIS = (
    ("formatting",),
    ("frames",),
    ("load", "fidelity"),
    ("command",),
    ("verdict", "verify", "compare"),
    ("plotting",),
    ("signals", "witness", "cures"),
    ("figures",),
    ("catalogue",),
    ("results", "notebook"),
    ("", "report"),
    ("__main__",),
)
# What the analysis may read of the benchmark: nothing that needs torch.
ANALYSIS_MAY_IMPORT = {
    "errors",
    "paths",
    "streams",
    "datasets.definitions",
    "suites",
    "records",
    "networks.sizes",
    "training.schedule",
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


def module_name(path: Path) -> str:
    """The module's full name: `resnet_bench.gpu.lockstep`, or `resnet_bench.gpu` for a package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {
    module_name(path): path
    for package in ("resnet_bench", "analysis")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def package_of(module: str) -> str:
    """The package or module right below the top level: `gpu`; "" for the top level itself."""
    return f"{module}.".split(".")[1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    rows = RESNET_BENCH if name.startswith("resnet_bench") else ANALYSIS
    level = {package: index for index, row in enumerate(rows) for package in row}
    top, own = name.partition(".")[0], package_of(name)
    for imported in imports(MODULES[name]) & MODULES.keys():
        if imported.partition(".")[0] == top and imported != top and package_of(imported) != own:
            assert level[package_of(imported)] < level[own], f"{name} imports {imported}"
        assert top == "analysis" or not imported.startswith("analysis")


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {name: imports(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    list(TopologicalSorter(arrows).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("analysis")])
def test_the_analysis_reads_results_only(name: str) -> None:
    for imported in imports(MODULES[name]):
        package = imported.partition(".")[0]
        assert package not in ("torch", "torchvision", "wandb"), f"{name} imports {imported}"
        if package == "resnet_bench" and imported in MODULES.keys() - {"resnet_bench"}:
            below = imported.removeprefix("resnet_bench.")
            assert {below, package_of(imported)} & ANALYSIS_MAY_IMPORT or any(
                allowed.startswith(f"{below}.") for allowed in ANALYSIS_MAY_IMPORT
            ), f"{name} imports {imported}"


def test_torchvision_is_imported_through_one_module() -> None:
    users = {
        name
        for name, path in MODULES.items()
        if any(imported.startswith("torchvision") for imported in imports(path))
    }
    assert users == {"resnet_bench.datasets.vision"}


PACKAGES = [name for name, path in MODULES.items() if path.stem == "__init__" and "." in name]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_at_most_ten_modules_and_a_line_that_says_what_it_is_for(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    assert len(tree.body) == 1  # nothing is re-exported
    assert "\n" not in (ast.get_docstring(tree) or "\n")
    assert len([other for other in MODULES if other.startswith(f"{name}.")]) <= 10
