"""Sweeps by the real command: killed, two at once, under low limits, on odd machines."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from resnet_bench.paths import ROOT
from resnet_bench.records.run_directory import RunDirectory
from tests.support.states import without_times
from tests.torture.faults import HANG_SECONDS, Ended, Fault, Kind
from tests.torture.trials import Trials, fresh

NETWORKS = ("plain-8", "resnet-8-A")
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGKILL: -9}
NOBODY = 54321  # a user id that no passwd has


@dataclass(frozen=True)
class Place:
    """A machine that is odd in one way: how a command is started there."""

    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: not set
    begin: Callable[[], object] = lambda: None  # in the process, before the command
    ends: tuple[int, ...] = (0,)  # exit codes


def start(results: Path, place: Place, *command: str) -> subprocess.Popen[str]:
    """A command with its results, in a process group of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    environment |= {"PYTHONPATH": str(ROOT), "RESNET_BENCH_DATA": str(results.parent / "data")}
    changed = {**environment, **place.environment}
    return subprocess.Popen(
        [sys.executable, "-m", *command, "--results", str(results)],
        cwd=ROOT, env={key: value for key, value in changed.items() if value is not None},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=place.begin,
    )  # fmt: skip


def sweep(results: Path, place: Place, *options: str) -> subprocess.Popen[str]:
    only = [word for name in NETWORKS for word in ("--only", name)]
    common = ("--device", "cpu", "--wandb", "disabled", "--workers", "2")
    return start(results, place, "resnet_bench", "sweep", "smoke", *only, *common, *options)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command; one that hangs is killed."""
    try:
        _, errors = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Ended(-signal.SIGALRM, process.communicate()[1])
    return Ended(process.returncode, errors)


def rows(results: Path) -> list[list[dict[str, object]]]:
    """The records of the finished runs, without their times."""
    found = []
    for name in NETWORKS:
        directory = RunDirectory(results / "smoke" / name / "seed-0")
        finished = directory.summary(checkpoint=True) is not None
        found.append([without_times(row) for row in directory.rows()] if finished else [])
    return found


def trials(folder: Path, rng: random.Random) -> Trials:
    """All kinds in turn, in any order, again and again."""
    home = folder / "home"
    usual = Place()
    undisturbed = ended(sweep(home / "results", usual))
    expected = rows(home / "results")
    assert undisturbed.code == 0, undisturbed.errors
    kinds: list[Callable[[Path], Iterator[tuple[str, str, str]]]] = [
        lambda results: interrupted(results, rng),
        lambda results: two_at_once(results, rng),
        lambda results: limited(results, rng),
    ]
    kinds += [partial(on, what=what, place=place) for what, place in places(folder).items()]
    number = 0
    while True:
        rng.shuffle(kinds)
        for kind in kinds:
            results = fresh(folder / "sweeps", number) / "results"
            shutil.copytree(home / "data", results.parent / "data", dirs_exist_ok=True)
            results.parent.chmod(0o777)
            number += 1
            for what, end, found in kind(results):
                again = ended(sweep(results, usual))
                wrong = again.wrong()
                if not wrong and (again.code or rows(results) != expected):
                    wrong = f"then exit code {again.code}, or other numbers than undisturbed"
                yield what, end, found or wrong
            shutil.rmtree(results.parent)


def interrupted(results: Path, rng: random.Random) -> Trials:
    """A signal to the whole group at a moment of any kind; the same command goes on."""
    number = rng.choice(list(STOPPED))
    process = sweep(results, Place())
    moment = rng.uniform(0, 15)
    time.sleep(moment)
    if process.poll() is None:
        os.killpg(process.pid, number)
    end = ended(process)
    wrong = end.wrong()
    if not wrong and end.code not in (0, STOPPED[number]):
        wrong = end.in_words()
    where = f"{number.name} after {moment:.1f} s: "
    yield "a signal to a sweep at any moment", number.name, wrong and where + wrong


def two_at_once(results: Path, rng: random.Random) -> Trials:
    """Two sweeps in one folder; one of them may be killed."""
    one = sweep(results, Place())
    time.sleep(rng.uniform(0, 3))
    other = sweep(results, Place())
    if killed := rng.random() < 0.5:
        time.sleep(rng.uniform(0, 10))
        os.killpg(one.pid, signal.SIGKILL)
    ends = [ended(other)] + ([] if killed else [ended(one)])
    if killed:
        one.communicate()
    wrong = "".join(end.wrong() for end in ends)
    codes = [end.code for end in ends]
    if not wrong and (0 not in codes or not set(codes) <= {0, 75}):
        wrong = f"exit codes {codes}"
    yield "two sweeps in one folder", "one killed" if killed else "shared", wrong


def limited(results: Path, rng: random.Random) -> Trials:
    """Few file handles, or small files."""
    files = rng.random() < 0.5
    kind = resource.RLIMIT_NOFILE if files else resource.RLIMIT_FSIZE
    limit = rng.randint(12, 64) if files else rng.randint(0, 600_000)
    place = Place(begin=lambda: resource.setrlimit(kind, (limit, limit)))
    end = ended(sweep(results, place))
    wrong = end.wrong() or ("" if end.code in (0, 2) else end.in_words())
    what = f"at most {limit} {'open files' if files else 'bytes a file'}: "
    yield "low limits", "done" if end.code == 0 else "one line", wrong and what + wrong


def places(folder: Path) -> dict[str, Place]:
    """Machines that are odd in one way each."""
    preload = {"LD_PRELOAD": os.environ["LD_PRELOAD"]}
    full = folder / "full"
    full.mkdir()
    found = {
        "no HOME": Place({"HOME": None}),
        "HOME that cannot be written": Place({"HOME": "/proc"}),
        "TMPDIR full": Place(
            {"TMPDIR": str(full)} | preload | Fault(Kind.FULL, 1, 0, full).environment()
        ),
        "TMPDIR that is not there": Place({"TMPDIR": str(folder / "none")}),
        "umask 077": Place(begin=lambda: os.umask(0o077)),
        "LC_ALL=C": Place({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}),
        "a clock that jumps back": Place(
            preload | Fault(Kind.JUMP, 20, -(10**6), folder / "sweeps").environment()
        ),
        "results on a full disk": Place(
            preload | Fault(Kind.FULL, 40, 0, folder / "sweeps").environment(), ends=(2,)
        ),
    }
    with contextlib.suppress(OSError):  # Python may lie where another user may not go
        become = partial(os.setuid, NOBODY)
        subprocess.run([sys.executable, "-c", ""], check=True, preexec_fn=become)
        found["a user without passwd entry"] = Place({"HOME": None}, become)
    return found


def on(results: Path, what: str, place: Place) -> Trials:
    """A sweep and its figures, on an odd machine."""
    end = ended(sweep(results, place))
    wrong = end.wrong() or ("" if end.code in place.ends else end.in_words())
    if not wrong and end.code == 0:
        drawn = ended(start(results, place, "analysis", "smoke"))
        wrong = drawn.wrong() or (f"figures: {drawn.in_words()}" if drawn.code else "")
    yield what, "done" if end.code == 0 else "one line", wrong
