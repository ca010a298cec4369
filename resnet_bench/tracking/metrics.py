"""The names in W&B of the CSVs' columns and of the metrics computed from them."""

from itertools import chain

from resnet_bench.records.epochs import EpochRecord
from resnet_bench.records.layers import LayerRecord, gradient_growth

# EpochRecord's field -> the name in W&B, for dashboards, too. The part before a slash is the
# panel's section in W&B's default workspace. W&B sorts panels by name: errors come first.
METRICS = {
    "epoch": "schedule/epoch",
    "iteration": "iteration",
    "learning_rate": "schedule/learning_rate",
    "train_loss": "loss/train",
    "train_error": "error/train",
    "clean_train_error": "error/train_clean",
    "precise_train_error": "error/train_precise",
    "test_loss": "loss/test",
    "test_error": "error/test",
    "precise_test_error": "error/test_precise",
    "validation_loss": "loss/validation",
    "validation_error": "error/validation",
    "seconds": "speed/seconds",
    "images_per_second": "speed/images_per_second",
}

# A few metrics of layers.csv: all layers would make unreadable panels.
LAYERS_ITERATION = "layers/iteration"
GRADIENT_GROWTH = "layers/gradient_growth"  # per layer, towards the input
GRADIENT_CORRELATION = "layers/gradient_correlation"  # at the input
PLACES = ("first", "middle", "last")  # of the convolutions
LAYER_COLUMNS_BY_PLACE = {
    column: tuple(f"layers/{column}/{place}" for place in PLACES)
    for column in ("response_deviation", "activation_gradient_norm", "update_ratio")
}
LAYER_METRICS = (GRADIENT_GROWTH, GRADIENT_CORRELATION, *chain(*LAYER_COLUMNS_BY_PLACE.values()))


# The metric that is the horizontal axis -> those that are shown over it.
AXES = {METRICS["iteration"]: tuple(METRICS.values()), LAYERS_ITERATION: LAYER_METRICS}

Rows = EpochRecord | list[LayerRecord]  # what is logged at once: layers.csv's rows of an iteration


def metrics_of(rows: Rows) -> dict[str, float]:
    """The row of W&B's history for a record or an iteration's layers, without what is None."""
    if isinstance(rows, EpochRecord):
        values = {name: getattr(rows, field) for field, name in METRICS.items()}
    else:
        values = _layer_values(rows)
    return {name: value for name, value in values.items() if value is not None}


def _layer_values(rows: list[LayerRecord]) -> dict[str, float | None]:
    convolutions = rows[1:-1]
    places = convolutions[0], convolutions[len(convolutions) // 2], convolutions[-1]
    values: dict[str, float | None] = {
        LAYERS_ITERATION: rows[0].iteration,
        GRADIENT_GROWTH: gradient_growth(rows),
        GRADIENT_CORRELATION: rows[0].gradient_correlation,
    }
    for column, names in LAYER_COLUMNS_BY_PLACE.items():
        values |= {name: getattr(row, column) for name, row in zip(names, places, strict=True)}
    return values
