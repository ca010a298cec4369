"""The recipe of training and measuring a network, as typed, frozen data."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from resnet_bench.suites.validation import Specification

Precision = Literal["ieee", "tf32", "bf16"]
# Bounds that no machine reaches: a number with too many digits is a mistake before any work.
MOST = 10**9
Positive = Annotated[int, Field(gt=0, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Side = Annotated[int, Field(gt=0, le=1024)]
Pixels = Annotated[int, Field(ge=0, le=128)]


class Recipe(Specification):
    """Training and measurement of a network; the defaults are those of section 4.2.

    The fields from `train_images` on are details that the paper does not give, with this
    benchmark's interpretation as default, and `last_scale`, zero in Goyal et al. 2017 (arXiv
    1706.02677, section 5.1). The last fields are about measurements. Open in the paper, too, and
    fixed here: pixels are scaled to 0..1 before the mean is subtracted; momentum is PyTorch's,
    v = 0.9 v + g, w = w - rate v; batch norm has eps 1e-5, and its running statistics move by 0.1;
    no drop waits for a plateau (section 3.4): each network would have its own schedule.
    """

    iterations: Positive
    batch_size: Positive = 128  # images
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    drops: tuple[Positive, ...] = ()  # iterations at which the learning rate is divided
    divide_by: Annotated[float, Field(gt=1)] = 10.0
    warmup_iterations: Natural = 0  # the paper, depth 110: about 400
    warmup_learning_rate: Annotated[float, Field(gt=0)] = 0.01
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # with Adam, beta 1
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4  # on all parameters
    padding: Pixels = 4  # pixels on each side, then a random crop
    flip: bool = True  # random horizontal flip
    subtract_mean: bool = True  # the per-pixel mean of the training images
    border: Pixels = 0  # zero pixels around every image, also in tests
    resize: Side | Literal["none"] = "none"  # side in pixels, bilinear, after the crop
    precision: Precision = "tf32"  # of convolutions and matrix products; on a CPU tf32 is ieee

    train_images: Positive | Literal["all"] = "all"  # the others are the validation set
    pad: Literal["after-mean", "before-mean"] = "after-mean"  # after: the padding is the mean
    initialization: Literal["he-fan-in", "he-fan-out", "xavier", "pytorch"] = "he-fan-in"  # convs
    linear_initialization: Literal["pytorch", "he", "xavier"] = "pytorch"
    last_scale: Literal["one", "zero"] = "one"  # initial, of each block's last batch norm
    batch_norm_images: Positive | Literal["batch"] = "batch"  # images per group that is normalized
    # together; each group updates the running statistics. Precise statistics use whole batches.
    last_batch: Literal["run-on", "short", "drop"] = "run-on"  # at the end of an epoch

    # Measurements, which do not influence the training.
    records_per_epoch: Positive = 1
    clean_every: Positive = 10  # epochs between clean and precise training errors
    precise_batches: Positive = 100  # for precise batch norm statistics: means of the means and
    # unbiased variances of this many whole batches of training images, in the data set's order
    layers_at: tuple[Natural, ...] = ()  # iterations after which layers
    # are measured (layers.csv); 0 is before the first

    def whole_precise_batches(self, images: int) -> int:
        """The number of batches for precise statistics, with `images` training images.

        Whole batches only: a short one would have the same weight as the others.
        """
        return min(self.precise_batches, images // self.batch_size)

    @model_validator(mode="after")
    def check_agreement(self) -> Self:
        if list(self.drops) != sorted(set(self.drops)):
            raise ValueError(f"drops {list(self.drops)} are not in increasing order")
        if self.drops and self.drops[-1] >= self.iterations:
            raise ValueError(
                f"the drop at {self.drops[-1]} comes after the last of {self.iterations} iterations"
            )
        if list(self.layers_at) != sorted(set(self.layers_at)):
            raise ValueError(f"layers_at {list(self.layers_at)} are not in increasing order")
        if self.layers_at and self.layers_at[-1] > self.iterations:
            raise ValueError(
                f"layers_at {self.layers_at[-1]} comes after the last of {self.iterations}"
                " iterations"
            )
        if self.warmup_iterations >= self.iterations:
            raise ValueError(
                f"the warm-up of {self.warmup_iterations} fills all {self.iterations} iterations"
            )
        if self.batch_norm_images != "batch" and self.batch_size % self.batch_norm_images:
            raise ValueError(
                f"batch_norm_images {self.batch_norm_images} does not divide"
                f" batch_size {self.batch_size}"
            )
        return self
