"""The steps of many runs side by side on one GPU, each as a CUDA graph.

A small network at batch 128 is hundreds of kernels of a few microseconds each, so that a GPU
waits for Python. Here each run's captured step is replayed with one call. Runs are packed in
lanes, one stream for each lane, which run at the same time. A lane copies each batch from a place
that all lanes read. With one place, all lanes wait for the slowest after every step; with a ring
of places, lanes may be some batches apart, and whoever looks at a state waits for the GPU first.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from resnet_bench.gpu.captured_step import CapturedStep
from resnet_bench.gpu.casts import forward_with_shared_casts
from resnet_bench.gpu.cuda_graphs import Capture, Stream, capture_graph
from resnet_bench.gpu.evaluation import LaneEvaluation
from resnet_bench.gpu.setting import Speedup
from resnet_bench.training.loop import Measure, measure_scores
from resnet_bench.training.precision import wait_for
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch, forward

RING = 4  # places for batches


@dataclass
class Place:
    """Where a batch lies until all lanes have copied it."""

    batch: Batch
    copied: list[Any] = field(default_factory=list)  # an event for each lane


class LaneStep:
    """A `Step`: the captured steps of the states that are due, lanes side by side.

    Batches of another size than the recipe's (the "short" policy) and `graphs=False` run eagerly
    in the same lanes. All states have one batch size; each keeps its lane. `measure` is what makes
    the records of these states. The speedups change no bit.
    """

    def __init__(
        self,
        states: Sequence[TrainingState],
        *,
        lanes: int | None = None,
        graphs: bool = True,
        speedups: Collection[Speedup] = (),
        capture: Capture = capture_graph,
    ) -> None:
        forwards = forward_with_shared_casts if "casts" in speedups else forward
        steps = [CapturedStep.of(state, forwards) for state in states]
        lengths = [chain_length(state.network) for state in states]
        count = lanes or (fewest_lanes(lengths) if graphs else 1)
        self.device = states[0].device
        self.batch_size = states[0].recipe.batch_size
        self.graphs = graphs
        self.speedups = tuple(speedups) if graphs else ()
        self.capture = capture
        self.lanes = [[steps[index] for index in lane] for lane in pack(lengths, count)]
        self.device_module = torch.get_device_module(self.device)
        self.streams: list[Stream] = [self.device_module.Stream(self.device) for _ in self.lanes]
        self.batches: list[Batch] = []  # of each lane: the tensors that its graphs read
        self.places: list[Place] = []
        self.measure: Measure = measure_scores
        if "evaluation" in self.speedups:
            members = [[step.state for step in lane] for lane in self.lanes]
            self.measure = LaneEvaluation(members, capture)

    def __call__(self, states: Sequence[TrainingState], batch: Batch) -> None:
        due = {id(state) for state in states}
        lanes = [[step for step in lane if id(step.state) in due] for lane in self.lanes]
        if self.graphs and len(batch[1]) == self.batch_size:
            self._run(lanes, self._placed(batch))
        else:
            self._run_eagerly(lanes, batch)

    def _placed(self, batch: Batch) -> Place:
        """The batch in the next place of the ring, once all lanes have copied what was there."""
        if not self.places:
            count = RING if "ring" in self.speedups else 1
            self.places = [Place(_like(batch)) for _ in range(count)]
            self.batches = [_like(batch) for _ in self.lanes]
        place = self.places.pop(0)
        self.places.append(place)
        current = self.device_module.current_stream(self.device)
        while place.copied:
            current.wait_event(place.copied.pop())
        _copy(batch, place.batch)
        return place

    def _run(self, lanes: Sequence[Sequence[CapturedStep]], place: Place) -> None:
        def replay(number: int, steps: Sequence[CapturedStep], stream: Stream) -> None:
            _copy(place.batch, self.batches[number])
            place.copied.append(stream.record_event())
            for step in steps:
                step.train(self.batches[number], stream, self.capture)

        self._in_lanes(lanes, replay, join="ring" not in self.speedups)

    def _run_eagerly(self, lanes: Sequence[Sequence[CapturedStep]], batch: Batch) -> None:
        def step(_: int, steps: Sequence[CapturedStep], __: Stream) -> None:
            for step in steps:
                step.rate.set(learning_rate_at(step.state.iteration, step.state.recipe))
                step.eager(batch)

        self._in_lanes(lanes, step, join=True)  # they read the batch itself

    def _in_lanes(
        self,
        lanes: Sequence[Sequence[CapturedStep]],
        work: Callable[[int, Sequence[CapturedStep], Stream], None],
        *,
        join: bool,
    ) -> None:
        """Call `work` in each lane that has steps, the lanes at the same time."""
        current = self.device_module.current_stream(self.device)
        ready = current.record_event()
        done = []
        for number, (lane, stream) in enumerate(zip(lanes, self.streams, strict=True)):
            if lane:
                stream.wait_event(ready)
                with self.device_module.stream(stream):
                    work(number, lane, stream)
                done.append(stream.record_event())
        # Only now: a lane must not wait for the lanes that were launched before it.
        for event in done if join else []:
            current.wait_event(event)

    def close(self) -> None:
        """Wait for the GPU, then drop all graphs together; a later step captures again."""
        wait_for(self.device)
        for step in (step for lane in self.lanes for step in lane):
            step.captured = None
            step.outdated.clear()
        if isinstance(self.measure, LaneEvaluation):
            self.measure.close()


def _like(batch: Batch) -> Batch:
    return torch.empty_like(batch[0]), torch.empty_like(batch[1])


def _copy(source: Batch, target: Batch) -> None:
    for values, shared in zip(source, target, strict=True):
        shared.copy_(values)


def pack(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Positions in `lengths`, packed into at most `lanes` lanes.

    The longest network first, each into the shortest lane so far.
    No lane is empty, the longest chains are launched first, ties go by position.
    """
    packed: list[list[int]] = [[] for _ in range(min(lanes, len(lengths)))]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        min(packed, key=lambda lane: sum(lengths[i] for i in lane)).append(index)
    return packed


def fewest_lanes(lengths: Sequence[int]) -> int:
    """The fewest lanes that take no longer than the longest network alone.

    More would only take the cache from each other: nine for the paper's twelve networks.
    """

    def longest(lanes: int) -> int:
        return max(sum(lengths[i] for i in lane) for lane in pack(lengths, lanes))

    counts = range(1, len(lengths) + 1)
    return next(lanes for lanes in counts if longest(lanes) == max(lengths))


def chain_length(network: nn.Module) -> int:
    """The number of convolutions, to which time is proportional: kernel-bound or launch-bound."""
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())
