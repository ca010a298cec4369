"""layers.csv: measurements of each layer at the iterations in a recipe's `layers_at`.

Nothing here imports torch. The definitions are in training/signals.py, which measures, and in
networks/layers.py.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from resnet_bench.records.csv_file import CsvFile

INPUT, LINEAR = "input", "linear"  # the kinds of the first and the last row of an iteration


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """One row of layers.csv: a layer at an iteration. None is an empty cell.

    Layer 0 is the network's input, 1 to `depth` are the weighted layers in the paper's counting:
    the stem's convolution, those of the residual branches, the linear layer. Projections on
    shortcuts are not counted and have no row. Deviations are over images, channels and positions;
    norms are L2, over whole tensors.
    """

    iteration: int  # iterations done; 0 is before the first
    layer: int
    name: str  # of the module: stages.0.1.conv2
    stage: int | None = None  # 0 is the stem; the input and the linear layer have none
    kind: str  # input, conv3x3, conv1x1, ..., linear
    response_deviation: float | None = None  # after batch norm, before ReLU and addition
    activation_deviation: float  # of the layer's output, after addition and ReLU
    activation_gradient_norm: float  # of the mean loss, at the response; layer 0: at the images
    gradient_correlation: float | None = None  # cosine of the gradients at neighbouring images
    weight_norm: float | None = None
    weight_gradient_norm: float | None = None  # of the mean loss, without weight decay
    update_ratio: float | None = None  # norm of the next change of the weight / weight_norm
    response_rank: float | None = None  # effective rank of the images' responses


LAYER_COLUMNS = tuple(field.name for field in fields(LayerRecord))


class LayersFile(CsvFile[LayerRecord]):
    """A layers.csv; of an iteration it holds all layers or none."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, LayerRecord)

    def rows(self) -> list[LayerRecord]:
        """The rows of all complete iterations, oldest first; [] without a file.

        Raises UserError if the file is damaged or another version's.
        """
        return [record for rows in by_iteration(super().rows()) for record in rows]

    def keep_rows(self, iteration: int) -> None:
        """Remove the rows after `iteration`."""
        self.keep([record for record in self.rows() if record.iteration <= iteration])


def by_iteration(records: Iterable[LayerRecord]) -> Iterator[list[LayerRecord]]:
    """The rows of each complete iteration; a killed process may leave an incomplete one."""
    for _, group in groupby(records, key=lambda record: record.iteration):
        rows = list(group)
        if rows[0].kind == INPUT and rows[-1].kind == LINEAR:
            yield rows


def gradient_growth(records: Iterable[LayerRecord]) -> float | None:
    """The factor per layer by which `activation_gradient_norm` grows towards the input.

    exp(-slope) of the least-squares line through log(norm) against the layer's number, over one
    iteration's convolutions. Above 1 gradients explode, below 1 they vanish; Yang et al. 2019
    (arXiv 1902.08129) expect sqrt(pi / (pi - 1)) = 1.21 in a plain network at initialisation.
    None with fewer than two positive, finite norms.
    """
    points = [
        (record.layer, math.log(record.activation_gradient_norm))
        for record in records
        if record.kind not in (INPUT, LINEAR) and 0 < record.activation_gradient_norm < math.inf
    ]
    if len(points) < 2:
        return None
    center = sum(x for x, _ in points) / len(points)
    slope = sum((x - center) * y for x, y in points) / sum((x - center) ** 2 for x, _ in points)
    return math.exp(-slope)
