"""The training loops that `make bench` compares on a CPU, each in its own processes."""

import time
from multiprocessing import get_context
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from resnet_bench.datasets.load import load_dataset
from resnet_bench.networks.cifar import CifarNet
from resnet_bench.suites.experiment import Experiment, Run
from resnet_bench.sweeps.group import training_data
from resnet_bench.sweeps.machine import available_cores
from resnet_bench.sweeps.worker import environment_of_workers
from resnet_bench.training.batches import BatchStream
from resnet_bench.training.state import new_state
from resnet_bench.training.step import eager_step

PEER_WORKERS = 2


class Contender(Protocol):
    """A way to train, in processes that wait for the command to do some steps."""

    name: str

    def images_per_second(self, steps: int) -> float: ...

    def close(self) -> None: ...


class _Processes:
    """Processes that each do `steps` steps on command and answer when they are done."""

    def __init__(self, target: Any, count: int, experiment: Experiment) -> None:
        context = get_context("spawn")
        self.batch_size = experiment.recipe.batch_size
        self.pipes = []
        self.processes = []
        for seed in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=target, args=(experiment, seed, theirs))
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv()  # ready

    def images_per_second(self, steps: int) -> float:
        started = time.perf_counter()
        for pipe in self.pipes:
            pipe.send(steps)
        for pipe in self.pipes:
            pipe.recv()
        seconds = time.perf_counter() - started
        return steps * self.batch_size * len(self.pipes) / seconds

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(0)
        for process in self.processes:
            process.join()


class Sweepers(_Processes):
    """Ours, as in a sweep: a single-threaded process for each core."""

    def __init__(self, experiment: Experiment) -> None:
        cores = available_cores()
        self.name = f"ours ({cores} processes, 1 thread each)"
        with environment_of_workers():
            super().__init__(_train_ours, cores, experiment)


class Peers(_Processes):
    """The usual PyTorch loop: a DataLoader with transforms per image, NCHW, eager, all threads."""

    def __init__(self, experiment: Experiment) -> None:
        threads = available_cores()
        self.name = f"peers' (1 process, {threads} threads, {PEER_WORKERS} loaders)"
        super().__init__(_train_as_peers, 1, experiment)


def _train_ours(experiment: Experiment, seed: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    run = Run(experiment, seed)
    data = training_data(experiment, None, torch.device("cpu"))
    state = new_state(run, torch.device("cpu"))
    stream = BatchStream(experiment.recipe, experiment.train_images, seed)
    pipe.send("ready")
    while steps := pipe.recv():
        for _ in range(steps):
            eager_step([state], data.batch(stream.draw(state.iteration)))
            state.iteration += 1
        pipe.send("done")


class PeerDataset(Dataset[tuple[Tensor, int]]):
    """Like torchvision's CIFAR10: an array in memory, a PIL image and transforms per item."""

    def __init__(self, experiment: Experiment) -> None:
        from resnet_bench.datasets.vision import v2

        train, _ = load_dataset(experiment.dataset)
        self.pixels = train.pixels.transpose(0, 2, 3, 1)
        self.labels = train.labels
        self.transform = v2.Compose(
            [
                v2.RandomCrop(experiment.dataset.side, padding=experiment.recipe.padding),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.491, 0.482, 0.447], [0.247, 0.243, 0.262]),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        image = Image.fromarray(self.pixels[index])
        return self.transform(image), int(self.labels[index])


def _train_as_peers(experiment: Experiment, seed: int, pipe: Any) -> None:
    torch.set_num_threads(available_cores())
    recipe = experiment.recipe
    network = CifarNet(experiment.spec, experiment.images).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        network.parameters(),
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    loader = DataLoader(
        PeerDataset(experiment),
        recipe.batch_size,
        shuffle=True,
        num_workers=PEER_WORKERS,
        multiprocessing_context="fork",  # Linux's default, but not in a spawned process
    )
    batches = iter(loader)
    running_loss = 0.0
    pipe.send("ready")
    while steps := pipe.recv():
        for _ in range(steps):
            images, labels = next(batches)
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        pipe.send("done")
