"""What each data set is: shapes, sizes and the digests that decide whether it is the real one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """One data set, as facts; where its bytes come from is the business of `sources`.

    A digest is the SHA-256 of the bytes of a uint8 array in C order: pixels as
    (N, channels, height, width), or (N, height, width) where there is one channel (the same
    bytes), labels as (N,).
    """

    name: str
    channels: int
    side: int  # height and width, in pixels
    classes: int
    train_images: int
    test_images: int
    largest_pixel: int  # the pixel value that preprocessing maps to 1
    train_pixels_sha256: str
    train_labels_sha256: str
    test_pixels_sha256: str
    test_labels_sha256: str


DATASETS = {
    dataset.name: dataset
    for dataset in (
        # UCI optical digits as packaged by scikit-learn; the split is made in sources.py.
        Dataset(
            name="digits",
            channels=1,
            side=8,
            classes=10,
            train_images=1437,
            test_images=360,
            largest_pixel=16,
            train_pixels_sha256="",
            train_labels_sha256="",
            test_pixels_sha256="",
            test_labels_sha256="",
        ),
        # Krizhevsky 2009, in the official order.
        Dataset(
            name="cifar10",
            channels=3,
            side=32,
            classes=10,
            train_images=50_000,
            test_images=10_000,
            largest_pixel=255,
            train_pixels_sha256="9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
            train_labels_sha256="2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            test_pixels_sha256="177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
            test_labels_sha256="cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        ),
    )
}
