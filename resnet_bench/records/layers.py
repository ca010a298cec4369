"""layers.csv: what was measured of each layer at the iterations that a recipe names in `layers_at`.

Nothing here imports torch. training/signals.py measures; its docstring has the definitions, with
that of networks/layers.py.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from resnet_bench.records.files import append, as_csv, read_csv, write_atomically

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
    activation_deviation: float  # of what leaves the layer, after addition and ReLU
    activation_gradient_norm: float  # gradient of the mean loss at the response; 0: at the images
    gradient_correlation: float | None = None  # cosine at neighbouring images
    weight_norm: float | None = None
    weight_gradient_norm: float | None = None  # of the mean loss, without weight decay
    update_ratio: float | None = None  # the optimizer's next change of the weight, over weight_norm


LAYER_COLUMNS = tuple(field.name for field in fields(LayerRecord))


class LayersFile:
    """A layers.csv. An iteration is in it with all its layers or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, records: Sequence[LayerRecord]) -> None:
        """Add all rows of one iteration and have them on disk when this returns."""
        append(self.path, as_csv(LayerRecord, records, header=not self.path.exists()))

    def rows(self) -> list[LayerRecord]:
        """The rows of all whole iterations, oldest first; none without a file.

        Raises UserError if the file is not one of this version's.
        """
        records = read_csv(self.path, LayerRecord)
        return [record for rows in by_iteration(records) for record in rows]

    def truncate(self, iteration: int) -> list[LayerRecord]:
        """Cut off what is past `iteration`, where the checkpoint stands; returns what is kept."""
        kept = [record for record in self.rows() if record.iteration <= iteration]
        if kept:
            write_atomically(self.path, as_csv(LayerRecord, kept, header=True).encode())
        else:
            self.path.unlink(missing_ok=True)
        return kept


def by_iteration(records: Iterable[LayerRecord]) -> Iterator[list[LayerRecord]]:
    """The rows of each iteration, whole ones only: a kill may cut off a writing in the middle."""
    for _, group in groupby(records, key=lambda record: record.iteration):
        rows = list(group)
        if rows[0].kind == INPUT and rows[-1].kind == LINEAR:
            yield rows


def gradient_growth(records: Iterable[LayerRecord]) -> float | None:
    """The factor a layer by which `activation_gradient_norm` grows towards the input.

    From a straight line through the logarithms of one iteration's convolutions, by least squares.
    Above 1 gradients explode, below 1 they vanish; Yang et al. 2019 (arXiv 1902.08129) expect
    sqrt(pi / (pi - 1)) = 1.21 in a plain network at initialisation. None without two norms that
    have a logarithm.
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
