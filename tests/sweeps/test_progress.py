"""What a sweep shows of its runs, and how its workers hear that they should stop."""

import contextlib
import io
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from resnet_bench.networks.cifar import CifarNet
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.pool import Pool
from resnet_bench.sweeps.progress import Outcome, Progress, measured_images, work, work_done
from resnet_bench.sweeps.shared import signals_held_back
from resnet_bench.sweeps.worker import SIGNALS, Worker
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.loop import train
from tests.support.states import data_of, states_of

MACHINE = Machine(results=Path("results"), device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "+records_per_epoch=3",
        "+clean_every=2+iterations=80",
        "+last_batch=drop+precise_batches=5",
        "+train_images=1200",
        "+batch_size=1437+drops=[1]+iterations=3",
    ],
)
def test_every_image_that_is_measured_is_foreseen(
    settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted as they pass through the network, but for those of the training."""
    (state,) = states_of("smoke/plain-8" + settings)
    experiment = state.run.experiment
    seen = 0
    forward = CifarNet.forward

    def count(self: CifarNet, images: Any) -> Any:
        nonlocal seen
        seen += len(images)
        return forward(self, images)

    monkeypatch.setattr(CifarNet, "forward", count)
    stream = BatchStream(experiment.recipe, experiment.train_images, 0)
    for record, _ in enumerate(train([state], stream, data_of(experiment)), start=1):
        assert state.measured == measured_images(state.run, record)
    assert record == state.schedule.records()
    trained = experiment.recipe.batch_size * experiment.recipe.iterations
    assert seen == trained + state.measured
    assert work(state.run) == work_done(state.run, experiment.recipe.iterations, state.measured)


def bar_after(*reports: Progress) -> Any:
    """The bar of a sweep of the reports' runs, after them."""
    runs = list(dict.fromkeys(report.run for report in reports))
    pool = Pool([[run] for run in runs], MACHINE, ["cpu"], None, Outcome())
    with tqdm(total=sum(map(work, runs)), disable=False, file=io.StringIO()) as bar:
        for report in reports:
            pool._show(report, bar)
    return bar


def test_the_bar_counts_training_and_measuring_and_is_full_at_the_end() -> None:
    new, resumed, broken = (Run(find_experiment("smoke/plain-8"), seed) for seed in range(3))
    whole = measured_images(new, 2)
    per_image = work_done(new, 0, 1)
    bar = bar_after(Progress(new, 0, "training"), Progress(new, 23, "measuring", 360))
    assert (bar.n, bar.total) == (per_image * (3 * 64 * 23 + 360), work(new))
    bar = bar_after(
        Progress(new, 0, "training"),
        Progress(resumed, 23, "measuring", 360),  # an earlier attempt's work is no part of the bar
        Progress(broken, 0, "training"),
        Progress(new, 30, "finished", whole),
        Progress(resumed, 30, "finished", whole),
        Progress(broken, 5, "diverged"),
    )
    assert bar.n == bar.total == 2 * work(new) - work_done(new, 23, 360)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_breaks_off_what_is_measured(number: signal.Signals) -> None:
    pool = Pool([], MACHINE, ["cpu"], None, Outcome())
    with pool._signals():
        os.kill(os.getpid(), number)
    assert pool.signal is not None
    assert not pool.stop.is_set()  # a handler that takes locks could wait for its own process
    pool._interrupt(pool.signal[0])
    assert pool.stop.is_set()
    assert pool.interrupt_evaluation.is_set()
    assert pool.outcome.interrupted_by == number


def test_a_second_signal_kills_unless_it_is_the_first_ones_echo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    clock = itertools.count(100.0, 0.4)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    pool = Pool([], MACHINE, ["cpu"], None, Outcome())
    with pool._signals():
        for _ in range(3):  # at 0, 0.4 and 0.8 s
            os.kill(os.getpid(), signal.SIGTERM)
        assert left == []
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [130]
    assert pool.signal == (signal.SIGTERM, 100.0)


def test_processes_begin_withsignals_held_back() -> None:
    held = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    with signals_held_back():
        run = subprocess.run([sys.executable, "-c", held], capture_output=True, text=True)
    expected = sorted(SIGNALS)
    assert run.stdout == f"{expected}\n"
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_a_reader_who_left_stops_the_sweep_and_gets_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Pipe(io.StringIO):
        closed_there = False

        def write(self, text: str) -> int:
            if self.closed_there:
                raise BrokenPipeError
            return super().write(text)

    pool, pipe = Pool([], MACHINE, ["cpu"], None, Outcome()), Pipe()
    bar = tqdm(total=10, disable=False, file=pipe)
    pipe.closed_there = True
    monkeypatch.setattr(sys, "stdout", pipe)
    pool.reports.put("warning: a line")
    assert pool._show_next(bar, wait=30)
    bar.close()
    assert bar.disable
    assert pool.outcome.exit_code() == 75


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep's processes are asked for and never begin."""

    class Executor(contextlib.nullcontext[Any]):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__(self)

        def submit(self, *_: object) -> Future[Any]:
            return Future()

    monkeypatch.setattr("resnet_bench.sweeps.shared.ProcessPoolExecutor", Executor)


@pytest.mark.parametrize(
    ("ends", "code"),
    [(("finished", "finished"), 0), (("finished", "diverged"), 3), (("finished", "stopped"), 75)],
)
def test_a_limit_that_was_enough_is_no_stop(
    ends: tuple[Any, Any], code: int, no_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [Run(find_experiment("smoke/plain-8"), seed) for seed in range(2)]

    def out_of_time(pool: Pool, *_: object) -> None:
        pool.outcome.out_of_time = True
        pool.outcome.ended = [Progress(r, 30, end) for r, end in zip(runs, ends, strict=True)]

    monkeypatch.setattr(Pool, "_follow", out_of_time)
    pool = Pool([[run] for run in runs], MACHINE, ["cpu"], None, Outcome())
    pool.run()
    assert pool.outcome.exit_code() == code


def test_a_mistake_in_the_parent_ends_the_workers(
    no_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pool, "_follow", mistaken)
    pool = Pool([], MACHINE, ["cpu"], None, Outcome())
    with pytest.raises(ZeroDivisionError):
        pool.run()
    assert all(event.is_set() for event in (pool.stop, pool.interrupt_evaluation, pool.abort))


def test_a_worker_hears_of_time_at_safe_points_and_of_signals_always() -> None:
    stop, interrupt_evaluation, abort = (threading.Event() for _ in range(3))
    worker = Worker(MACHINE, stop, interrupt_evaluation, abort, queue.Queue(), parent=0)
    run = Run(find_experiment("smoke/plain-8"), 0)
    training, measuring = (
        [Progress(run, 23, "training")],
        [Progress(run, 23, "measuring", 360)],
    )
    assert worker.on_progress(training)
    assert worker.on_progress(measuring)
    stop.set()  # out of time
    assert not worker.on_progress(training)
    assert worker.on_progress(measuring)
    interrupt_evaluation.set()  # Ctrl-C or SIGTERM
    assert not worker.on_progress(measuring)
    interrupt_evaluation.clear()
    assert worker.should_run
    abort.set()  # another worker was killed
    assert not worker.should_run
    abort.clear()
    worker.alone = True  # the parent was killed
    assert not worker.on_progress(measuring)
    assert not worker.should_run


def test_the_lines_of_a_sweep_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("digits/plain-20", "digits/resnet-56-A+learning_rate=0.005")
    ended = [Progress(Run(find_experiment(name), 0), 7, "diverged") for name in names]
    pool = Pool([[end.run] for end in ended], MACHINE, ["cpu"], None, Outcome())
    with tqdm(total=1.0, disable=False, file=io.StringIO()) as bar:
        for end in ended:
            pool._show(end, bar)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("plain-20 seed 0  ")
    assert second == "resnet-56-A+learning_rate=0.005 seed 0   diverged at iteration 7"
    assert first.index("diverged") == second.index("diverged")
