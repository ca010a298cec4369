"""What W&B calls the figures of a run: the columns of the CSVs, and the metrics made of them."""

from itertools import chain

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayerRecord, gradient_growth

# EpochRecord's field -> the name in W&B; dashboards name nothing else. The part before a slash
# is the panel's section in W&B's own workspace.
METRICS = {
    "epoch": "epoch",
    "iteration": "iteration",
    "learning_rate": "lr",
    "train_loss": "train/loss",
    "train_error": "train/error",
    "clean_train_error": "train/clean_error",
    "precise_train_error": "train/precise_error",
    "test_loss": "test/loss",
    "test_error": "test/error",
    "precise_test_error": "test/precise_error",
    "validation_loss": "validation/loss",
    "validation_error": "validation/error",
    "seconds": "seconds",
    "images_per_second": "images_per_second",
}

# Of layers.csv, where a suite asks for it, a handful: all layers would be a panel nobody reads.
LAYERS_ITERATION = "layers/iteration"
GRADIENT_GROWTH = "layers/gradient_growth"  # a layer, towards the input
GRADIENT_CORRELATION = "layers/gradient_correlation"  # at the input
PLACES = ("first", "middle", "last")  # of the convolutions
LAYER_COLUMNS_BY_PLACE = {
    column: tuple(f"layers/{column}/{place}" for place in PLACES)
    for column in ("response_deviation", "activation_gradient_norm", "update_ratio")
}
LAYER_METRICS = (GRADIENT_GROWTH, GRADIENT_CORRELATION, *chain(*LAYER_COLUMNS_BY_PLACE.values()))


def metrics_of(record: EpochRecord) -> dict[str, float]:
    """The row of W&B's history for `record`: what was not measured is left out."""
    values = {name: getattr(record, field) for field, name in METRICS.items()}
    return {name: value for name, value in values.items() if value is not None}


def layer_metrics_of(rows: list[LayerRecord]) -> dict[str, float]:
    """The row of W&B's history for an iteration of layers.csv: what is not there is left out."""
    convolutions = rows[1:-1]
    places = convolutions[0], convolutions[len(convolutions) // 2], convolutions[-1]
    values: dict[str, float | None] = {
        LAYERS_ITERATION: rows[0].iteration,
        GRADIENT_GROWTH: gradient_growth(rows),
        GRADIENT_CORRELATION: rows[0].gradient_correlation,
    }
    for column, names in LAYER_COLUMNS_BY_PLACE.items():
        values |= {name: getattr(row, column) for name, row in zip(names, places, strict=True)}
    return {name: value for name, value in values.items() if value is not None}
