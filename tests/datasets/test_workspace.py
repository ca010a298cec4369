"""The temporary folder of a download: removed at the end, even if a signal ends the process."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.workspace import workspace_in


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
def test_a_signal_ends_a_download_and_leaves_nothing(
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


def test_under_nohup_a_hangup_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with workspace_in(DATASETS["cifar10"], tmp_path, print):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_workspace_has_a_new_name_each_time(tmp_path: Path) -> None:
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as first:
        (first / "half").touch()
    first.mkdir()  # what a killed process had started still writes
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as second:
        assert second != first
        assert not first.exists()


def test_a_leftover_that_cannot_be_deleted_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".cifar10.partial-x").touch()  # no folder: `rmtree` refuses it
    with workspace_in(DATASETS["cifar10"], tmp_path, print) as workspace:
        workspace.rmdir()
