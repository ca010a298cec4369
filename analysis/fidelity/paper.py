"""The paper's numbers and settings, and the range that public repeats found.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", arXiv 1512.03385. All
errors here are fractions.
"""

from dataclasses import dataclass
from typing import Any

DATASET, ITERATIONS = "cifar10", 64_000  # section 4.2: what the numbers below are about


@dataclass(frozen=True)
class Reference:
    """The paper's errors of one network after 64k iterations on CIFAR-10."""

    test_error: float | None  # the paper's
    train_error: float | None  # the paper's, running
    source: str
    band: tuple[float, float] | None  # of the final test error of a faithful repeat


# Table 6 for residual networks, option A (test only; of 110 the mean of 5 runs). Plain networks
# are read off figure 6 near 64k iterations (test +- 0.001, train +- 0.005). Bands: the range of
# public repeats, rounded outwards: on GitHub a-martyn/resnet, surajit-13-sutradhar/resnet,
# robertkoller/ResNet-Reproduction, hhhhuangggg/resnet-cifar10-reproducti and
# wooyeolBaek/deep-residual-learning (one run of each network), nabla0001/resnet (means of 5).
# Protocols differ slightly; of 1202 layers there are none.
REFERENCES: dict[tuple[str, int], Reference] = {
    ("none", 20): Reference(0.097, 0.013, "figure 6", (0.090, 0.100)),
    ("none", 32): Reference(0.100, 0.013, "figure 6", (0.094, 0.106)),
    ("none", 44): Reference(0.114, 0.026, "figure 6", (0.103, 0.126)),
    ("none", 56): Reference(0.132, 0.057, "figure 6", (0.118, 0.143)),
    ("none", 110): Reference(None, None, "section 4.2: above 60%, not shown", (0.60, 1.0)),
    ("A", 20): Reference(0.0875, None, "table 6", (0.079, 0.090)),
    ("A", 32): Reference(0.0751, None, "table 6", (0.071, 0.081)),
    ("A", 44): Reference(0.0717, None, "table 6", (0.068, 0.078)),
    ("A", 56): Reference(0.0697, None, "table 6", (0.066, 0.076)),
    ("A", 110): Reference(0.0661, None, "table 6, mean of 5 runs", (0.060, 0.072)),
    ("A", 1202): Reference(0.0793, None, "table 6", None),
}

# Parameters and multiply-adds at 32x32x3 and 10 classes, counted by hand from section 4.2;
# table 6 gives the parameters in millions: 0.27, 0.46, 0.66, 0.85, 1.7, 19.4.
SIZES: dict[tuple[str, int], tuple[int, int]] = {
    ("A", 20): (269_722, 40_551_040),
    ("A", 32): (464_154, 68_862_592),
    ("A", 44): (658_586, 97_174_144),
    ("A", 56): (853_018, 125_485_696),
    ("A", 110): (1_727_962, 252_887_680),
    ("A", 1202): (19_421_274, 2_829_238_912),
    ("B", 20): (272_474, 40_813_184),
    ("B", 32): (466_906, 69_124_736),
    ("B", 44): (661_338, 97_436_288),
    ("B", 56): (855_770, 125_747_840),
    ("B", 110): (1_730_714, 253_149_824),
    ("B", 1202): (19_424_026, 2_829_501_056),
    ("C", 20): (283_962, 42_648_192),
    ("C", 32): (489_594, 72_532_608),
    ("C", 44): (695_226, 102_417_024),
    ("C", 56): (900_858, 132_301_440),
    ("C", 110): (1_826_202, 266_781_312),
    ("C", 1202): (20_538_714, 2_986_263_168),
}
SIZES |= {("none", depth): SIZES["A", depth] for shortcut, depth in list(SIZES) if shortcut == "A"}

# Section 4.2, as the fields of a recipe; it leaves all other fields open.
RECIPE: dict[str, Any] = {
    "iterations": 64_000,
    "batch_size": 128,
    "learning_rate": 0.1,
    "drops": (32_000, 48_000),
    "divide_by": 10.0,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "padding": 4,
    "flip": True,
    "subtract_mean": True,
    "border": 0,
    "resize": "none",
    "last_scale": "one",
}
# The same, as the fields of a network of `ARCHITECTURE`.
NETWORK: dict[str, Any] = {
    "block": "basic",
    "activation": "post",
    "normalization": "batch",
    "conv_bias": False,
    "pooling": "average",
}

# What section 4.2 leaves open and a suite must settle: column of `load.COLUMNS` -> the question.
OPEN = {
    "recipe.train_images": "50k or 45k images for the final networks",
    "recipe.pad": "padding before or after the mean is subtracted",
    "recipe.initialization": "fan-in or fan-out in He initialization",
    "recipe.linear_initialization": "initialization of the linear layer",
    "recipe.batch_norm_images": "over how many images batch norm takes its statistics",
    "recipe.last_batch": "the last, partial batch of an epoch",
    "network.zero_channels": "where the zero channels of option A go",
}
# Open columns in which only some values are readings of the paper: column -> those values.
READINGS: dict[str, tuple[Any, ...]] = {
    "recipe.train_images": ("all", 50_000, 45_000),
    "recipe.initialization": ("he-fan-in", "he-fan-out"),
}
WARMUP_DEPTH = 110  # from here on: 0.01 until the training error is below 80%, about 400 iterations
WARMUP = (400, 0.01)  # iterations and rate of the fixed warm-up used instead

# Section 4.2's networks, whose numbers are above, and table 1's, trained on ImageNet.
ARCHITECTURE = "cifar"
DEPTHS = {"cifar": (20, 32, 44, 56, 110, 1202), "imagenet": (18, 34, 50, 101, 152)}
SHORTCUTS = {"cifar": ("none", "A"), "imagenet": ("none", "A", "B", "C")}
OPTIONS = {
    "cifar": f"option A alone on {DATASET}",
    "imagenet": "options A, B and C on ImageNet",
}
