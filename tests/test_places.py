"""Where people run it: no home, no locks, closed streams, links, folders that may not be read."""

import errno
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import command as analysis_command
from analysis import load
from analysis.report.publish import publish
from resnet_bench.errors import UserError
from resnet_bench.locks import why_unlocked
from resnet_bench.paths import ROOT
from resnet_bench.records.files import find_paths
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.tracking.environment import choose_mode, has_credentials
from tests.support.calls import Call
from tests.support.results import Options, edit_description, write_suite
from tests.support.wandb_runs import inspect, record, run_of, start, summary
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture

DENIED = PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user with no entry in passwd."""

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


def test_without_a_home_a_tilde_is_named_and_no_login_is_found(
    call: Call, wandb_environment: None, no_home: None
) -> None:
    assert not has_credentials()
    assert choose_mode() == "offline"
    for arguments in (["data", "digits", "--data-dir", "~/x"], ["status", "--results", "~/x"]):
        answer = call(*arguments)
        assert answer.code == 2
        assert answer.errors == "error: ~/x: no home folder is known; set HOME\n"


def test_without_a_home_wandb_logs_all_the_same(
    tmp_path: Path, wandb_environment: None, no_home: None, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = start(run_of("plain-8"), tmp_path / "smoke", "an-id")
    tracker.log(record(1))
    tracker.finish(summary())
    assert capfd.readouterr() == ("", "")
    assert len(inspect(tmp_path / "smoke", "an-id")) == 1


def test_a_home_that_may_not_be_entered_has_no_login(
    wandb_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path) -> bool:
        raise DENIED

    monkeypatch.setattr(Path, "exists", deny)
    assert not has_credentials()


def test_a_tilde_is_the_home_and_an_empty_variable_is_the_default(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"no runs in {tmp_path}/x yet" in call("status", "--results", "~/x").output
    parser = analysis_command.parser("analysis", "")
    assert parser.parse_args(["digits", "--results", "~/x"]).results == tmp_path / "x"
    monkeypatch.setenv("RESNET_BENCH_RESULTS", "")
    parser = analysis_command.parser("analysis", "")
    assert parser.parse_args(["digits"]).results == Path("results")
    monkeypatch.chdir(tmp_path)
    assert "no runs in results yet" in call("status").output


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_and_a_run_trained(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    assert why_unlocked(tmp_path) == ""
    monkeypatch.setattr(fcntl, "flock", flock)
    assert "cannot be locked: start no second sweep there" in why_unlocked(tmp_path)
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    with locked(directory):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_lock_of_another_user_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object, **__: object) -> None:
        raise DENIED

    directory = RunDirectory(tmp_path)
    monkeypatch.setattr("filelock.FileLock.acquire", deny)
    with (
        pytest.raises(UserError, match=r"\.lock: cannot be opened: Permission denied"),
        locked(directory),
    ):
        pass


def test_closed_streams_lead_nowhere_and_into_no_file(tmp_path: Path) -> None:
    """Else the next files that are opened, a run's, would take their places."""
    options = f"--device cpu --wandb disabled --results {tmp_path}"
    line = f"{sys.executable} -m resnet_bench run smoke/plain-8 {options} 2>&- >&- <&-"
    assert subprocess.run(["sh", "-c", line], cwd=ROOT, check=False).returncode == 0
    directory = RunDirectory(tmp_path / "smoke" / "plain-8" / "seed-0")
    assert directory.status() == "finished"
    assert len(directory.rows()) == 2
    line = f"{sys.executable} -m analysis.verdict smoke --results {tmp_path} 2>&- >&-"
    assert subprocess.run(["sh", "-c", line], cwd=ROOT, check=False).returncode == 0


def deny_listing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for another user's folder of mode 0700; the tests may run as root, who reads all."""
    listdir = os.listdir

    def deny(path: str | Path) -> list[str]:
        if Path(path) == folder:
            raise DENIED
        return listdir(path)

    monkeypatch.setattr(os, "listdir", deny)


