"""The package as pip installs it: a wheel, outside a checkout."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from resnet_bench.paths import ROOT
from resnet_bench.suites.suite import suite_names

SMALL = """# Does it run elsewhere?
dataset = "digits"
[recipe]
iterations = 2
batch_size = 16
learning_rate = 0.02
drops = []
padding = 1
flip = false
precision = "ieee"
clean_every = 1
[networks]
depths = [8]
shortcuts = ["A"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the wheel unpacked, as pip does it; others are this machine's."""
    folder = tmp_path_factory.mktemp("wheel")
    source, packages = folder / "source", folder / "site-packages"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in tracked:
        if name.startswith(("resnet_bench/", "analysis/", "experiments/", "pyproject", "README")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True
    )
    with ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    return packages


def run(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RESNET_BENCH")
    }
    environment |= {"PYTHONPATH": str(site), "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_wheel_has_suites_cures_templates_and_the_command(site: Path, tmp_path: Path) -> None:
    listed = run(site, tmp_path, "-m", "resnet_bench", "list")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == suite_names()
    for name in ("experiments/cures/mirrored.py", "resnet_bench/cures/template.toml"):
        assert (site / name).is_file()
    (entry_points,) = site.glob("*.dist-info/entry_points.txt")
    assert "resnet-bench = resnet_bench.__main__:main" in entry_points.read_text()


def test_it_trains_and_draws_a_suite_of_the_users_own(site: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "elsewhere.toml").write_text(SMALL)
    options = ("--device", "cpu", "--wandb", "disabled", "--results", "out")
    sweep = ("-m", "resnet_bench", "--suites", "mine", "sweep", "elsewhere", *options)
    trained = run(site, tmp_path, *sweep)
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "out" / "elsewhere" / "resnet-8-A" / "seed-0" / "summary.json").is_file()
    assert (tmp_path / "resnet_bench" / "digits-decoded").is_dir()  # in the user's cache
    drawn = run(
        site,
        tmp_path,
        "-c",
        "import os; os.environ['RESNET_BENCH_SUITES'] = 'mine'\n"
        "import runpy, sys; sys.argv = ['analysis', 'elsewhere', '--results', 'out']\n"
        "runpy.run_module('analysis', run_name='__main__')",
    )
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "out" / "elsewhere" / "report.html").is_file()
    assert not (site / "data").exists()
