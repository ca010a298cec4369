"""The columns of epochs.csv."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """One row of epochs.csv. Errors are fractions (0.1 is ten per cent); None is an empty cell.

    Record r is written after iteration ceil(r*E/R), for E iterations an epoch and R records
    (`records_per_epoch`, 1 if not set); the last one at the last iteration, wherever that falls.
    E is N/B for N training images in batches of B, not rounded where batches run on. Running
    figures (`train_*`) cover the iterations since the previous record.
    """

    epoch: int  # ceil(r/R), the one it falls in or ends; 1 is the first
    iteration: int  # iterations done; what tells records apart
    learning_rate: float  # the last one used
    train_loss: float  # running: train mode, augmented images; what the paper plots
    train_error: float
    clean_train_error: float | None  # evaluation mode, un-augmented training images
    precise_train_error: float | None  # the same with re-estimated batch norm statistics
    test_loss: float
    test_error: float
    precise_test_error: float | None
    validation_loss: float | None  # on held-out training images, where the recipe holds some out
    validation_error: float | None
    seconds: float  # the group's training time since the previous record, without evaluation
    images_per_second: float  # of this run, over those seconds


COLUMNS = tuple(field.name for field in dataclasses.fields(EpochRecord))
TIME_COLUMNS = ("seconds", "images_per_second")  # all others repeat bit for bit
