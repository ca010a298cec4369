"""How files are written where the disk is full or a path is no file."""

import errno
import os
from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.files import append, read, write_atomically
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


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"kept")
    link.symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    for path in (link, tmp_path / "pipe", Path("/dev/full")):
        with pytest.raises(UserError, match=f"cannot write {path}: it is not a regular file"):
            write_atomically(path, b"new")
    assert target.read_bytes() == b"kept"
    assert link.is_symlink()
    assert names_in(tmp_path) == ["link", "pipe", "target"]


def test_what_is_not_whole_yet_has_a_name_that_nobody_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    (tmp_path / "run.json.tmp").symlink_to(target)
    used: list[str] = []
    fsync = os.fsync

    def note(file: int) -> None:
        used.extend(names_in(tmp_path))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    for _ in range(2):
        write_atomically(tmp_path / "run.json", b"new")
    assert target.read_bytes() == b"kept"
    temporary = {name for name in used if name.startswith(".")}
    assert len(temporary) == 2
    assert names_in(tmp_path) == ["run.json", "run.json.tmp", "target"]


def test_a_pipe_is_no_file_to_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("run.json", "endless"):
        with pytest.raises(UserError, match=f"{name}: cannot be read: not a regular file"):
            read(tmp_path / name)
    assert read(tmp_path / "none") is None


def test_wandbs_folder_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", "~/elsewhere")
    assert attempts.wandb_folder(Path("results")) == tmp_path / "elsewhere" / "wandb"
    monkeypatch.delenv("WANDB_DIR")
    assert attempts.wandb_folder(Path("results")) == Path("results/wandb")
