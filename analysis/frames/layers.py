"""The measurements of each layer as one tidy pandas frame.

    from analysis import load
    table = load.layers(load.runs("results/digits-layers"))

`COLUMNS` describes the columns; resnet_bench/training/signals.py makes the measurements.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.frames import select
from resnet_bench.records.layers import (
    INPUT,
    LAYER_COLUMNS,
    LINEAR,
    LayerRecord,
    LayersFile,
    gradient_growth,
)
from resnet_bench.records.run_directory import RunDirectory

# Yang et al. 2019 (arXiv 1902.08129): the factor by which the gradient's norm grows with each layer
# towards the input, at initialisation, in wide plain networks with batch norm, ReLU, large batches.
YANG = math.sqrt(math.pi / (math.pi - 1))  # 1.211

OF_THE_RUN = ("suite", "network", "variant", "family", "depth", "shortcut", "seed", "status")
COLUMNS = dict.fromkeys(OF_THE_RUN, "as in `load.COLUMNS`") | {
    "iteration": "iterations done when it was measured; 0 is at initialisation",
    "layer": "0 is the input, 1 to depth the weighted layers, the last the linear one",
    "name": "of the module: stages.0.1.conv2",
    "stage": "0 is the first convolution, 1 to 3 the stages; NA for input and linear layer",
    "kind": "input, conv3x3, conv1x1, ..., linear",
    "response_deviation": "after batch norm, before ReLU and addition: figure 7",
    "activation_deviation": "of the layer's output, after addition and ReLU",
    "activation_gradient_norm": "of the mean loss, at the response; layer 0: at the images",
    "gradient_correlation": "cosine at neighbouring images; NaN where gradients are zero",
    "weight_norm": "L2",
    "weight_gradient_norm": "of the mean loss, without weight decay",
    "update_ratio": "the optimizer's next change of the weight, over weight_norm",
    "response_rank": "effective rank of the images' responses; NaN in older files",
}
OF_THE_LAYER = ("iteration", "layer", "name", "stage", "kind")
RUN = ["network", "seed"]  # the key of a run within a suite


@dataclass(frozen=True)
class Layers:
    """The data of the figures of layers."""

    runs: pd.DataFrame  # as from `load.runs`
    table: pd.DataFrame  # as from `layers`, of the grid networks

    @classmethod
    def of(cls, runs: pd.DataFrame) -> "Layers":
        table = layers(runs)
        return cls(runs, table[table["variant"] == ""])


def layers(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a layer and measured iteration, of every declared run with a layers.csv: `COLUMNS`.

    `runs` as from `load.runs`. Empty if the suite's recipe measures no layers. Raises UserError for
    a damaged file.
    """
    rows = []
    for run in select.finals(select.declared(runs)).to_dict("records"):
        of_run = tuple(run[column] for column in OF_THE_RUN)
        records = LayersFile(RunDirectory(Path(run["directory"])).layers_csv).rows()
        rows += [of_run + tuple(vars(record).values()) for record in records]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [column for column in LAYER_COLUMNS if column not in OF_THE_LAYER]
    return table.astype({"stage": "Int64"} | dict.fromkeys(numbers, float))


def convolutions(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the weighted layers without the last, which is linear."""
    return table[~table["kind"].isin([INPUT, LINEAR])]


def block_ends(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first convolution and of the last one of each block.

    Their activations are a block's output; within a residual block, only its branch's.
    """
    convs = convolutions(table)
    block = convs["name"].str.rpartition(".")[0]
    last = convs.groupby(["network", "seed", "iteration", block])["layer"].transform("max")
    return convs[convs["layer"] == last]


def at_start(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at initialisation."""
    return table[table["iteration"] == 0]


def at_end(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at the last iteration that was measured, of finished runs."""
    done = table[table["status"] == "finished"]
    last = done.groupby(RUN)["iteration"].transform("max")
    return done[(done["iteration"] == last) & (last > 0)]


def over_seeds(rows: pd.DataFrame, quantity: str, by: str = "layer") -> pd.DataFrame:
    """Columns median, min and max over seeds of the column `quantity`; the index is `by`."""
    return rows.groupby(by)[quantity].agg(["median", "min", "max"]).dropna()


def summaries(table: pd.DataFrame) -> pd.DataFrame:
    """One row a run and measured iteration: the change of its signals from layer to layer.

    Columns network, depth, shortcut, seed, iteration, and

    - growth: the factor a layer by which gradients grow towards the input (least squares);
    - backward_low, backward_high: the lowest and highest norm of a convolution's gradient, over
      the last convolution's;
    - backward: the first convolution's gradient, over the last one's;
    - forward_low, forward_high: the lowest and highest deviation of a convolution's responses,
      which batch norm makes 1 at initialisation;
    - update_high: the largest next change of a convolution's weight, over the weight's norm.
    """
    rows = []
    keys = ["network", "depth", "shortcut", "seed", "iteration"]
    for names, of_network in convolutions(table).groupby(keys, sort=False):
        ordered = of_network.sort_values("layer")
        values = ordered[list(LAYER_COLUMNS)].itertuples(index=False)
        records = [LayerRecord(**dict(zip(LAYER_COLUMNS, row, strict=True))) for row in values]
        # A NaN comes from an overflow.
        responses = ordered["response_deviation"].fillna(math.inf)
        gradients = ordered["activation_gradient_norm"].fillna(math.inf)
        if gradients.iloc[-1] > 0:  # else all are 0: vanished
            gradients = (gradients / gradients.iloc[-1]).fillna(math.inf)
        rows.append(
            dict(zip(keys, names, strict=True))
            | {
                "growth": gradient_growth(records),
                "backward": gradients.iloc[0],
                "backward_low": gradients.min(),
                "backward_high": gradients.max(),
                "forward_low": responses.min(),
                "forward_high": responses.max(),
                "update_high": ordered["update_ratio"].max(),
            }
        )
    return pd.DataFrame(rows)
