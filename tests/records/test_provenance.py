"""What a run says of its origin: committed code or not, and torch with its build."""

import subprocess
from pathlib import Path

import pytest
import torch

from resnet_bench import paths
from resnet_bench.records import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout with one module, one suite and one figure."""
    for name in ("resnet_bench/provenance.py", "experiments/digits.toml", "results/figure.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("committed")
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "dirty"),
    [
        ("results/figure.png", False),  # redrawn
        ("notes.txt", False),
        ("resnet_bench/provenance.py", True),
        ("experiments/digits.toml", True),
        ("experiments/mine.toml", True),  # which a checkout of the commit would not have
    ],
)
def test_what_decides_a_result_is_what_makes_a_checkout_dirty(
    checkout: Path, changed: str, dirty: bool
) -> None:
    commit, clean = provenance._commit.__wrapped__()
    assert commit is not None
    assert len(commit) == 40
    assert clean is False
    (checkout / changed).write_text("changed")
    assert provenance._commit.__wrapped__() == (commit, dirty)


def test_outside_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert provenance._commit.__wrapped__() == (None, None)


def test_torchs_build_is_named_where_its_package_does_not_say_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyPI's CUDA wheel of 2.13.0 is 2.13.0 to pip, and 2.13.0+cu130 to itself."""
    monkeypatch.setattr(provenance, "version", lambda _: "2.13.0")
    monkeypatch.setattr(torch, "__version__", "2.13.0+cu130")
    versions = provenance._versions.__wrapped__()
    assert versions["torch"] == "2.13.0+cu130"
    assert versions["torchvision"] == "2.13.0"