@pytest.mark.parametrize("below", [".", "plain-8", "plain-8/seed-0"])
def test_what_may_not_be_read_does_not_count_as_missing(
    below: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_suite(tmp_path, "smoke")
    whole = call("status", "smoke", "--results", str(tmp_path)).output
    deny_listing(folder / below, monkeypatch)
    with pytest.raises(UserError, match=f"{folder / below}: cannot be read: Permission denied"):
        load.runs(folder)
    if below != "plain-8/seed-0":
        answer = call("status", "smoke", "--results", str(tmp_path))
        assert f"{folder / 'plain-8'}: cannot be read" in answer.output or below == "."
        assert "left out" in call("status", "--results", str(tmp_path)).output
    assert "cannot be read" not in whole


def test_paths_are_found_as_glob_finds_them(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke", Options(seeds=(0, 1)))
    (folder / "wandb").mkdir()
    (folder / "seed-0").touch()
    for pattern in ("*/seed-*/run.json", "seed-*", "*/seed-1", "no/*"):
        assert find_paths(folder, pattern) == sorted(folder.glob(pattern))
    assert find_paths(tmp_path / "none", "*") == []


def test_results_behind_links_are_taken_into_the_reference_whole(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "disk", "smoke", Options(partial={"resnet-8-A/0": 0.5}))
    network = folder / "plain-8"
    network.rename(tmp_path / "elsewhere")
    network.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "smoke").symlink_to(folder)
    target = tmp_path / "reference" / "smoke"
    assert publish(tmp_path / "smoke", target) == 5  # of six, one of them partial
    taken = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    assert Path("plain-8/seed-0/epochs.csv") in taken
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {path.name for path in taken} == {"run.json", "epochs.csv", "summary.json"}
    assert not any(path.is_relative_to("resnet-8-A") for path in taken)
    with pytest.raises(UserError, match="no ended run"):
        publish(tmp_path / "none", target)


def test_the_reference_takes_no_damaged_run_and_replaces_none(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "smoke")
    target = tmp_path / "reference" / "smoke"
    publish(folder, target)
    edit_description(folder / "plain-8" / "seed-0", dataset="fashion")  # trained again, say
    before = (target / "plain-8/seed-0/run.json").read_bytes()
    with pytest.raises(UserError, match=r"has another run\.json and summary\.json than .*: left"):
        publish(folder, target)
    assert (target / "plain-8/seed-0/run.json").read_bytes() == before
    (folder / "plain-8" / "seed-0" / "epochs.csv").write_text("")
    with pytest.raises(UserError, match=r"damaged: epochs\.csv is not what the run wrote"):
        publish(folder, target)


@pytest.mark.parametrize("what", ["a link that leads nowhere", "a file"])
def test_a_folder_that_cannot_be_made_is_named_with_the_reason(
    what: str, call: Call, tmp_path: Path, offline: None
) -> None:
    place = tmp_path / "place"
    if what == "a file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=f"{place} is {what}"):
        RunDirectory(place / "smoke" / "plain-8" / "seed-0").create()
    answer = call("data", "cifar10", "--data-dir", str(place))
    assert answer.code == 2
    assert f"{place} is {what}" in answer.errors


@pytest.mark.parametrize("complete", [True, False])
def test_make_offers_to_keep_an_environment_only_if_it_is_complete(
    complete: bool, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n[ $1 = -c ] && exit {int(not complete)}\nexit 1\n")
    python.chmod(0o755)
    result = subprocess.run(
        ["make", "list", "PYTHON=true"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert ("touch .venv/.ready" in result.stdout) == complete


def test_make_names_its_shell_to_a_sweep() -> None:
    command = ["make", "-n", "-o", ".venv/.ready", "sweep", "SUITE=smoke"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "RESNET_BENCH_SHELL=$$ .venv/bin/python -m resnet_bench sweep" in printed
