"""The data sets: shapes, sizes and the digests by which their arrays are verified."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InputShape:
    """The shape of a network's input, and its number of classes."""

    channels: int
    side: int  # height and width, in pixels
    classes: int


@dataclass(frozen=True)
class Dataset(InputShape):
    """A data set; the modules cifar10, digits and fashion_mnist read and fetch it.

    A digest is the SHA-256 of the bytes of a uint8 array in C order: pixels as
    (N, channels, height, width), or (N, height, width) where there is one channel (the same
    bytes), labels as (N,).
    """

    name: str
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
        # UCI optical digits as packaged by scikit-learn; the split is made in digits.py.
        Dataset(
            name="digits",
            channels=1,
            side=8,
            classes=10,
            train_images=1437,
            test_images=360,
            largest_pixel=16,
            train_pixels_sha256="5760f944f9d4583320655eb3932bdbb8a1d7ecccece1d5e8ac73699a93fdf434",
            train_labels_sha256="33fe81a53fa12d9cd119c74adab9b6b08a7d070ee62e736390c5cf89f00886b1",
            test_pixels_sha256="3cc232bd25364446c8646cd9434a26e35ea92e20045d395b2fdd2232a75c9b8f",
            test_labels_sha256="70ee2850bb25b543ca4112717fd4396c3fb90bcb54d8015bd3f9c7c900966072",
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
        # Xiao, Rasul, Vollgraf 2017 (Fashion-MNIST), in the official order.
        Dataset(
            name="fashion",
            channels=1,
            side=28,
            classes=10,
            train_images=60_000,
            test_images=10_000,
            largest_pixel=255,
            train_pixels_sha256="2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            train_labels_sha256="657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            test_pixels_sha256="c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            test_labels_sha256="3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        ),
    )
}

# Whose data they are, and under which licence.
ORIGINS = {
    "digits": "digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI"
    " Machine Learning Repository, 1998 (doi 10.24432/C50P49), CC BY 4.0; its test part, as"
    " scikit-learn has it.",
    "cifar10": "cifar10: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images,"
    " 2009; no licence is stated.",
    "fashion": "fashion: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017 (arXiv"
    " 1708.07747), MIT licence.",
}
