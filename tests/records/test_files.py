"""How files are written where the disk is full or a path is no file."""

import errno
import os
from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.files import append, write_atomically
from resnet_bench.tracking import attempts


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_line_and_is_not_kept_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    message = f"cannot write {path}: No space left on device"
    with pytest.raises(UserError, match=message):
        write_atomically(path, b"new")
    with pytest.raises(UserError, match=message):
        append(path, "more")
    assert names_in(tmp_path) == ["run.json"]
    assert path.read_bytes().startswith(b"old")


def test_a_folder_is_no_file_to_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UserError, match=f"cannot write {folder}: "):
        write_atomically(folder, b"")
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=r"cannot write \.: "):
        write_atomically(Path(), b"")
    assert names_in(tmp_path) == ["folder"]
    assert names_in(folder) == []


def test_wandbs_folder_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", "~/elsewhere")
    assert attempts.wandb_folder(Path("results")) == tmp_path / "elsewhere" / "wandb"
    monkeypatch.delenv("WANDB_DIR")
    assert attempts.wandb_folder(Path("results")) == Path("results/wandb")
