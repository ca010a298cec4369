"""How files are written and fetched where something fails or somebody stops it."""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.workspace import workspace_in
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


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Neither is ignored, as a hangup is where the tests themselves run under nohup."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 129)])
def test_a_signal_ends_what_is_fetched_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, code: int, default_signals: None
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]

    def stopped() -> None:
        with workspace_in(DATASETS["cifar10"], tmp_path, print) as workspace:
            (workspace / "half").touch()
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as info:
        stopped()
    assert info.value.code == code
    assert names_in(tmp_path) == [".cifar10.lock"]
    assert handlers == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]


def test_what_is_fetched_under_nohup_does_not_hear_a_hangup(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with workspace_in(DATASETS["cifar10"], tmp_path, print):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_workspace_is_nobody_elses(tmp_path: Path) -> None:
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as first:
        (first / "half").touch()
    first.mkdir()  # what a killed process had started still writes
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as second:
        assert second != first
        assert not first.exists()


def test_what_cannot_be_deleted_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".cifar10.partial-x").touch()  # no folder: `rmtree` refuses it
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as workspace:
        workspace.rmdir()


def test_wandbs_folder_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", "~/elsewhere")
    assert attempts.wandb_folder(Path("results")) == tmp_path / "elsewhere" / "wandb"
    monkeypatch.delenv("WANDB_DIR")
    assert attempts.wandb_folder(Path("results")) == Path("results/wandb")
