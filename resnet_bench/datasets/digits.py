"""The digits: 8x8 scans that scikit-learn includes."""

from pathlib import Path

import numpy as np

from resnet_bench.datasets.definitions import Dataset
from resnet_bench.datasets.source import Sources, UnverifiedArrays, arrays_from


def read_digits(dataset: Dataset, folder: Path) -> UnverifiedArrays:
    """scikit-learn's scans, pixels (N, 8, 8) from 0 to 16, split in two; `folder` is not used."""
    from sklearn.datasets import load_digits  # takes 2 s, so only where it is used
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=dataset.test_images, random_state=0, stratify=labels
    )
    origin = "scikit-learn's load_digits"
    return arrays_from(origin, train_pixels, train_labels, test_pixels, test_labels)


SOURCES = Sources(readers=(read_digits,), save_decoded=True)
