"""The evaluation for a record on a GPU: whole batches as a CUDA graph, networks side by side."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_bench.gpu.cuda_graphs import Capture, Replayable, Stream
from resnet_bench.suites.recipe import Precision
from resnet_bench.training.data import TrainingData
from resnet_bench.training.evaluation import score_batch
from resnet_bench.training.loop import OnBatch, Scores, measure_scores
from resnet_bench.training.state import TrainingState
from resnet_bench.training.step import Batch


class CapturedScore(NamedTuple):
    """`score_batch` of a network, captured: it reads `batch` and writes `sums`."""

    graph: Replayable
    batch: Batch
    sums: tuple[Tensor, Tensor]


class LaneEvaluation:
    """A `Measure`: `measure_scores` in lanes, to the same bits.

    The streams are its own, since graphs of a stream share a workspace. The re-estimation of batch
    norm's statistics is no graph: its momentum is another number in every batch.
    """

    def __init__(self, lanes: Sequence[Sequence[TrainingState]], capture: Capture) -> None:
        self.capture = capture
        self.device_module = torch.get_device_module(lanes[0][0].device)
        self.streams: dict[int, Stream] = {}
        for lane in lanes:
            stream = self.device_module.Stream(lane[0].device)
            self.streams |= {id(state): stream for state in lane}
        self.captured: dict[int, CapturedScore] = {}

    def __call__(
        self, state: TrainingState, data: TrainingData, on_batch: OnBatch | None = None
    ) -> Scores:
        stream = self.streams[id(state)]
        stream.wait_stream(self.device_module.current_stream(data.device))
        with self.device_module.stream(stream):
            score = partial(self._score, state, data.measured_images)
            return measure_scores(state, data, on_batch, score)

    def _score(
        self,
        state: TrainingState,
        size: int,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        precision: Precision,
    ) -> tuple[Tensor, Tensor]:
        if len(labels) != size:
            return score_batch(network, images, labels, precision)
        if id(state) not in self.captured:
            self.captured[id(state)] = self._captured(state, (images, labels), precision)
        captured = self.captured[id(state)]
        for shared, values in zip(captured.batch, (images, labels), strict=True):
            shared.copy_(values)
        captured.graph.replay()
        return captured.sums

    def _captured(self, state: TrainingState, like: Batch, precision: Precision) -> CapturedScore:
        batch = like[0].clone(), like[1].clone()
        sums: list[Tensor] = []

        def work() -> None:
            sums[:] = score_batch(state.network, *batch, precision)

        name = f"{state.run.name}: its evaluation"
        graph = self.capture(work, name, self.streams[id(state)])
        return CapturedScore(graph, batch, (sums[0], sums[1]))

    def close(self) -> None:
        """Drop all graphs together, once the GPU has done its work; later ones are made again."""
        self.captured.clear()
