"""The columns of epochs.csv."""

import dataclasses
import math
from dataclasses import dataclass

FLOAT32_MAX = 3.4028234663852886e38  # losses are computed in float32


@dataclass(frozen=True)
class EpochRecord:
    """One row of epochs.csv. Errors are fractions (0.1 is ten per cent); None is an empty cell.

    Record r is written after iteration ceil(r*E/R), for E iterations and R records an epoch
    (`records_per_epoch`, default 1); the last one after the last iteration. E is N/B for N
    training images in batches of B, not rounded if batches continue into the next epoch. The
    training loss and error (`train_*`) are means over the iterations since the previous record.
    """

    epoch: int  # ceil(r/R): the epoch that it is in, or ends; the first is 1
    iteration: int  # iterations done; unique in a run
    learning_rate: float  # the last one used
    train_loss: float  # in training mode, on augmented images; the paper's plots show these
    train_error: float
    clean_train_error: float | None  # in evaluation mode, without augmentation
    precise_train_error: float | None  # the same with re-estimated batch norm statistics
    test_loss: float
    test_error: float
    precise_test_error: float | None
    validation_loss: float | None  # on held-out training images, if the recipe holds some out
    validation_error: float | None
    seconds: float  # training time of the run's group since the previous record
    images_per_second: float  # of this run, in those seconds

    def __post_init__(self) -> None:
        """Raises ValueError for a value that no run can have, as a damaged file may."""
        for (name, (low, high)), value in zip(LIMITS.items(), vars(self).values(), strict=True):
            if value is None or low <= value <= high:
                continue
            # Statistics that lag may overflow in evaluation mode.
            overflow = name in ("test_loss", "validation_loss") and not math.isfinite(value)
            if not overflow or value == -math.inf:
                raise ValueError(f"{name}: {value!r} is impossible")


COLUMNS = tuple(field.name for field in dataclasses.fields(EpochRecord))
LIMITS = {
    name: (int(name in ("epoch", "iteration")), 1 if name.endswith("_error") else FLOAT32_MAX)
    for name in COLUMNS
}
# The only columns that differ when a run is repeated: the others are the same bits.
TIME_COLUMNS = ("seconds", "images_per_second")
