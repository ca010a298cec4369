"""A group that is trained away from its results, and the desk that its files go home to."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.errors import UserError
from resnet_bench.launchers import away
from resnet_bench.launchers.away import train_away
from resnet_bench.launchers.desk import ORDER, Desk
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps import worker
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.tracking import thread
from tests.support.runs_on_disk import assert_same, stop_at


class Calls:
    """Asks a desk without anything in between, and keeps what was sent."""

    def __init__(self, machine: Machine) -> None:
        self.desk = Desk(machine)
        self.sent: list[list[str]] = []  # the names of the files, one list an exchange

    def __call__(self, method: str, *arguments: Any) -> Any:
        if method == "exchange":
            self.sent.append([Path(name).name for name in arguments[1]])
        return getattr(self.desk, method)(*arguments)


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a task changes in its process."""
    handlers = {number: signal.getsignal(number) for number in worker.SIGNALS}
    monkeypatch.setattr(thread, "_warning_sink", None)
    monkeypatch.setattr(away, "EXCHANGE_SECONDS", 0.01)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_task_leaves_at_home_is_what_a_process_here_leaves(
    runs: list[Run], machine: Machine, tmp_path: Path
) -> None:
    ask, here = Calls(machine), Machine(tmp_path / "here", "cpu")
    ended = train_away(ask, machine, runs, {})
    assert [end.status for end in ended] == ["finished", "finished"]
    for run in runs:
        run_group([run], here)
        assert_same(run, machine, here)
        assert names_in(run.directory(machine.results)) == names_in(run.directory(here.results))
        assert RunDirectory(run.directory(machine.results)).summary(checkpoint=True)
    assert sum("epochs.csv" in names for names in ask.sent) > 1  # as rows were written
    for names in ask.sent:
        places = [ORDER.index(name) for name in names if name in ORDER]
        assert places == sorted(places, reverse=True)
    assert {report.status for report in ask.desk.take([False] * 3)} >= {"training", "finished"}


def test_a_task_goes_on_from_what_is_at_home(
    runs: list[Run], machine: Machine, tmp_path: Path
) -> None:
    here = Machine(tmp_path / "here", "cpu")
    run_group(runs[:1], machine, stop_at(30))
    train_away(Calls(machine), machine, runs[:1], {})
    run_group(runs[:1], here)
    assert_same(runs[0], machine, here)
    description = RunDirectory(runs[0].directory(machine.results)).description()
    assert description is not None
    assert [attempt["first_iteration"] for attempt in description["attempts"]] == [0, 30]


def test_a_run_that_another_process_holds_is_not_trained(runs: list[Run], machine: Machine) -> None:
    directory = RunDirectory(runs[0].directory(machine.results))
    directory.create()
    with locked(directory):
        held, other = (
            {end.run: end.status for end in train_away(Calls(machine), machine, runs, {})}[run]
            for run in runs
        )
    assert (held, other) == ("elsewhere", "finished")
    assert not directory.run_json.exists()


def test_an_earlier_try_that_is_still_alive_changes_nothing(
    runs: list[Run], machine: Machine
) -> None:
    desk = Desk(machine)
    desk.begin("first", runs)
    desk.begin("second", runs)
    path = runs[0].directory(machine.results) / "epochs.csv"
    name = str(path.relative_to(machine.results))
    assert desk.exchange("first", {name: b"old"}, [], last=True) == [True] * 3
    assert not path.exists()
    assert desk.exchange("second", {name: b"new"}, [], last=False) == [False] * 3
    assert path.read_bytes() == b"new"
    with pytest.raises(UserError, match="another process"), locked(RunDirectory(path.parent)):
        pass
    desk.exchange("second", {}, [], last=True)
    with locked(RunDirectory(path.parent)):
        assert desk.exchange("second", {name: b"late"}, [], last=False) == [True] * 3


def test_files_that_cannot_be_written_at_home_stop_the_training(
    runs: list[Run], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Calls(machine)
    machine.results.mkdir()
    monkeypatch.setattr(ask.desk, "exchange", lambda *_: 1 / 0 if ask.sent[1:] else [False] * 3)
    with pytest.raises(ZeroDivisionError):
        train_away(ask, machine, runs, {})


def test_a_mistake_is_told_with_the_path_at_home(runs: list[Run], machine: Machine) -> None:
    directory = RunDirectory(runs[0].directory(machine.results))
    run_group(runs[:1], machine, stop_at(30))
    directory.epochs_csv.unlink()
    (end,) = train_away(Calls(machine), machine, runs[:1], {})
    assert end.status == "failed"
    assert str(directory.epochs_csv) in end.mistake
