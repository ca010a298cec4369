"""A run of four iterations, in forks of this process: faults at system calls, changed files."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from analysis import load
from resnet_bench.datasets.load import Images, load_dataset
from resnet_bench.errors import UserError
from resnet_bench.records.provenance import new_attempt
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.sweeps import group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.training.state import new_state
from tests.support.evidence import CPU, OTHERS, RUN, flipped
from tests.support.runs_on_disk import stop_at
from tests.support.states import without_times
from tests.torture.faults import Ended, Fault, Kind, in_child
from tests.torture.trials import Trials, fresh

NO_FAULT = Fault()
WORDS = {
    Kind.KILL: "SIGKILL before a system call",
    Kind.TEAR: "SIGKILL within or after a system call",
    Kind.FULL: "the disk is full from a system call on",
    Kind.FAIL: "a system call fails (EIO)",
    Kind.JUMP: "the clock jumps by up to ten years",
}


class Trained:
    """The run as nobody disturbed it, finished and begun, to copy and to compare with."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        torch.set_num_threads(1)
        few = [
            Images(part.pixels[:count], part.labels[:count])
            for part, count in zip(load_dataset(RUN.experiment.dataset), (128, 72), strict=True)
        ]
        group.load_dataset = lambda *_: few  # type: ignore[assignment, attr-defined]
        # What every child would do again; no backward pass, whose threads no child would have.
        group.training_data(RUN.experiment, None, CPU)
        new_attempt(CPU, 1, 0, 0.0)
        new_state(RUN, CPU).optimizer.step()
        self.finished, self.begun = folder / "finished", folder / "begun"
        for run in (RUN, *OTHERS.values()):
            self.calls = self.train(self.finished, Fault(folder=self.finished), run).calls
            self.train(self.begun, NO_FAULT, run, stop=3)
        self.calls = self.train(folder / "counted", Fault(folder=folder / "counted")).calls
        self.expected = self.outcome(self.finished)
        self.rows = [without_times(row) for row in self.directory(self.finished).rows()]

    def directory(self, results: Path) -> RunDirectory:
        return RunDirectory(RUN.directory(results))

    def train(self, results: Path, fault: Fault, run: object = RUN, stop: int = 9) -> Ended:
        machine = Machine(results, "cpu", checkpoint_seconds=0.0)
        results.mkdir(parents=True, exist_ok=True)

        def work() -> None:
            group.run_group([run], machine, stop_at(stop))  # type: ignore[list-item]
            self.directory(results).summary(checkpoint=True)

        return in_child(work, fault, self.folder / "errors")

    def outcome(self, results: Path) -> tuple[object, ...]:
        """Rows, layers and weights, where there are some: what a repetition must give."""
        directory = self.directory(results)
        summary = directory.summary(checkpoint=True)
        assert summary is not None
        weights = {}
        if directory.checkpoint.exists():
            weights = torch.load(directory.checkpoint, weights_only=True)["network"]
        sums = {name: tensor.double().sum().item() for name, tensor in weights.items()}
        rows = [without_times(row) for row in directory.rows()]
        return summary.status, rows, directory.layers_csv.read_bytes(), sums

    def judge(self, ended: Ended, results: Path) -> tuple[str, str]:
        """(how it ended, what is wrong) of a training that had everything it needs."""
        if wrong := ended.wrong():
            return "wrong", wrong
        if ended.code == 2:
            return "one line", ""
        if ended.code:
            return "wrong", ended.in_words()
        *numbers, weights = self.outcome(results)
        *expected, of_weights = self.expected
        if numbers != expected or (weights and weights != of_weights):  # they may be deleted
            return "wrong", "other numbers than undisturbed"
        return "the same bits", ""


