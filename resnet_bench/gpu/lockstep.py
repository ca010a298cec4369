"""The steps of many runs side by side on one GPU, each as a CUDA graph.

A small network at batch 128 is hundreds of kernels of a few microseconds each, so that a GPU
waits for Python. Here each run's captured step is replayed with one call. Runs are packed in
lanes, one stream for each lane; the lanes of a step run at the same time, between one copy of the
shared batch and the next.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from resnet_bench.gpu.cuda_graphs import CapturedStep, Replayable, Stream, capture_graph, make_state
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch

Capture = Callable[[CapturedStep, Batch, Stream], Replayable]


class LaneStep:
    """A `Step`: the captured steps of the states that are due, lanes side by side.

    Batches of another size than the recipe's (the "short" policy) and `graphs=False` run eagerly
    in the same lanes. All states have one batch size; each keeps its lane.
    """

    def __init__(
        self,
        states: Sequence[TrainingState],
        *,
        lanes: int | None = None,
        graphs: bool = True,
        capture: Capture = capture_graph,
    ) -> None:
        steps = [CapturedStep.of(state) for state in states]
        lengths = [chain_length(state.network) for state in states]
        count = lanes or (fewest_lanes(lengths) if graphs else 1)
        self.device = states[0].device
        self.batch_size = states[0].recipe.batch_size
        self.graphs = graphs
        self.capture = capture
        self.lanes = [[steps[index] for index in lane] for lane in pack(lengths, count)]
        on_gpu = self.device.type == "cuda"
        self.streams: list[Stream] = [
            torch.cuda.Stream(self.device) if on_gpu else None for _ in self.lanes
        ]
        self.batch: Batch | None = None  # the tensors that the graphs read

    def __call__(self, states: Sequence[TrainingState], batch: Batch) -> None:
        due = {id(state) for state in states}
        lanes = [[step for step in lane if id(step.state) in due] for lane in self.lanes]
        for step in (step for lane in lanes for step in lane):
            step.rate.set(learning_rate_at(step.state.iteration, step.state.recipe))
        if not self.graphs or len(batch[1]) != self.batch_size:
            self._run(lanes, lambda step: step.eager(batch))
            return
        self._fill(batch)
        for lane, stream in zip(lanes, self.streams, strict=True):
            for step in filter(CapturedStep.needs_capture, lane):
                self._capture(step, stream)
        self._run(
            lanes, lambda step: step.captured.replay() if step.captured else step.eager(batch)
        )

    def _fill(self, batch: Batch) -> None:
        if self.batch is None:
            images, labels = batch
            self.batch = torch.empty_like(images), torch.empty_like(labels)
        for shared, values in zip(self.batch, batch, strict=True):
            shared.copy_(values)

    def _capture(self, step: CapturedStep, stream: Stream) -> None:
        make_state(step.state.optimizer)
        if step.captured is not None:
            step.outdated.append(step.captured)
        step.captured = self.capture(step, cast(Batch, self.batch), stream)
        step.captured_state = step.state.optimizer.state

    def _run(
        self, lanes: Sequence[Sequence[CapturedStep]], work: Callable[[CapturedStep], None]
    ) -> None:
        """Call `work` with each step: in order within a lane, the lanes at the same time."""
        if self.device.type == "cpu":
            for step in (step for lane in lanes for step in lane):
                work(step)
            return
        current = torch.cuda.current_stream(self.device)
        ready = current.record_event()
        done = []
        for lane, stream in zip(lanes, self.streams, strict=True):
            if lane:
                stream.wait_event(ready)
                with torch.cuda.stream(stream):
                    for step in lane:
                        work(step)
                done.append(stream.record_event())
        # Only now: a lane must not wait for the lanes that were launched before it.
        for event in done:
            current.wait_event(event)

    def close(self) -> None:
        """Wait for the GPU, then drop all graphs together; a later step captures again."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        for step in (step for lane in self.lanes for step in lane):
            step.captured = None
            step.outdated.clear()


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
