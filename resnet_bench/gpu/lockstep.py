"""Members' steps side by side on one GPU, each as a CUDA graph.

A small network at batch 128 is hundreds of kernels of a few microseconds each, so that a GPU
waits for Python. Here each member's captured step is replayed with one call. Members are packed
in lanes, a stream each; the lanes of a step run at the same time and meet at the shared batch
before and after it.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from resnet_bench.gpu.cuda_graphs import Replayable, Slot, Stream, capture_graph, make_state
from resnet_bench.training.schedule import learning_rate_at
from resnet_bench.training.state import Member
from resnet_bench.training.step import Batch

Capture = Callable[[Slot, Batch, Stream], Replayable]


class LaneStep:
    """A `Step`: the standing members' captured steps, lanes side by side, without waiting.

    Batches of another size than the recipe's (the "short" policy) and `graphs=False` run eagerly
    in the same lanes. Members share the batch size; each keeps its lane for the group's life.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        lanes: int | None = None,
        graphs: bool = True,
        capture: Capture = capture_graph,
    ) -> None:
        slots = [Slot.of(member) for member in members]
        lengths = [chain_length(member.network) for member in members]
        count = lanes or (fewest_lanes(lengths) if graphs else 1)
        self.device = members[0].device
        self.batch_size = members[0].recipe.batch_size
        self.graphs = graphs
        self.capture = capture
        self.lanes = [[slots[index] for index in lane] for lane in pack(lengths, count)]
        on_gpu = self.device.type == "cuda"
        self.streams: list[Stream] = [
            torch.cuda.Stream(self.device) if on_gpu else None for _ in self.lanes
        ]
        self.batch: Batch | None = None  # the tensors that the graphs read

    def __call__(self, members: Sequence[Member], batch: Batch) -> None:
        standing = {id(member) for member in members}
        lanes = [[slot for slot in lane if id(slot.member) in standing] for lane in self.lanes]
        for slot in (slot for lane in lanes for slot in lane):
            slot.rate.set(learning_rate_at(slot.member.iteration, slot.member.recipe))
        if not self.graphs or len(batch[1]) != self.batch_size:
            self._run(lanes, lambda slot: slot.eager(batch))
            return
        self._fill(batch)
        for lane, stream in zip(lanes, self.streams, strict=True):
            for slot in filter(Slot.needs_capture, lane):
                self._capture(slot, stream)
        self._run(lanes, lambda slot: cast(Replayable, slot.captured).replay())

    def _fill(self, batch: Batch) -> None:
        if self.batch is None:
            images, labels = batch
            self.batch = torch.empty_like(images), torch.empty_like(labels)
        for shared, values in zip(self.batch, batch, strict=True):
            shared.copy_(values)

    def _capture(self, slot: Slot, stream: Stream) -> None:
        make_state(slot.member.optimizer)
        if slot.captured is not None:
            slot.outdated.append(slot.captured)
        slot.captured = self.capture(slot, cast(Batch, self.batch), stream)
        slot.captured_state = slot.member.optimizer.state

    def _run(self, lanes: Sequence[Sequence[Slot]], work: Callable[[Slot], None]) -> None:
        """Do `work` for each slot: in order within a lane, the lanes at the same time."""
        if self.device.type == "cpu":
            for slot in (slot for lane in lanes for slot in lane):
                work(slot)
            return
        current = torch.cuda.current_stream(self.device)
        ready = current.record_event()
        done = []
        for lane, stream in zip(lanes, self.streams, strict=True):
            if lane:
                stream.wait_event(ready)
                with torch.cuda.stream(stream):
                    for slot in lane:
                        work(slot)
                done.append(stream.record_event())
        # Only now: a lane must not wait for the lanes that were launched before it.
        for event in done:
            current.wait_event(event)

    def close(self) -> None:
        """Wait for the GPU, then drop all graphs at once; a later step captures anew."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        for slot in (slot for lane in self.lanes for slot in lane):
            slot.captured = None
            slot.outdated.clear()


def pack(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Positions in `lengths` as at most `lanes` lanes: each, longest first, to the shortest lane.

    No lane is empty, the longest chains are launched first, ties go by position.
    """
    packed: list[list[int]] = [[] for _ in range(min(lanes, len(lengths)))]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        min(packed, key=lambda lane: sum(lengths[i] for i in lane)).append(index)
    return packed


def fewest_lanes(lengths: Sequence[int]) -> int:
    """The fewest lanes of which none is longer than the longest member, which nothing can beat.

    More would only take the cache from each other: nine for the paper's twelve networks.
    """

    def longest(lanes: int) -> int:
        return max(sum(lengths[i] for i in lane) for lane in pack(lengths, lanes))

    counts = range(1, len(lengths) + 1)
    return next(lanes for lanes in counts if longest(lanes) == max(lengths))


def chain_length(network: nn.Module) -> int:
    """Convolutions of `network`: what its time goes with, whether kernels or launches bound it."""
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())