def faults(trained: Trained) -> Trials:
    """The faults at every call, in any order; after each the run is trained to its end."""
    rng = trained.rng
    plan = [(kind, call) for kind in WORDS for call in range(1, trained.calls + 1)]
    rng.shuffle(plan)
    plan.sort(key=lambda item: item[0] == Kind.JUMP and item[1] > 10)  # few of these are enough
    for number, (kind, call) in enumerate(plan):
        results = fresh(trained.folder / "faults", number)
        seconds = rng.choice((-1, 1)) * 10 ** rng.randint(1, 8) * 3
        fault = Fault(kind, call, seconds if kind == Kind.JUMP else 0, results)
        ended = trained.train(results, fault)
        end, found = trained.judge(trained.train(results, NO_FAULT), results)
        killed = kind in (Kind.KILL, Kind.TEAR)
        wrong = ended.wrong() or ("not killed" if killed and ended.code != -9 else "")
        if end == "one line":
            found = "the run cannot be resumed"
        found = wrong or found
        yield WORDS[kind], end, found and f"{fault.in_words()}: {found}"
        shutil.rmtree(results)


def changes(rng: random.Random, others: list[Path]) -> dict[str, Callable[[Path], None]]:
    """Ways to change a file, each with its name in the table."""

    def written(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        return lambda path: void(path.write_bytes(change(path.read_bytes())))

    def lines(contents: bytes) -> bytes:
        parts = contents.splitlines(keepends=True)
        place = rng.randrange(len(parts))
        return b"".join(rng.choice((parts[:place] + parts[place + 1 :], parts + parts[place:])))

    def digit(contents: bytes) -> bytes:
        places = [i for i, byte in enumerate(contents) if chr(byte).isdigit()]
        place = rng.choice(places)
        return contents[:place] + rng.choice("0123456789").encode() + contents[place + 1 :]

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def link(path: Path) -> None:
        path.rename(path.with_suffix(".moved"))
        path.symlink_to(rng.choice(others) / path.name)

    return {
        "a bit": written(lambda contents: flipped(contents, rng.randrange(8 * len(contents)))),
        "a digit": written(digit),
        "a line": written(lines),
        "cut off": written(lambda contents: contents[: rng.randrange(len(contents))]),
        "random bytes": written(lambda contents: rng.randbytes(len(contents))),
        "another run's": lambda path: void(shutil.copy(rng.choice(others) / path.name, path)),
        "removed": lambda path: path.unlink(),
        "a pipe": pipe,
        "a link to another run's": link,
    }


def void(_: object) -> None:
    """For a function that is called for what it does."""


def corruptions(trained: Trained) -> Trials:
    """Changes of the files of finished and begun runs; what reads and trains them must notice."""
    rng, number = trained.rng, 0
    while True:
        states = [trained.finished, trained.begun]
        rng.shuffle(states)
        state, other = states
        others = [run.directory(state) for run in OTHERS.values()] + [RUN.directory(other)]
        name, change = rng.choice(list(changes(rng, others).items()))
        results = fresh(trained.folder / "corruptions", number)
        number += 1
        shutil.copytree(RUN.directory(state), RUN.directory(results))
        files = [path for path in RUN.directory(results).iterdir() if path.name != ".lock"]
        path = rng.choice([path for path in sorted(files) if (others[-1] / path.name).exists()])
        before = path.read_bytes()
        change(path)
        what = f"{name}: {path.name} of a {state.name} run"
        found = wrongly_read(trained, results)
        end, wrong = trained.judge(trained.train(results, NO_FAULT), results)
        if end == "the same bits" and state == trained.finished and path.is_file():
            end = "no change" if path.read_bytes() == before else "rewritten, the same bits"
        found = found or wrong
        yield f"files of a {state.name} run changed", end, found and f"{what}: {found}"
        shutil.rmtree(results)


def wrongly_read(trained: Trained, results: Path) -> str:
    """What the analysis takes for a finished run's record, if the run has none such; "" if none."""
    try:
        frame = load.runs(results / "smoke")
    except UserError as error:
        return "" if "no runs in" in str(error) else f"the analysis refuses the suite: {error}"
    frame = frame[(frame["problem"] == "") & (frame["status"] == "finished") & (frame["seed"] == 0)]
    frame = frame[frame["changed"] != ""]
    keys = ["iteration", "precise_train_error", "test_error"]
    read = [[row[key] for key in keys] for row in frame.to_dict("records")]
    same = read in ([], [[row[key] for key in keys] for row in trained.rows])
    return "" if same else "the analysis reads other numbers"
